"""Every way to ask for a stop, with fifty orders resting and the market at full speed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.process import judge
from tests.process.support import (
    BUDGET_SECS,
    ETH,
    STAGES,
    Run,
    World,
    grid,
    replayed,
    start,
    strategy,
)
from tests.recorded import ETHUSDT, recorded
from tests.replay_world import small_recording

pytestmark = pytest.mark.process

EMBEDDING = Path(__file__).with_name("embedding.py")


def check_stop(world: World, run: Run, reason: str, *, waited: bool = True) -> None:
    """The stop was clean, and its report says what the venue's record says.

    Where the stop waited for no grid, how many orders it had to cancel is open.
    """
    found = judge.check_clean(world, run)
    report = run.report()
    assert reason in report["reason"]
    assert report["duration_secs"] < BUDGET_SECS
    cancelled = [i for i, o in found.orders.items() if o["status"] == "cancelled"]
    entries = len([i for i in cancelled if not found.stop(i)])
    assert entries == report["orders"]["open_at_stop"] == report["orders"]["cancelled"]
    if waited:
        assert (50, 1) == (entries, len(found.stops()))
    order = [found.log_position for found in stage_lines(run)]
    assert order == sorted(order)


class StageLine:
    """Where in the log a stage begins."""

    def __init__(self, stage: str, log_position: int) -> None:
        self.stage, self.log_position = stage, log_position


def stage_lines(run: Run) -> list[StageLine]:
    """Find where in the log each stage begins, in the order of the stages."""
    log = run.log
    found = []
    for stage in STAGES:
        places = [
            place
            for text in (f"stage={stage}", f'"stage": "{stage}"')
            if (place := log.find(text)) >= 0
        ]
        assert places, f"stage {stage} is not in the log: {run}"
        found.append(StageLine(stage, places[0]))
    return found


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_clean(tmp_path: Path, number: signal.Signals, log_format: str) -> None:
    """The entries are cancelled, the stop-loss rests, the report is the venue's own account."""
    world = World(tmp_path)
    world.configure(grid())
    with world.run("--log-format", log_format) as run:
        world.until_grid(run)
        run.send(number)
        assert run.end() == 0, run
        assert run.took_secs < BUDGET_SECS
    check_stop(world, run, number.name)


@pytest.mark.parametrize("source", ["made up", pytest.param(ETHUSDT, marks=pytest.mark.recorded)])
def test_over_the_real_wire(tmp_path: Path, source: str) -> None:
    """A recording over the real wire, as fast as it is read, stops no other way."""
    world = World(tmp_path)
    made_up = source == "made up"
    recording = small_recording(tmp_path / "small.txt") if made_up else recorded(source)
    with replayed(recording, tmp_path / "server") as (_, market):
        world.configure(grid(size="1" if made_up else "0.01"), market=market)
        with world.run() as run:
            world.until_grid(run)
            run.send(signal.SIGTERM)
            assert run.end() == 0, run
            assert run.took_secs < BUDGET_SECS
    check_stop(world, run, "SIGTERM")
    assert run.report()["market_data"][ETH]["quotes"] > 0


def test_the_end_of_the_duration_stops_it_clean(tmp_path: Path) -> None:
    """As a signal does."""
    world = World(tmp_path)
    world.configure(grid())
    with world.run("--duration", "2.5") as run:
        assert run.end() == 0, run
    check_stop(world, run, "--duration", waited=False)


@pytest.mark.parametrize("how", ["cancel", "leave", "request", "raise"])
def test_an_embedding_program_stops_it_clean(tmp_path: Path, how: str) -> None:
    """Cancelled from outside, left, asked, or left by an error: one and the same ordered stop,
    and nothing of the runtime stays in the program.
    """
    world = World(tmp_path)
    world.configure(grid())
    base = tmp_path / "embedding"
    with start(base, str(EMBEDDING), str(world.config), how) as run:
        assert run.end() == 0, run
    told: dict[str, Any] = json.loads(run.out)
    run.report_path = tmp_path / "report.json"
    run.report_path.write_text(json.dumps(told["report"]))
    (tmp_path / "embedding.out").write_text("")
    reason = {"request": "asked by the test"}.get(how, "left or cancelled")
    check_stop(world, run, reason)
    assert told["took_secs"] < BUDGET_SECS
    assert told["fds_before"] == told["fds_after"]
    assert told["threads"] == ["MainThread"]
    assert told["tasks"] == told["tasks_before"]
    assert told["raised"] == ("RuntimeError: the host failed" if how == "raise" else "")


def test_the_report_is_kept_with_the_state_too(tmp_path: Path) -> None:
    """Whether or not `--report` asks for a copy."""
    world = World(tmp_path)
    world.configure(strategy("watch", "Watch"))
    with world.run() as run:
        run.until_log("Market data flows")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    (kept,) = (world.data_dir / "reports").glob("*.json")
    assert kept.read_text() == run.report_path.read_text()
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda world: world.configure(grid()), id="the same strategies"),
        pytest.param(
            lambda world: world.configure(strategy("watch", "Watch")), id="other strategies"
        ),
    ],
)
def test_the_next_start_goes_on(tmp_path: Path, change: Callable[[World], None]) -> None:
    """The position and its stop-loss are found again, by whoever runs; nothing is bought twice."""
    world = World(tmp_path)
    world.configure(grid())
    with world.run() as run:
        world.until_grid(run)
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    before = judge.check_clean(world, run)
    change(world)
    with world.run() as run:
        run.until_log("Market data flows")
        run.send(signal.SIGINT)
        assert run.end() == 0, run
    after = judge.check_clean(world, run)
    assert after.verdict["positions"] == before.verdict["positions"]
    assert after.stops() == before.stops()
