"""The runtime inside a host program: how it starts, how it is left, what it tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.schedule import run_seeded, virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import ConfigError, StoreBusy, StoreDamaged, VenueError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.market import Quote
from trade_runtime.model.records import RuntimeStarted, RuntimeStopped
from trade_runtime.runtime import open_runtime, serve
from trade_runtime.settings import Settings

ALL_OK = dict.fromkeys(["halt", "cancel", "protect", "flush", "close", "verify"], "ok")


@virtual
async def test_leaving_the_block_is_the_ordered_stop(tmp_path: Path) -> None:
    """Orders are cancelled, the position keeps its stop, everything is verified: clean."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand) as runtime:
        hand.trader.market(ETH, "buy", "1")
        hand.buy()
        await until(lambda: len(world.resting()) == 2)
        (stop,) = world.resting(protective=True)
    report = world.report
    assert ("clean", 0, "the block was left or cancelled") == (
        report.outcome,
        report.exit_code,
        report.reason,
    )
    assert ALL_OK == world.stages
    assert [stop] == world.resting()
    assert report.orders == {
        "open_at_stop": 1,
        "cancelled": 1,
        "filled": 0,
        "left_open": [],
        "foreign": {"claimed": 0, "cancelled": 0, "left": []},
    }
    assert [
        {
            "strategy": "hand",
            "instrument": ETH,
            "quantity": "1",
            "protected": True,
            "stop_order": stop,
        }
    ] == report.positions
    assert {"flushed": True, "verified": True, "records": len(world.disk.records)} == report.state
    assert [{"name": "hand", "outcome": "stopped", "detail": ""}] == report.strategies
    assert ([], []) == (report.tasks_left, report.connections_left)
    assert (True, True, 0) == (runtime.stop_requested, runtime.over, world.market.open_sessions)


@virtual
async def test_the_report_is_left_in_the_data_folder(tmp_path: Path) -> None:
    """Whoever looks later finds what the handle says."""
    world = World(tmp_path)
    async with world.open(Hand()) as runtime:
        pass
    (path,) = (tmp_path / "reports").iterdir()
    assert world.report.as_dict() == json.loads(path.read_text(encoding="utf-8"))
    assert path == runtime.report_path
    assert pytest.approx(world.report.duration_secs) == runtime.ladder.took_secs


@virtual
async def test_the_journal_tells_begin_and_end(tmp_path: Path) -> None:
    """The first record says who took it over, the last one how it was given up."""
    world = World(tmp_path)
    async with world.open(Hand()):
        pass
    events = world.journal()
    assert isinstance(events[0], RuntimeStarted)
    assert RuntimeStopped("the block was left or cancelled", "clean") == events[-1]


class TestStopping:
    """Every way to ask for a stop is the same stop."""

    @virtual
    async def test_the_first_reason_counts(self, tmp_path: Path) -> None:
        """A repeated request changes nothing, and the block goes on until it is left."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand) as runtime:
            assert not runtime.stop_requested
            runtime.request_stop("enough")
            runtime.request_stop("more than enough")
            assert runtime.stop_requested
            await runtime.stopped()
            assert "enough" == world.report.reason
            await trio.sleep(100)
        assert ["enough"] == hand.stopped
        assert ("enough", 0) == (world.report.reason, world.report.exit_code)

    @virtual
    async def test_a_cancelled_host_gets_the_same_stop(self, tmp_path: Path) -> None:
        """The entry is cancelled at the venue although everything around is cancelled."""
        world, hand = World(tmp_path), Hand()
        with trio.move_on_after(5) as host:
            async with world.open(hand):
                hand.buy()
                await trio.sleep_forever()
        assert host.cancelled_caught
        assert [] == world.resting()
        assert (0, ALL_OK) == (world.report.exit_code, world.stages)

    @virtual
    async def test_an_error_of_the_host_leaves_the_block_bare(self, tmp_path: Path) -> None:
        """Not in a group: `except ValueError` around the block catches it."""
        world, hand = World(tmp_path), Hand()
        with pytest.raises(ValueError, match="the host's own"):
            async with world.open(hand):
                hand.buy()
                await settle()
                raise ValueError("the host's own")
        assert [] == world.resting()
        assert 0 == world.report.exit_code

    @virtual
    async def test_an_interrupt_in_a_strategy_still_stops_in_order(self, tmp_path: Path) -> None:
        """Ctrl-C lands in a handler, since the host took no care of SIGINT: stop, then go on."""

        class Interrupted(Hand):
            def on_quote(self, quote: Quote) -> None:
                if quote.bid > 200:
                    raise KeyboardInterrupt

        world, hand = World(tmp_path), Interrupted()
        with pytest.raises(BaseExceptionGroup) as caught:
            async with world.open(hand):
                hand.buy()
                await until(world.resting)
                world.market.quote(300.0)
                await trio.sleep_forever()
        assert caught.group_contains(KeyboardInterrupt)
        assert [] == world.resting()
        assert ("KeyboardInterrupt", 0, ALL_OK) == (
            world.report.reason,
            world.report.exit_code,
            world.stages,
        )

    @virtual
    async def test_stages_run_in_order_even_when_all_is_at_rest(self, tmp_path: Path) -> None:
        """The journal tells the halt before any cancel, and the flush before the end."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            hand.buy()
            await until(world.resting)
        kinds = [record.kind for record in world.disk.records]
        assert ["halt", "cancel", "closed", "stop"] == kinds[-4:]

    @virtual
    async def test_what_is_switched_off_is_skipped_and_said(self, tmp_path: Path) -> None:
        """With cancel_orders off the entry stays, and the report names it."""
        world, hand = World(tmp_path), Hand()
        switches = {"cancel_orders": False, "verify_stop_losses": False}
        async with world.open(hand, shutdown=switches):
            order = hand.buy()
            await until(world.resting)
        assert {**ALL_OK, "cancel": "skipped", "protect": "skipped"} == world.stages
        assert [order.id] == world.resting()
        assert [order.id] == world.report.orders["left_open"]


class CancelAt(trio.abc.Instrument):
    """Cancels a scope before the n-th scheduling step from now."""

    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self.left = step
        self.scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


def cancelled_at(step: int, tmp_path: Path) -> bool:
    """Cancel the host at a step of the start; whether the start was still under way."""
    world = World(tmp_path)

    async def host() -> bool:
        began = False
        with trio.CancelScope() as scope:
            trio.lowlevel.add_instrument(CancelAt(step, scope))
            async with world.open(Hand(), quote=False):
                began = True
                await trio.sleep_forever()
        return began

    began = run_seeded(step, host)
    assert world.runtime is None or world.report.exit_code == 0
    assert not began or world.stages == ALL_OK
    assert 0 == world.market.open_sessions
    assert world.disk._owner is None
    assert not world.journal() or isinstance(world.journal()[-1], RuntimeStopped)
    return not began


def test_a_host_cancelled_at_any_step_of_the_start(tmp_path: Path) -> None:
    """Nothing is left open, the journal ends with its stop, at whichever step it was."""
    step = 1
    while cancelled_at(step, tmp_path):
        step += 1
    assert step > 20


class TestStartErrors:
    """What keeps it from starting comes out as it is, and nothing is left behind."""

    @virtual
    async def test_an_instrument_that_the_venue_lacks(self, tmp_path: Path) -> None:
        """It names the instrument."""
        world = World(tmp_path)
        with pytest.raises(ConfigError, match=r"DOGEUSDT\.paper: venue 'sim' does not trade"):
            async with world.open(Hand(instruments=("DOGEUSDT.paper",))):
                pytest.fail("it must not begin")
        assert 0 == world.market.open_sessions

    @virtual
    async def test_a_journal_that_another_holds(self, tmp_path: Path) -> None:
        """Two runtimes on one journal: the second one touches nothing, leaves no report."""
        world = World(tmp_path)
        async with world.disk.store():
            with pytest.raises(StoreBusy):
                async with world.open(Hand()):
                    pytest.fail("it must not begin")
        assert [] == world.disk.records
        assert not (tmp_path / "reports").exists()

    @virtual
    async def test_a_damaged_journal(self, tmp_path: Path) -> None:
        """It is not traded on, and not changed."""
        world = World(tmp_path)
        async with world.open(Hand()):
            pass
        del world.disk.records[1]
        before = list(world.disk.records)
        with pytest.raises(StoreDamaged):
            async with world.open(Hand()):
                pytest.fail("it must not begin")
        assert before == world.disk.records

    @virtual
    async def test_a_market_that_says_nothing(self, tmp_path: Path) -> None:
        """After its retries the start is given up."""
        world = World(tmp_path)
        world.market.answers = False
        began = trio.current_time()
        with pytest.raises(VenueError, match="'sim' did not say what it trades within 10"):
            async with world.open(Hand()):
                pytest.fail("it must not begin")
        assert 10 <= trio.current_time() - began < 16

    @virtual
    async def test_a_venue_that_is_away(self, tmp_path: Path) -> None:
        """No reconcile, no trading: strategies are never even started."""
        world, hand = World(tmp_path), Hand()
        faults = [{"kind": "disconnect", "on": "any", "after_secs": 0}]
        with pytest.raises(VenueError, match="'paper' and the journal did not agree within 15"):
            async with world.open(hand, paper={"faults": faults}):
                pytest.fail("it must not begin")
        assert [] == hand.stopped

    @virtual
    async def test_two_strategies_of_one_name(self, tmp_path: Path) -> None:
        """Found before anything is opened."""
        world = World(tmp_path)
        with pytest.raises(ConfigError, match="two strategies are named 'hand'"):
            async with world.open(Hand(), Hand()):
                pytest.fail("it must not begin")
        assert [] == world.disk.records

    @virtual
    async def test_an_async_handler(self, tmp_path: Path) -> None:
        """It would never be awaited: refused with what to write instead."""

        class Wrong(Hand):
            async def on_quote(self, quote: Quote) -> None:  # type: ignore[override]
                pass

        with pytest.raises(ConfigError, match="on_quote must be a plain function, not async"):
            async with World(tmp_path).open(Wrong()):
                pytest.fail("it must not begin")

    @virtual
    async def test_a_store_of_no_known_kind(self, tmp_path: Path) -> None:
        """The error names the key and what there is."""
        world = World(tmp_path)
        settings = world.settings({"store": {"url": "punchcards:///deck"}})
        with pytest.raises(ConfigError, match='; there are "memory'):
            async with open_runtime(
                settings, strategies=[Hand()], plugins=world.plugins, clock=TrioClock()
            ):
                pytest.fail("it must not begin")


def demo_settings(tmp_path: Path) -> Settings:
    """The installed plug-ins, all in memory but the paper venue's record."""
    tables: dict[str, Any] = {
        "runtime": {"name": "demo", "data_dir": str(tmp_path), "seed": 1},
        "store": {"url": "memory:///"},
        "venues": {
            "sim": {"kind": "synthetic", "seed": 3},
            "paper": {"kind": "paper", "market_data": "sim"},
        },
    }
    return Settings.from_mapping(tables, tmp_path)


class TestServe:
    """`serve`: the whole life in one call."""

    @virtual
    async def test_it_ends_with_its_trigger(self, tmp_path: Path) -> None:
        """The report is what it returns; the runtime is handed to who started it."""
        seen = []

        async def trigger() -> None:
            await trio.sleep(3)

        class Status:
            def started(self, value: object = None) -> None:
                seen.append(value)

        report = await serve(
            demo_settings(tmp_path),
            strategies=[Hand()],
            shutdown_trigger=trigger,
            task_status=Status(),
        )
        assert ("the shutdown trigger fired", 0) == (report.reason, report.exit_code)
        assert 1 == len(seen)
        assert report.market_data[ETH]["quotes"] > 10

    @virtual
    async def test_it_ends_when_the_runtime_is_asked_to(self, tmp_path: Path) -> None:
        """Without a trigger, the handle is the way to stop it."""
        reports = []

        async def run(task_status: trio.TaskStatus[Any]) -> None:
            reports.append(
                await serve(demo_settings(tmp_path), strategies=[Hand()], task_status=task_status)
            )

        async with trio.open_nursery() as nursery:
            runtime = await nursery.start(run)
            runtime.request_stop("seen enough")
        assert ["seen enough"] == [report.reason for report in reports]
