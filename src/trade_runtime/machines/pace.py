"""How fast orders come: so many in a second and in a minute, and the same one twice.

A part of the risk gate. Each window is the last `limit` moments and no more, so a look at it costs
the same however many orders there were. Moments are of the runtime's clock; those that lie in the
future, because that clock was set back, count no more.
"""

from __future__ import annotations

from collections import deque

from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.orders import OrderSpec, OrderType, Side

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS

MAX_REMEMBERED = 10_000
"""Orders that are remembered to know a duplicate by; the oldest are forgotten."""

_Likeness = tuple[StrategyName, InstrumentId, Side, OrderType, object, object, object]


class Window:
    """A bound on how many moments may lie within a time.

    Args:
        limit: how many, 1 or more.
        length_ns: within how long.
    """

    def __init__(self, limit: int, length_ns: int) -> None:
        self.limit = limit
        self._length_ns = length_ns
        self._last: deque[int] = deque(maxlen=limit)

    def add(self, now_ns: int) -> None:
        """Count a moment; it is taken also where the window is full."""
        self._last.append(now_ns)

    def full(self, now_ns: int) -> bool:
        """Tell whether `limit` moments lie within the time that ends now."""
        last = self._last
        return len(last) == self.limit and 0 <= now_ns - last[0] < self._length_ns

    def clear(self) -> None:
        """Forget every moment."""
        self._last.clear()


class Pace:
    """The pace of orders and cancels.

    Args:
        per_sec: orders and cancels in a second; None for no limit.
        per_min: the same in a minute.
        duplicate_secs: how long an order keeps an identical one out; 0 for not at all.
    """

    def __init__(self, per_sec: int | None, per_min: int | None, duplicate_secs: float) -> None:
        self._windows = [
            (name, Window(limit, length_ns))
            for name, limit, length_ns in (
                ("max_orders_per_sec", per_sec, SECOND_NS),
                ("max_orders_per_min", per_min, MINUTE_NS),
            )
            if limit is not None
        ]
        self._duplicate_ns = round(duplicate_secs * SECOND_NS)
        self.limited = bool(self._windows or self._duplicate_ns)
        """There is a limit, so that orders and cancels are to be counted."""
        self._seen: dict[_Likeness, int] = {}

    def too_fast(self, now_ns: int) -> str | None:
        """Return which limit one more order would break, in words, or None."""
        for name, window in self._windows:
            if window.full(now_ns):
                what = "second" if name.endswith("sec") else "minute"
                return f"{window.limit} orders and cancels within a {what}: {name} {window.limit}"
        return None

    def repeated(self, order: OrderSpec) -> str | None:
        """Return in words that an identical order passed a moment ago, or None."""
        seen_ns = self._seen.get(_likeness(order))
        if seen_ns is None or not 0 <= order.created_ns - seen_ns < self._duplicate_ns:
            return None
        return (
            f"an identical order passed {(order.created_ns - seen_ns) / 1e9:.3f} s ago:"
            f" duplicate_secs {self._duplicate_ns / 1e9:g}"
        )

    def count(self, now_ns: int) -> None:
        """Count an order or a cancel."""
        for _, window in self._windows:
            window.add(now_ns)

    def remember(self, order: OrderSpec) -> None:
        """Count an order, and keep an identical one out from now on."""
        self.count(order.created_ns)
        if self._duplicate_ns:
            likeness = _likeness(order)
            self._seen.pop(likeness, None)  # so that the dict stays in the order of the moments
            self._seen[likeness] = order.created_ns
            if len(self._seen) > MAX_REMEMBERED:
                del self._seen[next(iter(self._seen))]


def _likeness(order: OrderSpec) -> _Likeness:
    return (
        order.strategy,
        order.instrument,
        order.side,
        order.type,
        order.quantity,
        order.price,
        order.trigger_price,
    )
