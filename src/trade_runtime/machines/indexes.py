"""Indexes of orders that hold exactly the live ones."""

from __future__ import annotations

from typing import Any

from trade_runtime.machines.order import Order
from trade_runtime.model.ids import ClientOrderId


def keep(index: dict[ClientOrderId, Order], order: Order) -> None:
    """Have an index hold an order exactly while it is live."""
    if order.is_live:
        index[order.id] = order
    else:
        index.pop(order.id, None)


def keep_in(
    groups: dict[Any, dict[ClientOrderId, Order]], name: ClientOrderId | str, order: Order
) -> None:
    """The same in one of several indexes; one that is empty is forgotten."""
    members = groups.setdefault(name, {})
    keep(members, order)
    if not members:
        del groups[name]
