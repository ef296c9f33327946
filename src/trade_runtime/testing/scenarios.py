"""Scenarios: what trades in a simulated world, by name.

A scenario says which strategies run with which settings on which market; the seed says the rest. A
new one registers with `SCENARIOS[name] = Scenario(...)`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs

from trade_runtime.lifecycle.clock import VIRTUAL_EPOCH_NS
from trade_runtime.settings import Settings
from trade_runtime.strategy import Strategy
from trade_runtime.testing import marks
from trade_runtime.testing.brackets import Bracketeer
from trade_runtime.testing.market import Market, Symbol
from trade_runtime.testing.smoke import Asked, Holder, Ladder, Maker, Taker

FOLDER = tempfile.gettempdir()
"""A folder that exists; a simulated runtime leaves no file in it."""

TICK_NS = 50_000_000


@attrs.frozen
class Scenario:
    """What trades in a world.

    Attributes:
        name: by which it is asked for.
        about: a sentence.
        settings: makes the settings of one life, from the seed and the life's number.
        strategies: makes them for one life; each is to pass on every order that it asked for.
        market: makes the market, from the seed.
        balances: what the account holds at first.
        run_secs: how long the first life trades before its ordered stop, in virtual time.
        restart_secs: how long a later one does.
        settle_secs: how long a request may be under way.
        bare_secs: the bound W: how long a position may be without the stop-loss that it needs
            while a runtime lives.
        exit_secs: how long an exit of a bracket may rest for more than its entry filled and no
            other exit has sold, while a runtime lives.
        holds: what the exchange holds, where that is less than a paper venue can: its options.
        sweeps: the venue cancels all that rests in an instrument by one request.
        must_see: marks that a sweep over every step and fault has to reach.
    """

    name: str
    about: str
    settings: Callable[[int, int], Settings]
    strategies: Callable[[Asked], Sequence[Strategy]]
    market: Callable[[int], Market]
    balances: Mapping[str, Decimal]
    run_secs: float
    restart_secs: float
    settle_secs: float
    bare_secs: float
    exit_secs: float = 2.0
    holds: Mapping[str, Any] = attrs.field(factory=dict)
    sweeps: bool = False
    must_see: tuple[str, ...] = ()


LATENCY_MS = 20
DELAY_MS = 60

_SMOKE: dict[str, Any] = {
    "runtime": {"name": "smoke", "data_dir": FOLDER},
    "store": {
        "url": "memory:///journal",
        "commit_secs": 0.2,
        "snapshot_records": 30,
        "keep_records": 50,
    },
    "orders": {"ack_timeout_secs": 0.25, "reconcile_secs": 0.6},
    "protection": {"required": "all", "stop_pct": 0.5, "grace_secs": 0.25},
    "risk": {
        "max_position": {"ETHUSDT.paper": "1.6", "BTCUSDT.paper": "0.08"},
        "max_open_orders": 20,
    },
    "venues": {
        "market": {"kind": "scripted"},
        "paper": {
            "kind": "paper",
            "market_data": "market",
            "latency_ms": LATENCY_MS,
            "faults": [
                {"kind": "duplicate", "on": "event", "probability": 0.15},
                {"kind": "delay", "on": "event", "probability": 0.15, "delay_ms": DELAY_MS},
                {"kind": "drop", "on": "event", "probability": 0.08},
                {"kind": "delay", "on": "submit", "probability": 0.1, "delay_ms": DELAY_MS},
                {"kind": "delay", "on": "cancel", "probability": 0.2, "delay_ms": 2 * DELAY_MS},
                {"kind": "drop", "on": "cancel", "probability": 0.1},
            ],
        },
    },
}


_PAPER = _SMOKE["venues"]["paper"]
_BRACKET: dict[str, Any] = {
    **_SMOKE,
    "runtime": {"name": "bracket", "data_dir": FOLDER},
    "store": {"url": "memory:///journal", "commit_secs": 0.2},
    "risk": {"max_position": {"ETHUSDT.paper": "2.4"}},
    "venues": {
        **_SMOKE["venues"],
        "paper": {
            **_PAPER,
            "faults": [
                *_PAPER["faults"],
                {"kind": "delay", "on": "amend", "probability": 0.1, "delay_ms": DELAY_MS},
                {"kind": "drop", "on": "amend", "probability": 0.1},
            ],
        },
    },
}
"""The exchange of the smoke scenario, whose amends go wrong, too."""


@lru_cache(maxsize=64)
def _smoke_settings(seed: int, life: int) -> Settings:
    return _settings(_SMOKE, seed, life)


@lru_cache(maxsize=64)
def _bracket_settings(seed: int, life: int) -> Settings:
    return _settings(_BRACKET, seed, life)


def _settings(tables: Mapping[str, Any], seed: int, life: int) -> Settings:
    runtime = {**tables["runtime"], "seed": seed * 1000 + life}
    return Settings.from_mapping({**tables, "runtime": runtime}, Path())


_SMOKE_SYMBOLS = [
    Symbol("ETHUSDT", "ETH", "USDT", 2500.0, "0.01"),
    Symbol("BTCUSDT", "BTC", "USDT", 60000.0, "0.001", swing=0.006, period_ticks=44, size=0.05),
]


@lru_cache(maxsize=8)
def _smoke_market(seed: int) -> Market:
    return Market(_SMOKE_SYMBOLS, seed, tick_ns=TICK_NS, epoch_ns=VIRTUAL_EPOCH_NS)


@lru_cache(maxsize=8)
def _ladder_market(seed: int) -> Market:
    solana = Symbol("SOLUSDT", "SOL", "USDT", 150.0, "0.1", swing=0.006, period_ticks=44)
    symbols = [*_SMOKE_SYMBOLS, solana]
    return Market(symbols, seed, tick_ns=TICK_NS, epoch_ns=VIRTUAL_EPOCH_NS)


@lru_cache(maxsize=8)
def _bracket_market(seed: int) -> Market:
    ether = Symbol("ETHUSDT", "ETH", "USDT", 2500.0, "0.01", period_ticks=20)
    return Market([ether], seed, tick_ns=TICK_NS, epoch_ns=VIRTUAL_EPOCH_NS)


def _smoke_strategies(asked: Asked) -> Sequence[Strategy]:
    return [Maker(asked), Taker(asked), Holder(asked)]


_BRACKETS = Scenario(
    name="bracket",
    about="brackets whose exits rest at a venue that sees to groups itself",
    settings=_bracket_settings,
    strategies=lambda asked: [Bracketeer(asked)],
    market=_bracket_market,
    balances={"USDT": Decimal(1_000_000), "ETH": Decimal(100)},
    run_secs=2.5,
    restart_secs=2.5,
    settle_secs=(LATENCY_MS + DELAY_MS) / 1000,
    bare_secs=2.0,
    exit_secs=3.0,
    must_see=(
        marks.FILLED_IN_PARTS,
        marks.STOP_WOKE,
        marks.EXIT_FILLED,
        marks.EXIT_GREW,
        marks.EXIT_MADE_SMALLER,
        marks.EXIT_REPLACED,
        marks.FILLED_WHILE_DEAD,
    ),
)

_SMOKES = Scenario(
    name="smoke",
    about="three strategies of both styles; fills in parts, stops that wake, events that come"
    " twice, late, out of order or never",
    settings=_smoke_settings,
    strategies=_smoke_strategies,
    market=_smoke_market,
    balances={"USDT": Decimal(1_000_000), "ETH": Decimal(100), "BTC": Decimal(10)},
    run_secs=3.0,
    restart_secs=1.0,
    settle_secs=(LATENCY_MS + DELAY_MS) / 1000,
    bare_secs=2.0,
    must_see=(
        marks.FILLED_IN_PARTS,
        marks.STOP_WOKE,
        marks.STOP_PLACED_FOR_IT,
        marks.CANCEL_CROSSED,
        marks.FILL_AFTER_CANCEL,
        marks.UNKNOWN,
        marks.UNKNOWN_RESOLVED,
        marks.NEVER_ARRIVED,
        marks.FILLED_WHILE_DEAD,
        marks.POSITION_AT_STOP,
        marks.TOLD_AGAIN,
    ),
)

SCENARIOS: dict[str, Scenario] = {
    "smoke": _SMOKES,
    "smoke_cancel_all": attrs.evolve(
        _SMOKES,
        name="smoke_cancel_all",
        about="the same at a venue that cancels all of an instrument by one request",
        strategies=lambda asked: [*_smoke_strategies(asked), Ladder(asked)],
        market=_ladder_market,
        sweeps=True,
        must_see=(*_SMOKES.must_see, marks.CANCELLED_TOGETHER),
    ),
    "bracket": _BRACKETS,
    "bracket_no_groups": attrs.evolve(
        _BRACKETS,
        name="bracket_no_groups",
        exit_secs=2.0,
        about="the same at a venue that knows no groups: the runtime sees to them",
        holds={"oco": False},
    ),
}
"""Every scenario by its name."""
