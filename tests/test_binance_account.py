"""Signed requests: their time, their limits, and what is made of each refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from trade_runtime.errors import VenueDown, VenueError, VenueRefused
from trade_runtime.venues.binance import limits
from trade_runtime.venues.binance.answers import RestRefused, certain, order_entry
from trade_runtime.venues.binance.rest import Account, Rest
from trade_runtime.venues.binance.signing import Signer
from trade_runtime.venues.wire.http import Http

SECRET = "a secret"
SERVER_MS = 1_700_000_000_000

INFO = b"""{"rateLimits":[
{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000},
{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100},
{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200000},
{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":61000},
{"rateLimitType":"CONNECTIONS","interval":"MINUTE","intervalNum":5,"limit":300},
{"rateLimitType":"ORDERS","interval":"FORTNIGHT","intervalNum":1,"limit":5},
{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":0}]}"""


class Behind:
    """A clock that is `behind_ms` behind the exchange's."""

    def __init__(self, behind_ms: int) -> None:
        self.behind_ms = behind_ms

    def now_ns(self) -> int:
        return (SERVER_MS - self.behind_ms) * 1_000_000 + round(trio.current_time() * 1e9)


@asynccontextmanager
async def signing(
    handler: Callable[[httpx.Request], httpx.Response], behind_ms: int = 0
) -> AsyncIterator[Rest]:
    """A REST client with an account; `handler` answers all but the time."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v3/time":
            return httpx.Response(
                200, json={"serverTime": SERVER_MS + round(trio.current_time() * 1000)}
            )
        return handler(request)

    account = Account(Signer("the-key", SECRET), Behind(behind_ms), "/api/v3/time", 3000)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        yield Rest(Http("https://api.example", client), account=account)


def refusing(status: int, code: int | None, **headers: str) -> Callable[..., httpx.Response]:
    def handler(_: httpx.Request) -> httpx.Response:
        body: Any = b"<html>" if code is None else None
        json = {"code": code, "msg": "No."} if code is not None else None
        return httpx.Response(status, content=body, json=json, headers=headers)

    return handler


async def test_a_request_is_signed_with_the_exchanges_own_time(autojump_clock: MockClock) -> None:
    """A clock that is 40 s wrong does no harm; the key is in a header, never in the query."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"{}")

    async with signing(handler, behind_ms=40_000) as rest:
        body = await rest.send("POST", "/api/v3/order", {"symbol": "ETHUSDT"}, auth="signed")
    assert body == b"{}"
    (request,) = seen
    assert request.headers["x-mbx-apikey"] == "the-key"
    query = request.url.query.decode()
    sent, _, signature = query.rpartition("&signature=")
    assert sent == f"symbol=ETHUSDT&recvWindow=3000&timestamp={SERVER_MS}"
    assert signature == Signer("the-key", SECRET).sign(sent)
    assert "the-key" not in str(request.url)


async def test_a_request_that_came_too_late_is_refused_and_the_clock_is_asked_again(
    autojump_clock: MockClock,
) -> None:
    """The clock was set while we ran: one refusal, never a second try of the same request."""
    stamps: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        stamps.append(int(request.url.params["timestamp"]))
        late = stamps[-1] < SERVER_MS
        return httpx.Response(400 if late else 200, json={"code": -1021, "msg": "Late."})

    async with signing(handler) as rest:
        await rest.send("GET", "/x", {}, auth="signed")
        rest._account.clock.behind_ms = 60_000  # type: ignore[union-attr]
        with pytest.raises(VenueRefused, match=r"-1021 Late\."), order_entry():
            await rest.send("GET", "/x", {}, auth="signed")
        await rest.send("GET", "/x", {}, auth="signed")
    assert stamps == [SERVER_MS, SERVER_MS - 60_000, SERVER_MS]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, None),
        (502, None),
        (503, -1000),
        (504, -1007),
        (400, -1006),
        (408, -1007),
        (400, -1000),
        (400, -1001),
        (400, -1008),
        (400, None),
        (403, None),
        (301, None),
        (301, -2010),
        (204, None),
    ],
)
async def test_what_is_not_a_certain_refusal_stays_open(status: int, code: int | None) -> None:
    """5xx, Binance's own "unknown", and every shape that it does not document."""
    async with signing(refusing(status, code)) as rest:
        with pytest.raises(VenueError) as caught, order_entry():
            await rest.send("POST", "/api/v3/order", {}, auth="signed")
    assert not isinstance(caught.value, VenueRefused | VenueDown)


@pytest.mark.parametrize("code", [-2010, -2011, -2013, -1013, -1022, -2015, -1100, -1121, -1021])
async def test_a_certain_refusal_is_one(code: int) -> None:
    """A 4xx with a code of Binance's own."""
    async with signing(refusing(400, code)) as rest:
        with pytest.raises(VenueRefused, match=f"HTTP 400 {code} No"), order_entry():
            await rest.send("POST", "/api/v3/order", {}, auth="signed")


@pytest.mark.parametrize(("status", "code"), [(429, -1003), (418, -1003), (429, None)])
async def test_too_many_requests_close_the_budget(
    status: int, code: int | None, autojump_clock: MockClock
) -> None:
    """The limiter refused it, so it is certain; then nothing is sent until the time is over."""
    async with signing(refusing(status, code, **{"Retry-After": "30"})) as rest:
        with pytest.raises(VenueRefused, match="nothing is sent for 30 s"), order_entry():
            await rest.send("POST", "/api/v3/order", {}, auth="signed")
        assert rest.budget.take({}, trio.current_time(), urgent=True) == pytest.approx(30)
        await trio.sleep(29)
        with pytest.raises(VenueDown, match=r"for another 1\.0 s"):
            await rest.send("DELETE", "/api/v3/order", {}, auth="signed")


async def test_too_many_orders_stop_orders_and_nothing_else(autojump_clock: MockClock) -> None:
    """Cancels and queries go on: they are not what was counted."""
    async with signing(refusing(429, -1015)) as rest:
        rest.learn(INFO)
        with pytest.raises(VenueRefused, match="-1015"), order_entry():
            await rest.send("POST", "/api/v3/order", {}, auth="signed")
        now = trio.current_time()
        assert rest.budget.take(limits.costs(rest.budget, 1, 1), now, urgent=True) == 10
        assert rest.budget.take(limits.costs(rest.budget, 1), now, urgent=True) == 0


async def test_limits_are_learned(autojump_clock: MockClock) -> None:
    """What `exchangeInfo` lists counts from then on; unknown kinds and lengths are left out."""
    async with signing(refusing(400, -1)) as rest:
        assert not rest.budget.limits
        rest.learn(INFO)
        assert {name: limit.capacity for name, limit in rest.budget.limits.items()} == {  # type: ignore[attr-defined]
            "REQUEST_WEIGHT-1M": 6000,
            "ORDERS-10S": 100,
            "ORDERS-1D": 200_000,
            "RAW_REQUESTS-5M": 61_000,
        }
        assert limits.costs(rest.budget, 20) == {"REQUEST_WEIGHT-1M": 20, "RAW_REQUESTS-5M": 1}
        assert limits.costs(rest.budget, 1, 2)["ORDERS-10S"] == 2
        with pytest.raises(VenueError, match="malformed exchangeInfo"):
            rest.learn(b'{"rateLimits":[{"limit":"many"}]}')


async def test_the_exchanges_own_count_wins(autojump_clock: MockClock) -> None:
    """Another program on this address has used what we would have thought free."""

    def handler(_: httpx.Request) -> httpx.Response:
        headers = {"X-MBX-USED-WEIGHT-1M": "5990", "x-mbx-order-count-10s": "99", "x-mbx-y": "?"}
        return httpx.Response(200, headers=headers)

    async with signing(handler) as rest:
        rest.learn(INFO)
        await rest.send("GET", "/x", {}, auth="key", weight=1)
        now = trio.current_time()
        assert rest.budget.take(limits.costs(rest.budget, 10), now, urgent=True) == 0
        assert rest.budget.take(limits.costs(rest.budget, 1), now, urgent=True) == 60
        with pytest.raises(VenueDown, match=r"no room in the rate limits for another 60\.0 s"):
            await rest.send("GET", "/x", {}, weight=1)


async def test_a_query_waits_for_room_that_comes_soon(autojump_clock: MockClock) -> None:
    """It is sent as soon as the next stretch of the limit begins."""
    async with signing(lambda _: httpx.Response(200)) as rest:
        rest.learn(INFO)
        now = trio.current_time()
        assert rest.budget.take({"REQUEST_WEIGHT-1M": 6000}, now, urgent=True) == 0
        await trio.sleep(56)
        await rest.send("GET", "/x", {}, weight=5)
        assert trio.current_time() == pytest.approx(now + 60)


def test_certainty_needs_both_a_status_and_a_code() -> None:
    """The table behind all of this."""
    assert certain(400, -2010)
    assert certain(401, -2014)
    assert certain(429, None)
    assert not certain(200, -2010)
    assert not certain(599, -2010)
    assert not certain(404, None)


async def test_errors_show_no_key() -> None:
    """Neither key nor signature, whatever fails."""
    async with signing(refusing(400, -1022)) as rest:
        with pytest.raises(RestRefused) as caught:
            await rest.send("POST", "/api/v3/order", {}, auth="signed")
    assert "signature" not in str(caught.value)
    assert "the-key" not in str(caught.value)
    assert SECRET not in repr(rest._account)
    assert "the-key" not in repr(rest._account)
