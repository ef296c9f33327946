"""A backtest in a few lines: a configuration, a strategy that obeys, and a folder of both."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from click.testing import Result as Outcome

from trade_runtime import Fill, Quote, Settings, Strategy
from trade_runtime.backtest.result import Result
from trade_runtime.backtest.run import run_backtest
from trade_runtime.cli.backtest import backtest_command
from trade_runtime.model.ids import InstrumentId

ONE = InstrumentId("ETHUSDT.sim")
T0 = 1_700_000_000_000_000_000
SECOND = 10**9

CONFIG = """
[runtime]
name = "test"
seed = 1
[protection]
required = "off"
[venues.sim]
kind = "paper"
latency_ms = 0
fee_bps = 10
balances = { USDT = "100000", ETH = "100" }
[instruments."ETHUSDT.sim"]
tick = "0.01"
lot = "0.001"
base = "ETH"
quote = "USDT"
"""


def settings(
    more: str = "", folder: Path | str = ".", *, latency_ms: float | None = None
) -> Settings:
    """The usual configuration, and more; with a venue that is so far away."""
    mapping = tomllib.loads(CONFIG + more)
    if latency_ms is not None:
        mapping["venues"]["sim"]["latency_ms"] = latency_ms
    return Settings.from_mapping(mapping, folder)


def quote(second: float, bid: float, size: float = 10.0) -> Quote:
    """A quote with a spread of 0.10."""
    return Quote(ONE, T0 + round(second * SECOND), bid, round(bid + 0.1, 2), size, size)


class Script(Strategy):
    """Does what it was told to do at each quote, by number, and notes what it sees."""

    def __init__(self, *steps: Any) -> None:
        super().__init__("script", [ONE])
        self.steps = list(steps)
        self.seen: list[Any] = []
        self.fills: list[Fill] = []

    def on_quote(self, quote: Quote) -> None:
        self.seen.append(quote)
        step = self.steps.pop(0) if self.steps else None
        if step is not None:
            step(self.trader)

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)


def run(strategy: Strategy, events: Sequence[Any], more: str = "") -> Result:
    """A backtest over these events."""
    return run_backtest(settings(more), strategies=[strategy], history=[list(events)])


STRATEGY = """
from trade_runtime import Strategy

class Turns(Strategy):
    def on_start(self):
        self.n = 0
    def on_quote(self, quote):
        self.n += 1
        if self.n % self.params["every"] == 0:
            side = "buy" if self.n // self.params["every"] % 2 else "sell"
            self.trader.market(quote.instrument, side, self.params["size"])
"""

TABLES = """
[[backtest.data]]
instrument = "ETHUSDT.sim"
kind = "quotes"
path = "ticks.csv"
[[strategies]]
name = "turns"
class = "turns.py:Turns"
instruments = ["ETHUSDT.sim"]
params = { every = 10, size = "0.5" }
"""


def make_project(folder: Path) -> Path:
    """A folder with a configuration, a strategy and a history."""
    (folder / "turns.py").write_text(STRATEGY)
    write_ticks(folder, 400)
    (folder / "bt.toml").write_text(CONFIG + TABLES)
    return folder


def write_ticks(folder: Path, count: int) -> None:
    """A history of so many quotes, one a second."""
    rows = [f"{T0 + n * SECOND},{100 + n % 7},{100.1 + n % 7},9,9" for n in range(count)]
    (folder / "ticks.csv").write_text("\n".join(["ts_ns,bid,ask,bid_size,ask_size", *rows]) + "\n")


def command(folder: Path, *more: str, config: str = "bt.toml") -> Outcome:
    """What the command says, in this process."""
    return CliRunner().invoke(backtest_command, [str(folder / config), *more])
