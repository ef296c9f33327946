"""A venue that only takes orders, and a store that remembers what was committed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs
import trio

from trade_runtime.model.events import Fill, OrderAccepted, OrderClosed
from trade_runtime.model.ids import ClientOrderId, Currency, VenueName, VenueOrderId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import ZERO, OrderReport, OrderSpec, ReportStatus
from trade_runtime.model.tables import Rows
from trade_runtime.protocols import (
    Capabilities,
    Environment,
    Ownership,
    Record,
    Store,
    StorePlugin,
    VenuePlugin,
    VenueSink,
)


class Taker:
    """A `Venue` that notes when an order reached it, and ends all of them when it is told to."""

    settle_secs = 0.0
    capabilities = Capabilities()
    market_data = VenueName("tape")

    def __init__(self) -> None:
        self.arrived: dict[ClientOrderId, float] = {}
        """When each order that has not been ended came, by `perf_counter`."""
        self.expected = 0
        """How many orders make `all_here` come true."""
        self.all_here = trio.Event()
        self._sink: VenueSink | None = None

    def submit(self, order: OrderSpec) -> None:
        """Note the moment."""
        self.arrived[order.client_order_id] = perf_counter()
        if len(self.arrived) == self.expected:
            self.all_here.set()

    def expect(self, count: int) -> None:
        """Begin anew, and have `all_here` set when `count` orders are there."""
        self.arrived.clear()
        self.expected, self.all_here = count, trio.Event()

    def end_all(self) -> None:
        """Tell of every order that it was taken, and that it is cancelled."""
        assert self._sink is not None
        for order_id in self.arrived:
            self._sink.on_event(OrderAccepted(order_id, VenueOrderId(order_id), 1))
            self._sink.on_event(OrderClosed(order_id, ReportStatus.CANCELLED, ZERO, 1))

    def cancel(self, client_order_id: ClientOrderId) -> None:
        """Do nothing: all orders are ended together."""

    def amend(
        self,
        client_order_id: ClientOrderId,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Do nothing: none is changed here."""

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Trade whatever comes."""

    def on_quote(self, quote: Quote) -> None:
        """Match nothing."""

    def on_trade(self, trade: Trade) -> None:
        """Match nothing."""

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return none."""
        await trio.lowlevel.checkpoint()
        return []

    async def order(self, client_order_id: ClientOrderId) -> OrderReport | None:
        """Know none."""
        await trio.lowlevel.checkpoint()
        return None

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return none."""
        await trio.lowlevel.checkpoint()
        return []

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Hold nothing."""
        await trio.lowlevel.checkpoint()
        return {}

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Be connected."""
        self._sink = sink
        connected()
        await trio.sleep_forever()


@attrs.frozen
class TakerSettings:
    """It has none."""


def taker_plugin(taker: Taker) -> VenuePlugin:
    """Return the plug-in of a venue that is there already."""

    @asynccontextmanager
    async def open_taker(
        name: str, settings: TakerSettings, env: Environment
    ) -> AsyncIterator[Taker]:
        yield taker

    return VenuePlugin(settings=TakerSettings, open=open_taker, trades=True, streams=False)


Batch = tuple[Sequence[Record], Rows]
"""What one commit wrote: records, and the rows of the tables that changed with them."""


class NotingStore:
    """A store that hands everything on, and remembers what was appended."""

    def __init__(self, store: Store, batches: list[Batch]) -> None:
        self.read, self.check = store.read, store.check
        self.snapshots, self.snapshot = store.snapshots, store.snapshot
        self.keep, self.forget = store.keep, store.forget
        self.tabled, self.find, self.rows = store.tabled, store.find, store.rows
        self._store = store
        self._batches = batches

    @property
    def ownership(self) -> Ownership:
        """That of the store."""
        return self._store.ownership

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        """Hand on, and remember."""
        await self._store.append(records, rows, more=more)
        self._batches.append((records, rows or {}))


def noting(plugin: StorePlugin, batches: list[Batch]) -> StorePlugin:
    """Return the plug-in of a store whose appends are added to `batches`."""

    def opened(location: str, data_dir: Path, **how: Any) -> AbstractAsyncContextManager[Store]:
        return _noted(plugin.open(location, data_dir, **how), batches)

    return attrs.evolve(plugin, open=opened)


@asynccontextmanager
async def _noted(
    inner: AbstractAsyncContextManager[Store], batches: list[Batch]
) -> AsyncIterator[Store]:
    async with inner as store:
        yield NotingStore(store, batches)
