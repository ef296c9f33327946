"""Snapshots: a start reads little, the disk stays bounded, and nothing is taken on trust."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from tests.stores import NAME, FixedClock, environment, open_sqlite
from tests.support.parity import Anything, Waiting, market, settings
from tests.support.schedule import virtual
from trade_runtime.backtest.run import Backtest
from trade_runtime.errors import StoreDamaged
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.machines.images import OrderImage, PositionImage
from trade_runtime.machines.journal import GENESIS, make_record
from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import Order
from trade_runtime.machines.snapshot import restore, take
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.journal import replay
from trade_runtime.managers.state import PROOFREAD_SECS, StateManager, open_state
from trade_runtime.model.records import JournalEvent, RuntimeStarted, RuntimeStopped, TradingHalted
from trade_runtime.protocols import Owner, Record
from trade_runtime.settings import ShutdownConfig, StoreSettings
from trade_runtime.stores.memory import MemoryDisk
from trade_runtime.stores.sqlite import plugin

FOLLOWS = {"id", "strategy", "instrument", "is_live"}
"""What of an order follows from the rest of it."""


def history(folder: Path, make: type[Anything], seed: int) -> list[JournalEvent]:
    """All that is recorded of a run that does whatever can be done."""
    setup = settings(folder, 20, {"oco": False}, protection={"required": "all"})
    run = Backtest(setup, strategies=[make(seed)], history=[market(seed)])
    told = list[JournalEvent]()
    apply = run.journal.trading.apply

    def listen(event: JournalEvent) -> Any:
        told.append(event)
        return apply(event)

    run.journal.trading.apply = listen  # type: ignore[method-assign]
    run.run()
    assert len(told) > 500
    return [RuntimeStarted("test", "abcdef", "1", "", 0), *told]


@pytest.mark.parametrize("make", [Anything, Waiting])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_state_that_was_restored_goes_on_as_the_one_it_was_taken_of(
    tmp_path: Path, make: type[Anything], seed: int
) -> None:
    """At any point of any run: the same orders, indexes, sums and hash, then and at the end."""
    events = history(tmp_path, make, seed)
    points = set(random.Random(seed).sample(range(len(events)), 40))
    state, restored = TradingState(), list[TradingState]()
    for seq, event in enumerate(events):
        for one in (state, *restored):
            one.apply(event)
        if seq in points:
            restored.append(restore(take(state, seq, 0, "")))
            assert restored[-1].image() == state.image()
    for one in restored:
        assert one.hash() == state.hash()
        assert one.image() == state.image()
        for order in state.orders.values():
            worst = [s.exposure.worst(order.instrument, order.side) for s in (state, one)]
            assert worst[0] == worst[1]


def test_nothing_of_an_order_or_a_position_is_left_out() -> None:
    """A new attribute has to be thought of here too."""
    assert set(Order.__slots__) - FOLLOWS == set(OrderImage.__struct_fields__)
    assert set(Position.__slots__) == set(PositionImage.__struct_fields__)


class Desk:
    """A journal on a disk in memory, opened again and again."""

    def __init__(self, **kept: Any) -> None:
        self.disk = MemoryDisk()
        self.kept = {"snapshot_records": 10, "keep_records": 0} | kept

    @asynccontextmanager
    async def open(self) -> AsyncIterator[StateManager]:
        async with open_state(
            "test",
            self.disk.store(),
            StoreSettings(**self.kept),
            Ladder(ShutdownConfig()),
            TrioClock(),
            random.Random(1),
            lambda: RuntimeStopped("test", "clean"),
        ) as state:
            yield state

    async def work(self, times: int) -> None:
        """Record much, and give the proofreader its time."""
        async with self.open() as state:
            for _ in range(times):
                for number in range(25):
                    state.record(TradingHalted(f"note {number}"))
                await trio.sleep(PROOFREAD_SECS * 1.01)

    def damage(self, seq: int) -> None:
        """Change a byte of a snapshot."""
        kept = self.disk.snapshots[seq]
        payload = kept.payload.replace(b"version", b"vershion", 1)
        self.disk.snapshots[seq] = attrs.evolve(kept, payload=payload)


async def hashes(desk: Desk) -> tuple[str, str]:
    """What the journal comes to: from its newest snapshot on, and as far back as it goes."""
    async with desk.disk.store(read_only=True) as store:
        quick, whole = await replay(store), await replay(store, whole=True)
    assert (quick.seq, quick.digest) == (whole.seq, whole.digest)
    return quick.state.hash(), whole.state.hash()


@virtual
async def test_a_start_reads_what_came_after_the_newest_snapshot() -> None:
    """And comes to the same as reading everything."""
    desk = Desk()
    await desk.work(4)
    taken = sorted(desk.disk.snapshots)
    assert 4 == len(taken)
    async with desk.disk.store(read_only=True) as store:
        found = await replay(store)
    assert taken[-1] == found.since > 75
    assert 1 == len(set(await hashes(desk)))
    await desk.work(1)
    assert 1 == len(set(await hashes(desk)))


@virtual
async def test_a_long_run_keeps_a_bounded_disk() -> None:
    """Old records go, up to a snapshot; what is left is proven from there."""
    desk = Desk(keep_records=60)
    await desk.work(20)
    records, taken = desk.disk.records, sorted(desk.disk.snapshots)
    assert len(records) < 60 + 2 * 25
    assert records[0].seq == taken[0] + 1
    assert len(taken) < 6
    assert 1 == len(set(await hashes(desk)))
    await desk.work(20)
    assert len(desk.disk.records) < 60 + 2 * 25
    assert 1 == len(set(await hashes(desk)))


@virtual
async def test_a_snapshot_is_kept_when_it_is_due() -> None:
    """However soon after the last: `snapshot_records` says when, not a clock."""
    desk = Desk()
    async with desk.open() as state:
        for round_number in range(3):
            for number in range(25):
                state.record(TradingHalted(f"note {number}"))
            await state.flush()
            await trio.sleep(0.01)
            assert 1 + round_number == len(desk.disk.snapshots)
    assert 3 == len(desk.disk.snapshots)


@virtual
async def test_a_snapshot_that_was_damaged_only_costs_time() -> None:
    """The one before is used, or the records are; a whole reading tells of it."""
    desk = Desk()
    await desk.work(3)
    *_, before, newest = sorted(desk.disk.snapshots)
    desk.damage(newest)
    with capture_logs() as logs:
        async with desk.disk.store(read_only=True) as store:
            assert before == (await replay(store)).since
    assert [f"the snapshot at record {newest} is not what was taken"] == [
        entry["error"] for entry in logs
    ]
    for seq in desk.disk.snapshots:
        desk.damage(seq)
    async with desk.disk.store(read_only=True) as store:
        assert 0 == (await replay(store)).since


@virtual
async def test_without_records_or_a_snapshot_nothing_is_guessed() -> None:
    """The records before were let go of, and no snapshot is left to stand for them."""
    desk = Desk(keep_records=30)
    await desk.work(6)
    for seq in desk.disk.snapshots:
        desk.damage(seq)
    first = desk.disk.records[0].seq
    assert first > 1
    async with desk.disk.store(read_only=True) as store:
        with pytest.raises(StoreDamaged, match=f"record {first} is the first, and no snapshot"):
            await replay(store)


@virtual
async def test_a_snapshot_of_other_records_is_found_out() -> None:
    """By the digest of its record, at every start; by what the records add up to, when asked."""
    desk = Desk()
    await desk.work(2)
    newest = max(desk.disk.snapshots)
    kept = desk.disk.snapshots[newest]
    foreign = TradingState()
    foreign.apply(RuntimeStarted("other", "zzzzzz", "1", "", 0))
    desk.disk.snapshots[newest] = take(foreign, newest, 0, "f" * 32)
    async with desk.disk.store(read_only=True) as store:
        with pytest.raises(StoreDamaged, match="is not the one that its snapshot was taken after"):
            await replay(store)
    desk.disk.snapshots[newest] = take(foreign, newest, 0, kept.digest)
    async with desk.disk.store(read_only=True) as store:
        with pytest.raises(StoreDamaged, match="do not add up to their snapshot"):
            await replay(store, whole=True)


@virtual
async def test_records_that_are_lost_behind_a_snapshot_are_missed() -> None:
    """A journal cut off before its newest snapshot is not taken for whole."""
    desk = Desk()
    await desk.work(2)
    del desk.disk.records[-40:]
    async with desk.disk.store(read_only=True) as store:
        with pytest.raises(StoreDamaged):
            await replay(store)
        with pytest.raises(StoreDamaged):
            await replay(store, whole=True)


FIRST_SCHEMA = (
    """CREATE TABLE records (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL,
    payload BLOB NOT NULL, digest TEXT NOT NULL) STRICT""",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO meta VALUES ('schema_version', '1'), ('created_ns', '1')",
    "PRAGMA application_id = 1414679116",
)
"""How the first version made its journals."""


def old_journal(path: Path, events: list[JournalEvent]) -> list[Record]:
    """Write a journal as the first version did."""
    records, digest = list[Record](), GENESIS
    for seq, event in enumerate(events, start=1):
        records.append(make_record(digest, seq, FixedClock().now_ns(), event))
        digest = records[-1].digest
    with sqlite3.connect(path) as connection:
        for statement in FIRST_SCHEMA:
            connection.execute(statement)
        rows = [(r.seq, r.ts_ns, r.kind, r.payload, r.digest) for r in records]
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    return records


async def test_a_journal_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    """Reading leaves it as it is; its owner migrates it; and it verifies, before and after."""
    events = history(tmp_path, Anything, 3)
    records = old_journal(tmp_path / NAME, events)
    before = (tmp_path / NAME).read_bytes()
    async with open_sqlite(tmp_path, read_only=True) as store:
        old = await replay(store, whole=True)
    assert before == (tmp_path / NAME).read_bytes()
    env = environment(tmp_path)
    opened = plugin.open(
        NAME, tmp_path, durability="process", read_only=False, env=env, owner=Owner("test")
    )
    async with opened as store:
        await store.keep(take(old.state, old.seq, 0, old.digest))
        assert records == list(await store.read(0, len(records)))
    assert "journal is brought up to date" in str(env.log)
    async with open_sqlite(tmp_path, read_only=True) as store:
        quick, whole = await replay(store), await replay(store, whole=True)
    assert len(records) == quick.since == quick.seq == whole.seq
    assert old.state.hash() == quick.state.hash() == whole.state.hash()
