"""Orders, fills and order lists in Binance Spot's shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.errors import Rejected, filtered
from trade_runtime.exchange.faces.binance.params import text8
from trade_runtime.exchange.views import Execution, Order, Refused, Why
from trade_runtime.model.orders import ZERO, OrderType, ReportStatus, Side

_STATUS: Final = {
    ReportStatus.FILLED: "FILLED",
    ReportStatus.CANCELLED: "CANCELED",
    ReportStatus.EXPIRED: "EXPIRED",
    ReportStatus.REJECTED: "REJECTED",
}

_REFUSALS: Final = {
    Why.DUPLICATE: "Duplicate order sent.",
    Why.NO_FUNDS: "Account has insufficient balance for requested action.",
    Why.WOULD_TAKE: "Order would immediately match and take.",
    Why.WOULD_TRIGGER: "Stop price would trigger immediately.",
    Why.NO_MARKET: "Market is closed.",
    Why.TOO_MANY: "Filter failure: EXCHANGE_MAX_NUM_ORDERS",
}


def refusal(refused: Refused) -> Rejected:
    """Return what Binance says of an order that the exchange refuses."""
    if refused.why is Why.UNKNOWN_SYMBOL:
        return Rejected(-1121, "Invalid symbol.")
    if refused.why is Why.UNKNOWN_ORDER:
        return Rejected(-2011, "Unknown order sent.")
    if refused.why is Why.BAD_NUMBERS:
        return filtered("LOT_SIZE" if "quantity" in refused.reason else "PRICE_FILTER")
    return Rejected(-2010, _REFUSALS.get(refused.why, refused.reason))


def status_of(order: Order) -> str:
    """Return an order's status."""
    if order.open:
        return "PARTIALLY_FILLED" if order.filled else "NEW"
    return _STATUS[order.status]


def type_of(order: Order) -> str:
    """Return an order's type, as it was sent."""
    return str(order.asked.note["type"])


def works(order: Order) -> bool:
    """Tell whether an order is in the book, and not waiting for its trigger."""
    return order.triggered or not order.asked.type.waits


def side_of(side: Side) -> str:
    """Return a side in capitals."""
    return side.upper()


def ids_of(order: Order) -> dict[str, Any]:
    """Return what names an order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.asked.note.get("list", -1),
        "clientOrderId": order.client_id,
    }


def _numbers(order: Order) -> dict[str, Any]:
    quoted = order.asked.note.get("quote", ZERO)
    told = {
        "price": text8(order.price or ZERO),
        "origQty": text8(order.quantity),
        "executedQty": text8(order.filled),
        "origQuoteOrderQty": text8(quoted),
        "cummulativeQuoteQty": text8(order.cost),
        "status": status_of(order),
        "timeInForce": order.asked.note["tif"],
        "type": type_of(order),
        "side": side_of(order.asked.side),
    }
    if order.asked.type.waits:
        told["stopPrice"] = text8(order.trigger_price or ZERO)
    if order.asked.type is OrderType.TRAILING_STOP:
        told["trailingDelta"] = order.asked.note["trailing"]
    for name in ("strategyId", "strategyType"):
        if name in order.asked.note:
            told[name] = order.asked.note[name]
    return told


def order_answer(order: Order) -> dict[str, Any]:
    """Return an order as a query tells it."""
    created_ms = order.created_ns // NS_PER_MS
    return {
        **ids_of(order),
        **_numbers(order),
        "stopPrice": text8(order.trigger_price or ZERO),
        "icebergQty": text8(ZERO),
        "time": created_ms,
        "updateTime": order.updated_ns // NS_PER_MS,
        "isWorking": works(order),
        "workingTime": created_ms if works(order) else -1,
        "selfTradePreventionMode": "NONE",
    }


def placed_answer(order: Order, fills: Iterable[Execution], kind: str) -> dict[str, Any]:
    """Return what is told of an order that was placed: ACK, RESULT or FULL."""
    ack = {**ids_of(order), "transactTime": order.updated_ns // NS_PER_MS}
    if kind == "ACK":
        return ack
    result = {
        **ack,
        **_numbers(order),
        "workingTime": order.created_ns // NS_PER_MS if works(order) else -1,
        "selfTradePreventionMode": "NONE",
    }
    if kind == "RESULT":
        return result
    return {**result, "fills": [_fill(one) for one in fills]}


def cancelled_answer(order: Order, cancel_id: str) -> dict[str, Any]:
    """Return what is told of an order that was cancelled; `clientOrderId` is the cancel's own."""
    return {
        **ids_of(order),
        "origClientOrderId": order.client_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ns // NS_PER_MS,
        **_numbers(order),
        "selfTradePreventionMode": "NONE",
    }


def _fill(fill: Execution) -> dict[str, Any]:
    return {
        "price": text8(fill.price),
        "qty": text8(fill.quantity),
        "commission": text8(fill.fee),
        "commissionAsset": fill.fee_currency,
        "tradeId": fill.trade_id,
    }


def trade_answer(fill: Execution) -> dict[str, Any]:
    """Return a fill as `myTrades` lists it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": text8(fill.price),
        "qty": text8(fill.quantity),
        "quoteQty": text8(fill.price * fill.quantity),
        "commission": text8(fill.fee),
        "commissionAsset": fill.fee_currency,
        "time": fill.ts_ns // NS_PER_MS,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
