"""Orders on the wire of Binance USD-M Futures, without any I/O.

Ordinary orders (market, limit) and conditional ones (stops, take-profits) are two services, with
paths, ids and shapes of their own. A conditional order that triggers becomes an ordinary one with a
second id; `twins` knows both ids of it, and what is told here carries our one name for it.

Since July 2026 answers have neither an average price nor a quote volume; none is read.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import IntEnum
from typing import Final

import msgspec

from trade_runtime.errors import VenueError, VenueRefused
from trade_runtime.model.events import OrderAccepted, OrderClosed, OrderRejected, VenueEvent
from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueName, VenueOrderId, symbol_of
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import (
    ZERO,
    OrderReport,
    OrderSpec,
    OrderType,
    ReportStatus,
    Side,
    TimeInForce,
)
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.binance.streams import NS_PER_MS
from trade_runtime.venues.binance_usdm.twins import Twins


class UsdmCode(IntEnum):
    """Codes of errors that Futures have and Spot has not."""

    DUPLICATE_ID = -4116
    """The client id is taken by an order that is open."""
    WOULD_TRIGGER = -2021
    """A conditional order whose trigger the market has passed already."""


CONDITIONAL: Final[Mapping[OrderType, str]] = {
    OrderType.STOP_MARKET: "STOP_MARKET",
    OrderType.STOP_LIMIT: "STOP",
    OrderType.TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
}
"""The types of the Algo service that we place, by ours. Its trailing stop follows by a percentage,
ours by an amount, so that one the runtime watches itself."""

MAX_EXPONENT: Final = 30
"""Powers of ten that a quantity or a price may have: none has, and larger ones choke arithmetic."""

_TYPES: Final[Mapping[str, OrderType]] = {
    **{name: ours for ours, name in CONDITIONAL.items()},
    "TRAILING_STOP_MARKET": OrderType.TRAILING_STOP,
    "MARKET": OrderType.MARKET,
}
_STATUS: Final[Mapping[str, ReportStatus]] = {
    "NEW": ReportStatus.OPEN,
    "PARTIALLY_FILLED": ReportStatus.OPEN,
    "NEW_INSURANCE": ReportStatus.OPEN,
    "NEW_ADL": ReportStatus.OPEN,
    "FILLED": ReportStatus.FILLED,
    "CANCELED": ReportStatus.CANCELLED,
    "REJECTED": ReportStatus.REJECTED,
    "EXPIRED": ReportStatus.EXPIRED,
    "EXPIRED_IN_MATCH": ReportStatus.EXPIRED,
}
_ALGO_STATUS: Final[Mapping[str, ReportStatus]] = {
    "NEW": ReportStatus.OPEN,
    "TRIGGERING": ReportStatus.OPEN,
    "TRIGGERED": ReportStatus.OPEN,
    "CANCELED": ReportStatus.CANCELLED,
    "EXPIRED": ReportStatus.EXPIRED,
    # It rested, and failed when it woke: an order that was held is never "rejected".
    "REJECTED": ReportStatus.EXPIRED,
}
_SIDES: Final[Mapping[str, Side]] = {"BUY": Side.BUY, "SELL": Side.SELL}


class Order(msgspec.Struct):
    """An ordinary order, as answers show it."""

    symbol: str
    orderId: Id  # noqa: N815
    clientOrderId: str  # noqa: N815
    side: str
    type: str
    status: str
    origQty: Decimal = ZERO  # noqa: N815
    executedQty: Decimal = ZERO  # noqa: N815
    price: Decimal = ZERO
    stopPrice: Decimal = ZERO  # noqa: N815
    origType: str = ""  # noqa: N815
    updateTime: Ms = 0  # noqa: N815


class Algo(msgspec.Struct):
    """A conditional order, as answers show it."""

    algoId: Id  # noqa: N815
    clientAlgoId: str  # noqa: N815
    symbol: str
    side: str
    algoStatus: str = "NEW"  # noqa: N815
    orderType: str = ""  # noqa: N815
    type: str = ""
    quantity: str | float | None = None
    actualOrderId: str | int | None = None  # noqa: N815
    actualQty: str | float | None = None  # noqa: N815
    triggerPrice: str | float | None = None  # noqa: N815
    price: str | float | None = None
    updateTime: Ms = 0  # noqa: N815

    @property
    def actual_id(self) -> int | None:
        """The id of the ordinary order that it became."""
        return order_number(self.actualOrderId)


class Done(msgspec.Struct):
    """What a cancel of conditional orders, or of all, answers."""

    code: int | str = 200
    msg: str = ""


order = msgspec.json.Decoder(Order)
orders = msgspec.json.Decoder(list[Order])
algo = msgspec.json.Decoder(Algo)
algos = msgspec.json.Decoder(list[Algo])
done = msgspec.json.Decoder(Done)


def order_number(text_or_number: str | int | None) -> int | None:
    """Return an order's id from where a conditional order names it: empty until it triggers."""
    if isinstance(text_or_number, str):
        text_or_number = int(text_or_number[:19]) if text_or_number.isdecimal() else 0
    return text_or_number or None


def place(spec: OrderSpec, trigger_by: str) -> tuple[str, dict[str, str]]:
    """Return where a new order is sent, and what of it.

    Raises:
        VenueRefused: Binance has no such order; nothing is sent.
    """
    params = {"symbol": symbol_of(spec.instrument), "side": spec.side.upper()}
    if spec.type.waits:
        kind = CONDITIONAL.get(spec.type)
        if kind is None:
            raise VenueRefused(f"Binance holds no {spec.type} order as it is asked for")
        params |= {
            "algoType": "CONDITIONAL",
            "type": kind,
            "triggerPrice": text(spec.trigger_price or ZERO),
            "workingType": "MARK_PRICE" if trigger_by == "mark" else "CONTRACT_PRICE",
            "clientAlgoId": spec.client_order_id,
        }
        path = "/fapi/v1/algoOrder"
    else:
        params |= {
            "type": spec.type.upper(),
            "newClientOrderId": spec.client_order_id,
            "newOrderRespType": "RESULT",
        }
        path = "/fapi/v1/order"
    params["quantity"] = text(spec.quantity)
    if spec.type.has_price:
        params |= {"price": text(spec.price or ZERO), **_rests(spec)}
    if spec.reduce_only:
        params["reduceOnly"] = "true"
    return path, params


def _rests(spec: OrderSpec) -> dict[str, str]:
    if not spec.post_only:
        params = {"timeInForce": spec.tif.upper()}
        if spec.tif is TimeInForce.GTD:
            # It keeps whole seconds alone: an order may end early, never late.
            params["goodTillDate"] = str(spec.expire_ns // 1_000_000_000 * 1000)
        return params
    if spec.tif is not TimeInForce.GTC:
        raise VenueRefused(f"a post-only order of {spec.tif}: Binance has post-only as GTX alone")
    return {"timeInForce": "GTX"}


def instrument_of(symbol: str, venue: VenueName) -> InstrumentId:
    """Return the id of a symbol at this venue."""
    return InstrumentId(f"{symbol}.{venue}")


def side_of(word: str) -> Side:
    """Return our word for a side.

    Raises:
        VenueError: it is none.
    """
    side = _SIDES.get(word)
    if side is None:
        raise VenueError(f"Binance sent an order of side {word[:20]!r}")
    return side


def type_of(word: str) -> OrderType:
    """Return our word for a type; what we do not know rests as a limit order does."""
    return _TYPES.get(word, OrderType.LIMIT)


def status_of(word: str) -> ReportStatus:
    """Return where an ordinary order stands.

    Raises:
        VenueError: a word that we do not know; guessing would end or keep an order wrongly.
    """
    status = _STATUS.get(word)
    if status is None:
        raise VenueError(f"Binance sent an order of status {word[:20]!r}")
    return status


def algo_status_of(word: str) -> ReportStatus | None:
    """Return where a conditional order stands; None where the order that it became says so.

    Raises:
        VenueError: a word that we do not know.
    """
    if word == "FINISHED":
        return None
    status = _ALGO_STATUS.get(word)
    if status is None:
        raise VenueError(f"Binance sent a conditional order of status {word[:20]!r}")
    return status


def number(value: str | float | None) -> Decimal:
    """Return a number that may be missing or empty: then it is 0.

    Raises:
        VenueError: it is none, or below 0.
    """
    if value is None or value == "":
        return ZERO
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        raise VenueError(f"Binance sent {str(value)[:20]!r} for a number") from None
    return checked(found)


def checked(value: Decimal) -> Decimal:
    """Return a quantity or price that is one.

    Raises:
        VenueError: it is none, or below 0.
    """
    if not (value.is_finite() and value >= 0 and abs(value.adjusted()) <= MAX_EXPONENT):
        raise VenueError(f"Binance sent {str(value)[:20]} for a quantity or a price")
    return value


def positive(value: Decimal) -> Decimal:
    """Return a quantity or price that is one, and not 0.

    Raises:
        VenueError: it is none, or not above 0.
    """
    if not checked(value):
        raise VenueError("Binance sent 0 for a quantity or a price that has to be something")
    return value


def report(raw: Order, twins: Twins, venue: VenueName) -> OrderReport:
    """Return what is known of an ordinary order.

    Raises:
        VenueError: it made no sense.
    """
    price, trigger = checked(raw.price), checked(raw.stopPrice)
    return OrderReport(
        twins.name_of(raw.orderId, raw.clientOrderId),
        VenueOrderId(str(raw.orderId)),
        instrument_of(raw.symbol, venue),
        side_of(raw.side),
        type_of(raw.origType or raw.type),
        status_of(raw.status),
        checked(raw.origQty),
        checked(raw.executedQty),
        price or None,
        trigger or None,
    )


def algo_report(raw: Algo, actual: Order | None, venue: VenueName) -> OrderReport:
    """Return what is known of a conditional order, and of the ordinary one that it became.

    Raises:
        VenueError: it made no sense.
    """
    quantity, filled = number(raw.quantity), number(raw.actualQty)
    status = algo_status_of(raw.algoStatus)
    venue_id = raw.actual_id or raw.algoId
    if actual is not None:
        status, filled = status_of(actual.status), checked(actual.executedQty)
        quantity = checked(actual.origQty) or quantity
    elif status is None:
        status = ReportStatus.FILLED if filled >= quantity > 0 else ReportStatus.CANCELLED
    return OrderReport(
        ClientOrderId(raw.clientAlgoId),
        VenueOrderId(str(venue_id)),
        instrument_of(raw.symbol, venue),
        side_of(raw.side),
        type_of(raw.orderType or raw.type),
        status,
        quantity,
        filled,
        number(raw.price) or None,
        number(raw.triggerPrice) or None,
    )


def placed(name: ClientOrderId, body: bytes) -> Sequence[VenueEvent]:
    """Return what the answer to a new ordinary order tells.

    Raises:
        VenueError: it made no sense; the order may exist.
    """
    raw = BINANCE.decode(order, body, "answer to an order")
    _same(name, raw.clientOrderId)
    status, ts_ns = status_of(raw.status), raw.updateTime * NS_PER_MS
    if status is ReportStatus.REJECTED:
        return [OrderRejected(name, "rejected by Binance", ts_ns)]
    accepted = OrderAccepted(name, VenueOrderId(str(raw.orderId)), ts_ns)
    if status is ReportStatus.OPEN:
        return [accepted]
    return [accepted, OrderClosed(name, status, checked(raw.executedQty), ts_ns)]


def algo_placed(name: ClientOrderId, body: bytes, now_ns: int) -> Sequence[VenueEvent]:
    """Return what the answer to a new conditional order tells.

    Raises:
        VenueError: it made no sense; the order may exist.
    """
    raw = BINANCE.decode(algo, body, "answer to a conditional order")
    _same(name, raw.clientAlgoId)
    ts_ns = raw.updateTime * NS_PER_MS or now_ns
    return [OrderAccepted(name, VenueOrderId(str(raw.algoId)), ts_ns)]


def cancelled(name: ClientOrderId, body: bytes) -> Sequence[VenueEvent]:
    """Return what the answer to a cancel of an ordinary order tells.

    Raises:
        VenueError: it made no sense.
    """
    raw = BINANCE.decode(order, body, "answer to a cancel")
    status = status_of(raw.status)
    if status is ReportStatus.OPEN:
        return []
    return [OrderClosed(name, status, checked(raw.executedQty), raw.updateTime * NS_PER_MS)]


def check_done(body: bytes, what: str) -> None:
    """See that Binance says that a request which tells no more than that was carried out.

    Raises:
        VenueError: it did not.
    """
    answer = BINANCE.decode(done, body, f"answer to {what}")
    if str(answer.code) != "200":
        raise VenueError(f"Binance answered {what} with {answer.code} {answer.msg[:100]}")


def _same(name: ClientOrderId, told: str) -> None:
    if name != told:
        raise VenueError(f"Binance answered order {name} with one of the name {told[:40]!r}")
