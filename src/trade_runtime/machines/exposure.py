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

from decimal import Decimal

from trade_runtime.machines.order import Order
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName
from trade_runtime.model.orders import SIDES, ZERO, OrderSpec, Side


class _Market:
    """Of an instrument, by side: what is still to be filled of all entry orders, and what the
    positions of all strategies add up to, with what their stops could make of them.
    """

    __slots__ = ("entries", "held")

    def __init__(self) -> None:
        self.entries = dict.fromkeys(SIDES, ZERO)
        self.held = dict.fromkeys(SIDES, ZERO)


class _Own:
    """A strategy's share in that: its signed position; by side, what is still to be filled of its
    stops and of its entry orders, and its part of what is held.
    """

    __slots__ = ("entries", "held", "market", "position", "stops")

    def __init__(self, market: _Market) -> None:
        self.market = market
        self.position = ZERO
        self.stops = dict.fromkeys(SIDES, ZERO)
        self.entries = dict.fromkeys(SIDES, ZERO)
        self.held = dict.fromkeys(SIDES, ZERO)

    def reach(self, side: Side, stops: Decimal) -> Decimal:
        """Return how far the position could go on a side if so much of stops filled there."""
        reach = (self.position if side is Side.BUY else -self.position) + stops
        return reach if reach > 0 else ZERO

    def recount(self, side: Side) -> None:
        """Count the position and its stops on a side as they are now."""
        now, before = self.reach(side, self.stops[side]), self.held[side]
        if now != before:
            self.held[side] = now
            self.market.held[side] += now - before


class Exposure:
    """Sums over live orders and positions; constant work for each change."""

    def __init__(self) -> None:
        self._counted: dict[ClientOrderId, Decimal] = {}
        self._markets: dict[InstrumentId, _Market] = {}
        self._owns: dict[tuple[StrategyName, InstrumentId], _Own] = {}

    @property
    def live_orders(self) -> int:
        """How many orders are live, protective ones too."""
        return len(self._counted)

    def order_changed(self, order: Order) -> None:
        """Count what is left of an order; nothing once it ended and all its fills are booked."""
        before = self._counted.get(order.id)
        if order.settled:
            if before is None:
                return
            del self._counted[order.id]
            change = -before
        else:
            change = self._counted[order.id] = order.outstanding
            if before is not None:
                change -= before
        if not change:
            return
        spec, own = order.spec, self._own(order.strategy, order.instrument)
        side = spec.side
        if spec.protective:
            own.stops[side] += change
            own.recount(side)
        else:
            own.entries[side] += change
            own.market.entries[side] += change

    def position_changed(
        self, strategy: StrategyName, instrument: InstrumentId, quantity: Decimal
    ) -> None:
        """Count a strategy's position, which now is `quantity`."""
        own = self._own(strategy, instrument)
        own.position = quantity
        for side in SIDES:
            # Most often there is nothing on one side, before and after.
            if own.stops[side] or own.held[side] or (quantity > 0) is (side is Side.BUY):
                own.recount(side)

    def _own(self, strategy: StrategyName, instrument: InstrumentId) -> _Own:
        own = self._owns.get((strategy, instrument))
        if own is None:
            market = self._markets.setdefault(instrument, _Market())
            own = self._owns[strategy, instrument] = _Own(market)
        return own

    def worst(self, instrument: InstrumentId, side: Side) -> Decimal:
        """Return the largest position on `side` that fills of live orders could lead to.

        Positions of the other side give no room, because each keeps a protective stop that may fill
        in the same moment: so no interleaving of fills exceeds this sum.
        """
        market = self._markets.get(instrument)
        return ZERO if market is None else market.held[side] + market.entries[side]

    def worst_with(self, spec: OrderSpec) -> Decimal:
        """Return what `worst` would be on the side of an order that is asked for."""
        side, own = spec.side, self._own(spec.strategy, spec.instrument)
        worst = own.market.held[side] + own.market.entries[side]
        if not spec.protective:
            return worst + spec.quantity
        return worst + own.reach(side, own.stops[side] + spec.quantity) - own.held[side]

    def closes(self, spec: OrderSpec) -> bool:
        """Tell whether an order by itself can only make its strategy's position smaller."""
        position = self._own(spec.strategy, spec.instrument).position
        return spec.quantity <= -spec.side.sign * position

    def reduces(self, spec: OrderSpec) -> bool:
        """Tell whether an order only makes its strategy's position smaller, together with all of
        that strategy's entry orders on its side that are live: so that two which close the same
        position do not turn it over.
        """
        own = self._own(spec.strategy, spec.instrument)
        return spec.quantity + own.entries[spec.side] <= -spec.side.sign * own.position
