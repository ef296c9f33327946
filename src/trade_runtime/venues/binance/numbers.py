"""Numbers as Binance writes them, without any I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec

MAX_MS: Final = 4_102_444_800_000
"""The year 2100: a time beyond is none, and would not fit where times are kept."""

Ms = Annotated[int, msgspec.Meta(ge=0, le=MAX_MS)]
"""A time in milliseconds since the Unix epoch."""

Id = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
"""Of an order or a trade; -1 for none."""


def plain(number: Decimal) -> Decimal:
    """Return `number` without trailing zeros and without an exponent: 0.01000000 as 0.01."""
    short = number.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short
