"""The Kraken adapter on a local exchange that speaks Kraken's wire, over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.kraken_world import BTC, PATIENCE_SECS, SECRET, Events
from tests.paper_world import Notes, environment
from tests.replay_world import Sink
from tests.support.alongside import alongside
from trade_runtime.errors import ConfigError, VenueDown, VenueError, VenueRefused
from trade_runtime.exchange.faces import kind_of
from trade_runtime.exchange.record import Record
from trade_runtime.exchange.server import serve_exchange
from trade_runtime.exchange.settings import ExchangeSettings
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.model.events import (
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, Currency, StrategyName, VenueName
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.model.secret import Secret
from trade_runtime.venues.kraken_spot import KrakenSpotSettings
from trade_runtime.venues.kraken_spot import private as private_module
from trade_runtime.venues.kraken_spot.venue import KrakenSpot, open_venue

SYMBOLS = {"BTC/USD": BTC}
MARK = Decimal(60_000)


class World:
    """A local exchange, and the adapter on it."""

    def __init__(self, port: int, record: Path) -> None:
        self.port = port
        self.events = Events()
        self.failures: list[VenueError] = []
        self.reconnects = True
        self._record = record
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    @asynccontextmanager
    async def venue(self, **settings: Any) -> AsyncIterator[KrakenSpot]:
        given: dict[str, Any] = {
            "rest_url": f"http://127.0.0.1:{self.port}",
            "ws_url": f"ws://127.0.0.1:{self.port}",
            "ws_private_url": f"ws://127.0.0.1:{self.port}",
            "api_key": Secret("key"),
            "api_secret": Secret(SECRET),
            "tier": "pro",
        } | settings
        env = environment(SystemClock())
        options = KrakenSpotSettings(**given)
        async with (
            open_venue(VenueName("kraken"), options, env) as venue,
            alongside(venue.serve),
        ):
            yield venue

    @asynccontextmanager
    async def trading(self, **settings: Any) -> AsyncIterator[KrakenSpot]:
        """The adapter with its private connection held, and opened again as often as it ends."""
        async with self.venue(**settings) as venue, trio.open_nursery() as nursery:
            nursery.start_soon(self._hold, venue)
            await self.events.until(lambda: self.events.connects)
            yield venue
            nursery.cancel_scope.cancel()

    async def _hold(self, venue: KrakenSpot) -> None:
        while True:
            try:
                await venue.run(self.events, self.events.connected)
            except VenueError as error:
                self.failures.append(error)
                self.events._move()
            if not self.reconnects:
                return
            await trio.sleep(0.2)  # the counter of REST allows no more for long

    async def fault(self, fault: str) -> None:
        answer = await self._http.post("/_control/faults", json={"fault": fault})
        assert answer.status_code == 200, answer.text

    async def clear(self) -> None:
        await self._http.delete("/_control/faults")

    async def move(self, price: Decimal) -> None:
        body = {"symbol": "BTC/USD", "price": str(price)}
        answer = await self._http.post("/_control/market", json=body)
        assert answer.status_code == 200, answer.text

    async def state(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._http.get("/_control/state")).json()
        return found

    def record(self, *events: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._record.read_text().splitlines()]
        return [line for line in lines if line["event"] in events]

    def of(self, kind: type[VenueEvent], name: str = "") -> list[Any]:
        """What was told of an order."""
        return [
            event
            for event in self.events.all
            if isinstance(event, kind) and (not name or event.client_order_id == name)
        ]


@asynccontextmanager
async def exchange(path: Path, **settings: Any) -> AsyncIterator[World]:
    clock = SystemClock()
    record_path = path / "exchange.jsonl"
    options = {"symbols": ("BTC/USD", "ETH/USD"), **settings}
    given = ExchangeSettings(api_key="key", api_secret=SECRET, **options)
    with record_path.open("wb", buffering=0) as file:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(
                partial(
                    serve_exchange,
                    kind_of("kraken"),
                    given,
                    clock=clock,
                    record=Record(file, clock),
                    log=Notes(),
                )
            )
            world = World(port, record_path)
            async with world._http:
                await world.move(MARK)
                await world._http.post("/_control/market", json={"paused": True})
                yield world
            nursery.cancel_scope.cancel()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with exchange(tmp_path) as made:
        yield made


def spec(name: str, **fields: Any) -> OrderSpec:
    given: dict[str, Any] = {
        "client_order_id": ClientOrderId(name),
        "strategy": StrategyName("test"),
        "instrument": BTC,
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": Decimal("0.01"),
        "price": Decimal("50000.00"),
    } | fields
    return OrderSpec(**given)


async def eventually(condition: Callable[[], Any]) -> None:
    with trio.fail_after(PATIENCE_SECS):
        while not condition():  # noqa: ASYNC110 - what it looks at tells nobody
            await trio.sleep(0.01)


# --- market data


async def test_books_of_a_moving_market_have_their_checksums(tmp_path: Path) -> None:
    """Quotes, trades and books, at two depths, with never a loss."""
    async with exchange(tmp_path, quotes_per_sec=50.0) as world:
        await world._http.post("/_control/market", json={"paused": False})
        for depth in (10, 25):
            sink = Sink()
            async with world.venue(book_depth=depth) as venue, trio.open_nursery() as nursery:
                found = await venue.instruments(["BTC/USD"])
                assert found["BTC/USD"].lot == Decimal("1E-8")
                async with venue.connect(SYMBOLS, sink) as session:
                    nursery.start_soon(session.run)
                    with trio.fail_after(PATIENCE_SECS):
                        while len(sink.changes) < 30 or not sink.quotes:
                            await sink.moved.wait()
                        await session.ping()
                    nursery.cancel_scope.cancel()
            assert (len(sink.snapshots), sink.lost, sink.bad_books) == (1, [], 0)
            assert len(sink.books[BTC].bids(99)) <= depth


async def test_polls_and_bars(tmp_path: Path) -> None:
    """Over REST, in Kraken's own shapes."""
    async with exchange(tmp_path, quotes_per_sec=50.0) as world, world.venue() as venue:
        await world._http.post("/_control/market", json={"paused": False})
        await trio.sleep(0.3)
        sink = Sink()
        await venue.poll(SYMBOLS, sink)
        await venue.bars(SYMBOLS, 60, 5)
    assert sink.quotes[0].bid < sink.quotes[0].ask
    assert sink.trades


# --- orders


async def test_an_order_rests_is_amended_and_cancelled(world: World) -> None:
    """And is found at each step by its id."""
    order = spec("abc123-1")
    async with world.trading() as venue:
        venue.submit(order)
        await world.events.until(lambda: world.of(OrderAccepted))
        report = await venue.order(order)
        assert report is not None
        assert (report.status, report.price) == (ReportStatus.OPEN, Decimal(50_000))
        venue.amend(order, quantity=Decimal("0.02"), price=Decimal(51_000), trigger_price=None)
        await world.events.until(lambda: world.of(OrderAmended))
        (only,) = await venue.open_orders()
        assert (only.quantity, only.price) == (Decimal("0.02"), Decimal(51_000))
        venue.cancel(only)
        await world.events.until(lambda: world.of(OrderClosed))
        report = await venue.order(order)
        assert report is not None
        assert report.status is ReportStatus.CANCELLED
        assert await venue.order(spec("abc123-2")) is None
        venue.cancel(order)
        await world.events.until(lambda: world.of(CancelRejected))
    (closed,) = world.of(OrderClosed)
    assert (closed.status, closed.filled) == (ReportStatus.CANCELLED, Decimal(0))


async def test_a_market_order_fills_once_by_stream_and_rest(world: World) -> None:
    """The same trade ids, quantities, prices and fees both ways."""
    order = spec("abc123-3", type=OrderType.MARKET, price=None, tif=TimeInForce.IOC)
    async with world.trading() as venue:
        before = await venue.balances()
        venue.submit(order)
        await world.events.until(lambda: world.of(OrderClosed))
        fills = await venue.fills(0)
        after = await venue.balances()
    told = world.of(Fill)
    assert sum(fill.quantity for fill in told) == Decimal("0.01")
    (closed,) = world.of(OrderClosed)
    assert (closed.status, closed.filled) == (ReportStatus.FILLED, Decimal("0.01"))
    for mine, theirs in zip(told, fills, strict=True):
        assert mine.trade_id == theirs.trade_id
        assert (mine.quantity, mine.price) == (theirs.quantity, theirs.price)
        assert (mine.fee, mine.fee_currency) == (theirs.fee, theirs.fee_currency)
        assert mine.client_order_id == theirs.client_order_id == "abc123-3"
    btc = Currency("BTC")
    assert after[btc] - before[btc] == Decimal("0.01")


@pytest.mark.parametrize(
    ("fields", "wakes_at"),
    [
        (
            {"type": OrderType.STOP_MARKET, "price": None, "trigger_price": Decimal(59_000)},
            Decimal(58_900),
        ),
        (
            {
                "type": OrderType.STOP_LIMIT,
                "price": Decimal(58_000),
                "trigger_price": Decimal(59_000),
            },
            Decimal(58_900),
        ),
        (
            {"type": OrderType.TAKE_PROFIT, "price": None, "trigger_price": Decimal(61_000)},
            Decimal(61_100),
        ),
        (
            {
                "type": OrderType.TAKE_PROFIT_LIMIT,
                "price": Decimal(60_500),
                "trigger_price": Decimal(61_000),
            },
            Decimal(61_100),
        ),
        (
            {
                "type": OrderType.TRAILING_STOP,
                "price": None,
                "trigger_price": Decimal(59_000),
                "trail": Decimal(1_000),
            },
            Decimal(58_000),
        ),
    ],
)
async def test_stops_rest_at_the_exchange_and_wake(
    world: World, fields: dict[str, Any], wakes_at: Decimal
) -> None:
    """Each of its kind; it is reported as what was placed."""
    order = spec("abc123-4", side=Side.SELL, protective=True, **fields)
    async with world.trading() as venue:
        venue.submit(order)
        await world.events.until(lambda: world.of(OrderAccepted))
        (resting,) = await venue.open_orders()
        assert resting.type is order.type
        if order.type is not OrderType.TRAILING_STOP:
            assert resting.trigger_price == order.trigger_price
            assert resting.price == order.price
        await world.move(wakes_at)
        await world.events.until(lambda: world.of(OrderClosed))
    assert world.of(OrderClosed)[0].status is ReportStatus.FILLED


async def test_what_the_exchange_refuses(world: World) -> None:
    """Funds, a post-only that would take, a tick that is none: each in Kraken's words."""
    cases = {
        "abc123-5": (spec("abc123-5", quantity=Decimal(8_000)), "EOrder:Insufficient funds"),
        "abc123-6": (spec("abc123-6", price=Decimal(70_000), post_only=True), "EOrder:Post only"),
        "abc123-7": (spec("abc123-7", quantity=Decimal("0.00001")), "EOrder:Order minimum not met"),
        "abc123-8": (spec("abc123-8", price=Decimal("1.001")), "EGeneral:Invalid arguments:price"),
    }
    async with world.trading() as venue:
        for order, _ in cases.values():
            venue.submit(order)
        await world.events.until(lambda: len(world.of(OrderRejected)) == len(cases))
    for name, (_, reason) in cases.items():
        (rejected,) = world.of(OrderRejected, name)
        assert rejected.reason.startswith(reason)


async def test_all_of_one_instrument_are_cancelled_and_no_others(world: World) -> None:
    """What rests in another instrument stays."""
    other = BTC.replace("BTC", "ETH")
    async with world.trading() as venue:
        for number in range(3):
            venue.submit(spec(f"abc123-1{number}"))
        venue.submit(spec("abc123-20", instrument=other, price=Decimal(100), quantity=Decimal(1)))
        await world.events.until(lambda: len(world.of(OrderAccepted)) >= 4)
        venue.cancel_all(spec("abc123-10"))
        await world.events.until(lambda: len(world.of(OrderClosed)) == 3)
        (left,) = await venue.open_orders()
    assert left.client_order_id == "abc123-20"


async def test_orders_of_others_go_by_krakens_id(world: World) -> None:
    """They are seen, told and cancelled without harm to anything of ours."""
    async with world.trading() as venue:
        body = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": 40000, "volume": 1}
        await venue._rest.post("AddOrder", body, cost=0)
        await world.events.until(lambda: world.of(OrderAccepted))
        (foreign,) = await venue.open_orders()
        assert str(foreign.client_order_id) == foreign.venue_order_id
        assert await venue.order(foreign) == foreign
        venue.cancel(foreign)
        await world.events.until(lambda: world.of(OrderClosed, foreign.client_order_id))


async def test_the_rate_of_a_pair_is_learned(tmp_path: Path) -> None:
    """Too many orders are refused; cancels get through all the same."""
    async with exchange(tmp_path, options={"tier": "starter"}) as world:
        async with world.trading(tier="pro") as venue:
            for number in range(70):
                venue.submit(spec(f"abc123-{number}"))
            await world.events.until(
                lambda: len(world.of(OrderAccepted)) // 2 + len(world.of(OrderRejected)) >= 68
            )
            assert {r.reason for r in world.of(OrderRejected)} <= {
                "EOrder:Rate limit exceeded",
                "not sent: no room within 1 s",
            }
            assert world.of(OrderRejected)
            venue.cancel_all(spec("abc123-1"))
            await eventually(lambda: len(world.of(OrderClosed)) >= 55)
        assert (await world.state())["open_orders"] == []


# --- what goes wrong


@pytest.mark.parametrize(
    "fault", ["drop_after_accept:count=1", "error_after_accept:count=1", "slow_answers:600,count=1"]
)
async def test_an_ambiguous_order_is_neither_rejected_nor_sent_again(
    world: World, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests, was placed once, and is found by its id."""
    monkeypatch.setattr(private_module, "REPLY_SECS", 0.3)
    order = spec("abc123-1")
    async with world.trading() as venue:
        await world.fault(fault)
        venue.submit(order)
        await eventually(lambda: venue.sender.unknown == 1)
        report = await venue.order(order)
    assert report is not None
    assert report.status is ReportStatus.OPEN
    assert world.of(OrderRejected) == []
    assert len(world.record("accept")) == 1


async def test_an_error_before_the_order_leaves_it_unknown_too(world: World) -> None:
    """We cannot know that nothing was done; the query says that there is no such order."""
    order = spec("abc123-1")
    async with world.trading() as venue:
        await world.fault("error_before_accept:count=1")
        venue.submit(order)
        await eventually(lambda: venue.sender.unknown == 1)
        assert await venue.order(order) is None
    assert world.of(OrderRejected) == []


@pytest.mark.parametrize("fault", ["duplicate_events", "reorder_events", "delay_events:200"])
async def test_events_that_come_wrong_are_all_told(world: World, fault: str) -> None:
    """A gap or a repetition in their sequence ends the connection: then they are asked for."""
    async with world.trading() as venue:
        await world.fault(fault)
        order = spec("abc123-1", type=OrderType.MARKET, price=None, tif=TimeInForce.IOC)
        venue.submit(order)
        await world.events.until(lambda: world.of(OrderClosed) or world.failures)
        await world.clear()
        report = await venue.order(order)
        fills = await venue.fills(0)
    assert report is not None
    assert report.status is ReportStatus.FILLED
    assert sum(fill.quantity for fill in fills) == Decimal("0.01")


async def test_a_cut_is_followed_by_a_new_connection(world: World) -> None:
    """With a snapshot of what is open; cancels went through meanwhile."""
    order = spec("abc123-1")
    async with world.trading() as venue:
        venue.submit(order)
        await world.events.until(lambda: world.of(OrderAccepted))
        told = len(world.of(OrderAccepted))
        await world.fault("cut_sockets")
        await world.events.until(lambda: world.events.connects == 2)
        await world.events.until(lambda: len(world.of(OrderAccepted)) > told)
        world.reconnects = False
        await world.fault("cut_sockets")
        await world.events.until(lambda: len(world.failures) == 2)
        with pytest.raises(VenueDown):
            venue.submit(spec("abc123-2"))
        venue.cancel(order)
        await eventually(lambda: world.record("cancelled"))


async def test_silence_ends_the_private_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No heartbeat, no connection."""
    monkeypatch.setattr("trade_runtime.venues.kraken_spot.session.SILENT_SECS", 0.5)
    async with world.trading():
        await world.fault("silent_socket:for=1")
        await world.events.until(lambda: world.failures)
    assert "silent" in str(world.failures[0])


async def test_maintenance_is_no_refusal(world: World) -> None:
    """What is asked then is of unknown outcome, and trading goes on after it."""
    async with world.trading() as venue:
        await world.fault("maintenance:1")
        with pytest.raises(VenueError) as caught:
            await venue.balances()
        assert not isinstance(caught.value, VenueRefused)
        await world.events.until(lambda: world.events.connects == 2)
        assert await venue.balances()


async def test_a_clock_that_is_off_gets_nothing_refused(world: World) -> None:
    """The deadline goes by the exchange's clock."""
    await world.fault("clock_skew:-100000")
    async with world.trading() as venue:
        venue.submit(spec("abc123-1"))
        await world.events.until(lambda: world.of(OrderAccepted))
    assert world.of(OrderRejected) == []


async def test_nonces_grow_over_restarts_and_a_strange_one_is_refused(world: World) -> None:
    """A second program on the same key shows at once."""
    for _ in range(3):
        async with world.venue() as venue:
            await venue.balances()
    async with world.venue() as first, world.venue() as ahead:
        ahead._rest._nonces._last = 10**17
        await ahead.balances()
        with pytest.raises(VenueRefused, match="a key of its own"):
            await first.balances()


async def test_a_wrong_key_or_secret_is_refused(world: World) -> None:
    """In Kraken's words."""
    async with world.venue(api_key=Secret("other")) as venue:
        with pytest.raises(VenueRefused, match="EAPI:Invalid key"):
            await venue.balances()
    async with world.venue(api_secret=Secret("b3RoZXI=")) as venue:
        with pytest.raises(VenueRefused, match="EAPI:Invalid signature"):
            await venue.balances()


async def test_the_switch_fires_where_nobody_refreshes_it(world: World) -> None:
    """It takes every order of the account, stops too; disarmed it takes none."""
    stop = spec(
        "abc123-2",
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        price=None,
        trigger_price=Decimal(50_000),
    )
    async with world.trading(dead_mans_switch_secs=1) as venue:
        venue.submit(spec("abc123-1"))
        venue.submit(stop)
        await world.events.until(
            lambda: world.of(OrderAccepted, "abc123-1") and world.of(OrderAccepted, "abc123-2")
        )
        await venue.arm()
        await venue.disarm()
        await trio.sleep(1.2)
        assert world.of(OrderClosed) == []
        await venue.arm()
        await world.events.until(lambda: len(world.of(OrderClosed)) == 2)
    assert len(world.record("switch_fired")) == 1


def test_a_secret_that_is_no_base64_is_refused(tmp_path: Path) -> None:
    """The exchange says so at its start."""

    async def main() -> None:
        clock = SystemClock()
        given = ExchangeSettings(api_key="key", api_secret="plain text!")
        await serve_exchange(
            kind_of("kraken"), given, clock=clock, record=Record(None, clock), log=Notes()
        )

    with pytest.raises(ConfigError, match="base64"):
        trio.run(main)
