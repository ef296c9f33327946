"""What happens to orders: the events that venues tell and that the journal keeps.

A venue tells `OrderAccepted`, `OrderRejected`, `OrderClosed`, `CancelRejected` and `Fill`. They may
come late, twice, or in any order; the machines sort that out. Quantities are exact, times are
nanoseconds since the Unix epoch.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, TradeId, VenueOrderId
from trade_runtime.model.orders import ReportStatus, Side


@attrs.frozen
class OrderAccepted:
    """The venue holds the order."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    ts_ns: int


@attrs.frozen
class OrderRejected:
    """The venue refused the order; it never rested and has no fills."""

    client_order_id: ClientOrderId
    reason: str
    ts_ns: int


@attrs.frozen
class OrderClosed:
    """The order no longer rests: filled, cancelled or expired.

    `filled` is the venue's cumulative executed quantity. Fills up to it may still be under way, so
    an order is settled only when its own fills sum up to it.
    """

    client_order_id: ClientOrderId
    status: ReportStatus
    filled: Decimal
    ts_ns: int
    reason: str = ""


@attrs.frozen
class CancelRejected:
    """The venue did not cancel. The order may rest, or may have filled: only a query tells."""

    client_order_id: ClientOrderId
    reason: str
    ts_ns: int


@attrs.frozen
class Fill:
    """A part of an order was executed.

    Attributes:
        trade_id: the venue's id, unique for the instrument: by it a duplicate is known.
        quantity: executed now, in the base currency.
        price: in the quote currency.
        fee: what the venue took, in `fee_currency`; negative for a rebate.
        maker: the order rested and was met.
    """

    client_order_id: ClientOrderId
    instrument: InstrumentId
    trade_id: TradeId
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: Currency
    maker: bool
    ts_ns: int


VenueEvent = OrderAccepted | OrderRejected | OrderClosed | CancelRejected | Fill
