"""What an order is to be for: changes that are asked for, and what others of its group filled.

That is an order's `share`. It is folded from the journal like everything else, so a process that
dies between a fill and what follows from it leaves the next one with the same to do; and of what a
venue may tell late, twice or never it depends on the fills alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from trade_runtime.machines.order import Order, OrderInput, OrderState
from trade_runtime.model.events import OrderAmended
from trade_runtime.model.orders import ZERO, OrderType
from trade_runtime.model.records import AmendRequested


def ask(order: Order, amend: AmendRequested) -> None:
    """Note that an amend is under way."""
    order.amending, order.changed = amend, True
    order.share_asked = _change(order, amend.quantity)
    order.share += order.share_asked
    order.released += max(order.share_asked, ZERO)


def _change(order: Order, quantity: Decimal) -> Decimal:
    """Return what asking for a quantity changes of an order's share: none, where it is to become as
    large as its share is; and a venue that made it smaller may not have told yet for which fill.
    """
    return quantity - min(order.quantity, order.share)


def refuse(order: Order) -> None:
    """Note that the amend that was under way came to nothing."""
    order.amending = None
    order.released -= max(order.share_asked, ZERO)
    order.share, order.share_asked = order.share - order.share_asked, ZERO
    if order.state is OrderState.OPEN:
        order.apply(OrderInput.ACCEPTED)  # its fills may have been all that it was for


def take(order: Order, event: OrderAmended) -> None:
    """Take the numbers that the venue says it holds an order with.

    Raises:
        InvalidTransition: an order in this state cannot be amended; nothing was changed.
    """
    state, answered = order.state, _answers(order, event)
    change = _change(order, event.quantity)
    order.amend(event, answered=answered)
    if state in (OrderState.HELD, OrderState.PENDING):
        order.share = event.quantity
        if state is OrderState.PENDING:
            order.released += max(change, ZERO)
        return
    order.changed = True
    if answered:
        order.share_asked = ZERO


def _answers(order: Order, event: OrderAmended) -> bool:
    """Whether the amend that is under way is answered by this. A venue may have made the order
    smaller for its group at that moment: before the amend arrived, or after.
    """
    asked = order.amending
    if asked is None:
        return False
    if order.type is not OrderType.TRAILING_STOP:  # its trigger follows the market meanwhile
        # The trigger of an order that woke is left as it was.
        if event.price != asked.price or event.trigger_price not in (
            asked.trigger_price,
            order.trigger_price,
        ):
            return False
        if (event.price, event.trigger_price) != (order.price, order.trigger_price):
            return True
    return event.quantity in (asked.quantity, order.share)


def take_place(
    order: Order, quantity: Decimal, others: Iterable[Order], given_up: Iterable[Order]
) -> None:
    """Have a fill of an order take the place of the others of its group.

    Args:
        order: which filled.
        quantity: how much.
        others: the live orders of the group; the order may be among them.
        given_up: orders that the venue did not know, of any group: they may turn up yet.
    """
    for other in others:
        if other is not order:
            other.share -= quantity
            if other.state is OrderState.HELD:
                other.released += quantity
    for other in given_up:
        if other.spec.oco == order.spec.oco and other is not order and not other.is_live:
            other.share -= quantity
