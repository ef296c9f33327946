"""Kraken's times, without any I/O: RFC 3339 on the WebSocket, seconds with a fraction over REST."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from trade_runtime.errors import VenueError
from trade_runtime.venues.wire.payload import excerpt

NS_PER_SEC: Final = 1_000_000_000

_STAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_LAST_NS: Final = 4_102_444_800 * NS_PER_SEC  # the year 2100: what is later is no time


def ns_of(stamp: str) -> int:
    """Return nanoseconds since the Unix epoch of `2023-10-06T17:35:55.440295Z`.

    Raises:
        VenueError: it is no such time.
    """
    match = _STAMP.fullmatch(stamp)
    if match is None:
        raise VenueError(f"Kraken sent a time that is none: {excerpt(stamp)}")
    whole, fraction, zone = match.groups()
    try:
        at = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        raise VenueError(f"Kraken sent a time that is none: {excerpt(stamp)}") from None
    at_ns = (at - _EPOCH) // _SECOND * NS_PER_SEC + int((fraction or "").ljust(9, "0"))
    return _checked(at_ns, stamp)


def ns_of_secs(secs: Decimal) -> int:
    """Return nanoseconds since the Unix epoch of seconds since then, with a fraction.

    Raises:
        VenueError: it is no such time.
    """
    if not secs.is_finite() or secs.adjusted() > 12:
        raise VenueError(f"Kraken sent a time that is none: {excerpt(str(secs))}")
    return _checked(int(secs * NS_PER_SEC), str(secs))


def _checked(at_ns: int, shown: str) -> int:
    if not 0 <= at_ns <= _LAST_NS:
        raise VenueError(f"Kraken sent a time that is none: {excerpt(shown)}")
    return at_ns


def stamp_of(at_ns: int) -> str:
    """Return a time as Kraken takes it, to the millisecond: `2023-10-06T17:35:55.440Z`."""
    at = _EPOCH + timedelta(microseconds=at_ns // 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
