"""What reaches what, and who is served first at a price. Plain functions on a book."""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.model.orders import ZERO, Side
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.orders import PaperOrder


def reaches(market: Decimal, limit: Decimal, side: Side) -> bool:
    """Tell whether a market price is as good as `limit` or better for an order of `side`."""
    return market <= limit if side is Side.BUY else market >= limit


def ahead_of(book: Book, order: PaperOrder) -> Decimal | None:
    """Return what is displayed before an order at its price; None where it is not shown."""
    assert order.price is not None
    own = book.best(order.side.opposite)
    if own is None:
        return None
    if own == order.price:
        return book.shown(order.side.opposite)
    return ZERO if reaches(own, order.price, order.side) else None  # it betters the best price


def queue_moves(book: Book, side: Side) -> None:
    """Let the quote shrink, or first show, what is queued ahead of the resting orders of `side`."""
    own = book.best(side.opposite)
    if own is None:
        return
    for order in book.resting[side]:
        assert order.price is not None
        if order.price == own:
            shown = book.shown(side.opposite)
            order.ahead = shown if order.ahead is None else min(order.ahead, shown)
        elif reaches(order.price, own, side):
            break  # behind the best price, and so are all that follow
        else:
            order.ahead = ZERO  # what was before it is gone


def served_before(order: PaperOrder, quantity: Decimal) -> Decimal:
    """Return how much of a trade goes to those who queued before an order, and count it."""
    if order.ahead is None:
        return quantity  # its price was never shown as the best: nobody knows who else is there
    served = min(order.ahead, quantity)
    order.ahead -= served
    return served
