"""The backtest: what it is made of, what it comes to, and how it is told what is wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import duckdb
import pytest
from click.testing import CliRunner
from click.testing import Result as Outcome
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.recorded import ETHUSDT, recorded
from trade_runtime import Bar, ConfigError, Fill, Quote, Settings, Strategy, Trade
from trade_runtime.backtest.engine import EndlessInstant
from trade_runtime.backtest.result import Result
from trade_runtime.backtest.run import Backtest, run_backtest
from trade_runtime.cli.backtest import backtest_command
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.orders import Side

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


def settings(more: str = "", folder: Path | str = ".") -> Settings:
    """The usual configuration, and more."""
    import tomllib  # noqa: PLC0415

    return Settings.from_mapping(tomllib.loads(CONFIG + more), folder)


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


class TestTime:
    """When things happen."""

    def test_an_order_meets_the_market_of_its_arrival(self) -> None:
        """Not that of its decision: what comes in between, it does not get."""
        buy = Script(lambda t: t.market(ONE, "buy", "1"))
        at = [quote(0, 100), quote(0.01, 101), quote(0.02, 102), quote(0.03, 103)]
        config = CONFIG.replace("latency_ms = 0", "latency_ms = 20")
        import tomllib  # noqa: PLC0415

        setup = Settings.from_mapping(tomllib.loads(config))
        run_backtest(setup, strategies=[buy], history=[at])
        assert [Decimal("102.1")] == [fill.price for fill in buy.fills]
        assert [T0 + 20_000_000] == [fill.ts_ns for fill in buy.fills]

    def test_what_a_bar_told_is_known_at_its_end(self) -> None:
        """A resting order fills inside a bar; the strategy hears of both when the bar is over."""

        class Bars(Script):
            def on_bar(self, bar: Bar) -> None:
                self.seen.append((bar.close, len(self.fills)))
                if len(self.seen) == 1:
                    self.trader.limit(ONE, "buy", "1", "95")

        more = """
        [[backtest.data]]
        instrument = "ETHUSDT.sim"
        kind = "bars"
        path = "unused.csv"
        [[strategies]]
        name = "script"
        class = "x:y"
        instruments = ["ETHUSDT.sim"]
        bar_secs = 60
        """
        strategy = Bars()
        bars = [
            Bar(ONE, T0 + 60 * n * SECOND, T0 + 60 * (n - 1) * SECOND, *prices, 40.0, 4)
            for n, prices in enumerate([(100, 101, 98, 99), (99, 100, 94, 97)], 1)
        ]
        run(strategy, bars, more)
        assert [(99, 0), (97, 1)] == strategy.seen
        assert [(Decimal(95), True)] == [(f.price, f.maker) for f in strategy.fills]

    def test_trades_alone_are_a_market(self) -> None:
        """Where a history has no quotes, each trade is one: of its price and size."""

        class Trades(Script):
            def on_trade(self, trade: Trade) -> None:
                if len(self.seen) == 1:
                    self.trader.market(ONE, "buy", "2")
                self.seen.append(trade)

        more = '[[backtest.data]]\ninstrument="ETHUSDT.sim"\nkind="trades"\npath="unused"\n'
        strategy = Trades()
        events = [Trade(ONE, T0 + n, 100.0 + n, 1.5, Side.BUY, n) for n in range(4)]
        run(strategy, events, more)
        assert [("1.5", "101"), ("0.5", "102")] == [
            (f"{f.quantity.normalize()}", f"{f.price.normalize()}") for f in strategy.fills
        ]

    def test_a_strategy_that_answers_itself_for_ever_is_stopped(self) -> None:
        """Without latency, an order for each fill never lets time go on: it is said."""

        class Loop(Script):
            def on_fill(self, fill: Fill) -> None:
                self.trader.market(ONE, fill.side.opposite, "0.001")

        import trade_runtime.backtest.engine as engine  # noqa: PLC0415

        before = engine.SETTLE_EVENTS
        engine.SETTLE_EVENTS = 1_000
        try:
            with pytest.raises(EndlessInstant, match="give the venue a latency_ms"):
                run(
                    Loop(lambda t: t.market(ONE, "buy", "0.001")),
                    [quote(0, 100, 1e6), quote(1, 100, 1e6)],
                )
        finally:
            engine.SETTLE_EVENTS = before


class TestResult:
    """What comes out."""

    def test_the_figures_of_a_round_trip(self) -> None:
        """Bought at the ask, sold at the bid; fees beside the profit; the account agrees."""
        script = Script(
            lambda t: t.market(ONE, "buy", "2"), None, lambda t: t.market(ONE, "sell", "2")
        )
        result = run(script, [quote(n, 100 + n) for n in range(5)])
        assert (2, 2, 5) == (result.orders, len(result.fills), result.events)
        assert {"USDT": Decimal("3.8")} == dict(result.realised_pnl)
        assert Decimal("0.4042") == result.fees["USDT"]  # type: ignore[index]
        assert Decimal("100003.3958") == result.balances["USDT"]  # type: ignore[index]
        assert {ONE: 0} == dict(result.positions)
        assert pytest.approx(3.3958) == result.samples[-1].pnl["USDT"]  # type: ignore[index]

    @given(st.lists(st.integers(1, 40), max_size=12))
    @hypothesis_settings(max_examples=25, deadline=None)
    def test_it_does_not_matter_how_the_history_is_cut(self, cuts: list[int]) -> None:
        """Chunks are how it is read, not what it says."""
        events = [quote(n / 10, 100 + (n * 7919 % 100) / 10) for n in range(200)]

        def outcome(chunks: list[list[Quote]]) -> Result:
            steps = [
                (lambda t, s=s: t.market(ONE, s, "0.5")) if n % 5 == 0 else None
                for n, s in enumerate(["buy", "sell"] * 60)
            ]
            return run_backtest(settings(), strategies=[Script(*steps)], history=chunks)

        chunks, rest = [], events
        for cut in cuts:
            chunks.append(rest[:cut])
            rest = rest[cut:]
        whole, cut_up = outcome([events]), outcome([*chunks, rest])
        assert whole.fills == cut_up.fills
        assert whole.balances == cut_up.balances

    def test_it_can_be_stopped_and_says_so(self) -> None:
        """What there is by then is the result."""
        backtest: list[Backtest] = []
        script = Script(None, lambda t: backtest[0].stop("enough"))
        backtest.append(
            Backtest(settings(), strategies=[script], history=[[quote(n, 100) for n in range(99)]])
        )
        result = backtest[0].run()
        assert ("interrupted", "enough") == (result.outcome, result.reason)
        assert 2 <= result.events < 99

    def test_samples_are_bounded(self) -> None:
        """Thinned evenly, whatever the length; first and last are there."""
        setup = settings("[backtest]\nsamples = 32\n")
        events = [quote(n, 100) for n in range(5_000)]
        result = run_backtest(setup, strategies=[Script()], history=[events])
        assert 16 <= len(result.samples) <= 33
        assert T0 + 4_999 * SECOND == result.samples[-1].ts_ns

    def test_nothing_is_kept_of_orders_that_are_over(self) -> None:
        """Neither by the order path nor by the exchange: only the fills, which are the result."""

        class Busy(Script):
            def on_quote(self, quote: Quote) -> None:
                self.trader.market(ONE, "buy" if len(self.fills) % 2 else "sell", "0.01")

        backtest = Backtest(
            settings(), strategies=[Busy()], history=[[quote(n, 100) for n in range(500)]]
        )
        assert 500 == len(backtest.run().fills)
        orders = backtest.orders
        assert not orders.trading.orders
        assert not orders.sent_at
        assert not orders.in_doubt
        assert not orders._ack_due

    def test_a_strategy_that_fails_is_stopped_alone(self) -> None:
        """The other goes on to the end of the history."""

        class Bad(Script):
            def on_quote(self, quote: Quote) -> None:
                raise RuntimeError("oh no")

        bad, good = Bad(), Script()
        bad.name, good.name = "bad", "good"  # type: ignore[assignment]
        result = run_backtest(
            settings(), strategies=[bad, good], history=[[quote(n, 100) for n in range(9)]]
        )
        assert {"bad": "failed", "good": "stopped"} == {
            one.name: one.outcome for one in result.strategies
        }
        assert 9 == len(good.seen)

    def test_a_breaker_trips_in_a_backtest_too(self) -> None:
        """The same limits act, and the result says so."""
        script = Script(
            lambda t: t.market(ONE, "buy", "10"), *[None] * 4, lambda t: t.market(ONE, "buy", "1")
        )
        result = run(
            script,
            [quote(n, 100 - 5 * n, 100) for n in range(10)],
            '[risk]\nmax_drawdown = { USDT = "50" }\n',
        )
        assert result.latch.startswith("halted: ")
        assert (1, 1) == (result.orders, result.refused)

    def test_what_cannot_run_over_a_history_is_said(self) -> None:
        """A task of its own, a handler that waits, an instrument without rules."""

        class Task(Script):
            async def run(self) -> None:
                """Never called."""

        class Waits(Script):
            async def on_start(self) -> None:
                import trio  # noqa: PLC0415

                await trio.sleep(1)

        with pytest.raises(ConfigError, match="async def run cannot be driven by a backtest"):
            run(Task(), [quote(0, 100)])
        with pytest.raises(ConfigError, match="async def on_start cannot be driven"):
            run(Waits(), [quote(0, 100)])
        lost = Script()
        lost.instruments = (InstrumentId("BTCUSDT.sim"),)
        with pytest.raises(ConfigError, match=r'instruments."BTCUSDT.sim": missing'):
            run(lost, [quote(0, 100)])


# --- the command

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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a configuration, a strategy and a history."""
    (tmp_path / "turns.py").write_text(STRATEGY)
    write_ticks(tmp_path, 400)
    (tmp_path / "bt.toml").write_text(CONFIG + TABLES)
    return tmp_path


def write_ticks(folder: Path, count: int) -> None:
    rows = [f"{T0 + n * SECOND},{100 + n % 7},{100.1 + n % 7},9,9" for n in range(count)]
    (folder / "ticks.csv").write_text("\n".join(["ts_ns,bid,ask,bid_size,ask_size", *rows]) + "\n")


def command(folder: Path, *more: str, config: str = "bt.toml") -> Outcome:
    return CliRunner().invoke(backtest_command, [str(folder / config), *more])


class TestCommand:
    """`backtest CONFIG`."""

    def test_the_last_line_is_the_contract(self, project: Path) -> None:
        """Its keys, and money as exact text by name."""
        done = command(project, "--json")
        assert 0 == done.exit_code, done.output
        line = json.loads(done.stdout.splitlines()[-1])
        wanted = {"events", "orders", "fills", "engine_secs", "us_per_event", "positions"}
        assert wanted | {"realised_pnl", "balances"} <= line.keys()
        assert (400, 40, 40) == (line["events"], line["orders"], line["fills"])
        assert {"ETHUSDT.sim": "0"} == line["positions"]

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('path = "ticks.csv"', 'path = "none.csv"', "none.csv: no such file"),
            ('kind = "quotes"', 'kind = "quotez"', 'expected one of "quotes"'),
            ('path = "ticks.csv"', 'path = "ticks.dat"', "does not tell its format by its name"),
            ('"ticks.csv"', '"ticks.csv"\nformat = "cvs"', 'no format "cvs"; did you mean "csv"?'),
            (
                CONFIG[CONFIG.index('kind = "paper"') : CONFIG.index("[instruments")],
                'kind = "synthetic"\n',
                "cannot be simulated",
            ),
            ('[instruments."ETHUSDT.sim"]', '[instruments."X.sim"]', "missing: a backtest asks no"),
            ('tick = "0.01"', 'tick = "-1"', "tick: must be a finite number above 0"),
            ("turns.py:Turns", "turns.py:Turn", 'did you mean "Turns"?'),
        ],
    )
    def test_a_mistake_is_one_line_with_the_mend(
        self, project: Path, old: str, new: str, said: str
    ) -> None:
        """Exit code 2, and nothing on stdout."""
        (project / "bt.toml").write_text((CONFIG + TABLES).replace(old, new))
        done = command(project)
        assert 2 == done.exit_code, done.output
        assert said in done.stderr
        assert "" == done.stdout

    def test_bad_data_names_file_and_line(self, project: Path) -> None:
        """Exit code 2."""
        with (project / "ticks.csv").open("a") as file:
            file.write(f"{T0},1,2,3,4\n")
        done = command(project)
        assert 2 == done.exit_code
        assert "ticks.csv: line 402: its time" in done.stderr

    def test_a_strategy_that_fails_is_exit_code_4(self, project: Path) -> None:
        """The result is told all the same."""
        (project / "turns.py").write_text(STRATEGY.replace("self.n += 1", "self.n += 1 / 0"))
        done = command(project, "--json")
        assert 4 == done.exit_code
        assert "turns: failed: ZeroDivisionError" in done.stdout

    def test_a_grid_goes_on_where_it_was(self, project: Path) -> None:
        """A row a point; the same again runs nothing; what changed runs again."""
        grid = ["--grid", "params.every=10,20", "--grid", "venues.sim.fee_bps=0,10", "--jobs", "1"]
        report = ["--report", str(project / "out"), "--json"]
        done = command(project, *grid, *report)
        assert 0 == done.exit_code, done.output
        rows = json.loads(done.stdout.splitlines()[-1])["rows"]
        assert [(10, 0), (10, 10), (20, 0), (20, 10)] == [
            (row["params.every"], row["venues.sim.fee_bps"]) for row in rows
        ]
        assert [40, 40, 20, 20] == [row["orders"] for row in rows]
        kept = (project / "out" / "grid.jsonl").read_text()
        again = command(project, *grid, *report)
        assert "4 of 4 are done already" in again.stderr
        assert kept == (project / "out" / "grid.jsonl").read_text()
        (project / "turns.py").write_text(STRATEGY + "\n")
        command(project, *grid, *report)
        assert 8 == len((project / "out" / "grid.jsonl").read_text().splitlines())
        assert 5 == len((project / "out" / "grid.csv").read_text().splitlines())

    @pytest.mark.parametrize(
        ("grid", "said"),
        [
            ("nothing", "write KEY=V1,V2"),
            ("strategies.x.params.every=1", "no such strategy"),
            ("risk.max_open_order=1", "unknown key"),
            ("params.every=1,x", ""),
        ],
    )
    def test_a_wrong_grid(self, project: Path, grid: str, said: str) -> None:
        """A key that names nothing is told before anything runs; a point that fails is a row."""
        done = command(project, "--grid", grid, "--jobs", "1")
        assert (2 if said else 4) == done.exit_code, done.output
        assert said in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_gives_what_there_is(project: Path, signals: int) -> None:
    """The first ends the run in order, exit 0; a second one at once, exit 1, with the stacks."""
    write_ticks(project, 200)
    slow = "import time\n" + STRATEGY.replace("self.n += 1", "self.n += 1; time.sleep(0.05)")
    if signals == 2:
        slow = slow.replace("time.sleep(0.05)", "time.sleep(30 if self.n == 20 else 0.01)")
    (project / "turns.py").write_text(slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "trade_runtime", "backtest", str(project / "bt.toml"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(2.5)  # for it to be in the loop: nothing outside tells when it is
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    out, err = process.communicate(timeout=20)
    if signals == 2:
        assert 1 == process.returncode
        assert "Forced exit requested" in err
        return
    assert 0 == process.returncode, err
    line = json.loads(out.splitlines()[-1])
    assert "interrupted" == line["outcome"]
    assert 0 < line["events"] < 200
    assert "interrupted: SIGINT" in out


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


def test_the_live_path_loads_nothing_of_a_backtest() -> None:
    """The libraries of tables and reports are loaded by a backtest alone."""
    code = (
        "import sys, trade_runtime.cli.main, trade_runtime.cli.run, trade_runtime.runtime;"
        "print([m for m in ('pandas', 'numpy', 'pyarrow', 'plotly', 'empyrical', 'scipy')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_the_result_is_a_value() -> None:
    """It can be compared and changed into another, as values can."""
    result = run(Script(), [quote(0, 100)])
    assert "x" == attrs.evolve(result, runtime="x").runtime
