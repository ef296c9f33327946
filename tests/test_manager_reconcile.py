"""Reconcile: the journal against the venue, and the venue is right."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.values import ETH, spec
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill


def lost(after_secs: float, for_secs: float) -> dict[str, Any]:
    """Everything the venue tells in this time is lost."""
    fault = {"kind": "drop", "on": "event", "after_secs": after_secs, "for_secs": for_secs}
    return {"faults": [fault]}


def away(after_secs: float, for_secs: float) -> dict[str, Any]:
    """The venue is away in this time."""
    fault = {"kind": "disconnect", "on": "any", "after_secs": after_secs, "for_secs": for_secs}
    return {"faults": [fault]}


QUIET = {"stale_after_secs": 10_000}


def fills_agree(world: World) -> bool:
    """The journal's fills are the venue's, each once."""
    ours = [event.trade_id for event in world.journal() if isinstance(event, Fill)]
    theirs = [execution.trade_id for execution in world.record.executions]
    return sorted(ours) == sorted(theirs)


@virtual
async def test_a_lost_fill_is_found(tmp_path: Path) -> None:
    """Its event never came: within `reconcile_secs` it is in the position, told as any other."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, paper=lost(1, 1), orders={"reconcile_secs": 5}, prices=QUIET):
        hand.buy("1", "99")
        await trio.sleep_until(1.5)
        world.market.quote(98, 98.5)
        await trio.sleep_until(3)
        assert 0 == hand.quantity
        await until(lambda: hand.quantity == 1, 6)
        assert "1 filled" == hand.told[-1]
    assert fills_agree(world)
    assert 0 == world.report.exit_code


@virtual
async def test_a_lost_end_is_found(tmp_path: Path) -> None:
    """Cancelled by the venue, unheard: found, and nothing more counts of it."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, paper=lost(1, 1), orders={"reconcile_secs": 5}, prices=QUIET):
        order = hand.buy()
        await trio.sleep_until(1.5)
        world.exchange.cancel(order.id)
        await until(lambda: order.state == "cancelled", 10)


@virtual
async def test_what_happened_while_away_is_found_on_the_return(tmp_path: Path) -> None:
    """Not after `reconcile_secs`: as soon as the connection is up."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, paper=away(1, 2), orders={"reconcile_secs": 500}, prices=QUIET):
        hand.buy("1", "99")
        gone = hand.buy("1", "80")
        await trio.sleep_until(1.5)
        world.market.quote(98, 98.5)
        await settle()
        world.exchange.cancel(gone.id)
        await trio.sleep_until(2.9)
        assert (Decimal(0), "open") == (hand.quantity, gone.state)
        await until(lambda: hand.quantity == 1 and gone.state == "cancelled", 3)
    assert fills_agree(world)


@virtual
async def test_a_connection_that_flaps_during_a_reconcile(tmp_path: Path) -> None:
    """It came up again while the answers were under way: what they lack is asked for at once."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, orders={"reconcile_secs": 500}, prices=QUIET):
        (reconciler,) = world.trading.reconcilers.values()
        asked: list[float] = []
        inner = reconciler.reconcile

        async def slow() -> Any:
            asked.append(trio.current_time())
            if len(asked) == 1:
                await trio.sleep(0.1)
                reconciler.connected()
                await trio.sleep(0.1)
            return await inner()

        reconciler.reconcile = slow  # type: ignore[method-assign]
        reconciler.connected()
        await trio.sleep(5)
        assert 2 == len(asked)


@virtual
async def test_a_reconcile_that_fails_is_tried_again(tmp_path: Path) -> None:
    """What was wanted stays wanted: by the supervisor's wait, not after `reconcile_secs`."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, orders={"reconcile_secs": 500}, prices=QUIET):
        (reconciler,) = world.trading.reconcilers.values()
        asked: list[float] = []
        inner = reconciler.reconcile

        async def failing() -> Any:
            asked.append(trio.current_time())
            if len(asked) <= 2:
                raise VenueError("no answer")
            return await inner()

        reconciler.reconcile = failing  # type: ignore[method-assign]
        reconciler.connected()
        await trio.sleep(5)
        assert 3 == len(asked)


@virtual
async def test_an_answer_that_never_comes_is_given_up(tmp_path: Path) -> None:
    """A query that hangs fails after its own time-out, and does not hang the reconcile."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET):
        (reconciler,) = world.trading.reconcilers.values()
        venue = reconciler._venue

        class Deaf:
            def __getattr__(self, name: str) -> Any:
                return getattr(venue, name)

            async def fills(self, since_ns: int) -> Any:
                await trio.sleep_forever()

        reconciler._venue = Deaf()
        began = trio.current_time()
        with pytest.raises(VenueError, match=r"'paper' gave no answer within 2\.0 s"):
            await reconciler.reconcile()
        assert pytest.approx(2.0) == trio.current_time() - began
        reconciler._venue = venue


@virtual
async def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    """Ten times over: not one record, not one word to the strategy."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET) as runtime:
        hand.trader.market(ETH, "buy", "1")
        hand.buy()
        await until(lambda: len(world.resting()) == 2)
        assert runtime.state is not None
        before = runtime.state.seq, runtime.state.trading.hash(), list(hand.told)
        (reconciler,) = world.trading.reconcilers.values()
        for _ in range(10):
            await reconciler.reconcile()
        assert before == (runtime.state.seq, runtime.state.trading.hash(), list(hand.told))


@virtual
async def test_an_entry_under_our_tag_that_nobody_intended(tmp_path: Path) -> None:
    """The journal lost its last records with the power: the entry must not rest unowned."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET):
        tag = world.trading.orders.trading.tag
        world.exchange.submit(spec(f"{tag}-zz", hand.buy_side, "1", "90"))
        (reconciler,) = world.trading.reconcilers.values()
        with capture_logs() as logs:
            await reconciler.reconcile()
        await trio.sleep(0.1)
        assert [] == world.resting()
        assert "An order rests that we do not own" in [line["event"] for line in logs]


@virtual
async def test_the_venue_decides_what_is_ready(tmp_path: Path) -> None:
    """After a crash, strategies start only when every order has its answer."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, shutdown={"cancel_orders": False}, prices=QUIET):
        kept = hand.buy()
        await until(world.resting)
    started: list[str] = []

    class Second(Hand):
        def on_start(self) -> None:
            started.extend(o.state for o in self.trader.open_orders())

    assert [kept.id] == world.resting()

    async with world.open(Second(), prices=QUIET):
        assert ["open"] == started
