"""The dead-man's switch: refreshed while the runtime is healthy, left to fire where it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, settle, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import VenueError
from trade_runtime.protocols import VenueSink

SECS = 8.0


class Switched(WrappedVenue):
    """A paper venue with a switch that takes everything, stop-losses too."""

    switch_secs = SECS

    def __init__(self, venue: Any, ground: Ground) -> None:
        super().__init__(venue)
        self._ground = ground
        self._sink: VenueSink | None = None

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        self._sink = sink
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch)
                await self._venue.run(sink, connected)
        except* VenueError as group:
            raise VenueError("the connection ended") from group
        finally:
            self._sink = None

    async def arm(self) -> None:
        await trio.sleep(0.01)
        self.check()
        if self._ground.silent:
            await trio.sleep_forever()
        if self._ground.refuses:
            raise VenueError("no")
        self._ground.arms += 1
        self._ground.fires_at = trio.current_time() + SECS

    async def disarm(self) -> None:
        await trio.sleep(0.01)
        self.check()
        if self._ground.refuses:
            raise VenueError("no")
        self._ground.fires_at = None

    def check(self) -> None:
        """Fire if the time has come."""
        due = self._ground.fires_at
        if due is None or trio.current_time() < due:
            return
        self._ground.fires_at = None
        self._ground.fired += 1
        for report in self._venue.exchange.open_orders():
            for event in self._venue.exchange.cancel(report.client_order_id):
                if self._sink is not None and not self._ground.mute:
                    self._sink.on_event(event)

    async def _watch(self) -> None:
        while True:
            await trio.sleep(0.05)
            self.check()


class Ground:
    """A world whose venue has a switch, which outlives the runtime."""

    def __init__(self, data_dir: Path) -> None:
        self.world = World(data_dir)
        self.world.wrap = self._wrap
        self.venue: Switched | None = None
        self.fires_at: float | None = None
        self.arms = self.fired = 0
        self.silent = self.refuses = False
        self.mute = False
        """Nothing is told of what a firing took."""

    def _wrap(self, venue: Any) -> Switched:
        self.venue = Switched(venue, self)
        return self.venue

    @property
    def told(self) -> dict[str, Any]:
        """What the report says of the switch."""
        return dict(self.world.report.switch["paper"])

    async def hold(self, hand: Hand) -> None:
        """A protected position, and an entry."""
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: len(hand.fills) == 1)
        hand.stop("1")
        hand.buy()
        await until(lambda: len(self.world.resting()) == 2)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@virtual
async def test_it_is_refreshed_while_all_is_well_and_disarmed_by_a_clean_stop(
    ground: Ground,
) -> None:
    """Four times in each countdown; at the end nothing is left that could take the stop-loss."""
    hand = Hand()
    async with ground.world.open(hand):
        assert ground.arms == 1  # before any strategy could trade
        await ground.hold(hand)
        await trio.sleep(10 * SECS)
        assert ground.fired == 0
        assert 40 <= ground.arms <= 43
    assert ground.fires_at is None
    assert {"armed": False, "fired": 0, "disarmed": True} == ground.told
    assert 1 == len(ground.world.resting(protective=True)) == len(ground.world.resting())
    assert 0 == ground.world.report.exit_code


@pytest.mark.parametrize("mute", [False, True])
@virtual
async def test_a_wedged_loop_lets_it_fire_and_what_it_took_is_protected_again(
    ground: Ground, mute: bool
) -> None:
    """Whether or not the venue tells what it took; the report counts it, and the switch goes on."""
    hand = Hand()
    ground.mute = mute
    async with ground.world.open(hand):
        await ground.hold(hand)
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(2 * SECS)  # nothing of this process ran meanwhile
        await until(lambda: ground.fired == 1)
        began = trio.current_time()
        await until(lambda: len(ground.world.resting(protective=True)) == 1)
        assert trio.current_time() - began < 1.0
        await trio.sleep(3 * SECS)
        assert ground.fired == 1
        assert [] == ground.world.resting(protective=False)  # the entry is gone, and known to be
        assert [] == [o for o in hand.trader.open_orders() if not o.spec.protective]
    assert {"armed": False, "fired": 1, "disarmed": True} == ground.told


@virtual
async def test_without_the_private_connection_it_is_left_to_fire(ground: Ground) -> None:
    """Nobody could look after the orders; once it is back, all is read and protected again."""
    hand = Hand()
    away = {"kind": "disconnect", "on": "any", "after_secs": 3.0, "for_secs": 2 * SECS}
    with structlog.testing.capture_logs() as logs:
        async with ground.world.open(hand, paper={"faults": [away]}):
            await ground.hold(hand)
            await trio.sleep(1.5 * SECS)
            assert ground.venue is not None
            ground.venue.check()
            assert ground.fired == 1
            await trio.sleep(2 * SECS)
            await until(lambda: len(ground.world.resting(protective=True)) == 1)
    assert ground.told["fired"] == 1
    events = [one["event"] for one in logs if one["log_level"] == "error"]
    assert "Dead-man's switch is not refreshed" in events
    assert any(event.startswith("Dead-man's switch must have fired") for event in events)


@pytest.mark.parametrize("how", ["silent", "refuses"])
@virtual
async def test_a_refresh_that_fails_is_an_alarm_and_is_tried_again(
    ground: Ground, how: str
) -> None:
    """Each failure is an error in the log, and counted; two in a row do no harm."""
    hand = Hand()
    with structlog.testing.capture_logs() as logs:
        async with ground.world.open(hand) as runtime:
            await trio.sleep(0.6 * SECS)
            setattr(ground, how, True)
            await trio.sleep(0.5 * SECS)
            setattr(ground, how, False)
            await trio.sleep(2 * SECS)
            assert runtime.trading is not None
            failures = runtime.trading.switches["paper"].failures  # type: ignore[index]
    assert 1 <= failures <= 2
    alarms = [one for one in logs if one["event"] == "Dead-man's switch: no confirmation"]
    assert ["error"] * failures == [one["log_level"] for one in alarms]
    assert ground.fired == 0


@virtual
async def test_where_an_entry_may_be_left_it_stays_armed_and_the_report_says_so(
    ground: Ground,
) -> None:
    """So the entries of a stop that could not cancel them go all the same."""
    hand = Hand()
    async with ground.world.open(hand, paper={"faults": [{"kind": "drop", "on": "cancel"}]}):
        await ground.hold(hand)
    assert {"armed": True, "fired": 0, "disarmed": False} == ground.told
    assert 3 == ground.world.report.exit_code
    assert ground.fires_at is not None


@virtual
async def test_a_disarming_without_an_answer_makes_the_stop_unclean(ground: Ground) -> None:
    """It would take the stop-losses of a runtime that is gone."""
    hand = Hand()
    async with ground.world.open(hand):
        await ground.hold(hand)
        ground.refuses = True
    assert ground.told["armed"]
    assert 3 == ground.world.report.exit_code
    assert "timed_out" == ground.world.stages["protect"]


@virtual
async def test_what_it_took_while_nothing_ran_is_placed_again_by_the_next_start(
    ground: Ground,
) -> None:
    """The first reconcile finds the stop-loss gone and the entry too."""
    hand = Hand()
    async with ground.world.open(hand, paper={"faults": [{"kind": "drop", "on": "cancel"}]}):
        await ground.hold(hand)
    assert 2 == len(ground.world.resting())
    await trio.sleep(2 * SECS)
    assert ground.venue is not None
    ground.venue.check()
    assert [] == ground.world.resting()
    again = Hand()
    async with ground.world.open(again):
        await until(lambda: len(ground.world.resting(protective=True)) == 1, 5)
        assert [] == [o for o in again.trader.open_orders() if not o.spec.protective]
        assert again.quantity == 1
    assert 0 == ground.world.report.exit_code


@virtual
async def test_a_venue_whose_switch_is_off_is_not_asked(ground: Ground) -> None:
    """0 seconds: it is not to be used."""

    class Off(Switched):
        switch_secs = 0.0

    ground.world.wrap = lambda venue: Off(venue, ground)
    async with ground.world.open(Hand()):
        await settle()
    assert 0 == ground.arms
    assert {} == ground.world.report.switch
