"""Stops against a world that does not help: bounded, in order, and truthful about what is left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, settle, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import StoreError
from trade_runtime.model.records import TradingHalted

LADDER_SECS = 5.0 + 1e-6
"""The sum of the default budgets, and what floats add to it."""


def fault(kind: str, on: str, after_secs: float = 0.0, **how: Any) -> dict[str, Any]:
    """A table of the paper venue."""
    return {"faults": [{"kind": kind, "on": on, "after_secs": after_secs, **how}]}


async def stopped_with(
    world: World, paper: Mapping[str, Any], hand: Hand, *, orders: int, at_secs: float
) -> float:
    """Hold a protected position and some entries, then stop; how long the stop took."""
    async with world.open(hand, paper=paper):
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: len(hand.fills) == 1)
        hand.stop("1")
        for number in range(orders):
            hand.buy(price=str(90 - number))
        await until(lambda: len(world.resting()) == orders + 1)
        await trio.sleep_until(at_secs)
        began = trio.current_time()
    return trio.current_time() - began


@virtual
async def test_cancels_that_never_arrive(tmp_path: Path) -> None:
    """Exit 3 within the ladder, and the report names every order that may rest."""
    world, hand = World(tmp_path), Hand()
    took = await stopped_with(world, fault("drop", "cancel"), hand, orders=3, at_secs=5)
    left = world.resting(protective=False)
    assert 3 == len(left)
    assert sorted(left) == sorted(world.report.orders["left_open"])
    assert ("incomplete", 3, "timed_out") == (
        world.report.outcome,
        world.report.exit_code,
        world.stages["cancel"],
    )
    detail = world.report.stages[1].detail
    assert all(order in detail for order in left), detail
    assert took <= LADDER_SECS
    assert ("ok", "ok", "ok") == tuple(world.stages[s] for s in ("protect", "flush", "verify"))


@virtual
async def test_cancel_answers_that_are_lost(tmp_path: Path) -> None:
    """The venue cancels but never says so: asking it proves it, and the stop is clean."""
    world, hand = World(tmp_path), Hand()
    await stopped_with(world, fault("drop", "event", 4.0), hand, orders=3, at_secs=5)
    assert 1 == len(world.resting())
    assert (0, []) == (world.report.exit_code, world.report.orders["left_open"])


@virtual
async def test_every_third_cancel_is_lost(tmp_path: Path) -> None:
    """They are retried until the venue itself has none left."""
    world, hand = World(tmp_path), Hand()
    paper = fault("drop", "cancel", probability=0.3)
    await stopped_with(world, paper, hand, orders=10, at_secs=5)
    assert (0, 1) == (world.report.exit_code, len(world.resting()))
    assert len(world.history("cancel_request")) >= 10


@virtual
async def test_a_venue_that_is_down_during_the_stop(tmp_path: Path) -> None:
    """Nothing can be proven: exit 3 in time, the orders named, the position not called safe."""
    world, hand = World(tmp_path), Hand()
    took = await stopped_with(world, fault("disconnect", "any", 4.9), hand, orders=2, at_secs=5)
    assert sorted(world.resting(protective=False)) == sorted(world.report.orders["left_open"])
    assert (3, "timed_out", "timed_out") == (
        world.report.exit_code,
        world.stages["cancel"],
        world.stages["protect"],
    )
    assert took <= LADDER_SECS
    assert [] == world.report.connections_left


@virtual
async def test_a_venue_that_is_down_with_nothing_to_cancel(tmp_path: Path) -> None:
    """Nobody can say that nothing rests: not clean, and asking in vain never blocks the loop."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, paper=fault("disconnect", "any", 1.0)):
        await trio.sleep(2)
        began = trio.current_time()
    assert (3, "timed_out") == (world.report.exit_code, world.stages["cancel"])
    assert trio.current_time() - began <= LADDER_SECS


@virtual
async def test_a_venue_that_comes_back_during_the_stop(tmp_path: Path) -> None:
    """Away for half a second of it: the cancels go out when it is back, and the stop is clean."""
    world, hand = World(tmp_path), Hand()
    paper = fault("disconnect", "any", 4.9, for_secs=0.4)
    await stopped_with(world, paper, hand, orders=2, at_secs=5)
    assert 1 == len(world.resting())
    assert (0, []) == (world.report.exit_code, world.report.orders["left_open"])


@virtual
async def test_a_venue_that_answers_nothing(tmp_path: Path) -> None:
    """Connected, but every query is lost: what cannot be proven is not called clean."""
    world, hand = World(tmp_path), Hand()
    took = await stopped_with(world, fault("drop", "query", 4.0), hand, orders=2, at_secs=5)
    assert (3, "timed_out") == (world.report.exit_code, world.stages["cancel"])
    assert took <= LADDER_SECS


@virtual
async def test_a_stop_lost_at_the_venue_is_placed_again(tmp_path: Path) -> None:
    """Someone cancelled the stop by hand a moment before: the stage `protect` finds it out."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, paper=fault("drop", "event", 4.0, for_secs=0.9)):
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: len(hand.fills) == 1)
        lost = hand.stop("1", "94")
        await trio.sleep_until(4.5)
        world.exchange.cancel(lost.id)  # its event is lost
    (stop,) = world.resting()
    assert stop != lost.id
    assert (0, stop) == (world.report.exit_code, world.report.positions[0]["stop_order"])
    assert 94 == world.record.orders[stop].trigger_price


@virtual
async def test_a_position_that_cannot_be_protected(tmp_path: Path) -> None:
    """No stop_pct, no stop of the strategy's own: exit 3, at once, and the report says why."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, protection={"stop_pct": None}):
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: len(hand.fills) == 1)
    (position,) = world.report.positions
    assert (False, None) == (position["protected"], position["stop_order"])
    assert (3, "failed") == (world.report.exit_code, world.stages["protect"])
    assert "not protected: hand 1 ETHUSDT.paper (no stop_pct" in world.report.stages[2].detail
    assert world.report.duration_secs < 1


@virtual
async def test_an_entry_that_fills_during_the_stop_is_protected(tmp_path: Path) -> None:
    """The fill and the cancel cross: the position that comes of it gets its stop."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand):
        hand.buy("2", "99")
        await until(world.resting)
        assert world.runtime is not None
        world.runtime.request_stop("now")
        world.market.quote(98.5, 98.9)
        await world.runtime.stopped()
    (stop,) = world.resting()
    assert 2 == hand.quantity == world.record.orders[stop].quantity
    assert (0, True) == (world.report.exit_code, world.report.positions[0]["protected"])
    assert [] == world.report.orders["left_open"]


@virtual
async def test_an_order_whose_answer_is_slow_is_waited_for(tmp_path: Path) -> None:
    """Sent a moment before the stop, resting only after it began: found and cancelled."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, paper={"latency_ms": 400}):
        hand.buy()
        await settle()
        assert [] == world.resting()
    assert 1 == len(world.history("accept"))
    assert ([], 0) == (world.resting(), world.report.exit_code)


class TestHalt:
    """From the halt on only cancels and protective orders leave."""

    @virtual
    async def test_an_intent_that_is_not_sent_yet_never_is(self, tmp_path: Path) -> None:
        """Between intent and send comes the halt: the order is dropped, the venue never saw it."""
        world, hand = World(tmp_path), Hand()

        async def stall(operation: str, number: int) -> None:
            if operation == "append":
                await trio.sleep(0.3)

        async with world.open(hand):
            world.disk.before = stall
            order = hand.buy()
            await settle()
            assert "pending" == order.state
        assert ("dropped", []) == (order.state, world.history("submit"))
        assert [order.id] == world.intents()
        assert 0 == world.report.exit_code

    @virtual
    async def test_no_entry_leaves_after_the_halt(self, tmp_path: Path) -> None:
        """A strategy that goes on placing in its on_stop is refused each time."""
        refusals: list[str] = []

        class Greedy(Hand):
            def on_stop(self, reason: str) -> None:
                for _ in range(3):
                    try:
                        self.buy()
                    except Exception as error:
                        refusals.append(str(error))

        world = World(tmp_path)
        async with world.open(Greedy()):
            pass
        assert ["halted: trading is halted: the block was left or cancelled"] * 3 == refusals
        assert [] == world.intents()
        assert 1 == len([e for e in world.journal() if isinstance(e, TradingHalted)])

    @virtual
    async def test_a_protective_order_may_leave_in_on_stop(self, tmp_path: Path) -> None:
        """A strategy tightens its own stop in its goodbye; more than it holds is refused."""
        refusals: list[str] = []

        class Careful(Hand):
            def on_stop(self, reason: str) -> None:
                try:
                    self.stop("2", "96")
                except Exception as error:
                    refusals.append(str(error))
                self.stop("1", "96")

        world, hand = World(tmp_path), Careful()
        async with world.open(hand):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: len(world.resting(protective=True)) == 1)
        (stop,) = world.resting()
        assert 96 == world.record.orders[stop].trigger_price
        (refusal,) = refusals
        assert refusal.startswith("halted: ")
        assert refusal.endswith(" 2 would go beyond the open 1")
        assert 0 == world.report.exit_code


class TestStoreFailures:
    """A store that fails is said, and what is left to do is done."""

    @virtual
    async def test_while_running(self, tmp_path: Path) -> None:
        """No intent can be recorded any more: the runtime stops, exit 3, entries cancelled."""
        world, hand = World(tmp_path), Hand()

        async def full(operation: str, number: int) -> None:
            if operation == "append":
                raise StoreError("the disk is full")

        async with world.open(hand) as runtime:
            hand.buy()
            await until(world.resting)
            world.disk.before = full
            unsent = hand.buy("1", "80")
            await runtime.stopped()
        assert ("the store failed: the disk is full", 3) == (
            world.report.reason,
            world.report.exit_code,
        )
        assert ([], []) == (world.resting(), world.report.orders["left_open"])
        assert unsent.id not in world.history("submit")
        assert ("failed", "failed") == (world.stages["flush"], world.stages["verify"])
        assert {"flushed": False, "verified": False} == {
            key: world.report.state[key] for key in ("flushed", "verified")
        }
        assert len(world.disk.records) == world.report.state["records"]

    @virtual
    async def test_an_order_after_the_failure_is_refused(self, tmp_path: Path) -> None:
        """Nothing is sent of which no intent could be recorded."""
        world, hand = World(tmp_path), Hand()

        async def full(operation: str, number: int) -> None:
            raise StoreError("the disk is full")

        async with world.open(hand) as runtime:
            world.disk.before = full
            hand.buy()
            await runtime.stopped()
            with pytest.raises(Exception, match="halted"):
                hand.buy()

    @virtual
    async def test_a_store_that_hangs_during_the_stop(self, tmp_path: Path) -> None:
        """Its stages run out of time; the streams are closed all the same, within five seconds."""
        world, hand = World(tmp_path), Hand()

        async def hang(operation: str, number: int) -> None:
            await trio.sleep_forever()

        async with world.open(hand):
            world.disk.before = hang
            began = trio.current_time()
        assert ("timed_out", "ok", "timed_out") == tuple(
            world.stages[name] for name in ("flush", "close", "verify")
        )
        assert trio.current_time() - began <= LADDER_SECS
        assert (3, 0) == (world.report.exit_code, world.market.open_sessions)

    @virtual
    async def test_a_record_changed_on_disk_is_found_at_the_stop(self, tmp_path: Path) -> None:
        """Verified means: read back, and as it was written."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            hand.buy()
            await until(world.resting)
            await trio.sleep(1.5)
            world.disk.records[1], world.disk.records[2] = (
                world.disk.records[2],
                world.disk.records[1],
            )
        assert (3, "failed") == (world.report.exit_code, world.stages["verify"])
        assert not world.report.state["verified"]


@virtual
async def test_a_part_that_fails_for_good_ends_it_in_order(tmp_path: Path) -> None:
    """Market data past its bound of restarts: exit 4, but every stage clean before."""
    world, hand = World(tmp_path), Hand()
    supervision = {"max_restarts": 2, "backoff_secs": 0.1, "healthy_secs": 1000}
    async with world.open(hand, supervision=supervision) as runtime:
        hand.buy()
        await until(world.resting)
        world.market.reachable = False
        world.market.drop()
        await runtime.stopped()
    assert ("failed", 4) == (world.report.outcome, world.report.exit_code)
    assert "RuntimeFault: market data of paper failed 3 times in a row" in world.report.error
    assert {"ok"} == set(world.stages.values())
    assert [] == world.resting()


@virtual
async def test_a_defect_in_a_layer_ends_it_in_order(tmp_path: Path) -> None:
    """An error that nobody foresaw, in the venue's own task: exit 4, orders cancelled before."""
    world, hand = World(tmp_path), Hand()

    class Defective(WrappedVenue):
        """A venue whose connection breaks in a way that is no VenueError."""

        async def run(self, *args: Any) -> None:
            with trio.move_on_after(2):
                await self._venue.run(*args)
            raise ZeroDivisionError("a defect")

    world.wrap = Defective
    async with world.open(hand) as runtime:
        hand.buy()
        await until(world.resting)
        await runtime.stopped()
    assert "ZeroDivisionError: a defect" == world.report.error
    assert world.report.exit_code in (3, 4)
    assert list(world.stages) == ["halt", "cancel", "protect", "flush", "close", "verify"]
    assert ("ok", "ok") == (world.stages["flush"], world.stages["verify"])
