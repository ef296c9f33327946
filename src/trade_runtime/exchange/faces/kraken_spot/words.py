"""Kraken's words: ids, types and states of orders, and why something is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from trade_runtime.exchange.views import Order, Refused, Why
from trade_runtime.model.orders import OrderType, ReportStatus

NS: Final = 1_000_000_000

TYPES: Final = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop-loss": OrderType.STOP_MARKET,
    "stop-loss-limit": OrderType.STOP_LIMIT,
    "take-profit": OrderType.TAKE_PROFIT,
    "take-profit-limit": OrderType.TAKE_PROFIT_LIMIT,
    "trailing-stop": OrderType.TRAILING_STOP,
}
"""What can be placed."""

NAMES: Final = {kind: name for name, kind in TYPES.items()}

_BASE36: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_DIGITS: Final = 16

_ERRORS: Final = {
    Why.DUPLICATE: "EGeneral:Invalid arguments:cl_ord_id",
    Why.FORM: "EGeneral:Invalid arguments",
    Why.NO_FUNDS: "EOrder:Insufficient funds",
    Why.NO_MARKET: "EService:Market in cancel_only mode",
    Why.REDUCES_NOTHING: "EOrder:Reduce only:No position exists",
    Why.TOO_MANY: "EOrder:Orders limit exceeded",
    Why.UNKNOWN_ORDER: "EOrder:Unknown order",
    Why.UNKNOWN_SYMBOL: "EQuery:Unknown asset pair",
    Why.WOULD_TAKE: "EOrder:Post only order",
    Why.WOULD_TRIGGER: "EOrder:Invalid price",
}

UNAVAILABLE: Final = "EService:Unavailable"
ARGUMENTS: Final = "EGeneral:Invalid arguments"


class Wrong(Exception):
    """A request is refused; the text is Kraken's error."""


def error_of(refused: Refused) -> str:
    """Return Kraken's error for a refusal of the exchange."""
    if refused.why is Why.ASKED:
        return refused.reason if refused.reason.startswith("E") else f"EOrder:{refused.reason}"
    if refused.why is Why.BAD_NUMBERS:
        if "notional" in refused.reason or "worth" in refused.reason:
            return "EOrder:Cost minimum not met"
        if "below" in refused.reason:
            return "EOrder:Order minimum not met"
        about = "price" if "price" in refused.reason else "volume"
        return f"{ARGUMENTS}:{about}"
    return _ERRORS[refused.why]


def _named(letter: str, number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    digits = digits.rjust(_ID_DIGITS, "0")
    return f"{letter}{digits[:5]}-{digits[5:10]}-{digits[10:]}"


def order_name(order_id: int) -> str:
    """Return an order's id as Kraken writes them: `O00000-00000-00LFLT`."""
    return _named("O", order_id)


def trade_name(trade_id: int) -> str:
    """Return a trade's id as Kraken writes them."""
    return _named("T", trade_id)


def number_named(name: str) -> int | None:
    """Return the exchange's number of an order or trade, or None where it is no such id."""
    digits = name[1:].replace("-", "")
    if len(digits) != _ID_DIGITS or not set(digits) <= set(_BASE36):
        return None
    return int(digits, 36)


def client_name(order: Order) -> str | None:
    """Return the client's id of an order, or None where it gave none."""
    return order.asked.note.get("cl_ord_id")


def rest_status(order: Order) -> str:
    """Return where an order stands, in REST's words."""
    return {
        ReportStatus.OPEN: "open",
        ReportStatus.FILLED: "closed",
        ReportStatus.CANCELLED: "canceled",
        ReportStatus.EXPIRED: "expired",
        ReportStatus.REJECTED: "canceled",
    }[order.status]


def stream_status(order: Order) -> str:
    """Return where an order stands, in the WebSocket's words."""
    if order.status is ReportStatus.OPEN:
        return "partially_filled" if order.filled else "new"
    return {"closed": "filled"}.get(rest_status(order), rest_status(order))


def stamp(at_ns: int) -> str:
    """Return a time as the WebSocket has it."""
    at = datetime.fromtimestamp(at_ns // NS, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns % NS // 1000:06d}Z"


def secs(at_ns: int) -> float:
    """Return a time as REST has it."""
    return at_ns // 100_000 / 10_000
