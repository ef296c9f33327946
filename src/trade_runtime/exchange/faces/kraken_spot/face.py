"""Kraken's wire behind its paths: `/0/public/*`, `/0/private/*` and `/v2`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import trio

from trade_runtime.exchange.faces.kraken_spot.account import PrivateRest
from trade_runtime.exchange.faces.kraken_spot.auth import Doorman
from trade_runtime.exchange.faces.kraken_spot.listing import Listing
from trade_runtime.exchange.faces.kraken_spot.public import PublicRest
from trade_runtime.exchange.faces.kraken_spot.rates import Rates
from trade_runtime.exchange.faces.kraken_spot.session import HEARTBEAT_SECS, Session
from trade_runtime.exchange.faces.kraken_spot.trading import Desk
from trade_runtime.exchange.faces.kraken_spot.words import UNAVAILABLE, Wrong
from trade_runtime.exchange.faults import About, Maintenance
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.sockets import Socket
from trade_runtime.serving import Answer, Request, Wire

BAD_GATEWAY: Final = b"<html><head><title>502 Bad Gateway</title></head></html>"

_encode = msgspec.json.Encoder().encode


class KrakenFace:
    """A `Face` of Kraken Spot.

    Args:
        floor: what it stands on; of its options it knows `tier` and `withdraw`.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._listing = Listing(floor.exchange.instruments)
        self._rates = Rates(floor.options.get("tier", "pro"))
        self._doorman = Doorman(floor)
        self._desk = Desk(floor, self._listing, self._rates)
        self._public = PublicRest(floor, self._listing)
        self._private = PrivateRest(floor, self._listing, self._desk, self._doorman)
        self._sessions: set[Session] = set()

    async def answer(self, request: Request) -> Answer:
        """Answer a request of HTTP: 200 whatever is told, as Kraken does."""
        kind, _, method = request.path.removeprefix("/0/").partition("/")
        try:
            if kind == "public" and method in self._public.methods:
                params = dict(parse_qsl(request.query))
                act = self._acting(self._public.methods[method], params)
                result = await self._floor.faults.around(About.PUBLIC, act)
            elif kind == "private" and method in self._private.methods:
                about, carry_out = self._private.methods[method]
                params = self._doorman.params(request)
                self._rates.call(method)
                act = self._acting(carry_out, params)
                result = await self._floor.faults.around(about, act)
            else:
                raise Wrong("EGeneral:Unknown method")
        except Wrong as wrong:
            return Answer(200, _encode({"error": [str(wrong)]}))
        return Answer(200, _encode({"error": [], "result": result}))

    def _acting(
        self, method: Callable[[Mapping[str, Any]], Any], params: Mapping[str, Any]
    ) -> Callable[[], Any]:
        async def act() -> Any:
            await trio.lowlevel.checkpoint()
            return method(params)

        return act

    async def socket(self, request: Request, wire: Wire) -> Answer | None:
        """Serve a WebSocket."""
        if request.path not in ("/v2", "/v2/"):
            return Answer(404, b"", kind="text/plain")
        socket = Socket(wire, self._floor, request, pings=False)
        session = Session(socket, self._floor, self._listing, self._desk, self._doorman)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
        return None

    def broken(self, error: Exception) -> Answer:
        """Return what Kraken's gateway says when it fails, and Kraken in maintenance."""
        if isinstance(error, Maintenance):
            return Answer(503, _encode({"error": [UNAVAILABLE]}))
        return Answer(502, BAD_GATEWAY, kind="text/html")

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Send heartbeats."""
        task_status.started()
        while True:
            await trio.sleep(HEARTBEAT_SECS)
            for session in list(self._sessions):
                session.beat()
