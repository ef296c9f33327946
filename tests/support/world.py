"""A whole runtime in memory and virtual time: a scripted market, the real paper exchange, a journal
that outlives the process. Open it again and it is the restart.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio
import trio.testing

from tests.support.market import ScriptedMarket, plugin_of
from tests.support.values import ETH
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.lifecycle.report import StopReport
from trade_runtime.machines.journal import read_event
from trade_runtime.machines.order import Order, OrderUpdate
from trade_runtime.managers.trading import Trading
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, VenueName
from trade_runtime.model.orders import OrderSpec, ReportStatus, Side
from trade_runtime.model.records import JournalEvent
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Environment, StorePlugin, VenuePlugin
from trade_runtime.runtime import Runtime, open_runtime
from trade_runtime.settings import Settings
from trade_runtime.stores.memory import MemoryDisk
from trade_runtime.strategy import Strategy
from trade_runtime.venues.paper import (
    MemoryRecord,
    PaperExchange,
    PaperSettings,
    PaperVenue,
    make_exchange,
)


class Hand(Strategy):
    """A strategy that a test plays by hand, and that remembers what it was told."""

    buy_side = Side.BUY

    def __init__(self, name: str = "hand", instruments: tuple[str, ...] = (ETH,)) -> None:
        super().__init__(name, instruments)
        self.told: list[str] = []
        self.fills: list[Fill] = []
        self.stale: list[str] = []
        self.stopped: list[str] = []

    def on_order(self, event: OrderUpdate) -> None:
        self.told.append(f"{event.order.id.rpartition('-')[2]} {event.kind}")

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)

    def on_stale(self, instrument: str) -> None:
        self.stale.append(instrument)

    def on_stop(self, reason: str) -> None:
        self.stopped.append(reason)

    @property
    def quantity(self) -> Decimal:
        return self.trader.position(ETH).quantity

    def buy(self, quantity: str = "1", price: str = "90") -> Order:
        """A limit order far below the market, unless another price is said."""
        return self.trader.limit(ETH, "buy", quantity, price)

    def sell(self, quantity: str = "1", price: str = "110") -> Order:
        return self.trader.limit(ETH, "sell", quantity, price)

    def stop(self, quantity: str = "1", trigger: str = "95") -> Order:
        return self.trader.stop_loss(ETH, "sell", quantity, trigger)


class World:
    """What outlives a process: the market, the exchange's record, the journal's disk.

    Args:
        data_dir: where reports go.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.market = ScriptedMarket()
        self.record = MemoryRecord()
        self.disk = MemoryDisk()
        self.venue: PaperVenue | None = None
        self.wrap: Callable[[PaperVenue], Any] = lambda venue: venue
        """Stands between the runtime and its venue."""
        self.runtime: Runtime | None = None

    def settings(self, sections: Mapping[str, Any]) -> Settings:
        """A configuration of this world; sections given are laid over the usual ones.

        A key that is given as None is left out.
        """
        tables: dict[str, Any] = {
            "runtime": {"name": "test", "data_dir": str(self.data_dir), "seed": 1},
            "store": {"url": "memory:///journal"},
            "protection": {"stop_pct": 5.0},
        }
        for name, table in sections.items():
            if name != "paper":
                merged = {**tables.get(name, {}), **table}
                tables[name] = {key: value for key, value in merged.items() if value is not None}
        paper = {"kind": "paper", "market_data": "sim", "fee_bps": 0}
        paper["balances"] = {"USDT": "1000000", "ETH": "1000"}
        tables["venues"] = {
            "sim": {"kind": "scripted"},
            "paper": {**paper, **sections.get("paper", {})},
        }
        return Settings.from_mapping(tables, self.data_dir)

    @property
    def plugins(self) -> Plugins:
        """Plug-ins that lead to this world."""

        @asynccontextmanager
        async def paper(
            name: VenueName, settings: PaperSettings, env: Environment
        ) -> AsyncIterator[Any]:
            exchange = make_exchange(name, settings, self.record, env)
            self.venue = PaperVenue(exchange, settings, env)
            try:
                yield self.wrap(self.venue)
            finally:
                self.venue.land_all()

        def store(location: str, data_dir: Path, **how: Any) -> Any:
            return self.disk.store(read_only=how["read_only"])

        return Plugins(
            venues={
                "scripted": plugin_of(self.market),
                "paper": VenuePlugin(PaperSettings, paper, trades=True, streams=False),
            },
            stores={"memory": StorePlugin(store)},
        )

    @asynccontextmanager
    async def open(
        self, *strategies: Strategy, quote: bool = True, **sections: Mapping[str, Any]
    ) -> AsyncIterator[Runtime]:
        """Run a runtime in this world, with a market at 100.00 / 100.10 unless told otherwise."""
        async with open_runtime(
            self.settings(sections),
            strategies=strategies,
            plugins=self.plugins,
            clock=TrioClock(),
        ) as runtime:
            self.runtime = runtime
            if quote:
                self.market.quote(100.0)
                await settle()
            yield runtime

    # --- what is -------------------------------------------------------------------------------

    @property
    def exchange(self) -> PaperExchange:
        assert self.venue is not None
        return self.venue.exchange

    @property
    def trading(self) -> Trading:
        assert self.runtime is not None
        assert self.runtime.trading is not None
        return self.runtime.trading

    @property
    def report(self) -> StopReport:
        assert self.runtime is not None
        assert self.runtime.report is not None
        return self.runtime.report

    @property
    def stages(self) -> dict[str, str]:
        """How each stage of the last stop went."""
        return {stage.name: stage.outcome for stage in self.report.stages}

    def resting(self, *, protective: bool | None = None) -> list[ClientOrderId]:
        """What rests at the exchange, by its own record."""
        return [
            row.client_order_id
            for row in self.record.orders.values()
            if row.status is ReportStatus.OPEN
            and protective in (None, row.trigger_price is not None)
        ]

    def history(self, event: str) -> list[ClientOrderId]:
        """The orders of all events of a kind that the exchange noted."""
        return [row.client_order_id for row in self.record.history if row.event == event]

    def journal(self) -> list[JournalEvent]:
        """What is durable."""
        return [read_event(record) for record in self.disk.records]

    def intents(self) -> list[ClientOrderId]:
        """The ids of all durable intents."""
        return [event.client_order_id for event in self.journal() if isinstance(event, OrderSpec)]


async def settle() -> None:
    """Let everything happen that can happen now."""
    await trio.testing.wait_all_tasks_blocked()


async def until(condition: Callable[[], object], secs: float = 60.0) -> None:
    """Let virtual time go on until something is so."""
    with trio.fail_after(secs):
        while not condition():  # noqa: ASYNC110 - virtual time has to go on
            await trio.sleep(0.01)
