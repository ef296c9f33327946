"""`backtest CONFIG`: its exit codes, its last line, its grid, and how it says what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.backtests import CONFIG, STRATEGY, T0, TABLES, command, make_project, write_ticks


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
            (TABLES[: TABLES.index("[[strategies]]")], "", "backtest.data: missing; write"),
            (
                TABLES[TABLES.index("[[strategies]]") :],
                "",
                "bt.toml: strategies: there are none, so nothing would be tested; write [[strat",
            ),
            (
                "[[backtest.data]]",
                "[[backtest.dat]]",
                'backtest.dat: unknown key; did you mean "data"?',
            ),
            ("[[backtest.data]]", "[backtest]\nstart = 2020-02-30\n[[backtest.data]]", "date"),
            ('"quotes"', '"bars"\nformat = "binance_recording"', "tells no bars"),
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

    @pytest.mark.parametrize("more", [[], ["--grid", "params.every=10", "--jobs", "1"]])
    def test_a_report_that_cannot_be_written_is_told_first(
        self, project: Path, more: list[str]
    ) -> None:
        """Before hours of work that would be lost."""
        (project / "taken").write_text("")
        done = command(project, "--report", str(project / "taken" / "out"), *more)
        assert (2, "") == (done.exit_code, done.stdout)
        assert "taken/out: cannot be written: Not a directory; name another" in done.stderr

    def test_nothing_is_written_but_the_report(self, project: Path) -> None:
        """A backtest leaves no state, and asks no venue."""
        before = {path: path.read_bytes() for path in project.iterdir() if path.is_file()}
        assert 0 == command(project, "--report", str(project / "out")).exit_code
        names = {path.name for path in project.iterdir()} - {"__pycache__"}
        assert {"bt.toml", "turns.py", "ticks.csv", "out"} == names
        assert before == {path: path.read_bytes() for path in before}
        reports = sorted(path.name for path in (project / "out").iterdir())
        assert ["report.html", "report.json", "trades.parquet"] == reports

    def test_the_summary_says_the_same_as_the_line(self, project: Path) -> None:
        """What a person reads, and what a script reads."""
        done = command(project, "--json")
        *summary, last = done.stdout.splitlines()
        line = json.loads(last)
        assert "complete: the history ended" == summary[0]
        text = "\n".join(summary)
        assert f"{line['orders']} placed, {line['fills']} fills, 0 rejected, 0 refused" in text
        assert f"realised {line['realised_pnl']['USDT']} + unrealised 0" in text
        assert f"fees {line['fees']['USDT']};" in text
        assert "turns: stopped" in text


class TestGrid:
    """`--grid`: a row for each combination."""

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

    def test_a_changed_history_runs_again(self, project: Path) -> None:
        """What is kept is of the history as it was."""
        grid = ["--grid", "params.every=10", "--report", str(project / "out"), "--jobs", "1"]
        command(project, *grid)
        write_ticks(project, 100)
        done = command(project, *grid, "--json")
        assert "" == done.stderr
        (row,) = json.loads(done.stdout.splitlines()[-1])["rows"]
        assert (100, 10) == (row["events"], row["orders"])

    @pytest.mark.parametrize("change", ["changed", "added", "removed"])
    def test_a_changed_folder_runs_again(self, project: Path, change: str) -> None:
        """A file within it counts, though the folder itself says nothing of a change."""
        folder = project / "days"
        folder.mkdir()
        head, *rows = (project / "ticks.csv").read_text().splitlines()
        for day in range(3):
            (folder / f"{day}.csv").write_text("\n".join([head, *rows[day * 100 :][:100], ""]))
        (project / "bt.toml").write_text((CONFIG + TABLES).replace("ticks.csv", "days"))
        grid = ["--grid", "params.every=10", "--report", str(project / "out"), "--jobs", "1"]
        command(project, *grid)
        assert "1 of 1 are done already" in command(project, *grid).stderr
        before = folder.stat()
        if change == "changed":
            (folder / "2.csv").write_text("\n".join([head, *rows[200:250], ""]))
        elif change == "added":
            (folder / "3.csv").write_text("\n".join([head, *rows[300:400], ""]))
        else:
            (folder / "2.csv").unlink()
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
        done = command(project, *grid, "--json")
        assert "" == done.stderr
        (row,) = json.loads(done.stdout.splitlines()[-1])["rows"]
        assert {"changed": 250, "added": 400, "removed": 200}[change] == row["events"]

    def test_a_folder_of_too_many_files_is_refused(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each would be looked at; those that are not of the history do not count."""
        monkeypatch.setattr("trade_runtime.backtest.digest.MAX_FILES", 2)
        text = (CONFIG + TABLES).replace('"ticks.csv"', '"."')
        (project / "bt.toml").write_text(text)
        grid = ["--grid", "params.every=10", "--jobs", "1"]
        done = command(project, *grid)
        assert (2, "") == (done.exit_code, done.stdout)
        assert "has 3 files; a grid looks at each for changes, at 2 at most" in done.stderr
        text = text.replace('"."', '"."\noptions = { files = "ticks*" }')
        (project / "bt.toml").write_text(text)
        assert 0 == command(project, *grid).exit_code

    def test_a_line_that_was_cut_off_runs_again(self, project: Path) -> None:
        """A grid that was killed while it wrote has lost that point, and no other."""
        grid = ["--grid", "params.every=10,20", "--report", str(project / "out"), "--jobs", "1"]
        command(project, *grid)
        kept = project / "out" / "grid.jsonl"
        kept.write_text(kept.read_text()[:-30])
        assert "1 of 2 are done already" in command(project, *grid).stderr
        assert "2 of 2 are done already" in command(project, *grid).stderr

    def test_many_processes_come_to_the_same_as_one(self, project: Path) -> None:
        """Row by row, in the order of the grid, but for the time it took."""
        grid = ["--grid", "params.every=10,20,25", "--grid", "params.size=0.5,1", "--json"]
        tables = []
        for jobs in ("1", "2"):
            done = command(project, *grid, "--jobs", jobs)
            rows = json.loads(done.stdout.splitlines()[-1])["rows"]
            tables.append([{k: v for k, v in row.items() if k != "engine_secs"} for row in rows])
        assert 6 == len(tables[0])
        assert tables[0] == tables[1]

    def test_a_row_says_what_a_single_run_says(self, project: Path) -> None:
        """To the digit, and written alike."""
        grid = command(project, "--grid", "params.every=10", "--jobs", "1", "--json")
        (row,) = json.loads(grid.stdout.splitlines()[-1])["rows"]
        alone = json.loads(command(project, "--json").stdout.splitlines()[-1])
        assert row["realised USDT"] == alone["realised_pnl"]["USDT"]
        assert row["fees USDT"] == alone["fees"]["USDT"]
        assert (row["events"], row["fills"]) == (alone["events"], alone["fills"])

    @pytest.mark.parametrize(
        ("grid", "said"),
        [
            ("nothing", "write KEY=V1,V2"),
            ("params.every=", "write KEY=V1,V2"),
            ("strategies.x.params.every=1", "no such strategy"),
            ("risk.max_open_order=1", "unknown key"),
            ("risks.max_open_orders=1", "unknown table"),
            ("params.evry=10,20", 'no strategy has the parameter "evry"; did you mean "every"?'),
            ("strategies.turns.params.evry=1", 'did you mean "every"?'),
            ("runtime.name.x=1", "name is no table"),
            ("venues.sim.latncy_ms=1,2", 'latncy_ms: unknown key; did you mean "latency_ms"?'),
            ("venues.sim.latency_ms=1,-1", "latency_ms: must be a finite number from 0"),
            ("strategies.turns.class=turns.py:Turn", 'did you mean "Turns"?'),
            ('instruments."ETHUSDT.sim".lt=1,2', 'lt: unknown key; did you mean "lot"?'),
        ],
    )
    def test_a_wrong_grid_is_told_before_anything_runs(
        self, project: Path, grid: str, said: str
    ) -> None:
        """Exit code 2, one line, and nothing kept."""
        report = ["--report", str(project / "out")]
        done = command(project, "--grid", grid, "--jobs", "1", *report)
        assert (2, "") == (done.exit_code, done.stdout), done.output
        (line,) = done.stderr.splitlines()
        assert said in line
        assert not (project / "out").exists()

    def test_a_history_that_is_missing_is_told_once(self, project: Path) -> None:
        """Not by each point."""
        (project / "ticks.csv").unlink()
        done = command(project, "--grid", "params.every=10,20,25", "--jobs", "1")
        assert (2, "") == (done.exit_code, done.stdout)
        (line,) = done.stderr.splitlines()
        assert "backtest.data[0]: " in line
        assert "ticks.csv: no such file" in line

    def test_a_key_with_a_dot_stands_in_quotes(self, project: Path) -> None:
        """As in TOML."""
        grid = ["--grid", 'instruments."ETHUSDT.sim".min_quantity=0,1', "--jobs", "1", "--json"]
        rows = json.loads(command(project, *grid).stdout.splitlines()[-1])["rows"]
        assert [40, 0] == [row["fills"] for row in rows]

    def test_a_parameter_that_the_file_leaves_out_can_be_varied(self, project: Path) -> None:
        """The strategy may have a value of its own for it."""
        done = command(project, "--grid", "params.colour=red,blue", "--jobs", "1")
        assert 0 == done.exit_code, done.output

    def test_a_point_that_fails_is_a_row(self, project: Path) -> None:
        """It is told at once and in the table; the others are done, and it is tried again."""
        grid = ["--grid", "params.every=0,10", "--jobs", "1", "--report", str(project / "out")]
        done = command(project, *grid, "--json")
        assert 4 == done.exit_code, done.output
        assert "error: turns: ZeroDivisionError" in done.stderr
        rows = json.loads(done.stdout.splitlines()[-1])["rows"]
        assert ["failed", "complete"] == [row["outcome"] for row in rows]
        assert "1 of 2 are done already" in command(project, *grid).stderr

    def test_a_strategy_without_end_is_a_row_too(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is the strategy's error, alone or in a grid: exit code 4, in one line."""
        monkeypatch.setattr("trade_runtime.backtest.engine.SETTLE_EVENTS", 100)
        again = """
    def on_order(self, event):
        if event.order.ended:
            self.trader.limit(event.order.instrument, "buy", "1", "50", tif="fok")
"""
        (project / "turns.py").write_text(STRATEGY + again)
        for more in ([], ["--grid", "params.every=10", "--jobs", "1"]):
            done = command(project, *more)
            assert 4 == done.exit_code, done.output
            assert "error: more than 100 requests follow from each other" in done.stderr
