"""Crash and restart: there is one way to start, and it is the recovery."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.support.schedule import run_seeded, virtual
from tests.support.values import BTC, ETH
from tests.support.world import Hand, World, settle, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import ConfigError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.events import Fill
from trade_runtime.model.records import RuntimeStopped
from trade_runtime.runtime import open_runtime

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}
ONE = Decimal(1)


async def live_until_killed(world: World, hand: Hand, after_secs: float, **sections: Any) -> None:
    """Trade for a while, then be gone without a word; disk and venue keep what they have."""
    with trio.CancelScope() as scope:

        async def die() -> None:
            await trio.sleep(after_secs)
            world.disk.kill()
            assert world.venue is not None
            world.venue._wire.keep(lambda request: True)
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(die)
            # The dead process's own stop has no effect: its disk is gone, its venue is deaf.
            world.wrap = _Mortal
            async with world.open(hand, shutdown={"timeout_secs": 30.0}, **sections):
                _Mortal.last.dies_at = after_secs
                await trade(hand)
                await trio.sleep_forever()
    world.wrap = lambda venue: venue


class _Mortal(WrappedVenue):
    """A wire that does nothing any more once its process is dead."""

    last: _Mortal

    def __init__(self, venue: Any) -> None:
        super().__init__(venue)
        self.dies_at = float("inf")
        _Mortal.last = self

    def _dead(self) -> bool:
        return trio.current_time() >= self.dies_at

    def submit(self, order: Any) -> None:
        if not self._dead():
            self._venue.submit(order)

    def cancel(self, order: Any) -> None:
        if not self._dead():
            self._venue.cancel(order)


async def trade(hand: Hand) -> None:
    """A position with a stop, an entry that rests, one that is being cancelled, one on its way."""
    hand.trader.market(ETH, "buy", "1")
    await trio.sleep(0.07)
    hand.stop("1", "97")
    hand.buy("1", "90")
    going = hand.buy("1", "89")
    await trio.sleep(0.05)
    hand.trader.cancel(going)
    hand.trader.market(ETH, "buy", "2")
    await trio.sleep(0.03)
    hand.buy("1", "88")


def check(world: World, again: Hand) -> None:
    """What must hold once the venue and the journal agree, by their own records."""
    intents = world.intents()
    submits = Counter(world.history("submit"))
    assert set(submits) <= set(intents), "every order has a durable intent"
    assert all(times == 1 for times in submits.values()), "one intent is at most one order"
    ours = sorted(e.trade_id for e in world.journal() if isinstance(e, Fill))
    theirs = sorted(e.trade_id for e in world.record.executions)
    assert ours == theirs
    total = sum((e.quantity * e.side.sign for e in world.record.executions), Decimal(0))
    assert total == again.quantity
    known = {order.id for order in again.trader.open_orders()}
    assert set(world.resting()) == known


@pytest.mark.parametrize("moment", range(1, 26))
def test_killed_at_any_moment(tmp_path: Path, moment: int) -> None:
    """The next process claims every order, finds every fill, protects the position, goes on."""
    world = World(tmp_path)

    async def first() -> None:
        await live_until_killed(world, Hand(), 0.06 + moment * 0.01, prices=QUIET)

    async def second() -> None:
        again = Hand()
        async with world.open(again, prices=QUIET):
            await trio.sleep(4)
            assert world.runtime is not None
            assert world.runtime.state is not None
            await world.runtime.state.flush()
            check(world, again)
            covered = sum(
                (world.record.orders[i].quantity for i in world.resting(protective=True)),
                Decimal(0),
            )
            assert covered == again.quantity
            placed = again.buy("1", "70")
            await until(lambda: placed.state == "open")
            check(world, again)
        assert 0 == world.report.exit_code

    run_seeded(moment, first)
    assert not any(isinstance(event, RuntimeStopped) for event in world.journal())
    run_seeded(moment, second)


@virtual
async def test_a_restart_continues(tmp_path: Path) -> None:
    """Positions, average prices, kept orders, ids: as if nothing had been."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, shutdown={"cancel_orders": False}, prices=QUIET):
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: len(world.resting()) == 1)
        kept = hand.buy()
        await until(lambda: len(world.resting()) == 2)
        position = hand.trader.position(ETH)
        before = (position.quantity, position.average_price, position.opened_ns)
    seen: list[Any] = []

    class Second(Hand):
        def on_start(self) -> None:
            position = self.trader.position(ETH)
            seen.append((position.quantity, position.average_price, position.opened_ns))
            seen.append([o.id for o in self.trader.open_orders() if not o.spec.protective])

    second = Second()
    async with world.open(second, prices=QUIET):
        assert [before, [kept.id]] == seen
        found = next(o for o in second.trader.open_orders() if o.id == kept.id)
        second.trader.cancel(found)
        await until(lambda: found.state == "cancelled")
        new = second.buy()
        assert 4 == int(new.id.rpartition("-")[2], 36)
    assert 0 == world.report.exit_code


@virtual
async def test_many_restarts_add_nothing_of_their_own(tmp_path: Path) -> None:
    """Ten starts and stops: a start, a halt and a stop each, no order, no fill; what the account
    holds is written once.
    """
    world = World(tmp_path)
    for number in range(1, 11):
        async with world.open(Hand()):
            await settle()
        assert 2 + 3 * number == len(world.disk.records)
        assert 0 == world.report.exit_code


@virtual
async def test_a_crash_of_the_last_one_is_no_obstacle(tmp_path: Path) -> None:
    """The disk's last owner is dead: the next one takes it over."""
    world = World(tmp_path)
    async with world.open(Hand(), prices=QUIET):
        await trio.sleep(2)
        before = len(world.disk.records)
        world.disk.kill()
    assert before == len(world.disk.records)
    assert 3 == world.report.exit_code
    async with world.open(Hand(), prices=QUIET):
        await settle()
    assert 0 == world.report.exit_code


@virtual
async def test_an_instrument_that_nobody_trades_any_more(tmp_path: Path) -> None:
    """A position from before, in an instrument that no strategy names now, is seen to all the same:
    its stop went missing while nothing ran, and is placed again.
    """
    world, both = World(tmp_path), Hand(instruments=(ETH, BTC))
    async with world.open(both, quote=False, prices=QUIET):
        world.market.quote(100.0, symbol="BTCUSDT")
        await settle()
        both.trader.market(BTC, "buy", "1")
        await until(lambda: len(world.resting(protective=True)) == 1)
    (lost,) = world.resting()
    world.exchange.cancel(lost)
    async with world.open(Hand(instruments=(ETH,)), prices=QUIET):
        await trio.sleep(5)
    (stop,) = world.resting()
    assert (True, BTC) == (stop != lost, world.record.orders[stop].instrument)
    assert (0, [stop]) == (
        world.report.exit_code,
        [position["stop_order"] for position in world.report.positions],
    )


@virtual
async def test_a_venue_that_the_configuration_lost(tmp_path: Path) -> None:
    """Orders rest there: it does not start without it, and says what to put back."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, shutdown={"cancel_orders": False}, prices=QUIET):
        hand.buy()
        await until(world.resting)
    settings = world.settings({})
    renamed = attrs.evolve(settings, venues={"sim": settings.venues["sim"]})
    with pytest.raises(ConfigError, match=r"^venues\.paper: missing, but ETHUSDT\.paper has open"):
        async with open_runtime(renamed, strategies=[], plugins=world.plugins, clock=TrioClock()):
            pytest.fail("it must not begin")
