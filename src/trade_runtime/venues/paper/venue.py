"""The paper venue: order entry at a paper exchange through a wire of its own.

It stands between the runtime and `PaperExchange` and is where time, latency and faults live. Plain
calls put requests on the wire; one task, `run`, lets each reach the exchange when it is due, and
whatever the exchange tells then, or tells when the market meets an order, goes to the sink at once.
It guarantees that a query sent after a request reaches the exchange after it, unless a fault holds
the request back, and that whatever has left this process arrives, is dropped by a configured fault,
or was under way at a configured disconnect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import trio

from trade_runtime.errors import StoreError, VenueDown, VenueError, VenueRefused
from trade_runtime.model.events import Fill, VenueEvent
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderReport, OrderSpec
from trade_runtime.protocols import Capabilities, Environment, Placed, VenueSink
from trade_runtime.venues.paper.exchange import PaperExchange
from trade_runtime.venues.paper.faults import Faults, Mishap, Occasion
from trade_runtime.venues.paper.settings import PaperSettings
from trade_runtime.venues.paper.wire import MAX_IN_FLIGHT, NEVER, Numbers, Request, Wire

QUERY_TIMEOUT_SECS = 5.0
"""A query whose answer is lost fails after this."""

FAULT_REASON = "refused by a configured fault"

AFTER_SECS = 2.5e-10
"""What is due in a nanosecond arrives after the market's events of that nanosecond and before those
of the next: a quarter of one later. So a run in virtual time and a backtest agree. Trio's clock is
a float: past 24 days of it a quarter of a nanosecond is lost, and such ties fall as they may."""

T = TypeVar("T")


def _now_ns() -> int:
    return round(trio.current_time() * 1e9)


class PaperVenue:
    """Order entry at `exchange`; a `Venue` and a `MarketDriven`.

    Args:
        exchange: what it leads to; it may outlive this object.
        settings: latency, faults and what drives it.
        env: the world; opened within trio, since faults count from now.
    """

    def __init__(self, exchange: PaperExchange, settings: PaperSettings, env: Environment) -> None:
        self.exchange = exchange
        self._clock = env.clock
        self._log = env.log
        self._market_data = settings.market_data
        self._latency_secs = settings.latency_ms / 1000
        self._latency_ns = settings.latency_ns
        rng = random.Random(f"{exchange.name} {settings.seed}") if settings.seed else env.rng
        self._faults = Faults(settings.faults, rng, trio.current_time())
        self._wire = Wire()
        self._sink: VenueSink | None = None
        self._broken: StoreError | None = None
        self._nap = trio.CancelScope()

    @property
    def market_data(self) -> VenueName | None:
        """The `[venues.NAME]` table whose data drives it."""
        return None if self._market_data is None else VenueName(self._market_data)

    @property
    def settle_secs(self) -> float:
        """For how long after a submit "no such order" proves nothing: latency and all delays."""
        return self._latency_secs + self._faults.most_delay_secs

    @property
    def capabilities(self) -> Capabilities:
        """What it holds by itself."""
        return self.exchange.capabilities

    # --- the market ----------------------------------------------------------------------------

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Learn the instruments to trade; their ids get this venue's name.

        Raises:
            VenueError: one contradicts the record.
            StoreError: the record cannot be written.
        """
        self.exchange.adopt(instruments)

    def on_quote(self, quote: Quote) -> None:
        """Match against a new best bid and ask, and tell what came of it."""
        self._land_before()
        try:
            events = self.exchange.on_quote(quote)
        except StoreError as error:
            self._break(error)
            return
        if events:
            self._tell(events)

    def on_trade(self, trade: Trade) -> None:
        """Match against a trade, and tell what came of it."""
        self._land_before()
        try:
            events = self.exchange.on_trade(trade)
        except StoreError as error:
            self._break(error)
            return
        if events:
            self._tell(events)

    # --- requests ------------------------------------------------------------------------------

    def submit(self, order: OrderSpec) -> None:
        """Send a new order; it reaches the exchange after the latency.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """
        self._send("submit", order.client_order_id, order)

    def cancel(self, order: Placed) -> None:
        """Send a cancel; it reaches the exchange after the latency.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """
        self._send("cancel", order.client_order_id, None)

    def amend(
        self,
        order: Placed,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Send new numbers for an order; they reach the exchange after the latency.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """
        self._send("amend", order.client_order_id, None, (quantity, price, trigger_price))

    def in_flight(self) -> list[Request]:
        """Return the requests that have left and not arrived, in the order they are due.

        A test that kills this incarnation decides for each whether it still reaches the exchange.
        """
        return self._wire.requests()

    # --- queries -------------------------------------------------------------------------------

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return every order that rests on this account, eldest first.

        Raises:
            VenueError: no answer.
        """
        return await self._ask(self.exchange.open_orders)

    async def order(self, order: Placed) -> OrderReport | None:
        """Return the exchange's view of an order, or None where it knows none of that id.

        Raises:
            VenueError: no answer.
        """
        return await self._ask(lambda: self.exchange.order(order.client_order_id))

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return the fills from `since_ns` on, oldest first.

        Raises:
            VenueError: no answer.
        """
        return await self._ask(lambda: self.exchange.fills(since_ns))

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Return what the account holds, free and locked.

        Raises:
            VenueError: no answer.
        """
        return await self._ask(self.exchange.balances)

    async def positions(self) -> Mapping[InstrumentId, Decimal]:
        """Return the signed sum of every fill of the account, by instrument.

        Raises:
            VenueError: no answer.
        """
        return await self._ask(self._positions)

    def _positions(self) -> dict[InstrumentId, Decimal]:
        held: dict[InstrumentId, Decimal] = {}
        for fill in self.exchange.fills(0):
            held[fill.instrument] = held.get(fill.instrument, Decimal(0)) + fill.change
        return held

    # --- the connection ------------------------------------------------------------------------

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Hold the connection: let requests reach the exchange when due, and events the sink.

        Cancellation leaves what is on the wire there; `land_all` or the next run lets it arrive.

        Raises:
            VenueError: a configured disconnect, or the exchange's record failed.
        """
        assert self._sink is None, "one connection at a time"
        self._broken = None
        await trio.sleep(self._latency_secs)
        self._check_up(VenueError)
        self._sink = sink
        try:
            connected()
            while True:
                self._land()
                self._check_up(VenueError)
                with trio.CancelScope(deadline=self._next_due()) as self._nap:
                    await trio.sleep_forever()
        except VenueError:
            # A request under way may still arrive; an event held back does not.
            self._wire.keep(lambda _: self._faults.arrives())
            raise
        finally:
            self._sink = None

    def land_all(self) -> None:
        """Let everything on the wire reach the exchange now: it has left, so it will arrive."""
        for request in self.in_flight():
            try:
                request.reach(self.exchange)
            except StoreError as error:
                self._break(error)
        self._wire = Wire()

    # --- inside --------------------------------------------------------------------------------

    def _next_due(self) -> float:
        due_ns = self._wire.due_ns
        if self.exchange.next_expiry_ns is not None:
            left_ns = self.exchange.next_expiry_ns - self._clock.now_ns()
            due_ns = min(due_ns, _now_ns() + max(left_ns, 0))
        outage = self._faults.next_outage(trio.current_time())
        return outage if due_ns == NEVER else min(due_ns / 1e9 + AFTER_SECS, outage)

    def _send(
        self,
        what: Occasion,
        client_order_id: ClientOrderId,
        order: OrderSpec | None,
        amend: Numbers | None = None,
    ) -> None:
        if self._sink is None:
            raise VenueDown(f"{self.exchange.name}: not connected")
        self._check_up(VenueDown)
        if self._wire.full:
            raise VenueDown(f"{self.exchange.name}: {MAX_IN_FLIGHT} requests are under way already")
        mishap = self._meet(what)
        if not mishap.drop:
            request = Request(client_order_id, order, amend, FAULT_REASON if mishap.refuse else "")
            due_ns = _now_ns() + self._latency_ns + mishap.delay_ns
            for _ in range(2 if mishap.twice else 1):
                self._put(due_ns, request)

    def _put(self, due_ns: int, item: Request | VenueEvent) -> None:
        self._wire.put(due_ns, item)
        self._wake_at(due_ns / 1e9 + AFTER_SECS)

    def _wake_at(self, due: float) -> None:
        self._nap.deadline = min(self._nap.deadline, due)

    def _land(self, until_ns: int | None = None) -> None:
        """End what has a date; let everything that is due by a moment (now) arrive, in order."""
        if until_ns is None:
            until_ns = _now_ns()
        while self._wire.due_ns <= until_ns:
            self._expire()
            item = self._wire.pop()
            if not isinstance(item, Request):
                self._deliver(item)
                continue
            try:
                events = item.reach(self.exchange)
            except StoreError as error:
                self._break(error)
                return
            self._tell(events)
        self._expire()

    def _land_before(self) -> None:
        """Let what was due before the present nanosecond arrive before an event of the market."""
        if self._wire and self._wire.due_ns < (now_ns := _now_ns()):
            self._land(now_ns - 1)

    def _expire(self) -> None:
        expiry_ns = self.exchange.next_expiry_ns
        if expiry_ns is not None and expiry_ns <= (now_ns := self._clock.now_ns()):
            try:
                self._tell(self.exchange.expire(now_ns))
            except StoreError as error:
                self._break(error)

    def _tell(self, events: Iterable[VenueEvent]) -> None:
        for event in events:
            if not self._connected():
                return
            mishap = self._meet("event")
            if mishap.drop or not self._connected():
                continue
            for _ in range(2 if mishap.twice else 1):
                if mishap.delay_secs and not self._wire.full:
                    self._put(_now_ns() + mishap.delay_ns, event)
                else:
                    self._deliver(event)

    def _deliver(self, event: VenueEvent) -> None:
        if self._sink is not None and self._connected():
            self._sink.on_event(event)

    def _connected(self) -> bool:
        return self._sink is not None and not self._faults.down(trio.current_time())

    def _meet(self, occasion: Occasion) -> Mishap:
        now = trio.current_time()
        mishap = self._faults.of(occasion, now)
        if self._faults.down(now):
            self._wake_at(now)  # run is to notice the disconnect
        return mishap

    async def _ask(self, answer: Callable[[], T]) -> T:
        self._check_up(VenueError)
        mishap = self._meet("query")
        self._check_up(VenueError)
        due_ns = _now_ns() + self._latency_ns + mishap.delay_ns
        await trio.sleep_until(due_ns / 1e9 + AFTER_SECS)
        if mishap.drop:
            await trio.sleep(QUERY_TIMEOUT_SECS)
            raise VenueError(f"{self.exchange.name}: no answer in {QUERY_TIMEOUT_SECS} s")
        if mishap.refuse:
            raise VenueRefused(f"{self.exchange.name}: {FAULT_REASON}")
        self._land()
        self._check_up(VenueError)
        try:
            return answer()
        except StoreError as error:
            raise VenueError(f"{self.exchange.name}: {error}") from error

    def _check_up(self, error: type[VenueError]) -> None:
        if self._broken is not None:
            raise error(f"{self.exchange.name}: its record failed: {self._broken}")
        if self._faults.down(trio.current_time()):
            raise error(f"{self.exchange.name}: disconnected")

    def _break(self, error: StoreError) -> None:
        self._log.error("the paper exchange's record failed", error=str(error))
        self._broken = error
        self._wake_at(trio.current_time())
