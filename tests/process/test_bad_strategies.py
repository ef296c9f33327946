"""Strategies that misbehave, beside one that does not: its orders are cancelled and its stop-loss
rests, whatever the other does; and nothing that a strategy does outlives the second signal or the
total cap.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import (
    BUDGET_SECS,
    NOISE_SECS,
    Run,
    World,
    grid,
    strategy,
)

pytestmark = pytest.mark.process

CAP_SECS = 2.0


def bad_world(folder: Path, how: str, **shutdown: float) -> World:
    """A world where a strategy that is bad in the way `how` stands before and beside the grid."""
    world = World(folder)
    bad = strategy("bad", "Shielded") if how == "shields" else strategy("bad", "Bad", how=how)
    world.configure(bad, grid(20), shutdown=shutdown)
    return world


def until_all(world: World, run: Run, how: str) -> None:
    """Wait for the grid, and for the bad one's own entries where it makes any."""
    world.until_grid(run, 20 if how == "shields" else 23)


@pytest.mark.parametrize(
    ("how", "outcome", "why"),
    [
        ("stop_raises", "failed", "ValueError: on_stop is broken"),
        ("stop_exits", "failed", "SystemExit"),
        ("stop_awaits", "timed_out", "did not end in time"),
        ("stop_spins", "failed", "StrategyBlocked"),
        ("stop_sleeps", "failed", "StrategyBlocked"),
    ],
)
def test_the_others_stop_clean(tmp_path: Path, how: str, outcome: str, why: str) -> None:
    """A strategy that raises, exits, waits, spins, sleeps or refuses to end spoils its own goodbye
    and nobody else's.
    """
    world = bad_world(tmp_path, how)
    with world.run() as run:
        until_all(world, run, how)
        run.send(signal.SIGTERM)
        code = run.end()
        took_secs = run.took_secs
    assert code == 0, run
    assert took_secs < BUDGET_SECS + NOISE_SECS
    report = run.report()
    told = {s["name"]: s for s in report["strategies"]}
    assert told["grid"]["outcome"] == "stopped"
    assert told["bad"]["outcome"] == outcome
    assert why in told["bad"]["detail"]
    found = judge.check_crash(world, run)
    assert found.entries() == []
    assert judge.bare(found) == []
    assert report["orders"]["open_at_stop"] == report["orders"]["cancelled"]
    assert report["state"]["verified"] is True
    run.check_log()


@pytest.mark.parametrize("how", ["quote_raises", "quote_exits"])
def test_a_strategy_that_fails_while_trading(tmp_path: Path, how: str) -> None:
    """It is stopped alone: its entries go, the others trade on, the stop is clean."""
    world = bad_world(tmp_path, how)
    with world.run() as run:
        run.until_log("Strategy failed; the others go on")
        run.until(lambda: world.entries_open() == 20, "the grid, and no entry of the bad one")
        run.until(lambda: world.stops_open() == 1, "the grid's stop")
        run.send(signal.SIGINT)
        assert run.end() == 0, run
    judge.check_clean(world, run)
    assert {"bad": "failed", "grid": "stopped"} == {
        s["name"]: s["outcome"] for s in run.report()["strategies"]
    }


def test_a_strategy_that_spins_while_trading(tmp_path: Path) -> None:
    """Nothing turns until a signal comes; then it is interrupted, and the stop is clean."""
    world = bad_world(tmp_path, "quote_spins")
    with world.run() as run:
        run.until_log("on_quote spins")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
        assert run.took_secs < BUDGET_SECS + NOISE_SECS
    judge.check_clean(world, run)
    told = {s["name"]: s for s in run.report()["strategies"]}
    assert "StrategyBlocked" in told["bad"]["detail"]
    assert told["grid"]["outcome"] == "stopped"


@pytest.mark.parametrize("how", ["stop_spins_stubbornly", "stop_is_deaf", "shields"])
def test_the_cap_ends_what_cannot_be_interrupted(tmp_path: Path, how: str) -> None:
    """Past `timeout_secs` the process ends, whatever the loop does, and says where it stood."""
    world = bad_world(
        tmp_path,
        how,
        timeout_secs=CAP_SECS,
        order_timeout_secs=0.8,
        price_timeout_secs=0.4,
        state_timeout_secs=0.8,
    )
    with world.run() as run:
        until_all(world, run, how)
        run.send(signal.SIGTERM)
        code = run.end()
        assert run.took_secs < CAP_SECS + 1.0 + NOISE_SECS
    found = judge.check_crash(world, run)
    assert judge.bare(found) == []
    assert code == 1, run
    if how == "shields":
        # All else was done in order long before: only its task remains.
        assert found.entries() == []
        assert {s["outcome"] for s in run.report()["stages"]} <= {"ok", "timed_out"}
        assert run.report()["state"]["verified"] is True
    assert "strategies.py" in run.log, "the stack that blocks"
    if how != "stop_is_deaf":  # then the interpreter ran once more
        assert "Forced exit requested" in run.log
        assert run.report()["outcome"] == "forced"
        assert run.report()["exit_code"] == 1
    recover(world)


@pytest.mark.parametrize("how", ["stop_spins_stubbornly", "stop_sleeps", "quote_spins"])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, how: str) -> None:
    """While the loop is blocked too."""
    # Blocked for long enough that the second signal finds it so, also on a slow machine.
    world = bad_world(tmp_path, how, order_timeout_secs=12.0)
    with world.run() as run:
        if how == "quote_spins":
            run.until_log("on_quote spins")
            run.send(signal.SIGINT, signal.SIGINT)
        else:
            until_all(world, run, how)
            run.send(signal.SIGINT)
            run.until_log("Stop stage begins")
            run.send(signal.SIGINT)
        assert run.end() == 1, run
        assert run.took_secs < NOISE_SECS
    assert run.log.count("Forced exit requested") == 1
    assert "strategies.py" in run.log
    report = run.report()
    assert report["outcome"] == "forced"
    found = judge.check_crash(world, run)
    assert set(found.entries()) <= set(report["orders"]["left_open"])
    run.check_log()
    recover(world)


def recover(world: World) -> None:
    """Start again without the bad strategy, and stop clean."""
    world.configure(grid(20))
    with world.run() as run:
        world.until_grid(run, 20)
        run.until(lambda: world.entries_open() == 20, "the grid alone")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    judge.check_clean(world, run)
