"""The two ids of a conditional order, without any I/O.

A conditional order that triggers becomes an ordinary order with an id of its own, and Binance does
not promise under which client id. Its fills and its end belong to the one order that we placed, so
the second id is kept beside our name for it, from whoever tells first: the private stream or an
answer. Bounded: the oldest are forgotten, and asked for again.
"""

from __future__ import annotations

from typing import Final

from trade_runtime.model.ids import ClientOrderId

MAX_TWINS: Final = 10_000
"""Ids that are kept: more than an account may have conditional orders in days."""


class Twins:
    """Knows which ordinary order is whose."""

    def __init__(self) -> None:
        self._names: dict[int, ClientOrderId] = {}
        self._actual: dict[ClientOrderId, int] = {}

    def learn(self, order_id: int, name: str) -> bool:
        """Keep that a conditional order became this ordinary one; return whether it is news."""
        if order_id in self._names:
            return False
        if len(self._names) >= MAX_TWINS:
            oldest = next(iter(self._names))
            self._actual.pop(self._names.pop(oldest), None)
        self._names[order_id] = ClientOrderId(name)
        self._actual[ClientOrderId(name)] = order_id
        return True

    def knows(self, order_id: int) -> bool:
        """It is known to have been a conditional order."""
        return order_id in self._names

    def name_of(self, order_id: int, told: str) -> ClientOrderId:
        """Return our name of an ordinary order, told under that client id."""
        return self._names.get(order_id) or ClientOrderId(told)

    def actual_of(self, name: ClientOrderId) -> int | None:
        """Return the id of the ordinary order that a conditional one became, where it is known."""
        return self._actual.get(name)
