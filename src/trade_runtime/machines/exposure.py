"""What the live orders could do to the positions, kept up to date by plain sums.

For each instrument: how much every strategy's long and short positions add up to, and what is still
to be filled of live entry orders on each side, whatever their state. An order that is pending, sent
or unknown counts in full, and one that is being amended with the larger quantity: at its worst. One
that is held for another's fill counts for nothing until it is released. An order that ended counts
for the fills that the venue made and did not tell yet: until they are booked they are in no
position. A protective stop counts as far as it goes beyond the position that it closes: one whose
position went away by another order may still fill, and open one.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from trade_runtime.machines.order import Order
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.orders import SIDES, ZERO, OrderSpec, Side

_Own = tuple[StrategyName, InstrumentId, Side]


class Exposure:
    """Sums over live orders and positions; constant work for each change."""

    def __init__(self) -> None:
        self._entries: dict[tuple[InstrumentId, Side], Decimal] = defaultdict(lambda: ZERO)
        self._counted: dict[str, Decimal] = {}
        self._stops: dict[_Own, Decimal] = {}
        self._positions: dict[tuple[StrategyName, InstrumentId], Decimal] = {}
        # Of a strategy on a side: its position there, or what its stops could make of it.
        self._own: dict[_Own, Decimal] = {}
        self._held: dict[tuple[InstrumentId, Side], Decimal] = defaultdict(lambda: ZERO)
        # Of a strategy on a side: what is still to be filled of its entry orders.
        self._own_entries: dict[_Own, Decimal] = defaultdict(lambda: ZERO)

    @property
    def live_orders(self) -> int:
        """How many orders are live, protective ones too."""
        return len(self._counted)

    def order_changed(self, order: Order) -> None:
        """Count what is left of an order; nothing once it ended and all its fills are booked."""
        spec = order.spec
        before = self._counted.get(spec.client_order_id)
        if order.settled:
            if before is None:
                return
            del self._counted[spec.client_order_id]
            change = -before
        else:
            now = order.outstanding
            if now == before:
                return
            self._counted[spec.client_order_id] = now
            change = now if before is None else now - before
        if not change:
            return
        if spec.protective:
            key = spec.strategy, spec.instrument, spec.side
            self._stops[key] = self._stops.get(key, ZERO) + change
            self._recount(*key)
        else:
            self._entries[spec.instrument, spec.side] += change
            self._own_entries[spec.strategy, spec.instrument, spec.side] += change

    def position_changed(
        self, strategy: StrategyName, instrument: InstrumentId, quantity: Decimal
    ) -> None:
        """Count a strategy's position, which now is `quantity`."""
        self._positions[strategy, instrument] = quantity
        for side in SIDES:
            key = strategy, instrument, side
            # Most often there is nothing on one side, before and after.
            if key in self._stops or self._own.get(key) or (quantity > 0) is (side is Side.BUY):
                self._recount(strategy, instrument, side)

    def _recount(self, strategy: StrategyName, instrument: InstrumentId, side: Side) -> None:
        key = strategy, instrument, side
        now = self._reach(key, self._stops.get(key, ZERO))
        before = self._own.get(key, ZERO)
        if now != before:
            self._held[instrument, side] += now - before
            self._own[key] = now

    def _reach(self, key: _Own, stops: Decimal) -> Decimal:
        strategy, instrument, side = key
        position = self._positions.get((strategy, instrument), ZERO)
        reach = (position if side is Side.BUY else -position) + stops
        return reach if reach > 0 else ZERO

    def worst(self, instrument: InstrumentId, side: Side) -> Decimal:
        """Return the largest position on `side` that fills of live orders could lead to.

        Positions of the other side give no room, because each keeps a protective stop that may fill
        in the same moment: so no interleaving of fills exceeds this sum.
        """
        return self._held[instrument, side] + self._entries[instrument, side]

    def worst_with(self, spec: OrderSpec) -> Decimal:
        """Return what `worst` would be on the side of an order that is asked for."""
        worst = self.worst(spec.instrument, spec.side)
        if not spec.protective:
            return worst + spec.quantity
        key = spec.strategy, spec.instrument, spec.side
        return (
            worst
            + self._reach(key, self._stops.get(key, ZERO) + spec.quantity)
            - self._own.get(key, ZERO)
        )

    def closes(self, spec: OrderSpec) -> bool:
        """Tell whether an order by itself can only make its strategy's position smaller."""
        position = self._positions.get((spec.strategy, spec.instrument), ZERO)
        return spec.quantity <= -spec.side.sign * position

    def reduces(self, spec: OrderSpec) -> bool:
        """Tell whether an order only makes its strategy's position smaller, together with all of
        that strategy's entry orders on its side that are live: so that two which close the same
        position do not turn it over.
        """
        position = self._positions.get((spec.strategy, spec.instrument), ZERO)
        coming = self._own_entries.get((spec.strategy, spec.instrument, spec.side), ZERO)
        return spec.quantity + coming <= -spec.side.sign * position
