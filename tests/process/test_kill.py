"""`kill -9` at random moments, one after the other on one folder, then a clean stop.

After each kill the files alone are judged; after each start it is measured, from the venue's
record, how long the positions were without their stop-losses.
"""

from __future__ import annotations

import random
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import NOISE_SECS, SEED, Run, World, share, strategy, until_age
from tests.process.test_second_signal import BUSY

pytestmark = pytest.mark.process

GRACE_SECS = 0.2
"""What `World.configure` gives `protection.grace_secs`."""

BARE_SECS = GRACE_SECS + 0.5
"""The published bound of a position without its stop after a start: the grace, twice the guard's
period, and the way to the venue and back."""


def uncovered(world: World) -> Decimal:
    """Return how much of the position no resting stop covers, by the venue's record alone."""
    fills = world.live("SELECT side, quantity FROM fills")
    stops = world.live(
        "SELECT quantity, filled FROM orders WHERE status = 'open' AND type = 'stop_market'"
    )
    held = sum(((1 if s == "buy" else -1) * Decimal(q) for s, q in fills), Decimal(0))
    return held - sum((Decimal(q) - Decimal(f) for q, f in stops), Decimal(0))


def check_covered(world: World, run: Run) -> float:
    """Wait until the start has covered what is open; return how long that took from `Running`."""
    run.until_log("Running ")
    began = run.age_secs
    run.until(lambda: uncovered(world) <= 0, "cover", BARE_SECS + NOISE_SECS)
    return run.age_secs - began


@pytest.mark.parametrize("durability", ["process", "power"])
def test_killed_again_and_again(tmp_path: Path, durability: str) -> None:
    """At every step: each order has its intent and was sent once, no fill is made up or doubled,
    the journal is proven; in the end venue and journal are equal and all is covered.
    """
    rng = random.Random(f"{SEED} {durability}")
    world = World(tmp_path)
    quiet_secs = 0.8
    world.configure(
        strategy("churn", "Churn", every=2, quiet_secs=quiet_secs, own_stops=False),
        strategy("other", "Churn", every=5, quiet_secs=quiet_secs),
        market=BUSY,
        store={"durability": durability},
    )
    bare_secs: list[float] = []
    for _ in range(share(4, 50)):
        with world.run() as run:
            where = rng.random()
            if where < 0.25:  # while it starts
                moment = rng.uniform(0.0, 0.9)
            elif where < 0.5:  # while it recovers, or just has
                run.until_log("Running ")
                moment = rng.uniform(0.0, quiet_secs)
            else:
                bare_secs.append(check_covered(world, run))
                run.until_log("Market data flows")
                moment = rng.uniform(quiet_secs, quiet_secs + 1.2)
            until_age(run, run.age_secs + moment)
            run.kill()
        judge.check_crash(world, run)
    with world.run() as run:
        bare_secs.append(check_covered(world, run))
        run.until_log("Market data flows")
        run.until(lambda: len(world.live("SELECT 1 FROM fills")) > 20, "fills")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    found = judge.check_clean(world, run)
    print(f"bare after a start: {max(bare_secs):.3f} s at most, {len(found.fills)} fills")


def test_killed_in_the_middle_of_its_stop(tmp_path: Path) -> None:
    """A stop that is killed is a crash like any other."""
    rng = random.Random(SEED)
    world = World(tmp_path)
    world.configure(
        strategy("grid", "Grid", n=20),
        strategy("churn", "Churn", every=2),
        market=BUSY,
        venue={"latency_ms": 40},
    )
    for _ in range(share(2, 20)):
        with world.run() as run:
            run.until_log("Market data flows")
            run.until(lambda: world.entries_open() >= 20, "orders")
            run.send(signal.SIGTERM)
            run.until_log("Shutdown started")
            since, moment = run.age_secs, rng.uniform(0.0, 0.25)
            while run.process.poll() is None and run.age_secs < since + moment:
                pass
            run.kill()
        judge.check_crash(world, run)
    with world.run() as run:
        run.until_log("Market data flows")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    judge.check_clean(world, run)
