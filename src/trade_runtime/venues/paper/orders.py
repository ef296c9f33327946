"""An order while it lives at the exchange, and the row that the record keeps of it.

A `PaperOrder` is the request that came, and what changed since. `OrderRow` is frozen and is what is
stored and restored; it is made only when something is written. Only live orders exist as
`PaperOrder`, so memory is bounded by their number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, VenueOrderId
from trade_runtime.model.orders import (
    ZERO,
    OrderReport,
    OrderSpec,
    OrderType,
    ReportStatus,
    Side,
    TimeInForce,
)


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """What the record keeps of an order.

    Attributes:
        client_order_id: the owner's id; used once in the whole life of the venue.
        venue_order_id: the exchange's id.
        instrument: where.
        side: buy or sell.
        type: how it is matched.
        status: where it stands.
        quantity: what it is for now.
        filled: what was executed.
        price: limit price, or None.
        trigger_price: where a waiting order wakes, or None; of a trailing stop where it now stands.
        tif: how long it rests.
        post_only: it was to make, never to take.
        reduce_only: as asked; see the reference for what it means on a spot account.
        triggered: it waited, and woke.
        locked: what is locked for it of the account's funds; the orders of an OCO group each say
            what is locked for all of them.
        reason: why it was rejected or expired.
        created_ns: when it arrived, exchange time.
        updated_ns: when it last changed.
        seq: the number of its `submit` in the history.
        expire_ns: when a GTD order ends, or 0.
        trail: how far behind the market a trailing stop follows, or None.
        oco: its group, or nothing.
        priority: time priority goes by it; that of its arrival, or of an amend that lost it.
        ahead: what is queued before it at its price, or None where that is not known or not kept.
    """

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    instrument: InstrumentId
    side: Side
    type: OrderType
    status: ReportStatus
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    tif: TimeInForce
    post_only: bool
    reduce_only: bool
    triggered: bool
    locked: Decimal
    reason: str
    created_ns: int
    updated_ns: int
    seq: int
    expire_ns: int = 0
    trail: Decimal | None = None
    oco: str = ""
    priority: int = 0
    ahead: Decimal | None = None

    def report(self) -> OrderReport:
        """Return the exchange's answer to a query of this order."""
        return OrderReport(
            client_order_id=self.client_order_id,
            venue_order_id=self.venue_order_id,
            instrument=self.instrument,
            side=self.side,
            type=self.type,
            status=self.status,
            quantity=self.quantity,
            filled=self.filled,
            price=self.price,
            trigger_price=self.trigger_price,
            reason=self.reason,
        )


class PaperOrder:
    """A live order: `spec` is what was asked for, the rest as in `OrderRow`."""

    __slots__ = (
        "ahead",
        "created_ns",
        "filled",
        "locked",
        "price",
        "priority",
        "quantity",
        "reason",
        "seq",
        "side",
        "spec",
        "status",
        "trigger_price",
        "triggered",
        "updated_ns",
        "venue_order_id",
        "waits_for_trigger",
    )

    def __init__(self, spec: OrderSpec, seq: int, ts_ns: int) -> None:
        self.spec = spec
        self.side = spec.side
        self.quantity = spec.quantity
        self.price = spec.price
        self.trigger_price = spec.trigger_price
        self.filled = ZERO
        self.status = ReportStatus.OPEN
        self.triggered = False
        self.waits_for_trigger = spec.type.waits
        """It has not woken yet."""
        self.locked = ZERO
        self.reason = ""
        self.created_ns = self.updated_ns = ts_ns
        self.seq = self.priority = seq
        self.venue_order_id = VenueOrderId(str(seq))
        self.ahead: Decimal | None = None

    @classmethod
    def restored(cls, row: OrderRow) -> PaperOrder:
        """Return a live order as the record has it."""
        spec = OrderSpec(
            row.client_order_id,
            StrategyName(""),
            row.instrument,
            row.side,
            row.type,
            row.quantity,
            row.price,
            row.trigger_price,
            row.tif,
            row.post_only,
            row.reduce_only,
            created_ns=row.created_ns,
            expire_ns=row.expire_ns,
            trail=row.trail,
            oco=row.oco,
        )
        order = cls(spec, row.seq, row.created_ns)
        order.filled, order.locked, order.reason = row.filled, row.locked, row.reason
        order.updated_ns, order.priority, order.ahead = row.updated_ns, row.priority, row.ahead
        if row.triggered:
            order.wake()
        return order

    @property
    def client_order_id(self) -> ClientOrderId:
        """The owner's id."""
        return self.spec.client_order_id

    @property
    def instrument(self) -> InstrumentId:
        """Where it is."""
        return self.spec.instrument

    @property
    def remaining(self) -> Decimal:
        """What is still to be executed."""
        return self.quantity - self.filled

    @property
    def live(self) -> bool:
        """It has not been filled, cancelled, rejected or expired."""
        return self.status is ReportStatus.OPEN

    @property
    def takes_profit(self) -> bool:
        """It wakes when the market moves in its favour."""
        return self.spec.type.takes_profit

    @property
    def trail(self) -> Decimal | None:
        """How far behind the market its trigger follows, while it waits."""
        return self.spec.trail if self.waits_for_trigger else None

    def wake(self) -> None:
        """Its trigger was reached: from now on it is matched."""
        self.triggered, self.waits_for_trigger = True, False

    def row(self) -> OrderRow:
        """Return the order as it stands now."""
        spec = self.spec
        return OrderRow(
            spec.client_order_id,
            self.venue_order_id,
            spec.instrument,
            spec.side,
            spec.type,
            self.status,
            self.quantity,
            self.filled,
            self.price,
            self.trigger_price,
            spec.tif,
            spec.post_only,
            spec.reduce_only,
            self.triggered,
            self.locked,
            self.reason,
            self.created_ns,
            self.updated_ns,
            self.seq,
            spec.expire_ns,
            spec.trail,
            spec.oco,
            self.priority,
            self.ahead,
        )

    def report(self) -> OrderReport:
        """Return the exchange's answer to a query of this order."""
        return self.row().report()


class Position(msgspec.Struct, frozen=True, gc=False):
    """What an account holds of a contract: below 0 what it has sold; its price 0 where flat."""

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO


def text_of(number: Decimal | None) -> str | None:
    """Return a number as people and other programs read it: never with an exponent."""
    return None if number is None else f"{number:f}"


def detail_of(spec: OrderSpec) -> dict[str, Any]:
    """Return what the history says of a request for an order; what is not usual is left out."""
    detail: dict[str, Any] = {
        "instrument": spec.instrument,
        "side": str(spec.side),
        "type": str(spec.type),
        "quantity": text_of(spec.quantity),
        "price": text_of(spec.price),
        "trigger_price": text_of(spec.trigger_price),
        "tif": str(spec.tif),
        "post_only": spec.post_only,
        "reduce_only": spec.reduce_only,
    }
    if spec.expire_ns:
        detail["expire_ns"] = str(spec.expire_ns)
    if spec.trail is not None:
        detail["trail"] = text_of(spec.trail)
    if spec.oco:
        detail["oco"] = spec.oco
    return detail
