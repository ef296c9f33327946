"""The budget of an exchange's limits: never more than it allows, and always a share for cancels."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from trade_runtime.venues.wire.budget import RESERVE, Budget, Leak, Limit, Window

STEPS = st.lists(
    st.tuples(st.floats(0, 5), st.integers(1, 10), st.booleans()), min_size=1, max_size=60
)


def test_a_window_is_full_until_it_ends() -> None:
    """What is left waits for the rest of the stretch."""
    budget = Budget([Window("orders", 10, 60)])
    for _ in range(10):
        assert budget.take({"orders": 1}, 5.0, urgent=True) == 0
    assert budget.take({"orders": 1}, 25.0, urgent=True) == 40
    assert budget.take({"orders": 1}, 65.0, urgent=True) == 0


def test_what_is_urgent_has_a_share_of_its_own() -> None:
    """Entries stop at three quarters; cancels go on."""
    budget = Budget([Window("orders", 100, 60)])
    entries = sum(budget.take({"orders": 1}, 0.0, urgent=False) == 0 for _ in range(200))
    cancels = sum(budget.take({"orders": 1}, 0.0, urgent=True) == 0 for _ in range(200))
    assert (entries, cancels) == (75, 25)


def test_the_exchange_counts_right() -> None:
    """Another program uses the same account: its requests are known by the exchange's own count."""
    window = Window("weight", 100, 60)
    budget = Budget([window])
    assert budget.take({"weight": 1}, 0.0, urgent=True) == 0
    window.told(99, 0.5)
    assert budget.take({"weight": 2}, 1.0, urgent=True) == 59


def test_the_exchanges_next_stretch_is_ours() -> None:
    """Where its count falls by much it has begun anew; by little, an answer overtook another."""
    window = Window("weight", 100, 60)
    window.told(80, 0)
    window.told(70, 1)
    assert window.wait_secs(10, 2, urgent=False) == 58
    window.told(5, 20)
    assert window.wait_secs(10, 20, urgent=False) == 0
    window.spend(70, 20)
    assert window.wait_secs(10, 30, urgent=False) == 50


def test_a_closed_budget_lets_nothing_through() -> None:
    """Not even what is urgent: it would turn a pause into a ban."""
    budget = Budget([Window("weight", 100, 60)])
    budget.close(10.0)
    assert budget.take({"weight": 1}, 4.0, urgent=True) == 6
    assert budget.take({"weight": 1}, 10.0, urgent=True) == 0


def test_what_is_larger_than_a_limit_never_goes() -> None:
    """And it is said at once."""
    budget = Budget([Leak("pair", 60, 1.0)])
    assert budget.take({"pair": 61}, 0.0, urgent=True) == math.inf


@given(STEPS, st.sampled_from(["window", "leak"]))
def test_it_never_sends_more_than_is_allowed(
    steps: list[tuple[float, int, bool]], kind: str
) -> None:
    """However requests come: in no stretch more than its capacity, by a count of its own."""
    limit: Limit = Window("x", 20, 10) if kind == "window" else Leak("x", 20, 2.0)
    budget = Budget([limit])
    now, sent = 0.0, []
    for pause, cost, urgent in steps:
        now += pause
        if budget.take({"x": cost}, now, urgent=urgent) == 0:
            sent.append((now, cost))
    if kind == "window":
        began, used = -math.inf, 0
        for at, cost in sent:
            if at >= began + 10:
                began, used = at, 0
            used += cost
            assert used <= 20
    else:
        level, at_last = 0.0, 0.0
        for at, cost in sent:
            level = max(0.0, level - (at - at_last) * 2.0) + cost
            at_last = at
            assert level <= 20 + 1e-6


@given(STEPS)
def test_the_wait_it_tells_is_enough(steps: list[tuple[float, int, bool]]) -> None:
    """Who waits for as long as was told, and is alone, gets through."""
    budget = Budget([Leak("x", 20, 2.0)])
    now = 0.0
    for pause, cost, urgent in steps:
        now += pause
        wait_secs = budget.take({"x": cost}, now, urgent=urgent)
        assert wait_secs < math.inf or cost > 20 * (1 - RESERVE)
        if 0 < wait_secs < math.inf:
            now += wait_secs + 1e-6
            assert budget.take({"x": cost}, now, urgent=urgent) == 0
