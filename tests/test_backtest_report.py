"""Who does not believe a report can count again: SQL over its table of fills comes to the same.

The table is read as anybody would, by DuckDB; nothing of the project's arithmetic is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.support.results import BTC, ETH, random_result
from trade_runtime.backtest.report import write_report
from trade_runtime.backtest.report.charts import MAX_MARKERS
from trade_runtime.backtest.report.style import SCRIPT, STYLE
from trade_runtime.backtest.result import Result

TINY = Decimal("1e-18")
"""What a sum of 28 digits may lose. Sums of prices, quantities and fees lose nothing."""

MONEY = "DECIMAL(38, 24)"

FILLS = f"""
    CREATE VIEW fills AS SELECT
        file_row_number AS row, ts_ns, strategy, instrument, side,
        CAST(quantity AS {MONEY}) AS quantity,
        CAST(notional AS {MONEY}) AS notional,
        CAST(fee AS {MONEY}) AS fee,
        CAST(realised AS {MONEY}) AS realised,
        CAST(position AS {MONEY}) AS position,
    FROM read_parquet('TABLE', file_row_number = true)
"""

TRIPS = """
    WITH steps AS (
        SELECT *, coalesce(lag(position) OVER own, 0) AS held
        FROM fills WINDOW own AS (PARTITION BY strategy, instrument ORDER BY row)
    ), ended AS (
        SELECT *, CAST(position = 0 OR sign(held) * sign(position) < 0 AS INTEGER) AS ends
        FROM steps
    ), numbered AS (
        SELECT *, sum(ends) OVER own - ends AS trip
        FROM ended WINDOW own AS (PARTITION BY strategy, instrument ORDER BY row)
    ), trips AS (
        SELECT sum(realised) - sum(fee) AS net FROM numbered
        GROUP BY strategy, instrument, trip HAVING max(ends) = 1
    )
    SELECT count(*), count(*) FILTER (net > 0),
        coalesce(sum(net) FILTER (net > 0), 0), coalesce(-sum(net) FILTER (net <= 0), 0)
    FROM trips
"""


class Report:
    """A report in a folder, and its table of fills for SQL."""

    def __init__(self, result: Result, folder: Path) -> None:
        paths = {path.name: path for path in write_report(result, folder)}
        self.json: dict[str, Any] = json.loads(paths["report.json"].read_text("utf-8"))
        self.page = paths["report.html"].read_text("utf-8")
        self.table = paths["trades.parquet"]
        self._db = duckdb.connect()
        self._db.execute(FILLS.replace("TABLE", str(self.table)))

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the table."""
        return self._db.execute(query).fetchall()

    def charts(self) -> list[dict[str, Any]]:
        """What the page draws."""
        found = re.search(r"const CHARTS = (.*), SPAN = ", self.page)
        assert found is not None
        drawn: list[dict[str, Any]] = json.loads(found.group(1))
        return drawn


def same(told: str, counted: Decimal | None, within: Decimal = Decimal(0)) -> bool:
    """Whether a figure of the report is the one that was counted."""
    return abs(Decimal(told) - (counted or 0)) <= within


@pytest.mark.parametrize("fills", [0, 1, 2_000])
def test_the_money_is_that_of_the_fills(tmp_path: Path, fills: int) -> None:
    """Realised profit, fees and the position at the end."""
    report = Report(random_result(fills), tmp_path)
    (count, realised, fees), *_ = report.sql("SELECT count(*), sum(realised), sum(fee) FROM fills")
    money = report.json["by_currency"]["USDT"]
    assert fills == count == report.json["fills"]
    assert same(money["realised_pnl"], realised, TINY)
    assert same(money["fees"], fees)
    held = dict(
        report.sql(
            "SELECT instrument, sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END)"
            " FROM fills GROUP BY instrument"
        )
    )
    for instrument, told in report.json["positions"].items():
        assert same(told, held.get(instrument))


def test_the_parts_are_those_of_the_fills(tmp_path: Path) -> None:
    """By strategy and by instrument: counts, what was bought and sold, profit and fees."""
    report = Report(random_result(2_000), tmp_path)
    for column in ("strategy", "instrument"):
        parts = report.json[f"by_{column}"]
        rows = report.sql(
            f"SELECT {column}, count(*), sum(notional) FILTER (side = 'buy'),"
            f" sum(notional) FILTER (side = 'sell'), sum(realised), sum(fee)"
            f" FROM fills GROUP BY {column}"
        )
        assert {row[0] for row in rows} == parts.keys()
        for name, count, bought, sold, realised, fee in rows:
            part = parts[name]
            assert count == part["fills"]
            assert same(part["bought"]["USDT"], bought)
            assert same(part["sold"]["USDT"], sold)
            assert same(part["realised"]["USDT"], realised, TINY)
            assert same(part["fees"]["USDT"], fee)


@pytest.mark.parametrize("fills", [0, 1, 2_000])
def test_the_round_trips_are_those_of_the_positions(tmp_path: Path, fills: int) -> None:
    """From flat to flat, or through zero: how many, how many won, and how much."""
    report = Report(random_result(fills), tmp_path)
    ((trips, won, gross_won, gross_lost),) = report.sql(TRIPS)
    money = report.json["by_currency"]["USDT"]
    assert (trips, won) == (money["round_trips"], money["won"])
    assert same(money["gross_won"], gross_won, TINY)
    assert same(money["gross_lost"], gross_lost, TINY)
    if fills > 1:
        assert trips > 100
        assert 0 < won < trips
        assert pytest.approx(100 * won / trips) == money["win_rate_pct"]
        assert pytest.approx(float(gross_won / gross_lost)) == money["profit_factor"]
    else:
        assert money["win_rate_pct"] is None
        assert money["profit_factor"] is None


def test_a_position_follows_from_the_fills_before_it(tmp_path: Path) -> None:
    """Row by row: the column says what the strategy held after it."""
    report = Report(random_result(500), tmp_path)
    wrong = report.sql(
        "SELECT row FROM (SELECT row, position,"
        " sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END)"
        " OVER (PARTITION BY strategy, instrument ORDER BY row) AS held FROM fills)"
        " WHERE held != position"
    )
    assert [] == wrong


@pytest.mark.parametrize("fills", [0, 1])
def test_the_table_has_its_columns_whatever_is_in_it(tmp_path: Path, fills: int) -> None:
    """A script that reads it does not break on a backtest without fills."""
    schema = pq.read_schema(Report(random_result(fills), tmp_path).table)
    types = {field.name: str(field.type) for field in schema}
    assert {"ts_ns": "int64", "maker": "bool"} == {n: t for n, t in types.items() if t != "string"}
    assert {"strategy", "price", "quantity", "fee", "realised", "position"} <= types.keys()


def markers(chart: dict[str, Any]) -> Iterator[float]:
    """The times of the fills that a chart marks."""
    for trace in chart["data"]:
        if trace["mode"] == "markers":
            yield from trace["x"]


def test_of_very_many_fills_some_are_marked_and_the_page_says_so(tmp_path: Path) -> None:
    """A browser has to draw them. All are in the table; those that are marked are real ones."""
    result = random_result(20_000, samples=200)
    report = Report(result, tmp_path)
    assert [(20_000,)] == report.sql("SELECT count(*) FROM fills")
    said = re.findall(r"([\d,]+) of ([\d,]+) fills are marked: one in (\d+)", report.page)
    assert 2 == len(said)
    marked = [sorted(found) for chart in report.charts() if (found := list(markers(chart)))]
    for instrument, times, (shown, of, step) in zip((ETH, BTC), marked, said, strict=True):
        own = [b.fill.ts_ns / 1e6 for b in result.fills if b.fill.instrument == instrument]
        assert len(times) == int(shown.replace(",", "")) <= MAX_MARKERS
        assert len(own) == int(of.replace(",", ""))
        assert own[:: int(step)] == times


def test_few_fills_are_all_marked(tmp_path: Path) -> None:
    """And nothing is said of it."""
    report = Report(random_result(300), tmp_path)
    assert "fills are marked" not in report.page
    assert 300 == sum(len(list(markers(chart))) for chart in report.charts())


def test_what_is_ours_on_the_page_names_no_address(tmp_path: Path) -> None:
    """Neither the style nor our script; Plotly's own, which is written in, loads nothing of
    itself: the page's policy forbids it.
    """
    report = Report(random_result(5), tmp_path)
    for text in (STYLE, SCRIPT):
        assert not re.search(r"@import|url\(|https?:|//\w", text)
    outside = re.sub(r"<script>.*?</script>", "", report.page, flags=re.DOTALL)
    assert "http:" not in outside
    assert "https:" not in outside
    assert "<link" not in outside
    assert "<iframe" not in outside
