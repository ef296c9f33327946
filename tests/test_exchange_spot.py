"""The local exchange as Binance Spot: what a client gets over real sockets."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest
import trio
import trio_websocket
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from tests.exchange_world import (
    KEY,
    BinanceClient,
    exchange,
    now_ms,
    open_socket,
    signed_params,
)
from tests.recorded import ETHUSDT, recorded

API = "/ws-api/v3"
ORDER = "/api/v3/order"


async def test_the_market_can_be_read() -> None:
    """Time, symbols with filters, the book, trades, tickers; and an error for what is not."""
    async with exchange() as world, BinanceClient(world) as client:
        info = (await client.public("/api/v3/exchangeInfo")).json()
        symbols = {one["symbol"]: one for one in info["symbols"]}
        assert 10 == len(symbols)
        kinds = [one["filterType"] for one in symbols["BTCUSDT"]["filters"]]
        assert {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL", "MAX_NUM_ALGO_ORDERS"} <= set(kinds)
        assert {"REQUEST_WEIGHT", "ORDERS"} == {one["rateLimitType"] for one in info["rateLimits"]}
        depth = (await client.public("/api/v3/depth", symbol="BTCUSDT", limit=5)).json()
        assert 5 == len(depth["bids"]) == len(depth["asks"])
        assert Decimal(depth["bids"][0][0]) < Decimal(depth["asks"][0][0])
        for path in ("ticker/price", "ticker/bookTicker", "ticker/24hr", "avgPrice", "trades"):
            told = await client.public(f"/api/v3/{path}", symbol="ETHUSDT")
            assert 200 == told.status_code, told.text
            assert "X-MBX-USED-WEIGHT-1M" in told.headers
        wrong = await client.public("/api/v3/depth", symbol="NOPEUSDT")
        assert (400, -1121) == (wrong.status_code, wrong.json()["code"])
        assert 404 == (await client.public("/api/v3/nothing")).status_code


async def test_an_order_lives_as_at_binance() -> None:
    """Placed, queried by either id, listed, cancelled with an id of the cancel's own."""
    async with exchange() as world, BinanceClient(world) as client:
        placed = (await client.limit("BUY", 50_000, newClientOrderId="mine-1")).json()
        assert ("NEW", "mine-1", []) == (
            placed["status"],
            placed["clientOrderId"],
            placed["fills"],
        )
        for by in ({"orderId": placed["orderId"]}, {"origClientOrderId": "mine-1"}):
            known = (await client.signed("GET", ORDER, symbol="BTCUSDT", **by)).json()
            assert ("NEW", True) == (known["status"], known["isWorking"])
        listed = (await client.signed("GET", "/api/v3/openOrders")).json()
        assert [placed["orderId"]] == [one["orderId"] for one in listed]
        ended = (
            await client.signed(
                "DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine-1", newClientOrderId="c"
            )
        ).json()
        assert ("CANCELED", "c", "mine-1") == (
            ended["status"],
            ended["clientOrderId"],
            ended["origClientOrderId"],
        )
        again = await client.signed("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="mine-1")
        assert (400, -2011) == (again.status_code, again.json()["code"])
        unknown = await client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="never")
        assert -2013 == unknown.json()["code"]


async def test_a_fill_is_told_in_the_answer_and_in_the_lists() -> None:
    """A market order by quote quantity; the fills agree everywhere."""
    async with exchange() as world, BinanceClient(world) as client:
        told = (
            await client.signed(
                "POST", ORDER, symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty=1000
            )
        ).json()
        assert "FILLED" == told["status"]
        (fill,) = told["fills"]
        trades = (await client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json()
        assert [fill["tradeId"]] == [one["id"] for one in trades]
        assert told["executedQty"] == trades[0]["qty"]
        # Binance takes the fee out of what was bought: less is held than was filled.
        assert ("BTC", "0.00001660") == (fill["commissionAsset"], fill["commission"])
        later = await client.signed(
            "GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=fill["tradeId"] + 1
        )
        assert [] == later.json()
        every = (await client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json()
        assert ["FILLED"] == [one["status"] for one in every]
        assert ["fill"] == [line["event"] for line in world.lines("fill")]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (-1121, {"symbol": "NOPE"}),
        (-1117, {"side": "HOLD"}),
        (-1116, {"type": "ICEBERG"}),
        (-1102, {"price": None}),
        (-1102, {"quantity": ""}),
        (-1100, {"quantity": "1e3"}),
        (-1111, {"price": "50000.123456789"}),
        (-1013, {"price": "50000.001"}),
        (-1013, {"quantity": "0.00001"}),
        (-1013, {"quantity": "0.0001", "price": "20000"}),
        (-1013, {"price": "1000"}),
        (-1104, {"price2": "1"}),
        (-1106, {"stopPrice": "1"}),
        (-1115, {"timeInForce": "GTX"}),
        (-2010, {"quantity": "150"}),
        (-2010, {"type": "LIMIT_MAKER", "timeInForce": None, "price": "70000"}),
        (-2010, {"type": "STOP_LOSS_LIMIT", "side": "SELL", "stopPrice": "70000"}),
        (-1100, {"newClientOrderId": "no spaces"}),
    ],
)
async def test_what_makes_no_sense_has_its_code(code: int, change: dict[str, Any]) -> None:
    """The codes are Binance's own, and nothing is placed."""
    usual = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": "50000",
    }
    asked = {name: one for name, one in {**usual, **change}.items() if one is not None}
    async with exchange() as world, BinanceClient(world) as client:
        refused = await client.signed("POST", ORDER, **asked)
        assert (400, code) == (refused.status_code, refused.json()["code"])
        assert not (await world.state())["open_orders"]


async def test_who_may_ask() -> None:
    """Keys, signatures and times that are not right; and those that are, by their edges."""
    async with exchange() as world, BinanceClient(world) as client:
        account = "/api/v3/account"
        assert 200 == (await client.signed("GET", account)).status_code
        old = {"timestamp": now_ms() - 6_000}
        assert -1021 == (await client.signed("GET", account, **old)).json()["code"]
        late = await client.signed("GET", account, **old, recvWindow=10_000)
        assert 200 == late.status_code
        ahead = await client.signed("GET", account, timestamp=now_ms() + 2_500)
        assert -1021 == ahead.json()["code"]
        wide = await client.signed("GET", account, recvWindow=60_001)
        assert -1131 == wide.json()["code"]
        bare = await client.public(account, timestamp=now_ms())
        assert -1102 == bare.json()["code"]
        twice = await client.signed("GET", account, omitZeroBalances="true")
        assert 200 == twice.status_code
        async with BinanceClient(world, secret="another") as stranger:
            assert -1022 == (await stranger.signed("GET", account)).json()["code"]
        async with BinanceClient(world, key="another") as stranger:
            told = await stranger.signed("GET", account)
            assert (401, -2015) == (told.status_code, told.json()["code"])
        for line in world.lines():
            assert KEY not in str(line)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
async def test_keys_in_pem_sign_too(kind: str) -> None:
    """Over the WebSocket API: a logon by Ed25519 alone, a request by both."""
    private: Any
    if kind == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(65537, 2048)
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def signed(**params: object) -> dict[str, object]:
        whole = {"apiKey": KEY, "timestamp": now_ms(), **params}
        payload = "&".join(f"{name}={whole[name]}" for name in sorted(whole)).encode()
        if kind == "ed25519":
            raw = private.sign(payload)
        else:
            raw = private.sign(payload, padding.PKCS1v15(), hashes.SHA256())
        return {**whole, "signature": base64.b64encode(raw).decode()}

    async with exchange(api_secret=pem.decode()) as world, open_socket(world, API) as socket:
        assert 200 == (await socket.ask("account.status", signed()))["status"]
        wrong = {**signed(), "signature": base64.b64encode(b"x" * 64).decode()}
        assert -1022 == (await socket.ask("account.status", wrong))["error"]["code"]
        logon = await socket.ask("session.logon", signed())
        if kind == "rsa":
            assert -4056 == logon["error"]["code"]
            return
        assert KEY == logon["result"]["apiKey"]
        plain = await socket.ask("account.status", {"timestamp": now_ms()})
        assert 200 == plain["status"]
        assert 200 == (await socket.ask("userDataStream.subscribe"))["status"]


async def test_the_account_is_told_over_the_websocket_api() -> None:
    """Subscribed by signature; orders placed either way are told in order, with balances."""
    async with (
        exchange() as world,
        BinanceClient(world) as client,
        open_socket(world, API) as socket,
    ):
        refused = await socket.ask("userDataStream.subscribe")
        assert 401 == refused["status"]
        told = await socket.signed("userDataStream.subscribe.signature")
        assert {"subscriptionId": 0} == told["result"]
        await client.limit("BUY", 50_000, newClientOrderId="a")
        report = await socket.event("executionReport")
        assert ("NEW", "NEW", "a", True) == tuple(report[name] for name in ("x", "X", "c", "w"))
        held = await socket.event("outboundAccountPosition")
        assert ["USDT"] == [one["a"] for one in held["B"]]
        params = {"symbol": "BTCUSDT", "origClientOrderId": "a", "newClientOrderId": "bye"}
        await socket.signed("order.cancel", **params)
        report = await socket.event("executionReport")
        assert ("CANCELED", "bye", "a") == (report["X"], report["c"], report["C"])
        market = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
        placed = await socket.signed("order.place", **market)
        assert "FILLED" == placed["result"]["status"]
        assert {"REQUEST_WEIGHT", "ORDERS"} == {
            one["rateLimitType"] for one in placed["rateLimits"]
        }
        assert "NEW" == (await socket.event("executionReport"))["x"]
        fill = await socket.event("executionReport")
        assert ("TRADE", "FILLED") == (fill["x"], fill["X"])
        assert placed["result"]["fills"][0]["tradeId"] == fill["t"]
        await socket.ask("userDataStream.unsubscribe")
        assert "eventStreamTerminated" == (await socket.event("eventStreamTerminated"))["e"]


async def test_a_stop_wakes_and_an_oco_ends_as_one() -> None:
    """Moved to the trigger, the stop sells and the profit expires; a cancel of one ends both."""
    oco = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.01",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "70000",
        "belowType": "STOP_LOSS",
        "belowStopPrice": "55000",
    }
    async with (
        exchange() as world,
        BinanceClient(world) as client,
        open_socket(world, API) as socket,
    ):
        await socket.signed("userDataStream.subscribe.signature")
        placed = (await client.signed("POST", "/api/v3/orderList/oco", **oco)).json()
        assert ("EXECUTING", 2) == (placed["listOrderStatus"], len(placed["orders"]))
        assert "EXECUTING" == (await socket.event("listStatus"))["L"]
        await world.market(symbol="BTCUSDT", price="54000")
        await world.until(lambda: bool(world.lines("expired")))
        every = (await client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json()
        assert {"EXPIRED", "FILLED"} == {one["status"] for one in every}
        while (await socket.event("listStatus"))["L"] != "ALL_DONE":
            pass
        await world.market(symbol="BTCUSDT", price="60000")
        second = (await client.signed("POST", "/api/v3/orderList/oco", **oco)).json()
        ended = (
            await client.signed(
                "DELETE", ORDER, symbol="BTCUSDT", orderId=second["orders"][0]["orderId"]
            )
        ).json()
        assert ("ALL_DONE", 2) == (ended["listOrderStatus"], len(ended["orderReports"]))
        assert not (await world.state())["open_orders"]
        assert [] == (await client.signed("GET", "/api/v3/openOrderList")).json()


async def test_cancel_all_replace_and_amend() -> None:
    """Everything of a symbol, one for another, and smaller in place."""
    async with exchange() as world, BinanceClient(world) as client:
        for number in range(3):
            await client.limit("BUY", 50_000 + number)
        await client.limit("BUY", 2_000, "0.1", symbol="ETHUSDT")
        gone = (await client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")).json()
        assert ["CANCELED"] * 3 == [one["status"] for one in gone]
        assert 1 == len((await client.signed("GET", "/api/v3/openOrders")).json())
        none = await client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
        assert -2011 == none.json()["code"]
        first = (await client.limit("BUY", 50_000, "0.02")).json()["orderId"]
        smaller = await client.signed(
            "PUT",
            "/api/v3/order/amend/keepPriority",
            symbol="BTCUSDT",
            orderId=first,
            newQty="0.01",
        )
        assert "0.01000000" == smaller.json()["amendedOrder"]["qty"]
        new = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
            "price": "51000",
        }
        replaced = await client.signed(
            "POST",
            "/api/v3/order/cancelReplace",
            **new,
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=first,
        )
        assert "SUCCESS" == replaced.json()["newOrderResult"]
        failed = await client.signed(
            "POST",
            "/api/v3/order/cancelReplace",
            **new,
            cancelReplaceMode="ALLOW_FAILURE",
            cancelOrderId=first,
        )
        assert (409, -2021) == (failed.status_code, failed.json()["code"])
        assert "NEW" == failed.json()["data"]["newOrderResponse"]["status"]


async def test_limits_are_enforced_with_their_headers() -> None:
    """429 with Retry-After, then 418; orders have a limit of their own."""
    async with (
        exchange(options={"weight": "100", "orders_per_10s": "3"}) as world,
        BinanceClient(world) as client,
    ):
        told = [await client.limit("BUY", 50_000) for _ in range(7)]
        assert -1015 in [one.json().get("code") for one in told]
        answers = [await client.public("/api/v3/exchangeInfo") for _ in range(30)]
        statuses = {one.status_code for one in answers}
        assert {200, 429, 418} == statuses
        refused = next(one for one in answers if one.status_code == 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert 418 == answers[-1].status_code


async def test_the_market_streams() -> None:
    """Quotes, trades, depth that follows its snapshot; subscribed by path or by message."""
    async with (
        exchange(volatility_bps=5.0) as world,
        BinanceClient(world) as client,
        open_socket(world, "/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms") as socket,
    ):
        snapshot = (await client.public("/api/v3/depth", symbol="BTCUSDT", limit=5000)).json()
        last, seen = None, set()
        applied = 0
        while applied < 10:
            frame = await socket.next()
            seen.add(frame["stream"])
            if not frame["stream"].endswith("@depth@100ms"):
                continue
            depth = frame["data"]
            if depth["u"] <= snapshot["lastUpdateId"]:
                continue
            assert depth["U"] <= (last or snapshot["lastUpdateId"]) + 1
            last = depth["u"]
            applied += 1
        assert {"btcusdt@bookTicker", "btcusdt@depth@100ms"} == seen
        async with open_socket(world, "/ws") as bare:
            names = ["btcusdt@trade", "btcusdt@aggTrade", "btcusdt@depth5"]
            assert None is (await bare.ask("SUBSCRIBE", names))["result"]
            kinds: set[str] = set()
            while len(kinds) < 3:
                frame = await bare.next()
                kinds.add(frame.get("e") or ("depth" if "bids" in frame else "?"))
            assert {"trade", "aggTrade", "depth"} == kinds


async def test_listen_keys_are_gone() -> None:
    """As at Binance since February 2026."""
    async with exchange() as world, BinanceClient(world) as client:
        assert 410 == (await client.signed("POST", "/api/v3/userDataStream")).status_code


async def test_what_is_malformed_does_no_harm() -> None:
    """On the WebSocket API and on the market streams: an error, and the connection lives."""
    async with exchange() as world:
        async with open_socket(world, API) as socket:
            messages: list[Any] = ["text", [], {"id": 1}, {"id": 2, "method": "x", "params": [1]}]
            for message in messages:
                await socket.send(message)
                assert 400 == (await socket.next())["status"]
            hurt = signed_params({"symbol": {"a": [1]}, "side": "BUY", "type": "LIMIT"})
            assert 400 == (await socket.ask("order.place", hurt))["status"]
            assert 200 == (await socket.ask("ping"))["status"]
        async with open_socket(world, "/ws/btcusdt@kline_1m") as socket:
            await socket.send({"method": "DANCE", "id": 7})
            assert 2 == (await socket.next())["error"]["code"]


async def test_who_sends_too_much_on_a_market_stream_is_closed() -> None:
    """More than five messages in a second."""
    async with exchange() as world, open_socket(world, "/ws") as socket:
        with pytest.raises(trio_websocket.ConnectionClosed), trio.fail_after(5):
            for number in range(8):
                await socket.send({"method": "LIST_SUBSCRIPTIONS", "id": number})
                await trio.sleep(0.01)
            while True:
                await socket.next()


@pytest.mark.recorded
async def test_a_recording_moves_the_market() -> None:
    """Its symbol is listed with its own steps, and its book comes with its own ids."""
    async with exchange(recording=recorded(ETHUSDT)) as world, BinanceClient(world) as client:
        info = (await client.public("/api/v3/exchangeInfo")).json()
        assert ["ETHUSDT"] == [one["symbol"] for one in info["symbols"]]
        assert "0.01000000" == info["symbols"][0]["filters"][0]["tickSize"]

        async def has_quotes() -> bool:
            return bool((await world.state())["quotes"])

        await world.until(has_quotes)
        placed = await client.limit("BUY", 2_000, "0.1", symbol="ETHUSDT")
        assert placed.json()["status"] in ("NEW", "FILLED")
