"""The local exchange as Binance USD-M Futures: what a client gets over real sockets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import attrs
import httpx
import msgspec
import pytest
import trio

from tests.exchange_world import BinanceClient, World, exchange, now_ms, open_socket
from tests.test_exchange_hostile import WORDS, floor_of_spot
from trade_runtime.exchange.faces import kind_of
from trade_runtime.exchange.faces.binance.calls import Calls
from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_usdm import endpoints, face
from trade_runtime.exchange.faces.binance_usdm.face import UsdmFace

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
ROUNDS = 3_000


class Client(BinanceClient):
    """A client of Futures."""

    async def place(self, side: object = "BUY", **more: object) -> httpx.Response:
        """Place an order of a hundredth of BTCUSDT."""
        given = {"symbol": "BTCUSDT", "side": side, "quantity": "0.01", **more}
        path = ALGO if "algoType" in more else ORDER
        return await self.signed("POST", path, **given)

    async def rest(self, price: object, **more: object) -> httpx.Response:
        """Place a limit order."""
        return await self.place(type="LIMIT", timeInForce="GTC", price=price, **more)

    async def stop(self, trigger: object, **more: object) -> httpx.Response:
        """Place a stop of a sell."""
        given = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": trigger, **more}
        return await self.place(given.pop("side", "SELL"), **given)


@asynccontextmanager
async def world_of(**settings: Any) -> AsyncIterator[tuple[World, Client]]:
    async with exchange("binance_usdm", **settings) as world, Client(world) as client:
        yield world, client


def code(answer: httpx.Response) -> int:
    return int(answer.json().get("code", 200))


async def test_contracts_and_limits_are_listed() -> None:
    """With the filters of Futures; every answer counts what is used."""
    async with world_of() as (_, client):
        told = await client.public("/fapi/v1/exchangeInfo")
        info = told.json()
        (btc,) = [one for one in info["symbols"] if one["symbol"] == "BTCUSDT"]
        assert ("PERPETUAL", "USDT") == (btc["contractType"], btc["marginAsset"])
        kinds = {one["filterType"] for one in btc["filters"]}
        assert {"PRICE_FILTER", "LOT_SIZE", "MIN_NOTIONAL", "MAX_NUM_ALGO_ORDERS"} <= kinds
        limits = [(one["rateLimitType"], one["limit"]) for one in info["rateLimits"]]
        assert [("REQUEST_WEIGHT", 2400), ("ORDERS", 300), ("ORDERS", 1200)] == limits
        placed = await client.rest(55_000)
        assert "1" == placed.headers["X-MBX-ORDER-COUNT-10S"]
        assert int(placed.headers["X-MBX-USED-WEIGHT-1M"]) > 0


async def test_conditional_orders_belong_to_the_algo_service() -> None:
    """The old endpoint sends them away, and sees them only once they have triggered."""
    async with world_of() as (world, client):
        await world.market(symbol="BTCUSDT", price="60000")
        assert -4120 == code(await client.place(type="STOP_MARKET", stopPrice=50_000))
        placed = (await client.stop(59_000, clientAlgoId="s-1")).json()
        assert ("NEW", "STOP_MARKET") == (placed["algoStatus"], placed["orderType"])
        for path in ("openOrders", "allOrders"):
            assert [] == (await client.signed("GET", f"/fapi/v1/{path}", symbol="BTCUSDT")).json()
        name = {"symbol": "BTCUSDT", "origClientOrderId": "s-1"}
        assert -2013 == code(await client.signed("GET", ORDER, **name))
        await world.market(symbol="BTCUSDT", price="58000")
        await world.until(lambda: bool(world.lines("trigger")))
        known = (await client.signed("GET", ALGO, clientAlgoId="s-1")).json()
        assert "FINISHED" == known["algoStatus"]
        by_id = {"symbol": "BTCUSDT", "orderId": known["actualOrderId"]}
        actual = (await client.signed("GET", ORDER, **by_id)).json()
        assert ("FILLED", "MARKET", "STOP_MARKET") == (
            actual["status"],
            actual["type"],
            actual["origType"],
        )
        assert "s-1" != actual["clientOrderId"]
        assert "avgPrice" not in actual
        assert "cumQuote" not in actual
        by_name = {"symbol": "BTCUSDT", "origClientOrderId": actual["clientOrderId"]}
        assert actual == (await client.signed("GET", ORDER, **by_name)).json()
        assert -2011 == code(await client.signed("DELETE", ALGO, clientAlgoId="s-1"))


async def test_what_is_refused_has_the_codes_of_futures() -> None:
    """Ids, prices, sizes, dates, sides: each a sentence of its own."""
    async with world_of() as (world, client):
        await world.market(symbol="BTCUSDT", price="60000")
        await client.rest(55_000, newClientOrderId="a")
        late = {"timeInForce": "GTD", "goodTillDate": now_ms() + 1000}
        gtx = {"type": "LIMIT", "timeInForce": "GTX", "price": 70_000}
        for wanted, answer in (
            (-4116, await client.rest(55_000, newClientOrderId="a")),
            (-4014, await client.rest("55000.001")),
            (-1111, await client.rest(55_000, quantity="0.00001")),
            (-4164, await client.rest(20_000, quantity="0.0001")),
            (-2019, await client.rest(55_000, quantity=900)),
            (-5022, await client.place(**gtx)),
            (-4187, await client.place(type="LIMIT", price=55_000, **late)),
            (-4061, await client.rest(55_000, positionSide="LONG")),
            (-1104, await client.rest(55_000, whatIsThis=1)),
            (-2021, await client.stop(61_000)),
        ):
            assert wanted == code(answer), answer.text
        given = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": 59_000}
        closing = {"symbol": "BTCUSDT", "side": "SELL", "closePosition": "true", **given}
        assert -2022 == code(await client.signed("POST", ALGO, **closing))
        await client.place(type="MARKET")
        placed = (await client.signed("POST", ALGO, **closing)).json()
        assert (True, "0.01") == (placed["closePosition"], placed["quantity"])
        assert -1106 == code(await client.signed("POST", ALGO, quantity=1, **closing))


async def test_a_change_ends_an_order_that_has_filled_so_far() -> None:
    """And one that changes nothing is refused."""
    async with world_of() as (_, client):
        await client.rest(55_000, newClientOrderId="a")
        given = {"symbol": "BTCUSDT", "origClientOrderId": "a", "side": "BUY"}
        changed = await client.signed("PUT", ORDER, quantity="0.02", price=54_000, **given)
        assert ("0.02", "54000") == (changed.json()["origQty"], changed.json()["price"])
        same = await client.signed("PUT", ORDER, quantity="0.02", price=54_000, **given)
        assert -5027 == code(same)
        other = {**given, "side": "SELL"}
        assert -1117 == code(await client.signed("PUT", ORDER, quantity=1, price=54_000, **other))


async def test_cancel_all_is_two_calls() -> None:
    """Each takes the orders of its own service."""
    async with world_of() as (world, client):
        await world.market(symbol="BTCUSDT", price="60000")
        await client.rest(55_000)
        await client.stop(50_000)
        told = await client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
        assert 200 == told.json()["code"]
        (left,) = (await world.state())["open_orders"]
        assert left["type"].startswith("stop")
        await client.signed("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
        assert [] == (await world.state())["open_orders"]


async def test_a_stream_on_the_wrong_route_stays_silent() -> None:
    """Quotes on `/public`, trades and marks on `/market`; without a route as on `/public`."""
    names = "btcusdt@bookTicker/btcusdt@aggTrade/btcusdt@markPrice/btcusdt@depth@100ms"
    wanted = {
        "/public": {"btcusdt@bookTicker", "btcusdt@depth@100ms"},
        "/market": {"btcusdt@aggTrade", "btcusdt@markPrice"},
        "": {"btcusdt@bookTicker", "btcusdt@depth@100ms"},
    }
    async with world_of() as (world, _):
        for route, speaks in wanted.items():
            async with open_socket(world, f"{route}/stream?streams={names}") as socket:
                heard: set[str] = set()
                with trio.move_on_after(1.5):
                    while True:
                        told = await socket.next()
                        heard.add(told["stream"])
                assert speaks == heard, route


async def test_changes_of_a_book_name_the_one_before() -> None:
    """The first after a snapshot holds its id, or names it."""
    async with (
        world_of() as (world, client),
        open_socket(world, "/public/ws/btcusdt@depth@100ms") as socket,
    ):
        seen = [await socket.next() for _ in range(3)]
        for one, after in pairwise(seen):
            assert one["u"] == after["pu"]
        book = (await client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=5)).json()
        while seen[-1]["u"] < book["lastUpdateId"]:
            seen.append(await socket.next())
        assert any(one["U"] <= book["lastUpdateId"] <= one["u"] for one in seen)


async def test_the_private_stream_tells_what_it_is_asked_for() -> None:
    """All events, or those that are named; on a key that is none it stays silent."""
    async with world_of() as (world, client):
        headers = await client._http.post("/fapi/v1/listenKey")
        key = headers.json()["listenKey"]
        again = await client._http.post("/fapi/v1/listenKey")
        assert key == again.json()["listenKey"]
        async with (
            open_socket(world, f"/private/ws?listenKey={key}") as every,
            open_socket(world, f"/private/ws?listenKey={key}&events=ALGO_UPDATE") as some,
            open_socket(world, f"/private/stream?listenKey={key}") as wrapped,
            open_socket(world, "/private/ws/nokey") as none,
        ):
            await client.place(type="MARKET")
            heard = [(await every.next())["e"] for _ in range(4)]
            assert {"ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"} == set(heard)
            assert key == (await wrapped.next())["stream"]
            await client.stop(50_000)
            assert "ALGO_UPDATE" == (await some.next())["e"]
            with trio.move_on_after(0.3) as silent:
                await none.next()
            assert silent.cancelled_caught
            await client._http.delete("/fapi/v1/listenKey")
            while (await every.next())["e"] != "listenKeyExpired":
                pass
        assert -1125 == code(await client._http.put("/fapi/v1/listenKey"))


async def test_a_countdown_takes_conditional_orders_too_unless_it_is_told_to_spare_them() -> None:
    """Binance documents neither, so both can be tried."""
    for spares in ("true", "false"):
        async with world_of(options={"countdown_spares_algo": spares}) as (world, client):
            await world.market(symbol="BTCUSDT", price="60000")
            await client.rest(55_000)
            await client.stop(50_000)
            given = {"symbol": "BTCUSDT", "countdownTime": 200}
            told = await client.signed("POST", "/fapi/v1/countdownCancelAll", **given)
            assert {"symbol": "BTCUSDT", "countdownTime": "200"} == told.json()
            await world.until(lambda world=world: bool(world.lines("cancelled")))
            left = (await world.state())["open_orders"]
            assert (1 if spares == "true" else 0) == len(left)


async def test_too_many_orders_are_refused_and_cancels_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Orders have a limit of their own; what is refused says when to come back."""
    narrow = tuple(
        attrs.evolve(one, limit=3) if one.secs == 10 else one for one in endpoints.WINDOWS
    )
    monkeypatch.setattr(endpoints, "WINDOWS", narrow)
    monkeypatch.setattr(face, "WINDOWS", narrow)
    async with world_of() as (_, client):
        for number in range(3):
            await client.rest(55_000, newClientOrderId=f"o-{number}")
        refused = await client.rest(55_000)
        assert (429, -1015) == (refused.status_code, code(refused))
        assert 1 <= int(refused.headers["Retry-After"]) <= 10
        given = {"symbol": "BTCUSDT", "origClientOrderId": "o-1"}
        assert 200 == (await client.signed("DELETE", ORDER, **given)).status_code


async def test_no_parameters_break_the_face() -> None:
    """Thousands of random requests to all that can be asked for: an answer, or Binance's error."""
    rng, floor = random.Random(1), floor_of_spot()
    linear = kind_of("binance_usdm").instrument("BTCUSDT")
    assert linear is not None
    floor.exchange.instruments["BTCUSDT"] = linear
    calls: Calls = UsdmFace(floor)._calls
    every = list(calls.by_http.values())
    words = (*WORDS, "CONDITIONAL", "STOP", "STOP_MARKET", "TRAILING_STOP_MARKET", "GTX", "GTD")
    likely = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "algoType": "CONDITIONAL"}
    outcomes = {"answered": 0, "refused": 0}
    for _ in range(ROUNDS):
        endpoint = rng.choice(every)
        given: dict[str, str] = {}
        for name in sorted(endpoint.known or {"symbol", "limit", "interval", "leverage"}):
            if rng.random() < 0.6:
                usual = likely.get(name) if rng.random() < 0.7 else None
                given[name] = usual or rng.choice(words)
        try:
            told = await calls.carry_out(endpoint, Params(given))
        except Rejected:
            outcomes["refused"] += 1
            continue
        msgspec.json.encode(told)
        outcomes["answered"] += 1
    assert outcomes["answered"] > 300
    assert outcomes["refused"] > 300
    held = floor.exchange.balances()
    assert all(one.total >= Decimal(0) for one in held.values())
