"""The paper exchange as a test exchange for `check_venue`, with all that can be done to it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
import trio
from msgspec.structs import replace

from tests.support.values import ETH, RULES
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.events import CancelRejected, OrderClosed, OrderRejected, VenueEvent
from trade_runtime.model.ids import ClientOrderId, VenueName
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import ZERO, OrderSpec, ReportStatus, Side
from trade_runtime.protocols import Environment, Placed, Venue, VenueSink
from trade_runtime.testing import VenueLab
from trade_runtime.venues.paper import MemoryRecord, PaperSettings, PaperVenue, make_exchange

SWITCH_SECS = 2.0


class Bench:
    """An exchange that outlives its adapters; a power is used up by the next adapter call."""

    def __init__(self) -> None:
        self.env = Environment(TrioClock(), random.Random(1), Path(), structlog.get_logger("bench"))
        self.settings = PaperSettings(
            fee_bps=0, latency_ms=20, balances={"USDT": 10_000, "ETH": 100}
        )
        self.record = MemoryRecord()
        self.exchange = make_exchange(VenueName("paper"), self.settings, self.record, self.env)
        self.exchange.adopt([RULES])
        self.exchange.on_quote(Quote(ETH, 0, 100.0, 100.1, 50.0, 50.0, 1))
        self.adapter: type[Adapter] = Adapter
        self.open_now: list[Adapter] = []
        self.lost: str | None = None
        """`next`, or the id of the order of which nothing is told."""
        self.twice = False

    @property
    def lab(self) -> VenueLab:
        return VenueLab(
            open=self._open,
            instrument=RULES,
            quantity=Decimal("0.5"),
            low=Decimal("90.00"),
            high=Decimal("110.00"),
            too_much=Decimal(999),
            wait_secs=2.0,
            fill=self._fill,
            lose_answer=self._lose,
            duplicate=self._duplicate,
            cut=self._cut,
            resting=self._resting,
        )

    def _open(self) -> AbstractAsyncContextManager[Venue]:
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Any]:
        adapter = self.adapter(self)
        self.open_now.append(adapter)
        try:
            yield adapter
        finally:
            self.open_now.remove(adapter)

    def _tell(self, events: Sequence[VenueEvent]) -> None:
        for adapter in self.open_now:
            for event in events:
                adapter.on_event(event)

    async def _fill(self, order_id: ClientOrderId) -> None:
        report = self.exchange.order(order_id)
        assert report is not None
        assert report.price is not None
        price = float(report.price)
        bid, ask = (price - 1, price) if report.side is Side.BUY else (price, price + 1)
        self._tell(self.exchange.on_quote(Quote(ETH, 0, bid, ask, 50.0, 50.0, 2)))
        self._tell(self.exchange.on_quote(Quote(ETH, 0, 100.0, 100.1, 50.0, 50.0, 3)))

    async def _lose(self) -> None:
        self.lost = "next"

    async def _duplicate(self) -> None:
        self.twice = True

    async def _cut(self) -> None:
        for adapter in self.open_now:
            adapter.cut.set()

    async def _resting(self) -> list[ClientOrderId]:
        return [report.client_order_id for report in self.exchange.open_orders()]


class Adapter(WrappedVenue):
    """A paper venue with what a real exchange does: losing, telling twice, a cut, a switch."""

    switch_secs = SWITCH_SECS

    def __init__(self, bench: Bench) -> None:
        super().__init__(PaperVenue(bench.exchange, bench.settings, bench.env))
        self.bench = bench
        self.cut = trio.Event()
        self._sink: VenueSink | None = None
        self._fires_at: float | None = None

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        self._sink = sink
        self.cut = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._venue.run, self, connected)
                nursery.start_soon(self._count_down)
                await self.cut.wait()
                nursery.cancel_scope.cancel()
        except* VenueError as group:
            raise VenueError("the connection ended") from group
        finally:
            self._sink = None
        raise VenueError("the connection was cut")

    def on_event(self, event: VenueEvent) -> None:
        if self._sink is None or event.client_order_id == self.bench.lost:
            return
        times, self.bench.twice = 2 if self.bench.twice else 1, False
        for _ in range(times):
            self._sink.on_event(event)

    def submit(self, order: OrderSpec) -> None:
        if self.bench.lost == "next":
            self.bench.lost = order.client_order_id
        self._venue.submit(order)

    def cancel(self, order: Placed) -> None:
        if self.bench.lost == order.client_order_id:
            self.bench.lost = None
        self._venue.cancel(order)

    def cancel_all(self, order: Placed) -> None:
        for report in self.bench.exchange.open_orders():
            if report.instrument == order.instrument:
                self._venue.cancel(report)

    async def arm(self) -> None:
        await trio.sleep(0.02)
        self._fires_at = trio.current_time() + SWITCH_SECS

    async def disarm(self) -> None:
        await trio.sleep(0.02)
        self._fires_at = None

    async def _count_down(self) -> None:
        while True:
            await trio.sleep(0.05)
            if self._fires_at is not None and trio.current_time() >= self._fires_at:
                self._fires_at = None
                for report in self.bench.exchange.open_orders():
                    for event in self.bench.exchange.cancel(report.client_order_id):
                        self.on_event(event)


class Resends(Adapter):
    """Takes silence for a failure: sends again under another id."""

    def submit(self, order: OrderSpec) -> None:
        lost = self.bench.lost == "next"
        super().submit(order)
        if lost:
            assert self._sink is not None
            self._sink.on_event(OrderRejected(order.client_order_id, "no answer", 1))


class Shields(Adapter):
    """Its queries do not let go."""

    async def open_orders(self) -> Any:
        with trio.CancelScope(shield=True):
            await trio.sleep(1.5)
        return await self._venue.open_orders()


class Leaks(Adapter):
    """A foreign error leaves it."""

    async def balances(self) -> Any:
        raise KeyError("USDT")


class Returns(Adapter):
    """A lost connection is no error to it."""

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        try:
            await super().run(sink, connected)
        except VenueError:
            return


class Sends(Adapter):
    """Takes orders that it cannot send."""

    def submit(self, order: OrderSpec) -> None:
        try:
            super().submit(order)
        except VenueDown:
            return


class TrustsRefusals(Adapter):
    """A cancel that was refused is an end to it."""

    def on_event(self, event: VenueEvent) -> None:
        if isinstance(event, CancelRejected):
            event = OrderClosed(event.client_order_id, ReportStatus.CANCELLED, ZERO, event.ts_ns)
        super().on_event(event)


class Forgets(Adapter):
    """Tells only the first half of the fills that it is asked for."""

    async def fills(self, since_ns: int) -> Any:
        found = await self._venue.fills(since_ns)
        return found[: len(found) // 2]


class Floats(Adapter):
    """Numbers come by way of a float."""

    async def open_orders(self) -> Any:
        return [
            replace(one, quantity=Decimal(float(one.quantity) * 1.1))
            for one in await self._venue.open_orders()
        ]
