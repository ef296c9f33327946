"""`run --standby`: a second runtime waits for the state, and takes over when the first is gone."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.process import judge
from tests.process.support import World, grid
from tests.process.test_postgresql import tables
from tests.process.test_postgresql import world as postgres_world

pytestmark = pytest.mark.process

in_postgresql = postgres_world
"""The fixture of a folder whose journal is in PostgreSQL, by another name."""

WAITS = "Standing by until the journal is free"


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A trader's folder, with either store."""
    if request.param == "sqlite":
        return World(tmp_path)
    found: World = request.getfixturevalue("in_postgresql")
    return found


def store(world: World) -> dict[str, Any]:
    """The sections of its store."""
    return tables(world) if world.postgres_url else {}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_takes_over(world: World, number: signal.Signals) -> None:
    """From one that was killed, and from one that stopped: every order is known again, once."""
    world.configure(grid(20), **store(world))
    with world.run() as first:
        world.until_grid(first, 20)
        with world.run("--standby") as second:
            second.until_log(WAITS)
            first.send(number)
            first.end()
            second.until_log("Market data flows")
            world.until_grid(second, 20)
            second.send(signal.SIGTERM)
            assert 0 == second.end(), second
    judge.check_clean(world, second)


def test_it_can_be_stopped_while_it_waits(world: World) -> None:
    """At once, clean; the one that it waited for goes on."""
    world.configure(grid(5), **store(world))
    with world.run() as first:
        world.until_grid(first, 5)
        with world.run("--standby") as second:
            second.until_log(WAITS)
            second.send(signal.SIGTERM)
            assert 0 == second.end(), second
            assert second.took_secs < 3
        first.send(signal.SIGTERM)
        assert 0 == first.end(), first
    judge.check_clean(world, first)


def test_where_nobody_is_it_starts_at_once(world: World) -> None:
    """It waits for nobody."""
    world.configure(grid(5), **store(world))
    with world.run("--standby") as run:
        world.until_grid(run, 5)
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    assert WAITS not in run.log
    judge.check_clean(world, run)
