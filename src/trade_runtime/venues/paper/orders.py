"""An order while it lives at the exchange, and the row that the record keeps of it.

`OrderRow` is frozen and is what is stored and restored; `PaperOrder` is the same thing while it can
still change. Only live orders exist as `PaperOrder`, so memory is bounded by their number.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from trade_runtime.model.orders import (
    ZERO,
    OrderReport,
    OrderSpec,
    OrderType,
    ReportStatus,
    Side,
    TimeInForce,
)

STOPS = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


@attrs.frozen
class OrderRow:
    """What the record keeps of an order.

    Attributes:
        client_order_id: the owner's id; used once in the whole life of the venue.
        venue_order_id: the exchange's id.
        instrument: where.
        side: buy or sell.
        type: how it is matched.
        status: where it stands.
        quantity: what was asked for.
        filled: what was executed.
        price: limit price, or None.
        trigger_price: where a stop wakes, or None.
        tif: how long it rests.
        post_only: it was to make, never to take.
        reduce_only: as asked; see the reference for what it means on a spot account.
        triggered: a stop that woke.
        locked: what it holds of the account's funds, quote currency for a buy, base for a sell.
        reason: why it was rejected or expired.
        created_ns: when it arrived, exchange time.
        updated_ns: when it last changed.
        seq: the number of its `submit` in the history; time priority goes by it.
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


@attrs.define(eq=False)
class PaperOrder:
    """A live order. The fields are those of `OrderRow`."""

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

    @classmethod
    def arriving(cls, spec: OrderSpec, seq: int, ts_ns: int) -> PaperOrder:
        """Return the order that `spec` asks for, not yet checked and not yet matched."""
        return cls(
            client_order_id=spec.client_order_id,
            venue_order_id=VenueOrderId(str(seq)),
            instrument=spec.instrument,
            side=spec.side,
            type=spec.type,
            status=ReportStatus.OPEN,
            quantity=spec.quantity,
            filled=ZERO,
            price=spec.price,
            trigger_price=spec.trigger_price,
            tif=spec.tif,
            post_only=spec.post_only,
            reduce_only=spec.reduce_only,
            triggered=False,
            locked=ZERO,
            reason="",
            created_ns=ts_ns,
            updated_ns=ts_ns,
            seq=seq,
        )

    @classmethod
    def restored(cls, row: OrderRow) -> PaperOrder:
        """Return a live order as the record has it."""
        return cls(**attrs.asdict(row, recurse=False))

    @property
    def remaining(self) -> Decimal:
        """What is still to be executed."""
        return self.quantity - self.filled

    @property
    def live(self) -> bool:
        """It has not been filled, cancelled, rejected or expired."""
        return self.status is ReportStatus.OPEN

    @property
    def waits_for_trigger(self) -> bool:
        """It is a stop that has not woken."""
        return self.type in STOPS and not self.triggered

    def row(self) -> OrderRow:
        """Return the order as it stands now."""
        return OrderRow(
            self.client_order_id,
            self.venue_order_id,
            self.instrument,
            self.side,
            self.type,
            self.status,
            self.quantity,
            self.filled,
            self.price,
            self.trigger_price,
            self.tif,
            self.post_only,
            self.reduce_only,
            self.triggered,
            self.locked,
            self.reason,
            self.created_ns,
            self.updated_ns,
            self.seq,
        )

    def report(self) -> OrderReport:
        """Return the exchange's answer to a query of this order."""
        return self.row().report()


def detail_of(spec: OrderSpec) -> dict[str, str | bool | None]:
    """Return what the history says of a request for an order."""
    return {
        "instrument": spec.instrument,
        "side": str(spec.side),
        "type": str(spec.type),
        "quantity": f"{spec.quantity:f}",
        "price": None if spec.price is None else f"{spec.price:f}",
        "trigger_price": None if spec.trigger_price is None else f"{spec.trigger_price:f}",
        "tif": str(spec.tif),
        "post_only": spec.post_only,
        "reduce_only": spec.reduce_only,
    }
