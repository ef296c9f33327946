"""A breaker that trips in a live run, and what of it lasts: judged from the files alone."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import World, command, grid

pytestmark = pytest.mark.process

MARKET = {"kind": "synthetic", "quotes_per_sec": 200, "volatility_bps": 60}
"""Falls by a per cent soon, and by the 20 of the stop-loss not for long."""


def submits(found: judge.Evidence) -> int:
    """How many orders ever reached the exchange."""
    return sum(row["event"] == "submit" for row in found.history)


def test_a_breaker_halts_until_somebody_resumes(tmp_path: Path) -> None:
    """Tripped: entries cancelled, the stop kept, the latch on the disk. A restart sends nothing;
    after `resume` the next run trades again.
    """
    world = World(tmp_path)
    world.configure(grid(20), market=MARKET, risk={"max_drawdown": {"USDT": "20"}})
    with world.run() as run:
        run.until_log("Trading is restricted until it is resumed")
        run.until(lambda: not world.entries_open() and world.stops_open() == 1, "one stop alone")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    found = judge.check_clean(world, run)
    assert (0, 1) == (len(found.entries()), len(found.stops()))
    cancelled = [i for i, o in found.orders.items() if o["status"] == "cancelled"]
    reasons = {
        record["payload"]["client_order_id"]: record["payload"]["reason"]
        for record in found.records
        if record["kind"] == "cancel"
    }
    assert 20 == len([i for i in cancelled if reasons[i].startswith("trading is restricted")])
    (latch,) = [record for record in found.records if record["kind"] == "latch"]
    assert ("halted", "risk") == (latch["payload"]["mode"], latch["payload"]["by"])
    assert "max_drawdown 20" in latch["payload"]["reason"]
    assert latch["payload"] == run.report()["latch"]
    sent = submits(found)

    with world.run() as run:
        run.until_log("Trading is still restricted")
        run.until_log("Market data flows")
        run.until_log("Order refused")
        assert 3 == command("resume", world.config).returncode  # it runs: it would not notice
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    found = judge.check_clean(world, run)
    assert sent == submits(found)
    assert latch["payload"] == run.report()["latch"]
    assert 1 == len(found.stops())

    done = command("resume", world.config, "--reason", "looked at it", "--json")
    assert 0 == done.returncode, done.stderr
    facts = json.loads(done.stdout)
    assert (True, "halted") == (facts["cleared"], facts["latch"]["mode"])

    with world.run() as run:
        run.until(lambda: world.entries_open() > 0, "entries again")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    found = judge.check_clean(world, run)
    assert submits(found) > sent
