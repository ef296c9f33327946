"""Orders over Binance's REST API, without any I/O: a new one out, and answers in.

Guarantees that nothing is made of an answer that is not about the order that was asked about, whose
numbers do not fit each other, or that has a word where its meaning matters and we do not know it:
that is a `VenueError`, so the outcome stays open and the exchange is asked. Fields that we do not
know are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from trade_runtime.errors import VenueError, VenueRefused
from trade_runtime.model.events import Fill, OrderAccepted, OrderClosed, OrderRejected, VenueEvent
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    TradeId,
    VenueName,
    VenueOrderId,
    symbol_of,
)
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO, OrderReport, OrderSpec, OrderType, ReportStatus
from trade_runtime.protocols import Placed
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.binance.streams import NS_PER_MS
from trade_runtime.venues.binance_spot.fees import fee_in_base
from trade_runtime.venues.binance_spot.spelling import (
    LIMIT_MAKER,
    SIDE_OF,
    SIDES,
    STATUS_OF,
    TIFS,
    TYPE_OF,
    TYPES,
)
from trade_runtime.venues.wire.payload import excerpt


class _Part(msgspec.Struct):
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str  # noqa: N815
    tradeId: Id  # noqa: N815


class _Reply(msgspec.Struct):
    """Of a new order: ACK has the first four fields, RESULT all but the last, FULL all."""

    symbol: str
    orderId: Id  # noqa: N815
    clientOrderId: str  # noqa: N815
    transactTime: Ms  # noqa: N815
    side: str = ""
    status: str = ""
    origQty: Decimal = ZERO  # noqa: N815
    executedQty: Decimal = ZERO  # noqa: N815
    fills: list[_Part] = []


class _Order(msgspec.Struct):
    symbol: str
    orderId: Id  # noqa: N815
    clientOrderId: str  # noqa: N815
    side: str
    type: str
    status: str
    origQty: Decimal  # noqa: N815
    executedQty: Decimal  # noqa: N815
    price: Decimal = ZERO
    stopPrice: Decimal = ZERO  # noqa: N815


class _Cancelled(msgspec.Struct):
    origClientOrderId: str = ""  # noqa: N815
    symbol: str = ""
    status: str = ""
    executedQty: Decimal = ZERO  # noqa: N815
    transactTime: Ms = 0  # noqa: N815
    orderReports: list[_Cancelled] = []  # noqa: N815
    """Of an order list, whose orders go together."""


_reply = msgspec.json.Decoder(_Reply)
_order = msgspec.json.Decoder(_Order)
_orders = msgspec.json.Decoder(list[_Order])
_one_cancelled = msgspec.json.Decoder(_Cancelled)
_all_cancelled = msgspec.json.Decoder(list[_Cancelled])

Strange = Callable[[str], None]
"""Told of what we do not know and pass over, in a few words."""


def encode_order(order: OrderSpec) -> dict[str, str]:
    """Return the parameters of a new order, as it is to be sent.

    Raises:
        VenueRefused: Binance Spot holds no such order.
    """
    kind, tif = TYPES.get(order.type), TIFS.get(order.tif)
    if kind is None or tif is None:
        raise VenueRefused(f"Binance Spot holds no order of type {order.type} and {order.tif}")
    if order.post_only:
        if order.type is not OrderType.LIMIT:
            raise VenueRefused(f"Binance Spot holds no {order.type} order to post_only")
        kind = LIMIT_MAKER
    params = {
        "symbol": symbol_of(order.instrument),
        "side": SIDES[order.side],
        "type": kind,
        "quantity": text(order.quantity),
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "FULL",
    }
    if order.price is not None:
        params["price"] = text(order.price)
        if kind != LIMIT_MAKER:
            params["timeInForce"] = tif
    if order.trigger_price is not None:
        params["stopPrice"] = text(order.trigger_price)
    return params


def named(order: Placed) -> dict[str, str]:
    """Return the parameters that name an order."""
    return {
        "symbol": symbol_of(order.instrument),
        "origClientOrderId": order.client_order_id,
    }


def decode_placed(body: bytes, order: OrderSpec) -> list[VenueEvent]:
    """Decode the answer to a new order: that it is held, its fills so far, and its end.

    Raises:
        VenueError: it made no sense, or is about another order.
    """
    raw = BINANCE.decode(_reply, body, "answer to a new order")
    _same("new order", order, raw.symbol, raw.clientOrderId)
    own, ts_ns = order.client_order_id, raw.transactTime * NS_PER_MS
    told: list[VenueEvent] = [OrderAccepted(own, VenueOrderId(str(raw.orderId)), ts_ns)]
    if not raw.status:
        return told  # an ACK: what became of it the private stream tells
    status = _status("new order", raw.status)
    BINANCE.check_exact("new order", raw.origQty, raw.executedQty)
    if raw.origQty != order.quantity or SIDE_OF.get(raw.side, order.side) is not order.side:
        raise VenueError(f"Binance answered to order {own} with another side or quantity")
    told += [_fill(part, order, ts_ns) for part in raw.fills]
    if raw.fills and sum((part.qty for part in raw.fills), ZERO) != raw.executedQty:
        raise VenueError(f"Binance answered to order {own} with fills that do not add up")
    if raw.executedQty > raw.origQty:
        raise VenueError(f"Binance answered to order {own} with more filled than was asked for")
    if status is ReportStatus.REJECTED:
        return [OrderRejected(own, "rejected by the exchange", ts_ns)]
    if status is not ReportStatus.OPEN:
        told.append(OrderClosed(own, status, raw.executedQty, ts_ns))
    return told


def _fill(part: _Part, order: OrderSpec, ts_ns: int) -> Fill:
    BINANCE.check_exact("fill", part.price, part.qty, part.commission.copy_abs())
    if not part.price or not part.qty or part.tradeId < 0:
        raise VenueError("Binance sent a fill of nothing, or at no price")
    return Fill(
        order.client_order_id,
        order.instrument,
        TradeId(str(part.tradeId)),
        order.side,
        part.qty,
        part.price,
        part.commission,
        Currency(part.commissionAsset),
        False,  # what fills as it comes took from the book
        ts_ns,
        fee_in_base=fee_in_base(order.instrument, order.side, part.commissionAsset),
    )


def decode_cancelled(body: bytes, order: Placed) -> list[VenueEvent]:
    """Decode the answer to a cancel; one of an order list tells of the others of it too.

    Raises:
        VenueError: it made no sense, or is about another order.
    """
    raw = BINANCE.decode(_one_cancelled, body, "answer to a cancel")
    reports = raw.orderReports or [raw]
    own = [one for one in reports if one.origClientOrderId == order.client_order_id]
    if len(own) != 1:
        raise VenueError(f"Binance answered to the cancel of {order.client_order_id} with another")
    return [_closed(one) for one in reports]


def decode_all_cancelled(body: bytes) -> list[VenueEvent]:
    """Decode the answer to the cancel of all that rests in a symbol.

    Raises:
        VenueError: it made no sense.
    """
    told: list[VenueEvent] = []
    for raw in BINANCE.decode(_all_cancelled, body, "answer to a cancel of all"):
        told += [_closed(one) for one in raw.orderReports or [raw]]
    return told


def _closed(raw: _Cancelled) -> OrderClosed:
    status = _status("cancel", raw.status)
    BINANCE.check_exact("cancel", raw.executedQty)
    if status is ReportStatus.OPEN or not raw.origClientOrderId:
        raise VenueError("Binance answered to a cancel with an order that is open, or has no id")
    own = ClientOrderId(raw.origClientOrderId)
    return OrderClosed(own, status, raw.executedQty, raw.transactTime * NS_PER_MS)


def decode_order(body: bytes, order: Placed, venue: VenueName) -> OrderReport:
    """Decode the answer to the query of an order.

    Raises:
        VenueError: it made no sense, is about another order, or has a word that we do not know.
    """
    raw = BINANCE.decode(_order, body, "order")
    _same("query", order, raw.symbol, raw.clientOrderId)
    report = _report(raw, venue)
    if report is None:
        words = f"{raw.status} {raw.type} {raw.side}"
        raise VenueError(f"Binance tells of an order in words that we do not know: {words}")
    return report


def decode_orders(body: bytes, venue: VenueName, strange: Strange) -> list[OrderReport]:
    """Decode a list of orders. Those with a word that we do not know are passed over and told of:
    who misses one of its own asks for it by its id.

    Raises:
        VenueError: it made no sense.
    """
    reports = []
    for raw in BINANCE.decode(_orders, body, "list of orders"):
        report = _report(raw, venue)
        if report is None:
            strange(f"an order of status {raw.status}, type {raw.type} and side {raw.side}")
        else:
            reports.append(report)
    return reports


def decode_names(body: bytes) -> dict[int, ClientOrderId]:
    """Decode a list of orders, or one, into client order ids by Binance's own.

    Raises:
        VenueError: it made no sense.
    """
    many = body.lstrip()[:1] == b"["
    raws = (
        BINANCE.decode(_orders, body, "list of orders")
        if many
        else [BINANCE.decode(_order, body, "order")]
    )
    return {raw.orderId: ClientOrderId(raw.clientOrderId) for raw in raws}


def _report(raw: _Order, venue: VenueName) -> OrderReport | None:
    status, kind, side = (
        STATUS_OF.get(raw.status),
        TYPE_OF.get(raw.type),
        SIDE_OF.get(raw.side),
    )
    if status is None or kind is None or side is None:
        return None
    BINANCE.check_exact("order", raw.origQty, raw.executedQty, raw.price, raw.stopPrice)
    if raw.origQty and raw.executedQty > raw.origQty:
        raise VenueError(
            f"Binance tells of order {raw.orderId} that more filled than was asked for"
        )
    return OrderReport(
        ClientOrderId(raw.clientOrderId),
        VenueOrderId(str(raw.orderId)),
        InstrumentId(f"{raw.symbol}.{venue}"),
        side,
        kind,
        status,
        raw.origQty,
        raw.executedQty,
        raw.price if kind.has_price and raw.price else None,
        raw.stopPrice if kind.waits and raw.stopPrice else None,
    )


def archived(order: Placed) -> OrderReport:
    """Return the report of an order that Binance has put away: it ended long ago without a fill."""
    return OrderReport(
        order.client_order_id,
        VenueOrderId(""),
        order.instrument,
        order.side,
        order.type,
        ReportStatus.EXPIRED,
        ZERO,
        ZERO,
        reason="ended over 90 days ago without a fill",
    )


def _same(what: str, order: Placed, symbol: str, client_order_id: str) -> None:
    if (symbol, client_order_id) != (symbol_of(order.instrument), order.client_order_id):
        got = excerpt(f"{client_order_id} in {symbol}")
        raise VenueError(
            f"Binance answered to a {what} of {order.client_order_id} with one of {got}"
        )


def _status(what: str, word: str) -> ReportStatus:
    status = STATUS_OF.get(word)
    if status is None:
        raise VenueError(f"Binance answered to a {what} with the status {excerpt(word)}")
    return status
