"""Positions: a fold of fills, in exact decimals.

A position belongs to the strategy whose fills made it. Its average price is that of what is open;
closing a part of it realises profit against that average, for a contract times its multiplier. Fees
are kept by the currency that they were paid in, whichever that is, and are neither in the average
price nor in the profit. A fee that a spot venue took out of the base currency makes the position
smaller: who bought 1 and paid 0.001 of it holds 0.999, and neither a stop-loss nor a sale of more
would be taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from trade_runtime.model.events import Fill
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName
from trade_runtime.model.orders import ZERO, Side

ONE = Decimal(1)


class Position:
    """What a strategy holds of an instrument; below zero when it sold more than it bought."""

    __slots__ = (
        "average_price",
        "fees",
        "instrument",
        "multiplier",
        "opened_ns",
        "quantity",
        "realised",
        "strategy",
    )

    def __init__(self, strategy: StrategyName, instrument: InstrumentId) -> None:
        self.strategy = strategy
        self.instrument = instrument
        self.multiplier = ONE
        """How much of the base currency a unit of it stands for."""
        self.quantity = ZERO
        """In the base currency, signed."""
        self.average_price = ZERO
        """Of what is open, in the quote currency; 0 when flat."""
        self.realised = ZERO
        """Profit of what was closed, in the quote currency, before fees."""
        self.fees: dict[Currency, Decimal] = {}
        self.opened_ns = 0
        """When it last left zero or changed sign; 0 when flat."""

    def unrealised(self, price: Decimal) -> Decimal:
        """Return the profit of what is open if it were closed at `price`, before fees."""
        return (price - self.average_price) * self.quantity * self.multiplier

    def apply(self, fill: Fill) -> Decimal:
        """Take a fill; return the profit that it realised."""
        fees, currency = self.fees, fill.fee_currency
        fees[currency] = fees[currency] + fill.fee if currency in fees else fill.fee
        self.multiplier = fill.multiplier
        before, quantity = self.quantity, fill.quantity
        buys = fill.side is Side.BUY
        after = before + quantity if buys else before - quantity
        kept = after - fill.fee if fill.fee_in_base else after
        gain = ZERO
        if not before:
            self.average_price = fill.price
        elif (before > 0) is buys:  # adding to it
            cost = abs(before) * self.average_price + quantity * fill.price
            self.average_price = cost / abs(after)
        else:
            closed = min(abs(before), quantity)
            gain = (fill.price - self.average_price) * closed * fill.multiplier
            gain = gain if before > 0 else -gain
            self.realised += gain
            if after * before < 0:  # through zero: what is left opened at this price
                self.average_price = fill.price
            elif not after:
                self.average_price = ZERO
        if fill.fee_in_base and not (after and kept):
            # The fee took what was left, or more than was held.
            self.average_price = fill.price if kept else ZERO
        if not kept:
            self.opened_ns = 0
        elif before * kept <= 0:
            self.opened_ns = fill.ts_ns
        self.quantity = kept
        return gain

    def __repr__(self) -> str:
        return (
            f"<Position {self.strategy} {self.quantity} {self.instrument} at {self.average_price}>"
        )


class Ledger:
    """Every position of the runtime."""

    def __init__(self) -> None:
        self._positions: dict[tuple[StrategyName, InstrumentId], Position] = {}

    def position(self, strategy: StrategyName, instrument: InstrumentId) -> Position:
        """Return a strategy's position, flat where it never traded."""
        position = self._positions.get((strategy, instrument))
        if position is None:
            position = self._positions[strategy, instrument] = Position(strategy, instrument)
        return position

    def __iter__(self) -> Iterator[Position]:
        return iter(self._positions.values())

    def open(self) -> list[Position]:
        """Return the positions that are not flat, in the order of their first fill."""
        return [p for p in self._positions.values() if p.quantity]
