"""The life of one order.

Theory of operation: an order is PENDING once its intent is recorded, SENT once it left for the
venue, OPEN once the venue told that it holds it. It is UNKNOWN when no outcome came in time, or
when the process died meanwhile: then only the venue's answer to a query moves it on. FILLED,
CANCELLED, EXPIRED and REJECTED are the venue's words for an end; DROPPED is ours, for an intent
that provably never became an order. What happened is looked up in `TRANSITIONS`; a pair that is not
there raises `InvalidTransition` and changes nothing. Events that may come late, twice or out of
order stand there as explicit loops.

An order that ended is `settled` only when its own fills add up to what the venue says it executed:
until then a fill is still under way and the order is kept in mind.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import attrs

from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, TradeId, VenueOrderId
from trade_runtime.model.orders import ZERO, OrderSpec, OrderType, ReportStatus, Side


class OrderState(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    SENT = "sent"
    UNKNOWN = "unknown"
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DROPPED = "dropped"


class OrderInput(StrEnum):
    """What can happen to an order."""

    SENT = "sent"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    FILL = "fill"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DROPPED = "dropped"


LIVE_STATES = frozenset({OrderState.PENDING, OrderState.SENT, OrderState.UNKNOWN, OrderState.OPEN})
"""The states in which an order may rest, or come to rest, at the venue."""

CLOSING_INPUT = {
    ReportStatus.FILLED: OrderInput.FILLED,
    ReportStatus.CANCELLED: OrderInput.CANCELLED,
    ReportStatus.EXPIRED: OrderInput.EXPIRED,
    ReportStatus.REJECTED: OrderInput.REJECTED,
}


def _table() -> dict[tuple[OrderState, OrderInput], OrderState]:
    s, i = OrderState, OrderInput
    table = {
        (s.PENDING, i.SENT): s.SENT,
        (s.PENDING, i.UNKNOWN): s.UNKNOWN,  # the process died with the intent in hand
        (s.PENDING, i.DROPPED): s.DROPPED,
        (s.SENT, i.UNKNOWN): s.UNKNOWN,
        (s.SENT, i.DROPPED): s.DROPPED,
        (s.UNKNOWN, i.UNKNOWN): s.UNKNOWN,
        (s.UNKNOWN, i.DROPPED): s.DROPPED,
        (s.OPEN, i.UNKNOWN): s.OPEN,  # the timeout crossed the acknowledgement
        (s.REJECTED, i.REJECTED): s.REJECTED,
        (s.DROPPED, i.DROPPED): s.DROPPED,
        (s.DROPPED, i.UNKNOWN): s.DROPPED,
    }
    # The venue's word moves every order that may be there, also one that we had given up.
    for state in (s.SENT, s.UNKNOWN, s.OPEN, s.DROPPED):
        table[state, i.ACCEPTED] = s.OPEN
        table[state, i.FILL] = s.OPEN
        table[state, i.FILLED] = s.FILLED
        table[state, i.CANCELLED] = s.CANCELLED
        table[state, i.EXPIRED] = s.EXPIRED
        if state is not s.OPEN:
            table[state, i.REJECTED] = s.REJECTED
    # What comes after the end changes nothing but the fills.
    for state in (s.FILLED, s.CANCELLED, s.EXPIRED):
        for what in (i.UNKNOWN, i.ACCEPTED, i.FILL, i.FILLED, i.CANCELLED, i.EXPIRED):
            table[state, what] = state
    return table


TRANSITIONS = _table()


class InvalidTransition(ValueError):
    """The event cannot happen to an order in this state; nothing was changed."""


class Order:
    """An order: what was asked for, and where it stands. Strategies hold it and read it.

    It changes under the reader's hands as events come in; only the runtime calls `apply`.
    """

    __slots__ = (
        "cancel_requested",
        "closed_filled",
        "filled",
        "may_have_left",
        "notional",
        "reason",
        "spec",
        "state",
        "trade_ids",
        "venue_order_id",
    )

    def __init__(self, spec: OrderSpec) -> None:
        self.spec = spec
        self.state = OrderState.PENDING
        self.venue_order_id: VenueOrderId | None = None
        self.filled = ZERO
        """The sum of its fills, in the base currency."""
        self.notional = ZERO
        """The sum of price times quantity over its fills, in the quote currency."""
        self.closed_filled: Decimal | None = None
        """What the venue says it executed in all; None until it ended."""
        self.may_have_left = False
        """It was sent, or nobody knows that it was not: the venue may yet tell of it."""
        self.cancel_requested = False
        self.reason = ""
        """Why it was rejected, cancelled, dropped, or is unknown."""
        self.trade_ids: set[TradeId] = set()

    @property
    def id(self) -> ClientOrderId:
        """Our id of it."""
        return self.spec.client_order_id

    @property
    def strategy(self) -> StrategyName:
        """Whose it is."""
        return self.spec.strategy

    @property
    def instrument(self) -> InstrumentId:
        """Where it is."""
        return self.spec.instrument

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return self.spec.side

    @property
    def type(self) -> OrderType:
        """How it is matched."""
        return self.spec.type

    @property
    def quantity(self) -> Decimal:
        """What was asked for, in the base currency."""
        return self.spec.quantity

    @property
    def price(self) -> Decimal | None:
        """The limit price, if it has one."""
        return self.spec.price

    @property
    def trigger_price(self) -> Decimal | None:
        """The trigger of a stop."""
        return self.spec.trigger_price

    @property
    def remaining(self) -> Decimal:
        """What is not yet filled; counted in risk while the order is live."""
        return self.spec.quantity - self.filled

    @property
    def outstanding(self) -> Decimal:
        """What fills may still be told: of a live order all that remains, of one that ended what
        the venue executed and has not told.
        """
        if self.is_live:
            return self.remaining
        return max((self.closed_filled or ZERO) - self.filled, ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """The average price of its fills."""
        return self.notional / self.filled if self.filled else None

    @property
    def is_live(self) -> bool:
        """It rests at the venue, may, or may come to."""
        return self.state in LIVE_STATES

    @property
    def ended(self) -> bool:
        """The venue, or we, said that it rests no more and will not."""
        return self.state not in LIVE_STATES

    @property
    def settled(self) -> bool:
        """It ended, and every fill of it is known, so nothing more can come of it."""
        return self.ended and (self.closed_filled is None or self.filled >= self.closed_filled)

    def apply(self, what: OrderInput, *, reason: str = "", filled: Decimal | None = None) -> None:
        """Move on by `TRANSITIONS`.

        Args:
            what: what happened.
            reason: the venue's or our words for it.
            filled: with an end, the venue's cumulative executed quantity.

        Raises:
            InvalidTransition: the table does not know it; nothing was changed.
        """
        try:
            state = TRANSITIONS[self.state, what]
        except KeyError:
            raise InvalidTransition(f"order {self.id} is {self.state}: {what} cannot be") from None
        if filled is not None:
            self.closed_filled = max(filled, self.closed_filled or ZERO)
        if reason and state is not self.state:
            self.reason = reason
        self.state = state
        if state in (OrderState.SENT, OrderState.UNKNOWN):
            self.may_have_left = True
        # The venue closed it as executed in full, or its own fills say so.
        if state is OrderState.OPEN and self.filled >= self.spec.quantity:
            self.state = OrderState.FILLED

    def apply_fill(self, fill: Fill) -> bool:
        """Count a fill, once: False where its trade id was counted before.

        Raises:
            InvalidTransition: an order in this state cannot fill, or it would be more than was
                asked for; nothing was changed.
        """
        if fill.trade_id in self.trade_ids:
            return False
        if self.filled + fill.quantity > self.spec.quantity:
            raise InvalidTransition(
                f"order {self.id}: fill {fill.trade_id} of {fill.quantity} goes beyond"
                f" {self.spec.quantity} ({self.filled} filled before)"
            )
        if (self.state, OrderInput.FILL) not in TRANSITIONS:
            raise InvalidTransition(f"order {self.id} is {self.state}: a fill cannot be")
        self.trade_ids.add(fill.trade_id)
        self.filled += fill.quantity
        self.notional += fill.price * fill.quantity
        self.apply(OrderInput.FILL)
        return True

    def __repr__(self) -> str:
        spec = self.spec
        at = f" at {spec.price}" if spec.price is not None else ""
        at += f" trigger {spec.trigger_price}" if spec.trigger_price is not None else ""
        return (
            f"<Order {self.id} {spec.side} {self.filled}/{spec.quantity} {spec.instrument}"
            f" {spec.type}{at} {self.state}>"
        )


@attrs.frozen
class OrderUpdate:
    """What a strategy is told of an order of its own.

    Attributes:
        order: the order, as it now stands.
        kind: `accepted`, `rejected`, `filled` (of a part or the whole), `cancelled`, `expired`,
            `cancel_rejected`, `unknown` or `dropped`.
        reason: the venue's or the runtime's words for it.
        ts_ns: when, by the venue's clock where it was the venue that told.
    """

    order: Order
    kind: str
    reason: str
    ts_ns: int
