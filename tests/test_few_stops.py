"""A venue that lets few stops rest in an instrument: the guard never asks for one more than that,
and every position is covered in full all the same. On a spot account that holds nothing else.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import VenueDown
from trade_runtime.model.orders import OrderSpec
from trade_runtime.protocols import Capabilities, Placed

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}
EXACT: dict[str, Any] = {"balances": {"USDT": "100000"}}
MOST = 5


class Narrow(WrappedVenue):
    """Notes how many stops there would be, wherever one more is asked for."""

    def __init__(self, venue: Any) -> None:
        super().__init__(venue)
        self.most = 0

    @property
    def capabilities(self) -> Capabilities:
        own: Capabilities = self._venue.capabilities
        return attrs.evolve(own, amend=False, oco=False, max_stops=MOST)

    def submit(self, order: OrderSpec) -> None:
        if order.type.waits:
            resting = self._venue.exchange.open_orders()
            self.most = max(self.most, 1 + sum(1 for report in resting if report.type.waits))
        self._venue.submit(order)


def covered(world: World, hand: Hand) -> Decimal:
    """What the stops of a strategy that rest are for."""
    own = {order.id for order in hand.trader.open_orders(ETH)}
    rows = [world.record.orders[one] for one in world.resting() if one in own]
    return sum((row.quantity - row.filled for row in rows if row.type.waits), Decimal(0))


def holds(hand: Hand, quantity: int) -> bool:
    return hand.quantity == quantity


def narrow(world: World) -> list[Narrow]:
    made: list[Narrow] = []

    def wrap(venue: Any) -> Narrow:
        made.append(Narrow(venue))
        return made[-1]

    world.wrap = wrap
    return made


@virtual
async def test_one_position_that_grows(tmp_path: Path) -> None:
    """Twenty steps, each with a stop to come: five at most rest, and they cover all of it."""
    world, hand = World(tmp_path), Hand()
    made = narrow(world)
    async with world.open(hand, prices=QUIET, paper=EXACT):
        for step in range(1, 21):
            hand.trader.market(ETH, "buy", "1")
            await until(partial(holds, hand, step))
            await trio.sleep(3)
            assert covered(world, hand) == hand.quantity
        assert world.history("reject") == []
    assert world.report.outcome == "clean"
    assert made[0].most <= MOST


@virtual
async def test_positions_share_the_places(tmp_path: Path) -> None:
    """Four strategies in one instrument, all of which grow: none of them is left bare."""
    world, hands = World(tmp_path), [Hand(f"hand-{n}") for n in range(4)]
    made = narrow(world)
    async with world.open(*hands, prices=QUIET, paper=EXACT):
        for step in range(1, 8):
            for hand in hands:
                hand.trader.market(ETH, "buy", "1")
            for hand in hands:
                await until(partial(holds, hand, step))
        await trio.sleep(20)
        assert [covered(world, hand) for hand in hands] == [7, 7, 7, 7]
    assert world.report.outcome == "clean"
    assert made[0].most <= MOST


@virtual
async def test_a_position_that_shrank_where_all_places_are_taken(tmp_path: Path) -> None:
    """Its stops are for what is left: one that is too large would turn it over."""
    world, hands = World(tmp_path), [Hand(f"hand-{n}") for n in range(2)]
    made = narrow(world)
    spare = {"balances": {"USDT": "100000", "ETH": "100"}}
    async with world.open(*hands, prices=QUIET, paper=spare):
        for step in range(1, 4):
            for hand in hands:
                hand.trader.market(ETH, "buy", "1")
                await until(partial(holds, hand, step))
                await trio.sleep(3)
        hands[0].trader.market(ETH, "sell", "0.7")
        await until(lambda: hands[0].quantity == Decimal("2.3"))
        await trio.sleep(10)
        assert [covered(world, hand) for hand in hands] == [Decimal("2.3"), 3]
        sent = len(world.record.orders)
        await trio.sleep(30)
        assert len(world.record.orders) == sent  # and nothing goes round in a circle
    assert world.report.outcome == "clean"
    assert made[0].most <= MOST


@virtual
async def test_more_positions_than_places(tmp_path: Path) -> None:
    """Six of them: five are covered, and the report tells which is not."""
    world, hands = World(tmp_path), [Hand(f"hand-{n}") for n in range(6)]
    narrow(world)
    async with world.open(*hands, prices=QUIET, paper=EXACT):
        for hand in hands:
            hand.trader.market(ETH, "buy", "1")
        await trio.sleep(20)
        assert sorted(covered(world, hand) for hand in hands) == [0, 1, 1, 1, 1, 1]
    report = world.report
    assert report.exit_code == 3
    assert sorted(position["protected"] for position in report.positions) == [False] + [True] * 5


class Exhausted(WrappedVenue):
    """Takes no order any more once the first cancel has come: those used up its limit."""

    def __init__(self, venue: Any) -> None:
        super().__init__(venue)
        self.used_up = False

    def submit(self, order: OrderSpec) -> None:
        if self.used_up:
            raise VenueDown("the limit is used up")
        self._venue.submit(order)

    def cancel(self, order: Placed) -> None:
        self.used_up = True
        self._venue.cancel(order)


@virtual
async def test_a_stop_protects_before_its_cancels_use_up_the_limit(tmp_path: Path) -> None:
    """A position that was opened a moment ago is covered, although nothing is taken later."""
    world, hand = World(tmp_path), Hand()
    world.wrap = Exhausted
    async with world.open(hand, prices=QUIET):
        for _ in range(3):
            hand.buy("1", "70")
        hand.trader.market(ETH, "buy", "1")
        await until(partial(holds, hand, 1))
    report = world.report
    assert report.outcome == "clean"
    assert [position["protected"] for position in report.positions] == [True]
