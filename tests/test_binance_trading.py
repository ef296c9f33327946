"""Binance Spot as a venue over a made-up wire: each request, each answer, each way to fail."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import structlog
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from tests.support.alongside import alongside
from tests.test_binance_orders import order_body, reply, spec
from trade_runtime.errors import ConfigError, VenueDown, VenueError
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.repair import open_trading_venues
from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueName
from trade_runtime.model.orders import OrderType, ReportStatus, TimeInForce
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import CancelsAll, Environment, TellsPositions, VenuePlugin
from trade_runtime.settings import Settings
from trade_runtime.venues.binance.rest import Account, Rest
from trade_runtime.venues.binance_spot import BinanceSpotSettings, open_spot
from trade_runtime.venues.binance_spot.trades import MAX_PAGES, PAGE, OwnTrades
from trade_runtime.venues.binance_spot.user_codec import Response
from trade_runtime.venues.binance_spot.venue import BinanceSpotVenue
from trade_runtime.venues.wire.http import Http

SPOT = VenueName("spot")
BTC = InstrumentId("BTCUSDT.spot")
LIVE = BinanceSpotSettings(live=True, api_key=Secret("the-key"), api_secret=Secret("the-secret"))

Handler = Callable[[httpx.Request], httpx.Response]


class Noon:
    """Twelve o'clock, and what trio's clock adds."""

    def now_ns(self) -> int:
        return 1_700_000_000_000_000_000 + round(trio.current_time() * 1e9)


def environment() -> Environment:
    return Environment(Noon(), random.Random(0), Path("/nowhere"), structlog.get_logger())


class Sink:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[VenueEvent] = []

    def on_event(self, event: VenueEvent) -> None:
        self.events.append(event)


@asynccontextmanager
async def trading(handler: Handler) -> AsyncIterator[tuple[BinanceSpotVenue, Sink]]:
    """A venue whose private connection counts as up; `handler` answers all but the time."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v3/time":
            return httpx.Response(200, json={"serverTime": 1_700_000_000_000})
        assert "signature" in request.url.params or request.url.path.endswith("exchangeInfo")
        return handler(request)

    env, sink = environment(), Sink()
    account = Account(LIVE.signer(), env.clock, "/api/v3/time", LIVE.recv_window_ms)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        rest = Rest(Http("https://api.example", client), account=account)
        venue = BinanceSpotVenue(SPOT, LIVE, env, rest, None)
        venue._sink, venue._up = sink, True
        async with alongside(venue.serve):
            await trio.testing.wait_all_tasks_blocked()
            yield venue, sink


async def settle() -> None:
    """Let what was asked for leave, and its answer come."""
    await trio.testing.wait_all_tasks_blocked(0.01)


async def test_an_order_is_placed_and_its_answer_told(autojump_clock: MockClock) -> None:
    """One POST; accepted, both fills, and the end."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=reply())

    async with trading(handler) as (venue, sink):
        venue.submit(spec())
        await settle()
    assert [(one.method, one.url.path) for one in seen] == [("POST", "/api/v3/order")]
    assert seen[0].url.params["newClientOrderId"] == "abc123-1"
    assert [type(one) for one in sink.events] == [OrderAccepted, Fill, Fill, OrderClosed]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(400, json={"code": -2010, "msg": "Insufficient."}), [OrderRejected]),
        (httpx.Response(400, json={"code": -1013, "msg": "Filter."}), [OrderRejected]),
        (httpx.Response(429, json={"code": -1003, "msg": "Many."}), [OrderRejected]),
        (httpx.Response(504, json={"code": -1007, "msg": "Timeout."}), []),
        (httpx.Response(503, text="<html>"), []),
        (httpx.Response(200, text="<html>"), []),
        (httpx.Response(200, content=reply(clientOrderId="x")), []),
        (httpx.Response(200, content=b"\xff"), []),
    ],
)
async def test_only_a_certain_refusal_is_told(
    answer: httpx.Response, told: list[type], autojump_clock: MockClock
) -> None:
    """All else is left to the core's deadline, which asks; nothing is sent twice."""
    asked = 0

    def handler(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return answer

    async with trading(handler) as (venue, sink):
        venue.submit(spec())
        await settle()
    assert asked == 1
    assert told == [type(one) for one in sink.events]


async def test_what_cannot_have_left_is_rejected(autojump_clock: MockClock) -> None:
    """No connection: not a byte."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with trading(handler) as (venue, sink):
        venue.submit(spec())
        await settle()
    assert [type(one) for one in sink.events] == [OrderRejected]


async def test_a_cut_after_the_request_left_is_in_doubt(autojump_clock: MockClock) -> None:
    """It may have arrived."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    async with trading(handler) as (venue, sink):
        venue.submit(spec())
        await settle()
    assert sink.events == []


async def test_a_cancel_is_told_or_refused(autojump_clock: MockClock) -> None:
    """Unknown order (-2011) may mean that it filled: the core asks."""
    answers = [
        httpx.Response(200, content=reply(origClientOrderId="abc123-1", status="CANCELED")),
        httpx.Response(400, json={"code": -2011, "msg": "Unknown order sent."}),
    ]
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.params['origClientOrderId']}")
        return answers.pop(0)

    async with trading(handler) as (venue, sink):
        venue._up = False  # cancels leave all the same
        venue.cancel(spec())
        await settle()
        venue.cancel(spec())
        await settle()
        with pytest.raises(VenueDown, match="private connection"):
            venue.submit(spec())
    assert seen == ["DELETE abc123-1"] * 2
    assert [type(one) for one in sink.events] == [OrderClosed, CancelRejected]


async def test_all_of_a_symbol_is_cancelled_by_one_request(autojump_clock: MockClock) -> None:
    """Each order's end is told."""
    body = json.dumps(
        [
            {
                "symbol": "BTCUSDT",
                "origClientOrderId": f"abc123-{number}",
                "status": "CANCELED",
                "executedQty": "0",
                "transactTime": 5,
            }
            for number in range(3)
        ]
    ).encode()
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path} {request.url.params['symbol']}")
        return httpx.Response(200, content=body)

    async with trading(handler) as (venue, sink):
        assert isinstance(venue, CancelsAll)
        venue.cancel_all(spec())
        await settle()
    assert seen == ["DELETE /api/v3/openOrders BTCUSDT"]
    assert [one.client_order_id for one in sink.events] == ["abc123-0", "abc123-1", "abc123-2"]


async def test_what_it_holds_and_what_not(autojump_clock: MockClock) -> None:
    """As Binance says of the symbols that are traded; it cannot amend, and says so once more."""

    def handler(request: httpx.Request) -> httpx.Response:
        symbols: list[dict[str, Any]] = [
            {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT"}
            | {"orderTypes": ["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"]},
            {"symbol": "ETHUSDT", "baseAsset": "ETH", "quoteAsset": "USDT"}
            | {"orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"]}
            | {"filters": [{"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 3}]},
        ]
        names = json.loads(request.url.params["symbols"])
        return httpx.Response(200, json={"symbols": [s for s in symbols if s["symbol"] in names]})

    async with trading(handler) as (venue, sink):
        assert OrderType.TAKE_PROFIT in venue.capabilities.types
        await venue.instruments(["BTCUSDT"])
        assert OrderType.STOP_MARKET in venue.capabilities.types
        assert venue.capabilities.max_stops == 5
        await venue.instruments(["ETHUSDT"])
        holds = venue.capabilities
        assert holds.types == {OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_LIMIT}
        assert holds.tifs == {TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}
        assert (holds.post_only, holds.reduce_only, holds.amend, holds.oco) == (True,) + (
            False,
        ) * 3
        assert holds.max_stops == 3
        assert not isinstance(venue, TellsPositions)
        assert venue.settle_secs == 6.0
        venue.amend(spec(), quantity=Decimal(1), price=Decimal(1), trigger_price=None)
        await settle()
    assert [type(one) for one in sink.events] == [AmendRejected]


async def test_an_order_is_none_only_where_binance_says_so(autojump_clock: MockClock) -> None:
    """Not found, archived, found, and no answer at all."""
    answers = [
        httpx.Response(400, json={"code": -2013, "msg": "Order does not exist."}),
        httpx.Response(400, json={"code": -2026, "msg": "Archived."}),
        httpx.Response(200, content=order_body(status="FILLED", executedQty="10")),
        httpx.Response(500, json={"code": -2013, "msg": "Order does not exist."}),
        httpx.Response(404, text="not here"),
    ]
    async with trading(lambda _: answers.pop(0)) as (venue, _sink):
        assert await venue.order(spec()) is None
        put_away = await venue.order(spec())
        assert put_away is not None
        assert put_away.status is ReportStatus.EXPIRED
        found = await venue.order(spec())
        assert found is not None
        assert found.status is ReportStatus.FILLED
        for _ in range(2):
            with pytest.raises(VenueError):
                await venue.order(spec())


async def test_a_connection_that_is_one_too_many_is_not_tried_again_too_soon(
    autojump_clock: MockClock,
) -> None:
    """Binance says until when, and neither a request nor a connection leaves before."""
    async with trading(lambda _: httpx.Response(200, content=b"[]")) as (venue, sink):
        now_ms = await venue._rest.now_ms()
        with pytest.raises(VenueError, match=r"refused the subscription.* 429 -1003 Many"):
            await venue._stream._check(Response("x", 429, -1003, "Many.", now_ms + 5_000))
        with pytest.raises(VenueDown, match=r"for another 5\.0 s"):
            await venue.open_orders()
        with pytest.raises(VenueDown, match=r"for another 5\.0 s"):
            await venue.run(sink, lambda: None)
        await trio.sleep(5.1)
        assert not await venue.open_orders()


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (httpx.Response(200, json={"enableWithdrawals": True}), "warning"),
        (httpx.Response(200, json={"enableWithdrawals": False}), None),
        (httpx.Response(404, text="no such thing on the testnet"), "debug"),
        (httpx.Response(200, text="<html>"), "debug"),
    ],
)
async def test_a_key_that_may_withdraw_is_warned_of(
    answer: httpx.Response, level: str | None, autojump_clock: MockClock
) -> None:
    """Once the connection is up; not to know is no harm."""

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/sapi/v1/account/apiRestrictions"
        return answer

    with capture_logs() as logs:
        async with trading(handler) as (venue, _):
            assert not logs
            venue._seen_up.set()
            await settle()
    assert [line["log_level"] for line in logs] == ([] if level is None else [level])
    assert "the-key" not in str(logs)


async def test_balances_and_open_orders(autojump_clock: MockClock) -> None:
    """Orders of all symbols in one request."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v3/account":
            return httpx.Response(
                200, json={"balances": [{"asset": "A", "free": "1", "locked": "2"}]}
            )
        return httpx.Response(200, content=b"[" + order_body() + b"]")

    async with trading(handler) as (venue, _):
        assert await venue.balances() == {"A": Decimal(3)}
        (report,) = await venue.open_orders()
        assert report.type is OrderType.STOP_MARKET


async def test_the_whole_account_is_looked_at_once_a_minute(autojump_clock: MockClock) -> None:
    """Between, the symbols that are traded, and those where others had something resting."""
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        symbol = request.url.params.get("symbol", "")
        asked.append(symbol)
        orders = [order_body(), order_body(symbol="ETHUSDT", clientOrderId="theirs")]
        found = [one for one in orders if symbol.encode() in one]
        return httpx.Response(200, content=b"[" + b",".join(found) + b"]")

    async with trading(handler) as (venue, _):
        venue.watch([BTC, InstrumentId("LTCUSDT.spot")])
        for _ in range(3):
            assert len(await venue.open_orders()) == 2
            await trio.sleep(25)
        assert asked[0] == ""
        assert sorted(asked[1:]) == ["BTCUSDT", "BTCUSDT"] + ["ETHUSDT"] * 2 + ["LTCUSDT"] * 2
        assert len(await venue.open_orders()) == 2
        assert asked[-1] == ""


async def test_one_symbol_whose_orders_are_not_told_fails_the_look(
    autojump_clock: MockClock,
) -> None:
    """What rests is told whole or not at all."""
    broken = False

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500 if broken else 200, content=b"[]")

    async with trading(handler) as (venue, _):
        venue.watch([BTC])
        assert not await venue.open_orders()
        broken = True
        with pytest.raises(VenueError, match="HTTP 500"):
            await venue.open_orders()


# --- fills -----------------------------------------------------------------------------------


class History:
    """An account's trades and orders, told as Binance tells them: in pages, by ids."""

    def __init__(self, trades: int, *, per_order: int = 1, ms_apart: int = 1000) -> None:
        self.requests: list[str] = []
        self.orders: list[dict[str, Any]] = [
            {
                "symbol": "BTCUSDT",
                "orderId": 1_000_000 + 7 * number,
                "clientOrderId": f"abc123-{number}",
                "side": "BUY",
                "type": "LIMIT",
                "status": "FILLED",
                "origQty": "1",
                "executedQty": "1",
            }
            for number in range((trades + per_order - 1) // per_order)
        ]
        self.trades: list[dict[str, Any]] = [
            {
                "symbol": "BTCUSDT",
                "id": 50_000_000 + 13 * number,
                "orderId": self.orders[number // per_order]["orderId"],
                "price": "100",
                "qty": "1",
                "commission": "0.001",
                "commissionAsset": "BNB",
                "time": 1_600_000_000_000 + number * ms_apart,
                "isBuyer": True,
                "isMaker": False,
            }
            for number in range(trades)
        ]

    def at_ns(self, number: int) -> int:
        """When a trade happened."""
        return int(self.trades[number]["time"]) * 1_000_000

    def answer(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        limit = int(params.get("limit", "500"))
        self.requests.append(request.url.path.rpartition("/")[2])
        if request.url.path == "/api/v3/myTrades":
            if "fromId" in params:
                found = [t for t in self.trades if t["id"] >= int(params["fromId"])][:limit]
            else:
                found = self.trades[-limit:]
            return httpx.Response(200, json=found)
        start = int(params["orderId"])
        if request.url.path == "/api/v3/allOrders":
            return httpx.Response(
                200, json=[o for o in self.orders if o["orderId"] >= start][:limit]
            )
        assert request.url.path == "/api/v3/order"
        return httpx.Response(200, json=next(o for o in self.orders if o["orderId"] == start))


@asynccontextmanager
async def own_trades(handler: Handler) -> AsyncIterator[OwnTrades]:
    async with trading(handler) as (venue, _):
        yield venue._trades


async def test_fills_carry_our_ids(autojump_clock: MockClock) -> None:
    """Binance names the order of a trade by its own id alone: it is asked whose that is, once."""
    history = History(3)
    async with trading(history.answer) as (venue, _):
        venue.watch([BTC])
        fills = await venue.fills(history.at_ns(1))
        assert [fill.client_order_id for fill in fills] == ["abc123-1", "abc123-2"]
        assert [fill.trade_id for fill in fills] == ["50000013", "50000026"]
        assert history.requests == ["myTrades", "order", "order"]
        assert await venue.fills(history.at_ns(1)) == fills
        assert history.requests[3:] == ["myTrades"]


async def test_many_unknown_orders_are_asked_for_in_pages(autojump_clock: MockClock) -> None:
    """One request for a thousand."""
    history = History(900)
    async with own_trades(history.answer) as trades:
        fills = await trades.since("BTCUSDT", 1)
        assert [fill.client_order_id for fill in fills] == [f"abc123-{n}" for n in range(900)]
    assert history.requests == ["myTrades", "allOrders"]


@pytest.mark.parametrize("begin", [0, 1, 777, 3499, 4999])
async def test_all_fills_since_a_moment_are_found(begin: int, autojump_clock: MockClock) -> None:
    """More than a page: the first is found by halving the ids, and then page follows page."""
    history = History(5000, per_order=50)
    async with own_trades(history.answer) as trades:
        fills = await trades.since("BTCUSDT", history.at_ns(begin))
    assert [int(fill.trade_id) for fill in fills] == [t["id"] for t in history.trades[begin:]]
    assert len(history.requests) < 50


async def test_a_journal_that_is_new_asks_for_the_latest_alone(autojump_clock: MockClock) -> None:
    """What the account did before is none of its business."""
    history = History(5000, per_order=50)
    async with own_trades(history.answer) as trades:
        assert len(await trades.since("BTCUSDT", 0)) == PAGE
    assert len(history.requests) <= 2 + PAGE // 50


async def test_a_part_of_the_fills_is_never_told_for_all(autojump_clock: MockClock) -> None:
    """Beyond the bound it is an error."""
    history = History(MAX_PAGES * PAGE + 2, per_order=1000)
    async with own_trades(history.answer) as trades:
        with pytest.raises(VenueError, match="more than 20000 trades"):
            await trades.since("BTCUSDT", history.at_ns(0))


async def test_an_order_that_binance_does_not_tell_keeps_fills_in_doubt(
    autojump_clock: MockClock,
) -> None:
    """A fill whose order is not known is not told as anyone's; one put away is of no one here."""
    history = History(1)
    code = -2013

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v3/order":
            return httpx.Response(400, json={"code": code, "msg": "?"})
        return history.answer(request)

    async with own_trades(handler) as trades:
        with pytest.raises(VenueError, match="-2013"):
            await trades.since("BTCUSDT", 1)
        code = -2026
        (fill,) = await trades.since("BTCUSDT", 1)
        assert fill.client_order_id == ""


async def test_one_symbol_without_an_answer_fails_all(autojump_clock: MockClock) -> None:
    """A reconcile that misses a part is none."""
    history = History(1)

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.params["symbol"] == "ETHUSDT":
            return httpx.Response(500)
        return history.answer(request)

    async with trading(handler) as (venue, _):
        venue.watch([BTC, InstrumentId("ETHUSDT.spot")])
        with pytest.raises(VenueError, match="HTTP 500"):
            await venue.fills(0)


# --- opening and settings --------------------------------------------------------------------


async def test_a_dry_run_has_no_order_entry() -> None:
    """Not even a key is held."""
    async with open_spot(SPOT, BinanceSpotSettings(), environment()) as market:
        assert not hasattr(market, "submit")
    async with open_spot(SPOT, LIVE, environment()) as venue:
        assert isinstance(venue, BinanceSpotVenue)
    with pytest.raises(VenueDown, match="closed"):
        venue.cancel(spec(client_order_id=ClientOrderId("a")))


def test_the_testnet_has_urls_of_its_own() -> None:
    """And what is given wins."""
    live, testnet = BinanceSpotSettings(), BinanceSpotSettings(testnet=True)
    assert live.rest_url == "https://api.binance.com"
    assert live.ws_api == "wss://ws-api.binance.com:443/ws-api/v3"
    assert testnet.rest_url == "https://testnet.binance.vision"
    assert testnet.ws_url == "wss://stream.testnet.binance.vision:9443"
    assert testnet.ws_api == "wss://ws-api.testnet.binance.vision:443/ws-api/v3"
    own = BinanceSpotSettings(testnet=True, ws_api_url="ws://127.0.0.1:80/", rest_url="http://a")
    assert own.ws_api == "ws://127.0.0.1:80/ws-api/v3"
    assert own.rest_url == "http://a"
    assert own.ws_url == testnet.ws_url


KEYS: dict[str, Any] = {"api_key": Secret("k"), "api_secret": Secret("s")}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dead_mans_switch_secs": 30}, "dead_mans_switch_secs: must be 0"),
        ({"recv_window_ms": 60_001}, "recv_window_ms: must be"),
        ({"ws_api_url": "http://a"}, "ws_api_url: must be wss"),
        (
            {"live": True, "api_key": Secret("k"), "api_secret": Secret("-----BEGIN X")},
            "api_secret",
        ),
        ({"live": True, **KEYS, "rest_url": "http://127.0.0.1:1"}, "ws_api_url: missing"),
        ({"live": True, **KEYS, "ws_api_url": "ws://127.0.0.1:1"}, "rest_url: missing"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], said: str) -> None:
    """Each names its key, and none a secret."""
    with pytest.raises(ConfigError, match=said):
        BinanceSpotSettings(**settings)


def test_another_host_of_binance_is_no_other_place() -> None:
    """`api1.binance.com` takes orders of the same account."""
    BinanceSpotSettings(live=True, **KEYS, rest_url="https://api1.binance.com")
    assert "***" in repr(LIVE)
    assert "the-secret" not in repr(LIVE)


async def test_who_reconciles_by_hand_tells_it_where_to_look(tmp_path: Path) -> None:
    """No strategy runs then, and nobody asks for the rules of instruments."""
    watched: list[InstrumentId] = []

    class BySymbol:
        def watch(self, instruments: Collection[InstrumentId]) -> None:
            watched.extend(instruments)

    @asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[BySymbol]:
        yield BySymbol()

    strategy = {"name": "s", "class": "m:S", "instruments": ["BTCUSDT.spot", "ETHUSDT.other"]}
    table = {
        "runtime": {"data_dir": str(tmp_path)},
        "venues": {"spot": {"kind": "x"}, "other": {"kind": "x"}},
        "strategies": [strategy],
    }
    plugin = VenuePlugin(attrs.make_class("Nothing", [], frozen=True), opened, True, False)
    opening = open_trading_venues(
        Settings.from_mapping(table), {"x": plugin}, lambda _: environment(), TradingState()
    )
    async with opening:
        assert watched == [BTC, "ETHUSDT.other"]
