"""`resume`: shows what restricts trading and clears it, and touches nothing else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from tests.cli_world import World
from trade_runtime.cli.main import cli
from trade_runtime.cli.preflight import examine, preflight, read_journal
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.tables import prove
from trade_runtime.protocols import Store
from trade_runtime.runtime import open_runtime
from trade_runtime.settings import Settings


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A folder with a configuration and no state."""
    made = World(tmp_path)
    made.write()
    return made


def run(world: World, *options: str) -> Result:
    """Run `resume CONFIG` in this process."""
    return CliRunner().invoke(cli, ["resume", str(world.config), *options])


def halted(world: World, *, mode: str = "halt", secs: float = 2.0) -> None:
    """Trade for a while, halt, and stop in order."""
    settings = Settings.from_toml(world.config)

    async def main() -> None:
        async with open_runtime(settings, clock=TrioClock()) as runtime:
            await trio.sleep(secs)
            getattr(runtime, mode)("too many losses")

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def state(world: World) -> TradingState:
    """What the journal says."""
    return trio.run(read_journal, Settings.from_toml(world.config)).state


def test_it_tells_and_clears(world: World) -> None:
    """Mode, by whom, since when and why; the journal has the reason; the next run trades."""
    halted(world)
    done = run(world, "--reason", "looked at it")
    assert 0 == done.exit_code
    first, second = done.stdout.splitlines()
    assert first.startswith("halted since 2023-11-14T22:13:2")
    assert first.endswith("by operator: too many losses")
    assert "cleared: the next run trades again" == second
    assert state(world).latch is None
    again = run(world)
    assert (0, "nothing restricts trading: there is nothing to clear\n") == (
        again.exit_code,
        again.stdout,
    )
    world.trade()
    assert state(world).clean


def test_show_changes_nothing(world: World) -> None:
    """Not a byte, and no lock."""
    halted(world, mode="reduce_only")
    before = world.digest()
    done = run(world, "--show", "--json")
    assert before == world.digest()
    facts: dict[str, Any] = json.loads(done.stdout)
    assert facts["cleared"] is False
    assert ("reduce_only", "too many losses", "operator") == tuple(
        facts["latch"][key] for key in ("mode", "reason", "by")
    )


def test_where_there_is_no_journal_yet(world: World) -> None:
    """There is nothing to clear, and none is made."""
    before = world.digest()
    done = run(world, "--json")
    assert (0, {"latch": None, "cleared": False}) == (done.exit_code, json.loads(done.stdout))
    assert before == world.digest()


def test_a_runtime_that_runs_is_in_the_way(world: World) -> None:
    """Exit code 3: which process, and that it is to be stopped first. Looking is free."""
    settings = Settings.from_toml(world.config)
    results: list[Result] = []

    async def main() -> None:
        async with open_runtime(settings, clock=TrioClock()) as runtime:
            await trio.sleep(1)
            runtime.halt("by hand")
            await trio.sleep(1)
            assert runtime.state is not None
            await runtime.state.flush()
            results.append(await trio.to_thread.run_sync(run, world))
            results.append(await trio.to_thread.run_sync(run, world, "--show"))

    trio.run(main)
    refused, shown = results
    assert 3 == refused.exit_code
    assert "is held by pid" in refused.stderr
    assert "stop that runtime first" in refused.stderr
    assert 0 == shown.exit_code
    assert "by operator: by hand" in shown.stdout
    assert state(world).latch is not None


def test_a_journal_that_is_damaged_is_left_alone(world: World) -> None:
    """Exit code 3, as for `verify`."""
    halted(world)
    raw = bytearray(world.journal.read_bytes())
    at = raw.rfind(b"too many losses")
    raw[at] ^= 1
    world.journal.write_bytes(raw)
    before = world.digest()
    done = run(world)
    assert 3 == done.exit_code
    assert "error: " in done.stderr
    assert before == world.digest()


def test_a_configuration_that_cannot_be_read(world: World) -> None:
    """Exit code 2."""
    world.config.write_text("[runtime]\nname = 3\n")
    assert 2 == run(world).exit_code


def test_tables_that_are_behind_are_not_called_up_to_date(world: World) -> None:
    """As after a crash in the midst of a long commit: a start has to make them anew."""
    halted(world)
    settings = Settings.from_toml(world.config)
    assert trio.run(read_journal, settings).tabled
    journal = settings.runtime.data_dir / "journal.sqlite"
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'tabled'")
    journal.with_name("journal.sqlite.seal").unlink()
    assert 0 == run(world).exit_code
    assert not trio.run(read_journal, settings).tabled


def test_a_start_reads_no_more_than_it_needs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before the newest snapshot is for `verify` and `check`."""
    halted(world)
    settings = Settings.from_toml(world.config)
    proven = list[object]()

    async def prove_noted(store: Store) -> object:
        proven.append(store)
        return await prove(store)

    monkeypatch.setattr("trade_runtime.cli.preflight.prove", prove_noted)
    trio.run(partial(preflight, settings, ask_venues=False))
    assert [] == proven
    trio.run(partial(examine, settings, ask_venues=False))
    assert 1 == len(proven)
