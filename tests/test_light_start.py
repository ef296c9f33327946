"""A live run waits for no library that a backtest needs, and a backtest for none of a report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import trade_runtime
from tests.cli_world import World
from tests.support.backtests import make_project

HEAVY = ("pandas", "numpy", "pyarrow", "plotly", "empyrical", "scipy", "matplotlib")
ASYNCIO = ("trio_asyncio", "asyncpg", "redis", "trade_runtime.managers.cache")


def loaded_by(code: str) -> set[str]:
    """Which of the libraries that are heavy or not always there a process has loaded."""
    program = (
        f"import sys\n{code}\n"
        f"print('loaded', *(name for name in {HEAVY + ASYNCIO} if name in sys.modules), sep=',')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == done.returncode, done.stderr
    return set(done.stdout.splitlines()[-1].split(",")[1:])


def command(*args: str | Path) -> str:
    """Code that runs a command of the command line."""
    words = [str(arg) for arg in args]
    return (
        "from trade_runtime.cli.main import cli\n"
        f"try:\n    cli({words!r})\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )


@pytest.mark.parametrize(
    "module",
    [
        "trade_runtime",
        "trade_runtime.cli.main",
        "trade_runtime.cli.run",
        "trade_runtime.cli.backtest",
        "trade_runtime.backtest.report",
        "trade_runtime.histories.table",
    ],
)
def test_to_import_costs_nothing(module: str) -> None:
    """Not even what a backtest is made of loads them before it needs them."""
    assert set() == loaded_by(f"import {module}")


@pytest.mark.process
def test_a_live_run_loads_none(tmp_path: Path) -> None:
    """From its start to its stop, with a strategy that trades on paper."""
    world = World(tmp_path)
    world.write()
    assert set() == loaded_by(command("run", world.config, "--duration", "0.3"))


@pytest.mark.process
def test_a_backtest_loads_what_reads_a_table_and_no_more(tmp_path: Path) -> None:
    """What draws and what computes ratios is for who asks for a report."""
    project = make_project(tmp_path)
    assert {"numpy", "pyarrow"} == loaded_by(command("backtest", project / "bt.toml"))


def test_every_public_name_is_found_where_it_is_said_to_be() -> None:
    """They are looked up when they are asked for: nobody else would miss one."""
    assert sorted(trade_runtime.__all__) == sorted(
        set(dir(trade_runtime)) & set(trade_runtime.__all__)
    )
    for name in trade_runtime.__all__:
        assert getattr(trade_runtime, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Nobody'"):
        _ = trade_runtime.Nobody
