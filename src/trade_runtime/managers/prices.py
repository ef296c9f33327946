"""PriceManager, the third layer: what the markets say, handed on by plain calls.

It loads the instruments that anyone trades, keeps a `Feed` for each venue's instruments, and tells
a venue that matches against this data (the paper venue) of each event before the strategies see it.
It closes after the orders, so that fills go on coming while they are cancelled.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

import attrs
import structlog
import trio

from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.lifecycle.layer import Layer, open_layer
from trade_runtime.lifecycle.supervision import supervise
from trade_runtime.machines.accounts import left_open
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.feed import Feed
from trade_runtime.managers.venues import VenueManager
from trade_runtime.managers.view import InstrumentView
from trade_runtime.model.ids import InstrumentId, VenueName, symbol_of, venue_of
from trade_runtime.model.instrument import Instrument, exact
from trade_runtime.model.market import Bar, Quote
from trade_runtime.model.orders import Side
from trade_runtime.protocols import MarketData, MarketHistory, Matching
from trade_runtime.settings import PriceSettings, SupervisionSettings

log = structlog.get_logger("prices")

START_TIMEOUT_SECS = 10.0
"""How long a source may take, all retries included, to say what it trades."""

START_RETRY_SECS = 0.5


class Prices:
    """The markets, as whoever trades sees them. A backtest makes its own."""

    def __init__(
        self, settings: PriceSettings, time: Callable[[], float] = trio.current_time
    ) -> None:
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.views: dict[InstrumentId, InstrumentView] = {}
        self._settings = settings
        self._time = time
        self._arrived: dict[InstrumentId, float] = {}
        self._asks: dict[InstrumentId, tuple[Quote, Decimal]] = {}

    def add(
        self,
        instruments: Collection[Instrument],
        driven: Matching | None,
    ) -> None:
        """Take in a venue's instruments.

        Args:
            instruments: by the venue's own ids.
            driven: the venue, where it matches against this data: it is told before all others.
        """
        self.instruments |= {one.id: one for one in instruments}
        if driven is not None:
            driven.adopt(instruments)
        for one in instruments:
            view = self.views[one.id] = InstrumentView(one.id)
            if driven is not None:
                view.market_taps.append(driven.on_quote)
                view.trade_taps.append(driven.on_trade)

    def is_fresh(self, instrument: InstrumentId) -> bool:
        """Whether the last quote is one to trade on: streamed, or polled a moment ago."""
        view = self.views[instrument]
        if view.streamed:
            return True
        polled_at = view.polled_at
        return polled_at is not None and self._time() - polled_at <= self._settings.stale_after_secs

    def market_price(self, instrument: InstrumentId, side: Side) -> Decimal | None:
        """Return what an order of `side` would trade at now, or None without a fresh quote."""
        view = self.views.get(instrument)
        if view is None or view.quote is None or not self.is_fresh(instrument):
            return None
        return exact(view.quote.ask if side is Side.BUY else view.quote.bid)

    def last_price(self, instrument: InstrumentId) -> Decimal | None:
        """Return the ask of the last quote, fresh or not; None before the first."""
        view = self.views.get(instrument)
        if view is None or view.quote is None:
            return None
        known = self._asks.get(instrument)
        if known is None or known[0] is not view.quote:
            known = self._asks[instrument] = view.quote, exact(view.quote.ask)
        return known[1]

    def time_quotes(self) -> None:
        """Note from now on when each quote comes; a limit on their age needs it."""
        for instrument, view in self.views.items():
            view.market_taps.append(partial(self._note_arrival, instrument))

    def _note_arrival(self, instrument: InstrumentId, quote: Quote) -> None:
        self._arrived[instrument] = self._time()

    def quote_age_secs(self, instrument: InstrumentId) -> float | None:
        """Return how long ago the last quote came, streamed or polled; None before the first.

        A poll that brings the same prices again makes them new. Needs `time_quotes`.
        """
        arrived = self._arrived.get(instrument)
        if arrived is None:
            return None
        polled_at = self.views[instrument].polled_at
        return self._time() - (arrived if polled_at is None else max(arrived, polled_at))


class PriceManager(Prices):
    """The markets, and the tasks that follow them. Made by `open_prices`."""

    def __init__(
        self,
        settings: PriceSettings,
        supervision: SupervisionSettings,
        layer: Layer,
        rng: random.Random,
    ) -> None:
        super().__init__(settings)
        self.feeds: dict[VenueName, Feed] = {}
        self.sources: dict[VenueName, MarketData] = {}
        """By venue, whose market data drives its instruments."""
        self._supervision = supervision
        self._layer = layer
        self._rng = rng

    async def load(self, wanted: Collection[InstrumentId], venues: VenueManager) -> None:
        """Learn the rules of the instruments and make a feed for each venue's.

        Raises:
            ConfigError: a venue lacks an instrument, or brings no market data.
            VenueError: a source could not be asked in time.
        """
        for venue, symbols in _by_venue(wanted).items():
            source_name, source = find_source(venue, venues)
            found = await _ask(source_name, source, symbols)
            missing = [s for s in symbols if s not in found]
            if missing:
                raise ConfigError(
                    f"instrument {missing[0]}.{venue}: venue {source_name!r} does not trade"
                    f" {missing[0]!r}; check the symbol's spelling"
                )
            instruments = [attrs.evolve(found[s], id=InstrumentId(f"{s}.{venue}")) for s in symbols]
            self.add(instruments, venues.driven.get(venue))
            names = {symbol_of(one.id): one.id for one in instruments}
            self.sources[venue] = source
            self.feeds[venue] = Feed(venue, source, names, self.views, self._settings)

    async def history(
        self, wanted: Collection[InstrumentId], length_secs: float, count: int
    ) -> Sequence[Bar]:
        """Return the last `count` bars of each instrument that have ended, as `MarketHistory` does.

        Raises:
            VenueError: a source has no history, or did not give it.
        """
        bars: list[Bar] = []
        for venue, symbols in _by_venue(wanted).items():
            source = self.sources[venue]
            if not isinstance(source, MarketHistory):
                raise VenueError(f"the market data of {venue} has no history")
            names = {symbol: InstrumentId(f"{symbol}.{venue}") for symbol in symbols}
            bars += await source.bars(names, length_secs, count)
        return bars

    def flow(self) -> None:
        """Start every feed: whoever listens is there, so that nobody misses the first event."""
        for name, feed in self.feeds.items():
            self._layer.start_soon(
                partial(
                    supervise,
                    feed.attempt,
                    name=f"market data of {name}",
                    settings=self._supervision,
                    rng=self._rng,
                    worked=feed.worked,
                ),
                name=f"feed-{name}",
            )
            self._layer.start_soon(feed.fall_back, name=f"fallback-{name}")

    @property
    def open_connections(self) -> list[str]:
        """The streams that are up."""
        return [f"stream-{name}" for name, feed in self.feeds.items() if feed.connected]


def find_source(venue: VenueName, venues: VenueManager) -> tuple[VenueName, MarketData]:
    """Return whose market data drives a venue's instruments.

    Raises:
        ConfigError: none does.
    """
    driven = venues.driven.get(venue)
    named = driven.market_data if driven is not None else None
    name = venue if named is None else named
    source = venues.sources.get(name)
    if source is None:
        known = ", ".join(sorted(venues.sources)) or "none"
        raise ConfigError(
            f"venues.{venue}.market_data: {name!r} brings no market data; venues that do: {known}"
        )
    return name, source


def watched(
    traded: Collection[InstrumentId], trading: TradingState, venues: VenueManager
) -> list[InstrumentId]:
    """Return the instruments to watch: those traded, and what an earlier process left open.

    Whoever left it, and whether or not the configuration still names it: it is protected until it
    is closed, and for that its rules and prices must be known.

    Raises:
        ConfigError: something is left open at a venue that the configuration lacks.
    """
    left = left_open(trading)
    for instrument in left:
        if (venue := venue_of(instrument)) not in venues.trading:
            raise ConfigError(
                f"venues.{venue}: missing, but {instrument} has open orders or a position;"
                " put the table back until they are closed"
            )
    return list(dict.fromkeys([*traded, *left]))


def _by_venue(wanted: Collection[InstrumentId]) -> dict[VenueName, list[str]]:
    symbols: dict[VenueName, list[str]] = {}
    for instrument in wanted:
        known = symbols.setdefault(venue_of(instrument), [])
        if symbol_of(instrument) not in known:
            known.append(symbol_of(instrument))
    return symbols


async def _ask(
    name: VenueName, source: MarketData, symbols: Collection[str]
) -> Mapping[str, Instrument]:
    last = "no answer"
    with trio.move_on_after(START_TIMEOUT_SECS):
        while True:
            try:
                return await source.instruments(symbols)
            except VenueError as error:
                if last != str(error):  # the same again and again would only fill the log
                    last = str(error)
                    log.warning("Venue does not say what it trades", venue=name, error=last)
            await trio.sleep(START_RETRY_SECS)
    raise VenueError(
        f"venue {name!r} did not say what it trades within {START_TIMEOUT_SECS} s: {last}"
    )


@asynccontextmanager
async def open_prices(
    wanted: Collection[InstrumentId],
    settings: PriceSettings,
    supervision: SupervisionSettings,
    venues: VenueManager,
    ladder: Ladder,
    rng: random.Random,
) -> AsyncIterator[PriceManager]:
    """Open the prices layer: the instruments are known; the streams begin with `flow`.

    Leaving is the first half of the stage `close`: streams and keep-alives end, sockets close.

    Args:
        wanted: the instruments that anyone trades.
        settings: of staleness, polling and keep-alive.
        supervision: for the streams.
        venues: the layer that outlives this one.
        ladder: of the stop.
        rng: for the jitter of reconnects.

    Raises:
        ConfigError: a venue lacks an instrument.
        VenueError: a source could not be reached.
    """

    async def close() -> None:
        with ladder.stage("close"):
            layer.cancel_tasks()
            await layer.ended()

    async with open_layer("prices", close) as layer:
        prices = PriceManager(settings, supervision, layer, rng)
        await prices.load(wanted, venues)
        yield prices
