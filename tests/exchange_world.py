"""A local exchange on a free port, and clients of Binance's wire that belong to the tests."""

from __future__ import annotations

import hashlib
import hmac
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self
from urllib.parse import quote, urlencode

import httpx
import msgspec
import trio
import trio_websocket

from trade_runtime.exchange.faces import kind_of
from trade_runtime.exchange.faults import parse_fault
from trade_runtime.exchange.record import Record
from trade_runtime.exchange.server import serve_exchange
from trade_runtime.exchange.settings import ExchangeSettings
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.protocols import Clock

KEY, SECRET = "test-key", "test-secret"
PATIENCE_SECS = 5.0


class Quiet:
    """A log that says nothing."""

    def debug(self, event: str, **fields: object) -> None: ...
    def info(self, event: str, **fields: object) -> None: ...
    def warning(self, event: str, **fields: object) -> None: ...
    def error(self, event: str, **fields: object) -> None: ...


class World:
    """A served exchange: where it is, what it wrote, and how to steer it."""

    def __init__(self, port: int, file: io.BytesIO | None) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"
        self._file = file
        self._http = httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_SECS)

    async def close(self) -> None:
        await self._http.aclose()

    def lines(self, *events: str) -> list[dict[str, Any]]:
        """What the exchange wrote so far, of these events or all."""
        assert self._file is not None, "it writes elsewhere"
        lines = [msgspec.json.decode(line) for line in self._file.getvalue().splitlines()]
        return [line for line in lines if not events or line["event"] in events]

    async def fault(self, text: str) -> None:
        answer = await self._http.post("/_control/faults", json={"fault": text})
        assert 200 == answer.status_code, answer.text

    async def heal(self, name: str = "") -> None:
        await self._http.delete("/_control/faults", params={"name": name})

    async def market(self, **asked: Any) -> None:
        answer = await self._http.post("/_control/market", json=asked)
        assert 200 == answer.status_code, answer.text

    async def state(self) -> dict[str, Any]:
        answer = await self._http.get("/_control/state")
        return dict(answer.json())

    async def until(self, holds: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
        """Wait until something holds; fail where it does not within the patience."""
        with trio.fail_after(PATIENCE_SECS):
            while True:
                told = holds()
                if told if isinstance(told, bool) else await told:
                    return
                await trio.sleep(0.01)


@asynccontextmanager
async def exchange(
    venue: str = "binance_spot",
    *,
    faults: tuple[str, ...] = (),
    clock: Clock | None = None,
    api_secret: str = SECRET,
    **settings: Any,
) -> AsyncIterator[World]:
    """Serve an exchange whose market stays near where it is, unless a test moves it."""
    file = io.BytesIO()
    settings.setdefault("quotes_per_sec", 50.0)
    settings.setdefault("volatility_bps", 0.0)
    wanted = ExchangeSettings(
        api_key=KEY,
        api_secret=api_secret,
        faults=tuple(parse_fault(one) for one in faults),
        **settings,
    )
    time = clock or SystemClock()
    async with trio.open_nursery() as nursery:
        start = partial(
            serve_exchange,
            kind_of(venue),
            wanted,
            clock=time,
            record=Record(file, time),
            log=Quiet(),
        )
        port: int = await nursery.start(start)
        world = World(port, file)
        try:
            if wanted.recording is None:
                await world.until(partial(_has_market, world))
            yield world
        finally:
            await world.close()
            nursery.cancel_scope.cancel()


async def _has_market(world: World) -> bool:
    return bool((await world.state())["quotes"])


class BinanceClient:
    """A client of Binance's REST, signing by HMAC."""

    def __init__(self, world: World, secret: str = SECRET, key: str = KEY) -> None:
        self._secret = secret
        self._http = httpx.AsyncClient(
            base_url=world.url, headers={"X-MBX-APIKEY": key}, timeout=PATIENCE_SECS
        )
        self.skew_ms = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def public(self, path: str, **params: object) -> httpx.Response:
        return await self._http.get(path, params={k: str(v) for k, v in params.items()})

    async def signed(self, method: str, path: str, **params: object) -> httpx.Response:
        """Ask with a timestamp and a signature."""
        params.setdefault("timestamp", now_ms() + self.skew_ms)
        query = urlencode({name: str(one) for name, one in params.items()}, quote_via=quote)
        signature = hmac.new(self._secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        return await self._http.request(method, f"{path}?{query}&signature={signature}")

    async def limit(
        self, side: str, price: object, quantity: object = "0.01", **more: object
    ) -> httpx.Response:
        """Place a limit order in BTCUSDT."""
        return await self.signed(
            "POST",
            "/api/v3/order",
            symbol=more.pop("symbol", "BTCUSDT"),
            side=side,
            type="LIMIT",
            timeInForce=more.pop("timeInForce", "GTC"),
            quantity=quantity,
            price=price,
            **more,
        )


def now_ms() -> int:
    """The machine's time in milliseconds."""
    return SystemClock().now_ns() // 1_000_000


class Socket:
    """A WebSocket of a test: what comes is read as JSON."""

    def __init__(self, socket: trio_websocket.WebSocketConnection) -> None:
        self._socket = socket
        self._ids = 0
        self.waiting: list[dict[str, Any]] = []
        """What came while an answer was waited for."""

    async def send(self, message: object) -> None:
        await self._socket.send_message(msgspec.json.encode(message).decode())

    async def next(self) -> dict[str, Any]:
        if self.waiting:
            return self.waiting.pop(0)
        with trio.fail_after(PATIENCE_SECS):
            return dict(msgspec.json.decode(await self._socket.get_message()))

    async def ask(self, method: str, params: object = None) -> dict[str, Any]:
        """Send a request; return its answer, and keep what else comes."""
        self._ids += 1
        await self.send({"id": self._ids, "method": method, "params": params or {}})
        before = self.waiting
        self.waiting = []
        kept = list(before)
        while True:
            told = await self.next()
            if told.get("id") == self._ids:
                self.waiting = kept
                return told
            kept.append(told)

    async def event(self, kind: str) -> dict[str, Any]:
        """The next event of a kind of the account."""
        while True:
            told = (await self.next()).get("event", {})
            if told.get("e") == kind:
                return dict(told)

    async def signed(self, method: str, secret: str = SECRET, **params: object) -> dict[str, Any]:
        """Send a request that is signed for itself."""
        return await self.ask(method, signed_params(params, secret))


def signed_params(params: Mapping[str, object], secret: str = SECRET) -> dict[str, object]:
    """Parameters of the WebSocket API with key, timestamp and signature."""
    whole = {"apiKey": KEY, "timestamp": now_ms(), **params}
    payload = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
    signature = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return {**whole, "signature": signature}


@asynccontextmanager
async def open_socket(world: World, path: str) -> AsyncIterator[Socket]:
    """Open a WebSocket of the exchange."""
    stream = await trio.open_tcp_stream("127.0.0.1", world.port)
    # The library leaves a stream open whose other end closed it, so it is closed here.
    async with stream, trio.open_nursery() as nursery:
        connection = await trio_websocket.wrap_client_stream(
            nursery, stream, f"127.0.0.1:{world.port}", path
        )
        try:
            yield Socket(connection)
        finally:
            with trio.move_on_after(1):
                await connection.aclose()
            nursery.cancel_scope.cancel()
