"""A venue that does not play along at the stop: the ladder bounds it, the report tells what is
left, and the next start, with a venue that does, sets it right.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.process import judge
from tests.process.support import (
    BUDGET_SECS,
    NOISE_SECS,
    STAGES,
    World,
    command,
    grid,
    loopback_market,
    strategy,
    until_fault,
)

pytestmark = pytest.mark.process

DEAF = {"kind": "drop", "on": "cancel"}
GONE_WITH_THE_FIRST_CANCEL = {"kind": "disconnect", "on": "cancel"}
FAULT_SECS = 3.0
"""When a fault begins that is to find the grid standing."""

NEVER_ANSWERS = [DEAF, {"kind": "drop", "on": "query", "after_secs": FAULT_SECS}]


@pytest.mark.parametrize(
    ("faults", "next_strategies"),
    [
        pytest.param([DEAF], ["grid"], id="cancels are never acknowledged"),
        pytest.param([DEAF], ["watch"], id="nor taken up by the same strategy"),
        pytest.param([GONE_WITH_THE_FIRST_CANCEL], ["watch"], id="the venue goes down meanwhile"),
        pytest.param(NEVER_ANSWERS, ["grid"], id="queries have no answer either"),
        pytest.param([{"kind": "reject", "on": "cancel"}], ["watch"], id="cancels are refused"),
    ],
)
def test_what_could_not_be_cancelled_is_named(
    tmp_path: Path, faults: list[dict[str, Any]], next_strategies: list[str]
) -> None:
    """Exit 3 within the ladder, each order named, the state flushed and verified; the next start
    ends what the stop could not, whichever strategies it runs.
    """
    world = World(tmp_path)
    world.configure(grid(), faults=faults)
    with world.run() as run:
        world.until_grid(run)
        if faults is NEVER_ANSWERS:
            until_fault(run, FAULT_SECS)
        run.send(signal.SIGTERM)
        assert run.end() == 3, run
        assert run.took_secs < BUDGET_SECS + NOISE_SECS
    report = run.report()
    found = judge.check_crash(world, run)
    assert report["outcome"] == "incomplete"
    assert report["duration_secs"] < BUDGET_SECS + 0.5
    left = set(report["orders"]["left_open"])
    # The cancel that was under way when the venue went down arrived or did not: who cannot ask
    # says that it may rest.
    doubtful = 1 if GONE_WITH_THE_FIRST_CANCEL in faults else 0
    assert set(found.entries()) <= left
    assert len(left) - len(found.entries()) <= doubtful
    assert (report["orders"]["open_at_stop"], report["orders"]["cancelled"]) == (50, 0)
    assert report["state"] == {"flushed": True, "verified": True, "records": len(found.records)}
    stages = {stage["name"]: stage["outcome"] for stage in report["stages"]}
    assert list(stages) == STAGES
    assert stages["cancel"] in ("timed_out", "failed")
    assert (stages["flush"], stages["verify"]) == ("ok", "ok")
    assert judge.bare(found) == []
    run.check_log()
    assert world.leftovers() == []

    tables = {"grid": grid(), "watch": strategy("watch", "Watch")}
    world.configure(*(tables[name] for name in next_strategies))
    left_ids = ", ".join(f"'{order}'" for order in left)
    still = f"SELECT 1 FROM orders WHERE status='open' AND client_order_id IN ({left_ids})"
    with world.run() as run:
        run.until(lambda: world.venue.exists() and not world.live(still), "an end of what was left")
        run.until_log("Market data flows")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    after = judge.check_clean(world, run)
    assert {after.orders[order]["status"] for order in left} == {"cancelled"}
    assert after.stops() == found.stops()


def test_lost_acknowledgements_of_cancels_are_asked_for(tmp_path: Path) -> None:
    """Where the cancels arrive and only their answers are lost, queries prove what they did."""
    world = World(tmp_path)
    world.configure(grid(), faults=[{"kind": "drop", "on": "event", "after_secs": FAULT_SECS}])
    with world.run() as run:
        world.until_grid(run)
        until_fault(run, FAULT_SECS)
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    judge.check_clean(world, run)
    assert run.report()["orders"]["cancelled"] == 50


def test_a_venue_that_comes_back_during_the_stop_is_asked_again(tmp_path: Path) -> None:
    """An outage shorter than the ladder costs time, not orders."""
    world = World(tmp_path)
    world.configure(
        grid(),
        venue={"seed": 1},
        faults=[{"kind": "disconnect", "on": "cancel", "for_secs": 0.4, "probability": 0.06}],
        supervision={"backoff_secs": 0.1, "max_backoff_secs": 0.2, "max_restarts": 1000},
        shutdown={"order_timeout_secs": 20.0},
    )
    with world.run() as run:
        world.until_grid(run)
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    judge.check_clean(world, run)
    assert "Private connection lost" in run.log


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_source_that_is_unreachable_at_the_start(tmp_path: Path) -> None:
    """Exit 4 after bounded retries, with one message that names the source."""
    world = World(tmp_path)
    world.configure(strategy("watch", "Watch"), market=loopback_market(free_port()))
    with world.run() as run:
        assert run.end() == 4, run
    (error,) = [line for line in run.log.splitlines() if line.startswith("error:")]
    assert "'sim'" in error
    assert run.report()["outcome"] == "failed"
    assert world.verify()["positions"] == []
    assert world.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["asked before the start", "the start waits for it"])
def test_a_signal_while_the_source_is_unreachable(
    tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    """Whatever the start waits for, a signal ends it at once."""
    world = World(tmp_path)
    with contextlib.ExitStack() as sockets:
        silent = sockets.enter_context(socket.socket())
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections and never says a word
        world.configure(strategy("watch", "Watch"), market=loopback_market(silent.getsockname()[1]))
        with world.run() as run:
            if moment == "the start waits for it":
                run.until_log("could not be asked")
            else:
                sockets.enter_context(silent.accept()[0])
            run.send(number)
            assert run.end() == 0, run
            assert run.took_secs < NOISE_SECS
    assert run.report()["outcome"] == "clean"
    assert "Forced" not in run.log
    assert world.verify()["positions"] == []
    assert world.leftovers() == []


def test_check_of_the_same(tmp_path: Path) -> None:
    """`check` warns of a source that it cannot ask, and creates nothing."""
    world = World(tmp_path)
    world.configure(strategy("watch", "Watch"), market=loopback_market(free_port()))
    done = command("check", world.config)
    assert done.returncode == 0, done.stderr
    assert "sim" in done.stdout + done.stderr
    assert not world.data_dir.exists()
