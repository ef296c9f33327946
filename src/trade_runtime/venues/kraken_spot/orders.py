"""Orders as Kraken's WebSocket v2 takes them, without any I/O.

Numbers are written as JSON numbers of exactly our digits. The token is no part of what is made here
but of the connection's: it is put in by who sends.

Our client order ids are at most 18 letters, digits and hyphens, so they are Kraken's "free text"
`cl_ord_id` as they are. An order that somebody placed without one goes by Kraken's own id, which
looks like none of ours: `OUF4EM-FRGI2-MQMWZD`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from trade_runtime.model.ids import ClientOrderId, symbol_of
from trade_runtime.model.orders import OrderSpec, OrderType, TimeInForce
from trade_runtime.venues.kraken_spot.times import stamp_of
from trade_runtime.venues.wire.sending import Numbers

TYPES: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP_MARKET: "stop-loss",
    OrderType.STOP_LIMIT: "stop-loss-limit",
    OrderType.TAKE_PROFIT: "take-profit",
    OrderType.TAKE_PROFIT_LIMIT: "take-profit-limit",
    OrderType.TRAILING_STOP: "trailing-stop",
}

_FOREIGN: Final = {
    "iceberg": OrderType.LIMIT,
    "settle-position": OrderType.MARKET,
    "trailing-stop-limit": OrderType.TRAILING_STOP,
}
_BY_NAME: Final = {name: kind for kind, name in TYPES.items()} | _FOREIGN

TIFS: Final[Mapping[TimeInForce, str]] = {
    TimeInForce.GTC: "gtc",
    TimeInForce.IOC: "ioc",
    TimeInForce.GTD: "gtd",
}
"""How long orders rest at Kraken: it has no fill-or-kill."""

_VENUE_ID: Final = re.compile(r"O[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}")


def type_of(name: str) -> OrderType:
    """Return the type that Kraken calls so; one that we do not know is taken for a limit order:
    it can be none of ours.
    """
    return _BY_NAME.get(name, OrderType.LIMIT)


def is_venue_id(name: ClientOrderId) -> bool:
    """Tell whether an order goes by Kraken's own id because it was placed without another."""
    return _VENUE_ID.fullmatch(name) is not None


def number(value: Decimal) -> msgspec.Raw:
    """Return a number as JSON has it, without an exponent."""
    return msgspec.Raw(f"{value:f}".encode())


def place(order: OrderSpec, reference: str, deadline_ns: int) -> dict[str, Any]:
    """Return the parameters of `add_order`.

    Args:
        order: what to place.
        reference: the price that triggers watch, `last` or `index`.
        deadline_ns: when Kraken is to refuse it if it has not got to it, by its own clock.
    """
    params: dict[str, Any] = {
        "order_type": TYPES[order.type],
        "side": order.side.value,
        "symbol": symbol_of(order.instrument),
        "order_qty": number(order.quantity),
        "cl_ord_id": order.client_order_id,
        "fee_preference": "quote",  # REST tells a fee without its currency: it is this one
        "deadline": stamp_of(deadline_ns),
    }
    if order.price is not None:
        params["limit_price"] = number(order.price)
    if order.type is OrderType.TRAILING_STOP and order.trail is not None:
        # Kraken takes the distance; where it stands at first comes from the price then.
        params["triggers"] = _triggers(reference, order.trail, "quote")
    elif order.trigger_price is not None:
        params["triggers"] = _triggers(reference, order.trigger_price, "static")
    if order.type is not OrderType.MARKET:
        params["time_in_force"] = TIFS[order.tif]
        if order.tif is TimeInForce.GTD:
            params["expire_time"] = stamp_of(order.expire_ns)
    if order.post_only:
        params["post_only"] = True
    return params


def _triggers(reference: str, price: Decimal, kind: str) -> dict[str, Any]:
    return {"reference": reference, "price": number(price), "price_type": kind}


def amend(name: ClientOrderId, numbers: Numbers, deadline_ns: int) -> dict[str, Any]:
    """Return the parameters of `amend_order`: the whole quantity, not what is left of it."""
    params: dict[str, Any] = {
        _id_key(name): name,
        "order_qty": number(numbers.quantity),
        "deadline": stamp_of(deadline_ns),
    }
    if numbers.price is not None:
        params["limit_price"] = number(numbers.price)
    if numbers.trigger_price is not None:
        params["trigger_price"] = number(numbers.trigger_price)
        params["trigger_price_type"] = "static"
    return params


def cancel(name: ClientOrderId) -> dict[str, Any]:
    """Return the parameters of `cancel_order`."""
    return {_id_key(name): [name]}


def cancel_batch(names: Iterable[str]) -> dict[str, Any]:
    """Return the parameters of `batch_cancel`, by Kraken's own ids."""
    return {"orders": list(names)}


def _id_key(name: ClientOrderId) -> str:
    return "order_id" if is_venue_id(name) else "cl_ord_id"


def request(method: str, params: Mapping[str, Any], token: str, req_id: int) -> str:
    """Return a request, ready to be sent."""
    body = {"method": method, "params": {**params, "token": token}, "req_id": req_id}
    return msgspec.json.encode(body).decode()
