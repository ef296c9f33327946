"""Orders that others placed on the account: left alone, cancelled, or taken over."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from msgspec.structs import replace

from tests.support.schedule import virtual
from tests.support.values import BTC, ETH, SELL, fill, spec
from tests.support.world import Hand, World, until
from trade_runtime.errors import ConfigError, OrderRefused
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.differences import Past
from trade_runtime.managers.strategies import check_strategies
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import FOREIGN, ClientOrderId, TradeId, VenueOrderId
from trade_runtime.model.orders import OrderSpec, OrderType
from trade_runtime.model.records import OrderClaimed

HAND_MADE = ClientOrderId("web_4711")
LOOKS = {"reconcile_secs": 1}


def by_hand(world: World, **how: Any) -> OrderSpec:
    """Somebody places an order at the exchange, past the runtime."""
    order = spec(HAND_MADE, **({"price": "90"} | how))
    world.exchange.submit(order)
    return order


def position(world: World) -> Decimal:
    return world.trading.orders.trading.ledger.position(FOREIGN, ETH).quantity


@virtual
async def test_by_default_it_is_left_alone_and_the_report_tells_it(tmp_path: Path) -> None:
    """Neither counted nor cancelled."""
    world = World(tmp_path)
    async with world.open(Hand(), orders=LOOKS):
        by_hand(world)
        await trio.sleep(3)
        assert [] == world.trading.orders.trading.entries()
    assert [HAND_MADE] == world.resting()
    assert {"claimed": 0, "cancelled": 0, "left": [HAND_MADE]} == world.report.orders["foreign"]
    assert 0 == world.report.exit_code


@virtual
async def test_it_is_cancelled_where_that_is_configured(tmp_path: Path) -> None:
    """As soon as it is found; the report counts it."""
    world = World(tmp_path)
    async with world.open(Hand(), orders=LOOKS, paper={"foreign_orders": "cancel"}):
        by_hand(world)
        await until(lambda: not world.resting(), 3)
    assert {"claimed": 0, "cancelled": 1, "left": []} == world.report.orders["foreign"]
    assert [] == world.intents()


@pytest.mark.parametrize("policy", ["cancel", "claim"])
@virtual
async def test_a_stop_loss_of_others_is_left_alone_whatever_is_configured(
    tmp_path: Path, policy: str
) -> None:
    """It may be all that protects a position that is not ours."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, orders=LOOKS, paper={"foreign_orders": policy}):
        by_hand(world, side=SELL, price=None, trigger="80")
        await trio.sleep(3)
    assert [HAND_MADE] == world.resting()
    assert [HAND_MADE] == world.report.orders["foreign"]["left"]


CLAIM = {"foreign_orders": "claim"}


@virtual
async def test_a_claimed_order_counts_in_risk_and_is_cancelled_by_the_stop(tmp_path: Path) -> None:
    """It is the order of `foreign`; the journal has it before anything else is decided of it."""
    world, hand = World(tmp_path), Hand()
    risk = {"max_position": {ETH: "3"}}
    async with world.open(hand, orders=LOOKS, risk=risk, paper=CLAIM):
        by_hand(world, quantity="2.5")
        await until(lambda: bool(world.trading.orders.trading.entries()), 3)
        (order,) = world.trading.orders.trading.entries()
        assert (HAND_MADE, FOREIGN) == (order.id, order.strategy)
        assert [HAND_MADE] == claims(world)
        with pytest.raises(OrderRefused, match="max_position"):
            hand.buy("1")
        hand.buy("0.5")
        await trio.sleep(0.5)
    assert [] == world.resting()
    assert {"claimed": 1, "cancelled": 0, "left": []} == world.report.orders["foreign"]
    assert 2 == world.report.orders["cancelled"]
    assert 0 == world.report.exit_code


def claims(world: World) -> list[ClientOrderId]:
    return [e.spec.client_order_id for e in world.journal() if isinstance(e, OrderClaimed)]


@virtual
async def test_its_fills_are_booked_and_its_position_protected(tmp_path: Path) -> None:
    """From the claim on, and after a restart once each."""
    world = World(tmp_path)
    async with world.open(Hand(), orders=LOOKS, paper=CLAIM):
        by_hand(world)
        await until(lambda: bool(world.trading.orders.trading.entries()), 3)
        world.market.quote(89.5, 89.9)
        await until(lambda: position(world) == 1)
        await until(lambda: len(world.resting(protective=True)) == 1, 5)
    assert [True] == [one["protected"] for one in world.report.positions]
    async with world.open(Hand(), orders=LOOKS, paper=CLAIM):
        await trio.sleep(3)
        assert position(world) == 1
        assert 1 == sum(isinstance(event, Fill) for event in world.journal())
    assert 0 == world.report.exit_code


@virtual
async def test_what_it_had_filled_before_is_not_ours(tmp_path: Path) -> None:
    """Only what fills after the claim is in the position, and nothing is left open."""
    world = World(tmp_path)
    async with world.open(Hand(), orders={"reconcile_secs": 5}, paper=CLAIM):
        world.market.quote(100.0, size=0.4)
        await trio.sleep(0.1)
        by_hand(world, price="100.1")  # takes 0.4 of 1 at once
        await until(lambda: bool(world.trading.orders.trading.entries()), 6)
        (order,) = world.trading.orders.trading.entries()
        assert (Decimal("0.4"), Decimal("0.6")) == (order.filled, order.remaining)
        assert position(world) == 0
        world.market.quote(99.0, 99.5)
        await until(lambda: position(world) == Decimal("0.6"))
        await trio.sleep(6)
        assert position(world) == Decimal("0.6")
        assert [] == world.trading.orders.trading.entries()
    assert 0 == world.report.exit_code


@virtual
async def test_one_in_an_instrument_that_is_not_traded_here_is_left_alone(tmp_path: Path) -> None:
    """It has no rules and no prices here: what it becomes could not be protected."""
    world = World(tmp_path)
    async with world.open(Hand(), orders=LOOKS, paper=CLAIM):
        rules = world.trading.orders.prices.instruments[ETH]
        world.exchange.adopt([*world.trading.orders.prices.instruments.values()])
        world.exchange.adopt([attrs.evolve(rules, id=BTC)])
        by_hand(world, instrument=BTC)
        await trio.sleep(3)
        assert [] == world.trading.orders.trading.entries()
    assert [HAND_MADE] == world.report.orders["foreign"]["left"]


def test_a_claimed_order_survives_a_snapshot() -> None:
    """With what it had filled before, and the fills that are not ours."""
    state = TradingState()
    asked = replace(spec(HAND_MADE), strategy=FOREIGN)
    state.apply(OrderClaimed(asked, VenueOrderId("v"), Decimal("0.25"), [TradeId("7")], 5))
    again = TradingState.of(state.image())
    assert state.hash() == again.hash()
    order = again.orders[HAND_MADE]
    assert Decimal("0.75") == order.remaining
    assert again.knows_fill(fill(HAND_MADE, "0.25", trade_id="7"))
    assert not again.knows_fill(fill(HAND_MADE, "0.25", trade_id="8"))
    assert not again.never_intended(HAND_MADE)
    assert 0 == again.intents
    assert OrderType.LIMIT is order.type


def test_a_hand_that_looks_knows_what_was_claimed() -> None:
    """`reconcile` counts what filled before the claim as others', and no difference."""
    past = Past()
    asked = replace(spec(HAND_MADE), strategy=FOREIGN)
    past.take(OrderClaimed(asked, VenueOrderId("v"), Decimal(1), [TradeId("7")], 5))
    assert {(ETH, "7")} == past.before_claim
    assert FOREIGN == past.intents[HAND_MADE].strategy


def test_no_strategy_has_the_name() -> None:
    """Its positions would be mixed with those of others."""
    with pytest.raises(ConfigError, match="owns orders of others"):
        check_strategies([Hand("foreign")])
