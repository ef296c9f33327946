"""What comes out of a backtest, and what cannot be run over a history."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from tests.support.backtests import ONE, SECOND, T0, Script, quote, run, settings
from trade_runtime import ConfigError, Fill, Quote
from trade_runtime.backtest.engine import EndlessInstant
from trade_runtime.backtest.run import Backtest, run_backtest
from trade_runtime.errors import DataError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar


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

    def test_it_runs_once(self) -> None:
        """Its strategies are where they ended: a second run would be of something else."""
        backtest = Backtest(settings(), strategies=[Script()], history=[[quote(0, 100)]])
        assert 1 == backtest.run().events
        with pytest.raises(ConfigError, match=r"has run already.* make another"):
            backtest.run()

    @pytest.mark.parametrize("instrument", ["ETHUSD.sim", "ETHUSDT.binance"])
    def test_an_instrument_that_nobody_knows_is_named(self, instrument: str) -> None:
        """With the mend, whether its venue is known or not."""
        stranger = Quote(InstrumentId(instrument), T0 + SECOND, 1.0, 2.0, 3.0, 4.0)
        known = rf'tells of "{instrument}", .* did you mean "ETHUSDT\.sim".*\[instruments\."ETH'
        with pytest.raises(DataError, match=known):
            run(Script(), [quote(0, 100), stranger])

    def test_bars_that_no_table_tells_of_are_named(self) -> None:
        """Without the table the venue would not match against them."""
        bar = Bar(ONE, T0 + SECOND, T0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)
        with pytest.raises(DataError, match=r'bars of "ETHUSDT.sim".* kind = "bars"'):
            run(Script(), [quote(0, 100), bar])

    def test_events_without_chunks_are_refused(self) -> None:
        """In one line, with what to pass instead."""
        events: Any = [quote(0, 100), quote(1, 100)]
        with pytest.raises(ConfigError, match=r"pass history=\[events\]"):
            run_backtest(settings(), strategies=[Script()], history=events)

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

    def test_a_strategy_that_answers_itself_for_ever_is_stopped(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without latency, an order for each fill never lets time go on: it is said."""

        class Loop(Script):
            def on_fill(self, fill: Fill) -> None:
                self.trader.market(ONE, fill.side.opposite, "0.001")

        monkeypatch.setattr("trade_runtime.backtest.engine.SETTLE_EVENTS", 1_000)
        with pytest.raises(EndlessInstant, match="give the venue a latency_ms"):
            run(
                Loop(lambda t: t.market(ONE, "buy", "0.001")),
                [quote(0, 100, 1e6), quote(1, 100, 1e6)],
            )

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


def test_the_result_is_a_value() -> None:
    """It can be compared and changed into another, as values can."""
    result = run(Script(), [quote(0, 100)])
    assert "x" == attrs.evolve(result, runtime="x").runtime
