"""The journal's keeper: batches, urgency, failures, and proof that the disk has what was told."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from tests.support.schedule import virtual
from tests.support.values import accepted, spec
from tests.support.world import settle
from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.machines.journal import make_record
from trade_runtime.machines.order import InvalidTransition
from trade_runtime.managers import journal
from trade_runtime.managers import state as state_module
from trade_runtime.managers.journal import replay
from trade_runtime.managers.state import PROOFREAD_SECS, StateManager, open_state
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.model.records import (
    OrderSent,
    RuntimeStopped,
    TradingHalted,
)
from trade_runtime.settings import ShutdownConfig, StoreSettings
from trade_runtime.stores.memory import MemoryDisk, MemoryStore


class Desk:
    """A journal on a disk that notes each transaction and can be told to fail or to stall."""

    def __init__(self) -> None:
        self.disk = MemoryDisk(before=self._before)
        self.commits: list[tuple[object, int]] = []
        """When, and up to which record, each transaction was told durable."""
        self.failures: list[StoreError] = []
        self.error: StoreError | None = None
        self.stall_secs = 0.0
        self.operations: list[str] = []
        self.ladder = Ladder(ShutdownConfig())

    async def _before(self, operation: str, number: int) -> None:
        self.operations.append(operation)
        if operation == "append":
            await trio.sleep(self.stall_secs)
            if self.error is not None:
                raise self.error

    @asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[StateManager]:
        async with open_state(
            "test",
            self.disk.store(),
            StoreSettings(**settings),
            self.ladder,
            TrioClock(),
            random.Random(1),
            lambda: RuntimeStopped("test", "clean"),
        ) as state:
            state.on_durable = lambda seq: self.commits.append((trio.current_time(), seq))
            state.on_failed = self.failures.append
            yield state

    @property
    def verified(self) -> str:
        (result,) = self.ladder.results
        return f"{result.outcome}: {result.detail}"


def note(number: int) -> TradingHalted:
    """A record that changes nothing."""
    return TradingHalted(f"note {number}")


class TestBatches:
    """Many records to a transaction, none later than it may be."""

    @virtual
    async def test_after_a_second_whatever_there_is(self) -> None:
        """The first record waits for company for `commit_secs`, counted from itself."""
        desk = Desk()
        async with desk.open() as state:  # the start is record 1
            await trio.sleep(0.4)
            state.record(note(1))
            await trio.sleep(5)
            assert [(pytest.approx(1.0), 2)] == desk.commits
            state.record(note(2))
            await trio.sleep(5)
            assert (pytest.approx(6.4), 3) == desk.commits[-1]

    @virtual
    async def test_a_hundred_at_once(self) -> None:
        """The hundredth does not wait."""
        desk = Desk()
        async with desk.open() as state:
            for number in range(98):
                state.record(note(number))
            await settle()
            assert ([], 99) == (desk.commits, state.backlog)
            state.record(note(98))
            await settle()
            assert ([(0.0, 100)], 0) == (desk.commits, state.backlog)

    @virtual
    async def test_what_is_urgent_goes_at_once_with_all_before_it(self) -> None:
        """In one transaction, however many urgent ones there are."""
        desk = Desk()
        async with desk.open() as state:
            state.record(note(1))
            for number in range(1, 51):
                state.record(spec(f"{state.trading.tag}-{number}"), urgent=True)
            await settle()
            assert [(0.0, 52)] == desk.commits
            assert 52 == state.durable_seq == len(desk.disk.records)

    @virtual
    async def test_a_transaction_is_never_larger_than_batch_rows(self) -> None:
        """What piled up behind a slow disk goes out in several."""
        desk = Desk()
        async with desk.open(batch_rows=10) as state:
            desk.stall_secs = 0.1
            for number in range(34):
                state.record(note(number))
            await trio.sleep(2)
            assert [10, 20, 30, 35] == [seq for _, seq in desk.commits]

    @virtual
    async def test_what_comes_during_a_commit_is_not_forgotten(self) -> None:
        """An urgent record queued behind a slow transaction is written right after it."""
        desk = Desk()
        async with desk.open() as state:
            desk.stall_secs = 0.5
            state.record(note(1), urgent=True)
            await trio.sleep(0.1)
            state.record(note(2), urgent=True)
            await trio.sleep(2)
            assert [(pytest.approx(0.5), 2), (pytest.approx(1.0), 3)] == desk.commits

    @virtual
    async def test_flush_returns_when_all_is_durable(self) -> None:
        """Not before, and not only for what was queued when it was called."""
        desk = Desk()
        async with desk.open() as state:
            desk.stall_secs = 0.2
            state.record(note(1))
            await state.flush()
            assert (2, 0) == (state.durable_seq, state.backlog)
            assert pytest.approx(0.2) == trio.current_time()
            await state.flush()

    @virtual
    async def test_what_cannot_be_is_not_recorded(self) -> None:
        """An event that the state refuses leaves no record."""
        desk = Desk()
        async with desk.open() as state:
            order_id = ClientOrderId(f"{state.trading.tag}-1")
            state.record(spec(order_id))
            before = state.seq
            with pytest.raises(InvalidTransition):
                state.record(accepted(order_id))
            assert before == state.seq
            order = state.record(OrderSent(order_id))
            assert order is not None
            assert "sent" == order.state


class TestFailures:
    """A store that fails is told once, and nothing pretends to be durable after."""

    @virtual
    async def test_a_failed_commit(self) -> None:
        """Told once; flush and verify say so; what was not written is not called durable."""
        desk = Desk()
        async with desk.open() as state:
            await state.flush()
            desk.error = StoreError("disk full")
            for number in range(3):
                state.record(note(number), urgent=True)
                await trio.sleep(2)
            assert (1, 4, desk.error) == (state.durable_seq, state.seq, state.failed)
            with pytest.raises(StoreError, match="disk full"):
                await state.flush()
        assert [desk.error] == desk.failures
        assert "failed: StoreError: disk full" == desk.verified

    @virtual
    async def test_a_disk_that_came_back_is_not_written_to(self) -> None:
        """A gap in the journal would be worse than its end."""
        desk = Desk()
        async with desk.open() as state:
            await state.flush()
            desk.error = StoreError("disk full")
            state.record(note(1), urgent=True)
            await settle()
            desk.error = None
            state.record(note(2), urgent=True)
            await trio.sleep(5)
        assert 1 == len(desk.disk.records)

    @virtual
    async def test_flush_does_not_wait_for_a_store_that_fails_meanwhile(self) -> None:
        """It is woken with the error."""
        desk = Desk()
        async with desk.open() as state:
            desk.stall_secs, desk.error = 1.0, StoreError("disk full")
            with pytest.raises(StoreError, match="disk full"):
                await state.flush()
            assert pytest.approx(1.0) == trio.current_time()

    @virtual
    async def test_a_store_that_does_not_keep_up_has_failed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The backlog is bounded."""
        monkeypatch.setattr(state_module, "MAX_BACKLOG", 500)
        desk = Desk()
        async with desk.open() as state:
            desk.stall_secs = 3600
            for number in range(500):
                state.record(note(number))
            assert state.failed is not None
            desk.stall_secs = 0
        assert ["the store does not keep up: 500 records wait"] == [str(e) for e in desk.failures]


class TestProof:
    """What is on the disk is what was told."""

    @virtual
    async def test_a_good_journal_is_verified(self) -> None:
        """The stage says how many records were read back."""
        desk = Desk()
        async with desk.open() as state:
            state.record(spec(f"{state.trading.tag}-1"))
        assert ("ok: 3 records", True) == (desk.verified, state.verified)
        assert isinstance(desk.disk.records[-1].payload, bytes)
        assert ["start", "intent", "stop"] == [record.kind for record in desk.disk.records]

    @pytest.mark.parametrize("damage", ["changed", "lost", "cut"])
    @virtual
    async def test_a_tampered_journal_is_not(self, damage: str) -> None:
        """A record changed, lost or cut off behind our back is found at the stop."""
        desk = Desk()
        async with desk.open() as state:
            for number in range(5):
                state.record(note(number))
            await state.flush()
            records = desk.disk.records
            if damage == "changed":
                records[2] = attrs.evolve(records[2], payload=b'{"reason":"x"}')
            elif damage == "lost":
                del records[2]
            else:
                del records[-1]
        assert desk.verified.startswith("failed: Store"), desk.verified
        assert not state.verified

    @virtual
    async def test_the_proofreader_finds_it_while_running(self) -> None:
        """Not only at the stop: within seconds the store counts as failed."""
        desk = Desk()
        async with desk.open() as state:
            state.record(note(1))
            await state.flush()
            desk.disk.records[1] = attrs.evolve(desk.disk.records[1], payload=b"{}")
            await trio.sleep(PROOFREAD_SECS * 1.1)
            assert isinstance(state.failed, StoreDamaged)
        assert ["record 2 (halt) is not what was written"] == [str(e) for e in desk.failures]

    @virtual
    async def test_verify_reads_only_what_was_not_proofread(self) -> None:
        """A long run does not make a long stop."""
        desk = Desk()
        async with desk.open() as state:
            for number in range(1000):
                state.record(note(number))
            await trio.sleep(PROOFREAD_SECS * 1.1)
            reads: list[int] = []
            inner = state._store.read

            async def read(after: int, limit: int) -> Any:
                reads.append(after)
                return await inner(after, limit)

            state._store.read = read  # type: ignore[method-assign]
        assert ([1001, 1002], True) == (reads, state.verified)

    @virtual
    async def test_a_stop_in_the_midst_of_proofreading(self) -> None:
        """Both read back, one after the other: read twice, a sound journal would look damaged."""
        desk = Desk()

        async def slow(operation: str, number: int) -> None:
            if operation == "read":
                await trio.sleep(0.1)

        async with desk.open() as state:
            state.record(note(1))
            await state.flush()
            desk.disk.after = slow
            await trio.sleep(PROOFREAD_SECS - trio.current_time() + 0.05)
        assert ("ok: 3 records", True) == (desk.verified, state.verified)

    @virtual
    async def test_a_store_that_fails_as_it_closes_is_closed(self) -> None:
        """The stage says what failed; no connection is left that the report would tell of."""
        disk, ladder = MemoryDisk(), Ladder(ShutdownConfig())

        @asynccontextmanager
        async def failing() -> AsyncIterator[MemoryStore]:
            async with disk.store() as store:
                yield store
            raise StoreError("the disk is full")

        async with open_state(
            "test",
            failing(),
            StoreSettings(),
            ladder,
            TrioClock(),
            random.Random(1),
            lambda: RuntimeStopped("test", "clean"),
        ) as state:
            state.record(note(1))
        assert ("failed", True) == (ladder.results[-1].outcome, state.closed)

    @virtual
    async def test_a_journal_that_cannot_follow_from_itself_is_damage(self) -> None:
        """Each record whole, but together impossible: an answer to an order never sent."""
        desk = Desk()
        async with desk.open() as state:
            order_id = f"{state.trading.tag}-1"
            state.record(spec(order_id))
        records = desk.disk.records
        del records[2:]
        records.append(make_record(records[-1].digest, 3, 1, accepted(order_id)))
        async with desk.disk.store(read_only=True) as store:
            with pytest.raises(StoreDamaged, match=r"record 3 \(accepted\): order .* is pending"):
                await replay(store)


class TestRestart:
    """The next process stands where the last one stood."""

    @virtual
    async def test_integrity_is_checked_once(self) -> None:
        """A store checks itself in being opened: a start does not ask for it again, which would
        read a long journal twice. A stop does, after all that was written.
        """
        desk = Desk()
        async with desk.open() as state:
            state.record(note(1))
        desk.operations.clear()
        async with desk.open():
            assert "check" not in desk.operations
        assert 1 == desk.operations.count("check")

    @virtual
    async def test_the_state_is_the_same(self) -> None:
        """Its tag, its count of intents, its hash."""
        desk = Desk()
        async with desk.open() as state:
            for number in (1, 2):
                state.record(spec(f"{state.trading.tag}-{number}"))
            before = state.trading
        again = Desk()
        again.disk = desk.disk
        async with again.open() as state:
            assert (before.tag, 2, 5) == (state.trading.tag, state.trading.intents, state.seq)
            assert ["unknown", "unknown"] == [str(o.state) for o in state.trading.live()]

    @virtual
    async def test_a_long_journal_is_read_in_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Others get their turn in between."""
        monkeypatch.setattr(journal, "READ_BATCH", 7)
        desk = Desk()
        async with desk.open() as state:
            for number in range(50):
                state.record(note(number))
        async with desk.disk.store(read_only=True) as store:
            found = await replay(store)
        assert (52, desk.disk.records[-1].digest) == (found.seq, found.digest)

    @virtual
    async def test_a_new_journal_gets_a_tag_of_its_own(self) -> None:
        """Six characters that begin all its order ids."""
        desk = Desk()
        async with desk.open() as state:
            assert 6 == len(state.trading.tag)
