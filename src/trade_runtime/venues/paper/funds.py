"""What live orders lock of the account: each by itself, or a group of them together.

Plain and synchronous. A sell locks the base currency, a buy its cost in the quote currency at its
price, its trigger or the best ask, at the higher of the fees.

The orders of a group lock as much as the largest of them would at the dearest of their prices. Each
fill of one makes the others smaller by as much, so what is locked pays for whichever of them fills.
Only an order without a limit can cost more than it has locked; then its group has less, and those
that the rest does not pay for are ended.

Orders of contracts lock no money: what they "lock" is the notional that `margin.py` counts them
with, on either side, and none where they are reduce-only.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from trade_runtime.model.ids import Currency
from trade_runtime.model.orders import ZERO, Side
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.margin import Margin
from trade_runtime.venues.paper.money import cost, minus, plus, times
from trade_runtime.venues.paper.orders import PaperOrder
from trade_runtime.venues.paper.turn import Turn


class Group:
    """Live orders that stand for each other, and what is locked for them all.

    Attributes:
        members: by the number of their arrival.
        locked: of the currency that orders of their side lock; every member's `locked` says it.
    """

    __slots__ = ("locked", "members")

    def __init__(self) -> None:
        self.members: dict[int, PaperOrder] = {}
        self.locked = ZERO


class Funds:
    """Keeps what is locked in step with the orders.

    Args:
        account: whose orders these are.
        reserve: the share of its notional that a fill may cost in fees, at most.
        leverage: how much notional of contracts a unit of equity carries.

    Attributes:
        margin: the account's contracts.
        groups: those that have a live order, by name.
    """

    def __init__(self, account: Account, reserve: Decimal, leverage: Decimal) -> None:
        self._account = account
        self._reserve = reserve
        self.margin = Margin(account, leverage, reserve)
        self.groups: dict[str, Group] = {}

    def members(self, order: PaperOrder) -> Collection[PaperOrder]:
        """Return the live orders of the group that an order names."""
        group = self.groups.get(order.spec.oco)
        return () if group is None else group.members.values()

    def covers(self, book: Book, order: PaperOrder) -> bool:
        """Whether what is free covers what an order, or its group with it, is to lock."""
        if order.spec.oco:
            needed = self._needed_together(book, {*self.members(order), order})
        else:
            needed = self._needed(book, order)
        if book.linear:
            return self.margin.allows(book, order.side, minus(needed, self._locked(order)))
        return needed <= self.purse(book, order)

    def purse(self, book: Book, order: PaperOrder) -> Decimal:
        """Return what an order can spend: what is free, and what is locked for it."""
        currency = funds_currency(book, order.side)
        free = self._account.free(currency)
        if self.margin.holds(currency):
            free = minus(free, self.margin.withheld(currency))
        locked = self._locked(order)
        return plus(free, locked) if locked else free

    def join(self, order: PaperOrder) -> None:
        """Note the group of an order that is live from now on, if it has one."""
        if order.spec.oco:
            group = self.groups.setdefault(order.spec.oco, Group())
            group.members[order.seq] = order

    def restore(self, book: Book, order: PaperOrder) -> None:
        """Take in a live order of the record, with what is locked for it."""
        self.join(order)
        group = self.groups.get(order.spec.oco)
        if group is not None:
            if group.locked:
                return  # the first of the group has brought it
            group.locked = order.locked
        self._change(book, order.side, order.locked)

    def lock(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Lock what an order, or its group, needs with the numbers that it has now."""
        if order.spec.oco:
            self._lock_together(turn, book, order)
        else:
            self._lock_alone(turn, book, order, self._needed(book, order))

    def settle(self, turn: Turn, book: Book, order: PaperOrder, paid: Decimal) -> None:
        """Lock what an order needs after a fill for which it has paid."""
        if order.spec.oco:
            self._lock_together(turn, book, order)
        elif not order.locked:
            return  # it has only just arrived
        elif not order.remaining:
            self._lock_alone(turn, book, order, ZERO)
        elif order.price is None and (book.linear or order.side is Side.BUY):
            self._lock_alone(turn, book, order, max(ZERO, minus(order.locked, paid)))
        else:
            self._lock_alone(turn, book, order, self._needed(book, order))

    def release(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Give back what is locked for an order that has ended, less what its group still needs."""
        group = self.groups.get(order.spec.oco) if order.spec.oco else None
        if group is None:
            if order.locked:
                self._lock_alone(turn, book, order, ZERO)
            return
        group.members.pop(order.seq, None)
        self._lock_together(turn, book, order)
        if not group.members:
            del self.groups[order.spec.oco]
        order.locked = ZERO

    def outgrown(self, book: Book, order: PaperOrder) -> bool:
        """Whether an order of a group has a limit that what is left for the group cannot pay."""
        if order.price is None or order.side is Side.SELL or book.linear:
            return False
        return cost(times(order.remaining, order.price), self._reserve) > order.locked

    def _needed(self, book: Book, order: PaperOrder) -> Decimal:
        if book.linear:
            return self._notional(book, order.remaining, (order,))
        if order.side is Side.SELL:
            return order.remaining
        return cost(times(order.remaining, self._dearest(book, order)), self._reserve)

    def _needed_together(self, book: Book, orders: Collection[PaperOrder]) -> Decimal:
        largest = max((order.remaining for order in orders), default=ZERO)
        if book.linear:
            return self._notional(book, largest, orders)
        if not largest or next(iter(orders)).side is Side.SELL:
            return largest
        dearest = max(self._dearest(book, order) for order in orders)
        return cost(times(largest, dearest), self._reserve)

    def _notional(self, book: Book, quantity: Decimal, orders: Collection[PaperOrder]) -> Decimal:
        """Return the notional that orders of a contract add; reduce-only ones never do."""
        prices = [self._dearest(book, order) for order in orders if not order.spec.reduce_only]
        dearest = max(prices, default=ZERO)
        return times(times(quantity, dearest), book.instrument.multiplier)

    def _dearest(self, book: Book, order: PaperOrder) -> Decimal:
        price = order.price or order.trigger_price or book.best(order.side)
        assert price is not None, "a market order is not let in without a market"
        return price

    def _locked(self, order: PaperOrder) -> Decimal:
        group = self.groups.get(order.spec.oco) if order.spec.oco else None
        return order.locked if group is None else group.locked

    def _change(self, book: Book, side: Side, change: Decimal) -> None:
        if book.linear:
            self.margin.reserve(book, side, change)
        else:
            self._account.lock(funds_currency(book, side), change)

    def _lock_alone(self, turn: Turn, book: Book, order: PaperOrder, amount: Decimal) -> None:
        if amount != order.locked:
            self._change(book, order.side, minus(amount, order.locked))
            order.locked = amount
            turn.spend(funds_currency(book, order.side))

    def _lock_together(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        group = self.groups[order.spec.oco]
        currency = funds_currency(book, order.side)
        amount = self._needed_together(book, group.members.values())
        if not book.linear:
            amount = min(amount, max(ZERO, plus(self._account.free(currency), group.locked)))
        if amount != group.locked:
            self._change(book, order.side, minus(amount, group.locked))
            group.locked = amount
            turn.spend(currency)
        for member in group.members.values():
            if member.locked != amount:
                member.locked = amount
                turn.touch(member)


def funds_currency(book: Book, side: Side) -> Currency:
    """Return what an order of `side` locks: the quote currency for a buy, the base for a sell."""
    return book.instrument.quote if side is Side.BUY else book.instrument.base
