"""Signals to a backtest that runs as a process of its own, in the midst of its history."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.support import Run, command, start
from tests.support.backtests import STRATEGY, make_project

pytestmark = pytest.mark.process

HALFWAY = 200
"""The quote at which the strategy says that it is there, and waits to be let on."""

WAITS = "import pathlib, time\n" + STRATEGY.replace(
    "self.n += 1",
    f"""self.n += 1
        if self.n == {HALFWAY}:
            here = pathlib.Path(__file__).parent
            (here / "there").touch()
            while not (here / "go").exists():
                time.sleep(0.005)""",
)


@contextlib.contextmanager
def halfway(folder: Path, *args: str) -> Iterator[Run]:
    """A backtest that is halfway through its history."""
    make_project(folder)
    (folder / "turns.py").write_text(WAITS)
    words = ("-m", "trade_runtime", "backtest", str(folder / "bt.toml"), *args)
    with start(folder / "run", *words) as run:
        run.until((folder / "there").exists, "a strategy that is halfway")
        yield run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_gives_what_there_is_by_then(tmp_path: Path, number: signal.Signals) -> None:
    """Exit 0; the summary, the JSON and the report say that it was stopped, and where."""
    report = tmp_path / "report"
    with halfway(tmp_path, "--json", "--report", str(report)) as run:
        run.send(number)
        (tmp_path / "go").touch()
        assert 0 == run.end(), run
        line = json.loads(run.out.splitlines()[-1])
        assert ("interrupted", HALFWAY) == (line["outcome"], line["events"])
        assert HALFWAY // 10 - 1 <= line["fills"] <= HALFWAY // 10
        assert f"interrupted: {number.name}" in run.out
        assert "interrupted" == json.loads((report / "report.json").read_text())["outcome"]
        assert f"stopped before its end: {number.name}" in (report / "report.html").read_text()


def test_two_signals_end_it_at_once(tmp_path: Path) -> None:
    """Exit 1, with the stacks: the strategy would never have let go."""
    with halfway(tmp_path, "--json") as run:
        run.send(signal.SIGINT, signal.SIGTERM)
        assert 1 == run.end(), run
        assert "Forced exit requested" in run.log
        assert "in on_quote" in run.log, "the stack of the strategy that hangs"
        assert "" == run.out


def test_a_grid_that_is_stopped_goes_on_later(tmp_path: Path) -> None:
    """The point that is under way is done and kept; the same command does the others."""
    grid = ("--grid", "params.every=10,20,40", "--jobs", "1", "--json")
    report = ("--report", str(tmp_path / "out"))
    with halfway(tmp_path, *grid, *report) as run:
        run.send(signal.SIGINT)
        (tmp_path / "go").touch()
        assert 0 == run.end(), run
        line = json.loads(run.out.splitlines()[-1])
        assert ("interrupted", 3) == (line["outcome"], line["points"])
        assert [(10, 400)] == [(row["params.every"], row["events"]) for row in line["rows"]]
    done = command("backtest", tmp_path / "bt.toml", *grid, *report)
    assert "1 of 3 are done already" in done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert "complete" == line["outcome"]
    assert [40, 20, 10] == [row["orders"] for row in line["rows"]]
