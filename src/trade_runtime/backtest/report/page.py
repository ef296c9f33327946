"""The page of a report: one file that needs nothing from outside.

Plotly's own script is written into it, so it can be sent to anybody and opened years later; a
policy in its head forbids the browser to fetch anything. Every figure carries its exact value in
`data-value`, under the name in `data-figure`, which is its place in `by_currency` of the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Final

from trade_runtime.backtest.report.charts import charts
from trade_runtime.backtest.report.figures import Figures, MoneyFigures, PartFigures
from trade_runtime.backtest.report.style import SCRIPT, STYLE
from trade_runtime.backtest.report.trips import RoundTrip
from trade_runtime.backtest.report.words import DASH, amount, measure, span
from trade_runtime.backtest.result import Result
from trade_runtime.model.ids import Currency
from trade_runtime.model.instrument import text
from trade_runtime.version import __version__

MOST_TRIPS: Final = 10
"""Rows of the best, of the worst, and of the last round trips."""

POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""What the browser may load: nothing but what the page holds itself."""

HTML = str
"""Text that is escaped already."""

RATIO_WORDS: Final = {
    "cagr": "Growth a year",
    "volatility": "Volatility a year",
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "calmar": "Calmar ratio",
}

SHARES: Final = frozenset({"cagr", "volatility"})
"""Ratios that are shown in per cent."""


def page(result: Result, figures: Figures) -> str:
    """Return the page."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - only a report needs it

    drawn = charts(result)
    data = _script([figure for _, _, figure in drawn])
    title = f"Backtest of {result.runtime}"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        _head(title, result),
        "<main><noscript><p class='note'>The charts need JavaScript; the tables do not.</p>",
        "</noscript>",
        *(_tiles(currency, money) for currency, money in figures.by_currency.items()),
        _other_fees(result),
        *(
            f"<section><h2>{escape(name)}</h2>"
            + (f"<p class='note'>{escape(note)}</p>" if note else "")
            + f"<div class='chart' id='chart{number}' role='img'"
            f" aria-label='Chart: {escape(name)}'></div></section>"
            for number, (name, note, _) in enumerate(drawn)
        ),
        *(_statistics(currency, money) for currency, money in figures.by_currency.items()),
        _parts("By strategy", figures.by_strategy),
        _parts("By instrument", figures.by_instrument),
        _trips(figures.trips),
        _run(result),
        "</main>",
        f"<footer>trade_runtime {escape(__version__)}</footer>",
        f"<script>{get_plotlyjs()}</script>",
        f"<script>const CHARTS = {data}, SPAN = {_script(_span(result))};{SCRIPT}</script>",
        "</body></html>",
    ]
    return "\n".join(parts)


def _script(value: object) -> str:
    """Return JSON that cannot end the script that it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


def _span(result: Result) -> list[float] | None:
    """Return what every chart shows of time, in milliseconds; None where nothing passed."""
    ends = [result.started_ns / 1e6, result.ended_ns / 1e6]
    return ends if ends[0] < ends[1] else None


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


def _tiles(currency: str, money: MoneyFigures) -> HTML:
    tiles = [
        (f"Net profit, {currency}", amount(money.net), "net_pnl", text(money.net)),
        ("Realised", amount(money.realised), "realised_pnl", text(money.realised)),
        ("Unrealised", amount(money.unrealised), "unrealised_pnl", text(money.unrealised)),
        ("Fees", amount(money.fees), "fees", text(money.fees)),
        ("Largest fall", amount(money.max_drawdown), "max_drawdown", money.max_drawdown),
        ("Round trips", f"{money.trips:,}", "round_trips", money.trips),
    ]
    cells = "".join(
        f"<div class='tile'><span>{escape(name)}</span>"
        f"<b class='{_tone(money.net) if key == 'net_pnl' else ''}'>"
        f"{_figure(f'{currency}.{key}', shown, value)}</b></div>"
        for name, shown, key, value in tiles
    )
    return f"<section class='tiles' aria-label='{escape(currency)}'>{cells}</section>"


def _figure(name: str, shown: str, value: object) -> HTML:
    """Return a figure with its exact value: to machines, and to who points at it."""
    exact = "" if value is None else escape(str(value))
    return (
        f"<span data-figure='{escape(name)}' data-value='{exact}' title='{exact}'>"
        f"{escape(shown)}</span>"
    )


def _tone(net: Decimal) -> str:
    return "good" if net > 0 else "bad" if net < 0 else ""


def _other_fees(result: Result) -> HTML:
    """Say which fees are in no profit, since no price is known between their currency and it."""
    others = {n: fee for n, fee in result.fees.items() if fee and n not in result.realised_pnl}
    if not others:
        return ""
    paid = ", ".join(f"{amount(fee)} {name}" for name, fee in others.items())
    return f"<p class='note'>Fees that are not in the net profit: {escape(paid)}.</p>"


def _statistics(currency: str, money: MoneyFigures) -> HTML:
    exact = money.as_json()
    rows = [
        ("Balance at first", "start_balance", amount(money.start)),
        ("Largest fall of the account", "max_drawdown_pct", measure(money.max_drawdown_pct, " %")),
        ("Round trips won", "won", f"{money.won:,} of {money.trips:,}"),
        ("Share of them", "win_rate_pct", measure(money.win_rate, " %")),
        ("Won, all together", "gross_won", amount(money.gross_won)),
        ("Lost, all together", "gross_lost", amount(money.gross_lost)),
        ("Won on average", "average_won", amount(money.average_won)),
        ("Lost on average", "average_lost", amount(money.average_lost)),
        ("Won for each unit lost", "profit_factor", measure(money.profit_factor)),
        ("A round trip takes", "average_hold_secs", span(money.hold_secs)),
    ]
    cells = [
        (escape(words), _figure(f"{currency}.{key}", shown, exact[key]))
        for words, key, shown in rows
    ]
    for name, value in money.ratios.items():
        shown = measure(None if value is None else 100 * value, " %")
        shown = shown if name in SHARES else measure(value)
        figure = _figure(f"{currency}.ratios.{name}", shown, value)
        cells.append((escape(RATIO_WORDS[name]), figure))
    notes = [money.no_ratios] if money.no_ratios else []
    notes.append(f"Amounts are in {currency}, round trips less their fees in it")
    notes.append(f"A {DASH} stands where there is nothing to reckon with")
    said = escape(" ".join(f"{note[0].upper()}{note[1:]}." for note in notes))
    return _section(f"Statistics, {currency}", _table((), cells, f"<p class='note'>{said}</p>"))


def _parts(title: str, parts: Mapping[str, PartFigures]) -> HTML:
    def amounts(found: Mapping[Currency, Decimal]) -> str:
        return ", ".join(f"{amount(value)} {currency}" for currency, value in found.items()) or "0"

    rows = [
        (name, f"{p.fills:,}", *(amounts(m) for m in (p.bought, p.sold, p.realised, p.fees)))
        for name, p in parts.items()
    ]
    return _section(title, _plain(("", "Fills", "Bought", "Sold", "Realised", "Fees"), rows))


def _trips(trips: Sequence[RoundTrip]) -> str:
    ranked = sorted(trips, key=lambda trip: trip.net)
    head = ("Strategy", "Instrument", "Side", "Opened", "Closed", "Held", "Largest", "Net", "Fees")

    def rows(some: Iterable[RoundTrip]) -> list[tuple[str, ...]]:
        return [
            (
                t.strategy,
                t.instrument,
                t.side,
                _when(t.opened_ns),
                _when(t.closed_ns),
                span((t.closed_ns - t.opened_ns) / 1e9),
                text(t.quantity),
                amount(t.net),
                amount(t.fees),
            )
            for t in some
        ]

    return "".join(
        _section(f"The {MOST_TRIPS} {name} round trips", _plain(head, rows(some)))
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
        *((f"Balance of {name}", amount(held)) for name, held in result.balances.items()),
        *(
            (f"Strategy {one.name}", one.outcome + (f": {one.detail}" if one.detail else ""))
            for one in result.strategies
        ),
    ]
    return _section("The run", _plain((), rows))


def _section(title: str, body: HTML) -> HTML:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _plain(head: Sequence[str], rows: Iterable[Sequence[str]]) -> HTML:
    return _table(head, [[escape(cell) for cell in row] for row in rows])


def _table(head: Sequence[str], rows: Sequence[Sequence[HTML]], below: HTML = "") -> HTML:
    if not rows:
        return "<p class='note'>None.</p>"
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    top = f"<thead><tr>{top}</tr></thead>" if head else ""
    return (
        f"<div class='scroll' tabindex='0'><table>{top}<tbody>{body}</tbody></table></div>{below}"
    )
