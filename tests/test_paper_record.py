"""The paper exchange's record on disk: what survives, who may read it, what is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from tests.paper_world import BALANCES, ETH, ETHUSDT, World
from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.model.orders import Side
from trade_runtime.venues.paper import MemoryRecord, PaperSettings, SqliteRecord
from trade_runtime.venues.paper.orders import Position
from trade_runtime.venues.paper.record import Step


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the record is."""
    return tmp_path / "paper.paper.sqlite"


@pytest.fixture
def record(path: Path) -> Iterator[SqliteRecord]:
    """A record, closed at the end."""
    record = SqliteRecord(path)
    yield record
    record.close()


def live_a_little(world: World) -> None:
    """A bit of everything: fills, a waiting market order, a stop, a limit, a cancel, a reject."""
    world.sees(99, 100)
    world.buy("taken", "0.5")
    world.sell("stop", "1", "94.5", trigger="95")
    world.buy("limit", "1", "98")
    world.buy("waiting", "3")
    world.buy("gone", "1", "97", post_only=True)
    world.cancel("gone")
    world.buy("refused", "1", "97.001")
    world.trades(98, 0.3, Side.SELL)


def live_richly(world: World) -> None:
    """What the first schema did not know: dates, groups, trails, amends, a queue."""
    world.sees(99, 100, 3, 3)
    world.buy("dated", "1", "99", expires=5_000)
    world.sell("profit", "2", "105", oco="g")
    world.sell("stop", "2", trigger="95", oco="g")
    world.sell("trailing", "1", trail="2")
    world.buy("amended", "1", "97")
    world.amend("amended", "2", "96")
    world.sees(99.5, 100, 3, 3)


def test_a_restart_finds_everything_as_it_was(path: Path) -> None:
    """Orders, locks, balances, fills, numbers and instruments, on disk as in memory."""
    twin = World(MemoryRecord())
    live_a_little(twin)
    first = SqliteRecord(path)
    live_a_little(World(first))
    first.close()
    again = SqliteRecord(path)
    world = World(again)
    assert again.load() == twin.record.load()
    assert again.fills(0) == twin.record.fills(0)
    for name in ("taken", "stop", "limit", "waiting", "gone", "refused", "unknown"):
        assert again.order(name) == twin.record.order(name)  # type: ignore[arg-type]
    twin.reopen()
    for one in (world, twin):
        one.sees(94.6, 97)
        one.cancel("limit")
    assert again.load() == twin.record.load()
    again.close()


def test_a_restart_finds_richer_orders_as_they_were(path: Path) -> None:
    """Dates, groups and their one lock, triggers that moved, places in the queue."""
    settings = PaperSettings(balances=BALANCES, queue="back")
    twin = World(MemoryRecord(), settings=settings)
    live_richly(twin)
    first = SqliteRecord(path)
    live_richly(World(first, settings=settings))
    first.close()
    again = SqliteRecord(path)
    world = World(again, settings=settings)
    twin.reopen()
    assert again.load() == twin.record.load()
    for one in (world, twin):
        one.sees(97.5, 98)
        one.trades(105, 0.5, Side.BUY)
        one.at(5_000)
    assert again.load() == twin.record.load()
    again.close()


def test_a_restart_finds_positions_in_contracts(path: Path) -> None:
    contract = attrs.evolve(ETHUSDT, kind="linear", multiplier=Decimal("0.1"))
    first = SqliteRecord(path)
    world = World(first, instrument=contract)
    world.sees(99, 100)
    world.sell("a", "1")
    world.buy("b", "0.6", "90", reduce_only=True)
    before = first.load()
    first.close()
    again = SqliteRecord(path)
    assert again.load() == before
    assert before.positions == {ETH: Position(Decimal(-1), Decimal(99))}
    assert again.load().instruments == [attrs.evolve(contract, id=ETH)]
    assert World(again, instrument=contract).trades(90, 1, Side.SELL) == (
        "b made 0.6 @ 90; b filled 0.6"
    )
    again.close()


def test_others_may_read_while_it_runs(record: SqliteRecord, path: Path) -> None:
    """A stranger opens it read-only, sees what is committed, and stands in nobody's way."""
    world = World(record)
    live_a_little(world)
    stranger = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    assert stranger.execute(
        "SELECT client_order_id FROM orders WHERE status = 'open' ORDER BY seq"
    ).fetchall() == [("stop",), ("limit",), ("waiting",)]
    stranger.execute("BEGIN")
    stranger.execute("SELECT count(*) FROM history").fetchone()
    assert world.cancel("limit") == "limit cancelled 0.3"
    stranger.execute("COMMIT")
    assert stranger.execute("SELECT event, detail FROM history ORDER BY seq DESC").fetchone() == (
        "cancel",
        '{"filled":"0.3000","reason":""}',
    )
    assert stranger.execute(
        "SELECT total, locked FROM balances WHERE currency = 'ETH'"
    ).fetchone() == ("6.3000", "1")
    stranger.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_only_the_owner_may_read_it(path: Path) -> None:
    """Also the files that SQLite puts beside it, and whatever the umask allows."""
    old = os.umask(0)
    try:
        record = SqliteRecord(path)
        World(record)
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
        record.close()
    finally:
        os.umask(old)


def test_closing_leaves_one_file(path: Path) -> None:
    record = SqliteRecord(path)
    World(record)
    record.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_closed_record_is_no_damaged_one(path: Path) -> None:
    record = SqliteRecord(path)
    record.close()
    with pytest.raises(StoreError, match="closed") as caught:
        record.load()
    assert not isinstance(caught.value, StoreDamaged)


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    record = SqliteRecord(path)
    World(record)
    record.close()
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 3")
    later.close()
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match=r"paper\.sqlite: has schema 3.*upgrade trade_runtime"):
        SqliteRecord(path)
    assert path.read_bytes() == before


NEW_IN_SCHEMA_2 = {
    "orders": ("expire_ns", "trail", "oco", "priority", "ahead"),
    "fills": ("multiplier",),
    "instruments": ("kind", "multiplier"),
}


def make_old(path: Path) -> None:
    """Make of a record what the first version would have written."""
    with sqlite3.connect(path) as old:
        for table, columns in NEW_IN_SCHEMA_2.items():
            for column in columns:
                old.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        old.execute("DROP TABLE positions")
        old.execute("PRAGMA user_version = 1")
    old.close()


def test_a_record_of_the_first_schema_opens_and_goes_on(path: Path) -> None:
    """An account of the version before is taken over whole, time priority included."""
    twin = World(MemoryRecord())
    live_a_little(twin)
    first = SqliteRecord(path)
    live_a_little(World(first))
    first.close()
    make_old(path)
    again = SqliteRecord(path)
    world = World(again)
    assert again.load() == twin.record.load()
    assert again.fills(0) == twin.record.fills(0)
    twin.reopen()
    for one in (world, twin):
        one.sees(99, 100)
        one.buy("later", "1", "98", expires=5_000)
        one.trades(98, 1, Side.SELL)
        one.sell("trailing", "1", trail="2")
        one.sees(99.5, 100)
    assert again.load() == twin.record.load()
    again.close()
    SqliteRecord(path).close()


def test_a_strangers_database_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as stranger:
        stranger.execute("CREATE TABLE t (x)")
    stranger.close()
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="not a paper exchange's record; move it away"):
        SqliteRecord(path)
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_text("not a database, " * 100)
    with pytest.raises(StoreDamaged, match="is damaged"):
        SqliteRecord(path)


def test_a_place_that_cannot_be_written_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        SqliteRecord(tmp_path / "absent" / "paper.sqlite")
    assert not isinstance(caught.value, StoreDamaged)


def test_a_second_writer_is_noticed(record: SqliteRecord, path: Path) -> None:
    """Two exchanges on one record would each think the money theirs; the slower one is told."""
    world = World(record)
    other = SqliteRecord(path)
    second = World(other)
    world.sees(99, 100)
    world.buy("a", "1")
    with pytest.raises(StoreError, match="another process has written to it"):
        second.cancel("a")
    # It read the record again, so that it now knows what the other did.
    assert second.cancel("a") == "a cancel rejected (order is filled)"
    other.close()


def test_a_failed_step_leaves_nothing_of_itself(record: SqliteRecord) -> None:
    """The second row of a step clashes: the first is not there either."""
    world = World(record)
    world.sees(99, 100)
    world.buy("a", "1")
    before = record.load()
    [fill] = record.fills(0)
    with pytest.raises(StoreError):
        record.write(Step(orders=[], fills=[fill, fill]))
    assert record.load() == before
    world.buy("b", "1", "90")
    assert record.load().seq == before.seq + 2


_VICTIM = """
import sys
from decimal import Decimal
from pathlib import Path
from tests.paper_world import BALANCES, ETH, ETHUSDT, World
from trade_runtime.venues.paper import SqliteRecord

world = World(SqliteRecord(Path(sys.argv[1])))
world.sees(99, 100)
for number in range(1_000_000):
    world.buy(f"o{number}", "0.06", "90")
    world.cancel(f"o{number}")
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("after", [1, 7, 40])
def test_what_was_told_survives_a_kill(path: Path, after: int) -> None:
    """A process is killed without notice; every outcome that it told is in the record."""
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", _VICTIM, str(path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as victim:
        assert victim.stdout is not None
        for _ in range(after):
            victim.stdout.readline()
        victim.send_signal(signal.SIGKILL)
        told = [int(line) for line in victim.stdout.read().splitlines() if line.strip()]
    last = max(told, default=after - 1)
    record = SqliteRecord(path)
    world = World(record)
    for number in range(last + 1):
        order = record.order(f"o{number}")  # type: ignore[arg-type]
        assert order is not None
        assert order.status == "cancelled"
    saved = record.load()
    assert len(saved.live) <= 1
    assert world.usdt == Decimal(10_000)
    record.close()
