"""A runtime to measure in: a tape for a market, the paper venue or another, a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from harness.market import INSTRUMENT, Play, tape_plugin
from trade_runtime import Strategy, open_runtime
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import StorePlugin, VenuePlugin
from trade_runtime.runtime import Runtime
from trade_runtime.settings import Settings

PAPER = {
    "kind": "paper",
    "market_data": "tape",
    "latency_ms": 0,
    "balances": {"USDT": "1000000000", "BTC": "100000"},
}


class Counter(Strategy):
    """Counts quotes: the least that a handler can do."""

    seen = 0

    def on_quote(self, quote: Any) -> None:
        """Count."""
        self.seen += 1


class Actor(Strategy):
    """Does what the benchmark says, in a task of its own."""

    def __init__(self, act: Callable[[Actor], Awaitable[None]]) -> None:
        super().__init__("actor", [INSTRUMENT])
        self._act = act

    async def run(self) -> None:
        """Act, then wait for the stop."""
        await self._act(self)
        await trio.sleep_forever()


@asynccontextmanager
async def world(
    data_dir: Path,
    strategies: Sequence[Strategy],
    play: Play,
    *,
    venue: VenuePlugin | None = None,
    store: Mapping[str, Any] | None = None,
    stores: Mapping[str, StorePlugin] | None = None,
    ack_timeout_secs: float = 3600.0,
) -> AsyncIterator[Runtime]:
    """Run strategies on a tape.

    Args:
        data_dir: where the state goes.
        strategies: what to run.
        play: the stream of the market.
        venue: where orders go; the paper venue without latency where None.
        store: the `[store]` table.
        stores: by scheme, plug-ins that stand in for the installed ones.
        ack_timeout_secs: of the `[orders]` table. A benchmark that holds the loop while it measures
            needs a long one; an order is kept in mind for as long.
    """
    installed = Plugins()
    paper = PAPER if venue is None else {"kind": "taker"}
    settings = Settings.from_mapping(
        {
            "runtime": {"name": "bench", "data_dir": str(data_dir), "seed": 1},
            "store": dict(store or {"url": "memory:///"}),
            "venues": {"tape": {"kind": "tape"}, "paper": paper},
            "prices": {"stale_after_secs": 3600.0},
            "orders": {"ack_timeout_secs": ack_timeout_secs},
            "risk": {"max_open_orders": 10_000, "max_position": {INSTRUMENT: "10000"}},
            "protection": {"required": "all", "stop_pct": 5.0},
            # Long enough for whatever a benchmark leaves behind: how long it took is reported.
            "shutdown": {
                "timeout_secs": 300.0,
                "order_timeout_secs": 100.0,
                "state_timeout_secs": 100.0,
            },
        }
    )
    plugins = Plugins(
        venues={
            "tape": tape_plugin(play),
            "paper": installed.venues["paper"],
            **({} if venue is None else {"taker": venue}),
        },
        stores={**installed.stores, **(stores or {})},
    )
    async with open_runtime(settings, strategies=strategies, plugins=plugins) as runtime:
        yield runtime


async def until(condition: Callable[[], bool]) -> None:
    """Return when something has come true; meanwhile all others get their turns."""
    while not condition():
        await trio.lowlevel.checkpoint()
