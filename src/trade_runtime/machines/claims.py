"""Orders of others that the journal took over: who owns them, and how the state takes them.

Such an order has the id that it was given elsewhere. What it had filled before is not ours; from
the claim on it counts in risk, its fills are booked, and a stop cancels it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from trade_runtime.machines.order import Order, OrderInput
from trade_runtime.model.ids import FOREIGN, VenueOrderId
from trade_runtime.model.orders import ZERO, OrderReport, ReportStatus
from trade_runtime.model.records import OrderClaimed
from trade_runtime.protocols import Placed

if TYPE_CHECKING:
    from trade_runtime.machines.trading_state import TradingState


def placed(order: Order) -> Placed:
    """Return what the venue has to be told to find an order.

    One that was claimed has an id that only the venue's own may tell from others: both go.
    """
    if order.strategy != FOREIGN or order.venue_order_id is None:
        return order.spec
    return OrderReport(
        client_order_id=order.id,
        venue_order_id=VenueOrderId(order.venue_order_id),
        instrument=order.instrument,
        side=order.side,
        type=order.type,
        status=ReportStatus.OPEN,
        quantity=order.quantity,
        filled=order.filled,
        price=order.price,
        trigger_price=order.trigger_price,
    )


def _claimed(state: TradingState, event: OrderClaimed) -> Order:
    order = Order(event.spec)
    order.apply(OrderInput.SENT)
    order.apply(OrderInput.ACCEPTED)
    order.venue_order_id = event.venue_order_id
    order.filled = event.filled
    order.notional = event.filled * (event.spec.price or ZERO)
    order.trade_ids = set(event.trade_ids)
    state.index.add(order)
    state.exposure.order_changed(order)
    return order


HANDLERS: Final[dict[type, Callable[[Any, Any], Order]]] = {OrderClaimed: _claimed}
