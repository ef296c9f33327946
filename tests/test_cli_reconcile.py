"""`reconcile`: what a start would book, and what no start could explain; by hand, with a reason."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from tests.cli_world import World
from trade_runtime.cli.main import cli
from trade_runtime.cli.preflight import read_journal
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.machines.journal import read_event
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.records import JournalEvent, PositionAdjusted, Reconciled
from trade_runtime.protocols import Record
from trade_runtime.runtime import open_runtime
from trade_runtime.settings import Settings


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A folder whose runtime has traded and stopped: half an ether, and its stop-loss."""
    made = World(tmp_path)
    made.write()
    made.trade()
    return made


def run(world: World, *options: str) -> Result:
    """Run `reconcile CONFIG` in this process."""
    return CliRunner().invoke(cli, ["reconcile", str(world.config), *options])


def facts(result: Result) -> dict[str, Any]:
    """What it printed as JSON."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def state(world: World) -> TradingState:
    """What the journal says."""
    return trio.run(read_journal, Settings.from_toml(world.config)).state


def events(world: World) -> list[JournalEvent]:
    """Every record of the journal."""
    with contextlib.closing(sqlite3.connect(world.journal)) as db:
        rows = db.execute("SELECT seq, ts_ns, kind, payload, digest FROM records ORDER BY seq")
        return [
            read_event(
                Record(
                    seq,
                    ts,
                    kind,
                    bytes(payload, "utf8") if isinstance(payload, str) else payload,
                    digest,
                )
            )
            for seq, ts, kind, payload, digest in rows
        ]


def held(world: World) -> Decimal:
    """The position of the journal."""
    return sum((p.quantity for p in state(world).ledger.open()), Decimal(0))


def venue(world: World, *statements: str) -> list[Any]:
    """Change the venue's own record, as nothing of ours would; return the last answer."""
    rows: list[Any] = []
    with contextlib.closing(sqlite3.connect(world.folder / "state" / "paper.paper.sqlite")) as db:
        for statement in statements:
            rows = db.execute(statement).fetchall()
        db.commit()
    return rows


def restored(world: World) -> None:
    """Trade on and have the journal of before back: what came since is nowhere in it."""
    files = {path: path.read_bytes() for path in world.journal.parent.glob("journal.sqlite*")}
    (world.folder / "buyer.py").write_text(
        (world.folder / "buyer.py")
        .read_text()
        .replace(
            "if not self.trader",
            'self.n = getattr(self, "n", 0) + 1\n'
            "        if self.n == 3:\n"
            '            self.trader.market(quote.instrument, "buy", "0.25")\n'
            "        if not self.trader",
        )
    )
    world.trade()
    for path in world.journal.parent.glob("journal.sqlite*"):
        path.unlink()
    for path, content in files.items():
        path.write_bytes(content)


def test_where_all_is_well(world: World) -> None:
    """It says so, and writes down who looked, and why."""
    before = held(world)
    done = run(world, "--reason", "a look", "--json")
    assert 0 == done.exit_code, done.output
    found = facts(done)
    assert found["agrees"] is True
    assert [] == found["fills"] == found["orders"] == found["unexplained"] == found["foreign"]
    assert before == held(world)
    noted = [event for event in events(world) if isinstance(event, Reconciled)]
    assert [Reconciled("operator", "a look", False, 0)] == noted
    assert state(world).clean
    world.trade()
    assert state(world).clean


def test_a_dry_run_changes_nothing(world: World) -> None:
    """Not a byte of the journal, the venue's record or anything else."""
    before = world.digest()
    done = run(world, "--dry-run")
    assert (0, "journal and venues agree\n") == (done.exit_code, done.stdout)
    assert before == world.digest()


def test_one_of_the_two_is_asked_for(world: World) -> None:
    """To change nothing and to accept is not both possible."""
    assert 2 == run(world, "--dry-run", "--accept-venue").exit_code


class TestARestoredJournal:
    """The venue has fills and orders of which the journal knows nothing."""

    def test_it_is_told_and_not_touched(self, world: World) -> None:
        """Each fill with its order and the way out; exit code 3."""
        restored(world)
        before = world.digest()
        done = run(world, "--dry-run", "--json")
        assert 3 == done.exit_code
        assert before == world.digest()
        found = facts(done)
        told = [one["what"] for one in found["unexplained"]]
        assert any("(buy 0.25" in what and "is not in the journal" in what for what in told)
        assert not any(one["accepted"] for one in found["unexplained"])

    def test_it_is_not_accepted_unasked(self, world: World) -> None:
        """What can be explained is carried out; the position stays what the fills made."""
        restored(world)
        before = held(world)
        done = run(world)
        assert 3 == done.exit_code
        assert "unexplained: fill" in done.stdout
        assert before == held(world)

    def test_it_is_accepted(self, world: World) -> None:
        """The position is the venue's, in a record of its own; ids go on behind the venue's; and
        the next look finds nothing of it.
        """
        restored(world)
        before, intents = held(world), state(world).intents
        done = run(world, "--accept-venue", "--reason", "restored from the backup", "--json")
        accepted = [one for one in facts(done)["unexplained"] if one["accepted"]]
        assert accepted
        assert before + Decimal("0.25") == held(world)
        (note,) = [event for event in events(world) if isinstance(event, PositionAdjusted)]
        assert ("buyer", Decimal("0.25")) == (note.strategy, note.quantity)
        assert "operator: restored from the backup" == note.by
        assert "is not in the journal" in note.reason
        assert state(world).intents > intents + 1
        again = facts(run(world, "--json"))
        assert not any("fill" in one["what"] for one in again["unexplained"])
        world.trade()
        assert state(world).clean
        assert before + Decimal("0.25") <= held(world)


def test_what_happened_while_nothing_ran(tmp_path: Path) -> None:
    """A fill that can be explained is booked, its order resolved; others' orders are left alone,
    and a position without its stop-loss is told. Nothing is sent.
    """
    world = World(tmp_path)
    world.write(lambda text: text + "[shutdown]\ncancel_orders = false\n")
    world.trade()
    (bid,) = [order for order in state(world).live() if not order.spec.protective]
    before = held(world)
    venue(
        world,
        "UPDATE orders SET status = 'filled', filled = quantity"
        f" WHERE client_order_id = '{bid.id}'",
        "INSERT INTO fills SELECT last + 1, 'late', client_order_id, instrument, side, quantity,"
        " price, '0', 'ETH', 1, updated_ns, '1' FROM orders, (SELECT max(seq) AS last FROM fills)"
        f" WHERE client_order_id = '{bid.id}'",
        "INSERT INTO orders SELECT 'by-hand', venue_order_id || 'h', instrument, side, type,"
        " status, quantity, filled, price, trigger_price, tif, post_only, reduce_only, triggered,"
        " '0', reason, created_ns, updated_ns, seq + 1000, expire_ns, trail, oco, priority, ahead"
        " FROM orders WHERE status = 'open'",
    )
    history = venue(world, "SELECT count(*) FROM history")
    done = run(world, "--dry-run", "--json")
    assert 0 == done.exit_code, done.output
    assert before == held(world)
    found = facts(done)
    assert [("buyer", "late", "0.1")] == [
        (one["strategy"], one["trade_id"], one["quantity"]) for one in found["fills"]
    ]
    assert [(bid.id, "open", "filled")] == [
        (one["order"], one["was"], one["now"]) for one in found["orders"]
    ]
    assert ["by-hand"] == [one["order"] for one in found["foreign"]]
    assert [("buyer", "0.6")] == [
        (one["strategy"], one["quantity"]) for one in found["unprotected"]
    ]
    done = run(world)
    assert 0 == done.exit_code, done.output
    assert "booked fill late of buyer: buy 0.1 ETHUSDT.paper at 1000" in done.stdout
    assert "order by-hand is not ours and is left alone" in done.stdout
    assert before + Decimal("0.1") == held(world)
    assert history == venue(world, "SELECT count(*) FROM history")
    assert [] == facts(run(world, "--json"))["fills"]


def test_an_order_that_the_venue_lost(world: World) -> None:
    """It rests by the journal alone: told, and closed when the venue's view is accepted."""
    (stop,) = [order.id for order in state(world).live() if order.spec.protective]
    venue(world, f"DELETE FROM orders WHERE client_order_id = '{stop}'")
    done = run(world)
    assert 3 == done.exit_code
    assert f"order {stop} of buyer rests by the journal" in done.stdout
    done = run(world, "--accept-venue", "--json")
    assert 0 == done.exit_code, done.output
    assert [] == list(state(world).live())
    (bare,) = facts(done)["unprotected"]
    assert ("buyer", "0") == (bare["strategy"], bare["covered"])


def test_a_fill_that_the_venue_does_not_know(world: World) -> None:
    """It is taken back, at its own price, when the venue's view is accepted."""
    before = held(world)
    venue(world, "DELETE FROM fills WHERE rowid = (SELECT min(rowid) FROM fills)")
    done = run(world, "--dry-run")
    assert 3 == done.exit_code
    assert "is in the journal, and not at the venue" in done.stdout
    done = run(world, "--accept-venue")
    assert 0 == done.exit_code, done.output
    assert held(world) < before
    assert 0 == run(world).exit_code


def test_a_venue_that_gives_no_answer(world: World) -> None:
    """Exit code 4, and the journal is sound."""
    world.write(
        lambda text: text.replace(
            "balances", 'faults = [{ kind = "drop", on = "query" }]\nbalances'
        )
    )
    done = run(world)
    assert 4 == done.exit_code
    assert "gave no answer" in done.stderr
    assert 0 == CliRunner().invoke(cli, ["verify", str(world.config)]).exit_code


def test_a_runtime_holds_the_state(world: World) -> None:
    """It is refused, and says who has it."""
    settings = Settings.from_toml(world.config)

    async def main() -> Result:
        async with open_runtime(settings, clock=TrioClock()):
            return await trio.to_thread.run_sync(run, world)

    done = trio.run(main)
    assert 3 == done.exit_code
    assert "is held by" in done.stderr
