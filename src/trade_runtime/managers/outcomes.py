"""What becomes of orders: the way back from the venues, and what is overdue.

A venue's event is checked against what is known, recorded, and told to the strategy; late, double
and out of order as it may be. What has no outcome in time is UNKNOWN and is asked after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import structlog
import trio

from trade_runtime.errors import StoreError
from trade_runtime.machines.order import InvalidTransition, Order, OrderState, OrderUpdate
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName
from trade_runtime.model.records import AmendRequested, JournalEvent, OrderDropped, OrderUnknown
from trade_runtime.protocols import Clock

log = structlog.get_logger("orders")

WATCH_SECS = 0.1
"""How often overdue outcomes are looked for."""

_UNTOLD = (OrderState.SENT, OrderState.UNKNOWN, OrderState.DROPPED)
"""The states in which a venue's word that it holds an order is news."""


class OrderListener(Protocol):
    """Who is told of a strategy's orders: plain calls that never raise."""

    @property
    def hears_orders(self) -> bool:
        """Whether anybody there wants to know how orders go."""

    def on_order(self, update: OrderUpdate) -> None:
        """Learn how an order goes."""

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Learn of a fill, after the position has it."""


class Journal(Protocol):
    """Where what happens is recorded and folded: the state manager, or memory in a backtest."""

    trading: TradingState
    failed: StoreError | None
    on_durable: Callable[[int], None]

    @property
    def seq(self) -> int:
        """The number of the last record."""

    def record(self, event: JournalEvent, *, urgent: bool = False) -> Order | None:
        """Fold an event in, and record it."""


class Outcomes:
    """Takes what venues tell of orders. The order manager is one, and sends them too.

    Args:
        state: where all is recorded.
        clock: the time of day.
        time: seconds that only go forward, for what is overdue.
    """

    def __init__(self, state: Journal, clock: Clock, time: Callable[[], float] | None) -> None:
        self.trading = state.trading
        self.clock = clock
        self.listeners: dict[StrategyName, OrderListener] = {}
        self.changed = trio.lowlevel.ParkingLot()
        """Unparked after each event of an order."""
        self.on_position: Callable[[StrategyName, InstrumentId], None] = lambda s, i: None
        """Told when a position or its stops changed. Set by the protection guard."""
        self.on_moved: Callable[[Order], None] = lambda order: None
        """Told of an order that moved while others wait for it or stand for it. Set by `held`."""
        self.awaited: set[ClientOrderId] = set()
        """Orders of which `on_moved` is told too: they make way for another, or others for them."""
        self.on_booked: Callable[[], None] = lambda: None
        """Told after each fill was booked, before its strategy is. Set by the risk watch."""
        self.on_rejected: Callable[[], None] = lambda: None
        """Told after each order that a venue rejected. Set by the risk watch."""
        self.after_event: Callable[[], None] | None = None
        """Told after each event of an order, while somebody waits for one. Set by the closer."""
        self.duplicates = 0
        """Fills that a venue told more than once."""
        self.in_doubt: dict[ClientOrderId, Order] = {}
        """Orders to ask the venue about: unknown, cancelled without an answer, ended without all
        their fills."""
        self.sent_at: dict[ClientOrderId, float] = {}
        """When an order left, on trio's clock, until the venue tells anything of it."""
        self._state = state
        self._time = time
        self._ack_due: deque[tuple[float, Order]] = deque()
        self._cancel_due: deque[tuple[float, Order]] = deque()
        self._amend_due: deque[tuple[float, Order, AmendRequested]] = deque()
        self._on: dict[type, Callable[[Any, Order | None], None]] = {
            Fill: self._on_fill,
            OrderAccepted: self._on_accepted,
            OrderRejected: self._on_rejected,
            OrderClosed: self._on_closed,
            CancelRejected: self._on_cancel_rejected,
            OrderAmended: self._on_amended,
            AmendRejected: self._on_amend_rejected,
        }

    def on_event(self, event: VenueEvent) -> None:
        """Take what a venue tells: late, double and out of order as it may be."""
        order_id, trading = event.client_order_id, self.trading
        # None where it ended and is settled: this comes late.
        order = trading.orders.get(order_id)
        if order is None and not trading.is_ours(order_id):
            return  # an order placed by hand or by another program: none of our business
        try:
            self._on[type(event)](event, order)
        except InvalidTransition as error:
            log.error("The venue told what cannot be; it is ignored", error=str(error))
        if self.after_event is not None:
            self.after_event()
        if self._time is not None:  # else nothing is ever overdue, and nobody waits
            self.sent_at.pop(order_id, None)
            if self.changed:
                self.changed.unpark_all()

    def _on_fill(self, fill: Fill, order: Order | None) -> None:
        if self.trading.knows_fill(fill):
            self.duplicates += 1
            return
        assert order is not None
        self._state.record(fill)
        self.on_booked()
        self._tell(order, "filled", "", fill.ts_ns)
        listener = self.listeners.get(order.strategy)
        if listener is not None:
            listener.on_fill(fill, order)

    def _on_accepted(self, event: OrderAccepted, order: Order | None) -> None:
        if order is not None and order.state in _UNTOLD:
            back = order.state is OrderState.DROPPED
            self._state.record(event)
            if back and order.cancel_requested:  # that cancel was for nothing: once more
                self.in_doubt[order.id] = order
            self._tell(order, "accepted", "", event.ts_ns)

    def _on_rejected(self, event: OrderRejected, order: Order | None) -> None:
        if order is not None:
            self._state.record(event)
            log.warning("Order rejected", order=order.id, reason=event.reason)
            self.on_rejected()
            self._tell(order, "rejected", event.reason, event.ts_ns)

    def _on_closed(self, event: OrderClosed, order: Order | None) -> None:
        if order is None or (not order.is_live and order.closed_filled == event.filled):
            return
        before, was_settled = order.state, order.settled
        self._state.record(event)
        if not order.settled:
            self.in_doubt[order.id] = order  # a fill of it is still under way
        if order.state is not before and order.state is not OrderState.FILLED:
            self._tell(order, str(order.state), event.reason, event.ts_ns)
        elif (
            order.settled and not was_settled
        ):  # its fills were told; what waits for its end goes on
            self.on_moved(order)

    def _on_cancel_rejected(self, event: CancelRejected, order: Order | None) -> None:
        if order is not None:
            # It may rest, or may have filled: only a query tells.
            self._state.record(event)
            if order.is_live:
                self.in_doubt[order.id] = order
            self._tell(order, "cancel_rejected", event.reason, event.ts_ns)

    def _on_amended(self, event: OrderAmended, order: Order | None) -> None:
        if order is None or not order.is_live:
            return
        if order.amending is not None or not _holds(order, event):
            self._state.record(event)
            self._tell(order, "amended", "", event.ts_ns)

    def _on_amend_rejected(self, event: AmendRejected, order: Order | None) -> None:
        if order is not None and order.amending is not None:
            self._state.record(event)
            self._tell(order, "amend_rejected", event.reason, event.ts_ns)

    def _tell(self, order: Order, kind: str, reason: str, ts_ns: int) -> None:
        spec = order.spec
        if kind == "filled" or spec.protective:
            self.on_position(spec.strategy, spec.instrument)
        if (
            spec.oco
            or spec.parent is not None
            or order.id in self.trading.index.children
            or order.id in self.awaited
        ):
            self.on_moved(order)
        listener = self.listeners.get(spec.strategy)
        if listener is not None and listener.hears_orders:
            listener.on_order(OrderUpdate(order, kind, reason, ts_ns))

    def drop(self, order: Order, reason: str) -> None:
        """Note that an order never left, or never came to be, and will not."""
        self.sent_at.pop(order.id, None)
        self._state.record(OrderDropped(order.id, reason))
        self._tell(order, "dropped", reason, self.clock.now_ns())

    # --- overdue outcomes

    async def watch(self) -> None:
        """Look for outcomes that are overdue, for ever."""
        assert self._time is not None, "nothing is ever overdue"
        while True:
            await trio.sleep(WATCH_SECS)
            now = self._time()
            while self._ack_due and self._ack_due[0][0] <= now:
                order = self._ack_due.popleft()[1]
                if order.state is OrderState.SENT:
                    self.mark_unknown(order, "no outcome in time")
            while self._cancel_due and self._cancel_due[0][0] <= now:
                order = self._cancel_due.popleft()[1]
                if order.is_live:
                    self.in_doubt[order.id] = order
            while self._amend_due and self._amend_due[0][0] <= now:
                _, order, amend = self._amend_due.popleft()
                if order.is_live and order.amending is amend:
                    self.in_doubt[order.id] = order
            if self.in_doubt:
                self.changed.unpark_all()

    def mark_unknown(self, order: Order, reason: str) -> None:
        """Note that nobody here knows what became of an order; the venue will be asked."""
        self._state.record(OrderUnknown(order.id, reason))
        self.in_doubt[order.id] = order
        log.warning("Order outcome unknown: the venue is asked", order=order.id, reason=reason)
        self._tell(order, "unknown", reason, self.clock.now_ns())

    def drop_absent(self, order: Order) -> None:
        """Note that the venue never had an order, which it said when it had to know."""
        self.drop(order, "the venue does not know it")
        self.changed.unpark_all()


def _holds(order: Order, event: OrderAmended) -> bool:
    """Whether an amended order is just as it is known."""
    return (order.quantity, order.price, order.trigger_price) == (
        event.quantity,
        event.price,
        event.trigger_price,
    )
