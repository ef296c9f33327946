"""The live orders that end on a date, the next first. Plain values."""

from __future__ import annotations

from bisect import bisect_left, insort

from trade_runtime.venues.paper.orders import PaperOrder


class Dates:
    """Live orders of `GTD`."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int]] = []
        self._orders: dict[int, PaperOrder] = {}
        self.next_ns: int | None = None
        """When the next of them ends; None where there is none."""

    def add(self, order: PaperOrder) -> None:
        """Keep an order in mind."""
        insort(self._keys, (order.spec.expire_ns, order.seq))
        self._orders[order.seq] = order
        self.next_ns = self._keys[0][0]

    def remove(self, order: PaperOrder) -> None:
        """Forget an order, if it is known."""
        if self._orders.pop(order.seq, None) is not None:
            del self._keys[bisect_left(self._keys, (order.spec.expire_ns, order.seq))]
            self.next_ns = self._keys[0][0] if self._keys else None

    def due(self, now_ns: int) -> list[PaperOrder]:
        """Return those whose date has come by `now_ns`, the eldest date first."""
        found = []
        for expire_ns, seq in self._keys:
            if expire_ns > now_ns:
                break
            found.append(self._orders[seq])
        return found
