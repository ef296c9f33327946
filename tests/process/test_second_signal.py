"""Two signals ten milliseconds apart, at any moment: the process ends at once, the log is whole,
nothing on the disk is broken, and the next start goes on.

The rounds are chained: each starts on what the one before left.
"""

from __future__ import annotations

import itertools
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.process import judge
from tests.process.support import (
    NOISE_SECS,
    SEED,
    Run,
    World,
    share,
    strategy,
    until_age,
)

pytestmark = pytest.mark.process

PAIRS = [
    (signal.SIGINT, signal.SIGINT),
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGINT, signal.SIGTERM),
]

BUSY = {"kind": "synthetic", "quotes_per_sec": 400.0, "size": 0.3}
"""A market that shows less than the orders ask for: they fill part by part."""

SLOW_MS = 400
"""A latency at which a stop still waits for its cancels when the second signal comes, however late
a busy machine sends that.
"""


def churn(**params: Any) -> dict[str, Any]:
    """Return a strategy that never rests."""
    return strategy("churn", "Churn", **params)


def check_ended(world: World, run: Run, log_format: str) -> str:
    """Judge a run that got two signals; return how it ended."""

    def held() -> bool:
        """Whether the journal's lock names this process."""
        lock = world.data_dir / "journal.sqlite.lock"
        return lock.exists() and f'"pid": {run.pid},' in lock.read_text()

    code = run.end()
    assert run.took_secs < NOISE_SECS + 1.0, run
    forced = run.log.count("Forced exit requested")
    if run.unborn:
        assert not held()
        return "not begun"
    if log_format == "json":
        records = run.records() if run.log else []
        stacks = [r["stack"] for r in records if r["event"] == "Forced exit requested"]
    else:
        run.check_log()
        stacks = [run.log.partition("Forced exit requested")[2]] if forced else []
    if code == 0:
        assert forced == 0
        assert "Shutdown complete" in run.log or "Stopped before" in run.log, run
        return "had stopped already"
    assert (code, forced) == (1, 1), run
    assert "--- thread" in stacks[0]
    assert "--- task" in stacks[0] or "Shutdown started" not in run.log
    return "forced"


@pytest.mark.parametrize(("log_format", "durability"), [("text", "process"), ("json", "power")])
def test_at_any_moment(tmp_path: Path, log_format: str, durability: str) -> None:
    """From the first moment of the process to deep in its trading, with writes and partial fills
    under way all the time.
    """
    rng = random.Random(f"{SEED} {log_format} {durability}")
    world = World(tmp_path)
    world.configure(
        churn(every=2), market=BUSY, venue={"latency_ms": 40}, store={"durability": durability}
    )
    ends = []
    for pair in itertools.islice(itertools.cycle(PAIRS), share(3, 25)):
        with world.run("--log-format", log_format) as run:
            if rng.random() < 0.7:
                run.until_log("Market data flows")
            moment = rng.uniform(0.0, 1.2)
            until_age(run, run.age_secs + moment)
            run.send(*pair)
            ends.append(check_ended(world, run, log_format))
        judge.check_crash(world, run)
    goes_on(world)
    found = judge.evidence(world)
    assert len(found.fills) > 0
    assert "forced" in ends


@pytest.mark.parametrize("durability", ["process", "power"])
def test_during_the_stop(tmp_path: Path, durability: str) -> None:
    """The first signal alone, and the second at any moment of the stop that it asked for."""
    rng = random.Random(f"{SEED} {durability}")
    world = World(tmp_path)
    world.configure(
        churn(every=2), market=BUSY, venue={"latency_ms": 40}, store={"durability": durability}
    )
    for round_number in range(share(2, 25)):
        with world.run("--log-format", "json") as run:
            run.until_log("Market data flows")
            run.until(lambda: len(world.live("SELECT 1 FROM orders LIMIT 20")) == 20, "orders")
            pair = PAIRS[round_number % len(PAIRS)]
            run.send(*pair, gap_secs=rng.uniform(0.0, 0.25))
            check_ended(world, run, "json")
        judge.check_crash(world, run)
    goes_on(world)


def test_a_forced_exit_says_what_it_left(tmp_path: Path) -> None:
    """The report names what rests, and says that nothing was verified."""
    world = World(tmp_path)
    world.configure(strategy("grid", "Grid", n=20), venue={"latency_ms": SLOW_MS})
    with world.run() as run:
        world.until_grid(run, 20)
        run.send(signal.SIGTERM, signal.SIGTERM, gap_secs=0.1)
        assert run.end() == 1, run
    found = judge.check_crash(world, run)
    report = run.report()
    assert ("forced", 1) == (report["outcome"], report["exit_code"])
    assert "SIGTERM; forced: second signal" in report["reason"]
    assert set(found.entries()) <= set(report["orders"]["left_open"])
    assert report["state"]["verified"] is False
    assert "Forced exit requested" in run.log
    goes_on(world)


def goes_on(world: World) -> None:
    """Start once more, trade a while, and stop clean."""
    with world.run() as run:
        run.until_log("Market data flows")
        before = len(world.live("SELECT 1 FROM history"))
        if "Churn" in world.config.read_text():
            run.until(lambda: len(world.live("SELECT 1 FROM history")) > before, "trading")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    judge.check_clean(world, run)
