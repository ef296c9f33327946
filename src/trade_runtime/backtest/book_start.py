"""Where a history of an order book begins in its midst: with the book that the past has made.

A change tells nothing without the book that it changes. So what lies before the start is read, too,
and given out as one whole book at the start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.market import BookLevels
from trade_runtime.protocols import MarketEvent


def book_from(
    start_ns: int, chunks: Iterator[Sequence[MarketEvent]]
) -> Iterator[Sequence[MarketEvent]]:
    """Give a book's history from `start_ns` on, beginning with a whole book.

    Args:
        start_ns: where it is to begin.
        chunks: of the book's history from its own beginning, in the order of their times.

    Raises:
        DataError: the history is not what it should be.
    """
    book: OrderBook | None = None
    for chunk in chunks:
        for index, change in enumerate(chunk):
            if change.ts_ns >= start_ns:
                yield [*_opening(start_ns, book), *chunk[index:]]
                yield from chunks
                return
            if isinstance(change, BookLevels):
                book = book or OrderBook(change.instrument)
                book.apply(change)


def _opening(start_ns: int, book: OrderBook | None) -> list[MarketEvent]:
    if book is None or not book.valid:
        return []
    bids, asks = tuple(book.bids(sys.maxsize)), tuple(book.asks(sys.maxsize))
    return [BookLevels(book.instrument, start_ns, book.update_id, bids, asks, True)]
