"""Exact money: products and sums of decimals that are never rounded, and the one fee rule.

Values only. A product of two numbers of up to 15 digits needs 30, more than Python's default
context keeps, so everything here is computed in a context of its own that would raise, not round.
"""

from __future__ import annotations

import decimal
from decimal import Decimal

from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ZERO

FEE_STEP = Decimal("0.00000001")
"""Fees and what contracts settle are whole multiples of this; fees are rounded down."""

ONE = Decimal(1)

_EXACT = decimal.Context(prec=80, traps=[decimal.Inexact, decimal.InvalidOperation])
_FLOOR = decimal.Context(prec=80, rounding=decimal.ROUND_DOWN)
_CEILING = decimal.Context(prec=80, rounding=decimal.ROUND_CEILING)
_HALF = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_EVEN)


times, plus, minus = _EXACT.multiply, _EXACT.add, _EXACT.subtract
"""The exact product, sum and difference of two numbers."""


def rate_of(fee_bps: Decimal) -> Decimal:
    """Return a fee in hundredths of a percent as a share."""
    return fee_bps.scaleb(-4)


def fee_of(notional: Decimal, rate: Decimal) -> Decimal:
    """Return the fee on `notional`, rounded towards zero to `FEE_STEP`; below zero for a rebate.

    Rounding down makes the fees of the parts of an order never exceed the fee of the whole, so what
    a resting order locks always pays for its fills, in however many parts they come.
    """
    if not rate:
        return ZERO
    return _FLOOR.quantize(times(notional, rate), FEE_STEP)


def cost(notional: Decimal, rate: Decimal) -> Decimal:
    """Return what a buy for `notional` takes from the quote currency, fee included."""
    return plus(notional, fee_of(notional, rate))


def settled(amount: Decimal) -> Decimal:
    """Return what an account is credited or debited with: a whole multiple of `FEE_STEP`."""
    return _HALF.quantize(amount, FEE_STEP)


def up(amount: Decimal) -> Decimal:
    """Return `amount` rounded up to a whole multiple of `FEE_STEP`."""
    return _CEILING.quantize(amount, FEE_STEP)


def affordable(instrument: Instrument, funds: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Return the largest multiple of the lot that `funds` pay for at `price`, fee included."""
    quantity = instrument.round_quantity(_FLOOR.divide(funds, times(price, plus(ONE, rate))))
    # The fee is rounded down, so one lot more may still be paid for.
    more = plus(quantity, instrument.lot)
    return more if cost(times(more, price), rate) <= funds else quantity
