"""`verify`: what the journal says, proven and printed as JSON, with the folder left as it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli_world import World, command
from trade_runtime.cli.verify import verify_command


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A folder in which nothing is wrong."""
    world = World(tmp_path)
    world.write()
    return world


def verify(world: World) -> tuple[Result, dict[str, Any]]:
    """Run it; nothing may change by it."""
    before = world.digest()
    result = CliRunner().invoke(verify_command, [str(world.config)])
    assert before == world.digest()
    return result, json.loads(result.stdout)


def test_a_journal_that_does_not_exist_is_in_order(world: World) -> None:
    """Nothing was ever recorded: that is no damage, and the folder is not made either."""
    result, verdict = verify(world)
    assert 0 == result.exit_code
    assert {
        "ok": True,
        "records": 0,
        "removed": 0,
        "tables": True,
        "clean": True,
        "open_intents": [],
        "positions": [],
    } == verdict


def test_a_run_that_stopped_leaves_its_position_and_its_stop(world: World) -> None:
    """The entry was cancelled by the stop; what is open is the position's protection."""
    world.trade()
    result, verdict = verify(world)
    assert (0, True, True) == (result.exit_code, verdict["ok"], verdict["clean"])
    (position,) = verdict["positions"]
    assert ("buyer", "ETHUSDT.paper", "0.5") == (
        position["strategy"],
        position["instrument"],
        position["quantity"],
    )
    assert 2000 < float(position["average_price"]) < 3000
    (stop,) = verdict["open_intents"]
    assert (True, "sell", "0.5", "open") == (
        stop["protective"],
        stop["side"],
        stop["quantity"],
        stop["state"],
    )


def test_damage_is_exit_code_3_and_claims_nothing(world: World) -> None:
    """What cannot be trusted is null, never zero or empty; the error names the file."""
    world.trade()
    data = bytearray(world.journal.read_bytes())
    data[len(data) // 2] ^= 1
    world.journal.write_bytes(data)
    result, verdict = verify(world)
    assert (3, False) == (result.exit_code, verdict["ok"])
    assert str(world.journal) in verdict["error"]
    assert [None] * 4 == [verdict[key] for key in ("records", "clean", "open_intents", "positions")]


@pytest.mark.parametrize("missing", [True, False])
def test_a_configuration_that_cannot_be_read_is_exit_code_2(world: World, missing: bool) -> None:
    """There is no state to speak of then: nothing on stdout, the mistake on stderr."""
    if missing:
        world.config.unlink()
    else:
        world.write(lambda text: text.replace("seed = 1", "sead = 1"))
    result = CliRunner().invoke(verify_command, [str(world.config)])
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"error: {world.config}: ")


def test_strategies_need_not_be_there(world: World) -> None:
    """State can be proven on a machine that has the files of no strategy."""
    world.trade()
    (world.folder / "buyer.py").unlink()
    result, verdict = verify(world)
    assert (0, True) == (result.exit_code, verdict["ok"])


@pytest.mark.process
def test_a_killed_run_is_sound_and_not_clean(world: World) -> None:
    """While it runs, and after the kill: the journal verifies, and says that it was not stopped."""
    run = subprocess.Popen(
        [sys.executable, "-m", "trade_runtime", "run", str(world.config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        verdict: dict[str, Any] = {}
        while not verdict.get("positions"):
            assert time.monotonic() < deadline, verdict
            time.sleep(0.1)
            verdict = json.loads(command("verify", world.config).stdout)
            assert verdict["ok"], verdict
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    result, verdict = verify(world)
    assert (0, True, False) == (result.exit_code, verdict["ok"], verdict["clean"])
    assert ["0.5"] == [position["quantity"] for position in verdict["positions"]]
