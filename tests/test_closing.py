"""The closer: a position goes at the market, and is protected again where it could not go."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.values import BTC, ETH
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import OrderRefused, RuntimeFault
from trade_runtime.machines.order import OrderUpdate
from trade_runtime.managers.closing import CLOSE_WITHIN_NS
from trade_runtime.managers.protect import GUARD_NS
from trade_runtime.model.orders import OrderType
from trade_runtime.runtime import create_runtime

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}
EXACT: dict[str, Any] = {"balances": {"USDT": "1000"}}
"""A spot account with no more of the base currency than the position: the stop locks all of it."""

LATENCY_SECS = 0.02


async def hold(hand: Hand, quantity: str = "1") -> None:
    """Be long, with a stop at 80 that rests."""
    hand.trader.market(ETH, "buy", quantity)
    await until(lambda: hand.quantity == Decimal(quantity))
    stop = hand.stop(quantity, "80")
    await until(lambda: stop.state == "open")


@virtual
async def test_flatten_makes_room_and_closes(tmp_path: Path) -> None:
    """The stop locks what the order needs: it goes first, then the position; the bid goes too."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET, paper=EXACT):
        await hold(hand)
        hand.buy("1", "70")
        await settle()
        hand.trader.flatten(reason="enough")
        await until(lambda: hand.quantity == 0)
        await settle()
        assert [] == world.resting()
        (closed,) = [r for r in world.record.orders.values() if r.side == "sell" and r.filled]
        assert (OrderType.MARKET, True) == (closed.type, closed.reduce_only)
        assert [] == world.history("reject")
        hand.buy("1", "70")  # the strategy trades on
    assert "clean" == world.report.outcome


@virtual
async def test_a_position_that_could_not_be_closed_is_protected_again(tmp_path: Path) -> None:
    """The venue rejects the closing order: the stop is put back within the documented time."""
    world, hand = World(tmp_path), Hand()
    no = {"kind": "reject", "on": "submit", "after_secs": 10.0, "for_secs": 0.5}
    with capture_logs() as logs:
        async with world.open(hand, prices=QUIET, paper={**EXACT, "faults": [no]}):
            await hold(hand)
            await trio.sleep_until(10.1)
            hand.trader.flatten(ETH, "enough")
            await until(lambda: not world.resting(protective=True))
            bare_at = trio.current_time()
            await until(lambda: world.resting(protective=True))
            grace_secs = 1.0
            assert trio.current_time() - bare_at <= grace_secs + GUARD_NS / 1e9 + 2 * LATENCY_SECS
            assert Decimal(1) == hand.quantity
    (line,) = [line for line in logs if line["event"] == "Position could not be closed"]
    assert ("error", "enough") == (line["log_level"], line["why"])
    assert "rejected" in line["problem"]
    assert world.report.positions[0]["protected"] is True


@virtual
async def test_an_answer_that_never_comes_ends_in_protection(tmp_path: Path) -> None:
    """The venue swallows the closing order: given up in time, and the stop is back."""
    world, hand = World(tmp_path), Hand()
    lost = {"kind": "drop", "on": "submit", "after_secs": 10.0, "for_secs": 1.0}
    async with world.open(hand, prices=QUIET, paper={**EXACT, "faults": [lost]}):
        await hold(hand)
        await trio.sleep_until(10.1)
        hand.trader.flatten()
        await until(lambda: not world.resting(protective=True))
        bare_at = trio.current_time()
        await until(lambda: world.resting(protective=True))
        assert trio.current_time() - bare_at <= (CLOSE_WITHIN_NS + GUARD_NS) / 1e9 + 0.2
        assert Decimal(1) == hand.quantity


@virtual
async def test_a_strategy_that_replaces_its_stop_does_not_get_in_the_way(tmp_path: Path) -> None:
    """It answers the end of its stop with a new one, which would lock the balance again."""

    class Careful(Hand):
        refused = ""

        def on_order(self, event: OrderUpdate) -> None:
            if event.order.spec.protective and event.kind == "cancelled" and self.quantity:
                try:
                    self.stop("1", "80")
                except OrderRefused as refused:
                    self.refused = refused.reason

    world, hand = World(tmp_path), Careful()
    async with world.open(hand, prices=QUIET, paper=EXACT):
        await hold(hand)
        hand.trader.flatten()
        await until(lambda: hand.quantity == 0)
        assert "reduce_only" == hand.refused
        assert [] == world.history("reject")


@virtual
async def test_more_than_the_market_shows(tmp_path: Path) -> None:
    """Ten to sell and three are displayed: what was filled shows that it goes on, with the rest."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET, paper={"balances": {"USDT": "2000"}}):
        await hold(hand, "10")
        world.market.quote(100.0, size=3)
        await settle()
        hand.trader.flatten()
        for tenth in range(8):
            await trio.sleep(0.1)
            world.market.quote(99.9 - tenth / 10, size=3)
        await until(lambda: hand.quantity == 0)


@virtual
async def test_an_operator_flattens_everything_also_while_halted(tmp_path: Path) -> None:
    """Every strategy's positions, long and short; a strategy itself may not while halted."""
    world, hand, other = World(tmp_path), Hand(), Hand("other", (ETH, BTC))
    async with world.open(hand, other, prices=QUIET) as runtime:
        await hold(hand)
        other.trader.market(ETH, "sell", "2")
        await until(lambda: other.quantity == -2)
        runtime.halt("by hand")
        with pytest.raises(OrderRefused, match="halted"):
            hand.trader.flatten()
        runtime.flatten("by hand")
        runtime.flatten("by hand")  # once more changes nothing
        await until(lambda: not hand.quantity and not other.quantity)
        await until(lambda: not world.resting())
        assert 2 == len(hand.fills) == len(other.fills)


@virtual
async def test_one_instrument_of_a_strategy(tmp_path: Path) -> None:
    """What it holds and has resting elsewhere stays; one that is not its own is refused."""
    world, hand = World(tmp_path), Hand(instruments=(ETH, BTC))
    async with world.open(hand, prices=QUIET):
        world.market.quote(50.0, symbol="BTCUSDT")
        await settle()
        await hold(hand)
        hand.trader.market(BTC, "buy", "1")
        bid = hand.trader.limit(BTC, "buy", "1", "40")
        await until(lambda: hand.trader.position(BTC).quantity == 1 and bid.state == "open")
        hand.trader.flatten(ETH)
        await until(lambda: hand.quantity == 0)
        assert Decimal(1) == hand.trader.position(BTC).quantity
        assert bid.is_live
        with pytest.raises(OrderRefused, match="instrument"):
            hand.trader.flatten("DOGEUSDT.paper")


@virtual
async def test_a_stop_of_the_runtime_comes_first(tmp_path: Path) -> None:
    """In the middle of a close: the position is protected or gone, and the stop is clean."""
    for steps in range(0, 60, 3):
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=EXACT):
            await hold(hand)
            hand.trader.flatten()
            await trio.sleep(steps / 1_000)
        assert (0, "clean") == (world.report.exit_code, world.report.outcome), steps
        assert all(position["protected"] for position in world.report.positions)
        assert len(world.report.positions) == len(world.resting(protective=True))


@virtual
async def test_a_position_that_overstays_is_closed_though_its_stop_locks_it(
    tmp_path: Path,
) -> None:
    """`max_position_action = "close"` uses the same closer."""
    world, hand = World(tmp_path), Hand()
    risk = {"max_position_secs": 60, "max_position_action": "close"}
    async with world.open(hand, risk=risk, prices=QUIET, paper=EXACT):
        await hold(hand)
        await trio.sleep(62)
        assert (Decimal(0), []) == (hand.quantity, world.resting())
        assert [] == world.history("reject")


def test_before_it_runs_there_is_nothing_to_halt(tmp_path: Path) -> None:
    """An operator who is too early is told so."""
    world = World(tmp_path)
    runtime = create_runtime(world.settings({}), strategies=[], plugins=world.plugins)
    for act in (runtime.halt, runtime.reduce_only, runtime.flatten, runtime.resume):
        with pytest.raises(RuntimeFault, match="not open yet"):
            act("why")
