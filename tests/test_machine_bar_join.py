"""Where fetched history and live bars meet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import ETH
from trade_runtime.machines import bar_join
from trade_runtime.machines.bar_join import BarJoin
from trade_runtime.model.market import Bar


def bar(number: int, close: float = 1.0) -> Bar:
    """The bar from `number` to the next, in a time of its own."""
    return Bar(ETH, number + 1, number, 1.0, 1.0, 1.0, close, 1.0, 1)


class Joined:
    """A join, what came out of it, and the gaps it told of."""

    def __init__(self, known: int) -> None:
        self.out: list[Bar] = []
        self.gaps: list[BarJoin] = []
        self.join = BarJoin(ETH, known, self.out.append, self.gaps.append)

    @property
    def numbers(self) -> list[int]:
        return [b.open_ns for b in self.out]


def test_the_half_bar_is_thrown_away_and_fetched_whole() -> None:
    """History ends at 5; the stream begins somewhere in 7. Bars 5 to 7 are asked for."""
    joined = Joined(5)
    joined.join.on_bar(bar(7, close=0.5))
    assert ([joined.join], 5, 8) == (joined.gaps, joined.join.known_ns, joined.join.missing_ns)
    assert joined.join.fill([bar(4), bar(5), bar(6), bar(7, close=2.0), bar(8, close=9.0)])
    joined.join.on_bar(bar(8))
    assert [bar(5), bar(6), bar(7, close=2.0), bar(8)] == joined.out


def test_live_bars_wait_for_the_missing_ones() -> None:
    """The answer takes its time; nothing comes out of order meanwhile."""
    joined = Joined(5)
    for number in (5, 6, 7):
        joined.join.on_bar(bar(number))
    assert [] == joined.out
    joined.join.fill([bar(5)])
    joined.join.on_bar(bar(8))
    assert [5, 6, 7, 8] == joined.numbers


def test_an_answer_that_comes_too_early_is_asked_for_again() -> None:
    """The venue has part of it only: that goes out, the rest is still missing."""
    joined = Joined(5)
    joined.join.on_bar(bar(6))
    assert not joined.join.fill([bar(5)])
    assert not joined.join.fill([bar(5)])
    joined.join.on_bar(bar(7))
    assert [5] == joined.numbers
    assert joined.join.fill([bar(5), bar(6)])
    assert [5, 6, 7] == joined.numbers


def test_a_history_that_reaches_beyond_the_first_live_bar_leaves_no_gap() -> None:
    """A feed that lags, or a recording that begins anew: what history told is not repeated."""
    joined = Joined(8)
    for number in (6, 7, 8):
        joined.join.on_bar(bar(number))
    assert ([], [8]) == (joined.gaps, joined.numbers)


def test_what_stays_missing_is_given_up() -> None:
    """Live bars go on, and the half one is not among them."""
    joined = Joined(5)
    for number in (5, 6):
        joined.join.on_bar(bar(number))
    joined.join.give_up()
    joined.join.on_bar(bar(7))
    assert [6, 7] == joined.numbers


def test_no_more_than_so_many_bars_are_held() -> None:
    """An answer that never comes must not fill the memory."""
    joined = Joined(5)
    for number in range(5, 5 + bar_join.MAX_HELD + 3):
        joined.join.on_bar(bar(number))
    assert joined.join.joined
    assert list(range(6, 5 + bar_join.MAX_HELD + 3)) == joined.numbers


@given(
    known=st.integers(1, 20),
    first=st.integers(0, 25),
    quiet=st.sets(st.integers(0, 40)),
    asked_at=st.integers(0, 15),
    lag=st.integers(0, 3),
)
def test_no_gap_and_no_repeat(
    known: int, first: int, quiet: set[int], asked_at: int, lag: int
) -> None:
    """Whenever the stream begins, whichever bars had no trades, however late the venue answers:
    every bar with trades goes out once, in order.
    """
    traded = [number for number in range(41) if number not in quiet]
    before = [number for number in traded if number < known]
    if not before:
        return
    joined = Joined(before[-1] + 1)
    live = [number for number in traded if number >= first]
    for step, number in enumerate(live):
        joined.join.on_bar(bar(number, close=0.5 if step == 0 else 1.0))
        if joined.gaps and not joined.join.joined and step >= asked_at:
            joined.join.fill([bar(n) for n in traded if n <= number - lag])
    if joined.join.joined:
        assert [n for n in traded if n > before[-1]] == joined.numbers
    assert all(b.close == 1.0 for b in joined.out), "a half bar went out"
