"""Kraken's private REST API: orders, fills and balances of the account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from trade_runtime.exchange.faces.kraken_spot.auth import TOKEN_SECS, Doorman
from trade_runtime.exchange.faces.kraken_spot.listing import Listing, Pair, asset_name
from trade_runtime.exchange.faces.kraken_spot.trading import (
    MAX_BATCH,
    Desk,
    Wanted,
    decimal_of,
)
from trade_runtime.exchange.faces.kraken_spot.words import (
    ARGUMENTS,
    NAMES,
    NS,
    Wrong,
    client_name,
    number_named,
    order_name,
    rest_status,
    secs,
    stamp,
    trade_name,
)
from trade_runtime.exchange.faults import About
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.views import Execution, Order
from trade_runtime.model.orders import OrderType

PAGE: Final = 50
"""Closed orders and trades that one answer has."""

MAX_ASKED: Final = 50
"""Orders that one question is about."""

RIGHTS: Final = (
    "query-funds",
    "query-open-trades",
    "query-closed-trades",
    "modify-trades",
    "close-trades",
    "access-websockets",
)

Method = Callable[[Mapping[str, Any]], Any]


class PrivateRest:
    """Answers the private methods.

    Args:
        floor: the exchange.
        listing: its pairs.
        desk: what trades.
        doorman: what makes tokens.
    """

    def __init__(self, floor: Floor, listing: Listing, desk: Desk, doorman: Doorman) -> None:
        self._floor = floor
        self._listing = listing
        self._desk = desk
        self._doorman = doorman
        query = About.QUERY
        self.methods: Mapping[str, tuple[About, Method]] = {
            "Balance": (query, self._balance),
            "BalanceEx": (query, self._balance_ex),
            "TradeBalance": (query, self._trade_balance),
            "OpenOrders": (query, self._open_orders),
            "ClosedOrders": (query, self._closed_orders),
            "QueryOrders": (query, self._query_orders),
            "TradesHistory": (query, self._trades_history),
            "QueryTrades": (query, self._query_trades),
            "OpenPositions": (query, lambda _: {}),
            "GetApiKeyInfo": (query, self._key_info),
            "GetWebSocketsToken": (query, self._token),
            "AddOrder": (About.ORDER, self._add_order),
            "AmendOrder": (About.AMEND, self._amend_order),
            "CancelOrder": (About.CANCEL, self._cancel_order),
            "CancelOrderBatch": (About.CANCEL, self._cancel_batch),
            "CancelAll": (About.CANCEL, self._cancel_all),
            "CancelAllOrdersAfter": (About.SWITCH, self._cancel_after),
        }
        """By name: what it is about, and what answers."""

    # --- balances

    def _balance(self, _: Mapping[str, Any]) -> Any:
        held = self._floor.exchange.balances()
        return {asset_name(name): f"{one.total:.10f}" for name, one in held.items()}

    def _balance_ex(self, _: Mapping[str, Any]) -> Any:
        return {
            asset_name(name): {
                "balance": f"{one.total:.10f}",
                "hold_trade": f"{one.locked:.10f}",
            }
            for name, one in self._floor.exchange.balances().items()
        }

    def _trade_balance(self, _: Mapping[str, Any]) -> Any:
        held = self._floor.exchange.balances().get("USD")
        total = f"{held.total if held else Decimal(0):.4f}"
        names = ("eb", "tb", "m", "n", "c", "v", "e", "mf")
        return {name: total if name in ("eb", "tb", "e", "mf") else "0.0000" for name in names}

    def _key_info(self, _: Mapping[str, Any]) -> Any:
        rights = list(RIGHTS)
        if self._floor.options.get("withdraw", "") == "yes":
            rights.append("withdraw-funds")
        return {"api_key_name": "local", "api_key": self._floor.api_key, "permissions": rights}

    def _token(self, _: Mapping[str, Any]) -> Any:
        return {"token": self._doorman.new_token(), "expires": TOKEN_SECS}

    # --- orders

    def _open_orders(self, params: Mapping[str, Any]) -> Any:
        return {"open": _named(self._wanted(params, self._floor.exchange.open_orders()), self)}

    def _closed_orders(self, params: Mapping[str, Any]) -> Any:
        ended = [one for one in self._floor.exchange.orders() if not one.open]
        found = list(reversed(self._wanted(params, ended)))
        offset = _offset(params)
        return {"closed": _named(found[offset : offset + PAGE], self), "count": len(found)}

    def _wanted(self, params: Mapping[str, Any], orders: list[Order]) -> list[Order]:
        name, userref = params.get("cl_ord_id"), params.get("userref")
        return [
            one
            for one in orders
            if (not name or client_name(one) == name)
            and (not userref or str(one.asked.note.get("userref")) == str(userref))
            and self._floor.shows(one)
        ]

    def _query_orders(self, params: Mapping[str, Any]) -> Any:
        asked = [one for one in str(params.get("txid", "")).split(",") if one]
        if not 0 < len(asked) <= MAX_ASKED:
            raise Wrong(f"{ARGUMENTS}:txid")
        found = [self._desk.look(order_id=one) for one in asked]
        if any(one is None or not self._floor.shows(one) for one in found):
            raise Wrong("EOrder:Invalid order")
        return _named([one for one in found if one is not None], self)

    def described(self, order: Order) -> dict[str, Any]:
        """Return an order as REST has it."""
        pair = self._listing.pairs[order.symbol]
        kind = order.asked.type
        fills = self._floor.exchange.fills(order.symbol, since_ns=order.created_ns)
        fee = sum((one.fee for one in fills if one.order_id == order.order_id), Decimal(0))
        told: dict[str, Any] = {
            "refid": None,
            "userref": order.asked.note.get("userref") or 0,
            "status": rest_status(order),
            "reason": order.reason or None,
            "opentm": secs(order.created_ns),
            "starttm": 0,
            "expiretm": secs(order.asked.expire_ns) if order.asked.expire_ns else 0,
            "descr": _description(order, pair),
            "vol": pair.quantity(order.quantity),
            "vol_exec": pair.quantity(order.filled),
            "cost": f"{order.cost:.5f}",
            "fee": f"{fee:.5f}",
            "price": pair.price(order.average_price),
            "stopprice": pair.price(order.trigger_price or Decimal(0)),
            "limitprice": pair.price(order.price or Decimal(0)) if kind.waits else "0.00000",
            "misc": "",
            "oflags": "fciq,post" if order.asked.post_only else "fciq",
            "time_in_force": order.asked.note.get("tif", "GTC"),
        }
        if (name := client_name(order)) is not None:
            told["cl_ord_id"] = name
        if not order.open:
            told["closetm"] = secs(order.updated_ns)
        return told

    def _add_order(self, params: Mapping[str, Any]) -> Any:
        wanted = _wanted_of(params, self._floor.clock.now_ns())
        order = self._desk.place(wanted)
        pair = self._desk.pair(wanted.pair)
        if order is None:  # only looked at
            told = f"{wanted.side} {pair.quantity(wanted.quantity)} {pair.altname} @ {wanted.type}"
            return {"descr": {"order": told}}
        return {
            "descr": {"order": _description(order, pair)["order"]},
            "txid": [order_name(order.order_id)],
        }

    def _amend_order(self, params: Mapping[str, Any]) -> Any:
        order = self._desk.find(params.get("txid"), params.get("cl_ord_id"))
        self._desk.amend(
            order,
            quantity=decimal_of(params.get("order_qty"), "order_qty"),
            price=decimal_of(params.get("limit_price"), "limit_price"),
            trigger=decimal_of(params.get("trigger_price"), "trigger_price"),
            deadline=params.get("deadline"),
        )
        return {"amend_id": f"A{order_name(order.order_id)[1:]}"}

    def _cancel_order(self, params: Mapping[str, Any]) -> Any:
        userref = str(params.get("txid", ""))
        if userref.isdigit():
            opened = self._floor.exchange.open_orders()
            found = [one for one in opened if str(one.asked.note.get("userref")) == userref]
            if not found:
                raise Wrong("EOrder:Unknown order")
        else:
            found = [self._desk.find(params.get("txid"), params.get("cl_ord_id"))]
        return {"count": len(self._desk.cancel(found))}

    def _cancel_batch(self, params: Mapping[str, Any]) -> Any:
        names = params.get("orders", [])
        names = names if isinstance(names, list) else []
        names = [one.get("txid") if isinstance(one, dict) else one for one in names]
        others = params.get("cl_ord_ids", [])
        others = others if isinstance(others, list) else []
        if not 0 < len(names) + len(others) <= MAX_BATCH:
            raise Wrong(f"{ARGUMENTS}:orders")
        found = [self._desk.look(order_id=one) for one in names]
        found += [
            self._desk.look(client_id=one.get("cl_ord_id") if isinstance(one, dict) else one)
            for one in others
        ]
        opened = [one for one in found if one is not None and one.open]
        return {"count": len(self._desk.cancel(opened))}

    def _cancel_all(self, _: Mapping[str, Any]) -> Any:
        return {"count": len(self._desk.cancel_all())}

    def _cancel_after(self, params: Mapping[str, Any]) -> Any:
        now_ns, fires_ns = self._desk.switch(params.get("timeout"))
        return {"currentTime": stamp(now_ns), "triggerTime": stamp(fires_ns) if fires_ns else "0"}

    # --- fills

    def _trades_history(self, params: Mapping[str, Any]) -> Any:
        start, end = params.get("start"), params.get("end")
        first_ns = _time_ns(start) if start else -1
        last_ns = _time_ns(end) if end else None
        found = [
            one
            for one in reversed(self._floor.exchange.fills())
            if one.ts_ns > first_ns and (last_ns is None or one.ts_ns <= last_ns)
        ]
        offset = _offset(params)
        page = found[offset : offset + PAGE]
        return {
            "trades": {trade_name(one.trade_id): self._trade(one) for one in page},
            "count": len(found),
        }

    def _query_trades(self, params: Mapping[str, Any]) -> Any:
        asked = {number_named(one) for one in str(params.get("txid", "")).split(",")}
        return {
            trade_name(one.trade_id): self._trade(one)
            for one in self._floor.exchange.fills()
            if one.trade_id in asked
        }

    def _trade(self, fill: Execution) -> dict[str, Any]:
        pair = self._listing.pairs[fill.symbol]
        order = self._floor.exchange.order(fill.order_id)
        return {
            "ordertxid": order_name(fill.order_id),
            "postxid": "TKH2SE-M7IF5-CFI7LT",
            "pair": pair.key,
            "time": secs(fill.ts_ns),
            "type": fill.side.value,
            "ordertype": NAMES[order.asked.type] if order else "limit",
            "price": pair.price(fill.price),
            "cost": f"{fill.price * fill.quantity:.5f}",
            "fee": f"{fill.fee:f}",
            "vol": pair.quantity(fill.quantity),
            "margin": "0.00000",
            "misc": "",
            "trade_id": fill.trade_id,
            "maker": fill.maker,
        }


def _named(orders: list[Order], rest: PrivateRest) -> dict[str, Any]:
    return {order_name(one.order_id): rest.described(one) for one in orders}


def _description(order: Order, pair: Pair) -> dict[str, Any]:
    kind, limit = order.asked.type, pair.price(order.price or Decimal(0))
    first, second = limit if kind.has_price else "0", "0"
    if kind is OrderType.TRAILING_STOP:
        first = f"+{pair.price(order.asked.trail or Decimal(0))}"
    elif kind.waits:
        first = pair.price(order.trigger_price or Decimal(0))
        second = limit if kind.has_price else "0"
    name = NAMES[kind]
    told = f"{order.asked.side} {pair.quantity(order.quantity)} {pair.altname} @ "
    told += name.removesuffix("-limit").replace("-", " ")
    if kind is not OrderType.MARKET:
        told += f" {first}"
    if kind.waits and kind.has_price:
        told += f" -> limit {second}"
    return {
        "pair": pair.altname,
        "type": order.asked.side.value,
        "ordertype": name,
        "price": first,
        "price2": second,
        "leverage": "none",
        "order": told,
        "close": "",
    }


def _wanted_of(params: Mapping[str, Any], now_ns: int) -> Wanted:
    kind = str(params.get("ordertype", ""))
    flags = {one for one in str(params.get("oflags") or "").split(",") if one}
    if params.get("leverage") not in (None, "", "none") or "viqc" in flags:
        raise Wrong(ARGUMENTS)
    first = params.get("price")
    if kind == "trailing-stop":
        distance = str(first or "")
        if not distance.startswith("+") or distance.endswith("%"):
            raise Wrong(f"{ARGUMENTS}:price")
        first = distance[1:]
    price, other = decimal_of(first, "price"), decimal_of(params.get("price2"), "price2")
    quantity = decimal_of(params.get("volume"), "volume")
    if quantity is None:
        raise Wrong(f"{ARGUMENTS}:volume")
    userref = str(params.get("userref") or "")
    return Wanted(
        str(params.get("pair", "")),
        str(params.get("type", "")),
        kind,
        quantity,
        limit=price if kind == "limit" else other,
        trigger=None if kind in ("limit", "market") else price,
        tif=str(params.get("timeinforce") or "gtc"),
        expire_ns=_expiry_ns(params.get("expiretm"), now_ns),
        post_only="post" in flags,
        client_id=params.get("cl_ord_id") or None,
        userref=int(userref) if userref.lstrip("-").isdigit() else None,
        deadline=params.get("deadline") or None,
        validate=str(params.get("validate") or "").lower() in ("true", "1"),
    )


def _expiry_ns(value: object, now_ns: int) -> int:
    text = str(value or "")
    if not text or text == "0":
        return 0
    if text.startswith("+") and text[1:].isdigit() and len(text) < 10:
        return now_ns + int(text[1:]) * NS
    return _time_ns(text)


def _time_ns(value: object) -> int:
    number = decimal_of(value, "start")
    if number is None or number < 0 or number >= 10**11:
        raise Wrong(f"{ARGUMENTS}:start")
    return int(number * NS)


def _offset(params: Mapping[str, Any]) -> int:
    text = str(params.get("ofs") or "0")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Wrong(f"{ARGUMENTS}:ofs")
    return int(text)
