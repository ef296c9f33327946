"""What happens to orders: the events that venues tell and that the journal keeps.

A venue tells `OrderAccepted`, `OrderRejected`, `OrderClosed`, `CancelRejected`, `OrderAmended`,
`AmendRejected` and `Fill`. They may come late, twice, or in any order; the machines sort that out.
Quantities are exact, times are nanoseconds since the Unix epoch.

Several are made for every order, so they are `msgspec` structs, as market data are.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, TradeId, VenueOrderId
from trade_runtime.model.orders import ReportStatus, Side


class OrderAccepted(msgspec.Struct, frozen=True, gc=False):
    """The venue holds the order."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    ts_ns: int


class OrderRejected(msgspec.Struct, frozen=True, gc=False):
    """The venue refused the order; it never rested and has no fills."""

    client_order_id: ClientOrderId
    reason: str
    ts_ns: int


class OrderClosed(msgspec.Struct, frozen=True, gc=False):
    """The order no longer rests: filled, cancelled or expired.

    `filled` is the venue's cumulative executed quantity. Fills up to it may still be under way, so
    an order is settled only when its own fills sum up to it.
    """

    client_order_id: ClientOrderId
    status: ReportStatus
    filled: Decimal
    ts_ns: int
    reason: str = ""


class CancelRejected(msgspec.Struct, frozen=True, gc=False):
    """The venue did not cancel. The order may rest, or may have filled: only a query tells."""

    client_order_id: ClientOrderId
    reason: str
    ts_ns: int


class OrderAmended(msgspec.Struct, frozen=True, gc=False):
    """The venue holds the order with these numbers now: the whole of it, not what is left.

    `price` and `trigger_price` are None where the order's type has none.
    """

    client_order_id: ClientOrderId
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    ts_ns: int


class AmendRejected(msgspec.Struct, frozen=True, gc=False):
    """The venue did not amend. The order is as it was, or has ended."""

    client_order_id: ClientOrderId
    reason: str
    ts_ns: int


class Fill(msgspec.Struct, frozen=True, gc=False):
    """A part of an order was executed.

    Attributes:
        trade_id: the venue's id, unique for the instrument: by it a duplicate is known.
        quantity: executed now, in the base currency.
        price: in the quote currency.
        fee: what the venue took, in `fee_currency`; negative for a rebate.
        maker: the order rested and was met.
        multiplier: how much of the base currency one unit of a contract stands for; 1 for spot.
        fee_in_base: the venue took the fee out of the base currency that was bought, as spot venues
            do: so much less there is to sell.
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
    multiplier: Decimal = Decimal(1)
    fee_in_base: bool = False

    @property
    def change(self) -> Decimal:
        """What the position changes by: the quantity, signed, less a fee in the base currency."""
        change = self.side.sign * self.quantity
        return change - self.fee if self.fee_in_base else change


VenueEvent = (
    OrderAccepted
    | OrderRejected
    | OrderClosed
    | CancelRejected
    | OrderAmended
    | AmendRejected
    | Fill
)
