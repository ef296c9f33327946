"""What a person reads when the runtime has stopped: the stop report, drawn.

A part of the command line; it says what the report says, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trade_runtime.cli.view_lines import plain
from trade_runtime.cli.view_render import word
from trade_runtime.lifecycle.report import StopReport

MAX_NAMES = 10
"""Orders that are named; the others are counted, and stand in the report."""


def summary(report: StopReport, path: Path | None = None) -> RenderableType:
    """Return the summary of a stop.

    Args:
        report: of it.
        path: of the file that has it in full.
    """
    head = Text(" stopped ", style="bold", no_wrap=False)
    head.append(*word(report.outcome))
    head.append(f", exit code {report.exit_code}, in {report.duration_secs:.2f} s")
    if report.reason:
        head.append(f": {plain(report.reason)}")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for title, lines in (
        ("stages", _stages(report)),
        ("orders", _orders(report)),
        ("positions", _positions(report)),
        ("strategies", _strategies(report)),
        ("state", _state(report)),
        ("left over", _left(report)),
        ("error", [Text(plain(report.error), style="bold red")] if report.error else []),
    ):
        for number, line in enumerate(lines):
            table.add_row(Text(f" {title}" if not number else "", style="dim"), line)
    if path is None:
        return Group(head, table)
    # In one piece, however long it is: it is there to be copied.
    return Group(head, table, Text(f" report  {plain(path)}", no_wrap=True, overflow="ignore"))


def _stages(report: StopReport) -> list[Text]:
    lines = []
    for stage in report.stages:
        line = Text(f"{stage.name:<8} ").append(*word(stage.outcome))
        if stage.outcome != "skipped":
            line.append(f" in {stage.took_secs:.2f} s of {stage.budget_secs:.2f} s")
        if stage.detail:
            line.append(f": {plain(stage.detail)}")
        lines.append(line)
    return lines


def _orders(report: StopReport) -> list[Text]:
    left = list(report.orders["left_open"])
    text = Text(f"{report.orders['open_at_stop']} entry orders were open, ")
    text.append(f"{report.orders['cancelled']} cancelled, {report.orders['filled']} filled, ")
    if not left:
        return [text.append("none left open")]
    return [text.append(f"{len(left)} may be left open: {_names(left)}", style="bold red")]


def _positions(report: StopReport) -> list[Text]:
    if not report.positions:
        return [Text("none open")]
    lines = []
    for position in report.positions:
        line = Text(
            plain(f"{position['strategy']} {position['quantity']} {position['instrument']}: ")
        )
        if position["protected"]:
            line.append(plain(f"protected by {position['stop_order']}"), style="green")
        elif position["protected"] is None:
            stop = position["stop_order"] or "none"
            line.append(plain(f"by the journal; its last stop-loss: {stop}"), style="bold yellow")
        else:
            line.append("NOT PROTECTED", style="bold red")
        lines.append(line)
    return lines


def _strategies(report: StopReport) -> list[Text]:
    lines = []
    for strategy in report.strategies:
        line = Text(f"{plain(strategy['name'])} ").append(*word(strategy["outcome"]))
        if strategy["detail"]:
            line.append(f": {plain(strategy['detail'])}")
        lines.append(line)
    return lines


def _state(report: StopReport) -> list[Text]:
    state = report.state
    text = Text(f"{state['records']:,} records, ")
    for name in ("flushed", "verified"):
        done = bool(state[name])
        text.append(name if done else f"NOT {name}", style="green" if done else "bold red")
        text.append(", " if name == "flushed" else "")
    return [text]


def _left(report: StopReport) -> list[Text]:
    left = [*report.tasks_left, *report.connections_left]
    return [Text(_names(left), style="bold red")] if left else []


def _names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return plain(", ".join(names[:MAX_NAMES]) + rest)
