"""Reads a journal back: from a snapshot on, or all of it, and proves what it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import structlog
import trio

from trade_runtime.errors import StoreDamaged
from trade_runtime.machines.journal import GENESIS, check_chain, read_event
from trade_runtime.machines.order import InvalidTransition
from trade_runtime.machines.snapshot import UnreadableSnapshot, hash_of, restore
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.protocols import Record, Store

log = structlog.get_logger("state")

READ_BATCH = 5_000
"""Records read at a time at the start, when nothing else waits for the loop."""


@attrs.frozen
class Replayed:
    """What a journal comes to.

    Attributes:
        state: after its last record.
        seq: of that record; 0 where there is none.
        digest: of that record.
        since: the snapshot that reading began with; 0 where it began with the first record.
    """

    state: TradingState
    seq: int
    digest: str
    since: int


async def replay(store: Store, *, whole: bool = False) -> Replayed:
    """Read a journal, prove its chain, fold it.

    Args:
        store: which has it.
        whole: begin as far back as the records go, and hold every snapshot against what the
            records add up to. Else begin with the newest snapshot that can be used.

    Raises:
        StoreDamaged: a record is not what was written, or cannot follow from those before; or a
            snapshot is not what the records add up to.
        StoreError: it cannot be read.
    """
    taken = await store.snapshots()
    state, seq, last = await _beginning(store, taken, whole=whole)
    since = seq
    ahead = [one for one in taken if one > seq] if whole else []
    while True:
        limit = min(READ_BATCH, ahead[0] - seq) if ahead else READ_BATCH
        batch = await store.read(seq, limit)
        if not batch:
            break
        fold(state, batch, last, seq)
        seq, last = batch[-1].seq, batch[-1].digest
        if ahead and seq == ahead[0]:
            await _compare(store, ahead.pop(0), state, last)
        await trio.lowlevel.checkpoint()
    if ahead:
        raise StoreDamaged(
            f"record {seq} is the last, and there is a snapshot at record {ahead[0]}"
        )
    return Replayed(state, seq, last, since)


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


def fold(state: TradingState, batch: Sequence[Record], last: str, seq: int) -> None:
    """Fold records in, after proving that each follows from the one before.

    Args:
        state: is changed.
        batch: the records.
        last: the digest of the record before them.
        seq: of that record.

    Raises:
        StoreDamaged: one does not follow; what came before it is folded in.
    """
    for record in check_chain(batch, last, seq):
        try:
            state.apply(read_event(record))
        except InvalidTransition as error:
            raise StoreDamaged(f"record {record.seq} ({record.kind}): {error}") from None
