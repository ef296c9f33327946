"""Two runtimes, one folder: the second is refused and told by whom, the first does not notice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import World, grid

pytestmark = pytest.mark.process


def test_a_second_runtime_is_refused(tmp_path: Path) -> None:
    """Exit 3, one message that names the process; nothing of the first is touched."""
    world = World(tmp_path)
    world.configure(grid(20))
    with world.run() as first:
        world.until_grid(first, 20)
        reports = list(world.data_dir.rglob("*.json"))
        with world.run() as second:
            assert second.end() == 3, second
        (error,) = [line for line in second.log.splitlines() if line.startswith("error:")]
        assert f"pid {first.pid} " in error
        assert "stop that runtime first" in error
        assert list(world.data_dir.rglob("*.json")) == reports
        assert world.entries_open() == 20
        assert first.process.poll() is None
        first.send(signal.SIGTERM)
        assert first.end() == 0, first
    judge.check_clean(world, first)


def test_many_starters_one_winner(tmp_path: Path) -> None:
    """Started at the same moment, one gets the folder and the others are refused."""
    world = World(tmp_path)
    world.configure(grid(5))
    with world.run() as a, world.run() as b, world.run() as c:
        runs = [a, b, c]
        while sum(run.process.poll() is None for run in runs) > 1:
            assert min(run.age_secs for run in runs) < 40
        (winner,) = [run for run in runs if run.process.poll() is None]
        assert [3, 3] == [run.end() for run in runs if run is not winner]
        world.until_grid(winner, 5)
        winner.send(signal.SIGTERM)
        assert winner.end() == 0, winner
    judge.check_clean(world, winner)
