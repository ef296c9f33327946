"""What Kraken's private REST API says of orders, fills and balances, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, TradeId, VenueOrderId
from trade_runtime.model.orders import ZERO, OrderReport, OrderType, ReportStatus
from trade_runtime.venues.kraken_spot.codec import KRAKEN, check_digits, side_of
from trade_runtime.venues.kraken_spot.instruments import Listing
from trade_runtime.venues.kraken_spot.orders import type_of
from trade_runtime.venues.kraken_spot.times import ns_of_secs
from trade_runtime.venues.wire.payload import excerpt

_STATUS: Final = {
    "pending": ReportStatus.OPEN,
    "open": ReportStatus.OPEN,
    "closed": ReportStatus.FILLED,
    "canceled": ReportStatus.CANCELLED,
    "expired": ReportStatus.EXPIRED,
}


class _Description(msgspec.Struct):
    pair: str
    type: str
    ordertype: str
    price: str = "0"
    price2: str = "0"


class _Order(msgspec.Struct):
    status: str
    descr: _Description
    vol: Decimal
    vol_exec: Decimal
    cl_ord_id: str | None = None
    reason: str | None = None


class _Trade(msgspec.Struct):
    ordertxid: str
    pair: str
    time: Decimal
    type: str
    price: Decimal
    vol: Decimal
    fee: Decimal
    maker: bool = False


class _Trades(msgspec.Struct):
    trades: dict[str, _Trade]
    count: int = 0


class _Open(msgspec.Struct):
    open: dict[str, _Order]


class _Closed(msgspec.Struct):
    closed: dict[str, _Order]


class _Balance(msgspec.Struct):
    balance: Decimal


class _Token(msgspec.Struct):
    token: str


class _KeyInfo(msgspec.Struct):
    permissions: list[str] = []


_open = msgspec.json.Decoder(_Open, strict=False)
_closed = msgspec.json.Decoder(_Closed, strict=False)
_orders = msgspec.json.Decoder(dict[str, _Order], strict=False)
_trades = msgspec.json.Decoder(_Trades, strict=False)
_balances = msgspec.json.Decoder(dict[str, _Balance], strict=False)
_token = msgspec.json.Decoder(_Token)
_key_info = msgspec.json.Decoder(_KeyInfo)


def decode_open(body: msgspec.Raw, listing: Listing, venue: str) -> list[OrderReport]:
    """Decode the result of `OpenOrders`.

    Raises:
        VenueError: it made no sense.
    """
    found = KRAKEN.decode(_open, body, "list of open orders").open
    return _reports(found, listing, venue)


def decode_closed(body: msgspec.Raw, listing: Listing, venue: str) -> list[OrderReport]:
    """Decode the result of `ClosedOrders`, newest first.

    Raises:
        VenueError: it made no sense.
    """
    found = KRAKEN.decode(_closed, body, "list of closed orders").closed
    return _reports(found, listing, venue)


def decode_queried(body: msgspec.Raw, listing: Listing, venue: str) -> list[OrderReport]:
    """Decode the result of `QueryOrders`.

    Raises:
        VenueError: it made no sense.
    """
    found = KRAKEN.decode(_orders, body, "list of orders")
    return _reports(found, listing, venue)


def _reports(found: Mapping[str, _Order], listing: Listing, venue: str) -> list[OrderReport]:
    return [_report(order_id, order, listing, venue) for order_id, order in found.items()]


def instrument_named(name: str, listing: Listing, venue: str) -> InstrumentId:
    """Return the instrument that REST calls so; one that is not listed goes by that name."""
    pair = listing.of_rest(name)
    return InstrumentId(f"{name if pair is None else pair.symbol}.{venue}")


def _report(order_id: str, order: _Order, listing: Listing, venue: str) -> OrderReport:
    described, status = order.descr, _STATUS.get(order.status)
    if status is None:
        raise VenueError(f"Kraken sent an order that is {excerpt(order.status)!r}")
    check_digits("order", order.vol, order.vol_exec)
    if order.vol < 0 or order.vol_exec < 0:
        raise VenueError(f"Kraken sent an order of {order.vol}, of which {order.vol_exec} filled")
    kind = type_of(described.ordertype)
    first, second = _price(described.price), _price(described.price2)
    if kind is OrderType.TRAILING_STOP:
        price = trigger = None  # its distance is told, which is no price
    elif kind.waits:
        price, trigger = (second if kind.has_price else None), first or second
    else:
        price, trigger = (first if kind.has_price else None), None
    return OrderReport(
        ClientOrderId(order.cl_ord_id or order_id),
        VenueOrderId(order_id),
        instrument_named(described.pair, listing, venue),
        side_of(described.type),
        kind,
        status,
        order.vol,
        order.vol_exec,
        price,
        trigger,
        excerpt(order.reason or ""),
    )


def _price(text: str) -> Decimal | None:
    try:
        price = Decimal(text)
    except ArithmeticError:
        return None  # "+5.0%", relative: not ours
    if not price.is_finite():
        return None
    check_digits("order", price)
    return price if price > ZERO else None


class TradePage(msgspec.Struct, frozen=True):
    """One page of `TradesHistory`: fills that still lack the client order ids of their orders.

    Attributes:
        trades: by Kraken's id of a trade.
        count: how many there are on all pages.
    """

    trades: dict[str, _Trade]
    count: int

    @property
    def order_ids(self) -> list[str]:
        """Kraken's ids of their orders."""
        return [trade.ordertxid for trade in self.trades.values()]


def decode_trades(body: msgspec.Raw) -> TradePage:
    """Decode the result of `TradesHistory`.

    Raises:
        VenueError: it made no sense.
    """
    page = KRAKEN.decode(_trades, body, "list of trades")
    for trade in page.trades.values():
        check_digits("trade", trade.price, trade.vol, trade.fee)
        if trade.price <= 0 or trade.vol <= 0:
            raise VenueError(f"Kraken sent a trade of {trade.vol} at {trade.price}")
    return TradePage(page.trades, page.count)


def fills_of(
    page: Mapping[str, _Trade],
    name_of: Callable[[str], ClientOrderId | None],
    listing: Listing,
    venue: str,
) -> list[Fill]:
    """Return trades as fills, oldest first.

    Raises:
        VenueError: one of them made no sense.
    """
    fills = []
    for trade_id, trade in page.items():
        pair = listing.of_rest(trade.pair)
        quote = pair.instrument.quote if pair is not None else Currency("")
        fills.append(
            Fill(
                name_of(trade.ordertxid) or ClientOrderId(trade.ordertxid),
                instrument_named(trade.pair, listing, venue),
                TradeId(trade_id),
                side_of(trade.type),
                trade.vol,
                trade.price,
                trade.fee,
                quote,
                trade.maker,
                ns_of_secs(trade.time),
            )
        )
    return sorted(fills, key=lambda fill: (fill.ts_ns, fill.trade_id))


def decode_balances(body: msgspec.Raw, listing: Listing) -> dict[Currency, Decimal]:
    """Decode the result of `BalanceEx`: what the account holds, free and locked.

    Raises:
        VenueError: it made no sense.
    """
    held: dict[Currency, Decimal] = {}
    for name, raw in KRAKEN.decode(_balances, body, "list of balances").items():
        check_digits("balance", raw.balance)
        currency = listing.currency(name)
        held[currency] = held.get(currency, ZERO) + raw.balance
    return held


def decode_token(body: msgspec.Raw) -> str:
    """Decode the result of `GetWebSocketsToken`.

    Raises:
        VenueError: it made no sense; the text does not repeat it.
    """
    try:
        return _token.decode(body).token
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise VenueError("Kraken sent no token for its WebSocket") from None


def may_withdraw(body: msgspec.Raw) -> bool:
    """Tell from the result of `GetApiKeyInfo` whether the key may take funds out.

    Raises:
        VenueError: it made no sense.
    """
    rights: Iterable[str] = KRAKEN.decode(_key_info, body, "description of the key").permissions
    return any("withdraw" in right.lower() and "query" not in right.lower() for right in rights)
