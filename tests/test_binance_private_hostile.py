"""A private connection whose other end sends what nobody meant: one error each time, no event."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection, WebSocketRequest, serve_websocket

from tests.test_binance_trading import LIVE, Noon
from trade_runtime.errors import VenueError
from trade_runtime.model.events import VenueEvent
from trade_runtime.model.ids import VenueName
from trade_runtime.venues.binance.rest import Account, Rest
from trade_runtime.venues.binance_spot.private import UserStream
from trade_runtime.venues.binance_spot.user_codec import UserDecoder
from trade_runtime.venues.wire.http import Http
from trade_runtime.venues.wire.link import MAX_MESSAGE_BYTES

Peer = Callable[[WebSocketConnection], Awaitable[None]]

GOOD = {"status": 200, "result": {"subscriptionId": 0}}


async def _time(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"serverTime": 1_700_000_000_000})


@asynccontextmanager
async def connected_to(peer: Peer) -> AsyncIterator[UserStream]:
    """A stream to a server of which `peer` is the other end."""

    async def serve(request: WebSocketRequest) -> None:
        await peer(await request.accept())

    account = Account(LIVE.signer(), Noon(), "/api/v3/time", 3000)
    transport = httpx.MockTransport(_time)
    async with httpx.AsyncClient(transport=transport) as client, trio.open_nursery() as nursery:
        rest = Rest(Http("https://api.example", client), account=account)
        start = partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None)
        server = await nursery.start(start)
        url = f"ws://127.0.0.1:{server.port}/ws-api/v3"
        decoder = UserDecoder(VenueName("spot"), {}, lambda what: None)
        yield UserStream(url, None, rest, LIVE.signer(), 3000, decoder)
        nursery.cancel_scope.cancel()


async def subscribed(ws: WebSocketConnection) -> None:
    """Take the subscription, and say that it is well."""
    request: dict[str, Any] = json.loads(await ws.get_message())
    await ws.send_message(json.dumps({"id": request["id"], **GOOD}))


FRAMES: dict[str, str | bytes] = {
    "html": "<html><body>502 Bad Gateway</body></html>",
    "empty": "",
    "no text": b"\xff\xfe\x00",
    "nested": "[" * 100_000,
    "another shape": '{"event":[1,2,3]}',
    "a number that is none": '{"event":{"e":"executionReport","s":"X","c":"a","S":"BUY",'
    '"o":"LIMIT","q":"NaN","x":"TRADE","X":"FILLED","i":1,"z":"1","T":1}}',
    "too large": "x" * (MAX_MESSAGE_BYTES + 1),
    "the end": '{"event":{"e":"eventStreamTerminated","E":1}}',
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
@pytest.mark.parametrize("before", [True, False], ids=["before the answer", "after it"])
async def test_a_frame_that_makes_no_sense_ends_the_connection(
    frame: str | bytes, before: bool
) -> None:
    """With an error that whoever supervises it knows; nothing of it is told."""
    told: list[VenueEvent] = []

    async def peer(ws: WebSocketConnection) -> None:
        if not before:
            await subscribed(ws)
        await ws.send_message(frame)
        await trio.sleep_forever()

    async with connected_to(peer) as stream:
        with trio.fail_after(5), pytest.raises(VenueError):
            await stream.run(told.append, lambda: None)
    assert not told


async def test_a_subscription_that_nobody_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The socket is open, and nothing comes."""
    monkeypatch.setattr("trade_runtime.venues.binance_spot.private.SUBSCRIBE_SECS", 0.1)
    ups: list[None] = []

    async def peer(ws: WebSocketConnection) -> None:
        await trio.sleep_forever()

    async with connected_to(peer) as stream:
        with trio.fail_after(5), pytest.raises(VenueError, match="did not answer"):
            await stream.run(lambda event: None, lambda: ups.append(None))
    assert not ups


async def test_what_comes_before_the_answer_is_told_after_it() -> None:
    """An event may overtake it; the runtime hears of the connection first."""
    heard: list[str] = []
    event = {
        "e": "executionReport",
        "s": "ETHUSDT",
        "c": "abc123-1",
        "S": "BUY",
        "o": "LIMIT",
        "q": "1",
        "x": "NEW",
        "X": "NEW",
        "i": 7,
        "z": "0",
        "T": 5,
    }

    async def peer(ws: WebSocketConnection) -> None:
        await ws.send_message(json.dumps({"subscriptionId": 0, "event": event}))
        await subscribed(ws)
        await ws.send_message('{"event":{"e":"serverShutdown"}}')
        await trio.sleep_forever()

    async with connected_to(peer) as stream:
        with trio.fail_after(5), pytest.raises(VenueError, match="shut this server down"):
            await stream.run(lambda e: heard.append(e.client_order_id), lambda: heard.append("up"))
    assert heard == ["up", "abc123-1"]
