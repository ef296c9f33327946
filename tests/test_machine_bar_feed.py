"""Ready-made bars of a history: passed on, or put together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import BTC, ETH, trade
from trade_runtime.errors import ConfigError
from trade_runtime.machines.bar_feed import BarFeed
from trade_runtime.machines.bars import TimeBars
from trade_runtime.managers.bars import StrategyBars
from trade_runtime.model.bars import BarPlan
from trade_runtime.model.ids import StrategyName
from trade_runtime.model.market import Bar

SECOND = 10**9


def bar(opens: float, length: float, price: float = 10.0, *, high: float = 0.0) -> Bar:
    """A bar that opens at and closes at a price, unless it went higher meanwhile."""
    ends, begins = round((opens + length) * SECOND), round(opens * SECOND)
    return Bar(ETH, ends, begins, price, high or price, price, price, 1.0, 2)


def fed(length: float, *given_bars: Bar) -> list[Bar]:
    made: list[Bar] = []
    feed = BarFeed(ETH, length, made.append)
    for one in given_bars:
        feed.on_bar(one)
    return made


def test_a_bar_of_the_right_length_passes_as_it_is() -> None:
    """Wherever it begins: a session need not be aligned to the epoch."""
    given_bars = [bar(60, 60), bar(7, 60), bar(150, 60)]
    assert [given_bars[0], given_bars[2]] == fed(60, *given_bars)


def test_shorter_bars_are_put_together() -> None:
    """The longer one is there with the last bar that belongs to it."""
    made = fed(180, bar(180, 60, 10), bar(240, 60, 12, high=15), bar(300, 60, 9))
    assert [Bar(ETH, 360 * SECOND, 180 * SECOND, 10, 15, 9, 9, 3.0, 6)] == made


def test_a_longer_bar_does_not_wait_for_one_that_is_missing() -> None:
    """It ends with the first bar past its end."""
    made = fed(120, bar(0, 60, 10), bar(180, 60, 11))
    assert [(0, 10), (120, 11)] == [(b.open_ns // SECOND, b.close) for b in made]


def test_what_is_told_twice_counts_once() -> None:
    """Two histories that overlap, as pages of a venue may."""
    twice = [bar(0, 60), bar(60, 60), bar(60, 60), bar(0, 60), bar(120, 60)]
    assert [0, 60, 120] == [b.open_ns // SECOND for b in fed(60, *twice)]
    assert [2.0] == [b.volume for b in fed(120, *twice)]


@pytest.mark.parametrize(
    ("given_bar", "text"),
    [
        (bar(0, 45), r"60 s is no multiple of the 45 s of the bars that the history of ETHUSDT"),
        (bar(0, 120), "60 s is no multiple of the 120 s"),
        (bar(5, 0), "60 s is no multiple of the 0 s"),
        (bar(45, 30), "60 s would split the bars .* set it to their length, 30 s"),
    ],
)
def test_bars_that_do_not_fit_are_refused_with_both_lengths(given_bar: Bar, text: str) -> None:
    """There is no right answer, and a wrong one would look like one."""
    with pytest.raises(ConfigError, match=f"^bar_secs: {text}"):
        fed(60, given_bar)


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(1, 99)), min_size=1), st.integers(1, 5))
def test_bars_put_together_are_those_that_trades_make(
    trades: list[tuple[int, int]], times: int
) -> None:
    """From trades or from shorter bars, live or fetched: the same bar."""

    def made_of_trades(length: float) -> list[Bar]:
        made: list[Bar] = []
        builder = TimeBars(ETH, length, made.append)
        for at, price in [*sorted(trades), (10**6, 1)]:
            builder.on_trade(trade(price, 1.0, ts_ns=at * SECOND))
        return made

    last = bar(10**6, 10)
    assert (
        made_of_trades(10 * times)
        == fed(10 * times, *made_of_trades(10), last)[: len(made_of_trades(10 * times))]
    )


def test_bars_that_are_not_of_time_cannot_be_fed() -> None:
    """Nobody can say where in a bar the hundredth trade was."""
    bars = StrategyBars(StrategyName("s"), [ETH], BarPlan("trades", 100), None)
    with pytest.raises(ConfigError, match=r"strategy s: bars by trades .* set bar_secs"):
        bars.feed(ETH)


def test_a_strategy_is_given_ready_made_bars_and_warms_up_on_them() -> None:
    """As a backtest over bars does it: each instrument has to have its number."""
    given_bars: list[Bar] = []
    bars = StrategyBars(StrategyName("s"), [ETH, BTC], BarPlan(warmup=1), given_bars.append)
    bars.feed(ETH).on_bar(bar(0, 60))
    assert bars.warmup.active
    assert f"of 1 bars each, the strategy has been given 0 of {BTC}" == bars.warmup.describe()
    bars.feed(BTC).on_bar(Bar(BTC, 60 * SECOND, 0, 1, 1, 1, 1, 1, 1))
    assert not bars.warmup.active
    assert [ETH, BTC] == [b.instrument for b in given_bars]
