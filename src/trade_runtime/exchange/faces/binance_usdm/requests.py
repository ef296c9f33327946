"""What a request for an order says, read and checked, before the exchange sees it."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.errors import Rejected, missing
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_usdm.listing import (
    TYPES,
    check_price,
    check_size,
    listed,
)
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.views import NewOrder
from trade_runtime.model.orders import OrderType, Side, TimeInForce

SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
TIFS: Final = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "GTX": TimeInForce.GTC,
    "GTD": TimeInForce.GTD,
}
ORDINARY: Final = {"LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET}
CONDITIONAL: Final = {
    "STOP_MARKET": OrderType.STOP_MARKET,
    "STOP": OrderType.STOP_LIMIT,
    "TAKE_PROFIT_MARKET": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT_LIMIT,
    "TRAILING_STOP_MARKET": OrderType.TRAILING_STOP,
}
MIN_DATE_MS: Final = 600_000
"""A date of an order lies so far ahead at least; Binance's own."""

MAX_RATE: Final = Decimal(10)
MIN_RATE: Final = Decimal("0.1")
"""Of a trailing stop, in percent; Binance's own."""

_generated = count(1)


def generated_id() -> str:
    """Return a client order id for a request that brings none."""
    return f"auto_{next(_generated)}"


def read_ordinary(floor: Floor, params: Params) -> NewOrder:
    """Read a request for an ordinary order.

    Raises:
        Rejected: it makes no sense, a filter refuses it, or it belongs to the Algo service.
    """
    symbol = params.needed("symbol")
    listed(floor, symbol)
    side = SIDES[params.choice("side", tuple(SIDES), -1117)]
    word = params.choice("type", TYPES, -1116)
    if word in CONDITIONAL:
        raise Rejected(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints"
            " instead.",
        )
    _one_way(params)
    kind = ORDINARY[word]
    price = params.needed_number("price") if kind.has_price else None
    if price is None and "price" in params:
        raise Rejected(-1106, "Parameter 'price' sent when not required.")
    if price is not None:
        check_price(floor, symbol, price, near=True)
    reduces = params.flag("reduceOnly")
    quantity = params.needed_number("quantity")
    check_size(floor, symbol, quantity, price, reduces=reduces)
    tif, expire_ns = _rests(floor, params, needed=kind.has_price)
    return NewOrder(
        symbol,
        side,
        kind,
        quantity,
        params.client_id("newClientOrderId") or generated_id(),
        price,
        None,
        TimeInForce.IOC if price is None else TIFS[tif],
        post_only=tif == "GTX",
        reduce_only=reduces,
        expire_ns=expire_ns,
        note={"type": word, "tif": tif, "workingType": params.text("workingType", WORKING)},
    )


WORKING: Final = "CONTRACT_PRICE"


def read_conditional(floor: Floor, params: Params) -> NewOrder:
    """Read a request for a conditional order.

    Raises:
        Rejected: it makes no sense, or a filter refuses it.
    """
    params.choice("algoType", ("CONDITIONAL",), -1102)
    symbol = params.needed("symbol")
    one = listed(floor, symbol)
    side = SIDES[params.choice("side", tuple(SIDES), -1117)]
    word = params.choice("type", tuple(CONDITIONAL), -1116)
    _one_way(params)
    kind = CONDITIONAL[word]
    price = params.needed_number("price") if kind.has_price else None
    trigger, trail = None, None
    if kind is OrderType.TRAILING_STOP:
        rate = params.needed_number("callbackRate")
        if not MIN_RATE <= rate <= MAX_RATE:
            raise Rejected(-2007, "Invalid callBack rate.")
        last = floor.market.tapes[symbol].last_price
        trail = max(last * rate / 100 // one.tick * one.tick, one.tick)
    else:
        trigger = params.needed_number("triggerPrice")
        check_price(floor, symbol, trigger, near=False)
    if price is not None:
        check_price(floor, symbol, price, near=False)
    closes = params.flag("closePosition")
    reduces = params.flag("reduceOnly") or closes
    quantity = _closing(floor, params, symbol, side) if closes else params.needed_number("quantity")
    check_size(floor, symbol, quantity, price or trigger, reduces=reduces)
    tif, expire_ns = _rests(floor, params, needed=False)
    note: dict[str, Any] = {
        "type": word,
        "tif": tif,
        "workingType": params.text("workingType", WORKING),
        "close": closes,
        "rate": params.text("callbackRate"),
    }
    return NewOrder(
        symbol,
        side,
        kind,
        quantity,
        params.client_id("clientAlgoId") or generated_id(),
        price,
        trigger,
        TIFS[tif] if kind.has_price else TimeInForce.GTC,
        post_only=tif == "GTX" and kind.has_price,
        reduce_only=reduces,
        expire_ns=expire_ns if kind.has_price else 0,
        trail=trail,
        note=note,
    )


def _closing(floor: Floor, params: Params, symbol: str, side: Side) -> Decimal:
    for name in ("quantity", "reduceOnly"):
        if name in params:
            raise Rejected(-1106, f"Parameter '{name}' sent when not required.")
    held = floor.exchange.positions().get(symbol)
    if held is None or held.quantity * side.sign >= 0:
        raise Rejected(-2022, "ReduceOnly Order is rejected.")
    return abs(held.quantity)


def _one_way(params: Params) -> None:
    if params.text("positionSide", "BOTH") != "BOTH":
        raise Rejected(-4061, "Order's position side does not match user's setting.")


def _rests(floor: Floor, params: Params, *, needed: bool) -> tuple[str, int]:
    if "timeInForce" not in params:
        if needed:
            raise missing("timeInForce")
        return "GTC", 0
    tif = params.choice("timeInForce", tuple(TIFS), -1115)
    if tif != "GTD":
        return tif, 0
    date_ms = params.whole("goodTillDate") // 1000 * 1000
    if date_ms < floor.clock.now_ms() + MIN_DATE_MS:
        raise Rejected(-4187, "The goodTillDate must be at least 600 seconds later.")
    return tif, date_ms * NS_PER_MS
