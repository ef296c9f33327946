"""What is known of a market, and who is told: the way of an event to the strategies.

Plain calls, with no clock read on the way, the same for what a stream brings, what polling brings,
and what the history of a backtest holds. Whether an event is new is for its source to say.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote, Trade

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
        "streamed",
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
        self.streamed = False
        """A stream serves, or a history; else it is stale unless polling brings quotes."""
        self.polled_at: float | None = None
        """When polling last brought a quote, on trio's clock; None while the stream serves."""
        self.market_taps: list[Callable[[Quote], None]] = []
        """Of the runtime's own: the venue that matches against this data, and what watches the
        market for it. They are told of a quote before the strategies."""
        self.quote_taps: list[Callable[[Quote], None]] = []
        self.trade_taps: list[Callable[[Trade], None]] = []
        self.book_taps: list[Callable[[OrderBook], None]] = []
        self.stale_taps: list[Callable[[InstrumentId], None]] = []

    def on_quote(self, quote: Quote) -> None:
        """Hand a new quote on."""
        self.quote = quote
        self.stats.quotes += 1
        for tap in self.market_taps:
            tap(quote)
        for tap in self.quote_taps:
            tap(quote)

    def on_trade(self, trade: Trade) -> None:
        """Hand a new trade on."""
        self.stats.trades += 1
        for tap in self.trade_taps:
            tap(trade)

    def on_book(self, levels: BookLevels) -> None:
        """Take a snapshot or a change of the book, and show the book if it is whole."""
        shown = self.book.apply(levels)
        if not levels.snapshot:
            self.stats.book_updates += 1
        if shown:
            for tap in self.book_taps:
                tap(self.book)
