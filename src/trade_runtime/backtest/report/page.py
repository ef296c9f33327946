"""The page of a report: one file that needs nothing from outside.

Plotly's own script is written into it, so it can be sent to anybody and opened years later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Any, Final

from trade_runtime.backtest.report.charts import charts
from trade_runtime.backtest.report.figures import Figures, MoneyFigures
from trade_runtime.backtest.report.style import SCRIPT, STYLE
from trade_runtime.backtest.report.trips import RoundTrip
from trade_runtime.backtest.result import Result
from trade_runtime.backtest.summary import shown, text
from trade_runtime.version import __version__

MOST_TRIPS: Final = 10
"""Rows of the best, and of the worst, round trips."""

RATIO_WORDS: Final = {
    "cagr": "Growth a year",
    "volatility": "Volatility a year",
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "calmar": "Calmar ratio",
}


def page(result: Result, figures: Figures) -> str:
    """Return the page."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - only a report needs it

    drawn = charts(result)
    title = f"Backtest of {result.runtime}"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        _head(title, result),
        "<main>",
        *(_tiles(currency, money) for currency, money in figures.by_currency.items()),
        *(
            f"<section><h2>{escape(name)}</h2>"
            + (f"<p class='note'>{escape(note)}</p>" if note else "")
            + f"<div class='chart' id='chart{number}'></div></section>"
            for number, (name, note, _) in enumerate(drawn)
        ),
        *(_statistics(currency, money) for currency, money in figures.by_currency.items()),
        _parts("By strategy", figures.as_json()["by_strategy"]),
        _parts("By instrument", figures.as_json()["by_instrument"]),
        _trips(figures.trips),
        _run(result),
        "</main>",
        f"<footer>trade_runtime {escape(__version__)}</footer>",
        f"<script>{get_plotlyjs()}</script>",
        f"<script>const CHARTS = {_script([figure for _, _, figure in drawn])};{SCRIPT}</script>",
        "</body></html>",
    ]
    return "\n".join(parts)


def _script(value: object) -> str:
    """Return JSON that cannot end the script that it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


def _when(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}" if ts_ns else "-"


def _head(title: str, result: Result) -> str:
    whole = result.outcome == "complete"
    word = "the whole history" if whole else f"stopped before its end: {result.reason}"
    latch = f"<p class='bad'>Trading was restricted: {escape(result.latch)}</p>" * bool(
        result.latch
    )
    return (
        f"<header><h1>{escape(title)}</h1>"
        f"<p>{_when(result.started_ns)} to {_when(result.ended_ns)} (UTC),"
        f" <span class='{'good' if whole else 'bad'}'>{escape(word)}</span></p>{latch}</header>"
    )


def _tiles(currency: str, money: MoneyFigures) -> str:
    tiles = [
        (
            "Net profit",
            f"{shown(money.net)} {currency}",
            "net_pnl",
            text(money.net),
            money.net >= 0,
        ),
        ("Realised", shown(money.realised), "realised_pnl", text(money.realised), None),
        ("Unrealised", shown(money.unrealised), "unrealised_pnl", text(money.unrealised), None),
        ("Fees", shown(money.fees), "fees", text(money.fees), None),
        ("Largest fall", f"{money.max_drawdown:,.8g}", "max_drawdown", money.max_drawdown, None),
        ("Round trips", f"{money.trips:,}", "round_trips", money.trips, None),
    ]
    cells = "".join(
        f"<div class='tile'><span>{escape(name)}</span><b class='{_tone(good)}'"
        f" data-figure='{currency}.{key}' data-value='{escape(str(value))}'>"
        f"{escape(shown)}</b></div>"
        for name, shown, key, value, good in tiles
    )
    return f"<section class='tiles' aria-label='{escape(currency)}'>{cells}</section>"


def _tone(good: bool | None) -> str:
    return "" if good is None else "good" if good else "bad"


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.4g}{unit}"


def _statistics(currency: str, money: MoneyFigures) -> str:
    rows = [
        ("Balance at first", f"{text(money.start)} {currency}"),
        ("Largest fall of the account", _number(money.max_drawdown_pct, " %")),
        ("Round trips won", f"{money.won:,} of {money.trips:,} ({_number(money.win_rate, ' %')})"),
        ("Won, all together", shown(money.gross_won)),
        ("Lost, all together", shown(money.gross_lost)),
        ("Won for each unit lost", _number(money.profit_factor)),
        ("A round trip takes", _number(money.hold_secs, " s")),
        *((RATIO_WORDS[name], _number(value)) for name, value in money.ratios.items()),
    ]
    note = f"<p class='note'>{escape(money.no_ratios)}.</p>" if money.no_ratios else ""
    return _section(f"Statistics, {currency}", _table((), rows) + note)


def _parts(title: str, parts: dict[str, Any]) -> str:
    def amounts(found: dict[str, str]) -> str:
        return (
            ", ".join(f"{shown(Decimal(amount))} {currency}" for currency, amount in found.items())
            or "0"
        )

    rows = [
        (name, f"{p['fills']:,}", *(amounts(p[n]) for n in ("bought", "sold", "realised", "fees")))
        for name, p in parts.items()
    ]
    return _section(title, _table(("", "Fills", "Bought", "Sold", "Realised", "Fees"), rows))


def _trips(trips: Sequence[RoundTrip]) -> str:
    ranked = sorted(trips, key=lambda trip: trip.net)
    head = ("Strategy", "Instrument", "Side", "Opened", "Closed", "Largest", "Net", "Fees")

    def rows(some: Iterable[RoundTrip]) -> list[tuple[str, ...]]:
        return [
            (
                t.strategy,
                t.instrument,
                t.side,
                _when(t.opened_ns),
                _when(t.closed_ns),
                text(t.quantity),
                shown(t.net),
                shown(t.fees),
            )
            for t in some
        ]

    return "".join(
        _section(f"The {MOST_TRIPS} {name} round trips", _table(head, rows(some)))
        for name, some in (
            ("best", ranked[::-1][:MOST_TRIPS]),
            ("worst", ranked[:MOST_TRIPS]),
            ("last", list(trips)[-MOST_TRIPS:][::-1]),
        )
    )


def _run(result: Result) -> str:
    rows = [
        ("Events", f"{result.events:,}"),
        ("A second of the loop", f"{result.events / max(result.engine_secs, 1e-9):,.0f} events"),
        ("Orders placed", f"{result.orders:,}"),
        ("Refused by the runtime", f"{result.refused:,}"),
        ("Rejected by the venue", f"{result.rejected:,}"),
        ("Fills", f"{len(result.fills):,}"),
        *((f"Balance of {name}", text(amount)) for name, amount in result.balances.items()),
        *(
            (f"Strategy {one.name}", one.outcome + (f": {one.detail}" if one.detail else ""))
            for one in result.strategies
        ),
    ]
    return _section("The run", _table((), rows))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "<p class='note'>None.</p>"
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    top = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f"<div class='scroll'><table>{top}<tbody>{body}</tbody></table></div>"
