"""How positions are protected: what rests for them, what is needed, and what lacks.

Beneath the protection guard, which acts on it. It only looks.
"""

from __future__ import annotations

import math
from decimal import Decimal

import attrs

from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.machines.protection import ProtectionPlan, plan
from trade_runtime.managers.orders import OrderManager
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName
from trade_runtime.model.orders import ZERO, OrderSpec, OrderType, Side
from trade_runtime.settings import ProtectionSettings

AT_VENUE = (OrderState.PENDING, OrderState.SENT, OrderState.UNKNOWN, OrderState.OPEN)
"""States in which an order may hold one of the places that a venue has for stops."""

Key = tuple[StrategyName, InstrumentId]


@attrs.frozen
class Cover:
    """How a position is protected, as the report tells it.

    Attributes:
        position: it.
        plan: what protects it, and what is to be done.
        stop_order: the newest stop that rests.
        size: how much of it an order can close, and a stop can cover: whole lots.
    """

    position: Position
    plan: ProtectionPlan
    stop_order: str | None
    size: Decimal

    @property
    def key(self) -> Key:
        """Whose position it is, and of what."""
        return self.position.strategy, self.position.instrument


class Covers:
    """Tells how positions are protected. The protection guard is one.

    Args:
        orders: knows them, and their stops.
        settings: what has to be covered.
    """

    def __init__(self, orders: OrderManager, settings: ProtectionSettings) -> None:
        self._orders = orders
        self._settings = settings

    def cover(self, key: Key) -> Cover:
        """Return how a position is protected now."""
        trading = self._orders.trading
        position = trading.ledger.position(*key)
        stops = trading.stops(*key)
        quantity = self._orders.closable(position)
        needed = self._needed(key, abs(quantity))
        resting = [s.id for s in stops if s.state is OrderState.OPEN]
        wanted = plan(quantity, needed, stops)
        if wanted.place:
            wanted = attrs.evolve(wanted, place=self._allowed(position, wanted))
        return Cover(position, wanted, resting[-1] if resting else None, abs(quantity))

    def _allowed(self, position: Position, wanted: ProtectionPlan) -> Decimal:
        """Return how much of a further stop may be placed.

        What was already closed, by fills that are only told by the end of their order, needs no
        stop: it would open a position of the other side.
        """
        untold = self._orders.trading.untold(position.strategy, position.instrument)
        closed = max(-untold if position.quantity > 0 else untold, ZERO)
        if wanted.overlaps and (
            closed
            or not self._has_room(position, wanted.place)
            or (wanted.resting <= wanted.needed and self._slots(position.instrument) <= 0)
        ):
            return ZERO  # one too many is no harm; one too large has another take its place
        return max(wanted.place - closed, ZERO)

    def _has_room(self, position: Position, quantity: Decimal) -> bool:
        """Whether limits would hold if a further stop, and all that rests, filled.

        Stops that overlap are a convenience: they may not open a position that is too large.
        """
        stop = OrderSpec(
            ClientOrderId(""),
            position.strategy,
            position.instrument,
            Side.SELL if position.quantity > 0 else Side.BUY,
            OrderType.STOP_MARKET,
            quantity,
            protective=True,
        )
        return self._orders.gate.has_room(stop)

    def covers(self) -> list[Cover]:
        """Return how every open position is protected now."""
        return [self.cover((p.strategy, p.instrument)) for p in self._orders.trading.ledger.open()]

    def leftovers(self) -> list[Cover]:
        """Return closed positions that still have stops: one that wakes would open another."""
        trading = self._orders.trading
        keys = [
            (o.strategy, o.instrument)
            for o in trading.live()
            if o.spec.protective and o.state is not OrderState.HELD
        ]
        return [
            self.cover(key)
            for key in dict.fromkeys(keys)
            if not self._orders.closable(trading.ledger.position(*key))
        ]

    def _needed(self, key: Key, size: Decimal) -> Decimal:
        if self._settings.required == "all":
            return size
        if self._settings.required == "declared":
            return min(size, self._orders.trading.declared.get(key, ZERO))
        return ZERO

    def _slots(self, instrument: InstrumentId) -> float:
        """Return how many more orders that wait for a trigger the venue lets rest."""
        most = self._orders.venues.trading_in(instrument).capabilities.max_stops
        return math.inf if most is None else most - len(self._waiting(instrument))

    def _waiting(self, instrument: InstrumentId) -> list[Order]:
        return [
            order
            for order in self._orders.trading.live()
            if order.instrument == instrument and order.type.waits and order.state in AT_VENUE
        ]
