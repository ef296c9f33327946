"""A cache beside a runtime that is a process of its own: what other programs read there while it
runs, after it stopped, after it was killed.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.process import judge
from tests.process.support import BUDGET_SECS, ETH, Run, World, grid
from tests.support.valkey import Valkey

pytestmark = pytest.mark.process

SPACE = "desk:world"


def table(server: Valkey, name: str) -> dict[str, Any]:
    """A hash of the runtime's, its values read."""
    with server.client() as client:
        return {k: json.loads(v) for k, v in client.hgetall(f"{SPACE}:{name}").items()}


def status(server: Valkey) -> dict[str, str]:
    with server.client() as client:
        found: dict[str, str] = client.hgetall(f"{SPACE}:status")
        return found


def stream(server: Valkey) -> list[dict[str, str]]:
    with server.client() as client:
        return [fields for _, fields in client.xrange(f"{SPACE}:stream")]


def world_with(server: Valkey, folder: Path, **cache: Any) -> World:
    world = World(folder)
    world.configure(grid(20), cache={"url": server.url, "prefix": "desk", **cache})
    return world


def until_shown(run: Run, server: Valkey) -> None:
    run.until(lambda: len(table(server, "orders")) == 21, "21 orders in the cache")


def test_what_others_read(tmp_path: Path, valkey: Valkey) -> None:
    """While it runs: the venue's own account of the orders. After the stop: the outcome, and what
    rests on purpose.
    """
    world = world_with(valkey, tmp_path)
    with world.run() as run:
        world.until_grid(run, 20)
        until_shown(run, valkey)
        orders = table(valkey, "orders")
        open_at_venue = world.live("SELECT client_order_id FROM orders WHERE status='open'")
        assert {row[0] for row in open_at_venue} == orders.keys()
        assert {"open"} == {order["state"] for order in orders.values()}
        assert {f"grid:{ETH}"} == table(valkey, "positions").keys()
        run.until(lambda: {ETH} == table(valkey, "quotes").keys(), "quotes")
        run.until(lambda: "paper:USDT" in table(valkey, "balances"), "balances")
        assert ("running", str(run.pid)) == (status(valkey)["state"], status(valkey)["pid"])
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
        assert run.took_secs < BUDGET_SECS
    found = judge.check_clean(world, run)
    report = run.report()
    assert {"flushed": True, "spooled": 0, "error": ""} == report["cache"]
    last = status(valkey)
    assert ("stopped", "clean", "0", "SIGTERM") == (
        last["state"],
        last["outcome"],
        last["exit_code"],
        last["stop_reason"],
    )
    assert set(found.stops()) == table(valkey, "orders").keys()
    entries = stream(valkey)
    assert [str(n + 1) for n in range(report["state"]["records"])] == [e["seq"] for e in entries]
    with valkey.client() as client:
        assert 80_000 < client.ttl(f"{SPACE}:status") <= 86_400


@pytest.mark.parametrize("harm", [Valkey.kill, Valkey.freeze, Valkey.fill])
def test_a_stop_without_it(tmp_path: Path, valkey: Valkey, harm: Any) -> None:
    """Exit 0 within the budget; the report says that it could not be written."""
    world = world_with(valkey, tmp_path)
    with world.run() as run:
        world.until_grid(run, 20)
        until_shown(run, valkey)
        harm(valkey)
        run.until_log("The cache cannot be written")
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
        assert run.took_secs < BUDGET_SECS
    judge.check_clean(world, run)
    cache = run.report()["cache"]
    assert (False, True) == (cache["flushed"], cache["spooled"] > 0)
    assert cache["error"]
    assert 1 == run.log.count("The cache cannot be written")


def test_a_killed_runtime_goes_away(tmp_path: Path, valkey: Valkey) -> None:
    """Its values expire; its stream stays; the next process shows all of it again, and goes on."""
    world = world_with(valkey, tmp_path, heartbeat_secs=0.3, expiry_secs=1.0)
    with world.run() as run:
        world.until_grid(run, 20)
        until_shown(run, valkey)
        run.kill()
    before = len(stream(valkey))
    end = time.monotonic() + 10
    with valkey.client() as client:
        while client.keys(f"{SPACE}:*") != [f"{SPACE}:stream"]:
            assert time.monotonic() < end, client.keys("*")
            time.sleep(0.05)
    with world.run() as run:
        run.until(lambda: status(valkey).get("state") == "running", "a status")
        run.until(lambda: f"grid:{ETH}" in table(valkey, "positions"), "the position")
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    seqs = [int(fields["seq"]) for fields in stream(valkey)]
    assert len(seqs) > before
    assert seqs == sorted(set(seqs))


def test_the_missing_extra_is_told(tmp_path: Path, valkey: Valkey) -> None:
    """Before anything starts: exit 2, with the mend."""
    world = world_with(valkey, tmp_path)
    hidden = tmp_path / "hidden" / "redis"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('hidden')\n")
    path = os.pathsep.join([str(hidden.parent), os.environ.get("PYTHONPATH", "")])
    with world.run(env={**os.environ, "PYTHONPATH": path}) as run:
        assert 2 == run.end(), run
    assert "pip install 'trade-runtime[redis]'" in run.log
