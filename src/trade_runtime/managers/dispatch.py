"""What leaves for the venues: orders whose intent is durable, amends, and cancels, asked for again.

Between the steering of trading and the order manager, which takes orders. An order is sent once, as
soon as its record is durable; a cancel as often as it takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace

from trade_runtime.errors import OrderRefused, StoreFenced, VenueDown
from trade_runtime.machines.claims import placed
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.machines.risk import RiskGate
from trade_runtime.managers.outcomes import Journal
from trade_runtime.managers.steering import Steering
from trade_runtime.managers.venues import Venues
from trade_runtime.model.events import AmendRejected
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.orders import TimeInForce
from trade_runtime.model.records import AmendRequested, CancelRequested, OrderSent
from trade_runtime.protocols import CancelsAll, Clock
from trade_runtime.settings import OrderSettings

log = structlog.get_logger("orders")


class Dispatch(Steering):
    """Sends what was decided. The order manager is one.

    Args:
        settings: when an outcome is overdue.
        venues: where orders go.
        gate: what every order has to pass.
        state: where all is recorded.
        clock: the time of day.
        time: seconds that only go forward, for what is overdue.
    """

    def __init__(
        self,
        settings: OrderSettings,
        venues: Venues,
        gate: RiskGate,
        state: Journal,
        clock: Clock,
        time: Callable[[], float] | None,
    ) -> None:
        super().__init__(gate, state, clock, time)
        self.venues = venues
        self.unsent: deque[tuple[int, Order]] = deque()
        """What waits until its record, of that number, is durable."""
        self.swept: set[InstrumentId] = set()
        """Where all that rests is being cancelled by one request: a stop-loss that came there now
        might be taken along."""
        self._settings = settings
        state.on_durable = self.send_durable

    @property
    def taken_over(self) -> bool:
        """Another runtime owns the journal now, and with it the orders: nothing of ours leaves any
        more, no cancel either, since what rests is the other's.
        """
        return isinstance(self._state.failed, StoreFenced)

    def send_durable(self, seq: int) -> None:
        """Send what waited for its intent to become durable, up to record `seq`."""
        unsent = self.unsent
        while unsent and unsent[0][0] <= seq:
            self._send(unsent.popleft()[1])

    def _send(self, order: Order) -> None:
        if order.state is not OrderState.PENDING:
            if order.amending is not None and order.is_live:
                self._send_amend(order, order.amending)
            return
        if self.gate.halted is not None and not order.spec.protective:
            self.drop(order, "trading was halted before it was sent")
            return
        spec, venue = order.as_sent(), self.venues.trading_in(order.instrument)
        if spec.tif is TimeInForce.GTD and TimeInForce.GTD not in venue.capabilities.tifs:
            spec = replace(spec, tif=TimeInForce.GTC, expire_ns=0)  # it is ended from here
        if spec.oco and not venue.capabilities.oco:
            spec = replace(spec, oco="")  # its group is seen to from here
        try:
            venue.submit(spec)
        except VenueDown as error:
            self.drop(order, f"not sent: {error}")
            return
        self._state.record(OrderSent(order.id))
        if self._time is not None:
            now = self.sent_at[order.id] = self._time()
            self._ack_due.append((now + self._settings.ack_timeout_secs, order))

    def _send_amend(self, order: Order, amend: AmendRequested) -> None:
        if self.taken_over:
            return
        try:
            if self.gate.halted is not None and not order.spec.protective:
                raise OrderRefused("halted", "trading is halted")
            self.venues.trading_in(order.instrument).amend(
                order.spec,
                quantity=amend.quantity,
                price=amend.price,
                trigger_price=amend.trigger_price,
            )
        except (OrderRefused, VenueDown) as error:
            self.on_event(AmendRejected(order.id, f"not sent: {error}", self.clock.now_ns()))
            return
        if self._time is not None:
            due = self._time() + self._settings.ack_timeout_secs
            self._amend_due.append((due, order, amend))

    def cancel(self, order: Order, reason: str = "asked for") -> None:
        """Ask for a cancel; it is asked for again until the venue proves the order gone.

        An order that ended, or that is being cancelled, is left as it is.
        """
        if not order.is_live or order.cancel_requested:
            return
        self._state.record(CancelRequested(order.id, reason))
        self.gate.cancelled(self.clock.now_ns())
        if order.state in (OrderState.HELD, OrderState.PENDING):
            self.drop(order, f"cancelled before it was sent: {reason}")
        else:
            self.send_cancel(order)

    def send_cancel(self, order: Order) -> None:
        """Send a cancel, again if need be."""
        if self.taken_over:
            return
        try:
            self.venues.trading_in(order.instrument).cancel(placed(order))
        except VenueDown as error:
            log.warning("Cancel not sent", order=order.id, error=str(error))
        self._expect_cancel(order)

    def cancel_together(self, orders: Sequence[Order], reason: str) -> None:
        """Cancel all that rests in one instrument by one request.

        Args:
            orders: of that instrument, at a venue that `CancelsAll`; who calls has seen that
                nothing else rests there.
            reason: in words, for the journal.
        """
        if self.taken_over:
            return
        for order in orders:
            if order.is_live and not order.cancel_requested:
                self._state.record(CancelRequested(order.id, reason))
                self.gate.cancelled(self.clock.now_ns())
            self._expect_cancel(order)
        venue = self.venues.trading_in(orders[0].instrument)
        assert isinstance(venue, CancelsAll)
        self.swept.add(orders[0].instrument)
        try:
            venue.cancel_all(placed(orders[0]))
        except VenueDown as error:
            log.warning("Cancel not sent", orders=len(orders), error=str(error))

    def _expect_cancel(self, order: Order) -> None:
        if self._time is not None:
            due = self._time() + self._settings.ack_timeout_secs
            self._cancel_due.append((due, order))
