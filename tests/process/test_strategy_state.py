"""`kill -9` between the fills of a strategy that counts them: its count is the journal's."""

from __future__ import annotations

import json
import random
import re
import signal
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import SEED, World, share, strategy, until_age
from tests.process.test_second_signal import BUSY

pytestmark = pytest.mark.process


def check_states(found: judge.Evidence) -> int:
    """Judge the states of a journal; return how many fills it has that the last does not know.

    Each counts the fills before it. Once a process has placed an entry, its strategy runs, so no
    fill that is durable stands without a state after it.
    """
    fills = lacking = 0
    runs = False
    for record in found.records:
        payload = record["payload"]
        if record["kind"] == "start":
            runs = False
        elif record["kind"] == "intent" and not payload["protective"]:
            runs = True
        elif record["kind"] == "halt":
            runs = False
        elif record["kind"] == "fill":
            fills += 1
            lacking += 1
        elif record["kind"] == "strategy_state":
            lacking = 0
            if payload["format"] == "mapping":
                assert fills == json.loads(payload["payload"])["fills"], f"record {record['seq']}"
    assert not (runs and lacking), f"{lacking} fills are durable without the state that knows them"
    return lacking


def test_killed_between_fills(tmp_path: Path) -> None:
    """After every kill and restart the strategy knows each fill once, and so does its state."""
    rng = random.Random(SEED)
    world = World(tmp_path)
    world.configure(
        strategy("churn", "Counting", every=2),
        market=BUSY,
        store={"commit_secs": 0.05},
    )
    told = []
    for _ in range(share(5, 50)):
        with world.run() as run:
            run.until_log("Market data flows")
            until_age(run, run.age_secs + rng.uniform(0.05, 0.8))
            run.kill()
        check_states(judge.check_crash(world, run))
        told += re.findall(r"counts +.*fills=(\d+)", run.log)
    with world.run() as run:
        run.until_log("Market data flows")
        run.until(lambda: len(world.live("SELECT 1 FROM fills")) > 20, "fills")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    found = judge.check_clean(world, run)
    lacking = check_states(found)
    told += re.findall(r"counts +.*fills=(\d+)", run.log)
    states = [r["payload"] for r in found.records if r["kind"] == "strategy_state"]
    assert len(found.booked) == json.loads(states[-1]["payload"])["fills"] + lacking
    assert sorted(map(int, told)) == list(map(int, told)), "a restart forgot fills"
    assert int(told[-1]) > 0
    print(f"{len(found.booked)} fills, {len(states)} states, at the starts {told}")
