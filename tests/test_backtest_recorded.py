"""A day that was recorded, through the command: all that it tells agrees."""

from __future__ import annotations

import json
import textwrap
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.recorded import ETHUSDT, recorded
from tests.support.backtests import CONFIG, command


@pytest.mark.recorded
def test_a_recording_with_the_maker_example(tmp_path: Path) -> None:
    """JSON, SQL over the table of fills, and the page agree on every figure that they share."""
    examples = Path(__file__).resolve().parent.parent / "examples"
    data = "".join(
        f'[[backtest.data]]\ninstrument = "ETHUSDT.sim"\nkind = "{kind}"\n'
        f'path = "{recorded(ETHUSDT)}"\n'
        for kind in ("quotes", "trades", "book")
    )
    tables = textwrap.dedent(
        f"""
        {data}
        [[strategies]]
        name = "maker"
        class = "{examples}/maker.py:Maker"
        instruments = ["ETHUSDT.sim"]
        params = {{ size = "0.05", spread_bps = 2 }}
    """.replace(data, "@")
    ).replace("@", data)
    (tmp_path / "maker.toml").write_text(CONFIG.replace('lot = "0.001"', 'lot = "0.0001"') + tables)
    done = command(tmp_path, "--report", str(tmp_path / "out"), "--json", config="maker.toml")
    assert 0 == done.exit_code, done.output
    line = json.loads(done.stdout.splitlines()[-1])
    assert 24_077 + 6_106 + 3_433 == line["events"]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    page = (tmp_path / "out" / "report.html").read_text()
    table = str(tmp_path / "out" / "trades.parquet")
    sums = (
        duckdb.connect()
        .execute(
            "SELECT count(*), sum(CAST(realised AS DECIMAL(38, 28))),"
            " sum(CAST(fee AS DECIMAL(38, 8))),"
            " sum(CASE side WHEN 'buy' THEN 1 ELSE -1 END * CAST(quantity AS DECIMAL(38, 8)))"
            f" FROM '{table}'"
        )
        .fetchone()
    )
    assert sums is not None
    count, realised, fees, position = sums
    assert count == line["fills"] > 50
    assert Decimal(line["realised_pnl"]["USDT"]) == realised
    assert Decimal(line["fees"]["USDT"]) == fees
    assert Decimal(line["positions"]["ETHUSDT.sim"]) == position
    money = report["by_currency"]["USDT"]
    assert line["realised_pnl"]["USDT"] == money["realised_pnl"]
    for name in ("realised_pnl", "fees", "net_pnl"):
        assert f'data-value="{money[name]}"' in page.replace("'", '"')
