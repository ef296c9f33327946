"""Kraken's half of sending orders: one request each, sent once, and what its answer tells.

Orders go over the private WebSocket; where that is down a cancel goes over REST. Every order and
amend carries a `deadline`, after which Kraken itself refuses it: so one that was lost on the way
cannot come to rest much later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import trio

from trade_runtime.errors import VenueDown, VenueError, VenueRefused
from trade_runtime.model.events import OrderAccepted, OrderAmended, VenueEvent
from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from trade_runtime.model.orders import OrderReport, OrderSpec, OrderType
from trade_runtime.protocols import Environment, Placed
from trade_runtime.venues.kraken_spot import orders
from trade_runtime.venues.kraken_spot.codec import KRAKEN, Ack
from trade_runtime.venues.kraken_spot.executions import Executions
from trade_runtime.venues.kraken_spot.private import PrivateLink
from trade_runtime.venues.kraken_spot.rest import Rest
from trade_runtime.venues.wire.budget import Budget, Leak
from trade_runtime.venues.wire.sending import Numbers, Request

DEADLINE_SECS: Final = 3.0
"""How long Kraken may accept an order after it was sent; it allows 0.5 to 60, over REST 2 to 60."""

MAX_SENT: Final = 20_000
"""Orders of which it is kept in mind when they left; the oldest are forgotten."""

MAX_BATCH: Final = 50
"""Orders that one `batch_cancel` takes."""

COUNTERS: Final = {"starter": (60.0, 1.0), "intermediate": (125.0, 2.34), "pro": (180.0, 3.75)}
"""What Kraken allows in each pair, by the tier of the account: a counter of orders, amends and
cancels, and how fast it goes down in a second."""

CANCEL_COSTS: Final = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
"""What a cancel adds to the counter: younger than so many seconds, so much."""

AMEND_COSTS: Final = ((5, 4), (10, 3), (15, 2))
"""The same of an amend; 1 of an older order."""


class _Added(msgspec.Struct):
    order_id: str


_added = msgspec.json.Decoder(_Added)


class KrakenDesk:
    """A `Desk` of Kraken.

    Args:
        settings: `tier` and `trigger_reference`.
        rest: where cancels go when the private connection is down.
        budget: grows a limit for each pair.
        executions: what is known of orders.
        open_orders: asks what rests at the venue.
        env: the clock.
    """

    def __init__(
        self,
        tier: str,
        reference: str,
        rest: Rest,
        budget: Budget,
        executions: Executions,
        open_orders: Callable[[], Awaitable[Sequence[OrderReport]]],
        env: Environment,
    ) -> None:
        self.link: PrivateLink | None = None
        """The private connection while it is up."""
        self.sent_at: dict[ClientOrderId, float] = {}
        """When new orders left, on trio's clock: the latest."""
        self._capacity, self._per_sec = COUNTERS[tier]
        self._reference = reference
        self._rest = rest
        self._budget = budget
        self._executions = executions
        self._open_orders = open_orders
        self._env = env

    def cost(self, request: Request) -> Mapping[str, float]:
        """Return what a request takes of the counter of its pair.

        Cancels are never held back: Kraken counts them after the fact, so they are counted when
        they leave, and what waits for room then is new orders. Nor is what protects a position held
        back: the account may be of a better tier than the settings say, and if not, that is for
        Kraken to refuse.
        """
        if request.urgent:
            return {}
        if request.what == "submit":
            return {self._counter(request.order.instrument).name: 1.0}
        if request.what == "amend":
            cost = self._aged(request.order, AMEND_COSTS, 1)
            return {self._counter(request.order.instrument).name: float(cost)}
        return {}

    async def place(self, order: OrderSpec) -> Sequence[VenueEvent]:
        """Send a new order."""
        link = self._up()
        if order.protective:
            self._counter(order.instrument).spend(1.0, trio.current_time())
        params = orders.place(order, self._reference, self._deadline_ns(link))
        self.sent_at[order.client_order_id] = trio.current_time()
        while len(self.sent_at) > MAX_SENT:
            del self.sent_at[next(iter(self.sent_at))]
        ack = await self._ask(link, "add_order", params, order.instrument)
        added = KRAKEN.decode(_added, ack.result, "answer to add_order")
        self._executions.learn(added.order_id, order.client_order_id)
        order_id = VenueOrderId(added.order_id)
        return [OrderAccepted(order.client_order_id, order_id, self._env.clock.now_ns())]

    async def cancel(self, order: Placed) -> Sequence[VenueEvent]:
        """Send a cancel; how much was filled before it, the events tell, or a query."""
        counter = self._counter(order.instrument)
        counter.spend(self._aged(order, CANCEL_COSTS, 0), trio.current_time())
        name = order.client_order_id
        if self.link is not None:
            await self._ask(self.link, "cancel_order", orders.cancel(name), order.instrument)
            return ()
        key = "txid" if orders.is_venue_id(name) else "cl_ord_id"
        await self._rest.post("CancelOrder", {key: name}, cost=0)
        return ()

    async def amend(self, order: Placed, numbers: Numbers) -> Sequence[VenueEvent]:
        """Send new numbers."""
        link, name = self._up(), order.client_order_id
        if order.type.waits:  # urgent
            cost = self._aged(order, AMEND_COSTS, 1)
            self._counter(order.instrument).spend(cost, trio.current_time())
        params = orders.amend(name, numbers, self._deadline_ns(link))
        await self._ask(link, "amend_order", params, order.instrument)
        trailing = order.type is OrderType.TRAILING_STOP
        return [
            OrderAmended(
                name,
                numbers.quantity,
                numbers.price,
                None if trailing else numbers.trigger_price,
                self._env.clock.now_ns(),
            )
        ]

    async def cancel_all(self, instrument: InstrumentId) -> Sequence[VenueEvent]:
        """Send the cancel of all that rests in an instrument: Kraken's own would take the whole
        account, so these are batches of the ids that it says are open.
        """
        link = self._up()
        found = [report for report in await self._open_orders() if report.instrument == instrument]
        counter = self._counter(instrument)
        for start in range(0, len(found), MAX_BATCH):
            batch = found[start : start + MAX_BATCH]
            costs = [self._aged(report, CANCEL_COSTS, 0) for report in batch]
            counter.spend(sum(costs), trio.current_time())
            ids = [report.venue_order_id for report in batch]
            if len(ids) == 1:  # a batch has at least two
                await self._ask(link, "cancel_order", {"order_id": list(ids)}, instrument)
            else:
                await self._ask(link, "batch_cancel", orders.cancel_batch(ids), instrument)
        return ()

    def _up(self) -> PrivateLink:
        if self.link is None:
            raise VenueDown("Kraken: the private connection is down")
        return self.link

    def _deadline_ns(self, link: PrivateLink) -> int:
        return self._env.clock.now_ns() + link.ahead_ns + int(DEADLINE_SECS * 1e9)

    async def _ask(
        self, link: PrivateLink, method: str, params: Mapping[str, Any], instrument: InstrumentId
    ) -> Ack:
        try:
            return await link.ask(method, params)
        except VenueRefused as refused:
            if "Rate limit exceeded" in str(refused):
                self._counter(instrument).told(self._capacity, trio.current_time())
            raise
        except VenueDown as down:
            raise VenueError(str(down)) from None

    def _counter(self, instrument: InstrumentId) -> Leak:
        name = f"orders in {instrument}"
        found = self._budget.limits.get(name)
        if not isinstance(found, Leak):
            found = Leak(name, self._capacity, self._per_sec)
            self._budget.limits[name] = found
        return found

    def _aged(self, order: Placed, costs: Sequence[tuple[int, int]], old: int) -> int:
        age_secs = self._executions.age_secs(order.client_order_id)
        if age_secs is None:
            return old  # from before this process: most are older than the counter cares for
        return next((cost for secs, cost in costs if age_secs < secs), old)
