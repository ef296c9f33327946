"""What the orders of a group owe each other: each fill of one takes the place of the others'.

An order's `owed` says by how much it has yet to become smaller. It is folded from the journal like
everything else, so a process that dies between a fill and what follows from it leaves the next one
with the same to do, and what was done once is not done again.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from trade_runtime.machines.order import Order, OrderState
from trade_runtime.model.orders import ZERO

_STILL_HERE = (OrderState.HELD, OrderState.PENDING)


def owe(
    order: Order, quantity: Decimal, others: Iterable[Order], given_up: Iterable[Order]
) -> None:
    """Note what a fill of an order takes of the others of its group.

    Args:
        order: which filled.
        quantity: how much.
        others: the live orders of the group; the order may be among them.
        given_up: orders that the venue did not know, of any group: they may turn up yet.
    """
    for other in others:
        if other is not order:
            other.owed += quantity
    for other in given_up:
        if other.spec.oco == order.spec.oco and other is not order and not other.is_live:
            other.owed += quantity


def owed_after(order: Order, quantity: Decimal) -> Decimal:
    """Return what an order owes once it is amended; below 0 is what it is ahead.

    Args:
        order: as it is before.
        quantity: which it will have.
    """
    smaller = order.quantity - quantity
    if smaller <= 0:
        return order.owed
    owed = order.owed - smaller
    if order.amending is not None or order.state in _STILL_HERE:
        # It was asked for here, for the group or not: more than is owed is nobody's credit.
        return min(order.owed, max(owed, ZERO))
    return owed  # a venue may tell what it did for a fill before it tells of the fill
