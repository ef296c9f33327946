"""Bars out of trades, and of quotes: by time, by number, by volume."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import ETH, trade
from trade_runtime.machines.bars import BarBuilder, Emit, TimeBars, TradeBars
from trade_runtime.machines.volume_bars import MAX_BARS_OF_A_TRADE, VOLUME_UNITS, VolumeBars
from trade_runtime.managers.bars import make_builder
from trade_runtime.model.bars import BarPlan
from trade_runtime.model.market import Bar, Quote

SECOND = 10**9

Told = tuple[float, float, float]
"""A trade: when, in seconds, its price, its quantity."""

Make = Callable[[Emit], BarBuilder]


def bars(make: Make, *trades: Told) -> list[Bar]:
    """The bars that trades end."""
    made: list[Bar] = []
    builder = make(made.append)
    for at, price, quantity in trades:
        builder.on_trade(trade(price, quantity, ts_ns=round(at * SECOND)))
    return made


def by_time(length_secs: float = 60.0) -> Make:
    return lambda emit: TimeBars(ETH, length_secs, emit)


def by_number(size: int) -> Make:
    return lambda emit: TradeBars(ETH, size, emit)


def by_volume(size: float) -> Make:
    return lambda emit: VolumeBars(ETH, size, emit)


TRADES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 99), st.integers(0, 60).map(lambda q: q / 10))
)
"""Late ones among them, and some without volume; quantities of one decimal."""


def check_shape(made: list[Bar]) -> None:
    """Prices keep to their bounds, and times never go back."""
    assert all(b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in made)
    assert all(b.open_ns <= b.ts_ns for b in made)
    assert all(a.ts_ns <= b.open_ns for a, b in pairwise(made))


class TestByTime:
    """Fixed lengths, aligned to the epoch."""

    def test_a_bar_comes_with_the_first_trade_past_its_end(self) -> None:
        """Open, high, low, close, volume and count of one minute."""
        made = bars(by_time(), (0, 10, 1), (30, 12, 2), (59.9, 9, 1), (60, 11, 5))
        assert [Bar(ETH, 60 * SECOND, 0, 10, 12, 9, 9, 4, 3)] == made

    def test_bars_are_aligned_to_the_epoch(self) -> None:
        """A bar begins at a whole multiple of its length, not at the first trade."""
        made = bars(by_time(), (61, 10, 1), (125, 10, 1))
        assert [(60 * SECOND, 120 * SECOND)] == [(b.open_ns, b.ts_ns) for b in made]

    def test_a_stretch_without_trades_makes_no_bar(self) -> None:
        """An hour of silence ends one bar, not sixty."""
        assert 1 == len(bars(by_time(), (0, 10, 1), (3600, 10, 1)))

    def test_a_late_trade_counts_in_the_open_bar(self) -> None:
        """A trade from before the open bar neither opens nor reopens one."""
        made = bars(by_time(), (60, 10, 1), (59, 8, 1), (120, 10, 1))
        assert [Bar(ETH, 120 * SECOND, 60 * SECOND, 10, 10, 8, 8, 2, 2)] == made

    def test_bars_may_be_shorter_than_a_second(self) -> None:
        """The length is a number of seconds, not a whole one."""
        assert 2 == len(bars(by_time(0.25), (0, 1, 1), (0.25, 1, 1), (0.5, 1, 1)))

    def test_a_length_below_a_nanosecond_is_one(self) -> None:
        """It would have no length at all."""
        assert 1 == len(bars(by_time(1e-12), (0, 1, 1), (1, 1, 1)))

    def test_quotes_count_at_their_mid_without_volume(self) -> None:
        """A history of quotes alone has bars too; `trades` then counts quotes."""
        made: list[Bar] = []
        builder = TimeBars(ETH, 60.0, made.append)
        for at, bid in ((1, 10.0), (2, 14.0), (3, 12.0), (60, 1.0)):
            builder.on_quote(Quote(ETH, at * SECOND, bid, bid + 1, 5.0, 5.0))
        assert [Bar(ETH, 60 * SECOND, 0, 10.5, 14.5, 10.5, 12.5, 0.0, 3)] == made

    @given(TRADES)
    def test_no_trade_is_lost_or_counted_twice(self, trades: list[Told]) -> None:
        """Every trade is in exactly one bar, each bar is aligned, and none goes back."""
        made = bars(by_time(), *trades, (10**6, 50, 1))
        assert len(trades) == sum(b.trades for b in made)
        assert sum(q for _, _, q in trades) == pytest.approx(sum(b.volume for b in made))
        assert all(b.open_ns % (60 * SECOND) == 0 for b in made)
        assert all(b.ts_ns - b.open_ns == 60 * SECOND for b in made)
        check_shape(made)

    @given(TRADES, st.integers(1, 4))
    def test_longer_bars_are_those_of_the_shorter_ones(
        self, trades: list[Told], times: int
    ) -> None:
        """In order of time, a bar has the extremes of all shorter bars that lie in it."""
        ordered = sorted(trades, key=lambda told: told[0])
        far = (10**6, 50, 1)
        short = bars(by_time(10), *ordered, far)
        for bar in bars(by_time(10 * times), *ordered, far):
            parts = [b for b in short if bar.open_ns <= b.open_ns < bar.ts_ns]
            assert (bar.open, bar.close) == (parts[0].open, parts[-1].close)
            assert bar.high == max(b.high for b in parts)
            assert bar.low == min(b.low for b in parts)
            assert bar.trades == sum(b.trades for b in parts)


class TestByNumber:
    """So many trades a bar."""

    def test_a_bar_ends_with_its_last_trade(self) -> None:
        """It does not wait for the next one; its times are those of its first and last trade."""
        made = bars(by_number(3), (1, 10, 1), (2, 12, 2), (3, 9, 1), (4, 11, 5))
        assert [Bar(ETH, 3 * SECOND, 1 * SECOND, 10, 12, 9, 9, 4, 3)] == made

    def test_a_bar_of_one_trade(self) -> None:
        """The smallest there is."""
        made = bars(by_number(1), (1, 10, 1), (1, 11, 2))
        assert [(10, 1), (11, 2)] == [(b.close, b.volume) for b in made]

    def test_a_late_trade_moves_no_time_back(self) -> None:
        """It counts where it comes, at the time that was reached."""
        made = bars(by_number(2), (5, 10, 1), (3, 11, 1), (4, 12, 1), (2, 13, 1))
        assert [(5, 5), (5, 5)] == [(b.open_ns // SECOND, b.ts_ns // SECOND) for b in made]

    @given(TRADES, st.integers(1, 7))
    def test_no_trade_is_lost_or_counted_twice(self, trades: list[Told], size: int) -> None:
        """Every bar has its number; what is left over is shown by none."""
        made = bars(by_number(size), *trades)
        assert len(trades) // size == len(made)
        assert all(b.trades == size for b in made)
        counted = trades[: len(made) * size]
        assert sum(q for _, _, q in counted) == pytest.approx(sum(b.volume for b in made))
        check_shape(made)


class TestByVolume:
    """So much volume a bar."""

    def test_a_trade_that_overshoots_is_split(self) -> None:
        """The rest opens the next bar, at its price and time; it is counted where it begins."""
        made = bars(by_volume(10), (1, 100, 6), (2, 101, 7), (3, 99, 7))
        assert [
            Bar(ETH, 2 * SECOND, 1 * SECOND, 100, 101, 100, 101, 10, 2),
            Bar(ETH, 3 * SECOND, 2 * SECOND, 101, 101, 99, 99, 10, 1),
        ] == made

    def test_a_large_trade_makes_several_bars(self) -> None:
        """Those in the middle hold nothing but it."""
        made = bars(by_volume(2), (1, 100, 1), (2, 101, 6), (3, 102, 1))
        assert [(100, 101, 2), (101, 101, 0), (101, 101, 0), (101, 102, 1)] == [
            (b.open, b.close, b.trades) for b in made
        ]
        assert [2, 2, 2, 2] == [b.volume for b in made]

    def test_ten_tenths_are_one(self) -> None:
        """Not so in floats, where the bar would wait for an eleventh trade."""
        made = bars(by_volume(1.0), *[(at, 100, 0.1) for at in range(10)])
        assert [(1.0, 10)] == [(b.volume, b.trades) for b in made]

    def test_a_size_that_is_a_mistake_does_not_hold_up_the_runtime(self) -> None:
        """One trade makes so many bars at most, the last of which has the rest; none is lost."""
        made = bars(by_volume(1e-9), (1, 100, 2.0))
        assert MAX_BARS_OF_A_TRADE == len(made)
        assert 2.0 == pytest.approx(sum(b.volume for b in made))

    def test_a_quote_brings_no_volume(self) -> None:
        """It changes nothing."""
        made: list[Bar] = []
        VolumeBars(ETH, 1e-9, made.append).on_quote(Quote(ETH, 1, 10.0, 11.0, 5.0, 5.0))
        assert [] == made

    @given(TRADES, st.sampled_from([0.1, 0.3, 1.0, 2.5, 40.0]))
    def test_no_volume_is_lost_or_counted_twice(self, trades: list[Told], size: float) -> None:
        """Every bar has exactly its volume, and together with what is open, all there was."""
        closing = (500, 50, size)  # ends the open bar, so that all trades before it are shown
        made = bars(by_volume(size), *trades, closing)
        assert all(b.volume == size for b in made)
        units = sum(round(q * VOLUME_UNITS) for _, _, q in [*trades, closing])
        assert units // round(size * VOLUME_UNITS) == len(made)
        assert len(trades) + 1 == sum(b.trades for b in made)
        check_shape(made)

    @given(TRADES, st.sampled_from([0.5, 3.0]), st.data())
    def test_a_split_trade_makes_the_same_bars(
        self, trades: list[Told], size: float, data: st.DataObject
    ) -> None:
        """A trade told in two parts changes the count of trades, and nothing else."""
        parts: list[Told] = []
        for at, price, quantity in trades:
            first = data.draw(st.integers(0, round(quantity * 10))) / 10
            parts += [(at, price, first), (at, price, round(quantity - first, 1))]

        def shape(told: list[Told]) -> list[tuple[float, ...]]:
            made = bars(by_volume(size), *[t for t in told if t[2]])
            return [(b.ts_ns, b.open_ns, b.open, b.high, b.low, b.close, b.volume) for b in made]

        assert shape(trades) == shape(parts)


@pytest.mark.parametrize("make", [by_time(30), by_number(3), by_volume(1.5)])
@given(trades=TRADES, cut=st.integers(0, 50))
def test_the_same_bars_however_the_trades_are_cut(make: Make, trades: list[Told], cut: int) -> None:
    """A history that is read in chunks, or a stream: a builder knows only one event after the
    other, and what it shows of the first ones never depends on those that follow.
    """
    whole = bars(make, *trades)
    beginning = bars(make, *trades[:cut])
    assert beginning == whole[: len(beginning)]


@pytest.mark.parametrize(
    ("plan", "builder"),
    [
        (BarPlan(), TimeBars),
        (BarPlan("trades", 100), TradeBars),
        (BarPlan("volume", 2.5), VolumeBars),
    ],
)
def test_a_plan_has_its_builder(plan: BarPlan, builder: type[BarBuilder]) -> None:
    """One for each kind."""
    assert builder is type(make_builder(plan, ETH, lambda bar: None))
