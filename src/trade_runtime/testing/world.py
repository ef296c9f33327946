"""The world of a simulation: what survives a process, and what the process is given of it.

Stands outside the runtime. A `World` holds the disk, the exchange with its record, and the market;
it makes the plug-ins through which one life of a runtime meets them, and notes what leaves on the
wire. Everything follows from the scenario and the seed.

A kill changes nothing in the world but who listens, so what it leaves at a step is what the world
is at that step: `snapshot` takes it, and `World.after` is the same world some time later, with no
runtime in it, where requests that were under way got lost, arrived, or are yet to arrive.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from trade_runtime.errors import VenueDown
from trade_runtime.lifecycle.clock import VIRTUAL_EPOCH_NS
from trade_runtime.model.events import Fill, VenueEvent
from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueName
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.model.orders import OrderSpec
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import (
    Environment,
    MarketSink,
    Owner,
    Placed,
    Store,
    StorePlugin,
    VenuePlugin,
    VenueSink,
)
from trade_runtime.stores.memory import MemoryDisk
from trade_runtime.testing.market import Market, ScriptedData, ScriptedSession
from trade_runtime.testing.snapshots import Digests, Life, Note, Snapshot, copy_of
from trade_runtime.venues.paper import (
    MemoryRecord,
    PaperExchange,
    PaperSettings,
    PaperVenue,
    Request,
)

if TYPE_CHECKING:
    from trade_runtime.testing.scenarios import Scenario

PAPER = VenueName("paper")
NO_ORDER = ClientOrderId("")

DOWNTIMES_NS = (1_000_000, 300_000_000, 1_100_000_000)
"""How long the world may go on without a runtime after a crash; the crash state chooses."""


class WorldClock:
    """The world's time of day: it follows trio's clock during a life and stands still between."""

    def __init__(self, now_ns: int) -> None:
        self._base_ns = now_ns
        self._running = False

    def now_ns(self) -> int:
        """Return the virtual time of day."""
        if not self._running:
            return self._base_ns
        return self._base_ns + round(trio.current_time() * 1e9)

    def follow(self) -> None:
        """Follow trio's clock, which is at 0."""
        self._running = True

    def stand_still(self, now_ns: int) -> None:
        """Stand at a moment."""
        self._running = False
        self._base_ns = now_ns


class WatchedVenue(PaperVenue):
    """A paper venue whose world notes what leaves."""

    def __init__(self, world: World, settings: PaperSettings, env: Environment) -> None:
        super().__init__(world.exchange, settings, env)
        self._world = world

    def submit(self, order: OrderSpec) -> None:
        """Send a new order, as any paper venue does."""
        super().submit(order)
        self._world.note("submit", order.client_order_id)

    def cancel(self, order: Placed) -> None:
        """Send a cancel, as any paper venue does."""
        super().cancel(order)
        self._world.note("cancel", order.client_order_id)

    def amend(
        self,
        order: Placed,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Send new numbers for an order, as any paper venue does."""
        super().amend(order, quantity=quantity, price=price, trigger_price=trigger_price)
        self._world.note("amend", order.client_order_id)

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return the fills, as any paper venue does."""
        found = await super().fills(since_ns)
        self._world.note("fills told")
        return found

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Hold the connection."""
        try:
            await super().run(sink, connected)
        finally:
            self._world.note("venue closed")


@attrs.frozen
class SweepRequest(Request):
    """A request on its way that cancels all that rests in an instrument when it arrives."""

    instrument: InstrumentId = attrs.field(kw_only=True)

    def reach(self, exchange: PaperExchange) -> Sequence[VenueEvent]:
        """Arrive at the exchange: whatever rests there is cancelled, whatever it is for."""
        events: list[VenueEvent] = []
        for report in exchange.open_orders():
            if report.instrument == self.instrument:
                events += exchange.cancel(report.client_order_id)
        return events


class SweepingVenue(WatchedVenue):
    """A watched venue that cancels all of an instrument by one request, which may get lost."""

    def cancel_all(self, order: Placed) -> None:
        """Send the one request.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """
        if self._sink is None:
            raise VenueDown("not connected")
        self._check_up(VenueDown)
        mishap = self._meet("cancel")
        if not mishap.drop:
            name = ClientOrderId(f"all {order.instrument}")
            due_ns = round(trio.current_time() * 1e9) + self._latency_ns + mishap.delay_ns
            self._put(due_ns, SweepRequest(name, None, instrument=order.instrument))
        self._world.note("cancel_all")


class WatchedData(ScriptedData):
    """The world's market, as one life of a runtime is told of it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.market, world.clock)
        self._world = world

    @asynccontextmanager
    async def _connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[ScriptedSession]:
        async with super()._connect(symbols, sink) as session:
            try:
                yield session
            finally:
                self._world.note("stream closed")


class _ExchangeSink:
    """Lets the market meet the exchange while no runtime is there."""

    def __init__(self, exchange: PaperExchange) -> None:
        self._exchange = exchange

    def on_quote(self, quote: Quote) -> None:
        self._exchange.on_quote(quote)

    def on_trade(self, trade: Trade) -> None:
        self._exchange.on_trade(trade)

    def on_book(self, levels: BookLevels) -> None: ...

    def on_book_lost(self, instrument: InstrumentId) -> None: ...


@attrs.frozen
class _NoSettings:
    """A scripted market has none."""


class World:
    """One world.

    Args:
        scenario: what trades in it.
        seed: of all that happens.
        before: what an earlier one left; None for a new world.
    """

    def __init__(self, scenario: Scenario, seed: int, before: Snapshot | None = None) -> None:
        self.scenario = scenario
        self.seed = seed
        self.market: Market = scenario.market(seed)
        self.disk = MemoryDisk(forgotten=[])
        self.record = MemoryRecord()
        self.asked: dict[ClientOrderId, None] = {}
        self.notes: list[Note] = []
        self.lives: list[Life] = []
        self.venue: PaperVenue | None = None
        self.clock = WorldClock(VIRTUAL_EPOCH_NS)
        self._late: list[tuple[float, Request]] = []
        self._digests = Digests()
        if before is not None:
            self.disk = before.disk.copy()
            self.record = copy_of(before.record)
            self.asked = dict(before.asked)
            self.notes = list(before.notes)
            self.lives = list(before.lives)
            self.clock.stand_still(before.now_ns)
        self.exchange = PaperExchange(
            PAPER,
            self.record,
            self.clock,
            PaperSettings(balances=scenario.balances, **scenario.holds),
        )

    @classmethod
    def after(cls, scenario: Scenario, seed: int, before: Snapshot) -> World:
        """Return the world some time after a crash or a stop."""
        world = cls(scenario, seed, before)
        rng = random.Random(f"{seed} {before.key}")
        early, settle_secs = [], scenario.settle_secs
        for request in before.in_flight:
            fate = rng.choice(("lost", "early", "late"))
            if fate == "early":
                early.append(request)
            elif fate == "late":
                world._late.append((rng.uniform(0, settle_secs), request))
        world._late.sort(key=lambda entry: entry[0])
        for request in early:
            request.reach(world.exchange)
        world._pass(rng.choice(DOWNTIMES_NS))
        return world

    def _pass(self, span_ns: int) -> None:
        """Let the market go on without a runtime."""
        began_ns = self.clock.now_ns()
        sink = _ExchangeSink(self.exchange)
        symbols = {name: InstrumentId(f"{name}.{PAPER}") for name in self.market.symbols}
        number = self.market.number_after(began_ns)
        while self.market.time_of(number) <= began_ns + span_ns:
            self.clock.stand_still(self.market.time_of(number))
            self.market.tell(number, symbols, sink)
            number += 1
        self.clock.stand_still(began_ns + span_ns)

    # --- a life ---------------------------------------------------------------------------------

    def begin_life(self) -> Life:
        """Note that a runtime begins."""
        life = Life(len(self.lives), self.clock.now_ns(), self.disk.last)
        self.lives.append(life)
        return life

    def note(self, what: str, order_id: ClientOrderId = NO_ORDER) -> None:
        """Note what is seen at the border of the runtime."""
        life = len(self.lives) - 1
        self.notes.append(Note(self.clock.now_ns(), life, what, order_id, self.disk.last))

    async def deliver_late(self) -> None:
        """Let requests of the last life arrive that were still under way when this one began."""
        for due, request in self._late:
            await trio.sleep_until(due)
            request.reach(self.exchange)

    def plugins(self) -> Plugins:
        """Return the plug-ins through which a runtime meets this world."""
        return Plugins(
            venues={
                "scripted": VenuePlugin(_NoSettings, self._open_market, trades=False, streams=True),
                "paper": VenuePlugin(PaperSettings, self._open_paper, trades=True, streams=False),
            },
            stores={"memory": StorePlugin(self._open_store)},
        )

    @asynccontextmanager
    async def _open_market(
        self, name: VenueName, settings: _NoSettings, env: Environment
    ) -> AsyncIterator[ScriptedData]:
        yield WatchedData(self)

    @asynccontextmanager
    async def _open_paper(
        self, name: VenueName, settings: PaperSettings, env: Environment
    ) -> AsyncIterator[PaperVenue]:
        kind = SweepingVenue if self.scenario.sweeps else WatchedVenue
        self.venue = venue = kind(self, settings, env)
        try:
            yield venue
        finally:
            venue.land_all()

    @asynccontextmanager
    async def _open_store(
        self,
        location: str,
        data_dir: Path,
        *,
        owner: Owner,
        durability: str,
        read_only: bool,
        env: Environment,
    ) -> AsyncIterator[Store]:
        async with self.disk.store(read_only=read_only) as store:
            try:
                yield store
            finally:
                self.note("store closed")

    # --- what a crash would leave -----------------------------------------------------------------

    @property
    def version(self) -> tuple[object, ...]:
        """Changes whenever the disk, the exchange or the wire does."""
        flying = 0 if self.venue is None else len(self.venue.in_flight())
        return *self._disk_marks, len(self.record.history), flying

    @property
    def _disk_marks(self) -> tuple[int, ...]:
        disk = self.disk
        first = disk.records[0].seq if disk.records else 0
        return disk.last, first, disk.tabled, *disk.snapshots

    def key(self) -> str:
        """Return a digest of the disk, the exchange and what is under way."""
        flying = [] if self.venue is None else self.venue.in_flight()
        wire = [f"{r.client_order_id} {r.order is None} {r.amend}" for r in flying]
        wire.append(f"{self._disk_marks}")
        return self._digests.of(self.disk.ever, self.record, wire)

    def snapshot(self) -> Snapshot:
        """Return what a crash at this moment would leave."""
        now_ns = self.clock.now_ns()
        lives = list(self.lives)
        if lives and not lives[-1].ended_ns:
            lives[-1] = attrs.evolve(lives[-1], killed=True, ended_ns=now_ns)
        return Snapshot(
            key=self.key(),
            now_ns=now_ns,
            disk=self.disk.copy(),
            record=copy_of(self.record),
            in_flight=[] if self.venue is None else self.venue.in_flight(),
            asked=dict(self.asked),
            notes=list(self.notes),
            lives=lives,
        )

    def fills(self) -> list[Fill]:
        """Return every fill that the exchange ever made."""
        return self.record.executions
