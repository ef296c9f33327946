"""Requests on their way to an exchange: in what order they leave, and what is made of the outcome.

The rules that keep orders safe are here once, so that no adapter can get them wrong:

- Nothing is ever sent twice. What failed after a byte may have left is left without an outcome:
  the runtime's own deadline makes the order UNKNOWN, and the venue is asked.
- A refusal counts only where the exchange itself said it, or where nothing left this process.
- Urgent requests (cancels, protective orders) overtake others, and have a share of every limit.
- Requests about one order leave one after the other: a cancel waits for its order's submit, but
  no longer than `PATIENCE_SECS`, since that may hang for longer than a stop may take. Where it gets
  there first the exchange knows no such order, and the runtime asks, and cancels again.
- A new order that could not leave within `MAX_WAIT_SECS` never leaves: it is rejected. So "no such
  order" proves something after that and what the exchange allows a request to be under way.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal, Protocol

import attrs
import trio

from trade_runtime.errors import VenueDown, VenueError, VenueRefused
from trade_runtime.model.events import AmendRejected, CancelRejected, OrderRejected, VenueEvent
from trade_runtime.model.ids import ClientOrderId, InstrumentId
from trade_runtime.model.orders import OrderSpec
from trade_runtime.protocols import Environment, Placed
from trade_runtime.venues.wire.budget import Budget

MAX_WAITING: Final = 10_000
"""Requests that wait to leave: as many as there are open orders to cancel at a stop."""

MAX_WAIT_SECS: Final = 1.0
"""How long a new order or an amend waits for its turn; a cancel waits for as long as it takes."""

PATIENCE_SECS: Final = 0.5
"""How long a cancel waits for what is under way about its order."""

AT_ONCE: Final = 8
"""Requests under way at the same time."""

What = Literal["submit", "cancel", "amend", "cancel_all"]


@attrs.frozen
class Numbers:
    """What an amend asks for."""

    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None


@attrs.frozen(eq=False)
class Request:
    """One thing to ask of the exchange.

    Attributes:
        what: it is.
        order: about which; of `cancel_all` any order of the instrument.
        asked_at: when, on trio's clock.
        urgent: it may use the share of the limits that is kept for what protects.
        numbers: of an amend.
    """

    what: What
    order: Placed
    asked_at: float
    urgent: bool
    numbers: Numbers | None = None

    @property
    def lane(self) -> ClientOrderId | InstrumentId:
        """Requests of one lane leave one after the other."""
        return self.order.instrument if self.what == "cancel_all" else self.order.client_order_id


class Desk(Protocol):
    """An adapter's half: one request each, sent once, and what the exchange answered.

    Each returns the events that the answer tells; those of a private stream come beside them, and
    doubles do no harm.

    Raises:
        VenueRefused: the exchange itself said no, for certain; the text is its reason.
        VenueDown: nothing has left.
        VenueError: anything else; the outcome is unknown.
    """

    def cost(self, request: Request) -> Mapping[str, float]:
        """Return what a request takes of the limits of the budget, by their names."""

    async def place(self, order: OrderSpec) -> Sequence[VenueEvent]:
        """Send a new order."""

    async def cancel(self, order: Placed) -> Sequence[VenueEvent]:
        """Send a cancel."""

    async def amend(self, order: Placed, numbers: Numbers) -> Sequence[VenueEvent]:
        """Send new numbers."""

    async def cancel_all(self, instrument: InstrumentId) -> Sequence[VenueEvent]:
        """Send the cancel of all that rests in an instrument."""


class Sender:
    """Sends what is asked for by plain calls.

    Args:
        desk: what knows the exchange.
        budget: its limits.
        env: the time of day of an event, and a log.
        tell: takes the events.

    Attributes:
        sent, refused, unknown: how many requests left, were refused, and have no known outcome.
    """

    def __init__(
        self, desk: Desk, budget: Budget, env: Environment, tell: Callable[[VenueEvent], None]
    ) -> None:
        self.sent = self.refused = self.unknown = 0
        self._desk = desk
        self._budget = budget
        self._env = env
        self._tell = tell
        self._lanes: dict[str, deque[Request]] = {}
        self._urgent: deque[Request] = deque()
        self._others: deque[Request] = deque()
        self._behind: deque[Request] = deque()
        """Cancels that wait for what is under way about their order."""
        self._early: set[Request] = set()
        """Those of them that left without it."""
        self._waiting = 0
        self._running = False
        self._moved = trio.lowlevel.ParkingLot()

    @property
    def waiting(self) -> int:
        """How many requests have not left yet."""
        return self._waiting

    def submit(self, order: OrderSpec) -> None:
        """Have a new order sent.

        Raises:
            VenueDown: nothing is sent now, or too much waits already.
        """
        self._put("submit", order, urgent=order.protective)

    def cancel(self, order: Placed) -> None:
        """Have a cancel sent; one of an order that waits here takes it out instead.

        Raises:
            VenueDown: as for `submit`.
        """
        lane = self._lanes.get(order.client_order_id)
        submit = lane[0] if lane else None
        if submit is not None and submit.what == "submit" and self._take_out(submit):
            self._refuse(submit, "cancelled before it was sent")
            self._next(submit)
            return
        self._put("cancel", order, urgent=True)

    def cancel_all(self, order: Placed) -> None:
        """Have everything cancelled that rests in the instrument of `order`.

        Raises:
            VenueDown: as for `submit`.
        """
        self._put("cancel_all", order, urgent=True)

    def amend(self, order: Placed, numbers: Numbers, *, urgent: bool) -> None:
        """Have new numbers sent.

        Raises:
            VenueDown: as for `submit`.
        """
        self._put("amend", order, urgent=urgent, numbers=numbers)

    async def run(self) -> None:
        """Send, until cancelled. What waits then never leaves; what is under way may arrive."""
        self._running = True
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(AT_ONCE):
                    nursery.start_soon(self._work)
        finally:
            self._running = False

    # --- inside --------------------------------------------------------------------------------

    def _put(
        self, what: What, order: Placed, *, urgent: bool, numbers: Numbers | None = None
    ) -> None:
        if not self._running:
            raise VenueDown("nothing is sent: the venue is closed")
        if self._waiting >= MAX_WAITING:
            raise VenueDown(f"{MAX_WAITING} requests wait to be sent already")
        request = Request(what, order, trio.current_time(), urgent, numbers)
        self._waiting += 1
        lane = self._lanes.setdefault(request.lane, deque())
        lane.append(request)
        if len(lane) == 1:
            self._ready(request)
        elif what == "cancel":
            self._behind.append(request)
            self._moved.unpark()

    def _ready(self, request: Request) -> None:
        (self._urgent if request.urgent else self._others).append(request)
        self._moved.unpark()

    def _take_out(self, request: Request) -> bool:
        queue = self._urgent if request.urgent else self._others
        try:
            queue.remove(request)
        except ValueError:
            return False  # it has left
        self._waiting -= 1
        return True

    def _next(self, request: Request) -> None:
        """Take a request out of its lane, and let the next of it go."""
        lane = self._lanes[request.lane]
        first = lane[0] is request
        lane.remove(request)
        if not lane:
            del self._lanes[request.lane]
        elif first and lane[0] not in self._early:
            self._ready(lane[0])

    async def _work(self) -> None:
        while True:
            request, wait_secs = self._choose()
            if request is None:
                with trio.move_on_after(wait_secs):
                    await self._moved.park()
                continue
            try:
                await self._send(request)
            finally:
                self._early.discard(request)
                self._next(request)

    def _choose(self) -> tuple[Request | None, float]:
        """Take the first request that may leave now; else say how long until one may."""
        now = trio.current_time()
        soonest = self._let_go(now)
        for queue in (self._urgent, self._others):
            while queue:
                request = queue[0]
                waits = request.what in ("submit", "amend")
                if waits and now > request.asked_at + MAX_WAIT_SECS:
                    queue.popleft()
                    self._waiting -= 1
                    self._refuse(request, f"not sent: no room within {MAX_WAIT_SECS:g} s")
                    self._next(request)
                    continue
                costs = self._desk.cost(request)
                wait_secs = self._budget.take(costs, now, urgent=request.urgent)
                if wait_secs > 0:
                    # Those behind it wait too: what was asked first goes first. One that waits for
                    # its time to be over is looked at once more then.
                    soonest = min(soonest, wait_secs, MAX_WAIT_SECS)
                    break
                queue.popleft()
                self._waiting -= 1
                return request, 0.0
        return None, soonest

    def _let_go(self, now: float) -> float:
        """Let cancels go that waited for long enough; return how long until the next has."""
        while self._behind:
            request = self._behind[0]
            lane = self._lanes.get(request.lane)
            if lane is not None and request in lane and lane[0] is not request:
                left = request.asked_at + PATIENCE_SECS - now
                if left > 0:
                    return left
                self._early.add(request)
                self._urgent.append(request)
            self._behind.popleft()
        return math.inf

    async def _send(self, request: Request) -> None:
        self.sent += 1
        try:
            events = await self._ask(request)
        except (VenueRefused, VenueDown) as error:
            self.refused += 1
            self._refuse(request, str(error))
        except VenueError as error:
            self.unknown += 1
            self._env.log.warning(
                "No certain outcome of a request",
                request=request.what,
                order=request.order.client_order_id,
                error=str(error),
            )
        else:
            for event in events:
                self._tell(event)

    async def _ask(self, request: Request) -> Sequence[VenueEvent]:
        order, numbers = request.order, request.numbers
        if request.what == "submit":
            assert isinstance(order, OrderSpec)
            return await self._desk.place(order)
        if request.what == "cancel":
            return await self._desk.cancel(order)
        if request.what == "cancel_all":
            return await self._desk.cancel_all(order.instrument)
        assert numbers is not None
        return await self._desk.amend(order, numbers)

    def _refuse(self, request: Request, reason: str) -> None:
        name, now_ns = request.order.client_order_id, self._env.clock.now_ns()
        if request.what == "submit":
            self._tell(OrderRejected(name, reason, now_ns))
        elif request.what == "cancel":
            self._tell(CancelRejected(name, reason, now_ns))
        elif request.what == "amend":
            self._tell(AmendRejected(name, reason, now_ns))
        else:
            self._env.log.warning(
                "Cancel of all refused", instrument=request.order.instrument, reason=reason
            )
