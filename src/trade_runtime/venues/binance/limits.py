"""Binance's rate limits, learned from what it says itself. Sans-I/O.

`exchangeInfo` lists the limits, and every answer counts in its headers what is used of them. A
limit is named as the headers name it: `REQUEST_WEIGHT-1M`, `ORDERS-10S`, `RAW_REQUESTS-5M`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.wire.budget import Budget, Window

WEIGHT: Final = "REQUEST_WEIGHT-"
ORDERS: Final = "ORDERS-"
RAW: Final = "RAW_REQUESTS-"
"""How the names of limits begin: per address, per account, per address."""

_HEADERS: Final = {"x-mbx-used-weight-": WEIGHT, "x-mbx-order-count-": ORDERS}
_SECS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}


class _Limit(msgspec.Struct):
    rateLimitType: str = ""  # noqa: N815
    interval: str = ""
    intervalNum: int = 0  # noqa: N815
    limit: int = 0


class _Info(msgspec.Struct):
    rateLimits: list[_Limit] = []  # noqa: N815


_info = msgspec.json.Decoder(_Info)


def learn(budget: Budget, body: bytes) -> None:
    """Take the limits that an answer of `exchangeInfo` lists; what is used of them stays.

    Kinds and intervals that we do not know are left out.

    Raises:
        VenueError: the answer made no sense.
    """
    for raw in BINANCE.decode(_info, body, "exchangeInfo").rateLimits:
        secs = _SECS.get(raw.interval, 0) * raw.intervalNum
        name = f"{raw.rateLimitType}-{raw.intervalNum}{raw.interval[:1]}"
        if secs <= 0 or raw.limit <= 0 or not name.startswith((WEIGHT, ORDERS, RAW)):
            continue
        known = budget.limits.get(name)
        if isinstance(known, Window):
            known.capacity = raw.limit
        else:
            budget.limits[name] = Window(name, raw.limit, secs)


def hear(budget: Budget, headers: Mapping[str, str], now: float) -> None:
    """Take what the headers of an answer say of the limits that are known."""
    for header, value in headers.items():
        lower = header.lower()
        for prefix, kind in _HEADERS.items():
            if lower.startswith(prefix) and value.isascii() and value.isdigit():
                limit = budget.limits.get(kind + lower.removeprefix(prefix).upper())
                if isinstance(limit, Window):
                    limit.told(float(value[:18]), now)


def exhaust_orders(budget: Budget, now: float) -> None:
    """Take Binance's word that too many orders were sent: no new one until the next stretch."""
    limits = [limit for limit in budget.limits.values() if limit.name.startswith(ORDERS)]
    # The shortest is the one that is used up, as far as one can tell: a day's would end the day.
    for limit in sorted(limits, key=lambda one: getattr(one, "secs", 0.0))[:1]:
        if isinstance(limit, Window):
            limit.told(limit.capacity, now)


def costs(budget: Budget, weight: float, orders: int = 0) -> dict[str, float]:
    """Return what a request takes of each limit that is known.

    Args:
        budget: the limits.
        weight: of the request.
        orders: new orders in it; cancels and queries have none.
    """
    of_kind = {WEIGHT: weight, ORDERS: float(orders), RAW: 1.0}
    taken: dict[str, float] = {}
    for name in budget.limits:
        for kind, cost in of_kind.items():
            if cost and name.startswith(kind):
                taken[name] = cost
    return taken
