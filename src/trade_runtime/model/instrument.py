"""An instrument, and the one home of the conversion between floats, exact numbers and text."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Literal

import attrs

from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.orders import ZERO

FLOAT_DIGITS = 15
"""A decimal number of up to 15 significant digits survives the way to a float and back (IEEE
754)."""


InstrumentKind = Literal["spot", "linear"]


class OffGrid(ValueError):
    """A price is not on the tick or a quantity is not a multiple of the lot; the text says
    which.
    """


@lru_cache(maxsize=65_536)
def _of_float(value: float) -> Decimal:
    """The shortest text of a float as a Decimal. Prices come again and again: they are kept."""
    return Decimal(repr(value))


def exact(value: Decimal | float | int | str) -> Decimal:
    """Return `value` as a Decimal; a float is taken by its shortest text, so 0.1 is exactly 0.1.

    Raises:
        ValueError: it is not a finite number.
    """
    try:
        if type(value) is float:
            number = _of_float(value)
        else:
            number = value if type(value) is Decimal else Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def text(number: Decimal) -> str:
    """Return a number without an exponent and without idle zeros.

    The exponent of a sum tells how its parts were written: filled in two parts, 0.25 is 0.2500.
    Whoever reads a report is told one quantity in one way.
    """
    plain = f"{number:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain == "-0" else plain


@attrs.frozen
class Instrument:
    """What a venue says of a symbol it trades.

    Attributes:
        id: `SYMBOL.VENUE`.
        base: what is bought and sold.
        quote: what it is paid with.
        tick: the smallest step of a price, in the quote currency.
        lot: the smallest step of a quantity, in the base currency.
        min_quantity: the smallest quantity of an order.
        max_quantity: the largest, or None.
        min_notional: the smallest price times quantity, or 0.
        max_price: the largest price, or None.
        kind: what a position is: `spot` is the base currency itself, `linear` a contract on it
            whose profit is paid in the quote currency.
        multiplier: how much of the base currency one unit of a contract stands for; 1 for spot.
    """

    id: InstrumentId
    base: Currency
    quote: Currency
    tick: Decimal
    lot: Decimal
    min_quantity: Decimal = ZERO
    max_quantity: Decimal | None = None
    min_notional: Decimal = ZERO
    max_price: Decimal | None = None
    kind: InstrumentKind = "spot"
    multiplier: Decimal = Decimal(1)

    def __attrs_post_init__(self) -> None:
        """Refuse an instrument whose numbers a float could not carry without loss."""
        for name, step, largest in (
            ("tick", self.tick, self.max_price),
            ("lot", self.lot, self.max_quantity),
        ):
            if not (step.is_finite() and step > 0):
                raise ValueError(f"{self.id}: {name} {step} must be above 0")
            if largest is not None and len(str(int(largest / step))) > FLOAT_DIGITS:
                raise ValueError(
                    f"{self.id}: numbers up to {largest} in steps of {step} need more than"
                    f" {FLOAT_DIGITS} digits; market data could not carry them exactly"
                )

    def price(self, value: Decimal | float | int | str) -> Decimal:
        """Return `value` as an exact price.

        Raises:
            OffGrid: it is not above 0 or not on the tick.
        """
        price = exact(value)
        self.check_price(price)
        return price

    def check_price(self, price: Decimal) -> None:
        """Look at a number that is exact already, as `price` does.

        Raises:
            OffGrid: it is not above 0 or not on the tick.
        """
        if price <= ZERO or price % self.tick:
            raise OffGrid(f"price {price} of {self.id} is not a positive multiple of {self.tick}")

    def quantity(self, value: Decimal | float | int | str) -> Decimal:
        """Return `value` as an exact quantity.

        Raises:
            OffGrid: it is not above 0, not a multiple of the lot, or outside the venue's bounds.
        """
        quantity = exact(value)
        self.check_quantity(quantity)
        return quantity

    def check_quantity(self, quantity: Decimal) -> None:
        """Look at a number that is exact already, as `quantity` does.

        Raises:
            OffGrid: it is not above 0, not a multiple of the lot, or outside the venue's bounds.
        """
        if quantity <= ZERO or quantity % self.lot:
            raise OffGrid(
                f"quantity {quantity} of {self.id} is not a positive multiple of {self.lot}"
            )
        if quantity < self.min_quantity:
            raise OffGrid(f"quantity {quantity} of {self.id} is below {self.min_quantity}")
        if self.max_quantity is not None and quantity > self.max_quantity:
            raise OffGrid(f"quantity {quantity} of {self.id} is above {self.max_quantity}")

    def round_price(self, value: Decimal | float | int | str, *, up: bool) -> Decimal:
        """Return the nearest price on the tick at or above (`up`) or at or below `value`."""
        return _round_to(exact(value), self.tick, up=up)

    def round_quantity(self, value: Decimal | float | int | str) -> Decimal:
        """Return the largest multiple of the lot that is not above `value`."""
        return _round_to(exact(value), self.lot, up=False)


def _round_to(number: Decimal, step: Decimal, *, up: bool) -> Decimal:
    steps = number // step
    if up and steps * step != number:
        steps += 1
    return steps * step
