"""A history played to the live runtime in virtual time: what a backtest is held against.

The same configuration, strategies and events go through the live runtime: tasks, journal, private
connections, ordered stop. Strategies with an `async def run` can be tried over a history only so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import deepcopy
from decimal import Decimal

import attrs
import trio

from trade_runtime.backtest.clock import LEAD_NS
from trade_runtime.errors import VenueError
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import Currency, InstrumentId, VenueName, venue_of
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Environment, MarketEvent, MarketSink, VenuePlugin
from trade_runtime.runtime import open_runtime
from trade_runtime.settings import Settings
from trade_runtime.strategy import Strategy
from trade_runtime.venues.paper import MemoryRecord, PaperSettings, PaperVenue, make_exchange

SETTLE_SECS = 1e-6
"""How often, after the last event, what is under way is looked at."""


@attrs.frozen
class Played:
    """What a history came to in the live runtime, just before its stop.

    Attributes:
        trading: everything that the journal said by then, folded.
        fills: by the venues' own records, venue by venue in the order of the configuration.
        balances: what the venues' accounts held, together.
    """

    trading: TradingState
    fills: Sequence[Fill]
    balances: Mapping[Currency, Decimal]


class _Clock:
    """The time of the history: it begins a lead before the first event, when the run begins."""

    def __init__(self, first_ns: int) -> None:
        self._began = trio.current_time()
        self._origin_ns = first_ns - LEAD_NS

    def now_ns(self) -> int:
        """Return the time of the history."""
        return self._origin_ns + round((trio.current_time() - self._began) * 1e9)

    def at(self, ts_ns: int) -> float:
        """Return trio's time of a moment of the history."""
        return self._began + (ts_ns - self._origin_ns) / 1e9


class _Tape:
    """The history: tells each event to the stream of its venue, at its time.

    One task tells all, so that events of one nanosecond keep their order over all venues.
    """

    def __init__(self, events: Sequence[MarketEvent], clock: _Clock) -> None:
        self.sinks: dict[VenueName, MarketSink] = {}
        self.over = trio.Event()
        self._events = events
        self._clock = clock
        self._begun = False

    async def play(self) -> None:
        """Tell every event, those of one time in one go; whoever asks later only waits."""
        if self._begun:
            return
        self._begun = True
        now_ns = 0
        for event in self._events:
            if event.ts_ns != now_ns:
                now_ns = event.ts_ns
                await trio.sleep_until(self._clock.at(now_ns))
            sink = self.sinks[venue_of(event.instrument)]
            if isinstance(event, Quote):
                sink.on_quote(event)
            elif isinstance(event, Trade):
                sink.on_trade(event)
            elif isinstance(event, BookLevels):
                sink.on_book(event)
            else:
                raise VenueError(f"a {type(event).__name__} cannot be played to a live runtime")
        self.over.set()


class _Source:
    """A `MarketData` and its own session: one venue's part of the history."""

    def __init__(self, own: VenueName, instruments: Iterable[Instrument], tape: _Tape) -> None:
        self._own = own
        self._instruments = {one.id.rpartition(".")[0]: one for one in instruments}
        self._tape = tape

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return what the configuration says of `symbols`."""
        await trio.lowlevel.checkpoint()
        return {name: self._instruments[name] for name in symbols if name in self._instruments}

    def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AbstractAsyncContextManager[_Source]:
        """Take the sink."""
        return self._connect(sink)

    @asynccontextmanager
    async def _connect(self, sink: MarketSink) -> AsyncIterator[_Source]:
        await trio.lowlevel.checkpoint()
        self._tape.sinks[self._own] = sink
        yield self

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Bring nothing: the history is told by the stream."""
        await trio.lowlevel.checkpoint()

    async def run(self) -> None:
        """Have the history told, and wait for the end."""
        await self._tape.play()
        await trio.sleep_forever()

    async def ping(self) -> None:
        """Return at once: there is no wire that could be dead."""
        await trio.lowlevel.checkpoint()


class _Venue(PaperVenue):
    """A paper venue that brings its own market data: the history's."""

    def __init__(
        self,
        own: VenueName,
        source: _Source,
        record: MemoryRecord,
        settings: PaperSettings,
        env: Environment,
    ) -> None:
        super().__init__(make_exchange(own, settings, record, env), settings, env)
        self.instruments = source.instruments
        self.connect = source.connect
        self.poll = source.poll


async def play(
    settings: Settings, strategies: Sequence[Strategy], events: Sequence[MarketEvent]
) -> Played:
    """Play a history to the live runtime. Run it under `trio.testing.MockClock(autojump_threshold
    =0)`, at whose beginning trio's time is 0.

    Args:
        settings: a configuration for a backtest. Its journal should be in memory, and
            `prices.stale_after_secs` longer than any silence of the history.
        strategies: what to run.
        events: quotes, trades and changes of books, in the order of their times.

    Raises:
        ConfigError: the configuration cannot be run.
        VenueError: the runtime stopped before the history ended.
    """
    clock = _Clock(events[0].ts_ns)
    tape = _Tape(events, clock)
    described = [rules.describe(one) for one, rules in settings.instruments.items()]
    records = {name: MemoryRecord() for name in settings.venues}
    opened: dict[VenueName, _Venue] = {}

    @asynccontextmanager
    async def open_venue(
        own: VenueName, options: PaperSettings, env: Environment
    ) -> AsyncIterator[_Venue]:
        source = _Source(own, [one for one in described if venue_of(one.id) == own], tape)
        opened[own] = _Venue(own, source, records[own], options, env)
        yield opened[own]

    plugin = VenuePlugin(PaperSettings, open_venue, trades=True, streams=True)
    kinds = {table.kind for table in settings.venues.values()}
    plugins = attrs.evolve(Plugins(), venues=dict.fromkeys(kinds, plugin))
    async with open_runtime(
        settings, strategies=strategies, plugins=plugins, clock=clock
    ) as runtime:
        async with trio.open_nursery() as nursery:

            async def over_or_stopped() -> None:
                await runtime.stopped()
                nursery.cancel_scope.cancel()

            nursery.start_soon(over_or_stopped)
            await tape.over.wait()
            assert runtime.trading is not None
            await trio.testing.wait_all_tasks_blocked()
            # Virtual time has to go on meanwhile.
            while (  # noqa: ASYNC110
                any(venue.in_flight() for venue in opened.values()) or runtime.trading.orders.unsent
            ):
                await trio.sleep(SETTLE_SECS)
            nursery.cancel_scope.cancel()
        if runtime.stop_requested:
            raise VenueError(f"the runtime stopped before the history ended: {runtime.error}")
        assert runtime.state is not None
        return Played(
            deepcopy(runtime.state.trading),
            [fill for record in records.values() for fill in record.executions],
            _together(venue.exchange.balances() for venue in opened.values()),
        )


def _together(accounts: Iterable[Mapping[Currency, Decimal]]) -> dict[Currency, Decimal]:
    total: dict[Currency, Decimal] = defaultdict(Decimal)
    for account in accounts:
        for currency, amount in account.items():
            total[currency] += amount
    return dict(total)
