"""The protection guard: no open position without a stop that rests, and none without a position."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, settle, until
from trade_runtime.machines.order import OrderUpdate
from trade_runtime.model.orders import OrderType

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}
ONE = Decimal(1)


def stops(world: World) -> dict[str, tuple[Decimal, Decimal | None]]:
    """The stops that rest at the venue: quantity and trigger."""
    rows = [world.record.orders[order_id] for order_id in world.resting(protective=True)]
    return {row.client_order_id: (row.quantity, row.trigger_price) for row in rows}


async def hold(hand: Hand, quantity: str = "1") -> None:
    """Be long, as of now."""
    before = hand.quantity
    hand.trader.market(ETH, "buy", quantity)
    await until(lambda: hand.quantity == before + Decimal(quantity))


class TestPlacing:
    """A missing stop is placed, after the strategy had its chance."""

    @virtual
    async def test_after_the_grace(self, tmp_path: Path) -> None:
        """Not before `grace_secs`; 5 % below the average price, on the tick, reduce-only."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, protection={"grace_secs": 2}):
            await hold(hand)
            await trio.sleep(1.9)
            assert {} == stops(world)
            await trio.sleep(0.6)
            ((order_id, found),) = stops(world).items()
            assert (ONE, Decimal("95.09")) == found
            row = world.record.orders[order_id]  # type: ignore[index]
            assert (OrderType.STOP_MARKET, True) == (row.type, row.reduce_only)

    @virtual
    async def test_a_strategy_that_brings_its_own_in_time(self, tmp_path: Path) -> None:
        """Nothing is added to it."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            own = hand.stop("1", "97")
            await trio.sleep(10)
            assert {own.id: (ONE, Decimal(97))} == stops(world)

    @virtual
    async def test_a_position_that_grows_is_covered_further(self, tmp_path: Path) -> None:
        """The difference, at the price that the strategy chose last."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            hand.stop("1", "97")
            await trio.sleep(1)
            await hold(hand, "0.5")
            await trio.sleep(3)
            assert [(ONE, Decimal(97)), (Decimal("0.5"), Decimal(97))] == list(
                stops(world).values()
            )

    @virtual
    async def test_a_short_position_is_covered_above(self, tmp_path: Path) -> None:
        """A buy stop, 5 % above."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            hand.trader.market(ETH, "sell", "1")
            await trio.sleep(3)
            assert [(ONE, Decimal(105))] == list(stops(world).values())

    @virtual
    async def test_one_that_was_taken_away_by_hand_is_placed_again(self, tmp_path: Path) -> None:
        """At the venue's own screen: at the same price."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, orders={"reconcile_secs": 2}):
            await hold(hand)
            lost = hand.stop("1", "97")
            await trio.sleep(1)
            world.exchange.cancel(lost.id)
            await trio.sleep(5)
            ((order_id, found),) = stops(world).items()
            assert (True, (ONE, Decimal(97))) == (order_id != lost.id, found)

    @virtual
    async def test_where_the_market_is_beyond_the_stop(self, tmp_path: Path) -> None:
        """The wanted price would trigger at once: off the market instead."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            world.market.quote(80, 80.1)
            await trio.sleep(3)
            assert [(ONE, Decimal(76))] == list(stops(world).values())

    @virtual
    async def test_a_short_whose_old_trigger_is_where_the_market_is(self, tmp_path: Path) -> None:
        """The ask is exactly the wanted trigger, which a venue would refuse: off the average."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, orders={"reconcile_secs": 1}):
            hand.trader.market(ETH, "sell", "1")
            await until(lambda: hand.quantity == -1)
            old = hand.trader.stop_loss(ETH, "buy", "1", "103")
            await until(lambda: stops(world))
            world.exchange.cancel(old.id)
            world.market.quote(102.9, 103.0)
            await trio.sleep(5)
            assert [(ONE, Decimal(105))] == list(stops(world).values())
            assert [] == world.history("reject")


class TestRefused:
    """What cannot be covered is said, and tried again without a flood."""

    @virtual
    async def test_without_a_price_it_is_only_reported(self, tmp_path: Path) -> None:
        """No stop_pct and no stop of the strategy's own: one error in the log, not one a second."""
        world, hand = World(tmp_path), Hand()
        with capture_logs() as logs:
            async with world.open(hand, protection={"stop_pct": None}, prices=QUIET):
                await hold(hand)
                await trio.sleep(60)
        (line,) = [line for line in logs if line["event"] == "Position is not protected"][:1]
        assert ("hand", "1") == (line["strategy"], line["quantity"])
        assert "no stop_pct is configured" in line["problem"]
        assert 1 == len([line for line in logs if line["event"] == "Position is not protected"])
        assert (3, False) == (world.report.exit_code, world.report.positions[0]["protected"])

    @virtual
    async def test_a_venue_that_rejects_every_stop(self, tmp_path: Path) -> None:
        """Tried every few seconds, not every turn; reported; covered once the venue takes one."""
        world, hand = World(tmp_path), Hand()
        no = {"kind": "reject", "on": "submit", "after_secs": 1.0, "for_secs": 60.0}
        with capture_logs() as logs:
            async with world.open(hand, paper={"faults": [no]}, prices=QUIET):
                await hold(hand)
                await trio.sleep_until(60)
                assert 15 <= len(world.history("reject")) <= 40
                await until(lambda: stops(world))
        assert (0, True) == (world.report.exit_code, world.report.positions[0]["protected"])
        assert "Position is not protected" in [line["event"] for line in logs]

    @virtual
    async def test_a_position_below_the_venues_minimum(self, tmp_path: Path) -> None:
        """Dust that no order is allowed for: said, and the stop tells it is not covered."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            hand.buy("0.1", "99")
            await until(world.resting)
            world.market.quote(98, 98.5, size=0.01)
            await until(lambda: hand.quantity == Decimal("0.01"))
            world.market.quote(100)
            hand.trader.cancel_all()
            await trio.sleep(5)
            assert {} == stops(world)
        assert 3 == world.report.exit_code
        assert "below the venue's minimum" in world.report.stages[2].detail


class TestSuperfluous:
    """A stop without its position could open one."""

    @virtual
    async def test_a_closed_position_takes_its_stop_with_it(self, tmp_path: Path) -> None:
        """At once, without grace."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            hand.stop("1", "97")
            await until(lambda: stops(world))
            hand.trader.market(ETH, "sell", "1")
            await until(lambda: hand.quantity == 0)
            await trio.sleep(0.5)
            assert {} == stops(world)

    @virtual
    async def test_a_smaller_position_gets_a_smaller_stop(self, tmp_path: Path) -> None:
        """Never uncovered meanwhile, in the exchange's own history."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand, "3")
            hand.stop("3", "97")
            await until(lambda: stops(world))
            hand.trader.market(ETH, "sell", "2")
            for _ in range(300):
                await trio.sleep(0.01)
                assert sum((q for q, _ in stops(world).values()), Decimal(0)) >= hand.quantity
            assert [(ONE, Decimal(97))] == list(stops(world).values())

    @virtual
    async def test_a_position_that_turned_over(self, tmp_path: Path) -> None:
        """The old stop goes, the new position gets one on its own side."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            old = hand.stop("1", "97")
            await until(lambda: stops(world))
            hand.trader.market(ETH, "sell", "3")
            await trio.sleep(3)
            ((order_id, found),) = stops(world).items()
            assert (True, (Decimal(2), Decimal(105))) == (order_id != old.id, found)

    @virtual
    async def test_a_stop_that_woke_leaves_nothing(self, tmp_path: Path) -> None:
        """Flat, nothing resting, nothing to report."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            hand.stop("1", "97")
            await until(lambda: stops(world))
            world.market.quote(96)
            await until(lambda: hand.quantity == 0)
            await trio.sleep(3)
            assert [] == world.resting()
        assert (0, []) == (world.report.exit_code, world.report.positions)


class TestRequired:
    """Which positions have to be covered."""

    @virtual
    async def test_declared_only_what_a_strategy_asked_for(self, tmp_path: Path) -> None:
        """One strategy never placed a stop: its position is left alone. The other's is kept."""
        world, bare, careful = World(tmp_path), Hand("bare"), Hand("careful")
        settings = {"required": "declared"}
        async with world.open(bare, careful, protection=settings, orders={"reconcile_secs": 2}):
            await hold(bare)
            await hold(careful, "2")
            lost = careful.stop("1", "97")
            await until(lambda: stops(world))
            world.exchange.cancel(lost.id)
            await trio.sleep(6)
            assert [(ONE, Decimal(97))] == list(stops(world).values())
        assert (0, "ok") == (world.report.exit_code, world.stages["protect"])
        assert {"bare": False, "careful": False} == {
            p["strategy"]: p["protected"] for p in world.report.positions
        }

    @virtual
    async def test_off_nothing_is_placed(self, tmp_path: Path) -> None:
        """The stage says that it was switched off; the report still tells the truth."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, protection={"required": "off"}):
            await hold(hand)
            await trio.sleep(5)
            assert {} == stops(world)
        assert (0, "skipped") == (world.report.exit_code, world.stages["protect"])
        assert not world.report.positions[0]["protected"]


class TestAfterARestart:
    """Protection is looked at before any strategy acts."""

    @virtual
    async def test_a_stop_that_went_missing_meanwhile(self, tmp_path: Path) -> None:
        """Cancelled while the runtime was down: placed again at its price."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            lost = hand.stop("1", "97")
            await until(lambda: stops(world))
        world.exchange.cancel(lost.id)
        async with world.open(Hand()):
            await trio.sleep(2)
            assert [(ONE, Decimal(97))] == list(stops(world).values())

    @virtual
    async def test_a_stop_that_woke_meanwhile(self, tmp_path: Path) -> None:
        """The position was closed while the runtime was down: nothing is placed."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            await hold(hand)
            hand.stop("1", "97")
            await until(lambda: stops(world))
        world.exchange.on_quote(_quote(96.0))
        again = Hand()
        async with world.open(again):
            await trio.sleep(2)
            assert (Decimal(0), []) == (again.quantity, world.resting())


def _quote(bid: float) -> Any:
    from tests.support.values import quote  # noqa: PLC0415

    return quote(bid)


class TestDuration:
    """How long a position may stay open."""

    @virtual
    async def test_it_is_reported_once(self, tmp_path: Path) -> None:
        """With its size and age; nothing is closed unless asked for."""
        world, hand = World(tmp_path), Hand()
        with capture_logs() as logs:
            async with world.open(hand, risk={"max_position_secs": 60}, prices=QUIET):
                await hold(hand)
                await trio.sleep(59)
                assert [] == _overdue(logs)
                await trio.sleep(300)
                assert ONE == hand.quantity
        (line,) = _overdue(logs)
        assert ("hand", "1", "report") == (line["strategy"], line["quantity"], line["action"])
        assert 60 <= line["open_secs"] <= 62

    @virtual
    async def test_it_is_closed_where_asked_for(self, tmp_path: Path) -> None:
        """By a reduce-only market order, whose stop goes with it."""
        world, hand = World(tmp_path), Hand()
        risk = {"max_position_secs": 60, "max_position_action": "close"}
        async with world.open(hand, risk=risk, prices=QUIET):
            await hold(hand)
            await trio.sleep(65)
            assert (Decimal(0), []) == (hand.quantity, world.resting())
        assert 2 == len(world.history("fill"))

    @virtual
    async def test_a_new_position_has_its_own_time(self, tmp_path: Path) -> None:
        """Closed and opened again: counted from then, and reported again."""
        world, hand = World(tmp_path), Hand()
        with capture_logs() as logs:
            async with world.open(hand, risk={"max_position_secs": 60}, prices=QUIET):
                await hold(hand)
                await trio.sleep(50)
                hand.trader.market(ETH, "sell", "1")
                await until(lambda: hand.quantity == 0)
                await hold(hand)
                await trio.sleep(50)
                assert [] == _overdue(logs)
                await trio.sleep(20)
        assert 1 == len(_overdue(logs))

    @virtual
    async def test_a_close_that_fails_is_not_repeated_at_once(self, tmp_path: Path) -> None:
        """The market is stale: said, tried again later, not every second."""
        world, hand = World(tmp_path), Hand()
        risk = {"max_position_secs": 10, "max_position_action": "close"}
        with capture_logs() as logs:
            async with world.open(hand, risk=risk, prices={"ping_secs": 10_000}):
                await hold(hand)
                world.market.reachable = False
                world.market.drop()
                await trio.sleep(40)
                assert ONE == hand.quantity
        failed = [line for line in logs if line["event"] == "Position could not be closed"]
        assert 2 <= len(failed) <= 5


def _overdue(logs: Any) -> list[Any]:
    return [
        line
        for line in logs
        if line["event"] == "Position is open for longer than max_position_secs"
    ]


@pytest.mark.parametrize("fails_at", ["filled", "accepted"])
@virtual
async def test_a_strategy_that_fails_leaves_its_position_protected(
    tmp_path: Path, fails_at: str
) -> None:
    """In the very call that tells of the fill: the guard takes over."""

    class Broken(Hand):
        def on_order(self, event: OrderUpdate) -> None:
            super().on_order(event)
            if event.kind == fails_at:
                raise ValueError("oops")

    world, broken = World(tmp_path), Broken()
    async with world.open(broken):
        broken.trader.market(ETH, "buy", "1")
        await trio.sleep(3)
        assert [(ONE, Decimal("95.09"))] == list(stops(world).values())
    assert (0, True) == (world.report.exit_code, world.report.positions[0]["protected"])


@virtual
async def test_a_cover_names_the_newest_stop(tmp_path: Path) -> None:
    """What the report and a live view show."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand) as runtime:
        await hold(hand)
        assert [False] == [p["protected"] for p in runtime.positions()]
        stop = hand.stop("1", "97")
        await until(lambda: stops(world))
        await settle()
        assert [(True, stop.id)] == [(p["protected"], p["stop_order"]) for p in runtime.positions()]
