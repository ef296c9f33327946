"""`backtest CONFIG`: the strategies of a configuration over the history that it names."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from trade_runtime.backtest.check import check_points
from trade_runtime.backtest.digest import digests
from trade_runtime.backtest.grid import Axis, known_rows, points, run_point, write_table
from trade_runtime.backtest.result import Result
from trade_runtime.backtest.run import Backtest
from trade_runtime.backtest.summary import json_line, summary_lines
from trade_runtime.cli.check import complain
from trade_runtime.cli.logs import FdHandler, configure_logs
from trade_runtime.cli.progress import Progress
from trade_runtime.cli.signals import SignalGuard
from trade_runtime.errors import EXIT_CLEAN, EXIT_FAILED_PART, ConfigError, TradeRuntimeError
from trade_runtime.settings import Settings
from trade_runtime.settings.toml import read_toml
from trade_runtime.workers import spread

STDERR = 2

RESULTS = "grid.jsonl"
"""In the report's folder: a line for each point of a grid that is done."""


@click.command("backtest")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the report here: report.json, trades.parquet, report.html.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
@click.option(
    "--grid",
    "axes",
    multiple=True,
    metavar="KEY=V1,V2",
    help="Run once for each value of KEY; several make a grid.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes for a grid. Default: one a core.",
)
@click.option(
    "--log-level",
    type=click.Choice(("DEBUG", "INFO", "WARNING", "ERROR")),
    default="WARNING",
    help="From which level on the strategies and the runtime log.",
)
def backtest_command(
    config: Path,
    report: Path | None,
    as_json: bool,
    axes: tuple[str, ...],
    jobs: int | None,
    log_level: str,
) -> None:
    """Run the strategies that CONFIG names over the history that it names.

    Ctrl-C ends it early, with what there is by then, and exit code 0; a second one at once.

    Exit code 0: done, or stopped; 2: the configuration or the history is wrong; 4: a strategy
    failed.
    """
    guard = SignalGuard()
    guard.install()
    configure_logs(log_level, stop_level=log_level, json=False, handler=FdHandler(STDERR))
    try:
        if axes:
            code = _grid(config, [Axis.parse(text) for text in axes], report, jobs, as_json, guard)
        else:
            code = _once(Settings.from_toml(config), report, as_json, guard)
    except TradeRuntimeError as error:
        complain(error)
        code = error.exit_code
    guard.release()
    sys.exit(code)


def _once(settings: Settings, report: Path | None, as_json: bool, guard: SignalGuard) -> int:
    backtest = Backtest(settings)
    if report is not None:
        _make(report)  # a mistake is told before anything runs
    guard.on_first = backtest.stop
    if guard.received:
        backtest.stop(guard.received[0])
    with Progress(settings.backtest.start_ns, settings.backtest.end_ns) as progress:
        backtest.on_chunk = progress.update
        result = backtest.run()
    for line in summary_lines(result):
        click.echo(line)
    if report is not None:
        _write(result, report)
    if as_json:
        click.echo(json_line(result))
    failed = any(strategy.outcome == "failed" for strategy in result.strategies)
    return EXIT_FAILED_PART if failed else EXIT_CLEAN


def _write(result: Result, folder: Path) -> None:
    from trade_runtime.backtest.report import write_report  # noqa: PLC0415 - it loads much

    with _written(folder):
        for path in write_report(result, folder):
            click.echo(f"  {'report':<10} {path}")


def _make(folder: Path) -> None:
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Tell what keeps a report's folder from being written as a mistake of the option."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"--report {folder}: cannot be written: {error.strerror or error}; name another"
        ) from None


# --- a grid


def _grid(
    config: Path,
    axes: list[Axis],
    report: Path | None,
    jobs: int | None,
    as_json: bool,
    guard: SignalGuard,
) -> int:
    mapping, base_dir = read_toml(config), config.absolute().parent
    every = points(mapping, base_dir, axes)
    known = digests(every)
    check_points(every)  # a mistake is told before anything runs
    done = {} if report is None else known_rows(report / RESULTS)
    rows = {digest: done[digest] for digest in known if digest in done}
    left = {digest: point for digest, point in zip(known, every, strict=True) if digest not in rows}
    if rows:
        click.echo(f"{len(rows)} of {len(every)} are done already", err=True)
    workers = min(jobs or os.cpu_count() or 1, max(len(left), 1))
    with _kept(report) as keep, spread(run_point, [*left.values()], workers) as results:
        for number, (digest, found) in enumerate(zip(left, results, strict=True), len(rows) + 1):
            rows[digest] = row = {"digest": digest, **found}
            keep(json.dumps(row))
            _told(number, len(every), row)
            if guard.received:
                break
    table = [rows[digest] for digest in known if digest in rows]
    if report is not None:
        write_table(table, report / "grid.csv")
    for line in _as_table([{k: v for k, v in row.items() if k != "digest"} for row in table]):
        click.echo(line)
    outcome = "complete" if len(table) == len(every) else "interrupted"
    if as_json:
        click.echo(json.dumps({"outcome": outcome, "points": len(every), "rows": table}))
    failed = any(row["outcome"] == "failed" for row in table)
    return EXIT_FAILED_PART if failed else EXIT_CLEAN


@contextmanager
def _kept(folder: Path | None) -> Iterator[Callable[[str], object]]:
    """Give a call that keeps a line, in the folder if there is one."""
    if folder is None:
        yield lambda line: None
        return
    _make(folder)
    path = folder / RESULTS
    with _written(folder):
        torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        file = path.open("a", encoding="utf-8")
    with file:
        if torn:
            file.write("\n")  # the line that an earlier run was killed in ends here

        def keep(line: str) -> None:
            file.write(line + "\n")
            file.flush()

        yield keep


def _told(number: int, total: int, row: dict[str, object]) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{number} of {total} done ", nl=number == total, err=True)
    elif row["outcome"] == "failed":
        click.echo(f"error: {row['detail']}", err=True)


def _as_table(rows: list[dict[str, object]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([str(row.get(key, "")) for key in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
