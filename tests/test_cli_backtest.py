"""`backtest CONFIG`: its exit codes, its last line, its grid, and how it says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.backtests import CONFIG, STRATEGY, T0, TABLES, command, make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a configuration, a strategy and a history."""
    return make_project(tmp_path)


class TestCommand:
    """`backtest CONFIG`."""

    def test_the_last_line_is_the_contract(self, project: Path) -> None:
        """Its keys, and money as exact text by name."""
        done = command(project, "--json")
        assert 0 == done.exit_code, done.output
        line = json.loads(done.stdout.splitlines()[-1])
        wanted = {"events", "orders", "fills", "engine_secs", "us_per_event", "positions"}
        assert wanted | {"realised_pnl", "balances"} <= line.keys()
        assert (400, 40, 40) == (line["events"], line["orders"], line["fills"])
        assert {"ETHUSDT.sim": "0"} == line["positions"]

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('path = "ticks.csv"', 'path = "none.csv"', "none.csv: no such file"),
            ('kind = "quotes"', 'kind = "quotez"', 'expected one of "quotes"'),
            ('path = "ticks.csv"', 'path = "ticks.dat"', "does not tell its format by its name"),
            ('"ticks.csv"', '"ticks.csv"\nformat = "cvs"', 'no format "cvs"; did you mean "csv"?'),
            (
                CONFIG[CONFIG.index('kind = "paper"') : CONFIG.index("[instruments")],
                'kind = "synthetic"\n',
                "cannot be simulated",
            ),
            ('[instruments."ETHUSDT.sim"]', '[instruments."X.sim"]', "missing: a backtest asks no"),
            ('tick = "0.01"', 'tick = "-1"', "tick: must be a finite number above 0"),
            ("turns.py:Turns", "turns.py:Turn", 'did you mean "Turns"?'),
        ],
    )
    def test_a_mistake_is_one_line_with_the_mend(
        self, project: Path, old: str, new: str, said: str
    ) -> None:
        """Exit code 2, and nothing on stdout."""
        (project / "bt.toml").write_text((CONFIG + TABLES).replace(old, new))
        done = command(project)
        assert 2 == done.exit_code, done.output
        assert said in done.stderr
        assert "" == done.stdout

    def test_bad_data_names_file_and_line(self, project: Path) -> None:
        """Exit code 2."""
        with (project / "ticks.csv").open("a") as file:
            file.write(f"{T0},1,2,3,4\n")
        done = command(project)
        assert 2 == done.exit_code
        assert "ticks.csv: line 402: its time" in done.stderr

    def test_a_strategy_that_fails_is_exit_code_4(self, project: Path) -> None:
        """The result is told all the same."""
        (project / "turns.py").write_text(STRATEGY.replace("self.n += 1", "self.n += 1 / 0"))
        done = command(project, "--json")
        assert 4 == done.exit_code
        assert "turns: failed: ZeroDivisionError" in done.stdout

    def test_a_grid_goes_on_where_it_was(self, project: Path) -> None:
        """A row a point; the same again runs nothing; what changed runs again."""
        grid = ["--grid", "params.every=10,20", "--grid", "venues.sim.fee_bps=0,10", "--jobs", "1"]
        report = ["--report", str(project / "out"), "--json"]
        done = command(project, *grid, *report)
        assert 0 == done.exit_code, done.output
        rows = json.loads(done.stdout.splitlines()[-1])["rows"]
        assert [(10, 0), (10, 10), (20, 0), (20, 10)] == [
            (row["params.every"], row["venues.sim.fee_bps"]) for row in rows
        ]
        assert [40, 40, 20, 20] == [row["orders"] for row in rows]
        kept = (project / "out" / "grid.jsonl").read_text()
        again = command(project, *grid, *report)
        assert "4 of 4 are done already" in again.stderr
        assert kept == (project / "out" / "grid.jsonl").read_text()
        (project / "turns.py").write_text(STRATEGY + "\n")
        command(project, *grid, *report)
        assert 8 == len((project / "out" / "grid.jsonl").read_text().splitlines())
        assert 5 == len((project / "out" / "grid.csv").read_text().splitlines())

    @pytest.mark.parametrize(
        ("grid", "said"),
        [
            ("nothing", "write KEY=V1,V2"),
            ("strategies.x.params.every=1", "no such strategy"),
            ("risk.max_open_order=1", "unknown key"),
            ("params.every=1,x", ""),
        ],
    )
    def test_a_wrong_grid(self, project: Path, grid: str, said: str) -> None:
        """A key that names nothing is told before anything runs; a point that fails is a row."""
        done = command(project, "--grid", grid, "--jobs", "1")
        assert (2 if said else 4) == done.exit_code, done.output
        assert said in done.stderr


def test_the_live_path_loads_nothing_of_a_backtest() -> None:
    """The libraries of tables and reports are loaded by a backtest alone."""
    code = (
        "import sys, trade_runtime.cli.main, trade_runtime.cli.run, trade_runtime.runtime;"
        "print([m for m in ('pandas', 'numpy', 'pyarrow', 'plotly', 'empyrical', 'scipy')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
