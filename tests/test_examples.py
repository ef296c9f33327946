"""The examples run as they stand: each strategy trades, each configuration is right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import duckdb
import pytest
import trio
import trio.testing

from trade_runtime.backtest.report import write_report
from trade_runtime.backtest.run import run_backtest
from trade_runtime.cli.preflight import preflight
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.loading import load_strategies
from trade_runtime.runtime import Runtime, open_runtime
from trade_runtime.settings import Settings
from trade_runtime.settings.toml import read_toml

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

STRATEGIES: dict[str, dict[str, Any]] = {
    "maker.py:Maker": {"params": {"size": "0.05", "spread_bps": 4}},
    "trend.py:Trend": {"params": {"size": "0.1", "lookback": 20, "stop_pct": "1.5"}},
    "bracket.py:Pullback": {
        "params": {
            "size": "0.1",
            "below_bps": 1,
            "target_bps": 3,
            "stop_bps": 6,
            "patience_secs": 5,
        }
    },
    "bars.py:ThreeBars": {"params": {"size": "0.1"}, "bar_secs": 1.0},
    "indicators.py:Crossover": {
        "params": {"size": "0.1", "fast": 2, "slow": 5, "stop_ranges": 4.0},
        "bar_secs": 0.5,
        "warmup_bars": 8,
    },
}

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="installed without the examples")


def on_a_made_up_market(name: str, folder: Path) -> Settings:
    """A configuration that runs an example without a network."""
    return Settings.from_mapping(
        {
            "runtime": {"data_dir": str(folder), "seed": 1},
            "venues": {
                "sim": {"kind": "synthetic", "seed": 3, "volatility_bps": 5},
                "paper": {
                    "kind": "paper",
                    "market_data": "sim",
                    "balances": {"USDT": "10000", "ETH": "5"},
                },
            },
            "protection": {"stop_pct": 5.0},
            "strategies": [
                {
                    "name": "example",
                    "class": name,
                    "instruments": ["ETHUSDT.paper"],
                    **STRATEGIES[name],
                }
            ],
        },
        EXAMPLES,
    )


async def trade(settings: Settings, secs: float) -> Runtime:
    async with open_runtime(settings, clock=TrioClock()) as runtime:
        await trio.sleep(secs)
        assert ["running"] == [host.outcome for host in runtime.hosts], runtime.hosts[0].detail
    return runtime


@pytest.mark.parametrize("name", STRATEGIES)
async def test_a_strategy_trades_and_stops_clean(
    tmp_path: Path, name: str, autojump_clock: trio.testing.MockClock
) -> None:
    """A virtual minute: fills, no failure, and whatever is held at the end is protected."""
    runtime = await trade(on_a_made_up_market(name, tmp_path), 60)
    assert runtime.trading is not None
    assert runtime.trading.orders.trading.fills >= 2
    assert runtime.report is not None
    assert 0 == runtime.report.exit_code
    assert all(position["protected"] for position in runtime.report.positions)


@pytest.mark.parametrize("name", STRATEGIES)
async def test_a_strategy_goes_on_after_a_restart(
    tmp_path: Path, name: str, autojump_clock: trio.testing.MockClock
) -> None:
    """What an earlier run left, a position among it, neither confuses nor stops it."""
    settings = on_a_made_up_market(name, tmp_path)
    settings = attrs.evolve(settings, shutdown=attrs.evolve(settings.shutdown, cancel_orders=False))
    first = await trade(settings, 20)
    second = await trade(settings, 40)
    assert first.trading is not None
    assert second.trading is not None
    assert second.trading.orders.trading.fills > first.trading.orders.trading.fills


@pytest.mark.parametrize("name", ["paper_binance.toml", "paper_replay.toml"])
async def test_a_configuration_is_right_and_creates_nothing(name: str) -> None:
    """All that can be checked without its venue is right, and its strategies load."""
    before = sorted(EXAMPLES.rglob("*"))
    settings = Settings.from_toml(EXAMPLES / name)
    assert [] == await preflight(settings, ask_venues=False)
    assert {"maker", "trend"} >= {strategy.name for strategy in load_strategies(settings)}
    assert before == sorted(EXAMPLES.rglob("*"))


def test_the_defaults_that_a_configuration_spells_out_are_the_defaults() -> None:
    """Where the commented configuration names a default as one, it is."""
    raw = read_toml(EXAMPLES / "paper_binance.toml")
    spelled = Settings.from_mapping({key: raw[key] for key in ("shutdown", "log", "store")})
    defaults = Settings()
    assert (defaults.shutdown, defaults.log, defaults.store) == (
        spelled.shutdown,
        spelled.log,
        spelled.store,
    )


@pytest.mark.process
def test_the_embedding_program_prints_a_clean_report() -> None:
    """It runs offline, ends with exit code 0, and its position is protected."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / "embedding.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == result.returncode, result.stderr
    report = json.loads(result.stdout)
    assert ("clean", "embedded") == (report["outcome"], report["runtime"])
    assert [("buyer", "0.25", True)] == [
        (position["strategy"], position["quantity"], position["protected"])
        for position in report["positions"]
    ]


@pytest.mark.process
def test_the_backtest_runs_in_a_fresh_clone(tmp_path: Path) -> None:
    """The command of its head, word for word: it ends, trades, and leaves the report."""
    words = ["backtest", "examples/backtest.toml", "--report", str(tmp_path / "first"), "--json"]
    result = subprocess.run(
        [sys.executable, "-m", "trade_runtime", *words],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == result.returncode, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert ("complete", 8_000) == (told["outcome"], told["events"])
    assert told["fills"] > 20
    left = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert ["report.html", "report.json", "trades.parquet"] == left


def test_a_backtest_of_the_example_is_the_same_each_time() -> None:
    """Its seed fixes the ids, and nothing else is left to chance: every fill is the same."""
    settings = Settings.from_toml(EXAMPLES / "backtest.toml")
    first, second = run_backtest(settings), run_backtest(settings)
    assert first.fills == second.fills
    assert first.samples == second.samples
    assert {"limit", "stop_market", "trailing_stop"} == {f.order_type for f in first.fills}


def test_the_queries_of_the_reports_page_find_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query that the reference shows works on the report of the example."""
    page = EXAMPLES.parent / "docs" / "reference" / "backtest-report.md"
    queries = re.findall(r"^```sql\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert queries
    result = run_backtest(Settings.from_toml(EXAMPLES / "backtest.toml"))
    write_report(result, tmp_path / "reports" / "first")
    monkeypatch.chdir(tmp_path)
    for query in queries:
        assert duckdb.connect().execute(query).fetchall(), query


def test_every_example_is_in_the_list() -> None:
    """The README of the examples names each file, and no file that is not there."""
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\(([\w.]+)\)", readme))
    there = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".toml")}
    assert there == named
