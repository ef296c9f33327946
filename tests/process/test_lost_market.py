"""Market data that goes away for good: past the bound of restarts the runtime stops by itself, in
order, and says what failed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import STAGES_OK, World, grid, replayed
from tests.replay_world import small_recording

pytestmark = pytest.mark.process


def test_past_the_bound_it_stops_in_order(tmp_path: Path) -> None:
    """Exit 4; the entries are cancelled, the stop-loss rests, the report names the part."""
    world = World(tmp_path)
    recording = small_recording(tmp_path / "small.txt")
    with replayed(recording, tmp_path / "server") as (server, market):
        world.configure(
            grid(20, size="1"),
            market=market,
            supervision={"max_restarts": 2, "backoff_secs": 0.05, "max_backoff_secs": 0.1},
        )
        with world.run() as run:
            world.until_grid(run, 20)
            server.kill()
            assert run.end() == 4, run
    found = judge.evidence(world)
    wrong = judge.crimes(found) + judge.unsettled(found)
    assert not wrong, f"{wrong} {run}"
    report = run.report()
    assert ("failed", 4) == (report["outcome"], report["exit_code"])
    assert "market data of paper" in report["error"]
    assert "market data of paper" in report["reason"]
    assert 20 == report["orders"]["open_at_stop"] == report["orders"]["cancelled"]
    assert STAGES_OK == [(s["name"], s["outcome"]) for s in report["stages"]]
    assert len(found.stops()) == 1
    assert world.leftovers() == []
    run.check_log()


def test_a_venue_that_stays_away(tmp_path: Path) -> None:
    """The same of the private connection: what cannot be cancelled is named, so the code is 3."""
    world = World(tmp_path)
    world.configure(
        grid(20),
        faults=[{"kind": "disconnect", "after_secs": 4.0}],
        supervision={"max_restarts": 2, "backoff_secs": 0.05, "max_backoff_secs": 0.1},
    )
    with world.run() as run:
        world.until_grid(run, 20)
        assert run.end() == 3, run
    report = run.report()
    found = judge.check_crash(world, run)
    assert report["outcome"] == "incomplete"
    assert sorted(found.entries()) == sorted(report["orders"]["left_open"])
    assert "paper" in report["error"]
    assert report["state"]["verified"] is True
    assert judge.bare(found) == []
