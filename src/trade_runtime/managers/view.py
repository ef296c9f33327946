"""What is known of a market, and who is told: the way of an event from a source to the strategies.

Plain calls, with no clock read on the way, live and in a backtest. What a strategy sees never goes
back in time: a quote, a trade or a book that is not newer than the last is dropped, so a source
that starts again from an earlier point repeats nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs
import structlog

from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote, Trade

log = structlog.get_logger("prices")


NO_TRADE = -1
"""The id before the first trade: every trade is newer."""


@attrs.define
class MarketStats:
    """What came of an instrument: the report of the stop gives it out."""

    quotes: int = 0
    trades: int = 0
    book_updates: int = 0
    resyncs: int = 0
    reconnects: int = 0
    rest_polls: int = 0


class InstrumentView:
    """What is known of an instrument's market, and who is told of it."""

    __slots__ = (
        "book",
        "book_taps",
        "instrument",
        "market_taps",
        "polled_at",
        "quote",
        "quote_taps",
        "stale_taps",
        "stats",
        "trade_id",
        "trade_taps",
        "update_id",
    )

    def __init__(self, instrument: InstrumentId) -> None:
        self.instrument = instrument
        self.quote: Quote | None = None
        self.book = OrderBook(instrument)
        self.stats = MarketStats()
        self.update_id = 0
        self.trade_id = NO_TRADE
        self.polled_at: float | None = None
        """When polling last brought a quote, on trio's clock; None while the stream serves."""
        self.market_taps: list[Callable[[Quote], None]] = []
        """Of the runtime's own: the venue that matches against this data, and what watches the
        market for it. They are told of a quote before the strategies."""
        self.quote_taps: list[Callable[[Quote], None]] = []
        self.trade_taps: list[Callable[[Trade], None]] = []
        self.book_taps: list[Callable[[OrderBook], None]] = []
        self.stale_taps: list[Callable[[InstrumentId], None]] = []


class FeedSink:
    """A `MarketSink`: hands the events of one venue's instruments on.

    Args:
        name: of the venue whose instruments it serves.
        instruments: which.
        views: where the events go, by instrument.
    """

    def __init__(
        self,
        name: str,
        instruments: Collection[InstrumentId],
        views: Mapping[InstrumentId, InstrumentView],
    ) -> None:
        self.name = name
        self.down = True
        """No stream serves: the instruments are stale unless polling brings quotes."""
        self._views = {i: views[i] for i in instruments}
        self._events = 0

    def on_quote(self, quote: Quote) -> None:
        """Take a quote of the stream."""
        view = self._views[quote.instrument]
        if quote.update_id:
            if quote.update_id <= view.update_id:
                return
            view.update_id = quote.update_id
        self._events += 1
        if self.down:
            self._restored()
        view.quote = quote
        view.stats.quotes += 1
        for tap in view.market_taps:
            tap(quote)
        for tap in view.quote_taps:
            tap(quote)

    def on_trade(self, trade: Trade) -> None:
        """Take a trade of the stream."""
        view = self._views[trade.instrument]
        if trade.trade_id <= view.trade_id:
            return
        view.trade_id = trade.trade_id
        self._events += 1
        if self.down:
            self._restored()
        view.stats.trades += 1
        for tap in view.trade_taps:
            tap(trade)

    def on_book(self, levels: BookLevels) -> None:
        """Take a snapshot or a change of a book."""
        view = self._views[levels.instrument]
        seen = view.book.update_id
        shown = view.book.apply(levels)
        if levels.update_id <= seen:
            # The source is behind what was shown before: catch up without telling.
            view.book.update_id = seen
            return
        self._events += 1
        if self.down:
            self._restored()
        if not levels.snapshot:
            view.stats.book_updates += 1
        if shown:
            for tap in view.book_taps:
                tap(view.book)

    def on_book_lost(self, instrument: InstrumentId) -> None:
        """Learn that a change of a book was missed."""
        view = self._views[instrument]
        view.book.invalidate()
        view.stats.resyncs += 1
        log.warning("Order book lost its sequence; it is synced anew", instrument=instrument)

    def _restored(self) -> None:
        self.down = False
        for view in self._views.values():
            view.polled_at = None
        log.info("Market data flows", feed=self.name)
