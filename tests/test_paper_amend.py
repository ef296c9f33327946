"""Changing an order that rests at the paper exchange: its numbers, its place, its money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.paper_world import BALANCES, World
from trade_runtime.model.orders import Side
from trade_runtime.venues.paper import MemoryRecord, PaperSettings


@pytest.fixture
def world() -> World:
    """An exchange with 10,000 USDT and 5 ETH, whose market is 99 x 1 to 100 x 1."""
    world = World()
    world.sees(99, 100)
    return world


def test_new_numbers_hold_from_then_on(world: World) -> None:
    world.buy("a", "1", "98")
    assert world.amend("a", "2", "97") == "a amended 2 97"
    assert world.sees(96, 98) == ""
    assert world.sees(96, 97, 1, 5) == "a made 2 @ 97; a filled 2"


def test_less_keeps_the_place_and_all_else_loses_it(world: World) -> None:
    for name in ("a", "b", "c", "d"):
        world.buy(name, "1", "98")
    world.amend("a", "0.5", "98")
    world.amend("b", "1.5", "98")
    world.amend("c", "1", "97")
    world.amend("c", "1", "98")
    assert world.trades(98, 3.5, Side.SELL) == (
        "a made 0.5 @ 98; a filled 0.5; d made 1 @ 98; d filled 1;"
        " b made 1.5 @ 98; b filled 1.5; c made 0.5 @ 98"
    )


def test_the_place_survives_a_restart(world: World) -> None:
    world.buy("a", "1", "98")
    world.buy("b", "1", "98")
    world.amend("a", "2", "98")
    world.reopen()
    assert world.trades(98, 1, Side.SELL) == "b made 1 @ 98; b filled 1"


def test_a_limit_that_now_crosses_takes(world: World) -> None:
    world.buy("a", "2", "98")
    assert world.amend("a", "2", "100") == "a amended 2 100; a took 1 @ 100"
    assert world.resting == ["a"]


def test_a_quantity_at_what_is_filled_ends_the_order(world: World) -> None:
    world.buy("a", "1", "98")
    world.trades(98, 0.4, Side.SELL)
    assert world.amend("a", "0.4", "98") == "a cancelled 0.4 (amended to what is filled)"
    assert world.free("USDT") == world.usdt


def test_what_is_filled_counts_in_the_new_quantity(world: World) -> None:
    world.buy("a", "1", "98")
    world.trades(98, 0.4, Side.SELL)
    world.amend("a", "0.6", "98")
    assert world.trades(98, 5, Side.SELL) == "a made 0.2 @ 98; a filled 0.6"


def test_funds_are_locked_anew(world: World) -> None:
    world.buy("a", "50", "98")
    assert world.amend("a", "102", "98") == "a amend rejected (insufficient balance)"
    assert world.free("USDT") == Decimal(10_000) - 50 * 98 * Decimal("1.001")
    assert world.amend("a", "101", "98") == "a amended 101 98"
    assert world.free("USDT") == Decimal(10_000) - 101 * 98 * Decimal("1.001")
    world.amend("a", "1", "98")
    assert world.free("USDT") == Decimal(10_000) - 98 * Decimal("1.001")


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("1", "98.001", "is not a positive multiple of 0.01"),
        ("0.00001", "98", "is not a positive multiple of 0.0001"),
        ("1", None, "limit order without a price"),
        ("0.01", "98", "notional 0.98 is below 5"),
        ("1", "100", "post-only order would take liquidity"),
    ],
)
def test_refused_as_a_new_order_would_be_and_nothing_changes(
    world: World, quantity: str, price: str | None, reason: str
) -> None:
    world.buy("a", "1", "98", post_only=True)
    before = world.record.load().live
    assert reason in world.amend("a", quantity, price)
    assert world.record.load().live == before
    assert world.trades(98, 1, Side.SELL) == "a made 1 @ 98; a filled 1"


def test_a_trigger_moves_but_not_past_the_market(world: World) -> None:
    world.sell("a", "1", trigger="95")
    assert world.amend("a", "1", trigger="99") == (
        "a amend rejected (order would trigger immediately)"
    )
    assert world.amend("a", "1", trigger="96") == "a amended 1 96"
    assert world.sees(96, 97) == "a took 1 @ 96; a filled 1"


def test_an_order_that_woke_keeps_its_trigger(world: World) -> None:
    """It is a limit order by then; its trigger is history."""
    world.sell("a", "2", "98", trigger="95")
    world.trades(95, 1, Side.SELL)
    assert world.amend("a", "2", "110", "90") == "a amended 2 110 95"
    assert world.sees(105, 106) == ""


def test_a_trailing_stop_keeps_its_trail(world: World) -> None:
    """Without a new trigger it stays where it stands."""
    world.sell("a", "1", trail="2")
    assert world.amend("a", "2") == "a amended 2 97"
    assert world.amend("a", "2", trigger="98") == "a amended 2 98"
    world.sees(101, 102)
    assert world.trigger("a") == 99


def test_only_what_lives_can_be_amended(world: World) -> None:
    world.buy("a", "1")
    assert world.amend("a", "2") == "a amend rejected (order is filled)"
    assert world.amend("b", "2") == "b amend rejected (unknown order)"


def test_a_venue_that_does_not_amend_says_so() -> None:
    world = World(settings=PaperSettings(balances=BALANCES, amend=False))
    world.buy("a", "1", "98")
    assert world.amend("a", "2", "98") == "a amend rejected (amends are not offered)"
    assert world.exchange.capabilities.amend is False


def test_the_history_tells_request_and_outcome(world: World) -> None:
    world.buy("a", "1", "98")
    world.amend("a", "2", "97")
    world.amend("a", "2", "97.001")
    world.amend("a", "0")
    assert isinstance(world.record, MemoryRecord)
    assert [row.event for row in world.record.history[3:]] == [
        "amend_request",
        "amend",
        "amend_request",
        "amend_reject",
        "amend_request",
        "cancel",
    ]
    assert world.record.history[4].detail["quantity"] == "2"
