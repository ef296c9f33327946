"""Bars out of trades."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import ETH, trade
from trade_runtime.machines.bars import BarBuilder
from trade_runtime.model.market import Bar

SECOND = 10**9


def bars(*trades: tuple[float, float, float], length: float = 60.0) -> list[Bar]:
    """The bars that trades (at seconds, price, quantity) end."""
    builder = BarBuilder(ETH, length)
    made = [builder.add(trade(p, q, ts_ns=round(at * SECOND))) for at, p, q in trades]
    return [bar for bar in made if bar is not None]


def test_a_bar_comes_with_the_first_trade_past_its_end() -> None:
    """Open, high, low, close, volume and count of one minute."""
    made = bars((0, 10, 1), (30, 12, 2), (59.9, 9, 1), (60, 11, 5))
    assert [Bar(ETH, 60 * SECOND, 0, 10, 12, 9, 9, 4, 3)] == made


def test_bars_are_aligned_to_the_epoch() -> None:
    """A bar begins at a whole multiple of its length, not at the first trade."""
    made = bars((61, 10, 1), (125, 10, 1))
    assert [(60 * SECOND, 120 * SECOND)] == [(b.open_ns, b.ts_ns) for b in made]


def test_a_stretch_without_trades_makes_no_bar() -> None:
    """An hour of silence ends one bar, not sixty."""
    assert 1 == len(bars((0, 10, 1), (3600, 10, 1)))


def test_a_late_trade_counts_in_the_open_bar() -> None:
    """A trade from before the open bar neither opens nor reopens one."""
    made = bars((60, 10, 1), (59, 8, 1), (120, 10, 1))
    assert [Bar(ETH, 120 * SECOND, 60 * SECOND, 10, 10, 8, 8, 2, 2)] == made


def test_bars_may_be_shorter_than_a_second() -> None:
    """The length is a number of seconds, not a whole one."""
    assert 2 == len(bars((0, 1, 1), (0.25, 1, 1), (0.5, 1, 1), length=0.25))


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 99), st.integers(1, 9))))
def test_no_trade_is_lost_or_counted_twice(trades: list[tuple[int, int, int]]) -> None:
    """Every trade is in exactly one bar, and bars never overlap or go back."""
    far = (10**6, 50, 1)
    made = bars(*trades, far)
    assert len(trades) == sum(b.trades for b in made)
    assert sum(q for _, _, q in trades) == sum(b.volume for b in made)
    assert all(b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in made)
    assert all(a.ts_ns <= b.open_ns for a, b in pairwise(made))
