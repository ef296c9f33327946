"""Reads a journal back: from a snapshot on, or all of it, and proves what it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import structlog
import trio

from trade_runtime.errors import StoreDamaged
from trade_runtime.machines.journal import GENESIS, check_chain, read_event
from trade_runtime.machines.order import InvalidTransition
from trade_runtime.machines.projection import Projection
from trade_runtime.machines.snapshot import UnreadableSnapshot, hash_of, restore
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.protocols import Record, Store

log = structlog.get_logger("state")

READ_BATCH = 5_000
"""Records read at a time at the start, when nothing else waits for the loop."""


class JournalReader:
    """Goes through a journal, a batch at a step. Made by `reader`.

    Args:
        store: which has it.
        state: to begin with; it is changed.
        seq: the record that it is after.
        digest: of that record.
        ahead: snapshots to hold against what the records add up to.
    """

    def __init__(
        self, store: Store, state: TradingState, seq: int, digest: str, ahead: Sequence[int]
    ) -> None:
        self.state = state
        self.seq = self.since = seq
        self.digest = digest
        self.projection: Projection | None = None
        """Notes what the records change in the tables, where that is wanted."""
        self._store = store
        self._ahead = deque(ahead)

    async def step(self) -> bool:
        """Read, prove and fold the next records; return whether there were any.

        Raises:
            StoreDamaged, StoreError: as for `replay`.
        """
        limit = min(READ_BATCH, self._ahead[0] - self.seq) if self._ahead else READ_BATCH
        batch = await self._store.read(self.seq, limit)
        if not batch:
            if self._ahead:
                raise StoreDamaged(
                    f"record {self.seq} is the last, and there is a snapshot at record"
                    f" {self._ahead[0]}"
                )
            return False
        fold(self.state, batch, self.digest, self.seq, self.projection)
        self.seq, self.digest = batch[-1].seq, batch[-1].digest
        if self._ahead and self.seq == self._ahead[0]:
            await _compare(self._store, self._ahead.popleft(), self.state, self.digest)
        await trio.lowlevel.checkpoint()
        return True


async def reader(store: Store, *, whole: bool = False) -> JournalReader:
    """Return what goes through a journal; arguments and errors as for `replay`."""
    taken = await store.snapshots()
    state, seq, digest = await _beginning(store, taken, whole=whole)
    return JournalReader(
        store, state, seq, digest, [one for one in taken if one > seq] if whole else []
    )


async def replay(store: Store, *, whole: bool = False) -> JournalReader:
    """Read a journal to its end, prove its chain, fold it.

    Args:
        store: which has it.
        whole: begin as far back as the records go, and hold every snapshot against what the
            records add up to. Else begin with the newest snapshot that can be used.

    Returns:
        what read it: the `state` after the last record, that record's `seq` and `digest`, and the
        snapshot `since` which it was read; 0 where that was from the first record on.

    Raises:
        StoreDamaged: a record is not what was written, or cannot follow from those before; or a
            snapshot is not what the records add up to.
        StoreError: it cannot be read.
    """
    found = await reader(store, whole=whole)
    while await found.step():
        pass
    return found


async def _beginning(
    store: Store, taken: Sequence[int], *, whole: bool
) -> tuple[TradingState, int, str]:
    """Return the state to begin with, the record that it is after, and that record's digest."""
    oldest = await store.read(0, 1)
    first = oldest[0].seq if oldest else max(taken, default=0) + 1
    for seq in _candidates(taken, first, whole=whole):
        if not seq:
            return TradingState(), 0, GENESIS
        snapshot = await store.snapshot(seq)
        if seq >= first:
            found = await store.read(seq - 1, 1)
            if not found or (found[0].seq, found[0].digest) != (seq, snapshot.digest):
                raise StoreDamaged(f"record {seq} is not the one that its snapshot was taken after")
        try:
            return restore(snapshot), seq, snapshot.digest
        except UnreadableSnapshot as error:
            log.warning("A snapshot is of no use; more records are read instead", error=str(error))
    raise StoreDamaged(f"record {first} is the first, and no snapshot of those before it is of use")


def _candidates(taken: Sequence[int], first: int, *, whole: bool) -> Iterator[int]:
    usable = [seq for seq in taken if seq >= first - 1]
    if whole:
        yield from [0] if first == 1 else usable
    else:
        yield from reversed(usable)
        if first == 1:
            yield 0


async def _compare(store: Store, seq: int, state: TradingState, digest: str) -> None:
    snapshot = await store.snapshot(seq)
    if (snapshot.digest, hash_of(snapshot)) != (digest, state.hash()):
        raise StoreDamaged(f"record {seq} and those before do not add up to their snapshot")


def fold(
    state: TradingState,
    batch: Sequence[Record],
    last: str,
    seq: int,
    projection: Projection | None = None,
) -> None:
    """Fold records in, after proving that each follows from the one before.

    Args:
        state: is changed.
        batch: the records.
        last: the digest of the record before them.
        seq: of that record.
        projection: notes what they change.

    Raises:
        StoreDamaged: one does not follow; what came before it is folded in.
    """
    for record in check_chain(batch, last, seq):
        event = read_event(record)
        try:
            order = state.apply(event)
        except InvalidTransition as error:
            raise StoreDamaged(f"record {record.seq} ({record.kind}): {error}") from None
        if projection is not None:
            projection.note(event, order)
