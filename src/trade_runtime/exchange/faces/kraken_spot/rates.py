"""Kraken's limits as it enforces them: counters that go down with time.

A pair's counter takes orders, amends and cancels, a young order's cancel most of all; the REST
API's takes questions. An order or amend above the limit is refused; a cancel never is, but counts.
"""

from __future__ import annotations

from typing import Final

import trio

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.faces.kraken_spot.words import Wrong

TRADING: Final = {"starter": (60.0, 1.0), "intermediate": (125.0, 2.34), "pro": (180.0, 3.75)}
"""How much in each pair, and how fast it goes down in a second, by tier."""

CALLS: Final = {"starter": (15.0, 0.33), "intermediate": (20.0, 0.5), "pro": (20.0, 1.0)}
"""The same of the REST API."""

CANCEL: Final = ((5, 8.0), (10, 6.0), (15, 5.0), (45, 4.0), (90, 2.0), (300, 1.0))
"""What a cancel counts, of an order younger than so many seconds."""

AMEND: Final = ((5, 3.0), (10, 2.0), (15, 1.0))
"""What an amend counts beside 1."""

COSTLY: Final = ("TradesHistory", "Ledgers", "QueryLedgers")
FREE: Final = (
    "AddOrder",
    "AmendOrder",
    "CancelOrder",
    "CancelOrderBatch",
    "CancelAll",
    "CancelAllOrdersAfter",
)


class _Counter:
    def __init__(self, capacity: float, per_sec: float) -> None:
        self._capacity = capacity
        self._per_sec = per_sec
        self._level = 0.0
        self._at = trio.current_time()

    def add(self, cost: float) -> bool:
        """Count; return whether it is too much."""
        now = trio.current_time()
        self._level = max(0.0, self._level - (now - self._at) * self._per_sec) + cost
        self._at = now
        return self._level > self._capacity

    def take(self, cost: float) -> bool:
        """Count what there is room for; return whether there is none."""
        if not self.add(cost):
            return False
        self._level -= cost
        return True


class Rates:
    """The counters of an account.

    Args:
        tier: `starter`, `intermediate` or `pro`.

    Raises:
        ConfigError: it is none of these.
    """

    def __init__(self, tier: str) -> None:
        if tier not in TRADING:
            raise ConfigError(f"--option tier={tier}: must be one of {', '.join(TRADING)}")
        self._tier = tier
        self._calls = _Counter(*CALLS[tier])
        self._pairs: dict[str, _Counter] = {}

    def call(self, method: str) -> None:
        """Count a request to REST.

        Raises:
            Wrong: it is one too many.
        """
        if method in FREE:
            return
        if self._calls.take(2.0 if method in COSTLY else 1.0):
            raise Wrong("EAPI:Rate limit exceeded")

    def add(self, symbol: str) -> None:
        """Count a new order.

        Raises:
            Wrong: it is one too many.
        """
        self._count(symbol, 1.0)

    def amend(self, symbol: str, age_secs: float) -> None:
        """Count an amend.

        Raises:
            Wrong: it is one too many.
        """
        self._count(symbol, 1.0 + _of_age(AMEND, age_secs))

    def cancel(self, symbol: str, age_secs: float) -> None:
        """Count a cancel."""
        self._pair(symbol).add(_of_age(CANCEL, age_secs))

    def _count(self, symbol: str, cost: float) -> None:
        if self._pair(symbol).add(cost):
            raise Wrong("EOrder:Rate limit exceeded")

    def _pair(self, symbol: str) -> _Counter:
        if symbol not in self._pairs:
            self._pairs[symbol] = _Counter(*TRADING[self._tier])
        return self._pairs[symbol]


def _of_age(costs: tuple[tuple[int, float], ...], age_secs: float) -> float:
    return next((cost for secs, cost in costs if age_secs < secs), 0.0)
