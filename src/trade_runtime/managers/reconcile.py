"""Reconcile: what the journal says against what the venue says, and the venue is right.

It runs when a private connection has come up (so also at the start, before any strategy), every
`reconcile_secs`, and at once for orders in doubt. Doing it twice changes nothing: fills are merged
by their ids, and every other event that brings no news is ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog
import trio

from trade_runtime.errors import VenueError
from trade_runtime.machines.claims import placed
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.managers.account import FILL_LOOKBACK_NS, Account, ask, stranger
from trade_runtime.managers.foreign import ForeignKeeper
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.venue_tables import ForeignOrders
from trade_runtime.model.events import (
    AmendRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
)
from trade_runtime.model.ids import ClientOrderId, VenueName, VenueOrderId, venue_of
from trade_runtime.model.orders import OrderReport, OrderType, ReportStatus
from trade_runtime.protocols import Clock, Venue
from trade_runtime.settings import OrderSettings

log = structlog.get_logger("reconcile")

T = TypeVar("T")

DOUBT_RETRY_SECS = 0.25
MAX_DOUBT_RETRY_SECS = 2.0
"""How soon an order in doubt is asked about again: at first, and after `QUICK_TRIES` twice as long
each time, up to this. Each question is counted by the venue; who asks too often is shut out.
"""

QUICK_TRIES = 8

LOOKS = 3
"""How often in a row a difference has to be found to be one."""

_PASSIVE_TYPES = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)


class Reconciler:
    """Asks one venue, and books what it says.

    Args:
        name: of the venue.
        venue: the venue.
        account: what it says of that, too.
        orders: where what it says goes.
        settings: how often.
        clock: for events that a query brings.
        policy: what becomes of orders of others.
    """

    def __init__(
        self,
        name: VenueName,
        venue: Venue,
        account: Account,
        orders: OrderManager,
        settings: OrderSettings,
        clock: Clock,
        policy: ForeignOrders = "leave",
    ) -> None:
        self.ready = trio.Event()
        """Once since the start, nothing was in doubt: they agree, or it is known where not."""
        self.unexplained: list[str] = []
        """Why it is not safe to trade: what the venue said at the start, and nothing explains."""
        self.foreign: dict[str, OrderReport] = {}
        """Orders on this account that are not ours, as of the last reconcile."""
        self.keeper = ForeignKeeper(name, venue, orders, clock, policy)
        """Sees to them."""
        self.repeats = True
        """A cancel of what still rests is sent again; false while somebody else sees to it."""
        self._name = name
        self._venue = venue
        self._account = account
        self._orders = orders
        self._settings = settings
        self._clock = clock
        self._done = 0
        self._seen = 0
        self._wanted = trio.Event()
        self._opened_at = trio.current_time()

    def connected(self) -> None:
        """The private connection has come up: something may have been missed."""
        self._wanted.set()

    async def run(self) -> None:
        """Reconcile when wanted and from time to time, for ever.

        Raises:
            VenueError: the venue did not answer. Who supervises this calls again.
        """
        tries = 0
        while True:
            with trio.move_on_after(self._settings.reconcile_secs):
                await self._wanted.wait()
            # Renewed before the first question: a connection that comes up while the answers are
            # under way may have missed what they lack, and is asked about once more.
            self._wanted = trio.Event()
            try:
                await self.reconcile()
                agree = self.ready.is_set() or await self._explain()
            except VenueError:
                self._wanted.set()
                raise
            self._done += 1
            if agree:
                tries = 0
                await self._account.note_balances()
                self.ready.set()
            else:
                self._wanted.set()
                tries += 1
                await trio.sleep(_pause_secs(tries))

    async def _explain(self) -> bool:
        """See whether all that the venue says is explained; return whether that is settled.

        A fill between two answers of the venue is no difference: only what is the same in several
        looks, while nothing filled, counts.

        Raises:
            VenueError: the venue did not answer.
        """
        trading = self._orders.trading
        if self._unknown():
            return False
        before = trading.fills
        held = await self._account.positions()
        strange = self._account.strange(await self._book_fills())
        found = [stranger(fill) for fill in strange]
        if held is not None:
            found += await self._account.changed(held, strange)
        if trading.fills != before or self._unknown():
            return False
        if found:
            self._seen = self._seen + 1 if found == self.unexplained else 1
            self.unexplained = found
            return self._seen >= LOOKS
        self.unexplained = []
        if held is not None:
            self._account.agreed(self._account.beyond(held))
        log.info("Journal and venue agree", venue=self._name)
        return True

    async def note_balances(self) -> None:
        """Record what the venue says of balances, where it is new."""
        await self._account.note_balances()

    def worked(self) -> bool:
        """Whether a reconcile has succeeded since this was last asked."""
        done, self._done = self._done, 0
        return done > 0

    async def settle_doubts(self) -> None:
        """Ask about orders in doubt until none is, for ever.

        Raises:
            VenueError: the venue did not answer. Who supervises this calls again.
        """
        tries, asked = 0, set[ClientOrderId]()
        while True:
            while not self._doubtful():
                await self._orders.changed.park()
            doubtful = self._doubtful()
            await self.ask_about(doubtful)
            fresh = {order.id for order in doubtful} - asked
            asked = {order.id for order in self._doubtful()}
            tries = 1 if fresh else tries + 1
            if asked:
                await trio.sleep(DOUBT_RETRY_SECS)
                with trio.move_on_after(_pause_secs(tries) - DOUBT_RETRY_SECS):
                    while {order.id for order in self._doubtful()} <= asked:
                        await self._orders.changed.park()

    async def reconcile(self) -> list[OrderReport]:
        """Book what the venue says of fills and orders; return what rests there of ours.

        Raises:
            VenueError: it did not answer in time, or its answer made no sense.
        """
        await self._book_fills()
        reports = await self._query(self._venue.open_orders)
        ours: list[OrderReport] = []
        self.foreign = {}
        trading = self._orders.trading
        lacking = False
        for report in reports:
            order = trading.orders.get(report.client_order_id)
            if order is not None:
                ours.append(report)
                self._book(order, report)
                lacking = lacking or report.filled > order.filled
            elif not trading.is_ours(report.client_order_id):
                self.foreign[report.client_order_id] = report
            else:
                ours.append(report)
                self._unclaimed(report)
        taken = await self.keeper.see_to(self.foreign)
        for report in taken:
            del self.foreign[report.client_order_id]
        ours += taken
        if lacking or taken:
            await self._book_fills()
        resting = {report.client_order_id for report in reports}
        absent = [
            order
            for order in trading.orders.values()
            if venue_of(order.instrument) == self._name
            and order.id not in resting
            and order.state not in (OrderState.HELD, OrderState.PENDING, OrderState.SENT)
        ]
        await self.ask_about(absent)
        return ours

    async def ask_about(self, orders: Sequence[Order]) -> None:
        """Ask for each order by its id, and fetch fills that it lacks.

        Raises:
            VenueError: the venue did not answer in time, or its answer made no sense.
        """
        for order in orders:
            if order.is_live or (order.closed_filled is None and not order.settled):
                asked_at = trio.current_time()
                report = await self._query(partial(self._venue.order, placed(order)))
                if report is None:
                    self._absent(order, asked_at)
                else:
                    self._book(order, report)
        if any(order.ended and not order.settled for order in orders):
            await self._book_fills()
        for order in orders:
            if order.ended and not order.settled:
                self._orders.in_doubt[order.id] = order

    def _book(self, order: Order, report: OrderReport) -> None:
        now = self._clock.now_ns()
        before = order.state
        venue_id = VenueOrderId(report.venue_order_id)
        if report.status is ReportStatus.OPEN:
            self._orders.on_event(OrderAccepted(order.id, venue_id, now))
            self._book_numbers(order, report, now)
            if order.cancel_requested and self.repeats:
                self._orders.send_cancel(order)
        elif report.status is ReportStatus.REJECTED:
            self._orders.on_event(OrderRejected(order.id, report.reason, now))
        else:
            self._orders.on_event(
                OrderClosed(order.id, report.status, report.filled, now, report.reason)
            )
        if order.state is not before:
            log.info("Order resolved", order=order.id, was=str(before), now=str(order.state))

    def _book_numbers(self, order: Order, report: OrderReport, now_ns: int) -> None:
        """Take the quantity and the prices that the venue holds an order with."""
        trigger = report.trigger_price
        if order.type is OrderType.TRAILING_STOP or order.spec.emulated:
            # It follows the market, and tells nobody; or it was watched here, and the venue knows
            # only what the order became.
            trigger = order.trigger_price
        amending = order.amending
        held = report.quantity, report.price, trigger
        if amending is not None and held == (order.quantity, order.price, order.trigger_price):
            if order.id in self._orders.in_doubt:  # it had its time
                self._orders.on_event(AmendRejected(order.id, "the venue did not amend", now_ns))
            return
        self._orders.on_event(OrderAmended(order.id, *held, now_ns))

    def _absent(self, order: Order, asked_at: float) -> None:
        if order.state is OrderState.OPEN:
            log.error("The venue lost an order that it had accepted", order=order.id)
        elif asked_at - self._orders.sent_at.get(order.id, self._opened_at) >= (
            self._venue.settle_secs
        ):
            # Asked any sooner after the submit, or after the start (the last process may have sent
            # it with its last breath), the order may still have been on its way.
            self._orders.drop_absent(order)

    def _unclaimed(self, report: OrderReport) -> None:
        # The id is ours, the order is not in mind: it ended for us, or its intent was lost with the
        # power. A stop may be what protects a position; anything else must not rest unowned.
        log.error("An order rests that we do not own", order=report.client_order_id)
        if report.type not in _PASSIVE_TYPES:
            self._venue.cancel(report)

    async def _book_fills(self) -> Sequence[Fill]:
        last = self._orders.trading.last_fill_ns.get(self._name, 0)
        fills = await self._query(partial(self._venue.fills, max(last - FILL_LOOKBACK_NS, 0)))
        for fill in fills:
            self._orders.on_event(fill)
        return fills

    def _doubtful(self) -> list[Order]:
        doubts = self._orders.in_doubt
        for order in list(doubts.values()):
            asked = order.cancel_requested or order.amending is not None
            if order.settled or (order.state is OrderState.OPEN and not asked):
                del doubts[order.id]
        return [o for o in doubts.values() if venue_of(o.instrument) == self._name]

    def _unknown(self) -> bool:
        return any(
            order.state is OrderState.UNKNOWN or (order.ended and not order.settled)
            for order in self._orders.trading.orders.values()
            if venue_of(order.instrument) == self._name
        )

    async def _query(self, query: Callable[[], Awaitable[T]]) -> T:
        return await ask(self._name, query)


def _pause_secs(tries: int) -> float:
    """Return how long to wait after so many tries in a row."""
    doublings = min(max(tries - QUICK_TRIES, 0), 10)
    return min(DOUBT_RETRY_SECS * float(2**doublings), MAX_DOUBT_RETRY_SECS)
