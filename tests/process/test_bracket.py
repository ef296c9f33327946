"""A bracket that outlives its process: killed while it waits, and killed while it is open."""

from __future__ import annotations

import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.process import judge
from tests.process.support import Run, World, replayed, strategy
from tests.process.test_kill import uncovered
from tests.replay_world import small_recording

pytestmark = pytest.mark.process


def standing(world: World) -> dict[str, tuple[str, Decimal, Decimal]]:
    """What the venue has of each order: its status, size and fills."""
    rows = world.live("SELECT side, type, status, quantity, filled FROM orders")
    return {
        f"{side} {kind}": (status, Decimal(quantity), Decimal(filled))
        for side, kind, status, quantity, filled in rows
    }


def killed(world: World, run: Run) -> judge.Evidence:
    """Kill it; what it left is sound, and of the bracket there is one of each order and no more."""
    run.kill()
    found = judge.check_crash(world, run)
    kinds = [(r["payload"]["side"], r["payload"]["type"]) for r in found.intents.values()]
    assert sorted(kinds) == [("buy", "limit"), ("sell", "limit"), ("sell", "stop_market")], run
    return found


@pytest.mark.parametrize("venue", [{}, {"oco": False}], ids=["groups", "no groups"])
def test_killed_around_its_entry(tmp_path: Path, venue: dict[str, Any]) -> None:
    """Each start knows the entry and both exits again; the position is covered by the stop-loss of
    the bracket; and when the target fills, the stop-loss is gone.
    """
    world = World(tmp_path)
    recording = small_recording(tmp_path / "small.txt")
    one, none = Decimal(1), Decimal(0)
    with replayed(recording, tmp_path / "server") as (_, market):

        def configure(do: str) -> None:
            world.configure(strategy("hand", "Bracketed", do=do), market=market, venue=venue)

        configure("place")
        with world.run() as run:
            run.until(lambda: standing(world), "an entry")
            run.until(lambda: standing(world)["buy limit"][0] == "open", "an entry that rests")
            killed(world, run)

        configure("enter")
        with world.run() as run:
            run.until_log("knows buy:limit:open sell:stop_market:held sell:limit:held")
            exits = {"sell stop_market": ("open", one, none), "sell limit": ("open", one, none)}
            run.until(
                lambda: standing(world) == {"buy limit": ("filled", one, one), **exits},
                "both exits for the whole position",
            )
            killed(world, run)
        assert uncovered(world) == 0

        configure("leave")
        with world.run() as run:
            run.until_log("knows sell:stop_market:open sell:limit:open")
            run.until(lambda: standing(world)["sell limit"] == ("filled", one, one), "the target")
            run.until(lambda: standing(world)["sell stop_market"][0] == "cancelled", "no stop-loss")
            run.send(signal.SIGTERM)
            assert run.end() == 0, run
    found = judge.check_clean(world, run)
    assert found.verdict["positions"] == []
    assert found.entries() == found.stops() == []
    assert len(found.intents) == 3
