"""The events of the account in Binance Spot's shapes.

Source: https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.faces.binance.params import text8
from trade_runtime.exchange.faces.binance_spot.order_list import OrderList
from trade_runtime.exchange.faces.binance_spot.words import side_of, status_of, type_of, works
from trade_runtime.exchange.views import Change, Update, What
from trade_runtime.model.orders import ZERO, OrderType

_EXECUTIONS: Final = {
    What.ACCEPTED: "NEW",
    What.TRIGGERED: "NEW",
    What.FILLED: "TRADE",
    What.AMENDED: "REPLACED",
    What.CANCELLED: "CANCELED",
    What.EXPIRED: "EXPIRED",
    What.REJECTED: "REJECTED",
}


def events_of(exchange: Exchange, update: Update) -> list[dict[str, Any]]:
    """Return the events that tell an update."""
    now_ms = exchange.clock.now_ms()
    told: list[dict[str, Any]] = []
    for change in update.changes:
        if change.what is What.REJECTED:
            continue  # the answer alone tells it
        if change.what is What.TRIGGERED and not change.order.asked.type.has_price:
            continue  # its fill says so at once
        told.append(execution_report(change, now_ms))
        if _of_list(change):
            told.append(list_status(exchange, change, now_ms))
    if update.balances:
        balances = exchange.balances()
        told.append(
            {
                "e": "outboundAccountPosition",
                "E": now_ms,
                "u": update.ts_ns // NS_PER_MS,
                "B": [
                    {
                        "a": name,
                        "f": text8(balances[name].total - balances[name].locked),
                        "l": text8(balances[name].locked),
                    }
                    for name in update.balances
                ],
            }
        )
    return told


def _of_list(change: Change) -> bool:
    """Tell whether an order list has something to tell: not before all its orders are there."""
    one: OrderList | None = change.order.asked.note.get("of")
    if one is None or change.what in (What.AMENDED, What.TRIGGERED):
        return False
    return change.what is not What.ACCEPTED or bool(one.order_ids)


def execution_report(change: Change, now_ms: int) -> dict[str, Any]:
    """Return the event of one thing that happened to an order."""
    order, fill = change.order, change.execution
    note = order.asked.note
    at_ms = change.ts_ns // NS_PER_MS
    cancel_id = str(note.get("cancel_id", "")) if change.what is What.CANCELLED else ""
    told: dict[str, Any] = {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol,
        "c": cancel_id or order.client_id,
        "S": side_of(order.asked.side),
        "o": type_of(order),
        "f": note["tif"],
        "q": text8(order.quantity),
        "p": text8(order.price or ZERO),
        "P": text8(order.trigger_price or ZERO),
        "F": text8(ZERO),
        "g": note.get("list", -1),
        "C": order.client_id if cancel_id else "",
        "x": _EXECUTIONS[change.what],
        "X": status_of(order),
        "r": "NONE",
        "i": order.order_id,
        "l": text8(fill.quantity if fill else ZERO),
        "z": text8(order.filled),
        "L": text8(fill.price if fill else ZERO),
        "n": text8(fill.fee) if fill else "0",
        "N": fill.fee_currency if fill else None,
        "T": at_ms,
        "t": fill.trade_id if fill else -1,
        "I": order.order_id * 10,
        "w": order.open and works(order),
        "m": bool(fill and fill.maker),
        "M": False,
        "O": order.created_ns // NS_PER_MS,
        "Z": text8(order.cost),
        "Y": text8(fill.price * fill.quantity if fill else ZERO),
        "Q": text8(note.get("quote", ZERO)),
        "V": "NONE",
    }
    if works(order):
        told["W"] = order.created_ns // NS_PER_MS
    if order.asked.type is OrderType.TRAILING_STOP:
        told["d"] = note["trailing"]
    return told


def list_status(exchange: Exchange, change: Change, now_ms: int) -> dict[str, Any]:
    """Return the event of an order list, of which an order has changed."""
    one: OrderList = change.order.asked.note["of"]
    executing = one.executing(exchange)
    orders = {each.order_id: each for each in [*one.orders(exchange), change.order]}
    return {
        "e": "listStatus",
        "E": now_ms,
        "s": one.symbol,
        "g": one.list_id,
        "c": "OCO",
        "l": "EXEC_STARTED" if executing else "ALL_DONE",
        "L": "EXECUTING" if executing else "ALL_DONE",
        "r": "NONE",
        "C": one.client_id,
        "T": change.ts_ns // NS_PER_MS,
        "O": [
            {"s": each.symbol, "i": each.order_id, "c": each.client_id} for each in orders.values()
        ],
    }
