"""Contracts: the positions of a margin account, what they have earned, and what they may grow to.

Plain and synchronous. An instrument of kind `linear` moves no base currency: its fills make a net
position at an average price, and what closing a part of it earns is settled in the quote currency.
What an order could make of the position has to be covered by the account's equity, times the
leverage, when the order arrives; an order that only makes it smaller always may.

Nothing is liquidated. Losses may take a balance below zero; then nothing that adds is let in.
"""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.orders import ZERO, Side
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.money import fee_of, minus, plus, settled, times, up
from trade_runtime.venues.paper.orders import Position

REDUCES_NOTHING = "reduce-only order would not reduce the position"


FLAT = Position()


class Margin:
    """The contracts of one account.

    Args:
        account: what they settle into.
        leverage: how much notional a unit of equity carries.
        reserve: the share of its notional that a fill may cost in fees, at most.

    Attributes:
        positions: by instrument; one that was closed stays, flat.
    """

    def __init__(self, account: Account, leverage: Decimal, reserve: Decimal) -> None:
        self._account = account
        self._leverage = leverage
        self._reserve = reserve
        self._books: dict[Currency, list[Book]] = {}
        # The notional of the live orders that are not reduce-only.
        self._ordered: dict[tuple[InstrumentId, Side], Decimal] = {}
        self.positions: dict[InstrumentId, Position] = {}

    def trade(self, book: Book) -> None:
        """Count the contract of `book` in from now on."""
        self._books.setdefault(book.instrument.quote, []).append(book)
        self._account.allow_debt(book.instrument.quote)

    def position(self, book: Book) -> Position:
        """Return what is held of a contract."""
        return self.positions.get(book.instrument.id, FLAT)

    def reducible(self, book: Book, side: Side) -> Decimal:
        """Return how much an order of `side` could take off the position."""
        return max(ZERO, -side.sign * self.position(book).quantity)

    def reserve(self, book: Book, side: Side, change: Decimal) -> None:
        """Count the notional of live orders of `side` as `change` more."""
        key = book.instrument.id, side
        self._ordered[key] = plus(self._ordered.get(key, ZERO), change)

    def allows(self, book: Book, side: Side, change: Decimal) -> bool:
        """Whether equity carries `change` more notional of live orders of `side`, fee included."""
        currency = book.instrument.quote
        before = self._required(currency)
        self.reserve(book, side, change)
        after = self._required(currency)
        self.reserve(book, side, change.copy_negate())
        if after <= before:
            return True
        equity = plus(self._account.free(currency), self._unrealised(currency))
        spare = minus(equity, fee_of(max(change, ZERO), self._reserve))
        return after <= times(spare, self._leverage)

    def holds(self, currency: Currency) -> bool:
        """Whether any contract settles in `currency`."""
        return currency in self._books

    def withheld(self, currency: Currency) -> Decimal:
        """Return how much of a free balance contracts keep from being spent: margin and losses."""
        loss = min(self._unrealised(currency), ZERO)
        return minus(up(self._required(currency) / self._leverage), loss)

    def fill(self, book: Book, side: Side, quantity: Decimal, price: Decimal) -> Decimal:
        """Take a fill into the position; return what it earned, to the last settled digit."""
        held = self.position(book)
        before, average = held.quantity, held.average_price
        after = before + quantity * side.sign
        earned = ZERO
        if not before:
            average = price
        elif (before > 0) is (side is Side.BUY):  # adding to it
            average = (abs(before) * average + quantity * price) / abs(after)
        else:
            closed = min(abs(before), quantity)
            earned = (price - average) * closed * book.instrument.multiplier
            earned = settled(earned if before > 0 else -earned)
            if after * before < 0:  # through zero: what is left opened at this price
                average = price
            elif not after:
                average = ZERO
        self.positions[book.instrument.id] = Position(after, average)
        return earned

    def _required(self, currency: Currency) -> Decimal:
        """Return the notional that positions could come to if live orders filled."""
        total = ZERO
        for book in self._books[currency]:
            held, name = self.position(book).quantity, book.instrument.id
            value = times(times(held, self._mark(book)), book.instrument.multiplier)
            buys, sells = (self._ordered.get((name, side), ZERO) for side in (Side.BUY, Side.SELL))
            total = plus(total, max(plus(value, buys), minus(sells, value)))
        return total

    def _unrealised(self, currency: Currency) -> Decimal:
        total = ZERO
        for book in self._books[currency]:
            held = self.position(book)
            if held.quantity:
                move = minus(self._mark(book), held.average_price)
                total = plus(total, times(times(move, held.quantity), book.instrument.multiplier))
        return total

    def _mark(self, book: Book) -> Decimal:
        """Return what closing the position would get: its own price where no market is shown."""
        held = self.position(book)
        if not held.quantity:
            return ZERO
        best = book.best(Side.SELL if held.quantity > 0 else Side.BUY)
        return held.average_price if best is None else best
