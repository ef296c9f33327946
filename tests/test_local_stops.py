"""A stop-loss that the runtime watches, on a spot account: the stop that rests makes way for it.

While it does, and where the exit then fails, the position must not stay bare: nothing here waits
for the market to say something more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, settle, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.model.events import Fill, OrderClosed, OrderRejected
from trade_runtime.model.ids import Currency, TradeId
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side

SPOT: dict[str, Any] = {
    "order_types": ["market", "limit", "stop_market"],
    "balances": {"USDT": "1000", "ETH": "0"},
}
"""A venue that cannot trail, and an account whose stop locks all that it has."""

GRACE_SECS = 5.0
"""Long, so that what happens at once cannot be taken for what happens after the grace."""

SETTINGS: dict[str, Any] = {
    "prices": {"stale_after_secs": 100_000, "ping_secs": 100_000},
    "paper": SPOT,
    "protection": {"grace_secs": GRACE_SECS},
}
SOON_SECS = 0.2
"""The way to the venue and back, twice."""


class _Swallows(WrappedVenue):
    """A venue to which the exit never comes: what became of it, the test tells."""

    def submit(self, order: OrderSpec) -> None:
        if (order.type, order.side) != (OrderType.MARKET, Side.SELL):
            self._venue.submit(order)


@asynccontextmanager
async def trailing(world: World, hand: Hand) -> AsyncIterator[Order]:
    """A position of 1 with a stop of the guard's that rests, and one that is watched here."""
    async with world.open(hand, **SETTINGS):
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: hand.quantity)
        order = hand.trader.stop_loss(ETH, "sell", "1", trail="2")
        await until(lambda: world.resting(protective=True), GRACE_SECS + 1)
        await trio.sleep(1)  # the guard has seen that it rests
        yield order


def covered(world: World) -> Decimal:
    """How much the stops at the venue would sell, by its own record."""
    rows = [world.record.orders[one] for one in world.resting(protective=True)]
    return sum((row.quantity - row.filled for row in rows), Decimal(0))


@virtual
async def test_a_market_that_falls_silent_does_not_hold_it_up(tmp_path: Path) -> None:
    """It goes when the guard's stop has gone, not with the next quote, which may never come."""
    world, hand = World(tmp_path), Hand()
    async with trailing(world, hand):
        world.market.quote(97.9)
        await trio.sleep(SOON_SECS)
        assert 0 == hand.quantity


@virtual
async def test_a_market_that_comes_back_does_not_call_it_off(tmp_path: Path) -> None:
    """Its trigger was reached and the guard's stop has gone: there is no way back."""
    world, hand = World(tmp_path), Hand()
    async with trailing(world, hand):
        world.market.quote(97.9)
        await trio.sleep(0.01)
        world.market.quote(99.0)
        await trio.sleep(SOON_SECS)
        assert 0 == hand.quantity


async def fallen(world: World, order: Order) -> None:
    """The market falls through the trigger; the guard's stop goes and the exit leaves."""
    world.market.quote(97.9)
    await trio.sleep(SOON_SECS)
    world.market.quote(97.9)
    await until(lambda: order.state is OrderState.SENT)
    assert 0 == covered(world)


@virtual
async def test_a_rejected_exit_has_the_position_protected_at_once(tmp_path: Path) -> None:
    """By a stop at the venue, without a grace, and without a word of the market."""
    world, hand = World(tmp_path), Hand()
    world.wrap = _Swallows
    async with trailing(world, hand) as order:
        await fallen(world, order)
        world.trading.orders.on_event(OrderRejected(order.id, "no", hand.trader.now_ns()))
        await trio.sleep(SOON_SECS)
        assert Decimal(1) == hand.quantity == covered(world)


@virtual
async def test_an_exit_that_is_filled_in_part_has_the_rest_protected_at_once(
    tmp_path: Path,
) -> None:
    """As soon as it has ended; and for what is left, not for what it was for."""
    world, hand = World(tmp_path), Hand()
    world.wrap = _Swallows
    async with trailing(world, hand) as order:
        await fallen(world, order)
        now = hand.trader.now_ns()
        part = Decimal("0.4")
        paid = part, Decimal("97.9"), Decimal(0), Currency("USDT")
        fill = Fill(order.id, order.instrument, TradeId("t"), Side.SELL, *paid, False, now)
        world.trading.orders.on_event(fill)
        await trio.sleep(SOON_SECS)
        assert 0 == covered(world)  # the rest of it may fill yet
        world.trading.orders.on_event(
            OrderClosed(order.id, ReportStatus.EXPIRED, part, now, "no more there")
        )
        await trio.sleep(SOON_SECS)
        assert Decimal("0.6") == hand.quantity == covered(world)


@virtual
async def test_an_exit_that_is_called_off_has_the_position_protected_at_once(
    tmp_path: Path,
) -> None:
    """The strategy cancels it just when the guard's stop is leaving."""
    world, hand = World(tmp_path), Hand()
    async with trailing(world, hand) as order:
        world.market.quote(97.9)
        await settle()
        hand.trader.cancel(order)
        await trio.sleep(SOON_SECS)
        assert Decimal(1) == hand.quantity == covered(world)


@virtual
async def test_an_exit_that_may_not_leave_has_the_position_protected_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate is against it: the order is dropped, and what made way for it is put back."""
    world, hand = World(tmp_path), Hand()
    async with trailing(world, hand) as order:
        gate = world.trading.orders.gate
        check = gate.check

        def refuse(spec: OrderSpec, *args: Any, **how: Any) -> None:
            if spec.client_order_id == order.id:
                raise OrderRefused("risk", "a test")
            check(spec, *args, **how)

        monkeypatch.setattr(gate, "check", refuse)
        world.market.quote(97.9)
        await trio.sleep(SOON_SECS)
        world.market.quote(97.9)
        await trio.sleep(SOON_SECS)
        assert OrderState.DROPPED is order.state
        assert Decimal(1) == hand.quantity == covered(world)


@virtual
async def test_one_whose_position_is_gone_does_not_open_another(tmp_path: Path) -> None:
    """The guard's stop, lower than it, filled while it was to make way: nothing is left to sell."""
    world, hand = World(tmp_path), Hand()
    world.wrap = _Swallows
    async with trailing(world, hand) as order:
        world.market.quote(97.9)
        world.market.quote(90.0)
        await trio.sleep(SOON_SECS)
        world.market.quote(89.0)
        await trio.sleep(SOON_SECS)
        assert 0 == hand.quantity
        assert OrderState.DROPPED is order.state
