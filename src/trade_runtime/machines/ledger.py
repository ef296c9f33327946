"""Positions: a fold of fills, in exact decimals.

A position belongs to the strategy whose fills made it. Its average price is that of what is open;
closing a part of it realises profit against that average. Fees are kept by currency and are not in
the average price.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from trade_runtime.model.events import Fill
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName
from trade_runtime.model.orders import ZERO


class Position:
    """What a strategy holds of an instrument; below zero when it sold more than it bought."""

    __slots__ = (
        "average_price",
        "fees",
        "instrument",
        "opened_ns",
        "quantity",
        "realised",
        "strategy",
    )

    def __init__(self, strategy: StrategyName, instrument: InstrumentId) -> None:
        self.strategy = strategy
        self.instrument = instrument
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
        return (price - self.average_price) * self.quantity

    def apply(self, fill: Fill) -> None:
        """Take a fill."""
        self.fees[fill.fee_currency] = self.fees.get(fill.fee_currency, ZERO) + fill.fee
        before = self.quantity
        after = before + fill.side.sign * fill.quantity
        if before * fill.side.sign >= 0:  # opening, or adding to it
            cost = abs(before) * self.average_price + fill.quantity * fill.price
            self.average_price = cost / abs(after)
        else:
            closed = min(abs(before), fill.quantity)
            gain = (fill.price - self.average_price) * closed
            self.realised += gain if before > 0 else -gain
            if after * before < 0:  # through zero: what is left opened at this price
                self.average_price = fill.price
            elif not after:
                self.average_price = ZERO
        if not after:
            self.opened_ns = 0
        elif before * after <= 0:
            self.opened_ns = fill.ts_ns
        self.quantity = after

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
        key = strategy, instrument
        if key not in self._positions:
            self._positions[key] = Position(strategy, instrument)
        return self._positions[key]

    def apply(self, strategy: StrategyName, fill: Fill) -> Position:
        """Book a fill to its strategy."""
        position = self.position(strategy, fill.instrument)
        position.apply(fill)
        return position

    def __iter__(self) -> Iterator[Position]:
        return iter(self._positions.values())

    def open(self) -> list[Position]:
        """Return the positions that are not flat, in the order of their first fill."""
        return [p for p in self._positions.values() if p.quantity]
