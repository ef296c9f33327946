"""CacheManager: shows other programs the latest values, and is never in the way.

It outlives every other layer, since all of them tell it what changed; so it opens before the state
and closes after it, when the outcome of the stop is known. Telling is a plain call that notes what
changed, and neither waits nor raises. One task writes what was noted. Until the state is owned
nothing is written, so a runtime that is refused leaves the keys of the one that runs alone.

What it guarantees: a cache that is off, frozen or full delays no order, fails nothing and changes
no exit code; what was not written is written when it is back, values by their latest, events as
far as `MAX_SPOOLED` goes; an entry of the stream is of a record that is durable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol

import attrs
import structlog
import trio

from trade_runtime.errors import CacheError
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.lifecycle.layer import Layer, open_layer
from trade_runtime.machines.cache_spool import Spool, Taken
from trade_runtime.machines.cache_values import SCHEMA, encode
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill
from trade_runtime.model.records import JournalEvent
from trade_runtime.protocols import Cache, CacheBatch, CacheEntry, Clock, OpenCache, Record
from trade_runtime.settings import CacheSettings

log = structlog.get_logger("cache")

MAX_SPOOLED = 10_000
"""Events that wait while the cache is away; the oldest give way, and are counted."""

BATCH = 200
"""Values, and events, that are written at once; the loop turns between."""

RETRY_SECS = 0.1
MAX_RETRY_SECS = 2.0
"""How long to wait after the first failure, and what the doubling ends at."""

FINAL_SECS = 1.0
"""How long the last write of a stop may take, within the ladder."""

STOPPED_EXPIRY_SECS = 86_400.0
"""How long the keys of a runtime that stopped in order stay: a day."""

TABLES: Final = ("orders", "positions", "balances", "quotes", "status")

Shown = tuple[Record, Order | None, OrderState | None]
"""A record, the order it is about, and where that stood after it."""


class Journalled(Protocol):
    """What the cache must know of the state."""

    trading: TradingState
    durable_seq: int


@attrs.define
class CacheStats:
    """What was done, in counts since the start."""

    batches: int = 0
    values: int = 0
    events: int = 0
    failures: int = 0
    spells: int = 0


class CacheManager:
    """Notes what changed, and writes it. Made by `open_cache`.

    Args:
        settings: how often, and how long to wait.
        connect: opens a connection.
        status: tells how the runtime is; its argument says whether it is over.
        clock: for the heartbeat, and for the number of this run.
    """

    def __init__(
        self,
        settings: CacheSettings,
        connect: OpenCache,
        status: Callable[[bool], Mapping[str, str]],
        clock: Clock,
    ) -> None:
        self.spool: Spool[Any, Shown] = Spool(MAX_SPOOLED)
        self.stats = CacheStats()
        self.away_since: float | None = None
        """Since when, on trio's clock, it cannot be written; None while it can."""
        self.flushed = False
        """The last write of the stop was done, and nothing was left."""
        self.error = ""
        """Why it was not."""
        self.fills = 0
        self.filled = trio.lowlevel.ParkingLot()
        """Unparked by each fill, which `fills` counts."""
        self.broken = False
        """A defect of ours: it writes nothing more."""
        self._settings = settings
        self._connect = connect
        self._run = 0
        self._status = status
        self._clock = clock
        self._state: Journalled | None = None
        self._begun = trio.Event()
        self._beat_at = 0.0
        """When, on trio's clock, the status is due, if it does not change before."""
        self._told: Mapping[str, str] = {}

    # --- told by others: plain calls that never raise

    def begin(self, state: Journalled) -> None:
        """The state is owned and read back: show it from now on."""
        self._state = state
        # Only now: a standby that was started first is the later run all the same.
        self._run = self._clock.now_ns() // 1_000_000
        for order in state.trading.live():
            self.spool.put("orders", order.id, order)
        for position in state.trading.ledger:
            self.spool.put("positions", f"{position.strategy}:{position.instrument}", position)
        self._begun.set()

    def recorded(self, record: Record, event: JournalEvent, order: Order | None) -> None:
        """A record was made; it is shown when it is durable."""
        if self.broken:
            return
        try:
            spool = self.spool
            spool.add(record.seq, (record, order, None if order is None else order.state))
            if order is not None:
                if order.is_live:
                    spool.put("orders", order.id, order)
                else:
                    spool.remove("orders", order.id)
                if type(event) is Fill:
                    self._moved(order)
        except Exception as error:
            self._break(error)

    def _moved(self, order: Order) -> None:
        assert self._state is not None
        position = self._state.trading.ledger.position(order.strategy, order.instrument)
        self.spool.put("positions", f"{position.strategy}:{position.instrument}", position)
        self.fills += 1
        self.filled.unpark_all()

    def put(self, table: str, field: str, value: Any) -> None:
        """Show a value that does not change any more."""
        if not self.broken:
            self.spool.put(table, field, value)

    # --- the one task that writes

    async def write(self) -> None:
        """Write what was noted, for ever, over one connection after the other."""
        await self._begun.wait()
        wait = RETRY_SECS
        while not self.broken:
            before = self.stats.batches
            try:
                async with AsyncExitStack() as stack:
                    with trio.fail_after(self._settings.timeout_secs):
                        cache = await stack.enter_async_context(self._connect())
                    await self._serve(cache)
            except CacheError as error:
                self._failed(str(error))
            except trio.TooSlowError:
                self._failed(f"no answer within {self._settings.timeout_secs:g} s")
            except Exception as error:
                self._break(error)
            wait = RETRY_SECS if self.stats.batches > before else min(2 * wait, MAX_RETRY_SECS)
            await trio.sleep(wait)

    async def _serve(self, cache: Cache) -> None:
        while True:
            full = await self._write_next(cache)
            if not full:
                await trio.sleep(self._settings.write_secs)

    async def _write_next(self, cache: Cache) -> bool:
        """Write what is next, if anything is; return whether there is likely more."""
        assert self._state is not None
        taken = self.spool.take(BATCH, self._state.durable_seq)
        now = trio.current_time()
        status = self._status(False)
        beats = taken.reset or now >= self._beat_at or status != self._told
        if taken or beats:
            if beats:
                self._beat_at = now + self._settings.heartbeat_secs
                self._told = status
            batch = self._batch(taken, self._settings.expiry_secs, status if beats else None)
            with trio.fail_after(self._settings.timeout_secs):
                await cache.write(batch)
            self._count(taken)
            self._back()
        self.spool.done()
        await trio.lowlevel.checkpoint()
        return max(len(taken.fields), len(taken.events)) == BATCH

    def _batch(
        self, taken: Taken[Any, Shown], expiry_secs: float, status: Mapping[str, str] | None
    ) -> CacheBatch:
        tables: dict[str, dict[str, str | bytes | None]] = {}
        if status is not None:  # all of them, so that none expires
            tables = {name: {} for name in TABLES}
            tables["status"] |= self._whole(status)
        for (table, field), source in taken.fields.items():
            value = None if source is None else encode(source)
            tables.setdefault(table, {})[field] = value
        entries = [_entry(seq, shown) for seq, shown in taken.events]
        return CacheBatch(self._run, tables, entries, taken.reset, expiry_secs)

    def _whole(self, status: Mapping[str, str]) -> Mapping[str, str]:
        assert self._state is not None
        return {
            "schema": str(SCHEMA),
            "run": str(self._run),
            "beat_ns": str(self._clock.now_ns()),
            "records": str(self._state.durable_seq),
            "events_dropped": str(self.spool.dropped),
            "failures": str(self.stats.failures),
            **status,
        }

    def _count(self, taken: Taken[Any, Shown]) -> None:
        self.stats.batches += 1
        self.stats.values += len(taken.fields)
        self.stats.events += len(taken.events)

    def _failed(self, why: str) -> None:
        self.spool.failed()
        self._beat_at = 0.0
        self.stats.failures += 1
        if self.away_since is None:
            self.away_since = trio.current_time()
            self.stats.spells += 1
            log.warning("The cache cannot be written; trading goes on without it", error=why)

    def _back(self) -> None:
        if self.away_since is not None:
            secs = trio.current_time() - self.away_since
            self.away_since = None
            log.warning(
                "The cache is back; what it missed is being written",
                away_secs=round(secs, 3),
                waiting=self.spool.waiting,
                events_dropped=self.spool.dropped,
            )

    def _break(self, error: Exception) -> None:
        """Give up for good over a defect: it must not reach those who trade."""
        if not self.broken:
            self.broken = True
            self.error = f"a defect: {type(error).__name__}: {error}"
            log.error("The cache is given up; trading goes on without it", exc_info=error)

    # --- the stop

    async def finish(self, layer: Layer, ladder: Ladder, *, flush: bool) -> None:
        """Write all that is left and the last status, over a connection of its own.

        What the writer was in the middle of may be there or not, so all is written anew.
        """
        if self._state is None or self.broken:
            return
        deadline = min(ladder.deadline("verify"), trio.current_time() + FINAL_SECS)
        began = trio.current_time()
        with trio.CancelScope(shield=True, deadline=deadline) as scope:
            layer.cancel_tasks()
            await layer.ended()
            if not flush:
                self.error = "shutdown.flush_cache is false"
                return
            self.spool.failed()
            try:
                async with self._connect() as cache:
                    await self._write_all(cache, self._state.durable_seq)
            except CacheError as error:
                self.error = str(error)
            except Exception as error:
                self._break(error)
        if scope.cancelled_caught:
            self.error = f"no answer within {trio.current_time() - began:.3g} s"
        self._judge()

    async def _write_all(self, cache: Cache, up_to: int) -> None:
        more = True
        while more:
            taken = self.spool.take(BATCH, up_to)
            more = max(len(taken.fields), len(taken.events)) == BATCH
            status = self._status(not more) if taken.reset or not more else None
            batch = self._batch(taken, STOPPED_EXPIRY_SECS, status)
            await cache.write(batch)
            self.spool.done()
            self._count(taken)
        self.flushed = not self.spool.waiting

    def _judge(self) -> None:
        dropped, waiting = self.spool.dropped, self.spool.waiting
        if not self.flushed and not self.error:
            self.error = f"{waiting} records are not durable"
        if dropped:
            lost = f"{dropped} events were dropped while it was away"
            self.error = f"{self.error}; {lost}" if self.error else lost
        if self.flushed:
            log.info("The cache is written", **attrs.asdict(self.stats))
        else:
            log.warning("The cache could not be written at the stop", error=self.error)

    def report(self) -> dict[str, Any]:
        """Return what the report of the stop tells of it."""
        return {"flushed": self.flushed, "spooled": self.spool.waiting, "error": self.error}


def _entry(seq: int, shown: Shown) -> CacheEntry:
    record, order, state = shown
    fields: dict[str, str | bytes] = {
        "seq": str(seq),
        "ts_ns": str(record.ts_ns),
        "kind": record.kind,
    }
    if order is not None and state is not None:
        fields |= {
            "order": order.id,
            "strategy": order.strategy,
            "instrument": order.instrument,
            "state": str(state),
        }
    return CacheEntry(seq, {**fields, "data": record.payload})


@asynccontextmanager
async def open_cache(
    settings: CacheSettings,
    connect: OpenCache,
    status: Callable[[bool], Mapping[str, str]],
    ladder: Ladder,
    clock: Clock,
    *,
    flush: bool,
) -> AsyncIterator[CacheManager]:
    """Open the cache's layer; the cache itself need not be there, now or ever.

    Leaving writes what is left, within the deadline of the last stage. It is no stage of the stop:
    whatever becomes of it, the stop is as clean as it was.

    Args:
        settings: how often, and how long to wait.
        connect: opens a connection.
        status: tells how the runtime is; its argument says whether it is over.
        ladder: of the stop.
        clock: for the heartbeat.
        flush: whether to write a last time at the stop.
    """
    manager = CacheManager(settings, connect, status, clock)

    async def close() -> None:
        await manager.finish(layer, ladder, flush=flush)

    async with open_layer("cache", close) as layer:
        layer.start_soon(manager.write, name="writer")
        yield manager
