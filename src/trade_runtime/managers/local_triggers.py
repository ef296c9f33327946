"""Triggers that the runtime watches in the venue's place, and how their orders get out.

Once the market has reached a trigger there is no way back: the order goes, whatever the market says
next. On a spot account what rests at the venue locks the currency that the order needs, so that
goes first, the stop-loss of the position too. From then on nothing protects the position; so each
step follows from the end of the one before, not from another quote, and where the order ends
without having closed the position the guard is told to protect it at once.

Plain calls; a part of `held`. What is on its way out when the process dies is known from the
journal as an order like any other, and the guard looks at every position at the start.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from trade_runtime.machines.order import Order, OrderState
from trade_runtime.managers.orders import OrderManager
from trade_runtime.model.ids import ClientOrderId, InstrumentId
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import ZERO, OrderType, Side


@attrs.define(eq=False)
class _Watched:
    """An order whose trigger is watched here, and where that trigger now stands."""

    order: Order
    asked: Decimal | None = None
    """The trigger that the strategy asked for last."""
    trigger: Decimal = ZERO

    def reached(self, quote: Quote) -> bool:
        """Whether the market woke it. A stop watches the price that it would trade at."""
        spec, asked = self.order.spec, self.order.trigger_price
        assert asked is not None
        if self.asked is not asked:  # it is new, or was amended
            self.asked = self.trigger = asked
        market = exact(quote.ask if spec.side is Side.BUY else quote.bid)
        if spec.type is OrderType.TRAILING_STOP and spec.trail is not None:
            best = market + spec.side.sign * spec.trail
            self.trigger = (min if spec.side is Side.BUY else max)(self.trigger, best)
        rises = (spec.side is Side.BUY) is not spec.type.takes_profit
        return market >= self.trigger if rises else market <= self.trigger


@attrs.define(eq=False)
class _Going:
    """An order whose trigger was reached, until it ends."""

    order: Order
    trigger: Decimal
    before: list[Order] = attrs.field(factory=list)
    """What makes way for it: all of these have to be settled before it may leave."""


class LocalTriggers:
    """Watches the market, and lets orders go when it has reached their triggers.

    Args:
        orders: carries out what follows.
    """

    def __init__(self, orders: OrderManager) -> None:
        self._orders = orders
        self._watched: dict[InstrumentId, list[_Watched]] = {}
        self._going: dict[ClientOrderId, _Going] = {}

    def watch(self, order: Order) -> None:
        """Watch the market for the trigger of an order."""
        if order.instrument not in self._watched:
            self._watched[order.instrument] = []
            self._orders.prices.views[order.instrument].market_taps.append(self._on_quote)
        self._watched[order.instrument].append(_Watched(order))

    def _on_quote(self, quote: Quote) -> None:
        watched = self._watched[quote.instrument]
        for one in list(watched):
            order = one.order
            if order.state is not OrderState.HELD:
                watched.remove(one)
            elif one.reached(quote):
                watched.remove(one)
                going = self._going[order.id] = _Going(order, one.trigger)
                self._orders.awaited.add(order.id)
                self._go_on(going)

    def moved(self, order: Order) -> None:
        """Go on with what waited for an order to end."""
        awaited = self._orders.awaited
        if order.id not in awaited:
            return
        if order.id in self._going and not order.is_live:
            going = self._going.pop(order.id)
            if going.before or order.spec.protective:
                self._orders.protect_now(order.strategy, order.instrument)
        if order.settled:
            awaited.discard(order.id)
            for going in list(self._going.values()):
                if order in going.before:
                    self._go_on(going)

    def _go_on(self, going: _Going) -> None:
        """Let an order go, once nothing at the venue holds what it needs."""
        order = going.order
        if order.state is not OrderState.HELD:
            return
        for other in self._in_its_way(order):
            if other not in going.before:
                going.before.append(other)
                self._orders.awaited.add(other.id)
                self._orders.cancel(other, f"order {order.id} takes its place")
        if not all(other.settled for other in going.before):
            return
        quantity = order.quantity
        if order.spec.protective:
            # What made way may have been filled instead: more would open another position.
            position = self._orders.trading.ledger.position(order.strategy, order.instrument)
            quantity = min(quantity, -position.quantity * order.side.sign)
        if quantity > 0:
            self._orders.release(order, quantity, f"the market reached {going.trigger}")
        else:
            self._orders.drop(order, "its position is closed")

    def _in_its_way(self, order: Order) -> list[Order]:
        """Return what holds at the venue what an order needs.

        On a spot account a stop that rests locks the currency that its position would be closed
        with: one of its group, or the one that the guard placed because a stop-loss that is watched
        here protects nothing.
        """
        trading, spec = self._orders.trading, order.spec
        if self._orders.instrument(order.instrument).kind != "spot":
            return []
        found: list[Order] = []
        venue = self._orders.venues.trading_in(order.instrument)
        if spec.oco and not venue.capabilities.oco:
            found += trading.index.groups.get(spec.oco, {}).values()
        if spec.protective:
            found += trading.stops(spec.strategy, spec.instrument)
        return [one for one in found if one is not order and one.state is not OrderState.HELD]
