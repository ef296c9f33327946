"""Orders, conditional orders and fills in the shapes of Binance USD-M Futures.

An order that waits for its trigger is one of the Algo service and has an id there; once it is
triggered it is an ordinary order too, with another id and a client id of Binance's making: nothing
promises that it keeps the client's own.
"""

from __future__ import annotations

from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance_usdm.listing import waits
from trade_runtime.exchange.views import Execution, Order, Refused, Why
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO, ReportStatus, Side

ALGO_BASE: Final = 2_000_000_000_000
"""Added to an order's number, this is its id in the Algo service."""

TRIGGERED_PREFIX: Final = "triggered_"

_STATUS: Final = {
    ReportStatus.FILLED: "FILLED",
    ReportStatus.CANCELLED: "CANCELED",
    ReportStatus.EXPIRED: "EXPIRED",
    ReportStatus.REJECTED: "REJECTED",
}

_REFUSALS: Final = {
    Why.DUPLICATE: (-4116, "ClientOrderId is duplicated."),
    Why.NO_FUNDS: (-2019, "Margin is insufficient."),
    Why.NO_MARKET: (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter."),
    Why.REDUCES_NOTHING: (-2022, "ReduceOnly Order is rejected."),
    Why.TOO_MANY: (-2025, "Reach max open order limit."),
    Why.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Why.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Why.WOULD_TAKE: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    Why.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
}


def refusal(refused: Refused) -> Rejected:
    """Return what Binance says of an order that the exchange refuses."""
    return Rejected(*_REFUSALS.get(refused.why, (-2010, refused.reason)))


def status_of(order: Order) -> str:
    """Return an ordinary order's status."""
    if order.open:
        return "PARTIALLY_FILLED" if order.filled else "NEW"
    return _STATUS[order.status]


def algo_status_of(order: Order) -> str:
    """Return a conditional order's status."""
    if order.triggered:
        return "TRIGGERED" if order.open else "FINISHED"
    return "NEW" if order.open else _STATUS[order.status]


def client_id_of(order: Order) -> str:
    """Return the client id of an ordinary order: of one that was conditional, its own."""
    return f"{TRIGGERED_PREFIX}{order.order_id}" if order.triggered else order.client_id


def word_of(order: Order) -> str:
    """Return an order's type as an ordinary order: a conditional one became one of these."""
    if not order.triggered:
        return str(order.asked.note["type"])
    return "LIMIT" if order.asked.type.has_price else "MARKET"


def order_answer(order: Order, *, bare: bool = False) -> dict[str, Any]:
    """Return an ordinary order; `bare`: as it was before anything met it."""
    note = order.asked.note
    filled = ZERO if bare else order.filled
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": "NEW" if bare else status_of(order),
        "clientOrderId": client_id_of(order),
        "price": text(order.price or ZERO),
        "origQty": text(order.quantity),
        "executedQty": text(filled),
        "cumQty": text(filled),
        "timeInForce": note["tif"],
        "type": word_of(order),
        "reduceOnly": order.asked.reduce_only,
        "closePosition": bool(note.get("close")),
        "side": order.asked.side.upper(),
        "positionSide": "BOTH",
        "stopPrice": text(order.trigger_price or ZERO),
        "workingType": note["workingType"],
        "priceProtect": False,
        "origType": str(note["type"]),
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": order.asked.expire_ns // NS_PER_MS,
        "time": order.created_ns // NS_PER_MS,
        "updateTime": order.updated_ns // NS_PER_MS,
    }


def algo_answer(order: Order) -> dict[str, Any]:
    """Return a conditional order, and what it became."""
    note = order.asked.note
    return {
        "algoId": ALGO_BASE + order.order_id,
        "clientAlgoId": order.client_id,
        "algoType": "CONDITIONAL",
        "orderType": str(note["type"]),
        "symbol": order.symbol,
        "side": order.asked.side.upper(),
        "positionSide": "BOTH",
        "timeInForce": note["tif"],
        "quantity": text(order.quantity),
        "algoStatus": algo_status_of(order),
        "actualOrderId": str(order.order_id) if order.triggered else "",
        "actualPrice": text(order.average_price),
        "actualQty": text(order.filled),
        "triggerPrice": text(order.trigger_price or ZERO),
        "price": text(order.price or ZERO),
        "icebergQuantity": None,
        "tpTriggerPrice": "0",
        "tpPrice": "0",
        "slTriggerPrice": "0",
        "slPrice": "0",
        "tpOrderType": "",
        "selfTradePreventionMode": "NONE",
        "workingType": note["workingType"],
        "priceMatch": "NONE",
        "closePosition": bool(note.get("close")),
        "priceProtect": False,
        "reduceOnly": order.asked.reduce_only,
        "callbackRate": note.get("rate") or None,
        "createTime": order.created_ns // NS_PER_MS,
        "updateTime": order.updated_ns // NS_PER_MS,
        "triggerTime": order.updated_ns // NS_PER_MS if order.triggered else 0,
        "goodTillDate": order.asked.expire_ns // NS_PER_MS,
    }


def trade_answer(fill: Execution, margin: str) -> dict[str, Any]:
    """Return a fill as `userTrades` lists it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side.upper(),
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "quoteQty": text(fill.price * fill.quantity),
        "realizedPnl": "0",
        "marginAsset": margin,
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_currency,
        "time": fill.ts_ns // NS_PER_MS,
        "positionSide": "BOTH",
        "buyer": fill.side is Side.BUY,
        "maker": fill.maker,
    }


__all__ = [
    "ALGO_BASE",
    "TRIGGERED_PREFIX",
    "algo_answer",
    "algo_status_of",
    "client_id_of",
    "order_answer",
    "refusal",
    "status_of",
    "trade_answer",
    "waits",
    "word_of",
]
