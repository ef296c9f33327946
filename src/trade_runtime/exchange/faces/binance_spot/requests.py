"""What a request for an order says, read and checked, before the exchange sees it."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Any, Final

import attrs

from trade_runtime.exchange.faces.binance.errors import Rejected, filtered, missing
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_spot.listing import (
    MAX_TRAILING_BIPS,
    MIN_TRAILING_BIPS,
    ORDER_TYPES,
    check_price,
    check_size,
    listed,
)
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.views import NewOrder
from trade_runtime.model.orders import ZERO, OrderType, Side, TimeInForce

SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
TIFS: Final = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
ANSWERS: Final = ("ACK", "RESULT", "FULL")
STP: Final = "selfTradePreventionMode"

BIPS: Final = Decimal(10_000)

_generated = count(1)


@attrs.frozen
class Leg:
    """The words of one order: where in a request each of them is found.

    A request for an order list names those of its two orders with a prefix, `aboveType`.
    """

    prefix: str = ""

    def name(self, name: str) -> str:
        """Return the name of a parameter."""
        return self.prefix + name[0].upper() + name[1:] if self.prefix else name


def generated_id() -> str:
    """Return a client order id for a request that brings none."""
    return f"auto-{next(_generated)}"


def read_order(
    floor: Floor, params: Params, leg: Leg | None = None, *, note: dict[str, Any] | None = None
) -> NewOrder:
    """Read a request for an order.

    Args:
        floor: where it is to go.
        params: of the request.
        leg: which of its orders; None for the only one.
        note: what is kept with the order beside its own words.

    Raises:
        Rejected: it makes no sense, or a filter refuses it.
    """
    leg = leg or Leg()
    symbol = params.needed("symbol")
    listed(floor, symbol)
    side = SIDES[params.choice("side", tuple(SIDES), -1117)]
    word = params.choice(leg.name("type"), tuple(ORDER_TYPES), -1116)
    kind = ORDER_TYPES[word]
    price = _price(floor, params, leg, symbol, needed=kind.has_price)
    trigger, trail, trailing = _trigger(floor, params, leg, symbol, side, kind)
    quantity, quoted = _quantity(floor, params, symbol, side, kind)
    check_size(floor, symbol, quantity, price or trigger)
    tif = _tif(params, leg, word)
    kept = dict(note or {})
    kept.update(type=word, tif=tif, trailing=trailing, quote=quoted)
    for name in ("strategyId", "strategyType"):
        if leg.name(name) in params:
            kept[name] = params.whole(leg.name(name))
    id_name = leg.name("clientOrderId") if leg.prefix else "newClientOrderId"
    return NewOrder(
        symbol,
        side,
        OrderType.TRAILING_STOP if trail is not None else kind,
        quantity,
        params.client_id(id_name) or generated_id(),
        price,
        trigger,
        TimeInForce.IOC if kind is OrderType.MARKET else TIFS[tif],
        post_only=word == "LIMIT_MAKER",
        trail=trail,
        note=kept,
    )


def answer_kind(params: Params, word: str) -> str:
    """Return how much of an answer is wanted: ACK, RESULT or FULL.

    Raises:
        Rejected: it is none of these.
    """
    if "newOrderRespType" in params:
        return params.choice("newOrderRespType", ANSWERS, -1138)
    return "FULL" if word in ("MARKET", "LIMIT") else "ACK"


def _price(floor: Floor, params: Params, leg: Leg, symbol: str, *, needed: bool) -> Decimal | None:
    name = leg.name("price")
    if not needed:
        if name in params:
            raise Rejected(-1106, f"Parameter '{name}' sent when not required.")
        return None
    price = params.needed_number(name)
    check_price(floor, symbol, price)
    return price


def _tif(params: Params, leg: Leg, word: str) -> str:
    name = leg.name("timeInForce")
    if word in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
        return params.choice(name, tuple(TIFS), -1115)
    if name in params:
        raise Rejected(-1106, f"Parameter '{name}' sent when not required.")
    return "GTC"


def _trigger(
    floor: Floor, params: Params, leg: Leg, symbol: str, side: Side, kind: OrderType
) -> tuple[Decimal | None, Decimal | None, int]:
    """Return the trigger, the trail, and the trail in hundredths of a percent as it was sent."""
    stop, delta = leg.name("stopPrice"), leg.name("trailingDelta")
    if not kind.waits:
        for name in (stop, delta):
            if name in params:
                raise Rejected(-1106, f"Parameter '{name}' sent when not required.")
        return None, None, 0
    if delta not in params:
        trigger = params.number(stop)
        if trigger is None:
            raise missing(stop)
        check_price(floor, symbol, trigger)
        return trigger, None, 0
    bips = params.whole(delta)
    if not MIN_TRAILING_BIPS <= bips <= MAX_TRAILING_BIPS:
        raise filtered("TRAILING_DELTA")
    if kind is not OrderType.STOP_MARKET or stop in params:
        raise Rejected(-1013, "Here a trailing delta is for STOP_LOSS without a stop price alone.")
    tick = listed(floor, symbol).tick
    trail = floor.market.tapes[symbol].last_price * bips / BIPS // tick * tick
    return None, max(trail, tick), bips


def _quantity(
    floor: Floor, params: Params, symbol: str, side: Side, kind: OrderType
) -> tuple[Decimal, Decimal]:
    """Return the quantity, and what was to be spent where that was asked for."""
    if "quoteOrderQty" not in params:
        return params.needed_number("quantity"), ZERO
    if kind is not OrderType.MARKET or "quantity" in params:
        raise Rejected(-1106, "Parameter 'quoteOrderQty' sent when not required.")
    quoted = params.needed_number("quoteOrderQty")
    bids, asks = floor.market.tapes[symbol].depth(1)
    best = asks if side is Side.BUY else bids
    if not best:
        raise Rejected(-2010, "Market is closed.")
    lot = listed(floor, symbol).lot
    return quoted / best[0][0] // lot * lot, quoted
