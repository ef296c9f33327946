"""The event loop of a backtest: plain calls, one event after the other, no task and no wait.

An instant is all that the history says of one nanosecond. Within it events come first, in the order
of the history; then what was decided leaves; then what is under way arrives at the venues if it is
due; then alarms ring. What a request brings about may set off more in the same instant, and is done
before time goes on. A live run in virtual time keeps the same order, so both come to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter

import structlog

from trade_runtime.backtest.clock import HistoryClock
from trade_runtime.backtest.market import Market
from trade_runtime.backtest.samples import Sampler
from trade_runtime.backtest.venue import Wire
from trade_runtime.errors import DataError, StrategyError
from trade_runtime.machines.alarms import NEVER
from trade_runtime.managers.orders import OrderManager
from trade_runtime.protocols import MarketEvent

log = structlog.get_logger("backtest")

SETTLE_EVENTS = 1_000_000
"""How many requests and alarms one instant may set off, one after the other. More means that a
strategy answers each of its own orders with another, at no latency: it would never end."""


RUN_OUT_EVENTS = 10_000
"""How many requests may follow from each other after the history's end. A strategy that answers
each of its orders with another never ends; by then it has had its chance."""


class EndlessInstant(StrategyError):
    """Strategies answer each other, or themselves, for ever within one instant."""


class Stopped(Exception):
    """The run was asked to stop before the end of the history."""


class Engine:
    """Steps through the history.

    Args:
        clock: what everyone reads; the engine sets it.
        wire: what is under way to the venues.
        orders: whose intents leave at the end of an instant, and whose alarms ring.
        market: who takes an event.
        sampler: takes the course of the account.
    """

    def __init__(
        self,
        clock: HistoryClock,
        wire: Wire,
        orders: OrderManager,
        market: Market,
        sampler: Sampler,
    ) -> None:
        self.events = 0
        self.begun = False
        """Whether strategies were started."""
        self.first_ns = 0
        self.engine_secs = 0.0
        self.loading_secs = 0.0
        self.stop_reason: str | None = None
        self._clock = clock
        self._wire = wire
        self._orders = orders
        self._market = market
        self._routes = market.routes()
        self._sampler = sampler

    def stop(self, reason: str) -> None:
        """Ask for the end of the run, from a signal's handler too: it comes before the next event
        that is not of the present instant, or a moment later.
        """
        self.stop_reason = self.stop_reason or reason
        self._wire.next_ns = 0  # have the loop look up

    def run(
        self,
        chunks: Iterable[Sequence[MarketEvent]],
        begin: Callable[[int], None],
        on_chunk: Callable[[int, int], None],
    ) -> None:
        """Hand every event on, until the history ends or the run is stopped.

        Args:
            chunks: the history, in order; events of one instant are in one chunk.
            begin: called with the time of the first event, before it is handed on.
            on_chunk: told after each chunk how many events are behind, and the time.

        Raises:
            DataError: the history is not what it should be, goes back in time, or tells of what the
                configuration does not know.
            EndlessInstant: a strategy never lets time go on.
        """
        source: Iterator[Sequence[MarketEvent]] = iter(chunks)
        while self.stop_reason is None:
            before = perf_counter()
            chunk = next(source, None)
            loaded = perf_counter()
            self.loading_secs += loaded - before
            if chunk is None:
                break
            if not chunk:
                continue
            try:
                if not self.begun:
                    self.begun, self.first_ns = True, chunk[0].ts_ns
                    begin(self.first_ns)
                    loaded = perf_counter()
                self._play(chunk)
            except Stopped:
                break
            finally:
                self.engine_secs += perf_counter() - loaded
            on_chunk(self.events, self._clock.ns)

    def _play(self, chunk: Sequence[MarketEvent]) -> None:
        clock, wire, alarms = self._clock, self._wire, self._orders.alarms
        unsent, routes, sampler = self._orders.unsent, self._routes, self._sampler
        now_ns, handled = clock.ns, 0
        event: MarketEvent | None = None
        try:
            for event in chunk:
                ts_ns = event.ts_ns
                if ts_ns > now_ns:
                    if unsent or wire.next_ns < ts_ns or alarms.next_ns < ts_ns:
                        self.settle(ts_ns)
                    if now_ns >= sampler.next_ns and self.events + handled:
                        sampler.take(now_ns)
                    clock.ns = now_ns = ts_ns
                elif ts_ns < now_ns:
                    raise DataError(
                        f"the history goes back in time: {event.instrument} at {ts_ns} ns comes"
                        f" after {now_ns} ns; sort it by time"
                    )
                handled += 1
                routes[type(event)][event.instrument](event)
        except KeyError:
            if event is not None and (fault := self._market.fault_of(event)):
                raise fault from None
            raise
        finally:
            self.events += handled

    def settle(self, until_ns: int) -> None:
        """Do all that is due before `until_ns`, in order; what is due then comes after the events
        of that instant.

        Raises:
            Stopped: the run was asked to stop.
            EndlessInstant: one thing leads to another for ever.
        """
        clock, wire, orders = self._clock, self._wire, self._orders
        ringing = orders.alarms
        left = SETTLE_EVENTS
        while left:
            left -= 1
            if orders.unsent:
                orders.send_durable(NEVER)
            if self.stop_reason is not None:
                raise Stopped
            rings = ringing.next_ns < wire.next_ns
            due_ns = ringing.next_ns if rings else wire.next_ns
            if due_ns >= until_ns:
                return
            if due_ns > clock.ns:
                clock.ns, left = due_ns, SETTLE_EVENTS
            (ringing if rings else wire).ring(due_ns)
        raise EndlessInstant(
            f"more than {SETTLE_EVENTS} requests follow from each other at {clock.ns} ns:"
            " a strategy answers its own orders without end; give the venue a latency_ms"
        )

    def run_out(self) -> None:
        """After the history: let what is under way arrive, and what follows from it, with the dates
        and alarms that come before. Later ones do not come: the history says nothing of so late.
        """
        clock, wire, orders = self._clock, self._wire, self._orders
        ringing = orders.alarms
        for _ in range(RUN_OUT_EVENTS):
            if orders.unsent:
                orders.send_durable(NEVER)
            if not wire.requests:
                return
            first = ringing if ringing.next_ns < wire.next_ns else wire
            clock.ns = max(clock.ns, first.next_ns)
            first.ring(clock.ns)
        log.warning("What is under way after the end of the history never ends; it is left so")
