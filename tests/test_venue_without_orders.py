"""A strategy may watch one venue and trade at another; an order where none is taken is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from trade_runtime.errors import OrderRefused
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.market import Quote
from trade_runtime.runtime import open_runtime
from trade_runtime.settings import Settings
from trade_runtime.strategy import Strategy


class Watcher(Strategy):
    """Counts the quotes of each venue."""

    def on_start(self) -> None:
        self.seen: dict[str, int] = {}

    def on_quote(self, quote: Quote) -> None:
        self.seen[quote.instrument] = self.seen.get(quote.instrument, 0) + 1


async def test_an_order_at_a_venue_of_market_data_alone_is_refused(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """It is the strategy's mistake, told in a sentence; the strategy and its data go on."""
    settings = Settings.from_mapping(
        {
            "runtime": {"data_dir": str(tmp_path)},
            "venues": {
                "sim": {"kind": "synthetic"},
                "paper": {"kind": "paper", "market_data": "sim"},
            },
        }
    )
    strategy = Watcher("watcher", ["ETHUSDT.sim", "ETHUSDT.paper"])
    async with open_runtime(settings, strategies=[strategy], clock=TrioClock()) as runtime:
        await trio.sleep(1)
        with pytest.raises(OrderRefused, match="venue: sim brings market data alone"):
            strategy.trader.limit("ETHUSDT.sim", "buy", "1", "1000")
        strategy.trader.limit("ETHUSDT.paper", "buy", "1", "1000")
        await trio.sleep(1)
        assert {"ETHUSDT.sim", "ETHUSDT.paper"} == set(strategy.seen)
        assert ["running"] == [host.outcome for host in runtime.hosts]
    assert runtime.report is not None
    assert 0 == runtime.report.exit_code
