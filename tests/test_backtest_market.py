"""What stands for the market: quotes, or trades, or bars; of one venue or of several.

A bar is known when it is over. Orders may fill within it, at prices that it had; a strategy hears
of neither before its end.
"""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.backtests import ONE, SECOND, T0, Script, run, settings
from trade_runtime import Bar, ConfigError, Order, OrderBook, OrderRefused, Quote, Strategy, Trade
from trade_runtime.backtest.run import Backtest, run_backtest
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.market import BookLevels
from trade_runtime.model.orders import Side

MINUTE = 60 * SECOND
OPEN = T0 + 100 * SECOND
"""When the first bar opens: at a whole number of five minutes."""


def data(kind: str, instrument: str = ONE) -> str:
    """The table of a history, which the test hands over itself."""
    return f'[[backtest.data]]\ninstrument = "{instrument}"\nkind = "{kind}"\npath = "unused"\n'


def plan(**keys: Any) -> str:
    """The table of the strategy."""
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    table = f'[[strategies]]\nname = "script"\nclass = "x:y"\ninstruments = ["{ONE}"]\n'
    return table + more


def bar(number: int, open_: float, high: float, low: float, close: float, volume: float) -> Bar:
    """The bar of a minute."""
    ends = OPEN + number * MINUTE
    return Bar(ONE, ends, ends - MINUTE, open_, high, low, close, volume, 4)


class Bars(Script):
    """Notes each bar, when it came, and how many fills there were by then; acts by its steps."""

    def on_bar(self, bar: Bar) -> None:
        self.seen.append((bar.close, self.trader.now_ns() - OPEN, len(self.fills)))
        step = self.steps.pop(0) if self.steps else None
        if step is not None:
            step(self.trader)


class TestBars:
    """A history of nothing but bars."""

    def test_what_a_bar_tells_is_known_at_its_end(self) -> None:
        """A resting order fills inside a bar; the strategy hears of both when the bar is over."""
        strategy = Bars(lambda t: t.limit(ONE, "buy", "1", "95"))
        bars = [bar(1, 100, 101, 98, 99, 40), bar(2, 99, 100, 94, 97, 40)]
        run(strategy, bars, data("bars") + plan(bar_secs=60))
        assert [(99, MINUTE, 0), (97, 2 * MINUTE, 1)] == strategy.seen
        assert [(Decimal(95), True, OPEN + 2 * MINUTE)] == [
            (fill.price, fill.maker, fill.ts_ns) for fill in strategy.fills
        ]

    @pytest.mark.parametrize(("volume", "filled"), [(40, ["5"]), (8, ["2", "2"]), (0, [])])
    def test_no_more_fills_than_the_bar_had(self, volume: float, filled: list[str]) -> None:
        """Each of its four prices has a quarter of its volume; nothing fills where there is
        none.
        """
        strategy = Bars(lambda t: t.limit(ONE, "buy", "5", "95"))
        bars = [bar(1, 100, 101, 98, 99, 40), bar(2, 95, 100, 95, 100, volume)]
        run(strategy, bars, data("bars") + plan(bar_secs=60))
        assert filled == [f"{fill.quantity.normalize():f}" for fill in strategy.fills]

    @pytest.mark.parametrize(
        ("close", "order"), [(101, ["buy", "sell"]), (99, ["sell", "buy"])], ids=["up", "down"]
    )
    def test_a_rising_bar_is_at_its_low_first(self, close: float, order: list[str]) -> None:
        """And a falling one at its high: which of two orders fills first is no accident."""

        def both(trader: Any) -> None:
            trader.limit(ONE, "buy", "1", "91")
            trader.limit(ONE, "sell", "1", "109")

        strategy = Bars(both)
        bars = [bar(1, 100, 101, 99, 100, 40), bar(2, 100, 110, 90, close, 40)]
        run(strategy, bars, data("bars") + plan(bar_secs=60))
        assert order == [str(fill.side) for fill in strategy.fills]

    @given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 59_000.0]))
    @hypothesis_settings(max_examples=40)
    def test_fills_are_never_better_than_the_market_was(self, seed: int, latency_ms: float) -> None:
        """Whatever is ordered: no cheaper than the bar's low and no dearer than its high, never
        before an order could arrive, and never more than the bar's volume.
        """
        rng = random.Random(seed)
        bars, price = [], 100.0
        for number in range(1, 12):
            prices = [price, *(round(price + rng.uniform(-3, 3), 2) for _ in range(3))]
            price = prices[-1]
            bars.append(bar(number, prices[0], max(prices), min(prices), price, rng.randint(0, 9)))

        def order(trader: Any) -> None:
            side = rng.choice(("buy", "sell"))
            quantity = Decimal(rng.randint(1, 4_000)) / 1_000
            if rng.random() < 0.3:
                placed.append(trader.market(ONE, side, quantity))
            else:
                limit = round(price + rng.uniform(-6, 6), 2)
                placed.append(trader.limit(ONE, side, quantity, limit))
            sent_ns[placed[-1].id] = trader.now_ns()

        placed: list[Order] = []
        sent_ns: dict[str, int] = {}
        strategy = Bars(*[order] * 11)
        setup = settings(data("bars") + plan(bar_secs=60), latency_ms=latency_ms)
        result = run_backtest(setup, strategies=[strategy], history=[bars])
        filled = dict.fromkeys(bars, Decimal(0))
        for booked in result.fills:
            fill = booked.fill
            # What arrives between two bars meets the last price of the one before.
            met = [one for one in bars if one.ts_ns <= fill.ts_ns][-1]
            filled[met] += fill.quantity
            assert fill.ts_ns >= sent_ns[fill.client_order_id] + round(latency_ms * 1e6)
            if fill.side is Side.BUY:
                assert float(fill.price) >= met.low
            else:
                assert float(fill.price) <= met.high
        # What is bought and what is sold each has the whole volume.
        assert [] == [one for one, total in filled.items() if float(total) > 2 * one.volume]

    def test_longer_bars_are_made_of_those_there_are(self) -> None:
        """And come when the last of them is over."""
        strategy = Bars()
        bars = [bar(n, 100, 100 + n, 99, 100, 1) for n in range(1, 12)]
        run(strategy, bars, data("bars") + plan(bar_secs=300))
        ends = [ns for _, ns, _ in strategy.seen]
        assert [0] == [ns % (300 * SECOND) for ns in ends[:1]]
        assert {300 * SECOND} == {b - a for a, b in pairwise(ends)}

    def test_bars_of_volume_are_not_made_of_bars(self) -> None:
        """It is said, with what to write instead."""
        with pytest.raises(
            ConfigError, match=r"the history of ETHUSDT\.sim has bars; set bar_secs"
        ):
            run(Bars(), [bar(1, 1, 1, 1, 1, 1)], data("bars") + plan(bar_volume=5))


class TestTrades:
    """A history of trades, with quotes or without."""

    def test_trades_alone_are_a_market(self) -> None:
        """Where a history has no quotes, each trade is one: of its price and size."""

        class Buys(Script):
            def on_trade(self, trade: Trade) -> None:
                if len(self.seen) == 1:
                    self.trader.market(ONE, "buy", "2")
                self.seen.append(trade)

        strategy = Buys()
        events = [Trade(ONE, T0 + n, 100.0 + n, 1.5, Side.BUY, n) for n in range(4)]
        run(strategy, events, data("trades"))
        assert [("1.5", "101"), ("0.5", "102")] == [
            (f"{f.quantity.normalize()}", f"{f.price.normalize()}") for f in strategy.fills
        ]

    @pytest.mark.parametrize("kinds", [("trades",), ("quotes", "trades")], ids="+".join)
    def test_every_trade_is_told_whatever_its_id(self, kinds: tuple[str, ...]) -> None:
        """Two files without ids each count from 1: the second was left out without a word once."""

        class Counts(Script):
            def on_trade(self, trade: Trade) -> None:
                self.seen.append(trade)

        strategy = Counts()
        events = [Trade(ONE, T0 + n, 100.0, 1.5, Side.BUY, n % 5 + 1) for n in range(10)]
        result = run(strategy, events, "".join(map(data, kinds)))
        assert events == strategy.seen
        assert 10 == result.events

    def test_every_change_of_a_book_is_told_whatever_its_id(self) -> None:
        """As of trades: the second day's book begins anew, and so do its numbers."""

        class Watches(Script):
            def on_book(self, book: OrderBook) -> None:
                self.seen.append((book.best_bid, book.update_id))

        strategy = Watches()
        events = [
            BookLevels(
                ONE,
                T0 + n,
                n % 3 + 1,
                ((Decimal(90 + n), Decimal(1)),),
                ((Decimal(200), Decimal(1)),),
                n % 3 == 0,
            )
            for n in range(6)
        ]
        run(strategy, events, data("book"))
        assert [((90 + n, 1), n % 3 + 1) for n in range(6)] == strategy.seen

    def test_beside_quotes_a_trade_fills_what_it_reaches(self) -> None:
        """A bid at a price that was traded below is filled, though the quotes never came there."""
        script = Script(lambda t: t.limit(ONE, "buy", "1", "95"))
        still = [Quote(ONE, T0 + n * SECOND, 99.0, 100.0, 5.0, 5.0) for n in range(3)]
        trade = Trade(ONE, T0 + SECOND // 2, 94.0, 5.0, Side.SELL, 1)
        run(script, [still[0], trade, *still[1:]], data("quotes") + data("trades"))
        assert [(Decimal(95), True)] == [(fill.price, fill.maker) for fill in script.fills]


FAR = InstrumentId("BTCUSDC.far")

TWO_VENUES = f"""
[venues.far]
kind = "paper"
latency_ms = 500
fee_bps = 0
balances = {{ USDC = "1000000", BTC = "1" }}
[instruments."{FAR}"]
tick = "0.1"
lot = "0.0001"
base = "BTC"
quote = "USDC"
"""


class TestTwoVenues:
    """Two instruments at two venues, one strategy."""

    def test_each_with_its_own_latency_fees_and_account(self) -> None:
        """What is ordered at once arrives at each when it is there; nothing is mixed up."""

        class Both(Strategy):
            def on_quote(self, quote: Quote) -> None:
                if quote.ts_ns == T0 and quote.instrument == FAR:
                    self.trader.market(ONE, "buy", "2")
                    self.trader.market(FAR, "buy", "0.5")

        events = [
            Quote(one, T0 + n * SECOND // 4, bid + n, bid + n + 1, 9.0, 9.0)
            for n in range(9)
            for one, bid in ((ONE, 100.0), (FAR, 60_000.0))
        ]
        result = run_backtest(
            settings(TWO_VENUES), strategies=[Both("both", [ONE, FAR])], history=[events]
        )
        assert [(ONE, 0, "101"), (FAR, SECOND // 2, "60003")] == [
            (b.fill.instrument, b.fill.ts_ns - T0, f"{b.fill.price.normalize():f}")
            for b in result.fills
        ]
        assert {ONE: 2, FAR: Decimal("0.5")} == dict(result.positions)
        usdt, usdc = Currency("USDT"), Currency("USDC")
        assert {usdt: Decimal("0.202"), usdc: 0} == {usdc: 0, **result.fees}
        assert Decimal(100000) - 202 - Decimal("0.202") == result.balances[usdt]
        assert Decimal(1000000) - Decimal("30001.5") == result.balances[usdc]
        assert {usdt, usdc} == result.realised_pnl.keys() == result.unrealised_pnl.keys()
        # Marked at the middle of the last quotes: 108.5 and 60,008.5.
        assert {usdt: 15, usdc: Decimal("2.75")} == dict(result.unrealised_pnl)


class TestWarmUp:
    """Bars before a strategy may trade."""

    @pytest.mark.parametrize("ready_made", [False, True], ids=["of trades", "ready-made"])
    def test_entries_are_refused_until_there_are_enough(self, ready_made: bool) -> None:
        """Within the call of the last bar too; from the next on they are taken."""

        class Warm(Script):
            def on_bar(self, bar: Bar) -> None:
                try:
                    self.trader.limit(ONE, "buy", "0.1", "50")
                    self.seen.append((self.trader.warming_up, "taken"))
                except OrderRefused as refused:
                    self.seen.append((self.trader.warming_up, refused.reason))

        strategy = Warm()
        events: list[Any] = [bar(n, 100, 101, 99, 100, 5) for n in range(1, 6)]
        if not ready_made:
            events = [Trade(ONE, T0 + n * MINUTE, 100.0, 1.0, Side.BUY, n) for n in range(1, 7)]
        kind = "bars" if ready_made else "trades"
        backtest = Backtest(
            settings(data(kind) + plan(bar_secs=60, warmup_bars=3)),
            strategies=[strategy],
            history=[events],
        )
        backtest.run()
        assert [(True, "warmup")] * 3 == strategy.seen[:3]
        assert {(False, "taken")} == set(strategy.seen[3:])
