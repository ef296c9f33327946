"""Orders of a group that arrive, turn up or are changed when another of the group has filled.

Whoever sees to groups, the venue or the runtime: in the end nothing rests that another order's
fills have taken the place of, and what rests is as large as what is left of the group.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import Currency, TradeId
from trade_runtime.model.orders import OrderSpec, OrderType, Side
from trade_runtime.protocols import Placed

KINDS: dict[str, dict[str, Any]] = {
    "groups": {},
    "no groups": {"oco": False},
    "no amends": {"oco": False, "amend": False},
}
venues = pytest.mark.parametrize("venue", KINDS.values(), ids=KINDS)
amending = pytest.mark.parametrize("venue", list(KINDS.values())[:2], ids=list(KINDS)[:2])

SETTINGS: dict[str, Any] = {
    "prices": {"stale_after_secs": 100_000, "ping_secs": 100_000},
    "protection": {"required": "off"},
    "orders": {"ack_timeout_secs": 0.3, "reconcile_secs": 1000},
    "shutdown": {"cancel_orders": False},
}
"""Nobody but the group's own rules takes an order away, and no reconcile mends by the way."""

ENOUGH_SECS = 2.0


class _Slow(WrappedVenue):
    """A venue to which stop orders are under way for as long as the test says."""

    def __init__(self, venue: Any) -> None:
        super().__init__(venue)
        self.under_way: list[OrderSpec] = []
        self.refuses = 0
        self.holds_back = True

    def submit(self, order: OrderSpec) -> None:
        if order.type is OrderType.STOP_MARKET and self.holds_back:
            self.under_way.append(order)
        else:
            self._venue.submit(order)

    def cancel(self, order: Placed) -> None:
        self._venue.cancel(order)

    def arrive(self) -> None:
        for order in self.under_way:
            self._venue.submit(order)


def resting(world: World) -> dict[str, Decimal]:
    rows = [world.record.orders[order_id] for order_id in world.resting()]
    return {row.client_order_id: row.quantity - row.filled for row in rows}


def pair(hand: Hand) -> tuple[Order, Order]:
    """A target that rests, and a stop of the same group."""
    target = hand.trader.limit(ETH, "sell", "1", "103", oco="g")
    return target, hand.trader.stop(ETH, "sell", "1", "95", oco="g")


@asynccontextmanager
async def under_way(
    world: World, hand: Hand, venue: dict[str, Any]
) -> AsyncIterator[tuple[Order, Order, _Slow]]:
    """A target that rests while the stop beside it has left and not arrived."""
    slow: list[_Slow] = []

    def wrap(inner: Any) -> _Slow:
        slow.append(_Slow(inner))
        return slow[0]

    world.wrap = wrap
    async with world.open(hand, paper=venue, **SETTINGS):
        target, stop = pair(hand)
        await until(lambda: (target.state, stop.state) == (OrderState.OPEN, OrderState.SENT))
        yield target, stop, slow[0]


class TestOneThatIsUnderWay:
    """The other fills before it arrives: the venue never saw them together."""

    @venues
    @virtual
    async def test_is_cancelled(self, tmp_path: Path, venue: dict[str, Any]) -> None:
        """All of the other filled: nothing is left to stand for."""
        world, hand = World(tmp_path), Hand()
        async with under_way(world, hand, venue) as (target, stop, wire):
            world.market.quote(103.2)
            await until(lambda: target.state is OrderState.FILLED)
            wire.arrive()
            await trio.sleep(ENOUGH_SECS)
            assert {} == resting(world)
            assert OrderState.CANCELLED is stop.state

    @amending
    @virtual
    async def test_is_made_smaller(self, tmp_path: Path, venue: dict[str, Any]) -> None:
        """A part of the other filled: it is for the rest."""
        world, hand = World(tmp_path), Hand()
        async with under_way(world, hand, venue) as (target, stop, wire):
            world.market.quote(103.2, size=0.4)
            await until(lambda: target.filled)
            wire.arrive()
            await trio.sleep(ENOUGH_SECS)
            left = Decimal("0.6")
            assert {target.id: left, stop.id: left} == resting(world)

    @venues
    @virtual
    async def test_is_cancelled_though_it_was_unknown(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """No outcome came in time; then the other filled, and then it turned out to rest."""
        world, hand = World(tmp_path), Hand()
        async with under_way(world, hand, venue) as (target, stop, wire):
            world.trading.orders.mark_unknown(stop, "a test")
            world.market.quote(103.2)
            await until(lambda: target.state is OrderState.FILLED)
            wire.arrive()
            await trio.sleep(ENOUGH_SECS)
            assert {} == resting(world)

    @venues
    @virtual
    async def test_is_cancelled_though_it_was_given_up(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """The venue did not know it, the other filled, and then it came all the same."""
        world, hand = World(tmp_path), Hand()
        async with under_way(world, hand, venue) as (target, stop, wire):
            await until(lambda: stop.state is OrderState.DROPPED)
            world.market.quote(103.2)
            await until(lambda: target.state is OrderState.FILLED)
            wire.arrive()
            await trio.sleep(ENOUGH_SECS)
            assert {} == resting(world)

    @venues
    @virtual
    async def test_is_cancelled_though_its_cancel_was_lost_with_it(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """The other filled first, then the venue did not know it; and then it came."""
        world, hand = World(tmp_path), Hand()
        async with under_way(world, hand, venue) as (target, stop, wire):
            world.market.quote(103.2)
            await until(lambda: target.state is OrderState.FILLED)
            await until(lambda: stop.state is OrderState.DROPPED)
            wire.arrive()
            await trio.sleep(ENOUGH_SECS)
            assert {} == resting(world)

    @venues
    @virtual
    async def test_is_kept_where_the_other_was_only_cancelled(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """Only fills take its place."""
        world, hand = World(tmp_path), Hand()
        async with under_way(world, hand, venue) as (target, stop, wire):
            hand.trader.cancel(target)
            await until(lambda: target.state is OrderState.CANCELLED)
            wire.arrive()
            await trio.sleep(ENOUGH_SECS)
            assert {stop.id: Decimal(1)} == resting(world)


class TestRestart:
    """The process dies in between: the next one goes on from what the journal says."""

    @pytest.mark.parametrize("venue", list(KINDS.values())[1:], ids=list(KINDS)[1:])
    @virtual
    async def test_after_the_fill_and_before_what_follows_from_it(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """The fill is the last that is durable: the order beside it is cancelled at the start."""
        world, hand = World(tmp_path), Hand()
        world.wrap = _Deaf
        async with world.open(hand, paper=venue, **SETTINGS):
            target, stop = pair(hand)
            await until(lambda: stop.state is OrderState.OPEN)
            world.market.quote(103.2)
            await until(lambda: target.state is OrderState.FILLED)
            await trio.sleep(2)
            world.disk.kill()
        lose_what_follows(world)
        assert {stop.id: Decimal(1)} == resting(world)
        world.wrap = lambda inner: inner
        async with world.open(Hand(), paper=venue, **SETTINGS):
            await trio.sleep(ENOUGH_SECS)
            assert {} == resting(world)

    @virtual
    async def test_after_a_part_filled_and_before_the_other_is_smaller(
        self, tmp_path: Path
    ) -> None:
        """At the start the order beside it is made smaller, by just as much."""
        world, hand = World(tmp_path), Hand()
        world.wrap = _Deaf
        venue = KINDS["no groups"]
        async with world.open(hand, paper=venue, **SETTINGS):
            target, stop = pair(hand)
            await until(lambda: stop.state is OrderState.OPEN)
            world.market.quote(103.2, size=0.4)
            await until(lambda: target.filled)
            await trio.sleep(2)
            world.disk.kill()
        lose_what_follows(world)
        world.wrap = lambda inner: inner
        async with world.open(Hand(), quote=False, paper=venue, **SETTINGS):
            await trio.sleep(ENOUGH_SECS)
            left = Decimal("0.6")
            assert {target.id: left, stop.id: left} == resting(world)

    @amending
    @virtual
    async def test_a_part_before_and_a_part_while_nothing_ran(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """The part that was made room for is not made room for again."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, paper=venue, **SETTINGS):
            target, stop = pair(hand)
            await until(lambda: stop.state is OrderState.OPEN)
            world.market.quote(103.2, size=0.4)
            await trio.sleep(0.5)
            assert Decimal("0.6") == stop.quantity
            world.disk.kill()
            world.market.quote(103.2, size=0.2)
            await trio.sleep(0.1)
        async with world.open(Hand(), quote=False, paper=venue, **SETTINGS):
            await trio.sleep(ENOUGH_SECS)
            left = Decimal("0.4")
            assert {target.id: left, stop.id: left} == resting(world)


class _Deaf(WrappedVenue):
    """A venue that does not get what follows from a fill: the process died before it left."""

    def cancel(self, order: Placed) -> None: ...

    def amend(self, order: Placed, **numbers: Any) -> None: ...


def lose_what_follows(world: World) -> None:
    """Have the journal end with the first fill."""
    kinds = [type(event) for event in world.journal()]
    del world.disk.records[kinds.index(Fill) + 1 :]


class TestOneThatIsBeingChanged:
    """Its numbers are under way when the other fills."""

    @virtual
    async def test_is_made_smaller_once_that_is_over(self, tmp_path: Path) -> None:
        """The strategy moves its trigger at that moment."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, paper=KINDS["no groups"], **SETTINGS):
            target, stop = pair(hand)
            await until(lambda: stop.state is OrderState.OPEN)
            hand.trader.amend(stop, trigger_price="96")
            world.market.quote(103.2, size=0.4)
            await trio.sleep(ENOUGH_SECS)
            left = Decimal("0.6")
            assert {target.id: left, stop.id: left} == resting(world)
            assert Decimal(96) == stop.trigger_price

    @virtual
    async def test_is_made_smaller_though_the_venue_refused_at_first(self, tmp_path: Path) -> None:
        """It is tried again."""
        world, hand = World(tmp_path), Hand()
        no = {"kind": "reject", "on": "amend", "after_secs": 1.0, "for_secs": 0.3}
        venue = {**KINDS["no groups"], "faults": [no]}
        async with world.open(hand, paper=venue, **SETTINGS):
            target, stop = pair(hand)
            await trio.sleep(1.1)
            world.market.quote(103.2, size=0.4)
            await trio.sleep(ENOUGH_SECS)
            left = Decimal("0.6")
            assert {target.id: left, stop.id: left} == resting(world)

    @virtual
    async def test_is_cancelled_where_the_venue_never_does_it(self, tmp_path: Path) -> None:
        """Rather none than one that is too large."""
        world, hand = World(tmp_path), Hand()
        venue = {**KINDS["no groups"], "faults": [{"kind": "reject", "on": "amend"}]}
        async with world.open(hand, paper=venue, **SETTINGS):
            target, stop = pair(hand)
            await until(lambda: stop.state is OrderState.OPEN)
            world.market.quote(103.2, size=0.4)
            await trio.sleep(ENOUGH_SECS)
            assert {target.id: Decimal("0.6")} == resting(world)
            assert OrderState.CANCELLED is stop.state


class TestAnExitThatStillWaits:
    """Of a bracket, one exit is let out first, and fills while the other is still held."""

    @virtual
    async def test_is_let_out_for_what_the_other_left_and_never_grows_beyond(
        self, tmp_path: Path
    ) -> None:
        """The target needs a market and has none yet; the stop-loss sells 0.4 of 1."""
        world, hand = World(tmp_path), Hand()
        settings = {**SETTINGS, "prices": {"stale_after_secs": 1.0, "ping_secs": 100_000}}
        async with world.open(hand, paper={"faults": []}, **settings):
            made = hand.trader.bracket(ETH, "buy", "1", price="99.50", stop="97", target="103")
            await until(lambda: made.entry.state is OrderState.OPEN)
            await trio.sleep(1.5)
            assert made.target is not None
            orders = world.trading.orders
            fill = Fill(
                made.entry.id,
                made.entry.instrument,
                TradeId("a"),
                Side.BUY,
                Decimal(1),
                Decimal("99.5"),
                Decimal(0),
                Currency("USDT"),
                True,
                hand.trader.now_ns(),
            )
            orders.on_event(fill)
            assert (OrderState.PENDING, OrderState.HELD) == (made.stop.state, made.target.state)
            await until(lambda: made.stop.state is OrderState.OPEN)
            sold = {"client_order_id": made.stop.id, "trade_id": TradeId("b"), "side": Side.SELL}
            part = msgspec.structs.replace(fill, quantity=Decimal("0.4"), **sold)
            orders.on_event(part)
            left = Decimal("0.6")
            assert left == made.target.quantity
            world.market.quote(98.0)
            await trio.sleep(ENOUGH_SECS)
            assert left == resting(world)[made.target.id]
