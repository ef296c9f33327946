"""Groups of orders at the paper exchange: each fill of one takes the place of the others'."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.paper_world import BALANCES, World
from trade_runtime.model.orders import Side
from trade_runtime.venues.paper import PaperSettings, checks

FEE = Decimal("1.001")


@pytest.fixture
def world() -> World:
    """5 ETH at a market of 99 x 1 to 100 x 1, with a profit and a stop that share all of it."""
    world = World()
    world.sees(99, 100)
    world.sell("profit", "5", "105", oco="g")
    world.sell("stop", "5", trigger="95", oco="g")
    return world


def test_share_what_they_lock(world: World) -> None:
    """Neither could be placed beside the other if each locked for itself."""
    assert world.resting == ["profit", "stop"]
    assert world.free("ETH") == 0


def test_a_part_of_one_makes_the_others_smaller_at_once(world: World) -> None:
    assert world.trades(105, 2, Side.BUY) == "profit made 2 @ 105; stop amended 3 95"
    assert world.free("ETH") == 0
    assert world.sees(94, 96, 9, 9) == (
        "stop took 3 @ 94; profit cancelled 2 (group g: order stop filled in its place);"
        " stop filled 3"
    )
    assert world.eth == 0


def test_all_of_one_ends_the_others(world: World) -> None:
    assert world.trades(105, 9, Side.BUY) == (
        "profit made 5 @ 105; stop cancelled 0 (group g: order profit filled in its place);"
        " profit filled 5"
    )
    assert world.resting == []


def test_a_cancel_of_one_leaves_the_others_with_their_funds(world: World) -> None:
    assert world.cancel("profit") == "profit cancelled 0"
    assert world.resting == ["stop"]
    assert world.free("ETH") == 0
    world.cancel("stop")
    assert world.free("ETH") == 5


def test_the_larger_one_may_go_on_with_what_the_smaller_did_not_have(world: World) -> None:
    world.sell("near", "2", "104", oco="g")
    assert world.trades(104, 2, Side.BUY) == (
        "near made 2 @ 104; profit amended 3 105; stop amended 3 95; near filled 2"
    )
    world.sell("small", "1", "104", oco="g")
    assert world.trades(105, 2, Side.BUY) == (
        "small made 1 @ 104; profit amended 2 105; stop amended 2 95; small filled 1;"
        " profit made 1 @ 105; stop amended 1 95"
    )
    assert world.free("ETH") == 0


def test_two_that_wake_together_sell_no_more_than_there_is(world: World) -> None:
    """The second has woken, and is in no book, when the first fill makes it smaller."""
    world.sell("deeper", "5", trigger="94", oco="g")
    told = world.sees(93, 94, 4, 4)
    assert told.startswith("stop took 4 @ 93; profit amended 1 105; deeper amended 1 94")
    assert world.sees(92, 93, 4, 4).startswith("stop took 1 @ 92")
    assert (world.eth, world.resting) == (Decimal(0), [])


def test_survive_a_restart_with_one_lock(world: World) -> None:
    world.trades(105, 2, Side.BUY)
    world.reopen()
    assert world.trades(105, 1, Side.BUY) == "profit made 1 @ 105; stop amended 2 95"
    world.cancel("stop")
    world.cancel("profit")
    assert world.free("ETH") == world.eth == 2


def test_an_amend_of_one_leaves_the_others_and_locks_the_largest(world: World) -> None:
    assert world.amend("stop", "3", trigger="95") == "stop amended 3 95"
    assert world.amend("stop", "6", trigger="95") == "stop amend rejected (insufficient balance)"
    assert world.amend("profit", "3", "105") == "profit amended 3 105"
    assert world.free("ETH") == 2


class TestBuys:
    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.sees(99, 100)
        return world

    def test_lock_the_largest_at_the_dearest_price(self, world: World) -> None:
        """A dear fill of the small one must not take what the cheap large one has locked."""
        world.buy("large", "90", "98", oco="g")
        locked = 10_000 - world.free("USDT")
        assert locked == 90 * 98 * FEE
        assert world.buy("small", "10", trigger="110", oco="g") == "small accepted"
        assert 10_000 - world.free("USDT") == 90 * 110 * FEE
        world.sees(109, 110, 20, 20)
        assert world.free("USDT") >= 0
        assert 10_000 - 10 * 110 * FEE - world.free("USDT") == 80 * 98 * FEE

    def test_refused_where_that_is_too_dear(self, world: World) -> None:
        world.buy("large", "90", "98", oco="g")
        told = world.buy("small", "10", trigger="112", oco="g")
        assert told == "small rejected (insufficient balance)"

    def test_what_slips_past_its_trigger_ends_those_it_leaves_no_money_for(
        self, world: World
    ) -> None:
        """The stop wakes far above its trigger and spends what the limit order counted on."""
        world.buy("limit", "80", "98", oco="g")
        world.buy("stop", "80", trigger="110", oco="g")
        told = world.sees(199, 200, 45, 45)
        assert told == "stop took 45 @ 200; limit expired 0 (insufficient balance)"
        assert world.resting == ["stop"]
        assert world.free("USDT") >= 0


class TestRefusals:
    def test_of_another_side(self, world: World) -> None:
        reason = "(the orders of a group are of one instrument and side)"
        assert world.buy("b", "1", "90", oco="g") == f"b rejected {reason}"

    def test_of_a_market_order(self, world: World) -> None:
        assert world.sell("m", "1", oco="g") == (
            "m rejected (a market order cannot be one of a group)"
        )

    def test_of_one_too_many(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checks, "MAX_GROUP_ORDERS", 2)
        assert world.sell("c", "1", "106", oco="g") == "c rejected (too many orders in the group)"

    def test_of_a_venue_that_holds_none(self) -> None:
        world = World(settings=PaperSettings(balances=BALANCES, oco=False))
        world.sees(99, 100)
        assert world.sell("a", "1", "105", oco="g") == "a rejected (groups are not offered)"
        assert world.exchange.capabilities.oco is False


def test_a_group_that_has_ended_is_another_one_next_time(world: World) -> None:
    world.trades(105, 9, Side.BUY)
    assert world.buy("b", "1", "90", oco="g") == "b accepted"
