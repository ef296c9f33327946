"""What Binance's answers mean, without any I/O: which refusals are certain, and which are not.

An order whose fate is in doubt must never be taken for refused. So an answer is a refusal only
where Binance itself says so: a 4xx of HTTP with a code of its own that is not among those that it
documents as "unknown". All else (5xx, a page of a proxy, a shape that we do not know) leaves the
outcome open.

Source: "Errors", https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

import msgspec

from trade_runtime.errors import VenueError, VenueRefused
from trade_runtime.venues.wire.payload import Reader, excerpt

BINANCE: Final = Reader("Binance")
"""Reads what it sends."""

TOO_MANY: Final = (429, 418)
SYMBOL_UNKNOWN: Final = (-1121, -1100)
"""Invalid symbol; illegal characters in a parameter, as in a symbol that cannot exist."""


class Code(IntEnum):
    """Binance's own codes of errors that are more than a refusal."""

    UNKNOWN = -1000
    DISCONNECTED = -1001
    UNEXPECTED_RESPONSE = -1006
    TIMEOUT = -1007
    OVERLOADED = -1008
    TOO_MANY_ORDERS = -1015
    SHUTTING_DOWN = -1016
    CLOCK = -1021
    """Our timestamp is outside the window that Binance allows."""
    NO_SUCH_ORDER = -2013
    ARCHIVED = -2026
    """An order that ended over 90 days ago without a fill; Binance has put it away."""


UNCERTAIN: Final = frozenset(
    {
        Code.UNKNOWN,
        Code.DISCONNECTED,
        Code.UNEXPECTED_RESPONSE,
        Code.TIMEOUT,
        Code.OVERLOADED,
        Code.SHUTTING_DOWN,
    }
)
"""By Binance's own words, or for want of them, the request may have been carried out."""


class _Error(msgspec.Struct):
    code: int
    msg: str = ""


_error = msgspec.json.Decoder(_Error)


class RestRefused(VenueError):
    """Binance answered with an error.

    Attributes:
        status: of HTTP.
        code: Binance's own, or None.
    """

    def __init__(self, text: str, status: int, code: int | None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code

    @property
    def symbol_unknown(self) -> bool:
        """It refused because there is no such symbol."""
        return self.status == 400 and self.code in SYMBOL_UNKNOWN

    @property
    def certain(self) -> bool:
        """What was asked for was not done, and will not be."""
        return certain(self.status, self.code)


def certain(status: int, code: int | None) -> bool:
    """Whether an error of this status and code says that nothing was done."""
    if status in TOO_MANY:
        return True  # the limiter stands before everything else
    return 400 <= status < 500 and code is not None and code not in UNCERTAIN


@contextmanager
def order_entry() -> Iterator[None]:
    """Turn a certain refusal into `VenueRefused`; all other errors leave as they are.

    Raises:
        VenueRefused: Binance said no, for certain.
    """
    try:
        yield
    except RestRefused as refused:
        if refused.certain:
            raise VenueRefused(str(refused)) from None
        raise


def decode_error(body: bytes) -> tuple[int, str] | None:
    """Return Binance's own code and message of a refused request, or None where it gives none."""
    try:
        error = _error.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return error.code, excerpt(error.msg)
