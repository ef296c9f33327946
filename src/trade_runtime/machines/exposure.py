"""What the live orders could do to the positions, kept up to date by plain sums.

For each instrument: how much every strategy's long and short positions add up to, and what is still
to be filled of live entry orders on each side, whatever their state. An order that is pending, sent
or unknown counts in full: at its worst. An order that ended counts for the fills that the venue made
and did not tell yet: until they are booked they are in no position.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from trade_runtime.machines.order import Order
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.orders import ZERO, Side


class Exposure:
    """Sums over live orders and positions; constant work for each change."""

    def __init__(self) -> None:
        self._entries: dict[tuple[InstrumentId, Side], Decimal] = defaultdict(lambda: ZERO)
        self._counted: dict[str, Decimal] = {}
        self._held: dict[tuple[InstrumentId, Side], Decimal] = defaultdict(lambda: ZERO)

    @property
    def live_orders(self) -> int:
        """How many orders are live, protective ones too."""
        return len(self._counted)

    def order_changed(self, order: Order) -> None:
        """Count what is left of an order; nothing once it ended and all its fills are booked."""
        before = self._counted.get(order.id)
        now = None if order.settled else order.outstanding
        if not order.spec.protective:
            key = order.spec.instrument, order.spec.side
            self._entries[key] += (now or ZERO) - (before or ZERO)
        if now is None:
            self._counted.pop(order.id, None)
        else:
            self._counted[order.id] = now

    def position_changed(self, instrument: InstrumentId, before: Decimal, after: Decimal) -> None:
        """Count a strategy's position that went from `before` to `after`."""
        self._held[instrument, Side.BUY] += max(after, ZERO) - max(before, ZERO)
        self._held[instrument, Side.SELL] += max(-after, ZERO) - max(-before, ZERO)

    def worst(self, instrument: InstrumentId, side: Side) -> Decimal:
        """Return the largest position on `side` that fills of live orders could lead to.

        Positions of the other side give no room, because each keeps a protective stop that may fill
        in the same moment: so no interleaving of fills exceeds this sum.
        """
        return self._held[instrument, side] + self._entries[instrument, side]
