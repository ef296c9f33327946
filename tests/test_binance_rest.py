"""REST: every failure is one clear `VenueError`, and Binance's wish to be left alone is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
from trio.testing import MockClock

from tests.replay_world import ETH, Sink, environment, market, served, small_recording
from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.model.ids import VenueName
from trade_runtime.venues.binance.answers import RestRefused
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance_spot import BinanceSpotSettings
from trade_runtime.venues.binance_spot.market import BinanceSpot
from trade_runtime.venues.wire.http import MAX_ANSWER_BYTES, Http

Handler = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        yield Rest(Http("https://api.example/", client))


async def test_an_answer_is_its_body() -> None:
    """The closing slash of the base URL makes no difference."""

    def handler(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://api.example/api/v3/depth?symbol=ETHUSDT&limit=5"
        return httpx.Response(200, content=b"{}")

    async with answering(handler) as rest:
        assert await rest.get("/api/v3/depth", {"symbol": "ETHUSDT", "limit": "5"}) == b"{}"


async def test_an_error_of_binance_is_told_with_its_code() -> None:
    """Status, code and message, and whether the symbol was what was wrong."""

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"code": -1121, "msg": "Invalid symbol."})

    async with answering(handler) as rest:
        with pytest.raises(RestRefused, match=r"HTTP 400 -1121 Invalid symbol\.") as caught:
            await rest.get("/x", {})
    assert caught.value.symbol_unknown


async def test_an_error_page_is_cut_short() -> None:
    """A proxy answers in HTML, at length."""

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>" + "x" * 10_000)

    async with answering(handler) as rest:
        with pytest.raises(RestRefused, match="HTTP 502 <html>x") as caught:
            await rest.get("/x", {})
    assert len(str(caught.value)) < 400
    assert not caught.value.symbol_unknown


async def test_an_answer_without_end_is_given_up() -> None:
    """Nothing we ask for is that large."""

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * (MAX_ANSWER_BYTES + 1))

    async with answering(handler) as rest:
        with pytest.raises(VenueError, match="over 8388608 bytes"):
            await rest.get("/x", {})


async def test_a_failed_connection_is_a_venue_error() -> None:
    """Httpx's own errors do not leak."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    async with answering(handler) as rest:
        with pytest.raises(VenueError, match=r"api\.example/x: no route"):
            await rest.get("/x", {})


@pytest.mark.parametrize(
    ("headers", "secs"), [({"Retry-After": "7"}, 7.0), ({}, 10.0), ({"Retry-After": "soon"}, 10.0)]
)
async def test_nothing_is_sent_while_binance_wants_to_be_left_alone(
    headers: dict[str, str], secs: float, autojump_clock: MockClock
) -> None:
    """After a 429 every request is refused here until the time is over: more would bring a ban."""
    asked = 0

    def handler(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(429 if asked == 1 else 200, headers=headers, content=b"{}")

    async with answering(handler) as rest:
        with pytest.raises(RestRefused, match=f"nothing is sent for {secs:g} s"):
            await rest.get("/x", {})
        await trio.sleep(secs - 0.5)
        with pytest.raises(VenueError, match=r"nothing for another 0\.5 s"):
            await rest.get("/x", {})
        assert asked == 1
        await trio.sleep(0.6)
        assert await rest.get("/x", {}) == b"{}"


async def test_an_answer_that_never_comes_has_a_deadline(autojump_clock: MockClock) -> None:
    """A silent server costs seconds, not for ever."""

    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await trio.sleep_forever()
            raise AssertionError

    async with httpx.AsyncClient(transport=Silent()) as client:
        with pytest.raises(VenueError, match="no answer within 10 s"):
            await Rest(Http("http://h", client)).get("/x", {})


async def test_one_unknown_symbol_does_not_hide_the_others() -> None:
    """Binance refuses the whole list for it, so each symbol is asked for singly then."""

    def handler(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        asked = params.get("symbols") or params["symbol"]
        if "NOPE" in asked or "é" in asked:
            return httpx.Response(400, json={"code": -1121, "msg": "Invalid symbol."})
        names = [n for n in ("AUSDT", "BUSDT") if n in asked]
        symbols = [{"symbol": n, "baseAsset": n[0], "quoteAsset": "USDT"} for n in names]
        return httpx.Response(200, json={"symbols": symbols})

    async with answering(handler) as rest:
        spot = BinanceSpot(VenueName("b"), BinanceSpotSettings(), environment(), rest, None)
        found = await spot.instruments(["BUSDT", "NOPE", "AUSDT"])
        assert list(found) == ["BUSDT", "AUSDT"]
        assert await spot.instruments(["NOPE"]) == {}
        assert await spot.instruments([]) == {}


async def test_a_venue_that_is_down_is_not_a_venue_without_the_symbol() -> None:
    """Only Binance itself can say that there is no such symbol."""

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503)

    async with answering(handler) as rest:
        spot = BinanceSpot(VenueName("b"), BinanceSpotSettings(), environment(), rest, None)
        with pytest.raises(VenueError, match="HTTP 503"):
            await spot.instruments(["AUSDT"])


async def test_polling_hands_on_quotes_and_trades(tmp_path: Path) -> None:
    """A stand-in for the stream: the best bid and ask without an id, and the newest trades."""
    recording = small_recording(tmp_path / "r.jsonl")
    async with served(recording) as port, market(port) as spot:
        sink = Sink()
        await spot.poll(ETH, sink)
        assert [quote.update_id for quote in sink.quotes] == [0]
        assert sink.trades == []
        with pytest.raises(VenueError, match="-1121"):
            await spot.poll({"NOPE": ETH["ETHUSDT"]}, sink)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ws_url", "https://stream.binance.com"),
        ("ws_url", "stream.binance.com:9443"),
        ("ws_url", "wss://"),
        ("ws_url", "wss://host:port"),
        ("ws_url", "wss://host:99999"),
        ("ws_url", "wss://ho st"),
        ("ws_url", "wss://host/?x=1"),
        ("rest_url", "wss://api.binance.com"),
        ("rest_url", "http://user@host"),
        ("rest_url", 5),
        ("depth_limit", 0),
        ("depth_limit", 5001),
        ("depth_limit", True),
        ("depth_limit", "100"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(key: str, value: object) -> None:
    """The message begins with the key and says what it must be."""
    with pytest.raises(ConfigError, match=f"^{key}: must be "):
        BinanceSpotSettings(**{key: value})  # type: ignore[arg-type]


def test_the_settings_point_at_binance_by_default() -> None:
    """So that live data needs no configuration beyond the kind."""
    settings = BinanceSpotSettings()
    assert settings.ws_url == "wss://stream.binance.com:9443"
    assert settings.rest_url == "https://api.binance.com"
