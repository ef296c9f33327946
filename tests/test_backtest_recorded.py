"""A day that was recorded, with the maker of the examples, through the command.

The last line, the report's JSON, its page, and SQL over its table of fills: all agree.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.recorded import ETHUSDT, recorded
from tests.support.backtests import CONFIG, ONE, command
from trade_runtime import OrderBook, Quote, Settings, Strategy, Trade
from trade_runtime.backtest.run import run_backtest

pytestmark = pytest.mark.recorded

MAKER = Path(__file__).resolve().parent.parent / "examples" / "maker.py"


def configure(folder: Path) -> Path:
    """Write the configuration."""
    path = folder / "maker.toml"
    tables = "".join(
        f'[[backtest.data]]\ninstrument = "{ONE}"\nkind = "{kind}"\npath = "{recorded(ETHUSDT)}"\n'
        for kind in ("quotes", "trades", "book")
    )
    tables += f"""
[[strategies]]
name = "maker"
class = "{MAKER}:Maker"
instruments = ["{ONE}"]
params = {{ size = "0.05", spread_bps = 2 }}
"""
    path.write_text(CONFIG.replace('lot = "0.001"', 'lot = "0.0001"') + tables)
    return path


class Counts(Strategy):
    """Counts what it is told, and trades nothing."""

    def on_start(self) -> None:
        self.quotes = self.trades = self.books = 0

    def on_quote(self, quote: Quote) -> None:
        self.quotes += 1

    def on_trade(self, trade: Trade) -> None:
        self.trades += 1

    def on_book(self, book: OrderBook) -> None:
        self.books += 1


def test_a_strategy_is_told_every_event(tmp_path: Path) -> None:
    """None is left out on the way from the file."""
    counts = Counts("counts", [ONE])
    result = run_backtest(Settings.from_toml(configure(tmp_path)), strategies=[counts])
    assert (24_077, 6_106, 3_433) == (counts.quotes, counts.trades, counts.books)
    assert 24_077 + 6_106 + 3_433 == result.events


def counted(table: Path) -> tuple[Any, ...]:
    """What SQL makes of the fills: how many, profit, fees, what was bought less what was sold, and
    what that cost.
    """
    signed = "CASE side WHEN 'buy' THEN 1 ELSE -1 END * CAST({} AS DECIMAL(38, 16))"
    found = (
        duckdb.connect()
        .execute(
            "SELECT count(*), sum(CAST(realised AS DECIMAL(38, 28))),"
            f" sum(CAST(fee AS DECIMAL(38, 16))), sum({signed.format('quantity')}),"
            f" sum({signed.format('notional')}) FROM '{table}'"
        )
        .fetchone()
    )
    assert found is not None
    return found


def test_all_that_it_tells_agrees(tmp_path: Path) -> None:
    """Every figure that two of them share, and the account that the venue kept."""
    config, out = configure(tmp_path), tmp_path / "out"
    done = command(tmp_path, "--report", str(out), "--json", config=config.name)
    assert 0 == done.exit_code, done.output
    line = json.loads(done.stdout.splitlines()[-1])
    report = json.loads((out / "report.json").read_text())
    assert line == {name: report[name] for name in line}

    count, realised, fees, position, spent = counted(out / "trades.parquet")
    assert count == line["fills"] > 50
    assert Decimal(line["realised_pnl"]["USDT"]) == realised
    assert Decimal(line["fees"]["USDT"]) == fees
    assert Decimal(line["positions"][ONE]) == position
    assert Decimal(line["balances"]["USDT"]) == 100_000 - spent - fees
    assert Decimal(line["balances"]["ETH"]) == 100 + position

    page = (out / "report.html").read_text()
    figures = dict(re.findall(r"data-figure='USDT\.(\w+)' data-value='([^']*)'", page))
    money = report["by_currency"]["USDT"]
    assert {"net_pnl", "realised_pnl", "unrealised_pnl", "fees", "round_trips"} <= figures.keys()
    for name, shown in figures.items():
        assert name not in money or shown == str(money[name] if money[name] is not None else "")
    net = realised + Decimal(line["unrealised_pnl"]["USDT"]) - fees
    assert Decimal(figures["net_pnl"]) == net
