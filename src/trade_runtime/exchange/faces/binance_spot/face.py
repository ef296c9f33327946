"""Binance Spot behind its paths: REST, the WebSocket API at `/ws-api/v3`, market streams.

Listen keys were removed in February 2026, so that asking for one is answered with 410: events of
the account come over the WebSocket API.
"""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from trade_runtime.exchange.faces.binance.auth import Verifier
from trade_runtime.exchange.faces.binance.calls import ORDERS, WEIGHT, Calls
from trade_runtime.exchange.faces.binance.errors import Rejected, broken
from trade_runtime.exchange.faces.binance.params import text8
from trade_runtime.exchange.faces.binance.rest import answer_http
from trade_runtime.exchange.faces.binance.streams import MarketStreams, stream_names
from trade_runtime.exchange.faces.binance.wsapi import ApiSession
from trade_runtime.exchange.faces.binance_spot.account import Account
from trade_runtime.exchange.faces.binance_spot.endpoints import (
    account_endpoints,
    order_endpoints,
    public_endpoints,
)
from trade_runtime.exchange.faces.binance_spot.events import events_of
from trade_runtime.exchange.faces.binance_spot.lists import Lists
from trade_runtime.exchange.faces.binance_spot.orders import Orders
from trade_runtime.exchange.faces.binance_spot.public import Public
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Limits, Window
from trade_runtime.exchange.sockets import Socket
from trade_runtime.serving import Answer, Request, Wire

API_PATHS: Final = ("/ws-api/v3", "/ws-api/v3/")
LISTEN_KEYS: Final = "/api/v3/userDataStream"


def windows_of(floor: Floor) -> list[Window]:
    """Return the limits: Binance's own, or those that `--option` sets."""

    def limit(name: str, usual: int) -> int:
        return int(floor.options.get(name, usual))

    return [
        Window(WEIGHT, limit("weight", 6_000), 60),
        Window(ORDERS, limit("orders_per_10s", 100), 10),
        Window(ORDERS, limit("orders_per_day", 200_000), 86_400),
    ]


class SpotFace:
    """Binance Spot's wire.

    Args:
        floor: what it stands in front of.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        windows = windows_of(floor)
        verifier = Verifier(floor.api_key, floor.api_secret, floor.clock)
        orders = Orders(floor)
        limits = Limits(windows)
        self._calls = Calls(
            floor,
            verifier,
            limits,
            [
                *public_endpoints(Public(floor, windows)),
                *order_endpoints(orders, Lists(floor, orders)),
                *account_endpoints(Account(floor, limits)),
            ],
        )

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Nothing runs by itself."""
        task_status.started()

    async def answer(self, request: Request) -> Answer:
        """Answer a request of HTTP."""
        if request.path == LISTEN_KEYS:
            return Rejected(-1000, "Listen keys are no more; use the WebSocket API.", 410).answer()
        return await answer_http(self._calls, request)

    def broken(self, error: Exception) -> Answer:
        """Answer as Binance does where nobody knows what became of a request."""
        return broken(error).answer()

    async def socket(self, request: Request, wire: Wire) -> Answer | None:
        """Serve the WebSocket API or market streams."""
        api = request.path in API_PATHS
        socket = Socket(wire, self._floor, request, farewell=lambda: self._farewell(api=api))
        if api:
            session = ApiSession(
                self._calls, socket, lambda update: events_of(self._floor.exchange, update)
            )
            with self._floor.exchange.listening(session.on_update):
                await socket.run(session.on_message)
        combined = request.path.rstrip("/") == "/stream"
        if not combined and request.path != "/ws" and not request.path.startswith("/ws/"):
            return Rejected(-1000, f"There is no {request.path} here.", 404).answer()
        names = stream_names(request)
        streams = MarketStreams(self._floor, socket, names, combined=combined, write=text8)
        with self._floor.market.listening(streams):
            await socket.run(streams.on_message)
        return None

    def _farewell(self, *, api: bool) -> bytes:
        event = {"e": "serverShutdown", "E": self._floor.clock.now_ms()}
        return msgspec.json.encode({"event": event} if api else event)
