"""A backtest's report says only what is so.

The page and the JSON agree, absurd ratios are not given, what breaks off half-way spoils nothing.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import attrs
import pytest

from tests.support.results import DAY_NS, ETH, START_NS, USDT, random_result
from trade_runtime.backtest.report import NAMES, figures_of, write_report
from trade_runtime.backtest.report.page import POLICY
from trade_runtime.backtest.report.ratios import DAYS_OF_A_YEAR, RATIOS
from trade_runtime.backtest.report.words import DASH, amount, measure, span
from trade_runtime.backtest.result import Result, Sample
from trade_runtime.model.ids import Currency
from trade_runtime.model.instrument import text


class Page(HTMLParser):
    """The figures of a page, the tags that could load something, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.figures: dict[str, str] = {}
        self.loads: list[str] = []
        self.policies: list[str | None] = []
        self.words = ""
        self._silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if name := found.get("data-figure"):
            self.figures[name] = found["data-value"] or ""
        self.loads += [f"{tag} {key}" for key in ("src", "href", "srcset") if key in found]
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(found["content"])
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words += data


def written(result: Result, folder: Path) -> tuple[dict[str, Any], Page]:
    """The report's JSON and its page."""
    files = dict(zip(NAMES, write_report(result, folder), strict=True))
    page = Page(files["report.html"].read_text("utf-8"))
    return json.loads(files["report.json"].read_text("utf-8")), page


def by_days(*equity: float, start: float = 1_000.0) -> Result:
    """A backtest whose account held so much at the end of each day."""
    samples = [
        Sample(START_NS + (day + 1) * DAY_NS - 1, {USDT: held - start}, {}, {})
        for day, held in enumerate(equity)
    ]
    made = random_result(0, days=len(equity), samples=0, start={"USDT": str(start)})
    return attrs.evolve(made, samples=samples, ended_ns=samples[-1].ts_ns + 1)


@pytest.mark.parametrize("fills", [0, 1, 500])
def test_every_figure_of_the_page_is_the_one_of_the_json(fills: int, tmp_path: Path) -> None:
    """A figure on the page names its place in the JSON, and has the very value that is there."""
    found, page = written(random_result(fills), tmp_path)
    assert len(page.figures) > 15
    for name, shown in page.figures.items():
        value: Any = found["by_currency"]
        for key in name.split("."):
            value = value[key]
        assert ("" if value is None else str(value)) == shown, name


def test_the_page_loads_nothing_and_lets_nothing_be_loaded(tmp_path: Path) -> None:
    """No tag names a resource, and the browser is told to fetch none, whatever a script asks."""
    _, page = written(random_result(5), tmp_path)
    assert [] == page.loads
    assert [POLICY] == page.policies
    assert "http" not in POLICY


def test_names_from_outside_stay_words(tmp_path: Path) -> None:
    """A strategy's name and a currency's are shown, not obeyed."""
    bad = "<b title='x'></script><script>alert(1)</script>"
    _, page = written(random_result(3, strategies=(bad,), runtime=bad), tmp_path)
    assert page.words.count(bad) >= 2


def test_what_breaks_off_leaves_the_report_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up while the table is written: the old one is whole, nothing lies about."""
    write_report(random_result(5), tmp_path)
    before = (tmp_path / "trades.parquet").read_bytes()

    def half(fills: object, path: Path) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trade_runtime.backtest.report.write_trades", half)
    with pytest.raises(OSError, match="No space"):
        write_report(random_result(6), tmp_path)
    assert before == (tmp_path / "trades.parquet").read_bytes()
    assert sorted(NAMES) == sorted(path.name for path in tmp_path.iterdir())


def test_ratios_are_those_of_a_calculation_by_hand() -> None:
    """Twenty-five days up and down: each ratio by its textbook formula, over a year of 365 days."""
    equity, held = [], 1_000.0
    for change in [0.02, -0.01, 0.005, -0.004, 0.01] * 5:
        held *= 1 + change
        equity.append(held)
    returns = [now / then - 1 for then, now in zip([1_000.0, *equity], equity, strict=False)]
    year = DAYS_OF_A_YEAR
    below = math.sqrt(fmean([min(one, 0.0) ** 2 for one in returns]))
    cagr = (held / 1_000.0) ** (year / len(returns)) - 1
    expected = {
        "cagr": cagr,
        "volatility": stdev(returns) * math.sqrt(year),
        "sharpe": fmean(returns) / stdev(returns) * math.sqrt(year),
        "sortino": fmean(returns) * year / (below * math.sqrt(year)),
        "calmar": cagr / 0.01,
    }
    money = figures_of(by_days(*equity)).by_currency[USDT]
    assert money.ratios == pytest.approx(expected, rel=1e-9)
    assert money.no_ratios == ""


def test_an_account_that_was_lost_has_no_ratios(tmp_path: Path) -> None:
    """Below nothing, a further loss would count as a gain: such a Sharpe ratio was above 2 once."""
    equity = [1_000.0 - 60.0 * day for day in range(25)]
    found, page = written(by_days(*equity), tmp_path)
    assert dict.fromkeys(RATIOS) == found["by_currency"]["USDT"]["ratios"]
    assert "lost all the USDT" in found["by_currency"]["USDT"]["no_ratios"]
    assert found["by_currency"]["USDT"]["no_ratios"][1:] in page.words


def test_days_that_nobody_sampled_are_not_taken_for_days_without_change() -> None:
    """Sixteen samples of forty days: most days would show no return at all."""
    money = figures_of(random_result(50, days=40, samples=16)).by_currency[USDT]
    assert dict.fromkeys(RATIOS) == money.ratios
    assert "backtest.samples" in money.no_ratios


@pytest.mark.parametrize(
    ("days", "start", "why"), [(0.004, "10000", "shorter than"), (40, "0", "no base")]
)
def test_no_ratios_without_days_or_without_a_base(days: float, start: str, why: str) -> None:
    """A year made of six minutes says nothing; nor does a profit on nothing."""
    money = figures_of(random_result(5, days=days, start={"USDT": start})).by_currency[USDT]
    assert dict.fromkeys(RATIOS) == money.ratios
    assert why in money.no_ratios


def test_a_ratio_to_losses_that_never_were_is_none() -> None:
    """Every day gains the same: no day lost, nothing fell, and no number is infinite."""
    equity = [1_000.0 + 10.0 * (day + 1) for day in range(25)]
    ratios = figures_of(by_days(*equity)).by_currency[USDT].ratios
    assert ratios["sortino"] is None
    assert ratios["calmar"] is None
    assert ratios["sharpe"] is not None


def test_fees_in_a_currency_without_a_price_are_told_apart(tmp_path: Path) -> None:
    """Fees paid in BNB are in no profit, and the page says so."""
    fees = {USDT: Decimal("1.5"), Currency("BNB"): Decimal("0.0125")}
    found, page = written(random_result(0, fees=fees), tmp_path)
    assert "Fees that are not in the net profit: 0.0125 BNB." in page.words
    assert "-1.5" == found["by_currency"]["USDT"]["net_pnl"]


def test_averages_of_round_trips_are_sums_over_counts() -> None:
    """Won and lost on average, times how many, is won and lost all together."""
    money = figures_of(random_result(200)).by_currency[USDT]
    assert money.average_won is not None
    assert money.average_lost is not None
    tiny = Decimal("1e-20")
    assert abs(money.average_won * money.won - money.gross_won) < tiny
    assert abs(money.average_lost * (money.trips - money.won) - money.gross_lost) < tiny


def test_every_chart_shows_the_whole_history(tmp_path: Path) -> None:
    """All charts begin and end with the history, so that they can be read one below the other."""
    html = write_report(random_result(3, days=2), tmp_path)[2].read_text("utf-8")
    ends = re.search(r"SPAN = \[([\d.]+), ([\d.]+)\];", html)
    assert ends is not None
    assert (START_NS / 1e6, (START_NS + 2 * DAY_NS) / 1e6) == tuple(map(float, ends.groups()))
    assert f"aria-label='Chart: {ETH}: price and fills'" in html


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("0", "0"),
        ("-0.00", "0"),
        ("1E-12", "0"),
        ("-1E-12", "0"),
        ("0.00001234", "0.00001234"),
        ("1.50", "1.5"),
        ("-999.99999", "-1000"),
        ("1234567.891", "1,234,567.89"),
    ],
)
def test_amounts_are_shown_as_people_read_them(number: str, shown: str) -> None:
    """Large ones to the hundredth, small ones with what they have, never an exponent."""
    assert shown == amount(Decimal(number))


def test_measures_and_spans_have_words() -> None:
    """Ratios with two decimals, times in their two largest units, a dash for what is not."""
    assert ["12,345.68", "0.0013", "0.00 %", DASH] == [
        measure(12_345.678),
        measure(0.00131),
        measure(0.0, " %"),
        measure(None),
    ]
    assert ["0.25 s", "1 min", "19 min 46 s", "3 h 0 min", "2 d 1 h", DASH] == [
        span(0.25),
        span(59.96),
        span(1_186.2),
        span(10_800),
        span(2 * 86_400 + 3_700),
        span(None),
    ]


def test_nothing_below_nothing() -> None:
    """An exact zero has no sign, whatever the arithmetic left of one."""
    assert ["0", "0", "-0.1"] == [text(Decimal(n)) for n in ("-0", "-0.000", "-0.10")]
