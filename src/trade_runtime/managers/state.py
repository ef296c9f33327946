"""StateManager, the outermost layer: the journal, and what it adds up to.

It opens first and closes last. `record` is a plain call: it folds an event into the trading state
at once and queues its record; one writer task commits what is queued, many records to a
transaction. A record counts as durable only when its transaction has been committed, and only then
may anything that depends on it leave the process (`on_durable`).
"""

from __future__ import annotations

import os
import platform
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.lifecycle.layer import open_layer
from trade_runtime.machines.journal import GENESIS, make_record
from trade_runtime.machines.order import Order
from trade_runtime.machines.order_ids import new_tag
from trade_runtime.machines.projection import Projection
from trade_runtime.machines.snapshot import take
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.journal import fold, replay
from trade_runtime.managers.tables import equal, remake
from trade_runtime.model.records import JournalEvent, RuntimeStarted, RuntimeStopped
from trade_runtime.model.tables import Rows
from trade_runtime.protocols import Clock, Ownership, Record, Store
from trade_runtime.settings import StoreSettings
from trade_runtime.version import __version__

if TYPE_CHECKING:
    from trade_runtime.managers.cache import CacheManager

log = structlog.get_logger("state")

PROOFREAD_SECS = 5.0
PROOFREAD_BATCH = 500
"""How often what was committed is read back, and how much of it at a time: the loop answers others
between two batches."""

FORGET_BATCH = 1_000
"""Records that are removed in one transaction: others wait for it."""

LAST_SNAPSHOT_RECORDS = 1_000
"""A stop keeps a snapshot where the last one is so many records back: fewer are read in no time."""

MAX_BACKLOG = 100_000
"""Records that may wait for their commit. More means that the store does not keep up: it has
failed."""


def in_batches(
    records: Sequence[Record], rows: int, joined: Sequence[tuple[int, int]]
) -> Iterator[Sequence[Record]]:
    """Give records in batches of `rows`, or of more where the numbers of a pair, and what is
    between them, would be parted.
    """
    first, pairs = 0, iter(joined)
    pair = next(pairs, None)
    while first < len(records):
        end = min(first + rows, len(records))
        last = records[end - 1].seq
        while pair is not None and pair[1] <= last:
            pair = next(pairs, None)
        if pair is not None and pair[0] <= last:
            end += pair[1] - last
        yield records[first:end]
        first = end


class StateManager:
    """Holds the journal. Made by `open_state`."""

    def __init__(self, store: Store, settings: StoreSettings, clock: Clock) -> None:
        self.trading = TradingState()
        self.failed: StoreError | None = None
        """Why nothing more can be written; None while the store works."""
        self.flushed = False
        """The stage `flush` made all durable that was recorded until then."""
        self.closed = False
        """The store is closed: no connection to it is open."""
        self.verified = False
        """The stage `verify` read everything back and found it as it should be."""
        self.durable_seq = 0
        self.on_durable: Callable[[int], None] = lambda seq: None
        """Told after each commit up to which record all is durable. Set by the orders layer."""
        self.on_failed: Callable[[StoreError], None] = lambda error: None
        """Told once when the store fails. Set by the runtime."""
        self.before_commit: Callable[[], None] = lambda: None
        """Called before what waits is committed; what it records goes with it. Set by the keeper
        of the strategies' states."""
        self.cache: CacheManager | None = None
        """Shows what is recorded to other programs; None where there is no cache."""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._projection = Projection(self.trading)
        self._digest = GENESIS
        self._seq = 0
        self._queue: list[Record] = []
        self._joined: list[tuple[int, int]] = []
        self._queued = trio.Event()
        self._now = trio.Event()
        self._committed = trio.Event()
        # What was read back so far: its end, and the state that it adds up to.
        self._proof_seq, self._proof_digest, self._proof = 0, GENESIS, self.trading
        self._snapshot_seq = 0
        self._snapshot_due = trio.Event()
        self._proving = trio.Lock()
        """Held by whoever reads back: two at once would fold the same records twice."""

    @property
    def seq(self) -> int:
        """The number of the last record, which may still wait for its commit."""
        return self._seq

    @property
    def ownership(self) -> Ownership:
        """How the store is owned, as far as that is known here."""
        return self._store.ownership

    @property
    def backlog(self) -> int:
        """How many records wait for their commit."""
        return len(self._queue)

    @property
    def crowded(self) -> bool:
        """As many records wait as one transaction is to have."""
        return len(self._queue) >= self._settings.batch_rows

    def join(self, first: int) -> None:
        """Have the records from `first` to the last one committed in one transaction, or not at
        all.

        Args:
            first: its number; at or below that of a record that waits, and above the last one of
                the call before.
        """
        self._joined.append((first, self._seq))

    async def load(self) -> None:
        """Read the journal back, before anything trades.

        Raises:
            StoreDamaged: it is not what was written. Nothing was changed.
        """
        found = await replay(self._store)  # the store's own integrity was checked in opening it
        if await self._store.tabled() != found.seq:
            await remake(self._store)
        self.trading, self._seq, self._digest = found.state, found.seq, found.digest
        self._projection = Projection(self.trading)
        self.durable_seq, self._snapshot_seq = found.seq, found.since
        self._proof_seq, self._proof_digest = self._seq, self._digest
        self._proof = TradingState.of(self.trading.image())

    def record(self, event: JournalEvent, *, urgent: bool = False) -> Order | None:
        """Fold an event in and queue its record.

        Args:
            event: what happened or was decided.
            urgent: commit now, not with the next batch: something waits for it.

        Returns:
            the order that the event is about, if it is about one that is in mind.

        Raises:
            InvalidTransition: the event cannot follow from what was before; nothing was changed.
        """
        order = self.trading.apply(event)
        self._projection.note(event, order)
        self._seq += 1
        record = make_record(self._digest, self._seq, self._clock.now_ns(), event)
        self._digest = record.digest
        self._queue.append(record)
        self._queued.set()
        if self.cache is not None:
            self.cache.recorded(record, event, order)
        if urgent or len(self._queue) >= self._settings.batch_rows:
            self._now.set()
            if len(self._queue) > MAX_BACKLOG:
                self._fail(StoreError(f"the store does not keep up: {MAX_BACKLOG} records wait"))
        return order

    async def write(self) -> None:
        """Commit what is queued, for ever: urgent records at once, others by number or age."""
        while True:
            await self._queued.wait()
            self._queued = trio.Event()
            if not self._queue:
                continue
            if not self._now.is_set():  # what is urgent saves itself a turn of the loop
                with trio.move_on_after(self._settings.commit_secs):
                    await self._now.wait()
            self._now = trio.Event()
            await self._commit()

    async def _commit(self) -> None:
        self.before_commit()
        waiting, self._queue = self._queue, []
        joined, self._joined = self._joined, []
        changed, _ = self._projection.changed()
        # More than one batch where the disk was slow; the rows are as all of them left them.
        batches = list(in_batches(waiting, self._settings.batch_rows, joined))
        for batch in batches:
            await self._append(batch, changed if batch is batches[-1] else None)
        self._committed.set()
        self._committed = trio.Event()

    async def _append(self, batch: Sequence[Record], rows: Rows | None) -> None:
        if self.failed is None:
            try:
                await self._store.append(batch, rows)
            except StoreError as error:
                self._fail(error)
        if self.failed is None:
            self.durable_seq = batch[-1].seq
            self.on_durable(self.durable_seq)
            if self.durable_seq - self._snapshot_seq >= self._settings.snapshot_records:
                self._snapshot_due.set()

    def _fail(self, error: StoreError) -> None:
        if self.failed is None:
            self.failed = error
            log.error("The store failed: nothing more can be recorded", error=str(error))
            self.on_failed(error)

    async def flush(self) -> None:
        """Return when all that was recorded is durable.

        Raises:
            StoreError: it cannot be.
        """
        while self.failed is None and self.durable_seq < self._seq:
            self._now.set()
            await self._committed.wait()
        if self.failed is not None:
            raise self.failed

    async def proofread(self) -> None:
        """Read back what was committed, for ever, so that `verify` has only the rest to read; and
        keep a snapshot of what it adds up to, whenever one is due.
        """
        while True:
            with trio.move_on_after(PROOFREAD_SECS):
                await self._snapshot_due.wait()
            self._snapshot_due = trio.Event()
            try:
                async with self._proving:
                    await self._read_back()
                    if self._proof_seq - self._snapshot_seq >= self._settings.snapshot_records:
                        await self._keep_snapshot()
            except StoreError as error:
                self._fail(error)

    async def _read_back(self) -> None:
        while batch := await self._store.read(self._proof_seq, PROOFREAD_BATCH):
            fold(self._proof, batch, self._proof_digest, self._proof_seq)
            self._proof_seq, self._proof_digest = batch[-1].seq, batch[-1].digest
            await trio.lowlevel.checkpoint()

    async def _keep_snapshot(self) -> None:
        """Keep a snapshot of what was read back, and let go of records that are old enough."""
        snapshot = take(self._proof, self._proof_seq, self._clock.now_ns(), self._proof_digest)
        await self._store.keep(snapshot)
        self._snapshot_seq = snapshot.seq
        if self._settings.keep_records:
            oldest = self._proof_seq - self._settings.keep_records
            through = max((s for s in await self._store.snapshots() if s <= oldest), default=0)
            while through and await self._store.forget(through, FORGET_BATCH):
                await trio.lowlevel.checkpoint()

    async def verify(self) -> None:
        """Read everything back, compare it with what is in memory, and keep a snapshot of it.

        Raises:
            StoreDamaged: the store does not hold what was recorded.
            StoreError: it cannot be read.
        """
        async with self._proving:
            await self._prove()

    async def _prove(self) -> None:
        await self._store.check()
        await self._read_back()
        if (self._proof_seq, self._proof_digest) != (self._seq, self._digest):
            raise StoreDamaged(f"the journal ends at record {self._proof_seq}, not at {self._seq}")
        if self._proof.hash() != self.trading.hash():
            raise StoreDamaged("the journal, read back, does not add up to the state in memory")
        await equal(self._store, self.trading)
        enough = min(LAST_SNAPSHOT_RECORDS, self._settings.snapshot_records)
        if self._proof_seq - self._snapshot_seq >= enough:
            await self._keep_snapshot()


@asynccontextmanager
async def open_state(
    name: str,
    opened: AbstractAsyncContextManager[Store],
    settings: StoreSettings,
    ladder: Ladder,
    clock: Clock,
    rng: random.Random,
    final: Callable[[], RuntimeStopped],
    cache: CacheManager | None = None,
) -> AsyncIterator[StateManager]:
    """Open the state layer.

    Leaving is the stage `verify`: the final record is written, everything is read back and
        compared,
    the store is closed.

    Args:
        name: of the runtime.
        opened: gives the store, owned by this process; it is closed last of all.
        settings: how much to commit at a time.
        ladder: of the stop.
        clock: for the records.
        rng: for the tag of a new journal.
        final: makes the last record, when all that can be known of the stop is known.
        cache: shows what is recorded to other programs; it outlives this layer.

    Raises:
        StoreDamaged: the journal is not what was written; nothing was changed.
    """
    stack = AsyncExitStack()
    store = await stack.enter_async_context(opened)
    state = StateManager(store, settings, clock)
    try:
        await state.load()
        if cache is not None:
            cache.begin(state)
            state.cache = cache
        tag = state.trading.tag or new_tag(rng)
        state.record(RuntimeStarted(name, tag, __version__, platform.node(), os.getpid()))

        async def close() -> None:
            with ladder.stage("verify") as result:
                state.record(final(), urgent=True)
                await state.flush()
                await state.verify()
                state.verified = True
                result.detail = f"{state.seq} records"

        async with open_layer("state", close) as layer:
            layer.start_soon(state.write, name="journal-writer")
            layer.start_soon(state.proofread, name="journal-proofreader")
            yield state
    finally:
        with ladder.stage("verify"):
            try:
                await stack.aclose()
            except StoreError:  # it could not leave it as it should be; it is closed all the same
                state.closed = True
                raise
            state.closed = True


@asynccontextmanager
async def flushed(state: StateManager, ladder: Ladder) -> AsyncIterator[None]:
    """On leaving, run the stage `flush`: all that was recorded becomes durable.

    It stands between the orders, which record to their last moment, and the streams, which close
    only when nothing that depends on them can be lost any more.
    """
    try:
        yield
    finally:
        with ladder.stage("flush"):
            await state.flush()
            state.flushed = True
