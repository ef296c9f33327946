"""Lets orders in, changes, fills and ends them, and keeps the account in step.

Plain and synchronous; works on one `Book` within one `Turn`. It knows orders and money; what the
market does to which order is `matching.py`'s. The rules, in full in the reference:

- An order takes the opposite best price up to the size displayed there, each displayed size once.
- What an order spends is what was locked for it; an order without a limit may spend what is free.
- A fill of one order of a group makes the others smaller by as much.
- A reduce-only order of a contract never asks for more than there is of the position.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from trade_runtime.model.orders import ZERO, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper import checks
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.funds import Funds
from trade_runtime.venues.paper.margin import REDUCES_NOTHING
from trade_runtime.venues.paper.money import affordable, cost, fee_of, minus, plus, rate_of, times
from trade_runtime.venues.paper.orders import PaperOrder
from trade_runtime.venues.paper.queueing import ahead_of, reaches
from trade_runtime.venues.paper.turn import Turn

NO_FUNDS = "insufficient balance"

RESTING_TIFS = (TimeInForce.GTC, TimeInForce.GTD)


class Desk:
    """The orders of one account.

    Args:
        account: whose orders these are.
        maker_bps: what the venue takes of the notional of a fill that made liquidity.
        taker_bps: of one that took it.
        leverage: how much notional of contracts a unit of equity carries.
        fee_in_base: the fee of a spot buy is taken out of what was bought.
    """

    def __init__(
        self,
        account: Account,
        maker_bps: Decimal,
        taker_bps: Decimal,
        leverage: Decimal,
        fee_in_base: bool,
    ) -> None:
        self._account = account
        self._maker, self._taker = rate_of(maker_bps), rate_of(taker_bps)
        self._fee_in_base = fee_in_base
        self.funds = Funds(account, max(self._maker, self._taker, ZERO), leverage)
        """What the live orders have locked."""

    def restore(self, book: Book, order: PaperOrder) -> None:
        """Take in a live order of the record."""
        book.add(order)
        self.funds.restore(book, order)
        if book.linear and order.spec.reduce_only:
            book.reducers[order.seq] = order

    def reduces(self, book: Book, order: PaperOrder) -> str:
        """Return why a reduce-only order cannot reduce a contract's position, or nothing."""
        if not book.linear or self._reducible(book, order):
            return ""
        return REDUCES_NOTHING

    def enter(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Let an order that has passed every check into the market."""
        if order.spec.oco:
            self.funds.join(order)
        if book.linear and order.spec.reduce_only:
            book.reducers[order.seq] = order
            self._hold_to(turn, book, order)
        if order.waits_for_trigger:
            self.funds.lock(turn, book, order)
            book.add(order)
        else:
            self.arrive(turn, book, order, funded=True)

    def close(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str = ""
    ) -> None:
        """Take a waiting order out of the market and give back what it had locked."""
        book.remove(order)
        self._finish(turn, book, order, status, reason)

    def arrive(self, turn: Turn, book: Book, order: PaperOrder, *, funded: bool = False) -> None:
        """Take what is there, then rest, wait or expire. The book does not have the order yet.

        Only what is left over to wait has to be locked for; what is taken is paid at once.

        Args:
            turn: what this is a part of.
            book: of the order's instrument.
            order: what arrives.
            funded: that its funds cover it at the present market is known.
        """
        tif = order.spec.tif
        if tif is TimeInForce.FOK and self._takeable(book, order)[1] < order.quantity:
            self._finish(turn, book, order, ReportStatus.EXPIRED, "not fillable at once, in full")
            return
        funded = self.take(turn, book, order, funded=funded)
        if not order.remaining:
            self._finish(turn, book, order, ReportStatus.FILLED)
        elif not funded:
            self._finish(turn, book, order, ReportStatus.EXPIRED, NO_FUNDS)
        elif tif not in RESTING_TIFS:
            self._finish(
                turn, book, order, ReportStatus.EXPIRED, "the rest was not fillable at once"
            )
        else:
            if book.queued and order.price is not None:
                order.ahead = ahead_of(book, order)
            if not order.locked:
                self.funds.lock(turn, book, order)
            book.add(order)

    def amend(
        self,
        turn: Turn,
        book: Book,
        order: PaperOrder,
        numbers: tuple[Decimal, Decimal | None, Decimal | None],
    ) -> str:
        """Change a live order, or return why not; then nothing is changed."""
        before = order.quantity, order.price, order.trigger_price
        quantity, price, trigger_price = numbers
        if order.triggered or (trigger_price is None and order.trail is not None):
            trigger_price = order.trigger_price
        wanted = replace(order.spec, quantity=quantity, price=price, trigger_price=trigger_price)
        reason = checks.form(wanted, book.instrument) or checks.market(wanted, book)
        if reason:
            return reason
        book.remove(order)
        order.quantity, order.price, order.trigger_price = quantity, price, trigger_price
        reason = checks.trigger(order, book)
        if order.seq in book.reducers and order.remaining > self._reducible(book, order):
            reason = REDUCES_NOTHING
        if not reason and not self.funds.covers(book, order):
            reason = NO_FUNDS
        if reason:
            order.quantity, order.price, order.trigger_price = before
            book.add(order)
            return reason
        only_smaller = (price, trigger_price) == before[1:] and quantity <= before[0]
        if not only_smaller:
            order.priority = turn.seq
        self.funds.lock(turn, book, order)
        turn.amend(order, "request")
        if only_smaller or order.waits_for_trigger or order.price is None:
            book.add(order)
        else:
            self.arrive(turn, book, order)
        return ""

    # --- fills

    def make(self, turn: Turn, book: Book, order: PaperOrder, quantity: Decimal) -> None:
        """Fill a resting order at its own price."""
        assert order.price is not None
        self._fill(turn, book, order, quantity, order.price, maker=True)
        if not order.remaining:
            self.close(turn, book, order, ReportStatus.FILLED)

    def take(self, turn: Turn, book: Book, order: PaperOrder, *, funded: bool = False) -> bool:
        """Take what is displayed; return False where money, not size, was the bound."""
        best, quantity, lacking = self._takeable(book, order, funded=funded)
        if quantity > 0:
            book.take(order.side, quantity)
            self._fill(turn, book, order, quantity, best, maker=False)
        return not lacking

    def _takeable(
        self, book: Book, order: PaperOrder, *, funded: bool = False
    ) -> tuple[Decimal, Decimal, Decimal]:
        """Return at what price, and how much, `order` could take right now, and how much of that
        no money is left for.
        """
        side, limit = order.side, order.price
        best = book.best(side)
        if best is None or (limit is not None and not reaches(best, limit, side)):
            return ZERO, ZERO, ZERO
        # The very number of the order, where it can be: a backtest keeps one of every fill.
        left = order.quantity - order.filled if order.filled else order.quantity
        quantity = min(left, book.available(side))
        if funded or limit is not None or side is Side.SELL or book.linear:
            return best, quantity, ZERO
        purse = self.funds.purse(book, order)
        if cost(times(quantity, best), self._taker) <= purse:
            return best, quantity, ZERO
        least = min(quantity, affordable(book.instrument, purse, best, self._taker))
        return best, least, quantity - least

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
        if book.linear:
            notional = times(notional, instrument.multiplier)
        in_base = self._fee_in_base and order.side is Side.BUY and not book.linear
        fee = fee_of(quantity if in_base else notional, self._maker if maker else self._taker)
        order.filled += quantity
        grouped = order.spec.oco
        if grouped:
            self._make_room(order, quantity)
        paid = notional
        if book.linear:
            earned = self.funds.margin.fill(book, order.side, quantity, price)
            account.move(instrument.quote, minus(earned, fee))
            turn.hold(instrument.id, self.funds.margin.position(book))
        elif order.side is Side.BUY:
            paid = notional if in_base else plus(notional, fee)
            account.move(instrument.quote, paid.copy_negate())
            account.move(instrument.base, minus(quantity, fee) if in_base else quantity)
        else:
            account.move(instrument.base, quantity.copy_negate())
            account.move(instrument.quote, minus(notional, fee))
        self.funds.settle(turn, book, order, paid)
        turn.fill(
            order,
            instrument,
            quantity=quantity,
            price=price,
            fee=fee,
            maker=maker,
            fee_in_base=in_base,
        )
        if grouped:
            self._tell_room(turn, book, order)
        if book.reducers:
            for reducer in list(book.reducers.values()):
                self._hold_to(turn, book, reducer)

    def _reducible(self, book: Book, order: PaperOrder) -> Decimal:
        return self.funds.margin.reducible(book, order.side)

    def _hold_to(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Have a reduce-only order ask for no more than there is of the position to reduce."""
        most = self._reducible(book, order)
        if order.remaining <= most:
            return
        if most:
            order.quantity = order.filled + most
            turn.amend(order, "reduce-only")
        else:
            self._withdraw(turn, book, order, ReportStatus.CANCELLED, REDUCES_NOTHING)

    def _make_room(self, order: PaperOrder, quantity: Decimal) -> None:
        """Make the others of an order's group smaller by what it filled."""
        for other in self.funds.members(order):
            if other is not order:
                other.quantity = max(other.quantity - quantity, other.filled)

    def _tell_room(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Tell what a fill did to the others of its group, after the fill itself."""
        cause = f"group {order.spec.oco}: order {order.spec.client_order_id} filled in its place"
        for other in list(self.funds.members(order)):
            if other is order:
                continue
            if not other.remaining:
                self._withdraw(turn, book, other, ReportStatus.CANCELLED, cause)
            elif self.funds.outgrown(book, other):
                self._withdraw(turn, book, other, ReportStatus.EXPIRED, NO_FUNDS)
            else:
                turn.amend(other, cause)

    def _withdraw(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str
    ) -> None:
        """End an order that may have just woken, so that the book does not have it."""
        if order in book:
            book.remove(order)
        self._finish(turn, book, order, status, reason)

    def _finish(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str = ""
    ) -> None:
        self.funds.release(turn, book, order)
        if book.linear:
            book.reducers.pop(order.seq, None)
        turn.close(order, status, reason)
