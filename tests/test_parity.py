"""A backtest and the live runtime in virtual time come to the same, to the last digit.

The same strategy objects, configuration and history; other venue, clock and journal beneath. What
the strategy was told, in which order and when, is compared, and the ledger, the fills, the account.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.parity import (
    BTC,
    BTC_ELSEWHERE,
    ETH,
    RULES,
    Anything,
    Waiting,
    agree,
    market,
    settings,
    with_books,
)


@pytest.mark.parametrize("latency_ms", [0, 0.000001, 20])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_backtest_and_the_live_runtime_agree(
    tmp_path: Path, seed: int, latency_ms: float
) -> None:
    """Orders, fills, times, positions, fees, balances: all the same, whatever the strategy does."""
    agree(settings(tmp_path, latency_ms), market(seed), partial(Anything, seed))


PLAIN = ["market", "limit", "stop_market"]


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize(
    ("venue", "sections"),
    [
        ({"queue": "back"}, {}),
        ({"oco": False}, {}),
        ({"amend": False, "oco": False}, {}),
        ({"order_types": ["market", "limit"]}, {}),
        ({"order_types": PLAIN, "oco": False}, {"protection": {"required": "all"}}),
        ({}, {"protection": {"required": "all", "stop_pct": "0.1", "grace_secs": 0.3}}),
        ({}, {"risk": {"max_open_orders": 9, "max_position": {ETH: "2", BTC: "1"}}}),
    ],
    ids=["queue", "no groups", "no amends", "no stops", "protected", "guarded", "limits"],
)
def test_whatever_the_venue_holds(
    tmp_path: Path, venue: dict[str, Any], sections: dict[str, Any], seed: int
) -> None:
    """What the runtime does in the venue's place, and of itself, is the same in both."""
    agree(settings(tmp_path, 15, venue, **sections), market(seed), partial(Anything, seed))


@pytest.mark.parametrize("latency_ms", [0, 20])
@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize(
    "venue",
    [{}, {"order_types": ["market", "limit"]}, {"amend": False}],
    ids=["held there", "held here", "no amends"],
)
def test_what_waits_alone(
    tmp_path: Path, seed: int, latency_ms: float, venue: dict[str, Any]
) -> None:
    """Stops with a limit, take-profits, dates, and amends of every number, without a bracket."""
    agree(settings(tmp_path, latency_ms, venue), market(seed), partial(Waiting, seed))


@pytest.mark.parametrize(
    "bars",
    [
        {"bar_trades": 5},
        {"bar_trades": 7, "bars": "quotes"},
        {"bar_secs": 0.25},
        {"bar_secs": 1.0, "bars": "quotes"},
        {"bar_volume": 4.0},
    ],
    ids=lambda bars: " ".join(f"{key} {value}" for key, value in bars.items()),
)
@pytest.mark.parametrize("latency_ms", [0, 20])
def test_bars(tmp_path: Path, bars: dict[str, Any], latency_ms: float) -> None:
    """A bar ends with the same event and comes before or after the same others."""
    slow = agree(settings(tmp_path, latency_ms, bars=bars), market(9), partial(Anything, 9))
    assert len([one for one in slow.told if one[0] == "bar"]) > 20


@pytest.mark.parametrize("seed", [10, 11])
def test_order_books(tmp_path: Path, seed: int) -> None:
    """Snapshots, changes, books that are crossed for a moment: each is shown, or not, in both."""
    events = with_books(market(seed), seed)
    slow = agree(settings(tmp_path, 20), events, partial(Anything, seed))
    assert len([one for one in slow.told if one[0] == "book"]) > 50


@pytest.mark.parametrize("strategy", [Anything, Waiting])
@pytest.mark.parametrize("seed", [12, 13])
def test_several_venues(tmp_path: Path, seed: int, strategy: type[Anything]) -> None:
    """Two venues with a latency and an account of their own, traded by one strategy. Bars and books
    are among it.
    """
    # A latency that no sum of the history's steps makes up: which of two venues is first in one
    # nanosecond, nobody can say of live ones.
    other = {"kind": "paper", "latency_ms": 3.456789, "fee_bps": "2", "balances": {"USDT": "9000"}}
    setup = settings(
        tmp_path,
        20,
        bars={"bar_trades": 6},
        venues={"other": other},
        instruments={BTC_ELSEWHERE: {**RULES, "base": "BTC"}},
    )
    events = with_books(market(seed, other=BTC_ELSEWHERE), seed)
    slow = agree(setup, events, partial(strategy, seed, BTC_ELSEWHERE))
    assert {"bar", "book", "fill"} <= {one[0] for one in slow.told}
