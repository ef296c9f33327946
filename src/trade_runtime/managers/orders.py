"""OrderManager, the fourth layer: every order, from its intent to its settled end.

The way out: a strategy's call passes the risk gate and becomes an intent in the journal, by plain
calls; when the intent is durable it is sent. The way back: a venue's event is checked against what
is known, recorded, and told to the strategy. What has no outcome in time is UNKNOWN and is asked
after (`reconcile`); it is never sent again.

It closes after the strategies and before the prices: stages `cancel` and `protect`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

import attrs
import structlog
import trio

from trade_runtime.errors import OrderRefused, VenueDown
from trade_runtime.machines.limits import RiskLimits
from trade_runtime.machines.order import InvalidTransition, Order, OrderState, OrderUpdate
from trade_runtime.machines.risk import RiskGate
from trade_runtime.managers.latch import Latch
from trade_runtime.managers.prices import PriceManager
from trade_runtime.managers.state import StateManager
from trade_runtime.managers.venues import VenueManager
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
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, venue_of
from trade_runtime.model.instrument import Instrument, exact
from trade_runtime.model.orders import OrderSpec, OrderType, Side, TimeInForce
from trade_runtime.model.records import (
    CancelRequested,
    OrderDropped,
    OrderSent,
    OrderUnknown,
    StrategyStopped,
    TradingHalted,
)
from trade_runtime.protocols import Clock
from trade_runtime.settings import OrderSettings, RiskSettings

log = structlog.get_logger("orders")

WATCH_SECS = 0.1
"""How often overdue outcomes are looked for."""


class OrderListener(Protocol):
    """Who is told of a strategy's orders: plain calls that never raise."""

    def on_order(self, update: OrderUpdate) -> None:
        """Learn how an order goes."""

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Learn of a fill, after the position has it."""


class OrderManager:
    """The orders of all strategies. Made by `open_orders`."""

    def __init__(
        self,
        settings: OrderSettings,
        risk: RiskSettings,
        venues: VenueManager,
        prices: PriceManager,
        state: StateManager,
        clock: Clock,
    ) -> None:
        self.gate = RiskGate(_limits(risk), state.trading.exposure, prices)
        self.trading = state.trading
        self.venues = venues
        self.prices = prices
        self.listeners: dict[StrategyName, OrderListener] = {}
        self.changed = trio.lowlevel.ParkingLot()
        """Unparked after each event of an order."""
        self.on_position: Callable[[StrategyName, InstrumentId], None] = lambda s, i: None
        """Told when a position or its stops changed. Set by the protection guard."""
        self.on_booked: Callable[[], None] = lambda: None
        """Told after each fill was booked, before its strategy is. Set by the risk watch."""
        self.on_rejected: Callable[[], None] = lambda: None
        """Told after each order that a venue rejected. Set by the risk watch."""
        self.duplicates = 0
        """Fills that a venue told more than once."""
        self.in_doubt: dict[ClientOrderId, Order] = {}
        """Orders to ask the venue about: unknown, cancelled without an answer, ended without all
        their fills."""
        self.sent_at: dict[ClientOrderId, float] = {}
        """When an order left, on trio's clock, until the venue tells anything of it."""
        self._settings = settings
        self._state = state
        self._clock = clock
        self._unsent: deque[tuple[int, Order]] = deque()
        self._ack_due: deque[tuple[float, Order]] = deque()
        self._cancel_due: deque[tuple[float, Order]] = deque()
        state.on_durable = self.send_durable
        self.latch = Latch(self.gate, state, self.cancel)
        """Restricts trading over restarts; that of an earlier process is in force from here."""

    # --- the way out

    def place(  # noqa: PLR0913 - an order has so many sides
        self,
        strategy: StrategyName,
        instrument: InstrumentId,
        side: Side | str,
        order_type: OrderType,
        quantity: Decimal | float | int | str,
        *,
        price: Decimal | float | int | str | None = None,
        trigger_price: Decimal | float | int | str | None = None,
        tif: TimeInForce | str = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
        protective: bool = False,
    ) -> Order:
        """Take an order, or refuse it. It is sent as soon as its intent is durable.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        rules = self.instrument(instrument)
        try:
            spec = OrderSpec(
                self.trading.next_order_id(),
                strategy,
                instrument,
                Side(side),
                order_type,
                exact(quantity),
                None if price is None else exact(price),
                None if trigger_price is None else exact(trigger_price),
                TimeInForce(tif),
                post_only,
                reduce_only,
                protective,
                self._clock.now_ns(),
            )
        except ValueError as error:
            raise OrderRefused("risk", str(error)) from None
        if self._state.failed is not None:
            raise OrderRefused("halted", "the store failed: an intent could not be recorded")
        if not protective and not self.prices.is_fresh(instrument):
            raise OrderRefused("stale", f"market data of {instrument} is stale")
        if protective:
            # It may overlap with a stop that is about to be replaced, and before the halt with an
            # entry that is not filled yet.
            if self.gate.halted is not None:
                self._check_closes(spec, "halted")
        elif reduce_only:
            self._check_closes(spec, "risk")
        self.gate.check(spec, rules, self.prices.market_price(instrument, spec.side))
        connected = self.venues.connected.get(venue_of(instrument))
        if connected is None:
            raise OrderRefused("venue", f"{venue_of(instrument)} brings market data alone")
        if not connected:
            raise OrderRefused("venue", f"no connection to {venue_of(instrument)}")
        order = self._state.record(spec, urgent=True)
        assert order is not None
        self.gate.passed(spec)
        self._unsent.append((self._state.seq, order))
        return order

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """Return the rules of an instrument.

        Raises:
            OrderRefused: the configuration names no strategy that trades it.
        """
        rules = self.prices.instruments.get(instrument)
        if rules is None:
            known = ", ".join(sorted(self.prices.instruments))
            raise OrderRefused(
                "instrument", f"{instrument!r} is not traded here; there are: {known}"
            )
        return rules

    def _check_closes(self, spec: OrderSpec, reason: str) -> None:
        """Refuse an order that could do more than close the strategy's position as it is now."""
        position = self.trading.ledger.position(spec.strategy, spec.instrument).quantity
        if position * spec.side.sign >= 0 or spec.quantity > abs(position):
            kind = "a protective stop" if spec.protective else "a reduce-only order"
            raise OrderRefused(
                reason, f"{kind} to {spec.side} {spec.quantity} would go beyond the open {position}"
            )

    def send_durable(self, seq: int) -> None:
        """Send what waited for its intent to become durable, up to record `seq`."""
        unsent = self._unsent
        while unsent and unsent[0][0] <= seq:
            self._send(unsent.popleft()[1])

    def _send(self, order: Order) -> None:
        if order.state is not OrderState.PENDING:
            return
        if self.gate.halted is not None and not order.spec.protective:
            self._drop(order, "trading was halted before it was sent")
            return
        try:
            self.venues.trading[venue_of(order.instrument)].submit(order.spec)
        except VenueDown as error:
            self._drop(order, f"not sent: {error}")
            return
        self._state.record(OrderSent(order.id))
        now = self.sent_at[order.id] = trio.current_time()
        self._ack_due.append((now + self._settings.ack_timeout_secs, order))

    def _drop(self, order: Order, reason: str) -> None:
        self.sent_at.pop(order.id, None)
        self._state.record(OrderDropped(order.id, reason))
        self._tell(order, "dropped", reason, self._clock.now_ns())

    def cancel(self, order: Order, reason: str = "asked for") -> None:
        """Ask for a cancel; it is asked for again until the venue proves the order gone.

        An order that ended, or that is being cancelled, is left as it is.
        """
        if not order.is_live or order.cancel_requested:
            return
        self._state.record(CancelRequested(order.id, reason))
        self.gate.cancelled(self._clock.now_ns())
        if order.state is OrderState.PENDING:
            self._drop(order, f"cancelled before it was sent: {reason}")
        else:
            self.send_cancel(order)

    def send_cancel(self, order: Order) -> None:
        """Send a cancel, again if need be."""
        try:
            self.venues.trading[venue_of(order.instrument)].cancel(order.id)
        except VenueDown as error:
            log.warning("Cancel not sent", order=order.id, error=str(error))
        due = trio.current_time() + self._settings.ack_timeout_secs
        self._cancel_due.append((due, order))

    def halt(self, reason: str) -> None:
        """Close the gate: from here only cancels and protective orders leave."""
        if self.gate.halted is None:
            self.gate.halted = reason
            log.info("Trading is halted", reason=reason)
            self._state.record(TradingHalted(reason), urgent=True)

    def stop_strategy(self, strategy: StrategyName, outcome: str, detail: str) -> None:
        """Close the gate for one strategy and cancel its entries; its stops stay."""
        if strategy in self.gate.stopped:
            return
        self.gate.stopped[strategy] = detail or outcome
        self._state.record(StrategyStopped(strategy, outcome, detail))
        for order in self.trading.entries():
            if order.strategy == strategy:
                self.cancel(order, f"strategy {outcome}")

    # --- the way back

    def on_event(self, event: VenueEvent) -> None:
        """Take what a venue tells: late, double and out of order as it may be."""
        if not self.trading.is_ours(event.client_order_id):
            return  # an order placed by hand or by another program: none of our business
        if not isinstance(event, CancelRejected):
            self.sent_at.pop(event.client_order_id, None)
        try:
            if isinstance(event, Fill):
                self._on_fill(event)
            else:
                self._on_order_event(event)
        except InvalidTransition as error:
            log.error("The venue told what cannot be; it is ignored", error=str(error))
        finally:
            self.changed.unpark_all()

    def _on_fill(self, fill: Fill) -> None:
        if self.trading.knows_fill(fill):
            self.duplicates += 1
            return
        order = self._state.record(fill)
        assert order is not None
        self.on_booked()
        self._tell(order, "filled", "", fill.ts_ns)
        listener = self.listeners.get(order.strategy)
        if listener is not None:
            listener.on_fill(fill, order)

    def _on_order_event(
        self,
        event: OrderAccepted
        | OrderRejected
        | OrderClosed
        | CancelRejected
        | OrderAmended
        | AmendRejected,
    ) -> None:
        order = self.trading.orders.get(event.client_order_id)
        if order is None:
            return  # it ended and is settled: this came late
        before = order.state
        if isinstance(event, OrderAccepted):
            if before not in (OrderState.SENT, OrderState.UNKNOWN, OrderState.DROPPED):
                return
            self._state.record(event)
            self._tell(order, "accepted", "", event.ts_ns)
        elif isinstance(event, OrderRejected):
            self._state.record(event)
            log.warning("Order rejected", order=order.id, reason=event.reason)
            self.on_rejected()
            self._tell(order, "rejected", event.reason, event.ts_ns)
        elif isinstance(event, OrderClosed):
            if not order.is_live and order.closed_filled == event.filled:
                return
            self._state.record(event)
            if not order.settled:
                self.in_doubt[order.id] = order  # a fill of it is still under way
            if order.state is not before and order.state is not OrderState.FILLED:
                self._tell(order, str(order.state), event.reason, event.ts_ns)
        elif isinstance(event, CancelRejected):
            # It may rest, or may have filled: only a query tells.
            self._state.record(event)
            if order.is_live:
                self.in_doubt[order.id] = order
            self._tell(order, "cancel_rejected", event.reason, event.ts_ns)

    def _tell(self, order: Order, kind: str, reason: str, ts_ns: int) -> None:
        if kind == "filled" or order.spec.protective:
            self.on_position(order.strategy, order.instrument)
        listener = self.listeners.get(order.strategy)
        if listener is not None:
            listener.on_order(OrderUpdate(order, kind, reason, ts_ns))

    # --- overdue outcomes

    async def watch(self) -> None:
        """Look for outcomes that are overdue, for ever."""
        while True:
            await trio.sleep(WATCH_SECS)
            now = trio.current_time()
            while self._ack_due and self._ack_due[0][0] <= now:
                order = self._ack_due.popleft()[1]
                if order.state is OrderState.SENT:
                    self.mark_unknown(order, "no outcome in time")
            while self._cancel_due and self._cancel_due[0][0] <= now:
                order = self._cancel_due.popleft()[1]
                if order.is_live:
                    self.in_doubt[order.id] = order
            if self.in_doubt:
                self.changed.unpark_all()

    def mark_unknown(self, order: Order, reason: str) -> None:
        """Note that nobody here knows what became of an order; the venue will be asked."""
        self._state.record(OrderUnknown(order.id, reason))
        self.in_doubt[order.id] = order
        log.warning("Order outcome unknown: the venue is asked", order=order.id, reason=reason)
        self._tell(order, "unknown", reason, self._clock.now_ns())

    def drop_absent(self, order: Order) -> None:
        """Note that the venue never had an order, which it said when it had to know."""
        self._drop(order, "the venue does not know it")
        self.changed.unpark_all()


def _limits(risk: RiskSettings) -> RiskLimits:
    names = [field.name for field in attrs.fields(RiskLimits)]
    return RiskLimits(**{name: getattr(risk, name) for name in names})
