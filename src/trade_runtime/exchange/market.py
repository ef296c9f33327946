"""The market that the exchange shows and matches against, whoever moves it.

It is a `MarketSink`: a synthetic market or a recording pushes quotes, trades and changes of the
book into it. It keeps what REST is asked for, has the exchange match, and tells the public streams.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Final, Protocol

import attrs

from trade_runtime.exchange.core import Exchange
from trade_runtime.model.ids import InstrumentId, symbol_of
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import BookLevels, Quote, Trade

MAX_TRADES: Final = 1_000
"""Trades of a symbol that are kept for REST."""

Levels = tuple[tuple[Decimal, Decimal], ...]


@attrs.frozen
class DepthChange:
    """A change of a book.

    Attributes:
        first_id, last_id: the update ids that it covers.
        previous_id: the `last_id` of the change before it.
        bids, asks: (price, quantity) pairs; a quantity of 0 removes the level.
    """

    symbol: str
    ts_ns: int
    first_id: int
    last_id: int
    previous_id: int
    bids: Levels
    asks: Levels


class MarketListener(Protocol):
    """What a public stream hears. Plain calls that must not raise."""

    def on_quote(self, symbol: str, quote: Quote) -> None:
        """Hear of a new best bid and ask."""

    def on_trade(self, symbol: str, trade: Trade) -> None:
        """Hear of a trade between others."""

    def on_depth(self, change: DepthChange) -> None:
        """Hear of a change of a book."""


class Tape:
    """What is known of one symbol's market.

    Attributes:
        quote: the best bid and ask, or None before the first.
        bids, asks: the book, by price.
        last_id: the update id that the book stands at.
        trades: the newest, oldest first.
        first_price, high, low, volume, turnover: of all trades so far.
        trade_count: how many there were.
    """

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.last_id = 0
        self.trades: deque[Trade] = deque(maxlen=MAX_TRADES)
        self.first_price = self.high = self.low = Decimal(0)
        self.volume = self.turnover = Decimal(0)
        self.trade_count = 0

    def depth(self, levels: int) -> tuple[Levels, Levels]:
        """Return the best `levels` of each side, best first."""
        bids = sorted(self.bids.items(), reverse=True)[:levels]
        asks = sorted(self.asks.items())[:levels]
        return tuple(bids), tuple(asks)

    @property
    def last_price(self) -> Decimal:
        """The price of the newest trade, else the middle of the quote; 0 before both."""
        if self.trades:
            return exact(self.trades[-1].price)
        return self.mid

    @property
    def mid(self) -> Decimal:
        """The price halfway between bid and ask; 0 before the first quote."""
        if self.quote is None:
            return Decimal(0)
        return (exact(self.quote.bid) + exact(self.quote.ask)) / 2

    def take_trade(self, trade: Trade) -> None:
        """Count a trade."""
        price, quantity = exact(trade.price), exact(trade.quantity)
        self.trades.append(trade)
        self.trade_count += 1
        self.first_price = self.first_price or price
        self.high, self.low = max(self.high, price), min(self.low or price, price)
        self.volume += quantity
        self.turnover += price * quantity

    def take_levels(self, bids: Levels, asks: Levels) -> None:
        """Change the book."""
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in levels:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)


class Market:
    """The markets of all symbols of an exchange.

    Args:
        exchange: what matches against them.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.tapes: Mapping[str, Tape] = {symbol: Tape() for symbol in exchange.instruments}
        """What is known, by symbol."""
        self._listeners: dict[int, MarketListener] = {}
        self._ids = count()

    @contextmanager
    def listening(self, listener: MarketListener) -> Iterator[None]:
        """Have `listener` told of every market."""
        key = next(self._ids)
        self._listeners[key] = listener
        try:
            yield
        finally:
            del self._listeners[key]

    # --- what moves it -------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> None:
        """Take a new best bid and ask."""
        symbol = symbol_of(quote.instrument)
        self.tapes[symbol].quote = quote
        self._exchange.on_quote(symbol, quote)
        for listener in list(self._listeners.values()):
            listener.on_quote(symbol, quote)

    def on_trade(self, trade: Trade) -> None:
        """Take a trade."""
        symbol = symbol_of(trade.instrument)
        self.tapes[symbol].take_trade(trade)
        self._exchange.on_trade(symbol, trade)
        for listener in list(self._listeners.values()):
            listener.on_trade(symbol, trade)

    def on_book(self, levels: BookLevels) -> None:
        """Take a change of a book, or a whole one: then what is different is the change."""
        symbol = symbol_of(levels.instrument)
        tape = self.tapes[symbol]
        bids, asks = levels.bids, levels.asks
        if levels.snapshot:
            bids, asks = _difference(tape.bids, bids), _difference(tape.asks, asks)
            if not (bids or asks):
                return
        last_id = max(levels.update_id, tape.last_id + 1)
        self.change(symbol, levels.ts_ns, tape.last_id + 1, last_id, bids, asks)

    def on_book_lost(self, instrument: InstrumentId) -> None:
        """Nothing is ever lost here."""

    def change(
        self, symbol: str, ts_ns: int, first_id: int, last_id: int, bids: Levels, asks: Levels
    ) -> None:
        """Change a book, under these update ids, and tell of it."""
        tape = self.tapes[symbol]
        change = DepthChange(symbol, ts_ns, first_id, last_id, tape.last_id, bids, asks)
        tape.take_levels(bids, asks)
        tape.last_id = last_id
        for listener in list(self._listeners.values()):
            listener.on_depth(change)

    def reset(self, symbol: str, last_id: int, bids: Levels, asks: Levels) -> None:
        """Have the book be this one from now on; no stream is told."""
        tape = self.tapes[symbol]
        tape.bids, tape.asks, tape.last_id = dict(bids), dict(asks), last_id


def _difference(now: Mapping[Decimal, Decimal], then: Iterable[tuple[Decimal, Decimal]]) -> Levels:
    wanted = dict(then)
    gone = ((price, Decimal(0)) for price in now if price not in wanted)
    fresh = ((price, size) for price, size in wanted.items() if now.get(price) != size)
    return (*gone, *fresh)
