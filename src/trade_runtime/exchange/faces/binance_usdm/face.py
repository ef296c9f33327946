"""All of Binance USD-M Futures behind its paths: REST, and streams on three routes."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

import msgspec
import trio

from trade_runtime.exchange.faces.binance.auth import Verifier
from trade_runtime.exchange.faces.binance.calls import (
    Calls,
)
from trade_runtime.exchange.faces.binance.errors import broken
from trade_runtime.exchange.faces.binance.rest import answer_http
from trade_runtime.exchange.faces.binance_usdm.endpoints import WINDOWS, endpoints
from trade_runtime.exchange.faces.binance_usdm.listen import ListenKeys
from trade_runtime.exchange.faces.binance_usdm.private import PrivateSession
from trade_runtime.exchange.faces.binance_usdm.streams import MARKET, PUBLIC, UsdmStreams
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Limits
from trade_runtime.exchange.sockets import Socket
from trade_runtime.serving import Answer, Request, Wire

PRIVATE: Final = "private"


class UsdmFace:
    """A `Face`.

    Args:
        floor: what it stands on.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._keys = ListenKeys(floor)
        verifier = Verifier(floor.api_key, floor.api_secret, floor.clock)
        self._calls = Calls(floor, verifier, Limits(WINDOWS), endpoints(floor, self._keys))
        if floor.options.get("countdown_spares_algo") == "true":
            floor.switches.spares = lambda order: order.asked.type.waits and not order.triggered

    async def answer(self, request: Request) -> Answer:
        """Answer a request of REST."""
        return await answer_http(self._calls, request)

    def broken(self, error: Exception) -> Answer:
        """Return what a fault of the whole server is answered with."""
        return broken(error).answer()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """End the listen key when its time is over."""
        task_status.started()
        await self._keys.run()

    async def socket(self, request: Request, wire: Wire) -> Answer | None:
        """Serve the streams of a route; the address without one speaks as `public`."""
        _, route, rest = f"{request.path}/".split("/", 2)
        if route in ("ws", "stream"):
            route, rest = "", f"{route}/{rest}"
        way, _, names = rest.strip("/").partition("/")
        query = parse_qs(request.query)
        named = unquote(names) or query.get("streams", [""])[0]
        key = query.get("listenKey", [""])[0] or unquote(names)
        if way not in ("ws", "stream") or route not in ("", PUBLIC, MARKET, PRIVATE):
            return Answer(404, msgspec.json.encode({"code": -1000, "msg": "no such stream"}))
        socket = Socket(wire, self._floor, request)
        if route == PRIVATE or (not route and self._keys.holds(key)):
            events = query.get("events", [""])[0]
            await PrivateSession(
                self._floor,
                self._keys,
                socket,
                key,
                frozenset(events.split("/")) if events else frozenset(),
                combined=way == "stream",
            ).run()
        else:
            streams = UsdmStreams(
                self._floor,
                socket,
                [name for name in named.split("/") if name],
                combined=way == "stream",
                route=route or PUBLIC,
            )
            with self._floor.market.listening(streams):
                await socket.run(streams.on_message)
        return None
