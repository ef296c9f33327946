"""What an exchange lets us send, and who goes first when it is not enough. Sans-I/O.

Every exchange counts what it is asked, and shuts out who asks for too much; that must never happen
to the cancel or the stop-loss that a position depends on. So a part of every limit, `RESERVE`, is
kept for what is urgent: cancels, protective orders, and the questions that recovery needs.

The exchange's own count wins over ours wherever it tells it (`Window.told`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

RESERVE: Final = 0.25
"""The share of each limit that only urgent requests may use."""


class Limit(Protocol):
    """One thing that an exchange counts."""

    name: str

    def wait_secs(self, cost: float, now: float, *, urgent: bool) -> float:
        """Return how long until `cost` may be spent; 0 for now, infinity for never."""

    def spend(self, cost: float, now: float) -> None:
        """Count what is sent now."""


class Window:
    """So much in each stretch of time, as Binance counts: all is forgotten when the next begins.

    Args:
        name: of the limit.
        capacity: how much in one stretch.
        secs: how long a stretch is; stretches are aligned to the exchange's clock, of which this
            one knows only what it was told, so it begins a stretch with the first request.
    """

    def __init__(self, name: str, capacity: float, secs: float) -> None:
        self.name = name
        self.capacity = capacity
        self.secs = secs
        self._used = 0.0
        self._heard = 0.0
        self._began = -math.inf

    def _turn(self, now: float) -> None:
        if now >= self._began + self.secs:
            self._began, self._used = now, 0.0

    def wait_secs(self, cost: float, now: float, *, urgent: bool) -> float:
        """Return how long until `cost` may be spent."""
        self._turn(now)
        capacity = self.capacity if urgent else self.capacity * (1 - RESERVE)
        if cost > capacity:
            return math.inf
        return 0.0 if self._used + cost <= capacity else self._began + self.secs - now

    def spend(self, cost: float, now: float) -> None:
        """Count what is sent now."""
        self._turn(now)
        self._used += cost

    def told(self, used: float, now: float) -> None:
        """Take the exchange's own count of the stretch that runs now.

        A smaller one than ours means that a stretch of the exchange's has begun since, or that
        requests of ours are still on their way; what is on its way was counted when it left, and
        counting it for a stretch too long only makes us slower.
        """
        self._turn(now)
        if used < self._heard - self.capacity * RESERVE:
            # It counts up within a stretch: it has begun the next, sooner than we had reckoned.
            # By less the count may fall where an answer overtakes another.
            self._began, self._used = now, used
        else:
            self._used = max(self._used, used)
        self._heard = used


class Leak:
    """A counter that goes down with time, as Kraken counts: each request adds to it.

    Args:
        name: of the limit.
        capacity: above which the exchange refuses.
        per_sec: how much it goes down in a second.
    """

    def __init__(self, name: str, capacity: float, per_sec: float) -> None:
        self.name = name
        self.capacity = capacity
        self.per_sec = per_sec
        self._level = 0.0
        self._at = -math.inf

    def level(self, now: float) -> float:
        """Return where the counter stands."""
        if self._level:
            self._level = max(0.0, self._level - (now - self._at) * self.per_sec)
        self._at = now
        return self._level

    def wait_secs(self, cost: float, now: float, *, urgent: bool) -> float:
        """Return how long until `cost` may be spent."""
        capacity = self.capacity if urgent else self.capacity * (1 - RESERVE)
        if cost > capacity:
            return math.inf
        return max(0.0, (self.level(now) + cost - capacity) / self.per_sec)

    def spend(self, cost: float, now: float) -> None:
        """Count what is sent now."""
        self._level = self.level(now) + cost

    def told(self, level: float, now: float) -> None:
        """Take the exchange's own count."""
        self._level = max(self.level(now), level)


class Budget:
    """All the limits of one account, and the exchange's word to be silent.

    Args:
        limits: that are known; `limits` may be changed when the exchange tells its own.
    """

    def __init__(self, limits: Sequence[Limit] = ()) -> None:
        self.limits: dict[str, Limit] = {limit.name: limit for limit in limits}
        self.closed_until = -math.inf
        """Until when nothing may be sent at all: it said so (429, 418, Retry-After)."""
        self.spent: dict[str, float] = {}
        """All that was ever spent, by limit."""

    def close(self, until: float) -> None:
        """Send nothing until then, urgent or not: going on would turn a pause into a ban."""
        self.closed_until = max(self.closed_until, until)

    def take(self, costs: Mapping[str, float], now: float, *, urgent: bool) -> float:
        """Spend `costs`, by limit, and return 0; or spend nothing and return how long to wait.

        A limit that nobody told of costs nothing. Infinity means that the request is larger than
        the whole limit.
        """
        waits = [self.closed_until - now]
        known = [(self.limits[name], cost) for name, cost in costs.items() if name in self.limits]
        waits += [limit.wait_secs(cost, now, urgent=urgent) for limit, cost in known]
        wait_secs = max(waits)
        if wait_secs > 0:
            return wait_secs
        for limit, cost in known:
            limit.spend(cost, now)
            self.spent[limit.name] = self.spent.get(limit.name, 0.0) + cost
        return 0.0
