"""Draws the live view: a `ViewModel` in, a `Frame` out, which fits the terminal.

A part of the command line. What there is no room for is counted, not shown; on a narrow terminal
the less important columns go.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from trade_runtime.cli.view_lines import Cell, Column, Frame, Line, plain, table
from trade_runtime.cli.view_model import (
    FeedLine,
    OrderLine,
    PositionLine,
    StageLine,
    ViewModel,
)

LOG_LINES = 8
LEAST_ROWS = 2
"""Rows that a section keeps when there is little room, if it has as many."""

STYLES = {
    "starting": "bold yellow",
    "running": "bold green",
    "halted": "bold yellow",
    "stopping": "bold yellow",
    "stopped": "bold",
    "live": "green",
    "polling": "yellow",
    "stale": "bold red",
    "yes": "green",
    "partly": "yellow",
    "no": "bold red",
    "ok": "green",
    "pending": "dim",
    "skipped": "dim",
    "failed": "bold red",
    "timed_out": "bold red",
    "clean": "bold green",
    "incomplete": "bold red",
    "forced": "bold red",
    "unknown": "bold red",
    "buy": "green",
    "sell": "red",
}
"""The style of a word, wherever it stands for a state."""

_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\S*\s+")

LogLine = tuple[int, str]
"""The level of a log record, and its first line."""

Section = tuple[int, Callable[[int], list[Line]]]
"""How many rows a section would take, and how it is drawn with a given number."""


def word(text: str) -> Cell:
    """Return a word for a state in its style."""
    return plain(text).replace("_", " "), STYLES.get(text, "")


def render(model: ViewModel, log: Sequence[LogLine], width: int, height: int) -> Frame:
    """Return a frame.

    Args:
        model: what to show.
        log: the last log lines, oldest first.
        width: of the terminal.
        height: of the terminal; the frame is not higher where that is possible at all.
    """
    stop: Section = len(model.stages), lambda n: _stages(model.stages, n, width)
    positions: Section = len(model.positions), lambda n: _positions(model.positions, n, width)
    orders: Section = len(model.orders), lambda n: _orders(model, n, width)
    feeds: Section = len(model.feeds), lambda n: _feeds(model.feeds, n, width)
    logs: Section = min(len(log), LOG_LINES), lambda n: _log(log[len(log) - n :])
    shown = [section for section in (stop, positions, orders, feeds, logs) if section[0]]
    # Room goes first to what matters most; orders, of which there may be many, take the rest.
    by_weight = sorted(shown, key=lambda section: section is orders)
    # Each section has a line of titles and one for what is left out; header and footer are two.
    rooms = share(height - 3 - 2 * len(shown), [rows for rows, _ in by_weight])
    given = dict(zip(map(id, by_weight), rooms, strict=True))
    lines = [_header(model)]
    for section in shown:
        lines += section[1](given[id(section)])
    return Frame([*lines, _footer(model)])


def share(room: int, wanted: Sequence[int]) -> list[int]:
    """Share rows out: everyone the least first, then all that is wanted, in order."""
    given = [min(rows, LEAST_ROWS) for rows in wanted]
    left = room - sum(given)
    for at, rows in enumerate(wanted):
        more = max(0, min(rows - given[at], left))
        given[at] += more
        left -= more
    return given


def _header(model: ViewModel) -> Line:
    line = [("trade_runtime", "bold"), (plain(model.runtime), "")]
    if model.mode:
        line.append((model.mode, "bold red" if model.mode == "live" else "cyan"))
    line += [word(model.state), (f"up {duration(model.uptime_secs)}", "")]
    for currency, amount in model.net:
        text, style = profit(amount)
        line.append((f"net {text} {plain(currency)}", style))
    if model.state == "stopping":
        line.append((f"for {model.stop_secs:.1f} s, forced at {model.cap_secs:g} s", "yellow"))
    line.append((plain(model.reason), "yellow"))
    return line


def _footer(model: ViewModel) -> Line:
    line: Line = []
    for strategy in model.strategies:
        text, style = word(strategy.outcome)
        line.append((f"{plain(strategy.name)} {text}", style))
        if strategy.detail:
            line.append((plain(strategy.detail), "red"))
    line.append((f"journal {model.records:,} records, {model.backlog:,} waiting", ""))
    if model.store_error:
        line.append((plain(model.store_error), "bold red"))
    return line


def _rest(total: int, shown: int) -> list[Line]:
    return [[(f"and {total - shown:,} more", "dim")]] if total > shown else []


def _stages(stages: Sequence[StageLine], rows: int, width: int) -> list[Line]:
    # The stage that runs must be seen, however little room there is.
    begun = sum(1 for stage in stages if stage.outcome != "pending")
    first = max(0, min(begun - rows + 1, len(stages) - rows))
    columns = (
        Column("stop"),
        Column("layer", keep=1),
        Column("outcome"),
        Column("took", right=True, keep=3),
        Column("budget", right=True, keep=2),
        Column("detail"),
    )
    return table(columns, [_stage(stage) for stage in stages[first : first + rows]], width)


def _stage(stage: StageLine) -> list[Cell]:
    began = stage.outcome not in ("pending", "skipped")
    return [
        (stage.name, ""),
        (stage.layer, ""),
        word(stage.outcome),
        (f"{stage.took_secs:.2f} s" if began else "", ""),
        (f"{stage.budget_secs:.2f} s" if began else "", ""),
        (plain(stage.detail), ""),
    ]


def _feeds(feeds: Sequence[FeedLine], rows: int, width: int) -> list[Line]:
    columns = (
        Column("market"),
        Column("feed"),
        Column("bid", right=True, keep=6),
        Column("ask", right=True, keep=6),
        Column("quotes", right=True, keep=4),
        Column("trades", right=True, keep=3),
        Column("reconnects", right=True, keep=2),
        Column("rest polls", right=True, keep=1),
    )
    cells = [
        [
            (plain(feed.instrument), ""),
            word(feed.health),
            ("" if feed.bid is None else f"{feed.bid:,.{feed.places}f}", ""),
            ("" if feed.ask is None else f"{feed.ask:,.{feed.places}f}", ""),
            (f"{feed.quotes:,}", ""),
            (f"{feed.trades:,}", ""),
            (f"{feed.reconnects:,}", "yellow" if feed.reconnects else ""),
            (f"{feed.rest_polls:,}", "yellow" if feed.rest_polls else ""),
        ]
        for feed in feeds[:rows]
    ]
    return table(columns, cells, width) + _rest(len(feeds), rows)


def _positions(positions: Sequence[PositionLine], rows: int, width: int) -> list[Line]:
    columns = (
        Column("position"),
        Column("instrument"),
        Column("quantity", right=True),
        Column("average", right=True, keep=5),
        Column("mark", right=True, keep=2),
        Column("unrealised", right=True, keep=4),
        Column("realised", right=True, keep=3),
        Column("stop-loss"),
        Column("fees", keep=1),
    )
    cells = [_position(position) for position in positions[:rows]]
    return table(columns, cells, width) + _rest(len(positions), rows)


def _position(position: PositionLine) -> list[Cell]:
    held, places = position.quantity != 0, position.places
    text, style = word(position.protection)
    if text and position.triggers:
        text += f" at {max(position.triggers):,.{places}f}"
        if len(position.triggers) > 1:
            text += f" +{len(position.triggers) - 1}"
    return [
        (plain(position.strategy), ""),
        (plain(position.instrument), ""),
        (number(position.quantity) if held else "flat", "" if held else "dim"),
        (f"{position.average_price:,.{places}f}" if held else "", ""),
        ("" if position.mark is None else f"{position.mark:,.{places}f}", ""),
        profit(position.unrealised),
        profit(position.realised),
        (text, style),
        (", ".join(f"{fee:,.4g} {plain(name)}" for name, fee in position.fees), ""),
    ]


def _orders(model: ViewModel, rows: int, width: int) -> list[Line]:
    columns = (
        Column("order"),
        Column("instrument"),
        Column("side"),
        Column("type", keep=6),
        Column("filled", right=True, keep=3),
        Column("quantity", right=True),
        Column("price", right=True),
        Column("state", keep=4),
        Column("id", keep=1),
    )
    cells = [_order(order) for order in model.orders[:rows]]
    return table(columns, cells, width) + _rest(model.orders_total, len(cells))


def _order(order: OrderLine) -> list[Cell]:
    kind = ("stop-loss", "cyan") if order.protective else (order.type.replace("_", " "), "")
    return [
        (plain(order.strategy), ""),
        (plain(order.instrument), ""),
        word(order.side),
        kind,
        (number(order.filled) if order.filled else "", ""),
        (number(order.quantity), ""),
        ("" if order.price is None else f"{order.price:,f}", ""),
        ("cancelling", "yellow") if order.cancelling else word(order.state),
        (plain(order.id), "dim"),
    ]


def _log(log: Sequence[LogLine]) -> list[Line]:
    lines: list[Line] = [[("log", "bold")]]
    for level, text in log:
        style = "red" if level >= logging.ERROR else "yellow" if level >= logging.WARNING else ""
        lines.append([(plain(_MOMENT.sub(r"\1 ", text)), style)])
    return lines


def number(value: Decimal) -> str:
    """Return an exact number without its trailing zeros."""
    return f"{value.normalize():,f}"


def profit(value: Decimal | None) -> Cell:
    """Return a profit, green, or a loss, red."""
    if value is None:
        return "", ""
    return f"{value:+,.2f}", "green" if value > 0 else "red" if value < 0 else ""


def duration(secs: float) -> str:
    """Return hours, minutes and seconds."""
    days, rest = divmod(int(secs), 86_400)
    text = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else text
