"""How orders meet the market: waking, following, queueing, and who is filled by what.

Plain and synchronous; works on one `Book` within one `Turn`, through the `Desk`. The rules, in full
in the reference:

- A resting limit order is a maker: at its own price, when the opposite quote reaches that price
  (by the size displayed) or when a trade of an opposite aggressor prints at or through it (by the
  size traded). Best price first, then the elder. Where orders queue, those that were displayed
  before it at its price go first.
- A stop wakes when the quote on its side, or a trade, reaches its trigger; a take-profit likewise.
- Own orders never meet each other.
"""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Trade
from trade_runtime.model.orders import SIDES, ZERO, ReportStatus, Side
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.desk import NO_FUNDS, Desk
from trade_runtime.venues.paper.levels import Levels
from trade_runtime.venues.paper.orders import PaperOrder
from trade_runtime.venues.paper.queueing import queue_moves, reaches, served_before
from trade_runtime.venues.paper.turn import Turn


class Matcher:
    """Matches orders against quotes and trades.

    Args:
        desk: whose orders these are.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def meet_quote(self, turn: Turn, book: Book) -> None:
        """Wake, then fill, whatever the book's new quote reaches."""
        bid, ask = book.best(Side.SELL), book.best(Side.BUY)
        for side, takes in ((Side.SELL, bid), (Side.BUY, ask)):
            if takes is None:
                continue
            if book.trailing[side]:
                self._follow(turn, book, side, takes)
            self._wake(turn, book, book.stops[side], side.opposite, takes, "quote")
            self._wake(turn, book, book.profits[side], side, takes, "quote")
        for side in SIDES:
            if book.queued:
                queue_moves(book, side)
            self._feed(turn, book, side)

    def meet_trade(self, turn: Turn, book: Book, trade: Trade) -> None:
        """Fill the resting orders that the trade's aggressor would have hit; then wake others."""
        price = exact(trade.price)
        left = book.instrument.round_quantity(exact(trade.quantity))
        side = trade.aggressor.opposite
        resting = book.resting[side]
        while left > 0 and (order := resting.first()) is not None:
            assert order.price is not None
            if not reaches(price, order.price, side):
                break
            if book.queued and price == order.price:
                self._meet_queue(turn, book, side, price, left)
                break
            quantity = min(left, order.remaining)
            left -= quantity
            self._desk.make(turn, book, order, quantity)
        for one in SIDES:
            self._wake(turn, book, book.stops[one], one.opposite, price, "trade")
            self._wake(turn, book, book.profits[one], one, price, "trade")

    def _meet_queue(
        self, turn: Turn, book: Book, side: Side, price: Decimal, traded: Decimal
    ) -> None:
        """Share out what was traded at a price among others' orders and ours, as they queue."""
        ours = ZERO
        for order in list(book.resting[side]):
            if not order.live:
                continue  # another of its group has ended it
            if order.price != price:
                break
            passing = traded - ours
            served = served_before(order, passing)
            if served:
                turn.touch(order)
            quantity = min(passing - served, order.remaining)
            if quantity > 0:
                ours += quantity
                self._desk.make(turn, book, order, quantity)

    def _follow(self, turn: Turn, book: Book, side: Side, price: Decimal) -> None:
        """Draw the triggers after a market that moved in favour of their orders."""
        for order in list(book.trailing[side].values()):
            assert order.trail is not None
            assert order.trigger_price is not None
            behind = price + side.sign * order.trail
            if reaches(order.trigger_price, behind, side):
                continue  # it stands there already, or nearer
            book.remove(order)
            order.trigger_price = behind
            book.add(order)
            self._desk.funds.lock(turn, book, order)
            turn.trail(order)

    def _wake(
        self, turn: Turn, book: Book, waiting: Levels, like: Side, price: Decimal, by: str
    ) -> None:
        """Wake what waits for the market to be as good as its trigger for an order of `like`."""
        if not waiting:
            return
        woken: list[PaperOrder] = []
        while (order := waiting.first()) is not None:
            assert order.trigger_price is not None
            if not reaches(price, order.trigger_price, like):
                break
            book.remove(order)
            order.wake()
            turn.note("trigger", order.spec.client_order_id, {"by": by, "price": price})
            turn.touch(order)
            woken.append(order)
        for order in woken:
            if order.live and order.remaining > 0:  # another of its group may have ended it
                self._desk.arrive(turn, book, order)

    def _feed(self, turn: Turn, book: Book, side: Side) -> None:
        """Give what is displayed to those who wait for it: orders without a limit first."""
        taking, resting = book.taking[side], book.resting[side]
        while (order := taking.first()) is not None and book.available(side) > 0:
            funded = self._desk.take(turn, book, order)
            if not order.remaining:
                self._desk.close(turn, book, order, ReportStatus.FILLED)
            elif not funded:
                self._desk.close(turn, book, order, ReportStatus.EXPIRED, NO_FUNDS)
            else:
                break
        if not resting:
            return
        best = book.best(side)
        while best is not None and (order := resting.first()) is not None:
            assert order.price is not None
            quantity = min(order.remaining, book.available(side))
            if quantity <= 0 or not reaches(best, order.price, side):
                break
            book.take(side, quantity)
            self._desk.make(turn, book, order, quantity)
