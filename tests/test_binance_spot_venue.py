"""The Binance Spot adapter on a local exchange that speaks its wire, over real sockets.

Each fault is one that the exchange commits on command, and what really happened is read from the
exchange's own record.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from structlog.testing import capture_logs

from tests.exchange_world import KEY, PATIENCE_SECS, SECRET, BinanceClient, World, exchange, now_ms
from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.model.events import (
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, StrategyName, VenueName
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import Environment
from trade_runtime.venues.binance_spot import BinanceSpotSettings, BinanceSpotVenue, open_spot

SPOT = VenueName("spot")
BTC = InstrumentId("BTCUSDT.spot")


class Sink:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[VenueEvent] = []

    def on_event(self, event: VenueEvent) -> None:
        self.events.append(event)

    def of(self, order: OrderSpec, *kinds: type) -> list[Any]:
        """What was told of an order, of these kinds or all."""
        own = [one for one in self.events if one.client_order_id == order.client_order_id]
        return [one for one in own if not kinds or isinstance(one, kinds)]


class Live:
    """A venue that trades on a local exchange, its private connection supervised."""

    def __init__(self, world: World, venue: BinanceSpotVenue) -> None:
        self.world = world
        self.venue = venue
        self.sink = Sink()
        self.connections = 0
        self.ends: list[str] = []
        self.price = Decimal(0)
        self._placed = 0

    async def supervise(self) -> None:
        def connected() -> None:
            self.connections += 1

        while True:
            try:
                await self.venue.run(self.sink, connected)
            except VenueError as error:
                self.ends.append(str(error))
                await trio.sleep(0.05)

    def spec(self, **changes: Any) -> OrderSpec:
        """A limit order far below the market, with some of it changed."""
        self._placed += 1
        fields: dict[str, Any] = {
            "client_order_id": ClientOrderId(f"abc123-{self._placed}"),
            "strategy": StrategyName("s"),
            "instrument": BTC,
            "side": Side.BUY,
            "type": OrderType.LIMIT,
            "quantity": Decimal("0.01"),
            "price": self.near("0.9"),
        }
        return OrderSpec(**{**fields, **changes})

    def near(self, factor: str) -> Decimal:
        """A price on the tick at so much of the market's."""
        return self.venue.known["BTCUSDT"].round_price(self.price * Decimal(factor), up=False)

    def place(self, **changes: Any) -> OrderSpec:
        order = self.spec(**changes)
        self.venue.submit(order)
        return order

    def market(self, side: Side, quantity: str) -> OrderSpec:
        how = {"type": OrderType.MARKET, "price": None, "side": side}
        return self.place(quantity=Decimal(quantity), **how)

    def stop(self, quantity: str = "0.01") -> OrderSpec:
        """A stop-loss of a long position, below the market."""
        how = {"type": OrderType.STOP_MARKET, "price": None, "side": Side.SELL}
        trigger = self.near("0.95")
        return self.place(quantity=Decimal(quantity), trigger_price=trigger, protective=True, **how)

    async def until(self, holds: Callable[[], object]) -> None:
        await self.world.until(lambda: bool(holds()))

    async def told(self, order: OrderSpec, *kinds: type) -> Any:
        """Wait until something of these kinds is told of an order; return the first."""
        await self.until(lambda: self.sink.of(order, *kinds))
        return self.sink.of(order, *kinds)[0]

    def accepted(self, order: OrderSpec) -> int:
        """How often the exchange itself took an order."""
        lines = self.world.lines("accept")
        return sum(line["client_id"] == order.client_order_id for line in lines)


@asynccontextmanager
async def live(*, secret: str = SECRET, private: bool = True, **how: Any) -> AsyncIterator[Live]:
    """Open a venue on an exchange of its own."""
    async with exchange(**how) as world:
        settings = BinanceSpotSettings(
            live=True,
            api_key=Secret(KEY),
            api_secret=Secret(secret),
            rest_url=world.url,
            ws_url=world.ws_url,
            ws_api_url=world.ws_url,
        )
        log = structlog.get_logger()
        env = Environment(SystemClock(), random.Random(0), Path("/nowhere"), log)
        async with open_spot(SPOT, settings, env) as venue, trio.open_nursery() as nursery:
            assert isinstance(venue, BinanceSpotVenue)
            nursery.start_soon(venue.serve)
            one = Live(world, venue)
            await venue.instruments(["BTCUSDT"])
            one.price = Decimal(str((await world.state())["quotes"]["BTCUSDT"]["bid"]))
            if private:
                nursery.start_soon(one.supervise)
                await one.until(lambda: one.connections)
            yield one
            nursery.cancel_scope.cancel()


async def test_an_order_lives_and_is_cancelled() -> None:
    """Accepted by the answer and by the stream, found by every question, ended by the cancel."""
    async with live() as one:
        order = one.place()
        await one.until(lambda: len(one.sink.of(order, OrderAccepted)) == 2)
        report = await one.venue.order(order)
        assert report is not None
        assert (report.status, report.quantity, report.price) == (
            ReportStatus.OPEN,
            order.quantity,
            order.price,
        )
        assert [report] == list(await one.venue.open_orders())
        one.venue.cancel(order)
        closed = await one.told(order, OrderClosed)
        assert closed.status is ReportStatus.CANCELLED
        assert not await one.venue.open_orders()
        one.venue.cancel(order)
        await one.told(order, CancelRejected)
        assert await one.venue.order(one.spec()) is None
        assert 1 == one.accepted(order)


async def test_a_fill_is_the_same_wherever_it_is_told() -> None:
    """By the answer, by the stream, and by the list of trades: one trade id, one fee."""
    async with live() as one:
        order = one.market(Side.BUY, "0.02")
        await one.until(lambda: len(one.sink.of(order, OrderClosed)) == 2)
        told = one.sink.of(order, Fill)
        asked = await one.venue.fills(0)
        assert len({fill.trade_id for fill in told}) == len(asked)
        facts = {(f.trade_id, f.quantity, f.price, f.fee, f.fee_currency) for f in told}
        assert facts == {(f.trade_id, f.quantity, f.price, f.fee, f.fee_currency) for f in asked}
        assert sum(fill.quantity for fill in asked) == order.quantity
        assert [order.client_order_id] == list({fill.client_order_id for fill in asked})
        later = max(fill.ts_ns for fill in asked) + 1
        assert not await one.venue.fills(later + 10**6)
        assert (await one.venue.balances())[Currency("BTC")] > 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tif": TimeInForce.IOC}, OrderClosed),
        ({"tif": TimeInForce.FOK}, OrderClosed),
        ({"post_only": True}, OrderAccepted),
    ],
)
async def test_how_long_an_order_rests(changes: dict[str, Any], told: type) -> None:
    """An order that finds nothing now ends now; one that must not take rests."""
    async with live() as one:
        order = one.place(**changes)
        event = await one.told(order, told)
        if isinstance(event, OrderClosed):
            assert (event.status, event.filled) == (ReportStatus.EXPIRED, Decimal(0))
        taking = one.place(post_only=True, price=one.near("1.05"))
        await one.told(taking, OrderRejected)


async def test_a_stop_rests_at_the_exchange_and_wakes_there() -> None:
    """It sells when the market has fallen to its trigger, whoever is connected."""
    async with live() as one:
        bought = one.market(Side.BUY, "0.02")
        await one.told(bought, OrderClosed)
        stop = one.stop()
        await one.told(stop, OrderAccepted)
        report = await one.venue.order(stop)
        assert report is not None
        assert (report.type, report.price, report.trigger_price) == (
            OrderType.STOP_MARKET,
            None,
            stop.trigger_price,
        )
        await one.world.market(symbol="BTCUSDT", price=str(one.near("0.9")))
        closed = await one.told(stop, OrderClosed)
        assert closed.status is ReportStatus.FILLED
        assert (
            sum(fill.quantity for fill in {f.trade_id: f for f in one.sink.of(stop, Fill)}.values())
            == stop.quantity
        )


@pytest.mark.parametrize(
    "kind", [OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT]
)
async def test_the_other_waiting_types_rest(kind: OrderType) -> None:
    """And come back as what they are."""
    async with live() as one:
        how = {"trigger_price": one.near("1.1" if kind is OrderType.STOP_LIMIT else "0.9")}
        if not kind.has_price:
            how["price"] = None  # type: ignore[assignment]
        order = one.place(type=kind, **how)
        await one.told(order, OrderAccepted)
        (report,) = await one.venue.open_orders()
        assert (report.type, report.trigger_price, report.price) == (
            kind,
            order.trigger_price,
            order.price,
        )


async def test_all_of_an_instrument_is_cancelled_by_one_request() -> None:
    """Every order's end is told."""
    async with live() as one:
        orders = [one.place(price=one.near(f"0.9{number}")) for number in range(5)]
        for order in orders:
            await one.told(order, OrderAccepted)
        one.venue.cancel_all(orders[0])
        for order in orders:
            assert (await one.told(order, OrderClosed)).status is ReportStatus.CANCELLED
        cancels = [line for line in one.world.lines("request") if line["method"] == "DELETE"]
        assert ["/api/v3/openOrders"] == [line["path"] for line in cancels]


async def test_what_the_exchange_refuses_is_rejected() -> None:
    """More than the account holds, and less than the smallest notional."""
    async with live() as one:
        for quantity in ("500", "0.00001"):
            order = one.place(quantity=Decimal(quantity))
            rejected = await one.told(order, OrderRejected)
            assert "-" in rejected.reason
            assert 0 == one.accepted(order)


AMBIGUOUS = ("drop_after_accept:count=1", "error_after_accept:count=1")


@pytest.mark.parametrize("fault", AMBIGUOUS)
async def test_an_outcome_in_doubt_is_asked_for_and_never_sent_again(fault: str) -> None:
    """The exchange took it, and said nothing or an error: none is rejected, and one rests."""
    async with live() as one:
        await one.world.fault(fault)
        order = one.place()
        await one.until(lambda: one.venue.sender.unknown == 1)
        assert not one.sink.of(order, OrderRejected)
        report = await one.venue.order(order)
        assert report is not None
        assert report.status is ReportStatus.OPEN
        assert 1 == one.accepted(order)


async def test_an_error_before_anything_was_done_is_in_doubt_too() -> None:
    """A 5xx says nothing; the question does."""
    async with live() as one:
        await one.world.fault("error_before_accept:count=1")
        order = one.place()
        await one.until(lambda: one.venue.sender.unknown == 1)
        assert not one.sink.of(order)
        assert await one.venue.order(order) is None
        assert 0 == one.accepted(order)


@pytest.mark.parametrize(
    "fault", ["drop_after_accept:count=1,on=cancel", "error_after_accept:count=1,on=cancel"]
)
async def test_a_cancel_in_doubt_is_settled_by_a_question(fault: str) -> None:
    """The stream may tell its end; the question does, for certain."""
    async with live() as one:
        order = one.place()
        await one.told(order, OrderAccepted)
        await one.world.fault(fault)
        one.venue.cancel(order)
        await one.until(lambda: one.venue.sender.unknown == 1)
        report = await one.venue.order(order)
        assert report is not None
        assert report.status is ReportStatus.CANCELLED
        assert not one.sink.of(order, CancelRejected)


async def test_events_twice_late_and_out_of_order_tell_the_same() -> None:
    """Trade ids are what counts."""
    async with live() as one:
        for fault in ("duplicate_events", "reorder_events", "delay_events:50"):
            await one.world.fault(fault)
        order = one.market(Side.BUY, "0.02")
        await one.until(lambda: len(one.sink.of(order, OrderClosed)) >= 2)
        fills = {fill.trade_id: fill for fill in one.sink.of(order, Fill)}
        assert sum(fill.quantity for fill in fills.values()) == order.quantity
        facts = {(f.trade_id, f.quantity, f.price, f.fee) for f in one.sink.of(order, Fill)}
        assert len(facts) == len(fills)


async def test_a_cut_private_connection_comes_back() -> None:
    """What filled meanwhile is found by asking; no new order left while nobody listened."""
    async with live() as one:
        order = one.place()
        await one.told(order, OrderAccepted)
        await one.world.fault("cut_sockets:count=1")
        await one.until(lambda: one.ends)
        await one.until(lambda: one.connections == 2)
        after = one.place()
        await one.told(after, OrderAccepted)
        assert {order.client_order_id, after.client_order_id} == {
            report.client_order_id for report in await one.venue.open_orders()
        }


async def test_without_a_private_connection_cancels_leave_and_orders_do_not() -> None:
    """Nobody would hear of a new order's end."""
    async with live(private=False) as one:
        with pytest.raises(VenueDown, match="private connection is down"):
            one.place()
        async with BinanceClient(one.world) as client:
            told = await client.limit("BUY", one.near("0.9"), newClientOrderId="by-hand")
            assert 200 == told.status_code
        order = one.spec(client_order_id=ClientOrderId("by-hand"))
        one.venue.cancel(order)
        await one.world.until(lambda: bool(one.world.lines("cancelled")))
        assert not await one.venue.open_orders()


async def test_a_silent_connection_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pings are not answered."""
    module = "trade_runtime.venues.binance_spot.private"
    monkeypatch.setattr(f"{module}.PING_SECS", 0.05)
    monkeypatch.setattr(f"{module}.PONG_SECS", 0.2)
    async with live() as one:
        await one.world.fault("silent_socket")
        await one.until(lambda: any("no ping" in end for end in one.ends))
        await one.world.heal()
        before = one.connections
        await one.until(lambda: one.connections > before)


async def test_a_connection_is_renewed_before_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Binance gives it 24 hours."""
    module = "trade_runtime.venues.binance_spot.private"
    monkeypatch.setattr(f"{module}.PING_SECS", 0.05)
    monkeypatch.setattr(f"{module}.LIFETIME_SECS", 0.2)
    async with live() as one:
        await one.until(lambda: one.connections > 2)
        assert all("nearly 24 hours" in end for end in one.ends)


@pytest.mark.parametrize("skew_ms", [-30_000, 30_000])
async def test_a_clock_that_is_wrong_does_no_harm(skew_ms: int) -> None:
    """Set while we run: one request is refused, and the next carries the exchange's time."""
    async with live() as one:
        await one.world.fault(f"clock_skew:{skew_ms}")
        async with BinanceClient(one.world) as client:

            async def skewed() -> bool:
                told: int = (await client.public("/api/v3/time")).json()["serverTime"]
                return abs(told - now_ms() - skew_ms) < 5_000

            await one.world.until(skewed)
        refused = one.place()
        await one.told(refused, OrderRejected)
        order = one.place()
        await one.told(order, OrderAccepted)
        assert (0, 1) == (one.accepted(refused), one.accepted(order))


async def test_maintenance_is_outlasted() -> None:
    """Orders are in doubt, questions fail, and all is well when it is over."""
    async with live() as one:
        await one.world.fault("maintenance:0.5")
        with pytest.raises(VenueError):
            await one.venue.open_orders()
        await one.until(lambda: one.ends)
        await one.until(lambda: one.connections > 1)
        order = one.place()
        await one.told(order, OrderAccepted)


async def test_an_ed25519_key_trades() -> None:
    """Its public half is all that the exchange knows."""
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    async with live(secret=pem.decode(), api_secret=public.decode()) as one:
        order = one.place()
        await one.told(order, OrderAccepted)


async def test_keys_that_are_wrong_are_told_and_shown_to_nobody() -> None:
    """By the connection's end, and by every question."""
    with capture_logs() as logs:
        async with live(secret="another", private=False) as one:
            with pytest.raises(VenueError, match=r"refused the subscription.*-1022"):
                await one.venue.run(one.sink, lambda: None)
            with pytest.raises(VenueError, match="-1022"):
                await one.venue.open_orders()
            for text in (str(logs), repr(one.venue._stream.__dict__)):
                assert "another" not in text
                assert KEY not in text


async def test_the_market_is_seen_beside_the_trading() -> None:
    """The same object streams."""
    seen: list[object] = []

    class Market:
        def on_quote(self, quote: object) -> None:
            seen.append(quote)

        def on_trade(self, trade: object) -> None: ...
        def on_book(self, levels: object) -> None: ...
        def on_book_lost(self, instrument: object) -> None: ...

    async with live() as one, one.venue.connect({"BTCUSDT": BTC}, Market()) as session:
        with trio.move_on_after(PATIENCE_SECS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.run)
                await one.until(lambda: seen)
                nursery.cancel_scope.cancel()
    assert seen
