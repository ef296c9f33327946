"""What tests of the Kraken adapter share: a scripted Kraken on sockets of this machine.

It is no exchange: it says what a test tells it to say, so that it can say what no exchange should.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl
from zlib import crc32

import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from tests.paper_world import StillClock, environment
from tests.support.alongside import alongside
from trade_runtime.model.events import VenueEvent
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import Clock
from trade_runtime.venues.kraken_spot import KrakenSpotSettings
from trade_runtime.venues.kraken_spot.venue import KrakenSpot, open_venue

BTC = InstrumentId("BTC/USD.kraken")
SECRET = base64.b64encode(b"a secret that is none").decode()
NOW_NS = 1_700_000_000_000_000_000
PATIENCE_SECS = 20.0
"""What a test waits at most for something that takes milliseconds."""

PAIRS = {
    "XXBTZUSD": {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    },
    "XETHZUSD": {
        "altname": "ETHUSD",
        "wsname": "ETH/USD",
        "base": "XETH",
        "quote": "ZUSD",
        "pair_decimals": 2,
        "lot_decimals": 8,
        "ordermin": "0.002",
        "costmin": "0.5",
        "tick_size": "0.01",
        "status": "online",
    },
}


def crc(asks: list[tuple[str, str]], bids: list[tuple[str, str]]) -> int:
    """The checksum of levels as Kraken's guide has it, from their text: a second way to it."""
    text = "".join(
        part.replace(".", "").lstrip("0") for level in asks[:10] + bids[:10] for part in level
    )
    return crc32(text.encode())


def book_frame(
    kind: str,
    asks: list[tuple[str, str]],
    bids: list[tuple[str, str]],
    checksum: int,
    symbol: str = "BTC/USD",
    second: int = 0,
) -> str:
    """A frame of the `book` channel, its numbers as they are written."""

    def levels(side: list[tuple[str, str]]) -> str:
        return ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in side)

    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{levels(bids)}],'
        f'"asks":[{levels(asks)}],"checksum":{checksum},'
        f'"timestamp":"2026-11-24T10:00:{second:02d}.000000Z"}}]}}'
    )


Handler = Callable[["Peer", dict[str, Any]], Awaitable[None]]


class Peer:
    """The far end of one WebSocket of the client."""

    def __init__(self, ws: WebSocketConnection, private: bool) -> None:
        self.ws = ws
        self.private = private
        self.heard: list[dict[str, Any]] = []

    async def say(self, message: object) -> None:
        """Send a message: text as it is, anything else as JSON."""
        await self.ws.send_message(message if isinstance(message, str) else json.dumps(message))

    async def ack(self, request: dict[str, Any], **fields: Any) -> None:
        """Answer a request as Kraken does, one answer a symbol."""
        params = request.get("params", {})
        base = {
            "method": request["method"],
            "req_id": request["req_id"],
            "success": "error" not in fields,
            "time_in": "2023-11-14T22:13:20.000000Z",
            "time_out": "2023-11-14T22:13:20.000100Z",
        }
        if request["method"] not in ("subscribe", "unsubscribe"):
            await self.say({**base, **fields})
            return
        for symbol in params.get("symbol", [None]):
            result = {"channel": params["channel"], "symbol": symbol}
            await self.say({**base, "result": result, **fields})


class Script:
    """What the scripted Kraken says, and what it heard.

    Attributes:
        on_request: answers a message of a client; the default acknowledges everything.
        rest: the result of each method of the REST API, or a callable of its parameters.
        bodies: the whole answer (status, body) instead, by method.
        calls: what was asked over REST: the method, and its parameters.
        peers: the WebSockets so far.
    """

    def __init__(self) -> None:
        self.on_request: Handler = acknowledge
        self.rest: dict[str, Any] = {
            "AssetPairs": PAIRS,
            "Time": {"unixtime": 1_700_000_000},
            "GetApiKeyInfo": {"permissions": ["query-funds", "modify-trades"]},
            "GetWebSocketsToken": {"token": "the token", "expires": 900},
            "OpenOrders": {"open": {}},
            "ClosedOrders": {"closed": {}, "count": 0},
            "TradesHistory": {"trades": {}, "count": 0},
            "BalanceEx": {"ZUSD": {"balance": "1000.5", "hold_trade": "10"}},
        }
        self.bodies: dict[str, tuple[int, bytes]] = {}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.peers: list[Peer] = []
        self.moved = trio.Event()
        self.heartbeats = True

    def move(self) -> None:
        self.moved.set()
        self.moved = trio.Event()

    def called(self, method: str) -> list[dict[str, str]]:
        """The parameters of each call of a method."""
        return [params for name, params in self.calls if name == method]

    async def serve_socket(self, request: WebSocketRequest, *, private: bool) -> None:
        ws = await request.accept()
        peer = Peer(ws, private)
        self.peers.append(peer)
        self.move()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._beat, peer)
                while True:
                    message = json.loads(await ws.get_message())
                    peer.heard.append(message)
                    await self.on_request(peer, message)
                    self.move()
        except* ConnectionClosed:
            pass
        self.move()

    async def _beat(self, peer: Peer) -> None:
        while self.heartbeats:
            await peer.say({"channel": "heartbeat"})
            await trio.sleep(1)

    async def serve_rest(self, stream: trio.SocketStream) -> None:
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    chunk = await stream.receive_some()
                    if not chunk:
                        return
                    buffer += chunk
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (li.partition(":") for li in lines)}
                length = int(headers.get("content-length", "0"))
                while len(buffer) < length:
                    buffer += await stream.receive_some()
                body, buffer = buffer[:length], buffer[length:]
                target = first.split(" ")[1]
                path, _, query = target.partition("?")
                method = path.rpartition("/")[2]
                params = dict(parse_qsl(query or body.decode()))
                self.calls.append((method, params))
                self.headers.append({**headers, "path": path, "body": body.decode()})
                status, answer = self._answer(method, params)
                await stream.send_all(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
                    + answer
                )
                self.move()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def _answer(self, method: str, params: dict[str, str]) -> tuple[int, bytes]:
        if method in self.bodies:
            return self.bodies[method]
        found = self.rest.get(method)
        result = found(params) if callable(found) else found
        if result is None:
            return 200, json.dumps({"error": ["EGeneral:Unknown method"]}).encode()
        if isinstance(result, str):
            return 200, json.dumps({"error": [result]}).encode()
        return 200, json.dumps({"error": [], "result": result}).encode()


async def acknowledge(peer: Peer, request: dict[str, Any]) -> None:
    """Say yes to everything."""
    if request["method"] == "ping":
        await peer.say({"method": "pong", "req_id": request["req_id"]})
    else:
        await peer.ack(request)


class Events:
    """Keeps what a venue tells."""

    def __init__(self) -> None:
        self.all: list[VenueEvent] = []
        self.connects = 0
        self.moved = trio.Event()

    def on_event(self, event: VenueEvent) -> None:
        self.all.append(event)
        self._move()

    def connected(self) -> None:
        self.connects += 1
        self._move()

    def _move(self) -> None:
        self.moved.set()
        self.moved = trio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        with trio.fail_after(PATIENCE_SECS):
            while not condition():
                await self.moved.wait()


@asynccontextmanager
async def scripted(
    script: Script, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[KrakenSpot]:
    """The adapter, open, against a scripted Kraken."""
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            partial(trio.serve_tcp, script.serve_rest, 0, host="127.0.0.1")
        )
        rest_port = listeners[0].socket.getsockname()[1]
        ports = []
        for private in (False, True):
            server = await nursery.start(
                partial(
                    serve_websocket,
                    partial(script.serve_socket, private=private),
                    "127.0.0.1",
                    0,
                    ssl_context=None,
                )
            )
            ports.append(server.port)
        given = KrakenSpotSettings(
            rest_url=f"http://127.0.0.1:{rest_port}",
            ws_url=f"ws://127.0.0.1:{ports[0]}",
            ws_private_url=f"ws://127.0.0.1:{ports[1]}",
            api_key=Secret("key"),
            api_secret=Secret(SECRET),
            **settings,
        )
        env = environment(clock or StillClock(NOW_NS))
        async with open_venue(VenueName("kraken"), given, env) as venue, alongside(venue.serve):
            await trio.testing.wait_all_tasks_blocked()
            yield venue
        nursery.cancel_scope.cancel()
