"""When things happen in a backtest: to the nanosecond, in one order, and what its two ends are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support import parity
from tests.support.backtests import ONE, SECOND, T0, Script, quote, run, settings
from trade_runtime import Fill, OrderRefused, OrderUpdate, Quote, Trade
from trade_runtime.backtest.clock import LEAD_NS
from trade_runtime.backtest.engine import RUN_OUT_EVENTS
from trade_runtime.backtest.result import Result
from trade_runtime.backtest.run import Backtest, run_backtest
from trade_runtime.errors import DataError
from trade_runtime.model.orders import Side


def at(ns: int, bid: float) -> Quote:
    """A quote so many nanoseconds after the first."""
    return Quote(ONE, T0 + ns, bid, bid + 1, 10.0, 10.0)


def buy(trader: Any) -> object:
    """Take what is offered."""
    return trader.market(ONE, "buy", "1")


def told(strategy: Script) -> list[tuple[int, str]]:
    """The fills: when, and at what price."""
    return [(fill.ts_ns - T0, f"{fill.price.normalize():f}") for fill in strategy.fills]


class TestLatency:
    """What is under way meets the market of its arrival."""

    @pytest.mark.parametrize(
        ("changes_at", "price"), [(999_999, "201"), (1_000_000, "201"), (1_000_001, "101")]
    )
    def test_to_the_nanosecond(self, changes_at: int, price: str) -> None:
        """What the market says in the nanosecond of the arrival comes before it; later is later."""
        script = Script(buy)
        events = [at(0, 100), at(changes_at, 200), at(SECOND, 300)]
        run_backtest(settings(latency_ms=1), strategies=[script], history=[events])
        assert [(1_000_000, price)] == told(script)

    def test_one_nanosecond_is_a_latency(self) -> None:
        """It is not lost in a float: the next event of the same nanosecond is seen, no other."""
        script = Script(buy)
        events = [at(0, 100), at(1, 200), at(2, 300)]
        run_backtest(settings(latency_ms=0.000001), strategies=[script], history=[events])
        assert [(1, "201")] == told(script)

    def test_strategies_start_before_the_market_opens(self) -> None:
        """A while before the first event; as in a live run nothing can be bought there yet."""

        class Early(Script):
            def on_start(self) -> None:
                self.seen.append(self.trader.now_ns())
                with pytest.raises(OrderRefused, match="stale"):
                    buy(self.trader)

        early = Early()
        run(early, [at(0, 100)])
        assert [T0 - LEAD_NS, at(0, 100)] == early.seen

    def test_a_date_ends_an_order_to_the_nanosecond(self) -> None:
        """A market that reaches it a nanosecond earlier fills it; one in that nanosecond does not,
        since dates come first.
        """
        outcomes = []
        for ns in (SECOND - 1, SECOND):
            script = Script(
                lambda t: t.limit(ONE, "buy", "1", "50", tif="gtd", expire_ns=T0 + SECOND)
            )
            run(script, [at(0, 100), at(ns, 40), at(9 * SECOND, 40)])
            outcomes.append(len(script.fills))
        assert [1, 0] == outcomes


class TestInstant:
    """Within one nanosecond."""

    def test_the_history_comes_first_then_what_was_decided(self) -> None:
        """An order of the first quote of a nanosecond meets the last one of it."""
        script = Script(buy)
        run(script, [at(0, 100), at(0, 110), at(0, 120), at(1, 130)])
        assert [(0, "121")] == told(script)

    def test_a_fill_and_its_answer_come_before_time_goes_on(self) -> None:
        """Each step of the chain is told at the time at which it happened."""

        class Chain(Script):
            def on_fill(self, fill: Fill) -> None:
                super().on_fill(fill)
                self.seen.append(("fill", self.trader.now_ns() - T0))
                if len(self.fills) < 3:
                    self.trader.market(ONE, fill.side.opposite, "1")

        chain = Chain(buy)
        run(chain, [at(0, 100), at(5, 110)])
        assert [("fill", 0)] * 3 == chain.seen[1:4]
        assert ["101", "100", "101"] == [price for _, price in told(chain)]

    def test_of_two_kinds_the_order_of_the_history_counts(self) -> None:
        """A trade and a quote of one nanosecond are told as they come, and not sorted by kind."""

        class Both(Script):
            def on_trade(self, trade: Trade) -> None:
                self.seen.append(trade)

        strategy = Both()
        events = [Trade(ONE, T0, 100.0, 1.0, Side.BUY, 1), at(0, 100), at(0, 101)]
        events.append(Trade(ONE, T0, 101.0, 1.0, Side.SELL, 2))
        run(strategy, events)
        assert events == strategy.seen

    def test_a_history_that_goes_back_is_refused(self) -> None:
        """It would be a strategy that knows the future; the places of both events are told."""
        with pytest.raises(DataError, match=rf"ETHUSDT.sim at {T0 + 3} ns comes after {T0 + 5} ns"):
            run(Script(), [at(5, 100), at(3, 100)])
        with pytest.raises(DataError, match="sort it by time"):
            run_backtest(settings(), strategies=[Script()], history=[[at(5, 100)], [at(4, 100)]])


def outcome(seed: int, chunks: list[list[Any]], latency_ms: float) -> tuple[Result, list[Any]]:
    """A backtest of a strategy that does whatever can be done."""
    strategy = parity.Anything(seed)
    setup = parity.settings(Path(), latency_ms)
    return run_backtest(setup, strategies=[strategy], history=chunks), strategy.told


@given(
    seed=st.integers(1, 1_000),
    cuts=st.lists(st.integers(0, 150), max_size=8).map(sorted),
    latency_ms=st.sampled_from([0, 0.000001, 20]),
)
@hypothesis_settings(max_examples=20)
def test_how_a_history_is_cut_changes_nothing(
    seed: int, cuts: list[int], latency_ms: float
) -> None:
    """Not a fill, a balance, nor the time of anything that a strategy was told: also where a cut
    goes through a nanosecond, or gives an empty chunk.
    """
    events = parity.market(seed, 150)
    chunks = [events[a:b] for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    whole, told_whole = outcome(seed, [events], latency_ms)
    cut, told_cut = outcome(seed, chunks, latency_ms)
    assert told_whole == told_cut
    assert (whole.fills, whole.balances, whole.samples) == (cut.fills, cut.balances, cut.samples)
    assert (whole.orders, whole.refused, whole.rejected) == (cut.orders, cut.refused, cut.rejected)


class TestEnd:
    """What the end of the history is, and a stop before it."""

    def test_what_is_under_way_arrives(self) -> None:
        """It left before the history ended, and the venue is still there."""
        script = Script(None, buy)
        events = [at(0, 100), at(5, 110)]
        result = run_backtest(settings(latency_ms=20), strategies=[script], history=[events])
        assert [(20_000_005, "111")] == told(script)
        assert 1 == result.positions[ONE]
        assert T0 + 20_000_005 == result.ended_ns

    def test_a_date_before_that_comes(self) -> None:
        """Of an order that waits here: it ends at its date, and not with all others at the end."""

        class Told(Script):
            def on_order(self, event: OrderUpdate) -> None:
                if event.kind == "dropped":
                    self.seen.append((event.reason, event.ts_ns - T0))

        script = Told(
            lambda t: t.stop(ONE, "buy", "1", "900", tif="gtd", expire_ns=T0 + 15_000_000),
            buy,
        )
        plain = parity.settings(Path(), 20, {"order_types": ["market", "limit"]})
        run_backtest(plain, strategies=[script], history=[[at(0, 100), at(5, 110)]])
        assert ("cancelled before it was sent: its date has come", 15_000_000) in script.seen

    def test_a_date_beyond_the_end_does_not_come(self) -> None:
        """The order is cancelled, and the result ends with the history and not a month later."""
        far_ns = T0 + 30 * 86_400 * SECOND
        script = Script(lambda t: t.limit(ONE, "buy", "1", "50", tif="gtd", expire_ns=far_ns))
        result = run(script, [at(0, 100), at(SECOND, 110)])
        assert T0 + SECOND == result.ended_ns == result.samples[-1].ts_ns

    @pytest.mark.parametrize("latency_ms", [0, 1])
    def test_a_strategy_that_never_gives_up_does_not_keep_it_from_ending(
        self, latency_ms: float
    ) -> None:
        """One that places again whatever ends unfilled would go on for ever in a market that no
        longer moves.
        """

        class Stubborn(Script):
            tries = 0

            def on_order(self, event: OrderUpdate) -> None:
                if event.order.ended and (self.tries or len(self.seen) == 2):
                    self.again()

            def again(self) -> None:
                self.tries += 1
                self.trader.limit(ONE, "buy", "1", "50", tif="fok")

        stubborn = Stubborn()
        stubborn.steps = [None, lambda trader: stubborn.again()]
        setup = settings(latency_ms=latency_ms)
        result = run_backtest(setup, strategies=[stubborn], history=[[at(0, 100), at(5, 110)]])
        assert "complete" == result.outcome
        assert RUN_OUT_EVENTS <= stubborn.tries <= RUN_OUT_EVENTS + 2

    def test_what_rests_is_cancelled_and_on_stop_may_place_nothing(self) -> None:
        """As at a stop of a live run: halted, told, cancelled."""

        class Last(Script):
            def on_stop(self, reason: str) -> None:
                self.seen.append(reason)
                buy(self.trader)

        strategy = Last(lambda t: t.limit(ONE, "buy", "1", "50"))
        backtest = Backtest(settings(), strategies=[strategy], history=[[at(0, 100)]])
        result = backtest.run()
        assert "the history ended" == strategy.seen[-1]
        assert (1, 1, []) == (result.orders, result.refused, strategy.fills)
        assert not backtest.journal.trading.orders

    @pytest.mark.parametrize("when", ["before", "on_start", "on_quote"])
    def test_a_stop_comes_at_any_moment(self, when: str) -> None:
        """Before the run, while strategies start, or within: there is always a result, and
        `on_stop` after `on_start`.
        """
        calls: list[str] = []
        made: list[Backtest] = []

        def reached(name: str) -> None:
            calls.append(name)
            if name == when:
                made[0].stop("enough")

        class Told(Script):
            def on_start(self) -> None:
                reached("on_start")

            def on_quote(self, quote: Quote) -> None:
                reached("on_quote")

            def on_stop(self, reason: str) -> None:
                calls.append(reason)

        history = [[quote(n, 100) for n in range(9)]]
        made.append(Backtest(settings(), strategies=[Told()], history=history))
        reached("before")
        result = made[0].run()
        assert ("interrupted", "enough") == (result.outcome, result.reason)
        quotes = ["on_quote"] * (when == "on_quote")
        assert ["before", "on_start", *quotes, "enough"] == calls
        assert len(quotes) == result.events
