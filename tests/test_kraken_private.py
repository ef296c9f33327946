"""Orders at a scripted Kraken: what each answer, and each silence, is made of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import trio

from tests.kraken_world import (
    BTC,
    NOW_NS,
    PATIENCE_SECS,
    SECRET,
    Events,
    Peer,
    Script,
    acknowledge,
    scripted,
)
from tests.paper_world import StillClock
from tests.recorded import recorded
from trade_runtime.errors import ConfigError, VenueDown, VenueError, VenueRefused
from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
)
from trade_runtime.model.ids import ClientOrderId, StrategyName
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import CancelsAll, DeadMansSwitch, TellsPositions
from trade_runtime.venues.kraken_spot import KrakenSpotSettings, plugin
from trade_runtime.venues.kraken_spot import private as private_module
from trade_runtime.venues.kraken_spot.rest import failure
from trade_runtime.venues.kraken_spot.signing import Nonces, sign
from trade_runtime.venues.kraken_spot.venue import KrakenSpot

OURS = ClientOrderId("abc123-1")
VENUE_ID = "OUF4EM-FRGI2-MQMWZD"


def spec(name: str = OURS, **fields: Any) -> OrderSpec:
    given: dict[str, Any] = {
        "client_order_id": ClientOrderId(name),
        "strategy": StrategyName("test"),
        "instrument": BTC,
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": Decimal("0.00000001"),
        "price": Decimal("50000.1"),
    } | fields
    return OrderSpec(**given)


def row(exec_type: str, **fields: Any) -> dict[str, Any]:
    """A row of the `executions` channel."""
    return {
        "order_id": VENUE_ID,
        "exec_type": exec_type,
        "timestamp": "2026-11-24T10:00:00.000001Z",
    } | fields


def executions(*rows: dict[str, Any], sequence: int = 1) -> dict[str, Any]:
    return {"channel": "executions", "type": "update", "data": list(rows), "sequence": sequence}


class World:
    """A venue with its private connection up."""

    def __init__(self, venue: KrakenSpot, script: Script, events: Events) -> None:
        self.venue = venue
        self.script = script
        self.events = events
        self.failed: VenueError | None = None

    @property
    def peer(self) -> Peer:
        return self.script.peers[-1]

    def requests(self, method: str) -> list[dict[str, Any]]:
        return [
            m["params"] for peer in self.script.peers for m in peer.heard if m["method"] == method
        ]

    async def hold(self) -> None:
        try:
            await self.venue.run(self.events, self.events.connected)
        except VenueError as error:
            self.failed = error
            self.events._move()


@asynccontextmanager
async def trading(script: Script, **settings: Any) -> AsyncIterator[World]:
    events = Events()
    async with scripted(script, **settings) as venue, trio.open_nursery() as nursery:
        world = World(venue, script, events)
        nursery.start_soon(world.hold)
        await events.until(lambda: events.connects or world.failed)
        assert world.failed is None
        yield world
        nursery.cancel_scope.cancel()


def answering(method: str, **fields: Any) -> Any:
    """Answer one method so, and acknowledge the others."""

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        if request["method"] == method:
            await peer.ack(request, **fields)
        else:
            await acknowledge(peer, request)

    return on_request


ADDED = answering("add_order", result={"order_id": VENUE_ID, "cl_ord_id": OURS})


async def test_the_connection_has_a_token_of_its_own() -> None:
    """Fresh for each, and what it asks for is orders and trades."""
    async with trading(Script()) as world:
        params, balances = world.requests("subscribe")
    assert balances == {"channel": "balances", "token": "the token"}
    assert params == {
        "channel": "executions",
        "snap_orders": True,
        "snap_trades": True,
        "token": "the token",
    }
    assert len(world.script.called("GetWebSocketsToken")) == 1


async def test_an_order_is_sent_with_all_its_digits() -> None:
    """Numbers have no exponent; the order ends by itself if it is under way for too long."""
    script = Script()
    script.on_request = ADDED
    async with trading(script) as world:
        world.venue.submit(spec(post_only=True))
        await world.events.until(lambda: world.events.all)
        (params,) = world.requests("add_order")
    assert world.events.all == [OrderAccepted(OURS, VENUE_ID, NOW_NS)]  # type: ignore[arg-type]
    assert params == {
        "order_type": "limit",
        "side": "buy",
        "symbol": "BTC/USD",
        "order_qty": 1e-8,
        "limit_price": 50000.1,
        "cl_ord_id": OURS,
        "fee_preference": "quote",
        "time_in_force": "gtc",
        "post_only": True,
        "deadline": "2023-11-14T22:13:23.000Z",
        "token": "the token",
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"type": OrderType.STOP_MARKET, "price": None, "trigger_price": Decimal("49000.0")},
            {
                "order_type": "stop-loss",
                "triggers": {"reference": "last", "price": 49000.0, "price_type": "static"},
            },
        ),
        (
            {"type": OrderType.TAKE_PROFIT_LIMIT, "trigger_price": Decimal(60000)},
            {
                "order_type": "take-profit-limit",
                "limit_price": 50000.1,
                "triggers": {"reference": "last", "price": 60000, "price_type": "static"},
            },
        ),
        (
            {
                "type": OrderType.TRAILING_STOP,
                "price": None,
                "trigger_price": Decimal(49000),
                "trail": Decimal("1000.5"),
            },
            {
                "order_type": "trailing-stop",
                "triggers": {"reference": "last", "price": 1000.5, "price_type": "quote"},
            },
        ),
        (
            {"tif": TimeInForce.GTD, "expire_ns": NOW_NS + 10**10},
            {"time_in_force": "gtd", "expire_time": "2023-11-14T22:13:30.000Z"},
        ),
        (
            {"type": OrderType.MARKET, "price": None, "tif": TimeInForce.IOC},
            {"order_type": "market"},
        ),
    ],
)
async def test_every_kind_of_order(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """As Kraken's `triggers` want it."""
    script = Script()
    script.on_request = ADDED
    async with trading(script) as world:
        world.venue.submit(spec(**fields))
        await world.events.until(lambda: world.events.all)
        (params,) = world.requests("add_order")
    assert {key: params.get(key) for key in expected} == expected


async def test_the_deadline_is_by_krakens_clock() -> None:
    """Which its answers tell: a clock of ours that is wrong does not get orders refused."""
    script = Script()
    script.on_request = ADDED
    async with scripted(script, clock=StillClock(NOW_NS - 3600 * 10**9)) as venue:
        events = Events()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(venue.run, events, events.connected)
            await events.until(lambda: events.connects)
            venue.submit(spec())
            await events.until(lambda: events.all)
            nursery.cancel_scope.cancel()
    sent = [m for m in script.peers[-1].heard if m["method"] == "add_order"]
    assert sent[0]["params"]["deadline"] == "2023-11-14T22:13:23.000Z"


@pytest.mark.parametrize(
    "error", ["EOrder:Insufficient funds", "EService:Deadline elapsed", "Cost minimum not met"]
)
async def test_a_certain_no_is_a_rejection(error: str) -> None:
    """With Kraken's own reason."""
    script = Script()
    script.on_request = answering("add_order", error=error)
    async with trading(script) as world:
        world.venue.submit(spec())
        await world.events.until(lambda: world.events.all)
    (rejected,) = world.events.all
    assert isinstance(rejected, OrderRejected)
    assert rejected.reason == error


@pytest.mark.parametrize(
    "error", ["EService:Unavailable", "EService:Busy", "EGeneral:Internal error"]
)
async def test_what_kraken_cannot_tell_is_no_rejection(error: str) -> None:
    """Nothing is made of it: the order may rest."""
    script = Script()
    script.on_request = answering("add_order", error=error)
    async with trading(script) as world:
        world.venue.submit(spec())
        await wait_for(lambda: world.venue.sender.unknown == 1)
    assert world.events.all == []


async def wait_for(condition: Any) -> None:
    with trio.fail_after(PATIENCE_SECS):
        while not condition():  # noqa: ASYNC110 - a sender's counts tell nobody
            await trio.sleep(0.005)


async def test_no_answer_is_no_rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it sent again."""
    monkeypatch.setattr(private_module, "REPLY_SECS", 0.1)
    script = Script()

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        if request["method"] != "add_order":
            await acknowledge(peer, request)

    script.on_request = on_request
    async with trading(script) as world:
        world.venue.submit(spec())
        await wait_for(lambda: world.venue.sender.unknown == 1)
        assert len(world.requests("add_order")) == 1
    assert world.events.all == []


async def test_a_cut_after_the_order_is_no_rejection() -> None:
    """It may have been taken; what is sent after the cut is refused, for nothing leaves."""
    script = Script()

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        if request["method"] == "add_order":
            await peer.ws.aclose()
        else:
            await acknowledge(peer, request)

    script.on_request = on_request
    async with trading(script) as world:
        world.venue.submit(spec())
        await world.events.until(lambda: world.failed)
        await wait_for(lambda: world.venue.sender.unknown == 1)
        assert world.events.all == []
        with pytest.raises(VenueDown):
            world.venue.submit(spec("abc123-2"))


async def test_a_cancel_goes_over_rest_while_the_connection_is_down() -> None:
    """By our id; and by Kraken's for an order that has none of ours."""
    script = Script()
    script.rest["CancelOrder"] = {"count": 1}
    async with trading(script) as world:
        await world.peer.ws.aclose()
        await world.events.until(lambda: world.failed)
        world.venue.cancel(spec())
        world.venue.cancel(spec(VENUE_ID))
        await wait_for(lambda: len(script.called("CancelOrder")) == 2)
    sent = [
        {k: v for k, v in call.items() if k != "nonce"} for call in script.called("CancelOrder")
    ]
    assert sent == [{"cl_ord_id": OURS}, {"txid": VENUE_ID}]


async def test_cancels_and_amends() -> None:
    """By our id; a refusal is told as one, and an accepted amend with the numbers asked for."""
    script = Script()
    async with trading(script) as world:
        world.venue.cancel(spec())
        await wait_for(lambda: world.requests("cancel_order"))
        world.venue.amend(
            spec(), quantity=Decimal("0.5"), price=Decimal("50001.0"), trigger_price=None
        )
        await world.events.until(lambda: world.events.all)
        script.on_request = answering("cancel_order", error="EOrder:Unknown order")
        world.venue.cancel(spec())
        await world.events.until(lambda: len(world.events.all) == 2)
        script.on_request = answering("amend_order", error="EOrder:Unknown order")
        world.venue.amend(spec(), quantity=Decimal(1), price=Decimal(1), trigger_price=None)
        await world.events.until(lambda: len(world.events.all) == 3)
    amended, no_cancel, no_amend = world.events.all
    assert amended == OrderAmended(OURS, Decimal("0.5"), Decimal("50001.0"), None, NOW_NS)
    assert isinstance(no_cancel, CancelRejected)
    assert isinstance(no_amend, AmendRejected)
    assert world.requests("cancel_order")[0]["cl_ord_id"] == [OURS]
    first = world.requests("amend_order")[0]
    assert (first["cl_ord_id"], first["order_qty"], first["limit_price"]) == (OURS, 0.5, 50001.0)


async def test_all_of_an_instrument_go_in_batches() -> None:
    """Kraken's own `cancel_all` takes the whole account: these are the ids of one pair alone."""

    def order(pair: str) -> dict[str, Any]:
        described = {"pair": pair, "type": "buy", "ordertype": "limit", "price": "1.0"}
        return {"status": "open", "vol": "1", "vol_exec": "0", "descr": described}

    script = Script()
    ours = {f"OAAAAA-BBBBB-{number:06d}": order("XBTUSD") for number in range(51)}
    script.rest["OpenOrders"] = {"open": ours | {"OAAAAA-BBBBB-CCCCCC": order("ETHUSD")}}
    async with trading(script) as world:
        assert isinstance(world.venue, CancelsAll)
        world.venue.cancel_all(spec())
        await wait_for(lambda: world.requests("cancel_order"))
    (batch,) = world.requests("batch_cancel")
    assert batch["orders"] == list(ours)[:50]
    assert world.requests("cancel_order")[0]["order_id"] == list(ours)[50:]


# --- what the channel tells


async def test_the_life_of_an_order_as_the_channel_tells_it() -> None:
    """A trade that completes an order says partially_filled: only `filled` ends it."""
    script = Script()
    trade = {
        "order_status": "partially_filled",
        "exec_id": "TAAAAA-BBBBB-CCCCCC",
        "trade_id": 5,
        "last_qty": 0.25,
        "last_price": 50000.1,
        "cum_qty": 0.25,
        "liquidity_ind": "m",
        "fees": [{"asset": "USD", "qty": 1.5}],
    }
    async with trading(script) as world:
        placed = {"cl_ord_id": OURS, "symbol": "BTC/USD", "side": "buy", "order_qty": 0.25}
        rows = [
            row("pending_new", order_type="limit", limit_price=50000.1, **placed),
            row("new"),
            row("trade", **trade),
            row("filled", order_status="filled"),
        ]
        for number, one in enumerate(rows):
            await world.peer.say(executions(one, sequence=number + 1))
        await world.events.until(lambda: len(world.events.all) == 3)
    accepted, fill, closed = world.events.all
    at_ns = 1_795_514_400_000_001_000
    assert accepted == OrderAccepted(OURS, VENUE_ID, at_ns)  # type: ignore[arg-type]
    assert fill == Fill(
        OURS,
        BTC,
        "TAAAAA-BBBBB-CCCCCC",  # type: ignore[arg-type]
        Side.BUY,
        Decimal("0.25"),
        Decimal("50000.1"),
        Decimal("1.5"),
        "USD",  # type: ignore[arg-type]
        True,
        at_ns,
    )
    assert closed == OrderClosed(OURS, ReportStatus.FILLED, Decimal("0.25"), at_ns)


async def test_ends_and_changes_that_others_made() -> None:
    """A cancel by hand, an expiry, an amend; by Kraken's id where the order has none of ours."""
    script = Script()
    whole = {"symbol": "BTC/USD", "side": "sell", "order_qty": 2, "order_type": "limit"}
    async with trading(script) as world:
        await world.peer.say(
            executions(
                row("amended", limit_price=7.5, cl_ord_id=OURS, **whole),
                row("canceled", cum_qty=0.5, reason="User requested"),
                row("expired", order_id="OAAAAA-BBBBB-CCCCCC"),
                row("status", order_id="OAAAAA-BBBBB-DDDDDD"),
                row("brand_new_word"),
            )
        )
        await world.events.until(lambda: len(world.events.all) == 3)
    amended, cancelled, expired = world.events.all
    assert isinstance(amended, OrderAmended)
    assert (amended.quantity, amended.price) == (Decimal(2), Decimal("7.5"))
    assert isinstance(cancelled, OrderClosed)
    assert (cancelled.filled, cancelled.reason) == (Decimal("0.5"), "User requested")
    assert isinstance(expired, OrderClosed)
    assert expired.client_order_id == "OAAAAA-BBBBB-CCCCCC"


async def test_a_gap_in_the_events_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what was missed is asked for; nothing behind the gap is told."""
    monkeypatch.setattr(private_module, "GAP_SECS", 0.1)
    async with trading(Script()) as world:
        await world.peer.say(executions(sequence=4))
        await world.peer.say(executions(row("new"), sequence=6))
        await world.events.until(lambda: world.failed)
    assert "went from 4 to 6" in str(world.failed)
    assert world.events.all == []


async def test_events_are_told_in_their_sequence_and_once() -> None:
    """One that comes early waits, and one that comes again is dropped."""
    async with trading(Script()) as world:
        await world.peer.say(executions(sequence=1))
        await world.peer.say(executions(row("canceled"), sequence=3))
        await world.peer.say(executions(row("new"), sequence=2))
        await world.peer.say(executions(row("new"), sequence=2))
        await world.peer.say(executions(row("new", order_id="OAAAAA-BBBBB-CCCCCC"), sequence=4))
        await world.events.until(lambda: len(world.events.all) == 3)
    assert [type(event) for event in world.events.all] == [
        OrderAccepted,
        OrderClosed,
        OrderAccepted,
    ]


@pytest.mark.parametrize(
    "message",
    [
        "<html>",
        {"channel": "executions", "data": [{"order_id": 7}]},
        executions(row("trade", exec_id="T")),
        executions(row("trade", exec_id="T", last_qty=-1, last_price=1, symbol="X/Y", side="buy")),
    ],
)
async def test_events_that_make_no_sense_end_the_connection(message: object) -> None:
    """Nothing is booked of them; who supervises asks for what there is."""
    async with trading(Script()) as world:
        await world.peer.say(message)
        await world.events.until(lambda: world.failed)
    assert world.events.all == []


async def test_a_session_that_kraken_ended_is_opened_anew() -> None:
    """With a token that is fresh."""
    script = Script()
    script.on_request = answering("add_order", error="ESession:Invalid session")
    async with trading(script) as world:
        world.venue.submit(spec())
        await world.events.until(lambda: world.failed)
        assert isinstance(world.events.all[0], OrderRejected)
        script.on_request = acknowledge
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.hold)
            await world.events.until(lambda: world.events.connects == 2)
            nursery.cancel_scope.cancel()
    assert len(script.called("GetWebSocketsToken")) == 2


# --- what the account holds


CLOSED = {
    "status": "canceled",
    "reason": "User requested",
    "vol": "1.00000000",
    "vol_exec": "0.25000000",
    "cl_ord_id": OURS,
    "descr": {
        "pair": "XBTUSD",
        "type": "buy",
        "ordertype": "stop-loss-limit",
        "price": "9",
        "price2": "8",
    },
}


async def test_an_order_is_looked_for_among_open_and_closed() -> None:
    """None only where both say that there is none."""
    script = Script()
    script.rest["ClosedOrders"] = {"closed": {VENUE_ID: CLOSED}, "count": 1}
    async with scripted(script) as venue:
        report = await venue.order(spec())
        script.rest["ClosedOrders"] = {"closed": {}, "count": 0}
        nothing = await venue.order(spec("abc123-2"))
        script.rest["QueryOrders"] = {VENUE_ID: CLOSED}
        again = await venue.order(spec())
        script.rest["OpenOrders"] = "EService:Unavailable"
        with pytest.raises(VenueError):
            await venue.order(spec("abc123-2"))
    assert report is not None
    assert (report.status, report.filled) == (ReportStatus.CANCELLED, Decimal("0.25"))
    assert (report.trigger_price, report.price) == (Decimal(9), Decimal(8))
    assert nothing is None
    assert again == report
    assert script.called("QueryOrders") == []  # what has ended stays so
    assert len(script.called("OpenOrders")) == 3
    assert len(script.called("ClosedOrders")) == 2


async def test_where_rest_has_no_room_the_stream_answers() -> None:
    """What the private connection told is Kraken's own word: a stop does not wait for a counter."""
    script = Script()
    whole = {
        "cl_ord_id": OURS,
        "symbol": "BTC/USD",
        "side": "buy",
        "order_type": "limit",
        "order_qty": 2,
        "limit_price": 7.5,
        "order_status": "new",
    }
    trade = {
        "exec_id": "TAAAAA-BBBBB-CCCCCC",
        "last_qty": 0.5,
        "last_price": 7.5,
        "cum_qty": 0.5,
        "order_status": "partially_filled",
        "fees": [{"asset": "USD", "qty": 0.1}],
    }
    async with trading(script) as world:
        world.venue._rest.budget.close(trio.current_time() + 100)
        await world.peer.say({**executions(row("new", **whole)), "type": "snapshot"})
        await world.events.until(lambda: world.events.all)
        (open_order,) = await world.venue.open_orders()
        assert (open_order.quantity, open_order.price) == (Decimal(2), Decimal("7.5"))
        await world.peer.say(executions(row("trade", **trade), sequence=2))
        await world.events.until(lambda: len(world.events.all) == 2)
        (fill,) = await world.venue.fills(1_795_514_400_000_001_000)
        assert fill.trade_id == "TAAAAA-BBBBB-CCCCCC"
        report = await world.venue.order(spec())
        assert report is not None
        assert (report.status, report.filled) == (ReportStatus.OPEN, Decimal("0.5"))
        await world.peer.say(executions(row("canceled", reason="User requested"), sequence=3))
        await world.events.until(lambda: len(world.events.all) == 3)
        assert await world.venue.open_orders() == []
        report = await world.venue.order(spec())
        assert report is not None
        assert (report.status, report.filled) == (ReportStatus.CANCELLED, Decimal("0.5"))
        late = executions(row("new", **whole), sequence=4)
        await world.peer.say(late)
        await world.events.until(lambda: len(world.events.all) == 4)
        assert await world.venue.open_orders() == []
        rows = [
            {
                "asset": "BTC",
                "balance": 3,
                "wallets": [
                    {"type": "spot", "id": "main", "balance": 1.25},
                    {"type": "earn", "id": "flex", "balance": 1.75},
                ],
            }
        ]
        await world.peer.say({"channel": "balances", "type": "snapshot", "data": rows})
        await wait_for(lambda: world.venue._desk.link.purse.held)  # type: ignore[union-attr]
        assert await world.venue.balances() == {"BTC": Decimal("1.25")}
        change = {"asset": "BTC", "balance": 1.5, "wallet_type": "spot", "wallet_id": "main"}
        await world.peer.say({"channel": "balances", "type": "update", "data": [change]})
        other = {**change, "balance": 9, "wallet_type": "earn"}
        await world.peer.say({"channel": "balances", "type": "update", "data": [other]})
        await wait_for(lambda: world.venue._desk.link.purse.held["BTC"] != Decimal("1.25"))  # type: ignore[index,union-attr]
        assert await world.venue.balances() == {"BTC": Decimal("1.5")}
    assert script.called("OpenOrders") == script.called("BalanceEx") == []


async def test_an_order_that_a_snapshot_leaves_out_is_asked_for() -> None:
    """It ended while nobody listened: how, only a question tells."""
    script = Script()
    whole = {"cl_ord_id": OURS, "symbol": "BTC/USD", "side": "buy", "order_type": "market"}
    async with trading(script) as world:
        first = row("new", order_qty=1, order_status="new", **whole)
        await world.peer.say({**executions(first), "type": "snapshot"})
        await world.events.until(lambda: world.events.all)
        await world.peer.say({**executions(sequence=2), "type": "snapshot"})
        world.venue._rest._calls.spend(10, trio.current_time())
        await wait_for(lambda: world.venue._executions.open_reports() == [])
        script.rest["QueryOrders"] = {VENUE_ID: CLOSED}
        report = await world.venue.order(spec())
    assert report is not None
    assert report.status is ReportStatus.CANCELLED


async def test_that_an_order_is_not_open_is_asked_for_once_when_it_cannot_come_any_more() -> None:
    """Before that each question looks again, since the order may still be on its way."""
    script = Script()
    async with scripted(script) as venue:
        for _ in range(2):
            assert await venue.order(spec()) is None
        assert len(script.called("OpenOrders")) == 2
        venue._opened_at = trio.current_time() - venue.settle_secs
        for _ in range(3):
            assert await venue.order(spec()) is None
        assert len(script.called("OpenOrders")) == 3
        assert len(script.called("ClosedOrders")) == 5


async def test_one_question_answers_many() -> None:
    """After the switch fired dozens of orders have ended, and REST has no room for each."""
    script = Script()
    ended = {
        f"OAAAAA-BBBBB-{number:06d}": {**CLOSED, "cl_ord_id": f"abc123-{number}"}
        for number in range(30)
    }
    script.rest["ClosedOrders"] = {"closed": ended, "count": 30}
    async with trading(script) as world:
        await world.peer.say({**executions(), "type": "snapshot"})
        await wait_for(lambda: world.venue._executions.in_step)
        found = []

        async def ask(number: int) -> None:
            found.append(await world.venue.order(spec(f"abc123-{number}")))

        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(ask, number)
    assert {report.status for report in found if report} == {ReportStatus.CANCELLED}
    assert len(found) == 30
    assert len(script.called("ClosedOrders")) == 1
    assert script.called("OpenOrders") == []


async def test_fills_are_paged_and_named() -> None:
    """By the ids of their orders, which are asked for once."""
    trades = {
        f"T{number:05d}-AAAAA-BBBBBB": {
            "ordertxid": VENUE_ID,
            "pair": "XXBTZUSD",
            "time": 1_700_000_000 + number,
            "type": "buy",
            "price": "2.0",
            "vol": "0.1",
            "fee": "0.0002",
            "maker": True,
        }
        for number in range(120)
    }
    newest_first = list(reversed(trades.items()))

    def page(params: dict[str, str]) -> dict[str, Any]:
        offset = int(params["ofs"])
        return {"trades": dict(newest_first[offset : offset + 50]), "count": 120}

    script = Script()
    script.rest["TradesHistory"] = page
    script.rest["QueryOrders"] = {VENUE_ID: CLOSED}
    async with scripted(script, tier="pro") as venue:
        fills = await venue.fills(NOW_NS + 10 * 10**9)
    assert [fill.trade_id for fill in fills] == list(trades)[10:]
    assert {fill.client_order_id for fill in fills} == {OURS}
    assert {(fill.fee, fill.fee_currency) for fill in fills} == {(Decimal("0.0002"), "USD")}
    assert len(script.called("QueryOrders")) == 1
    assert script.called("TradesHistory")[0]["start"] == "1700000009.999999"
    assert script.called("TradesHistory")[0]["consolidate_taker"] == "false"


async def test_balances_and_no_positions() -> None:
    """A spot account holds currencies, and tells of no positions."""
    async with scripted(Script()) as venue:
        assert await venue.balances() == {"USD": Decimal("1000.5")}
        assert not isinstance(venue, TellsPositions)


async def test_the_switch_is_armed_and_disarmed() -> None:
    """Over the private connection, or over REST where that is down."""
    script = Script()
    script.rest["CancelAllOrdersAfter"] = {"currentTime": "x", "triggerTime": "y"}
    async with trading(script, dead_mans_switch_secs=60) as world:
        assert isinstance(world.venue, DeadMansSwitch)
        assert world.venue.switch_secs == 60
        await world.venue.arm()
        await world.venue.disarm()
        assert [p["timeout"] for p in world.requests("cancel_all_orders_after")] == [60, 0]
        await world.peer.ws.aclose()
        await world.events.until(lambda: world.failed)
        await world.venue.arm()
        script.rest["CancelAllOrdersAfter"] = "EService:Unavailable"
        with pytest.raises(VenueError):
            await world.venue.arm()
    assert script.called("CancelAllOrdersAfter")[0]["timeout"] == "60"


async def test_a_key_that_may_withdraw_is_warned_of_once() -> None:
    """Trading needs no such right."""
    script = Script()
    script.rest["GetApiKeyInfo"] = {"permissions": ["modify-trades", "withdraw-funds"]}
    async with trading(script) as world:
        notes = world.venue._env.log.lines  # type: ignore[attr-defined]
    assert [line for line in notes if "withdraw" in line[1]]


# --- REST


@pytest.mark.recorded
def test_requests_are_signed_as_published() -> None:
    """Kraken's own vector."""
    vector = json.loads(recorded("signature_vectors.json").read_text())["kraken_spot_rest"]
    signed = sign(
        vector["private_key_b64"], vector["uri_path"], vector["nonce"], vector["post_data"]
    )
    assert vector["api_sign_b64"] == signed


async def test_what_is_signed_is_what_is_sent() -> None:
    """The nonce first, in the body; and both headers."""
    script = Script()
    async with scripted(script) as venue:
        await venue.balances()
    sent = script.headers[-1]
    nonce = script.called("BalanceEx")[0]["nonce"]
    assert sent["body"].startswith(f"nonce={nonce}")
    assert sent["api-key"] == "key"
    assert sent["api-sign"] == sign(SECRET, "/0/private/BalanceEx", nonce, sent["body"])


async def test_nonces_grow_one_request_at_a_time() -> None:
    """Also where many ask at once and the clock stands; over restarts, as the clock goes on."""
    script = Script()
    async with scripted(script, tier="pro") as venue, trio.open_nursery() as nursery:
        for _ in range(15):
            nursery.start_soon(venue.balances)
    nonces = [int(call["nonce"]) for call in script.called("BalanceEx")]
    assert nonces == sorted(set(nonces))
    clock = StillClock(NOW_NS)
    first = Nonces(clock)
    used = [int(first.next()) for _ in range(3)]
    clock.now += 10_000_000
    assert int(Nonces(clock).next()) > used[-1]
    clock.now -= 5_000_000_000  # the machine's clock was set back while it runs
    assert int(first.next()) > used[-1]


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ((200, b'{"error":["EOrder:Unknown order"]}'), True),
        ((200, b'{"error":["EGeneral:Permission denied"]}'), True),
        ((200, b'{"error":["EService:Unavailable"]}'), False),
        ((200, b'{"error":["EOrder:Rate limit exceeded","EGeneral:Internal error"]}'), False),
        ((200, b"<html>Just a moment...</html>"), False),
        ((502, b"<html>Bad Gateway</html>"), False),
        ((520, b""), False),
        ((200, b'{"error":[],"result":'), False),
    ],
)
async def test_only_krakens_own_no_is_a_refusal(body: tuple[int, bytes], refused: bool) -> None:
    """Everything else is of unknown outcome."""
    script = Script()
    script.bodies["BalanceEx"] = body
    async with scripted(script) as venue:
        with pytest.raises(VenueError) as caught:
            await venue.balances()
    assert isinstance(caught.value, VenueRefused) is refused
    assert not isinstance(caught.value, VenueDown)


async def test_a_bad_nonce_says_what_to_do() -> None:
    """Two programs on one key are the usual reason."""
    script = Script()
    script.rest["BalanceEx"] = "EAPI:Invalid nonce"
    async with scripted(script) as venue:
        with pytest.raises(VenueRefused, match="a key of its own"):
            await venue.balances()


def test_warnings_are_no_errors() -> None:
    """And of several errors the uncertain one counts."""
    assert isinstance(failure("EOrder:Insufficient funds"), VenueRefused)
    assert not isinstance(failure("EService:Unavailable"), VenueRefused)


# --- settings


def test_the_settings_are_checked() -> None:
    """Each mistake in a sentence that names it, and no secret in it or in a repr."""
    cases: list[tuple[dict[str, Any], str]] = [
        ({"testnet": True}, "no testnet"),
        ({"api_key": Secret("k "), "api_secret": Secret(SECRET)}, "api_key"),
        ({"api_key": Secret("k"), "api_secret": Secret("not base64!")}, "base64"),
        ({"live": True, "rest_url": "http://127.0.0.1:1"}, "ws_private_url: missing"),
        ({"live": True, "ws_private_url": "ws://127.0.0.1:1"}, "rest_url: missing"),
        ({"book_depth": 11}, "book_depth"),
        ({"tier": "gold"}, "tier"),
        ({"trigger_reference": "mark"}, "trigger_reference"),
        ({"dead_mans_switch_secs": -1}, "dead_mans_switch_secs"),
    ]
    for given, match in cases:
        with pytest.raises(ConfigError, match=match) as caught:
            KrakenSpotSettings(**given)
        assert "not base64!" not in str(caught.value)
    live = KrakenSpotSettings(api_key=Secret("k"), api_secret=Secret(SECRET), live=True)
    assert SECRET not in repr(live)
    assert plugin.live is not None
    assert plugin.live(live)


async def test_a_stop_is_not_held_back_by_what_was_cancelled() -> None:
    """Cancels of young orders use up the counter of a pair. Whether there is room for what protects
    a position, Kraken itself says.
    """
    script = Script()

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        if request["method"] == "add_order":
            name = request["params"]["cl_ord_id"]
            await peer.ack(request, result={"order_id": f"O{name}"})
        else:
            await acknowledge(peer, request)

    script.on_request = on_request
    names = [f"abc123-{number}" for number in range(15)]
    async with trading(script) as world:
        for name in names:
            world.venue.submit(spec(name))
        await world.events.until(lambda: len(world.events.all) == 15)
        for name in names:
            world.venue.cancel(spec(name))
        await wait_for(lambda: len(world.requests("cancel_order")) == 15)
        stop = {"type": OrderType.STOP_MARKET, "price": None, "trigger_price": Decimal(49_000)}
        world.venue.submit(spec("abc123-z", protective=True, **stop))
        await wait_for(lambda: len(world.requests("add_order")) == 16)
        world.venue.submit(spec("abc123-y"))
        await world.events.until(
            lambda: any(isinstance(event, OrderRejected) for event in world.events.all)
        )
    assert world.requests("add_order")[-1]["cl_ord_id"] == "abc123-z"
