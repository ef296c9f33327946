"""One connection of Kraken's WebSocket v2: requests in, answers out. Public and private share it:
what is private needs a token with each request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import trio

from trade_runtime.exchange.faces.kraken_spot import events
from trade_runtime.exchange.faces.kraken_spot.auth import Doorman
from trade_runtime.exchange.faces.kraken_spot.channels import PRIVATE, Channels
from trade_runtime.exchange.faces.kraken_spot.listing import Listing
from trade_runtime.exchange.faces.kraken_spot.trading import (
    MAX_BATCH,
    Desk,
    Wanted,
    decimal_of,
    ns_of_stamp,
)
from trade_runtime.exchange.faces.kraken_spot.words import (
    ARGUMENTS,
    NAMES,
    UNAVAILABLE,
    Wrong,
    client_name,
    order_name,
    stamp,
)
from trade_runtime.exchange.faults import About, Maintenance, ServerError
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.sockets import Socket
from trade_runtime.exchange.views import Order
from trade_runtime.model.orders import OrderType

HEARTBEAT: Final = b'{"channel":"heartbeat"}'
HEARTBEAT_SECS: Final = 1.0
MAX_SYMBOLS: Final = 500
"""Of one subscription."""

_ABOUT: Final = {
    "add_order": About.ORDER,
    "batch_add": About.ORDER,
    "amend_order": About.AMEND,
    "cancel_order": About.CANCEL,
    "cancel_all": About.CANCEL,
    "batch_cancel": About.CANCEL,
    "cancel_all_orders_after": About.SWITCH,
}

Params = dict[str, Any]

_decode = msgspec.json.Decoder(float_hook=str).decode  # numbers keep their digits


class Session:
    """A connection.

    Args:
        socket: not yet running.
        floor, listing, desk, doorman: what is behind it.
    """

    def __init__(
        self, socket: Socket, floor: Floor, listing: Listing, desk: Desk, doorman: Doorman
    ) -> None:
        self._socket = socket
        self._floor = floor
        self._desk = desk
        self._doorman = doorman
        self._channels = Channels(socket, floor, listing)
        self._methods: Mapping[str, Callable[[Params], list[dict[str, Any]]]] = {
            "add_order": self._add_order,
            "batch_add": self._batch_add,
            "amend_order": self._amend_order,
            "cancel_order": self._cancel_order,
            "cancel_all": self._cancel_all,
            "batch_cancel": self._batch_cancel,
            "cancel_all_orders_after": self._cancel_after,
        }

    async def run(self) -> None:
        """Serve it to its end.

        Raises:
            Gone, Cut: it is over.
        """
        status = {"system": "online", "api_version": "v2", "version": "2.0.9", "connection_id": 1}
        self._socket.tell(events.frame("status", "update", [status]))
        with (
            self._floor.market.listening(self._channels),
            self._floor.exchange.listening(self._channels.on_update),
        ):
            await self._socket.run(self._on_message)

    def beat(self) -> None:
        """Tell the client that the connection lives."""
        self._socket.tell(HEARTBEAT)

    async def _on_message(self, message: bytes) -> None:
        now_ns = self._floor.clock.now_ns()
        try:
            request = _decode(message)
            if not isinstance(request, dict):
                raise Wrong("Malformed request")
        except (msgspec.MsgspecError, UnicodeError, RecursionError, Wrong):
            self._socket.reply(events.encode({"error": "Malformed request", "success": False}))
            return
        method, params = request.get("method"), request.get("params")
        params = params if isinstance(params, dict) else {}
        base: dict[str, Any] = {"method": method}
        if isinstance(request.get("req_id"), int):
            base["req_id"] = request["req_id"]
        if method == "ping":
            self._answer({**base, "method": "pong"}, now_ns)
        elif method in ("subscribe", "unsubscribe"):
            self._subscribe(base, params, now_ns, ends=method == "unsubscribe")
        elif isinstance(method, str) and method in self._methods:
            await self._trade(method, base, params, now_ns)
        else:
            self._refuse(base, "Method not supported", now_ns)

    def _answer(self, fields: dict[str, Any], came_ns: int) -> None:
        times = {"time_in": stamp(came_ns), "time_out": stamp(self._floor.clock.now_ns())}
        self._socket.reply(events.encode({**fields, **times}))

    def _refuse(self, base: dict[str, Any], error: str, came_ns: int, **more: Any) -> None:
        self._answer({**base, "success": False, "error": error, **more}, came_ns)

    # --- subscriptions

    def _subscribe(self, base: dict[str, Any], params: Params, now_ns: int, *, ends: bool) -> None:
        symbols = params.get("symbol")
        wanted = symbols[:MAX_SYMBOLS] if isinstance(symbols, list) and symbols else [None]
        for symbol in wanted:
            try:
                if params.get("channel") in PRIVATE:
                    self._doorman.check_token(params.get("token"))
                change = self._channels.unsubscribe if ends else self._channels.subscribe
                told = change(params, None if symbol is None else str(symbol))
            except Wrong as wrong:
                more = {"symbol": symbol} if symbol is not None else {}
                self._refuse(base, str(wrong), now_ns, **more)
                continue
            self._answer({**base, "result": told, "success": True}, now_ns)
            if not ends:
                self._channels.snapshot(params, told.get("symbol"))

    # --- trading

    async def _trade(self, method: str, base: dict[str, Any], params: Params, now_ns: int) -> None:
        async def act() -> list[dict[str, Any]]:
            await trio.lowlevel.checkpoint()
            self._doorman.check_token(params.get("token"))
            return self._methods[method](params)

        try:
            told = await self._floor.faults.around(_ABOUT[method], act)
        except Wrong as wrong:
            self._refuse(base, str(wrong), now_ns)
        except (ServerError, Maintenance):
            self._refuse(base, UNAVAILABLE, now_ns)
        else:
            for fields in told:
                self._answer({**base, "success": True, **fields}, now_ns)

    def _add_order(self, params: Params) -> list[dict[str, Any]]:
        order = self._desk.place(_wanted(params))
        return [{"result": {} if order is None else _ids(order)}]

    def _batch_add(self, params: Params) -> list[dict[str, Any]]:
        asked = params.get("orders")
        if not isinstance(asked, list) or not 2 <= len(asked) <= 15:
            raise Wrong(f"{ARGUMENTS}:orders")
        names = ("symbol", "deadline", "validate")
        shared: Params = {name: params[name] for name in names if name in params}
        told: list[dict[str, Any]] = []
        for one in asked:
            try:
                order = self._desk.place(_wanted({**one, **shared}))
            except Wrong as wrong:
                told.append({"success": False, "error": str(wrong)})
            else:
                told.append({} if order is None else {**_ids(order), "success": True})
        return [{"result": told}]

    def _amend_order(self, params: Params) -> list[dict[str, Any]]:
        order = self._desk.find(params.get("order_id"), params.get("cl_ord_id"))
        amended = self._desk.amend(
            order,
            quantity=decimal_of(params.get("order_qty"), "order_qty"),
            price=decimal_of(params.get("limit_price"), "limit_price"),
            trigger=decimal_of(params.get("trigger_price"), "trigger_price"),
            deadline=params.get("deadline"),
        )
        return [{"result": {"amend_id": f"A{order_name(order.order_id)[1:]}", **_ids(amended)}}]

    def _cancel_order(self, params: Params) -> list[dict[str, Any]]:
        found = self._asked_for(params, "order_id")
        if not found:
            raise Wrong(f"{ARGUMENTS}:order_id")
        told: list[dict[str, Any]] = []
        for key, name in found:
            try:
                order = self._desk.find(**{key: name})
                self._desk.cancel([order])
            except Wrong as wrong:
                about = "cl_ord_id" if key == "client_id" else "order_id"
                told.append({"success": False, "error": str(wrong), about: name})
            else:
                told.append({"result": _ids(order)})
        return told

    def _asked_for(self, params: Params, ids: str) -> list[tuple[str, str]]:
        def listed(name: str) -> list[str]:
            found = params.get(name)
            return [str(one) for one in found] if isinstance(found, list) else []

        names = [("order_id", one) for one in listed(ids)]
        return (names + [("client_id", one) for one in listed("cl_ord_id")])[:MAX_BATCH]

    def _cancel_all(self, _: Params) -> list[dict[str, Any]]:
        return [{"result": {"count": len(self._desk.cancel_all())}}]

    def _batch_cancel(self, params: Params) -> list[dict[str, Any]]:
        found = self._asked_for(params, "orders")
        if len(found) < 2:
            raise Wrong(f"{ARGUMENTS}:orders")
        orders = [self._desk.look(**{key: name}) for key, name in found]
        opened = [one for one in orders if one is not None and one.open]
        return [{"orders_cancelled": len(self._desk.cancel(opened))}]

    def _cancel_after(self, params: Params) -> list[dict[str, Any]]:
        now_ns, fires_ns = self._desk.switch(params.get("timeout"))
        fires = stamp(fires_ns) if fires_ns else "0"
        return [{"result": {"currentTime": stamp(now_ns), "triggerTime": fires}}]


def _ids(order: Order) -> dict[str, Any]:
    told: dict[str, Any] = {"order_id": order_name(order.order_id)}
    if (name := client_name(order)) is not None:
        told["cl_ord_id"] = name
    if (userref := order.asked.note.get("userref")) is not None:
        told["order_userref"] = userref
    return told


def _wanted(params: Params) -> Wanted:
    kind = str(params.get("order_type", ""))
    quantity = decimal_of(params.get("order_qty"), "order_qty")
    if quantity is None:
        raise Wrong(f"{ARGUMENTS}:order_qty")
    triggers = params.get("triggers")
    triggers = triggers if isinstance(triggers, dict) else {}
    fixed = "quote" if kind == NAMES[OrderType.TRAILING_STOP] else "static"
    if triggers and triggers.get("price_type", "static") != fixed:
        raise Wrong(f"{ARGUMENTS}:triggers")
    if params.get("margin") or params.get("reduce_only") or params.get("cash_order_qty"):
        raise Wrong(ARGUMENTS)
    expiry = params.get("expire_time")
    userref = params.get("order_userref")
    return Wanted(
        str(params.get("symbol", "")),
        str(params.get("side", "")),
        kind,
        quantity,
        limit=decimal_of(params.get("limit_price"), "limit_price"),
        trigger=decimal_of(triggers.get("price"), "triggers"),
        tif=str(params.get("time_in_force") or "gtc"),
        expire_ns=ns_of_stamp(expiry, "expire_time") if expiry else 0,
        post_only=params.get("post_only") is True,
        client_id=str(params["cl_ord_id"]) if params.get("cl_ord_id") else None,
        userref=userref if isinstance(userref, int) else None,
        deadline=str(params["deadline"]) if params.get("deadline") else None,
        validate=params.get("validate") is True,
    )
