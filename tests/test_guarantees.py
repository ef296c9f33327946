"""Promises of the runtime as a whole that no layer can keep alone, in virtual time.

`docs/explanation/guarantees.md` names the test of each guarantee; these are those that no other
file has.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from trade_runtime import (
    Fill,
    OrderRefused,
    OrderUpdate,
    Quote,
    Settings,
    StopReport,
    Strategy,
    open_runtime,
)
from trade_runtime.lifecycle.clock import TrioClock

SYMBOL = "ETHUSDT.paper"

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "guarantees.md"


def settings(folder: Path, **tables: Any) -> Settings:
    """A synthetic market and a paper venue that holds enough of both currencies."""
    return Settings.from_mapping(
        {
            "runtime": {"data_dir": str(folder), "seed": 1},
            "store": {"url": "memory:///guarantees"},
            "venues": {
                "sim": {"kind": "synthetic", "seed": 1},
                "paper": {
                    "kind": "paper",
                    "market_data": "sim",
                    "balances": {"USDT": "100000", "ETH": "10"},
                },
            },
            **tables,
        }
    )


class BuyOnce(Strategy):
    """Buys at the first quote, and never places a stop."""

    def on_start(self) -> None:
        self.quotes = 0

    def on_quote(self, quote: Quote) -> None:
        self.quotes += 1
        if self.quotes == 1:
            self.trader.market(quote.instrument, "buy", "1")
            self.trader.limit(quote.instrument, "buy", "1", "1000")


class Fails(BuyOnce):
    """Buys, and then has a defect."""

    def on_quote(self, quote: Quote) -> None:
        super().on_quote(quote)
        if self.quotes == 20:
            raise LookupError("a defect")


async def run(config: Settings, *strategies: Strategy, secs: float = 10) -> StopReport:
    """Run for a while and return the report."""
    async with open_runtime(config, strategies=strategies, clock=TrioClock()) as runtime:
        await trio.sleep(secs)
    assert runtime.report is not None
    return runtime.report


async def test_a_position_that_cannot_be_protected_is_told(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Without a price to place the stop at: exit code 3, the stage says why, and it does not wait
    for what cannot come.
    """
    report = await run(settings(tmp_path), BuyOnce("buyer", [SYMBOL]))
    assert (3, "incomplete") == (report.exit_code, report.outcome)
    (position,) = report.positions
    assert position["protected"] is False
    (protect,) = (stage for stage in report.stages if stage.name == "protect")
    assert "failed" == protect.outcome
    assert "no stop_pct is configured" in protect.detail
    assert report.duration_secs < 1
    assert [] == report.orders["left_open"]


async def test_a_failing_strategy_is_stopped_alone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Its entries go, its position is protected, the other goes on, and the stop is clean."""
    other, failing = BuyOnce("other", [SYMBOL]), Fails("failing", [SYMBOL])
    config = settings(tmp_path, protection={"stop_pct": 2})
    async with open_runtime(config, strategies=[failing, other], clock=TrioClock()) as runtime:
        await trio.sleep(10)
        assert not runtime.stop_requested
        assert 20 == failing.quotes < other.quotes
        assert [True] == [order.spec.protective for order in failing.trader.open_orders()]
        assert 2 == len(other.trader.open_orders())
        with pytest.raises(OrderRefused, match="is stopped"):
            failing.trader.market(SYMBOL, "buy", "1")
    report = runtime.report
    assert report is not None
    assert (0, "clean") == (report.exit_code, report.outcome)
    assert {"failing": "failed", "other": "stopped"} == {
        one["name"]: one["outcome"] for one in report.strategies
    }
    assert [True, True] == [position["protected"] for position in report.positions]


class Watched(BuyOnce):
    """Notes when it was filled, and when a stop-loss rested at the venue."""

    def on_fill(self, fill: Fill) -> None:
        self.filled_at = trio.current_time()

    def on_order(self, event: OrderUpdate) -> None:
        if event.order.spec.protective and event.kind == "accepted":
            self.covered_at = trio.current_time()


@pytest.mark.parametrize("grace_secs", [0.1, 1.0])
async def test_a_bare_position_is_covered_within_the_bound(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, grace_secs: float
) -> None:
    """The documented W: the grace, the guard's interval, the commit and the latency."""
    guard_secs, latency_secs = 0.25, 0.02
    config = settings(tmp_path, protection={"stop_pct": 2, "grace_secs": grace_secs})
    buyer = Watched("buyer", [SYMBOL])
    await run(config, buyer, secs=5)
    bare_secs = buyer.covered_at - buyer.filled_at
    assert grace_secs <= bare_secs <= grace_secs + guard_secs + latency_secs + 0.001


async def test_after_the_halt_nothing_new_leaves(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """In `on_stop` an entry is refused, and a stop-loss for what is open is taken."""

    class LastWords(BuyOnce):
        refused = ""

        async def on_stop(self, reason: str) -> None:
            with pytest.raises(OrderRefused) as caught:
                self.trader.market(SYMBOL, "buy", "1")
            self.refused = caught.value.reason
            self.trader.stop_loss(SYMBOL, "sell", "1", Decimal(1500))
            await trio.sleep(0.1)

    strategy = LastWords("last", [SYMBOL])
    report = await run(settings(tmp_path), strategy, secs=0.5)
    assert "halted" == strategy.refused
    assert (0, "clean") == (report.exit_code, report.outcome)
    assert [True] == [position["protected"] for position in report.positions]


def test_each_guarantee_has_a_number_of_its_own() -> None:
    """Down the page they are 1, 2, 3, ...: a number that is named elsewhere means one of them."""
    numbers = re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert list(range(1, len(numbers) + 1)) == [int(number) for number in numbers]
    assert len(numbers) > 50
