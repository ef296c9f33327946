"""Trading on Binance USD-M Futures over real sockets, against the local exchange."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import attrs
import httpx
import msgspec
import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.exchange_world import KEY, SECRET, World
from tests.recorded import recorded
from tests.replay_world import Sink
from tests.test_binance_usdm_market import FAST, FOUR, json_values
from tests.usdm_world import (
    PATIENCE_SECS,
    Events,
    connected,
    environment,
    exchange,
    settings_of,
    venue,
)
from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.exchange.faces.binance_usdm import KIND, endpoints, face
from trade_runtime.exchange.record import Record
from trade_runtime.exchange.server import serve_exchange
from trade_runtime.exchange.settings import ExchangeSettings
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
)
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, StrategyName, VenueName
from trade_runtime.model.orders import (
    OrderReport,
    OrderSpec,
    OrderType,
    ReportStatus,
    Side,
    TimeInForce,
)
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import CancelsAll, DeadMansSwitch, TellsPositions
from trade_runtime.venues.binance_usdm import BinanceUsdmSettings, plugin, private
from trade_runtime.venues.binance_usdm.account import UsdmAccount
from trade_runtime.venues.binance_usdm.market import UsdmMarket
from trade_runtime.venues.binance_usdm.twins import Twins
from trade_runtime.venues.binance_usdm.venue import BinanceUsdm

FIELDS = [
    *("symbol", "orderId", "clientOrderId", "side", "type", "status", "origQty", "executedQty"),
    *("algoId", "clientAlgoId", "algoStatus", "orderType", "quantity", "actualOrderId", "price"),
    *("id", "qty", "commission", "commissionAsset", "time", "asset", "balance", "positionAmt"),
    *("positionSide", "dualSidePosition", "triggerPrice", "actualQty", "updateTime"),
]
VALUES = ["1", "0.5", "BUY", "NEW", "FILLED", "FINISHED", "BOTH", "NaN", "1e99999", "-1"]

BTC = InstrumentId("BTCUSDT.usdm")
ETH = InstrumentId("ETHUSDT.usdm")


def spec(name: str, kind: OrderType = OrderType.LIMIT, **changed: Any) -> OrderSpec:
    order = OrderSpec(ClientOrderId(name), StrategyName("s"), BTC, Side.BUY, kind, Decimal("0.01"))
    return replace(order, **changed)


async def price_of(world: World) -> Decimal:
    """Let the market stand at a round price, and return it."""
    await world.market(symbol="BTCUSDT", price="50000")
    await trio.sleep(0.25)
    return Decimal(50_000)


async def ask(condition: Callable[[], Any]) -> None:
    with trio.fail_after(PATIENCE_SECS):
        while not condition():  # noqa: ASYNC110 - what is looked at tells nobody that it moved
            await trio.sleep(0.01)


async def test_an_entry_is_placed_filled_and_counted() -> None:
    """The fill comes once by its trade id, over the stream and over REST alike."""
    async with exchange() as world, connected(world) as (usdm, events):
        await price_of(world)
        usdm.submit(spec("buy-1", OrderType.MARKET))
        await events.until(lambda: any(isinstance(one, OrderClosed) for one in events.of("buy-1")))
        kinds = {type(one) for one in events.of("buy-1")}
        assert {OrderAccepted, OrderClosed} <= kinds
        await events.until(lambda: any(isinstance(one, Fill) for one in events.of("buy-1")))
        told = {one.trade_id: one for one in events.of("buy-1") if isinstance(one, Fill)}
        assert sum(one.quantity for one in told.values()) == Decimal("0.01")
        assert {one.fee_currency for one in told.values()} == {"USDT"}
        asked = {one.trade_id: one for one in await usdm.fills(0)}
        assert asked == told
        assert await usdm.positions() == {BTC: Decimal("0.01")}
        assert (await usdm.balances())[Currency("USDT")] < 1_000_000
        report = await usdm.order(spec("buy-1", OrderType.MARKET))
        assert report is not None
        assert (report.status, report.filled) == (ReportStatus.FILLED, Decimal("0.01"))


async def test_a_resting_order_is_changed_and_cancelled() -> None:
    """And is found meanwhile by a query, and among the open ones."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        rest = spec("rest-1", price=price - 1000)
        usdm.submit(rest)
        await events.until(lambda: bool(events.of("rest-1")))
        (report,) = await usdm.open_orders()
        assert (report.client_order_id, report.price) == ("rest-1", price - 1000)
        usdm.amend(report, quantity=Decimal("0.02"), price=price - 900, trigger_price=None)
        amended = (Decimal("0.02"), price - 900)
        await events.until(
            lambda: any(
                isinstance(one, OrderAmended) and (one.quantity, one.price) == amended
                for one in events.all
            )
        )
        usdm.cancel(rest)
        await events.until(lambda: any(isinstance(one, OrderClosed) for one in events.all))
        assert await usdm.open_orders() == []
        usdm.cancel(rest)
        await events.until(lambda: any(isinstance(one, CancelRejected) for one in events.all))
        assert await usdm.order(spec("never")) is None
        assert await usdm.order(spec("never", OrderType.STOP_MARKET)) is None


async def test_a_stop_that_triggers_stays_one_order() -> None:
    """Its fill and its end carry our name, though Binance gives them another."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        usdm.submit(spec("entry", OrderType.MARKET))
        await events.until(lambda: any(isinstance(one, OrderClosed) for one in events.all))
        stop = spec(
            "stop-1",
            OrderType.STOP_MARKET,
            side=Side.SELL,
            trigger_price=price - 500,
            reduce_only=True,
            protective=True,
        )
        usdm.submit(stop)
        await events.until(lambda: bool(events.of("stop-1")))
        report = await usdm.order(stop)
        assert report is not None
        assert (report.status, report.trigger_price) == (ReportStatus.OPEN, price - 500)
        await world.market(symbol="BTCUSDT", price=str(price - 600))
        await events.until(
            lambda: {Fill, OrderClosed} <= {type(one) for one in events.of("stop-1")}
        )
        assert not [one for one in events.all if one.client_order_id.startswith("triggered")]
        fills = {one.trade_id: one for one in events.of("stop-1") if isinstance(one, Fill)}
        report = await usdm.order(stop)
        assert report is not None
        assert (report.status, report.filled) == (ReportStatus.FILLED, Decimal("0.01"))
        assert await usdm.positions() == {}
        async with venue(world) as reborn:  # knows nothing of what was
            again = await reborn.fills(0)
            assert {one.trade_id for one in again if one.client_order_id == "stop-1"} == set(fills)
            report = await reborn.order(stop)
            assert report is not None
            assert (report.client_order_id, report.filled) == ("stop-1", Decimal("0.01"))


async def test_a_stop_limit_that_rests_after_its_trigger_is_cancelled_as_what_it_became() -> None:
    """Also by one that has just been started, and knows no second id."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        for number in (1, 2):
            stop = spec(
                f"stop-{number}",
                OrderType.STOP_LIMIT,
                trigger_price=price + 200,
                price=price + 210,
                quantity=Decimal("0.01"),
            )
            usdm.submit(stop)
        await events.until(lambda: bool(events.of("stop-1") and events.of("stop-2")))
        await world.market(symbol="BTCUSDT", price=str(price + 300))
        await ask(lambda: len(world.lines("trigger")) == 2)
        (one, two) = await usdm.open_orders()
        assert {one.client_order_id, two.client_order_id} == {"stop-1", "stop-2"}
        assert one.type is OrderType.STOP_LIMIT
        usdm.cancel(one)
        await events.until(
            lambda: any(isinstance(e, OrderClosed) for e in events.of(one.client_order_id))
        )
        async with connected(world) as (reborn, heard):
            (left,) = await reborn.open_orders()
            assert left.client_order_id == two.client_order_id
            reborn.cancel(left)
            await heard.until(lambda: any(isinstance(e, OrderClosed) for e in heard.all))
            assert await reborn.open_orders() == []


async def test_a_stop_is_cancelled_before_it_triggers() -> None:
    """Over the Algo service."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        stop = spec("stop-1", OrderType.TAKE_PROFIT, trigger_price=price - 500)
        usdm.submit(stop)
        await events.until(lambda: bool(events.of("stop-1")))
        usdm.amend(stop, quantity=Decimal(1), price=None, trigger_price=price - 600)
        await events.until(lambda: any(isinstance(one, AmendRejected) for one in events.all))
        usdm.cancel(stop)
        await events.until(lambda: any(isinstance(one, OrderClosed) for one in events.all))
        report = await usdm.order(stop)
        assert report is not None
        assert report.status is ReportStatus.CANCELLED


async def test_everything_of_a_contract_is_cancelled_and_nothing_else() -> None:
    """Both services, by two requests."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        usdm.submit(spec("a", price=price - 1000))
        usdm.submit(spec("b", OrderType.STOP_MARKET, trigger_price=price + 500))
        other = spec("c", instrument=ETH, price=Decimal(2400))
        assert isinstance(usdm, CancelsAll)
        await world.market(symbol="ETHUSDT", price="2500")
        await trio.sleep(0.25)
        usdm.submit(other)
        await events.until(lambda: all(events.of(name) for name in "abc"))
        usdm.cancel_all(spec("a"))
        await events.until(
            lambda: (
                {one.client_order_id for one in events.all if isinstance(one, OrderClosed)}
                == {"a", "b"}
            )
        )
        (left,) = await usdm.open_orders()
        assert left.client_order_id == "c"


async def test_what_binance_refuses_is_rejected_with_its_reason() -> None:
    """Off the tick, too small, post-only that would take, margin that is not there, and more."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        for name, order in (
            ("tick", spec("tick", price=price + Decimal("0.001"))),
            ("small", spec("small", price=price - 2000, quantity=Decimal("0.0001"))),
            ("taker", spec("taker", price=price + 1000, post_only=True)),
            ("margin", spec("margin", price=price, quantity=Decimal(900))),
            ("late", spec("late", OrderType.STOP_MARKET, trigger_price=price - 500)),
            ("date", spec("date", price=price, tif=TimeInForce.GTD, expire_ns=10**18)),
        ):
            usdm.submit(order)
            await events.until(lambda name=name: bool(events.of(name)))  # type: ignore[misc]
            (told,) = events.of(name)
            assert isinstance(told, OrderRejected), name
            assert "-" in told.reason


@pytest.mark.parametrize(
    "fault", ["drop_after_accept", "error_after_accept", "error_before_accept"]
)
async def test_an_ambiguous_answer_is_no_refusal(fault: str) -> None:
    """The order may be there: the answer tells nothing, and a query tells all."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        for order in (
            spec("a", price=price - 1000),
            spec("b", OrderType.STOP_MARKET, trigger_price=price + 500),
        ):
            await world.heal()
            await world.fault(f"{fault}:count=1,on=order")
            usdm.submit(order)
            await ask(lambda: usdm.sender.unknown)
            usdm.sender.unknown = 0
            assert not [one for one in events.all if isinstance(one, OrderRejected)]
            report = await usdm.order(order)
            assert (report is None) == ("before" in fault)
            assert len(world.lines("submit")) <= 2


async def test_a_cancel_whose_answer_is_lost_is_told_by_the_stream() -> None:
    """And the order is gone when it is asked after."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        order = spec("a", price=price - 1000)
        usdm.submit(order)
        await events.until(lambda: bool(events.of("a")))
        await world.fault("drop_after_accept:count=1,on=cancel")
        usdm.cancel(order)
        await events.until(lambda: any(isinstance(one, OrderClosed) for one in events.all))
        report = await usdm.order(order)
        assert report is not None
        assert report.status is ReportStatus.CANCELLED


async def test_a_new_order_whose_id_is_taken_is_asked_after_and_never_refused() -> None:
    """Something of that name rests: to call it refused would leave it alone."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        usdm.submit(spec("a", price=price - 1000))
        await events.until(lambda: bool(events.of("a")))
        usdm.submit(spec("a", price=price - 1000))
        await ask(lambda: usdm.sender.unknown == 1)
        assert not [one for one in events.all if isinstance(one, OrderRejected)]


async def test_doubled_and_reordered_events_tell_the_same_story() -> None:
    """Each fill is one by its trade id, and all of them are the stop's."""
    async with (
        exchange("duplicate_events:p=0.5", "reorder_events:p=0.5") as world,
        connected(world) as (usdm, events),
    ):
        price = await price_of(world)
        usdm.submit(spec("entry", OrderType.MARKET))
        await events.until(lambda: any(isinstance(one, Fill) for one in events.of("entry")))
        stop = spec("stop-1", OrderType.STOP_MARKET, side=Side.SELL, trigger_price=price - 500)
        usdm.submit(stop)
        await events.until(lambda: bool(events.of("stop-1")))
        await world.market(symbol="BTCUSDT", price=str(price - 600))
        await events.until(lambda: any(isinstance(one, Fill) for one in events.of("stop-1")))
        await trio.sleep(0.5)
        fills = {one.trade_id: one.quantity for one in events.of("stop-1") if isinstance(one, Fill)}
        assert sum(fills.values()) == Decimal("0.01")


async def run_to_its_end(usdm: BinanceUsdm, events: Events) -> VenueError:
    with trio.fail_after(PATIENCE_SECS), pytest.raises(VenueError) as caught:
        await usdm.run(events, lambda: None)
    return caught.value


async def test_a_cut_stream_is_down_for_new_orders_and_open_for_cancels() -> None:
    """What was missed is asked for; the next run hears again."""
    async with exchange() as world, venue(world) as usdm:
        price = await price_of(world)
        events = Events()
        async with trio.open_nursery() as nursery:
            up = trio.Event()

            async def life() -> None:
                error = await run_to_its_end_after(up)
                assert "lost" in str(error) or "closed" in str(error)

            async def run_to_its_end_after(told: trio.Event) -> VenueError:
                with pytest.raises(VenueError) as caught:
                    await usdm.run(events, told.set)
                return caught.value

            nursery.start_soon(life)
            await up.wait()
            usdm.submit(spec("a", price=price - 1000))
            await events.until(lambda: bool(events.of("a")))
            await world.fault("cut_sockets")
        with pytest.raises(VenueDown):
            usdm.submit(spec("b", price=price - 1000))
        (left,) = await usdm.open_orders()
        usdm.cancel(left)
        await events.until(lambda: any(isinstance(one, OrderClosed) for one in events.all))
        assert await usdm.open_orders() == []


async def test_a_silent_stream_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a ping that nobody answers."""
    monkeypatch.setattr(private, "PING_SECS", 0.1)
    monkeypatch.setattr(private, "PONG_SECS", 0.2)
    async with exchange("silent_socket:after=0.3") as world, venue(world) as usdm:
        error = await run_to_its_end(usdm, Events())
        assert "silent" in str(error)


async def test_an_expired_listen_key_ends_the_stream_and_a_refreshed_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It lives for an hour after each refresh; here for less than a second."""
    async with exchange(options={"listen_key_secs": "0.6"}) as world, venue(world) as usdm:
        error = await run_to_its_end(usdm, Events())
        assert "listenKeyExpired" in str(error)
        monkeypatch.setattr(private, "KEEP_ALIVE_SECS", 0.2)
        with trio.move_on_after(1.5) as alive:
            await usdm.run(Events(), lambda: None)
        assert alive.cancelled_caught


async def test_hedge_mode_is_refused_in_a_sentence() -> None:
    """Positions would mean something else."""
    async with exchange(options={"hedge_mode": "true"}) as world, venue(world) as usdm:
        error = await run_to_its_end(usdm, Events())
        assert "one-way mode" in str(error)


async def test_the_switch_fires_after_silence_and_takes_every_order() -> None:
    """A client that is frozen refreshes nothing; what is open is gone within the countdown."""
    async with exchange() as world, connected(world, dead_mans_switch_secs=5) as (usdm, events):
        assert isinstance(usdm, DeadMansSwitch)
        assert usdm.switch_secs == 5.0
        price = await price_of(world)
        await usdm.arm()
        assert set((await world.state())["switches"]) == {"BTCUSDT", "ETHUSDT"}
        await usdm.disarm()
        assert (await world.state())["switches"] == {}
        usdm.submit(spec("a", price=price - 1000))
        usdm.submit(spec("b", OrderType.STOP_MARKET, trigger_price=price + 500))
        await events.until(lambda: bool(events.of("a") and events.of("b")))
        await usdm.arm()
        with trio.fail_after(PATIENCE_SECS):
            await events.until(
                lambda: len([one for one in events.all if isinstance(one, OrderClosed)]) >= 2
            )
        assert len(world.lines("switch_fired")) >= 1
        assert await usdm.open_orders() == []


async def test_a_wrong_key_and_a_wrong_clock() -> None:
    """The key is a sentence of Binance's; the clock is asked for, and asked for again."""
    async with exchange() as world:
        async with connected(world) as (usdm, _):
            await world.fault("clock_skew:60000")
            await trio.sleep(0.1)
            with pytest.raises(VenueError, match="-1021"):
                await usdm.balances()
            assert await usdm.balances()
        settings = settings_of(world, api_secret=Secret(KEY))
        async with plugin.open(VenueName("usdm"), settings, environment()) as opened:
            assert isinstance(opened, BinanceUsdm)
            with pytest.raises(VenueError, match="-1022") as caught:
                await opened.balances()
            assert KEY not in str(caught.value)
            assert SECRET not in str(caught.value)


async def test_requests_of_a_stop_keep_to_the_limits() -> None:
    """Forty cancels in a row are within what Binance allows, and none is refused."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        for number in range(40):
            usdm.submit(spec(f"o-{number}", price=price - 1000 - number))
        await events.until(lambda: len({one.client_order_id for one in events.all}) == 40)
        for number in range(40):
            usdm.cancel(spec(f"o-{number}"))
        await events.until(
            lambda: (
                len({one.client_order_id for one in events.all if isinstance(one, OrderClosed)})
                == 40
            )
        )
        assert usdm.sender.refused == 0
        assert await usdm.open_orders() == []


async def test_looking_at_open_orders_again_and_again_costs_little() -> None:
    """A stop does so several times a second, and the whole account takes forty times the weight."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        usdm.submit(spec("a", price=price - 1000))
        usdm.submit(spec("b", OrderType.STOP_MARKET, trigger_price=price + 500))
        await events.until(lambda: bool(events.of("a") and events.of("b")))
        for _ in range(20):
            assert {one.client_order_id for one in await usdm.open_orders()} == {"a", "b"}
        weight = sum(
            spent
            for name, spent in usdm.sender._budget.spent.items()
            if name.startswith("REQUEST_WEIGHT")
        )
        assert weight < 250


async def test_market_data_comes_on_both_routes() -> None:
    """Quotes and books on one, trades on the other; the book agrees with every quote."""
    async with exchange(volatility_bps=20.0, quotes_per_sec=50.0) as world:
        settings = BinanceUsdmSettings(
            rest_url=f"http://127.0.0.1:{world.port}", ws_url=f"ws://127.0.0.1:{world.port}"
        )
        async with plugin.open(VenueName("usdm"), settings, environment()) as opened:
            assert type(opened) is UsdmMarket
            found = await opened.instruments(["BTCUSDT", "NONEUSDT"])
            assert list(found) == ["BTCUSDT"]
            assert found["BTCUSDT"].kind == "linear"
            sink = Sink()
            symbols = {"BTCUSDT": found["BTCUSDT"].id}
            async with opened.connect(symbols, sink) as session, trio.open_nursery() as nursery:
                nursery.start_soon(session.run)
                with trio.fail_after(PATIENCE_SECS):
                    while not (len(sink.changes) > 3 and sink.trades and len(sink.quotes) > 20):
                        await sink.moved.wait()
                    await session.ping()
                nursery.cancel_scope.cancel()
            assert sink.lost == []
            assert sink.bad_books == 0
            await opened.poll(symbols, sink)
            await opened.bars(symbols, 60, 3)


async def test_a_cut_of_either_route_ends_the_session() -> None:
    """Both are opened anew together."""
    async with (
        exchange() as world,
        venue(world) as usdm,
        usdm.connect({"BTCUSDT": BTC}, Sink()) as session,
    ):
        await world.fault("cut_sockets:after=0.2")
        with trio.fail_after(PATIENCE_SECS), pytest.raises(VenueError):
            await session.run()


async def test_the_venue_says_what_it_is() -> None:
    """Capabilities, and the protocols beside the venue's own."""
    async with exchange() as world, venue(world) as usdm:
        assert isinstance(usdm, TellsPositions)
        holds = usdm.capabilities
        assert OrderType.TRAILING_STOP not in holds.types
        assert OrderType.STOP_MARKET in holds.types
        assert (holds.reduce_only, holds.oco, holds.max_stops) == (True, False, 10)
        assert holds.amends(OrderType.LIMIT)
        assert not holds.amends(OrderType.STOP_MARKET)
        assert usdm.settle_secs > 5
        assert isinstance(spec("x"), OrderSpec)
        assert await usdm.open_orders() == list[OrderReport]()


@pytest.mark.recorded
@pytest.mark.parametrize("symbol", ["ETHUSDT", "SUSHIUSDT"])
async def test_recordings_come_through_the_wire_whole(symbol: str) -> None:
    """Played by the exchange, heard by the adapter: no gap, and no book that is wrong."""
    path = recorded(FAST if symbol == "ETHUSDT" else FOUR)
    settings = ExchangeSettings(api_key=KEY, api_secret=SECRET, recording=path, symbols=(symbol,))
    clock = SystemClock()
    log = structlog.get_logger("test")
    async with trio.open_nursery() as nursery:
        start = partial(
            serve_exchange, KIND, settings, clock=clock, record=Record(None, clock), log=log
        )
        port = await nursery.start(start)
        given = BinanceUsdmSettings(
            rest_url=f"http://127.0.0.1:{port}", ws_url=f"ws://127.0.0.1:{port}"
        )
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{port}/fapi/v1/depth?symbol={symbol}"
            with trio.fail_after(PATIENCE_SECS):
                # The recording's own snapshot comes a moment later.
                while not (await client.get(url)).json()["bids"]:  # noqa: ASYNC110
                    await trio.sleep(0.1)
        sink, name = Sink(), VenueName("usdm")
        async with (
            plugin.open(name, given, environment()) as opened,
            opened.connect({symbol: InstrumentId(f"{symbol}.usdm")}, sink) as session,
            trio.open_nursery() as hearing,
        ):
            hearing.start_soon(session.run)
            with trio.fail_after(PATIENCE_SECS):
                while len(sink.changes) < 20:
                    await sink.moved.wait()
            assert sink.lost == []
            assert sink.bad_books == 0
            hearing.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def test_an_amend_and_a_cancel_of_all_without_an_answer_are_no_refusals() -> None:
    """The stream and a query tell what came of them."""
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        order = spec("a", price=price - 1000)
        usdm.submit(order)
        await events.until(lambda: bool(events.of("a")))
        await world.fault("error_after_accept:on=amend+cancel")
        usdm.amend(order, quantity=Decimal("0.02"), price=price - 900, trigger_price=None)
        await events.until(lambda: any(isinstance(one, OrderAmended) for one in events.all))
        usdm.cancel_all(order)
        await events.until(lambda: any(isinstance(one, OrderClosed) for one in events.all))
        await ask(lambda: usdm.sender.unknown == 2)
        assert not [one for one in events.all if isinstance(one, AmendRejected | CancelRejected)]


async def test_orders_keep_to_the_limits_that_binance_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has no room within a second never leaves; cancels and stop-losses always have room."""
    narrow = tuple(
        attrs.evolve(one, limit=12) if one.secs == 10 else one for one in endpoints.WINDOWS
    )
    monkeypatch.setattr(endpoints, "WINDOWS", narrow)
    monkeypatch.setattr(face, "WINDOWS", narrow)
    async with exchange() as world, connected(world) as (usdm, events):
        price = await price_of(world)
        for number in range(20):
            usdm.submit(spec(f"o-{number}", price=price - 1000))
        await events.until(lambda: len({one.client_order_id for one in events.all}) == 20)
        refused = [one for one in events.all if isinstance(one, OrderRejected)]
        assert {"not sent: no room within 1 s"} == {one.reason for one in refused}
        assert 8 <= len(refused) < 20
        stop = spec("stop", OrderType.STOP_MARKET, trigger_price=price + 500, protective=True)
        usdm.submit(stop)
        await events.until(lambda: any(isinstance(e, OrderAccepted) for e in events.of("stop")))
        assert not [row for row in world.lines("answer") if row["status"] == 429]


class Says:
    """A REST API that answers everything with the same."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def send(self, *_: object, **__: object) -> bytes:
        return self._body

    async def now_ms(self) -> int:
        return 10**12


@given(
    st.binary(max_size=60)
    | st.lists(st.dictionaries(st.sampled_from(FIELDS), json_values | st.sampled_from(VALUES))).map(
        msgspec.json.encode
    )
    | st.dictionaries(st.sampled_from(FIELDS), json_values | st.sampled_from(VALUES)).map(
        msgspec.json.encode
    )
)
def test_no_answer_to_a_question_does_more_than_raise_a_venue_error(body: bytes) -> None:
    """Whatever comes, nothing foreign leaks, and no number is told that is none."""

    async def main() -> None:
        said: Any = Says(body)
        account = UsdmAccount(said, Twins(), VenueName("usdm"), lambda: {"BTCUSDT"})
        questions: list[Callable[[], Any]] = [
            account.open_orders,
            account.balances,
            account.positions,
            account.check_one_way,
            lambda: account.fills(0),
            lambda: account.order(spec("a")),
            lambda: account.order(spec("a", OrderType.STOP_MARKET)),
        ]
        for question in questions:
            with contextlib.suppress(VenueError):
                await question()

    trio.run(main)
