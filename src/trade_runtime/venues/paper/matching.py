"""How orders meet the market: taking what is displayed, resting, waking, filling, locking funds.

Plain and synchronous; works on one `Book` within one `Turn`. The rules, in full in the reference:

- An order takes the opposite best price up to the size displayed there, each displayed size once.
- A resting limit order is a maker: at its own price, when the opposite quote reaches that price
  (by the size displayed) or when a trade of an opposite aggressor prints at or through it (by the
  size traded). Best price first, then the elder.
- A stop wakes when the quote on its side, or a trade, reaches its trigger.
- Own orders never meet each other.
"""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.model.ids import Currency
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Trade
from trade_runtime.model.orders import ZERO, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.money import affordable, cost, fee_of, minus, plus, times
from trade_runtime.venues.paper.orders import PaperOrder
from trade_runtime.venues.paper.turn import Turn

NO_FUNDS = "insufficient balance"


class Matcher:
    """Matches orders against quotes and trades, and keeps the account in step.

    Args:
        account: whose orders these are.
        fee_bps: what the venue takes of each fill's notional.
    """

    def __init__(self, account: Account, fee_bps: Decimal) -> None:
        self._account = account
        self._fee_bps = fee_bps

    def funds_needed(self, book: Book, order: PaperOrder) -> Decimal:
        """Return what `order` is to lock on arrival, of `funds_currency`."""
        if order.side is Side.SELL:
            return order.remaining
        price = order.price or order.trigger_price or book.best(Side.BUY)
        assert price is not None, "a market buy is not let in without a market"
        return cost(order.remaining, price, self._fee_bps)

    def enter(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Let an order that has passed every check into the market."""
        self._lock(turn, book, order, self.funds_needed(book, order))
        if order.waits_for_trigger:
            book.add(order)
        else:
            self._arrive(turn, book, order)

    def close(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str = ""
    ) -> None:
        """Take a waiting order out of the market and give back what it had locked."""
        book.remove(order)
        self._finish(turn, book, order, status, reason)

    def meet_quote(self, turn: Turn, book: Book) -> None:
        """Wake, then fill, whatever the book's new quote reaches."""
        bid, ask = book.best(Side.SELL), book.best(Side.BUY)
        if bid is not None:
            self._wake(turn, book, Side.SELL, bid, "quote")
        if ask is not None:
            self._wake(turn, book, Side.BUY, ask, "quote")
        for side in Side:
            self._feed(turn, book, side)

    def meet_trade(self, turn: Turn, book: Book, trade: Trade) -> None:
        """Fill the resting orders that the trade's aggressor would have hit; then wake stops."""
        price = exact(trade.price)
        left = book.instrument.round_quantity(exact(trade.quantity))
        side = trade.aggressor.opposite
        resting = book.resting[side]
        while left > 0 and (order := resting.first()) is not None:
            assert order.price is not None
            if not reaches(price, order.price, side):
                break
            quantity = min(left, order.remaining)
            left -= quantity
            self._fill(turn, book, order, quantity, order.price, maker=True)
            if not order.remaining:
                self.close(turn, book, order, ReportStatus.FILLED)
        for stop_side in Side:
            self._wake(turn, book, stop_side, price, "trade")

    def _wake(self, turn: Turn, book: Book, side: Side, price: Decimal, by: str) -> None:
        stops = book.stops[side]
        woken: list[PaperOrder] = []
        while (order := stops.first()) is not None:
            assert order.trigger_price is not None
            if not reaches(price, order.trigger_price, side.opposite):
                break
            book.remove(order)
            order.triggered = True
            turn.note("trigger", order.client_order_id, by=by, price=f"{price:f}")
            turn.touch(order)
            woken.append(order)
        for order in woken:
            self._arrive(turn, book, order)

    def _arrive(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Take what is there, then rest, wait or expire. The book does not have the order yet."""
        if order.tif is TimeInForce.FOK and self._takeable(book, order) < order.quantity:
            self._finish(turn, book, order, ReportStatus.EXPIRED, "not fillable at once, in full")
            return
        funded = self._take(turn, book, order)
        if not order.remaining:
            self._finish(turn, book, order, ReportStatus.FILLED)
        elif not funded:
            self._finish(turn, book, order, ReportStatus.EXPIRED, NO_FUNDS)
        elif order.tif is not TimeInForce.GTC:
            self._finish(
                turn, book, order, ReportStatus.EXPIRED, "the rest was not fillable at once"
            )
        else:
            book.add(order)

    def _feed(self, turn: Turn, book: Book, side: Side) -> None:
        """Give what is displayed to those who wait for it: orders without a limit first."""
        taking, resting = book.taking[side], book.resting[side]
        while (order := taking.first()) is not None and book.available(side) > 0:
            funded = self._take(turn, book, order)
            if not order.remaining:
                self.close(turn, book, order, ReportStatus.FILLED)
            elif not funded:
                self.close(turn, book, order, ReportStatus.EXPIRED, NO_FUNDS)
            else:
                break
        best = book.best(side)
        while best is not None and (order := resting.first()) is not None:
            assert order.price is not None
            quantity = min(order.remaining, book.available(side))
            if quantity <= 0 or not reaches(best, order.price, side):
                break
            book.take(side, quantity)
            self._fill(turn, book, order, quantity, order.price, maker=True)
            if not order.remaining:
                self.close(turn, book, order, ReportStatus.FILLED)

    def _takeable(self, book: Book, order: PaperOrder) -> Decimal:
        """Return how much `order` could take right now."""
        best = book.best(order.side)
        if best is None or (order.price and not reaches(best, order.price, order.side)):
            return ZERO
        quantity = min(order.remaining, book.available(order.side))
        if order.side is Side.BUY and order.price is None:
            quantity = min(
                quantity, affordable(book.instrument, self._purse(book, order), best, self._fee_bps)
            )
        return quantity

    def _take(self, turn: Turn, book: Book, order: PaperOrder) -> bool:
        """Take what is displayed; return False where money, not size, was the bound."""
        wanted = min(order.remaining, book.available(order.side))
        quantity = self._takeable(book, order)
        best = book.best(order.side)
        if quantity > 0 and best is not None:
            book.take(order.side, quantity)
            self._fill(turn, book, order, quantity, best, maker=False)
        return order.price is not None or quantity >= wanted

    def _fill(
        self,
        turn: Turn,
        book: Book,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        *,
        maker: bool,
    ) -> None:
        instrument, account = book.instrument, self._account
        notional = times(quantity, price)
        fee = fee_of(notional, self._fee_bps)
        order.filled += quantity
        # Release before paying, so that what is held is never less than what is locked.
        if order.side is Side.BUY:
            paid = plus(notional, fee)
            self._lock(turn, book, order, self._lock_after(order, paid))
            account.move(instrument.quote, paid.copy_negate())
            account.move(instrument.base, quantity)
        else:
            self._lock(turn, book, order, order.remaining)
            account.move(instrument.base, quantity.copy_negate())
            account.move(instrument.quote, minus(notional, fee))
        turn.fill(order, instrument, quantity=quantity, price=price, fee=fee, maker=maker)
        turn.touch(order)

    def _lock_after(self, order: PaperOrder, paid: Decimal) -> Decimal:
        if order.price is not None:
            return cost(order.remaining, order.price, self._fee_bps)
        return max(ZERO, minus(order.locked, paid))

    def _finish(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str = ""
    ) -> None:
        self._lock(turn, book, order, ZERO)
        turn.close(order, status, reason)

    def _lock(self, turn: Turn, book: Book, order: PaperOrder, amount: Decimal) -> None:
        currency = funds_currency(book, order.side)
        self._account.lock(currency, minus(amount, order.locked))
        order.locked = amount
        turn.spend(currency)

    def _purse(self, book: Book, order: PaperOrder) -> Decimal:
        return plus(self._account.free(funds_currency(book, order.side)), order.locked)


def funds_currency(book: Book, side: Side) -> Currency:
    """Return what an order of `side` locks: the quote currency for a buy, the base for a sell."""
    return book.instrument.quote if side is Side.BUY else book.instrument.base


def reaches(market: Decimal, limit: Decimal, side: Side) -> bool:
    """Tell whether a market price is as good as `limit` or better for an order of `side`."""
    return market <= limit if side is Side.BUY else market >= limit
