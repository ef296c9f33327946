"""Nothing is kept for an order that is over, nor for a reader that nobody reads any more.

The benchmark of growth shows it at a hundred thousand orders; these find what is kept by counting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from trade_runtime import Strategy, open_runtime
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.machines.order import OrderUpdate
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.market import Quote
from trade_runtime.runtime import Runtime
from trade_runtime.settings import Settings

ETH = "ETHUSDT.paper"


class Busy(Strategy):
    """Buys, sells, and rests and cancels in turn, one order a quote."""

    placed = 0
    most = 0

    def on_quote(self, quote: Quote) -> None:
        """Place the next order, until there are enough."""
        if self.placed == self.most:
            return
        self.placed += 1
        if self.placed % 3 == 0:
            self.trader.limit(ETH, "buy", "0.1", "1000")
        else:
            self.trader.market(ETH, "buy" if self.placed % 3 == 1 else "sell", "0.1")

    def on_order(self, event: OrderUpdate) -> None:
        """Cancel what rests."""
        if event.kind == "accepted" and event.order.price is not None:
            self.trader.cancel(event.order)


class Leaver(Strategy):
    """Begins to read and leaves off, over and over."""

    seen = 0

    async def run(self) -> None:
        """Read one quote at a time, each with a reader of its own."""
        while True:
            async for _ in self.trader.quotes(ETH):
                break
            self.trader.order_events()
            self.seen += 1


def settings(data_dir: Path) -> Settings:
    return Settings.from_mapping(
        {
            "runtime": {"name": "growth", "data_dir": str(data_dir), "seed": 1},
            "venues": {
                "sim": {"kind": "synthetic", "seed": 1, "quotes_per_sec": 50},
                "paper": {
                    "kind": "paper",
                    "market_data": "sim",
                    "balances": {"USDT": "1000000", "ETH": "10"},
                },
            },
            "protection": {"stop_pct": 5.0},
        }
    )


def parts(thing: Any) -> Iterator[Any]:
    """What an object of ours, or a container, holds."""
    if isinstance(thing, dict):
        yield from thing.keys()
        yield from thing.values()
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        yield from thing
    elif type(thing).__module__.startswith("trade_runtime"):
        yield from getattr(thing, "__dict__", {}).values()
        for cls in type(thing).__mro__:
            names = getattr(cls, "__slots__", ())
            yield from (getattr(thing, name) for name in names if hasattr(thing, name))


def weight(*roots: Any) -> int:
    """How many entries all containers have that can be reached through objects of ours."""
    seen: set[int] = set()
    rest, entries = list(roots), 0
    while rest:
        thing = rest.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | list | set | deque):
            entries += len(thing)
        rest.extend(parts(thing))
    return entries


def runtime_weight(runtime: Runtime) -> int:
    return weight(runtime.trading, runtime.state, runtime.prices, runtime.venues, runtime.hosts)


def test_nothing_is_kept_for_orders_that_are_over(tmp_path: Path) -> None:
    """Ten times as many orders, and every container of the runtime has as many entries."""
    weights = []
    busy = Busy("busy", [ETH])

    async def main() -> None:
        async with open_runtime(settings(tmp_path), strategies=[busy], clock=TrioClock()) as made:
            for busy.most in (30, 300):
                with trio.fail_after(100):
                    while busy.placed < busy.most:  # noqa: ASYNC110 - a quote places it
                        await trio.sleep(0.1)
                await trio.sleep(10)
                weights.append(runtime_weight(made))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert 300 == busy.placed
    assert 0 < weights[1] <= weights[0]


def test_a_reader_that_was_left_is_forgotten(tmp_path: Path) -> None:
    """A loop over quotes that was left costs nothing afterwards, and fails no strategy."""
    leaver = Leaver("leaver", [ETH])

    async def main() -> None:
        async with open_runtime(settings(tmp_path), strategies=[leaver], clock=TrioClock()):
            await trio.sleep(5)
            assert len(leaver.trader.quote_readers[leaver.instruments[0]]) <= 1
            assert [] == leaver.trader.order_readers

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert leaver.seen > 100


@pytest.mark.parametrize("kept", [[1], {1: 2}, {3}, deque([4])])
def test_the_weight_can_fail(kept: Any) -> None:
    """Whatever an object of ours keeps, it weighs more."""
    state = TradingState()
    before = weight(state)
    state.declared = kept
    assert weight(state) > before
