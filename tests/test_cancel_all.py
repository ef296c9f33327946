"""A stop at a venue that cancels all that rests in an instrument by one request."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from tests.support.schedule import virtual
from tests.support.values import BTC, ETH
from tests.support.world import Hand, World, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import VenueError
from trade_runtime.model.orders import OrderReport
from trade_runtime.protocols import Placed


class Sweeper(WrappedVenue):
    """A paper venue that cancels all of an instrument, and counts what it is asked for."""

    def __init__(self, venue: Any) -> None:
        super().__init__(venue)
        self.asked: Counter[str] = Counter()
        self.silent = False
        self.loses = 0
        """How many requests for all get lost."""

    def cancel(self, order: Placed) -> None:
        self.asked["cancel"] += 1
        self._venue.cancel(order)

    def cancel_all(self, order: Placed) -> None:
        self.asked["cancel_all"] += 1
        if self.loses:
            self.loses -= 1
            return
        for report in self._venue.exchange.open_orders():
            if report.instrument == order.instrument:
                self._venue.cancel(report)

    async def open_orders(self) -> list[OrderReport]:
        if self.silent:
            await trio.sleep(0.6)
            raise VenueError("no answer")
        found: list[OrderReport] = await self._venue.open_orders()
        return found


class Stage:
    """A world whose venue sweeps."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sweeper: Sweeper | None = None
        world.wrap = self._wrap

    def _wrap(self, venue: Any) -> Sweeper:
        self.sweeper = Sweeper(venue)
        return self.sweeper

    @property
    def venue(self) -> Sweeper:
        assert self.sweeper is not None
        return self.sweeper


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(World(tmp_path))


@virtual
async def test_one_request_cancels_all_of_an_instrument(stage: Stage) -> None:
    """A request an instrument, however many orders rest; the venue proves that all are gone."""
    hand = Hand("hand", (ETH, BTC))
    async with stage.world.open(hand):
        stage.world.market.quote(1000.0, symbol="BTCUSDT")
        await trio.sleep(0.1)
        for number in range(100):
            hand.buy(price=str(90 - number / 10))
            hand.trader.limit(BTC, "buy", "1", 900 - number)
        await until(lambda: len(stage.world.resting()) == 200)
    assert Counter(cancel_all=2) == stage.venue.asked
    assert [] == stage.world.resting()
    assert {"open_at_stop": 200, "cancelled": 200} == {
        key: stage.world.report.orders[key] for key in ("open_at_stop", "cancelled")
    }
    assert "ok" == stage.world.stages["cancel"]


@virtual
async def test_where_a_stop_loss_rests_each_order_is_cancelled_by_itself(stage: Stage) -> None:
    """The stop-loss stays; in another instrument one request still does."""
    hand = Hand("hand", (ETH, BTC))
    async with stage.world.open(hand):
        stage.world.market.quote(1000.0, symbol="BTCUSDT")
        await trio.sleep(0.1)
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: len(hand.fills) == 1)
        hand.stop("1")
        for number in range(5):
            hand.buy(price=str(90 - number))
            hand.trader.limit(BTC, "buy", "1", 900 - number)
        await until(lambda: len(stage.world.resting()) == 11)
    assert Counter(cancel=5, cancel_all=1) == stage.venue.asked
    assert 1 == len(stage.world.resting(protective=True)) == len(stage.world.resting())
    assert "ok" == stage.world.stages["protect"]


@virtual
async def test_where_an_order_of_others_rests_it_stays(stage: Stage) -> None:
    """Nothing of others is taken along."""
    world, hand = stage.world, Hand()
    async with world.open(hand):
        for number in range(5):
            hand.buy(price=str(90 - number))
        await until(lambda: len(world.resting()) == 5)
        spec = hand.trader.open_orders()[0].spec
        world.exchange.submit(replace(spec, client_order_id="by-hand"))
    assert Counter(cancel=5) == stage.venue.asked
    assert ["by-hand"] == world.resting()


@virtual
async def test_a_request_that_gets_lost_is_made_again(stage: Stage) -> None:
    """The venue says what still rests, and one request more takes it."""
    hand = Hand()
    async with stage.world.open(hand):
        for number in range(20):
            hand.buy(price=str(90 - number))
        await until(lambda: len(stage.world.resting()) == 20)
        stage.venue.loses = 1
    assert Counter(cancel_all=2) == stage.venue.asked
    assert [] == stage.world.resting()


@virtual
async def test_a_venue_that_does_not_say_what_rests_gets_a_request_for_each(stage: Stage) -> None:
    """What may rest there unseen might not be ours; and waiting longer would cost the stop."""
    hand = Hand()
    async with stage.world.open(hand):
        for number in range(5):
            hand.buy(price=str(90 - number))
        await until(lambda: len(stage.world.resting()) == 5)
        stage.venue.silent = True
    assert 0 == stage.venue.asked["cancel_all"]
    assert [] == stage.world.resting()
