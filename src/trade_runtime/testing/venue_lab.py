"""The bench on which an adapter is tried: a test exchange, and a session that notes what comes.

Stands beside the conformance suite of venues, which uses it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

import attrs
import trio

from trade_runtime.errors import TradeRuntimeError, VenueError
from trade_runtime.machines.order_ids import order_id
from trade_runtime.model.events import OrderAccepted, OrderClosed, VenueEvent
from trade_runtime.model.ids import ClientOrderId, StrategyName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import OrderReport, OrderSpec, OrderType, ReportStatus, Side
from trade_runtime.protocols import Serves, Venue

T = TypeVar("T", bound=VenueEvent)

Power = Callable[[], Awaitable[None]]


@attrs.frozen
class VenueLab:
    """A test exchange with an account on it, and what can be done to both.

    The account holds enough of both currencies of `instrument` for some orders of `quantity`. What
    is None cannot be done there: what needs it is skipped, and the result says so.

    Attributes:
        open: opens the adapter on the account, anew each time; `run` is called by the suite.
        instrument: what is traded: its rules, under the adapter's own venue name.
        quantity: of each order; a multiple of the lot, and enough for the least notional.
        low: a price on the tick at which a buy rests and nobody sells.
        high: a price on the tick at which a sell rests and nobody buys; a stop of a buy sleeps.
        too_much: a quantity that the account cannot pay for.
        wait_secs: how long the exchange may take to tell anything.
        rest_secs: how long to be silent before each check, where the exchange counts requests.
        fill: has a resting order filled whole, by somebody else's order.
        lose_answer: has the next new order taken by the exchange, and everything lost that it tells
            of it: the answer and the events.
        duplicate: has the next event told twice.
        cut: ends the private connection as a network does.
        resting: the client order ids that rest, by the exchange's own record.
    """

    open: Callable[[], AbstractAsyncContextManager[Venue]]
    instrument: Instrument
    quantity: Decimal
    low: Decimal
    high: Decimal
    too_much: Decimal | None = None
    wait_secs: float = 5.0
    rest_secs: float = 0.0
    fill: Callable[[ClientOrderId], Awaitable[None]] | None = None
    lose_answer: Power | None = None
    duplicate: Power | None = None
    cut: Power | None = None
    resting: Callable[[], Awaitable[Sequence[ClientOrderId]]] | None = None


class Session:
    """An open adapter whose private connection is held, and what it has told. Made by `session`.

    Attributes:
        venue: the adapter.
        events: all that it told, in order.
        connects: how often the connection came up.
        losses: what the connection ended with.
    """

    def __init__(self, venue: Venue, wait_secs: float) -> None:
        self.venue = venue
        self.events: list[VenueEvent] = []
        self.connects = 0
        self.losses: list[VenueError] = []
        self._wait_secs = wait_secs
        self._moved = trio.Event()

    def on_event(self, event: VenueEvent) -> None:
        """Take an event."""
        self.events.append(event)
        self._wake()

    def connected(self) -> None:
        """Note that the connection is up."""
        self.connects += 1
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    async def hold(self) -> None:
        """Hold the connection, again and again."""
        while True:
            try:
                await self.venue.run(self, self.connected)
            except VenueError as error:
                self.losses.append(error)
                self._wake()
            else:
                raise AssertionError("run returned: it ends by a VenueError, or when cancelled")
            await trio.sleep(self._wait_secs / 50)

    async def until(self, condition: Callable[[], object], promise: str) -> None:
        """Wait until something is so.

        Raises:
            AssertionError: it did not come about in time; the text is the promise.
        """
        with trio.move_on_after(self._wait_secs):
            while not condition():
                await self._moved.wait()
            return
        told = "; ".join(map(repr, self.events[-5:])) or "nothing"
        lost = f"; lost: {self.losses[-1]}" if self.losses else ""
        raise AssertionError(f"{promise}. Told last: {told}{lost}")

    def of(self, order_id: ClientOrderId, kind: type[T]) -> list[T]:
        """Return what was told of an order, of one kind."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and event.client_order_id == order_id
        ]

    async def told(self, order_id: ClientOrderId, kind: type[VenueEvent], promise: str) -> None:
        """Wait until something of a kind is told of an order.

        Raises:
            AssertionError: it did not come in time; the text is the promise.
        """
        await self.until(lambda: self.of(order_id, kind), promise)


@asynccontextmanager
async def session(lab: VenueLab) -> AsyncIterator[Session]:
    """Open the adapter, hold its connection until the block is left, and close it.

    Raises:
        AssertionError: it did not come up, or did not end when it was cancelled.
    """
    async with closing(lab.open(), lab.wait_secs) as venue:
        made = Session(venue, lab.wait_secs)
        async with trio.open_nursery() as nursery:
            if isinstance(venue, Serves):
                nursery.start_soon(venue.serve)
            nursery.start_soon(made.hold)
            await made.until(lambda: made.connects, "the private connection comes up")
            yield made
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def closing(
    opening: AbstractAsyncContextManager[Venue], wait_secs: float
) -> AsyncIterator[Venue]:
    """Open an adapter, and close it in a time.

    Raises:
        AssertionError: closing took too long: something of it goes on, or shields.
    """
    with trio.CancelScope() as scope:
        async with opening as venue:
            try:
                yield venue
            finally:
                scope.deadline = trio.current_time() + wait_secs
        return
    raise AssertionError("leaving the adapter ends all that it does, in time")


async def ours(call: Awaitable[Any]) -> Any:
    """Return what a call gives; an error of anybody else's is a broken promise.

    Raises:
        TradeRuntimeError: as the call did.
        AssertionError: another error left the adapter.
    """
    try:
        return await call
    except TradeRuntimeError:
        raise
    except Exception as error:
        raise AssertionError(
            f"errors that leave an adapter are of trade_runtime.errors, not {error!r}"
        ) from error


class Lacking(Exception):
    """Something is not there that a check needs."""


class Bench:
    """Makes orders, and waits for what becomes of them."""

    def __init__(self, lab: VenueLab, tag: str) -> None:
        self.lab = lab
        self.placed: dict[ClientOrderId, OrderSpec] = {}
        self._ids: Iterator[ClientOrderId] = (order_id(tag, number) for number in count(1))

    def spec(
        self,
        side: Side = Side.BUY,
        kind: OrderType = OrderType.LIMIT,
        quantity: Decimal | None = None,
    ) -> OrderSpec:
        """Return an order that rests, or one that is filled at once (a market order)."""
        far = self.lab.low if side is Side.BUY else self.lab.high
        stop = self.lab.high if side is Side.BUY else self.lab.low
        made = OrderSpec(
            next(self._ids),
            StrategyName("check"),
            self.lab.instrument.id,
            side,
            kind,
            self.lab.quantity if quantity is None else quantity,
            far if kind.has_price else None,
            stop if kind.waits else None,
            protective=kind.waits,
            reduce_only=False,
        )
        self.placed[made.client_order_id] = made
        return made

    async def rest(self, s: Session, spec: OrderSpec | None = None) -> OrderSpec:
        """Have an order rest."""
        order = self.spec() if spec is None else spec
        s.venue.submit(order)
        await s.until(
            lambda: s.of(order.client_order_id, OrderAccepted),
            f"a {order.type} order that rests is told as accepted",
        )
        return order

    async def end(self, s: Session, order: OrderSpec) -> OrderClosed:
        """Have a resting order cancelled, and its end proven."""
        s.venue.cancel(order)
        await s.until(
            lambda: s.of(order.client_order_id, OrderClosed), "a cancel is told as an end"
        )
        return s.of(order.client_order_id, OrderClosed)[-1]

    async def resting(self, s: Session) -> dict[ClientOrderId, OrderReport]:
        """Return what rests, by the venue's answer; each id once."""
        reports = await ours(s.venue.open_orders())
        found = {report.client_order_id: report for report in reports}
        assert len(found) == len(reports), "open_orders names each order once"
        return found

    async def until_query(
        self, s: Session, order: OrderSpec, status: ReportStatus, promise: str
    ) -> OrderReport:
        """Ask for an order until the exchange has it so; its answers may be behind its events."""
        last: OrderReport | None = None
        with trio.move_on_after(self.lab.wait_secs):
            pause_secs = self.lab.wait_secs / 100
            while True:
                last = await ours(s.venue.order(order))
                if last is not None and last.status is status:
                    return last
                await trio.sleep(pause_secs)
                pause_secs *= 2  # exchanges count questions
        raise AssertionError(f"{promise}; order() says {last}")
