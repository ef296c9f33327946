"""The life of one order.

Theory of operation: an order is PENDING once its intent is recorded, SENT once it left for the
venue, OPEN once the venue told that it holds it. One that waits for another order's fill, or whose
trigger the runtime itself watches, is HELD until it is released: then it is PENDING like any other.
It is UNKNOWN when no outcome came in time, or when the process died meanwhile: then only the
venue's answer to a query moves it on. FILLED, CANCELLED, EXPIRED and REJECTED are the venue's words
for an end; DROPPED is ours, for an intent that provably never became an order. What happened is
looked up in `TRANSITIONS`; a pair that is not there raises `InvalidTransition` and changes nothing.
Events that may come late, twice or out of order stand there as explicit loops.

An amend changes an order's numbers and not where it stands. While one is under way the order is
counted with the larger of the two quantities.

An order that ended is `settled` only when its own fills add up to what the venue says it executed:
until then a fill is still under way and the order is kept in mind.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from trade_runtime.model.events import Fill, OrderAmended
from trade_runtime.model.ids import TradeId, VenueOrderId
from trade_runtime.model.orders import ZERO, OrderSpec, OrderType, ReportStatus, Side
from trade_runtime.model.records import AmendRequested


class OrderState(StrEnum):
    """Where an order stands."""

    HELD = "held"
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

    RELEASED = "released"
    SENT = "sent"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    AMENDED = "amended"
    FILL = "fill"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DROPPED = "dropped"


LIVE_STATES = frozenset(
    {
        OrderState.HELD,
        OrderState.PENDING,
        OrderState.SENT,
        OrderState.UNKNOWN,
        OrderState.OPEN,
    }
)
"""The states in which an order may rest, or come to rest, at the venue."""

_AWAY = (OrderState.SENT, OrderState.UNKNOWN)

CLOSING_INPUT = {
    ReportStatus.FILLED: OrderInput.FILLED,
    ReportStatus.CANCELLED: OrderInput.CANCELLED,
    ReportStatus.EXPIRED: OrderInput.EXPIRED,
    ReportStatus.REJECTED: OrderInput.REJECTED,
}


def _table() -> dict[tuple[OrderState, OrderInput], OrderState]:
    s, i = OrderState, OrderInput
    table = {
        (s.HELD, i.RELEASED): s.PENDING,
        (s.HELD, i.DROPPED): s.DROPPED,
        (s.HELD, i.AMENDED): s.HELD,  # nothing has left: the numbers are ours to change
        (s.PENDING, i.AMENDED): s.PENDING,
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
        table[state, i.AMENDED] = s.OPEN
        table[state, i.FILL] = s.OPEN
        table[state, i.FILLED] = s.FILLED
        table[state, i.CANCELLED] = s.CANCELLED
        table[state, i.EXPIRED] = s.EXPIRED
        if state is not s.OPEN:
            table[state, i.REJECTED] = s.REJECTED
    # What comes after the end changes nothing but the fills.
    for state in (s.FILLED, s.CANCELLED, s.EXPIRED):
        for what in (
            *(i.UNKNOWN, i.ACCEPTED, i.AMENDED),
            *(i.FILL, i.FILLED, i.CANCELLED, i.EXPIRED),
        ):
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
        "amending",
        "cancel_requested",
        "changed",
        "closed_filled",
        "filled",
        "id",
        "instrument",
        "is_live",
        "may_have_left",
        "notional",
        "price",
        "quantity",
        "ready",
        "reason",
        "released",
        "share",
        "share_asked",
        "spec",
        "state",
        "strategy",
        "trade_ids",
        "trigger_price",
        "venue_order_id",
        "withheld",
    )

    def __init__(self, spec: OrderSpec) -> None:
        self.spec = spec
        self.id = spec.client_order_id
        """Our id of it."""
        self.strategy = spec.strategy
        """Whose it is."""
        self.instrument = spec.instrument
        """Where it is."""
        waits_here = spec.parent is not None or spec.emulated
        self.state = OrderState.HELD if waits_here else OrderState.PENDING
        self.is_live = True
        """It rests at the venue, may, or may come to."""
        self.quantity = spec.quantity
        """What it is for now, in the base currency: amended, or released for a part."""
        self.price = spec.price
        """The limit price, if it has one."""
        self.trigger_price = spec.trigger_price
        """The trigger of an order that waits for the market; of a trailing stop the first one."""
        self.ready = ZERO
        """How much of the order that it waits for was filled: for so much it may go."""
        self.released = ZERO
        """For how much of that it was let go, or another of its group was while it was held."""
        self.share = spec.quantity
        """Of one in a group: what it is to be for, once the others' fills took its place."""
        self.share_asked = ZERO
        """What the amend that is under way changes of that: taken back where it is rejected."""
        self.changed = False
        """It was amended, or may be: how large it is in the end only the venue's word tells."""
        self.amending: AmendRequested | None = None
        """The amend that is under way."""
        self.venue_order_id: VenueOrderId | None = None
        self.filled = ZERO
        """The sum of its fills, in the base currency."""
        self.notional = ZERO
        self.withheld = ZERO
        """Of what its fills bought, what the venue kept as its fee."""
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
    def side(self) -> Side:
        """Buy or sell."""
        return self.spec.side

    @property
    def type(self) -> OrderType:
        """How it is matched."""
        return self.spec.type

    @property
    def remaining(self) -> Decimal:
        """What is not yet filled; counted in risk while the order is live."""
        return self.quantity - self.filled

    @property
    def worst_quantity(self) -> Decimal:
        """What it may be for: of an order and of the amend that is under way the larger."""
        amending = self.amending
        return self.quantity if amending is None else max(self.quantity, amending.quantity)

    @property
    def owed(self) -> Decimal:
        """By how much it is still too large for what others of its group filled."""
        return self.quantity - self.share

    @property
    def outstanding(self) -> Decimal:
        """What fills may still be told: of a live order all that may remain, of one that ended what
        the venue executed and has not told. One that waits for its parent cannot fill.
        """
        if self.is_live:
            if self.state is OrderState.HELD and not self.spec.emulated:
                return ZERO
            return self.worst_quantity - self.filled
        return max((self.closed_filled or ZERO) - self.filled, ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """The average price of its fills."""
        return self.notional / self.filled if self.filled else None

    @property
    def ended(self) -> bool:
        """The venue, or we, said that it rests no more and will not."""
        return not self.is_live

    @property
    def settled(self) -> bool:
        """It ended, and every fill of it is known, so nothing more can come of it."""
        if self.is_live or self.closed_filled is None:
            return not self.is_live and not (self.changed and self.state is OrderState.FILLED)
        return self.filled >= self.closed_filled

    def as_sent(self) -> OrderSpec:
        """Return what is to be sent: what was asked for, with the numbers that hold now.

        One that the runtime emulates is sent as what it becomes once its trigger was reached.
        """
        spec = self.spec
        if spec.emulated:
            return replace(
                spec,
                type=OrderType.MARKET if self.price is None else OrderType.LIMIT,
                quantity=self.quantity,
                price=self.price,
                trigger_price=None,
                trail=None,
            )
        if (
            self.quantity is spec.quantity
            and self.price is spec.price
            and self.trigger_price is spec.trigger_price
        ):
            return spec
        return replace(
            spec,
            quantity=self.quantity,
            price=self.price,
            trigger_price=self.trigger_price,
        )

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
        if state in _AWAY:
            self.may_have_left = True
        elif state is OrderState.OPEN and self.filled == self.worst_quantity:
            state = OrderState.FILLED  # its own fills say so; not while it may be larger by now
        self.state = state
        self.is_live = state in LIVE_STATES

    def release(self, quantity: Decimal) -> None:
        """Let an order go that was held.

        Raises:
            InvalidTransition: it is not held, or for more than was asked for.
        """
        if not 0 < quantity <= self.quantity:
            raise InvalidTransition(f"order {self.id}: released for {quantity} of {self.quantity}")
        self.apply(OrderInput.RELEASED)
        self.quantity = self.share = quantity
        self.released += quantity

    def amend(self, to: OrderAmended, *, answered: bool) -> None:
        """Take the numbers that the venue holds it with; `answered`: the amend is over.

        Raises:
            InvalidTransition: an order in this state cannot be amended; nothing was changed.
        """
        if (self.state, OrderInput.AMENDED) not in TRANSITIONS:
            raise InvalidTransition(f"order {self.id} is {self.state}: amended cannot be")
        if answered:
            self.amending = None
        if self.is_live:
            self.quantity, self.price, self.trigger_price = to.quantity, to.price, to.trigger_price
        self.apply(OrderInput.AMENDED)

    def apply_fill(self, fill: Fill) -> bool:
        """Count a fill, once: False where its trade id was counted before.

        Raises:
            InvalidTransition: an order in this state cannot fill, or it would be more than was
                asked for; nothing was changed.
        """
        if fill.trade_id in self.trade_ids:
            return False
        filled = self.filled + fill.quantity
        # A fill may be from before the venue made the order smaller.
        if filled > self.worst_quantity and filled > self.spec.quantity:
            raise InvalidTransition(
                f"order {self.id}: fill {fill.trade_id} of {fill.quantity} goes beyond"
                f" {self.worst_quantity} ({self.filled} filled before)"
            )
        state = TRANSITIONS.get((self.state, OrderInput.FILL))
        if state is None:
            raise InvalidTransition(f"order {self.id} is {self.state}: a fill cannot be")
        if state is OrderState.OPEN and filled == self.worst_quantity:
            state = OrderState.FILLED
        self.trade_ids.add(fill.trade_id)
        self.filled = filled
        self.notional += fill.price * fill.quantity
        if fill.fee_in_base:
            self.withheld += fill.fee
        self.state = state
        self.is_live = state in LIVE_STATES
        return True

    def __repr__(self) -> str:
        spec = self.spec
        at = f" at {self.price}" if self.price is not None else ""
        at += f" trigger {self.trigger_price}" if self.trigger_price is not None else ""
        return (
            f"<Order {self.id} {spec.side} {self.filled}/{self.quantity} {spec.instrument}"
            f" {spec.type}{at} {self.state}>"
        )


class OrderUpdate(msgspec.Struct, frozen=True):
    """What a strategy is told of an order of its own.

    Attributes:
        order: the order, as it now stands.
        kind: `released`, `accepted`, `rejected`, `filled` (of a part or the whole), `cancelled`,
            `expired`, `cancel_rejected`, `amended`, `amend_rejected`, `unknown` or `dropped`.
        reason: the venue's or the runtime's words for it.
        ts_ns: when, by the venue's clock where it was the venue that told.
    """

    order: Order
    kind: str
    reason: str
    ts_ns: int
