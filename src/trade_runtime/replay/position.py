"""What the server knows at the point that a client's stream has reached: books, quotes, trades.

REST answers are given from the position of the stream that connected last, so that they fit what
its client has seen. Rows are taken in the order of the recording, after every change that was made
to them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import trio

from trade_runtime.replay.book import Book
from trade_runtime.replay.facts import Facts
from trade_runtime.replay.shapes import decode_depth, decode_snapshot, kind_of
from trade_runtime.venues.binance_spot.recording import Row

MAX_TRADES: Final = 1000
"""Trades of a symbol that are kept: what Binance gives at most in one answer."""


class Position:
    """A point of the recording.

    Attributes:
        at_ns: the recorder's clock there.
        line: the number of the last row taken, counted on over all turns.
        books: by symbol; a symbol whose book was not recorded has none.
        quotes: the newest frame by symbol.
        trades: the newest frames by symbol.
        opened: when the opening snapshot of a symbol was given out, by Trio's clock.
        opening: set, and replaced, as one is given out.
    """

    def __init__(self, facts: Facts) -> None:
        self.at_ns = facts.first_ns
        self.line = 0
        self.books: dict[str, Book] = {}
        self.quotes: dict[str, bytes] = {}
        self.trades: dict[str, deque[bytes]] = {}
        self.opened: dict[str, float] = {}
        self.opening = trio.Event()
        self._snapshot_symbols = facts.snapshot_symbols
        self._kinds: dict[str, tuple[str, str]] = {}
        for symbol, known in facts.symbols.items():
            opening = known.opening()
            if opening is not None:
                self.books[symbol] = Book(opening)

    def open(self, symbol: str) -> None:
        """Remember that a symbol's opening snapshot is given out now."""
        self.opened[symbol] = trio.current_time()
        self.opening.set()
        self.opening = trio.Event()

    def kind(self, stream: str) -> tuple[str, str]:
        """Return the symbol and kind of a stream."""
        known = self._kinds.get(stream)
        if known is None:
            known = self._kinds[stream] = kind_of(stream)
        return known

    def take(self, row: Row) -> None:
        """Move on to a row."""
        self.at_ns = max(self.at_ns, row.at_ns)
        if not row.stream:
            book = self.books.get(row.symbol or self._snapshot_symbols.get(row.number, ""))
            if book is not None:
                book.offer(decode_snapshot(row.body))
            return
        symbol, kind = self.kind(row.stream)
        if kind == "quote":
            self.quotes[symbol] = row.body
        elif kind == "trade":
            self.trades.setdefault(symbol, deque(maxlen=MAX_TRADES)).append(row.body)
        elif kind == "depth":
            self.books[symbol].apply(decode_depth(row.body))
