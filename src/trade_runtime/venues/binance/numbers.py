"""Numbers as Binance writes them, without any I/O."""

from __future__ import annotations

from decimal import Decimal


def plain(number: Decimal) -> Decimal:
    """Return `number` without trailing zeros and without an exponent: 0.01000000 as 0.01."""
    short = number.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short
