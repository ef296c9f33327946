"""Orders of one kind and side, sorted by how soon the market can reach them. Plain values."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from trade_runtime.venues.paper.orders import PaperOrder


class Levels:
    """Orders by price, then by priority.

    Args:
        high_first: the highest price is the nearest to the market, else the lowest is.
    """

    __slots__ = ("_high_first", "_keys", "_orders")

    def __init__(self, *, high_first: bool) -> None:
        self._high_first = high_first
        self._keys: list[tuple[Decimal, int]] = []
        self._orders: dict[int, PaperOrder] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, order: PaperOrder) -> bool:
        return self._orders.get(order.priority) is order

    def __iter__(self) -> Iterator[PaperOrder]:
        """Give the orders, the nearest to the market first."""
        return iter([self._orders[priority] for _, priority in self._keys])

    def add(self, price: Decimal, order: PaperOrder) -> None:
        """Put `order` in its place."""
        insort(self._keys, self._key(price, order))
        self._orders[order.priority] = order

    def remove(self, price: Decimal, order: PaperOrder) -> None:
        """Take `order` out."""
        del self._keys[bisect_left(self._keys, self._key(price, order))]
        del self._orders[order.priority]

    def first(self) -> PaperOrder | None:
        """Return the order nearest to the market, the eldest of its price."""
        return self._orders[self._keys[0][1]] if self._keys else None

    def edge(self, default: float) -> float:
        """Return the price nearest to the market, or `default` where there is none."""
        return abs(float(self._keys[0][0])) if self._keys else default

    def _key(self, price: Decimal, order: PaperOrder) -> tuple[Decimal, int]:
        return (price.copy_negate() if self._high_first else price, order.priority)
