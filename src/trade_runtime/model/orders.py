"""Orders as they are asked for, and what is known of them at a venue."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, VenueOrderId

ZERO = Decimal(0)


class Side(StrEnum):
    """Which way an order or a trade goes."""

    BUY = "buy"
    SELL = "sell"

    def __init__(self, text: str) -> None:
        self.sign = 1 if text == "buy" else -1
        """+1 for a buy, -1 for a sell."""

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


SIDES = (Side.BUY, Side.SELL)
"""Both, for loops on the hot path: going through an enum costs a microsecond."""


class OrderType(StrEnum):
    """How an order is matched. What is true of a type is worked out once: it is asked of every
    order.
    """

    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    TAKE_PROFIT_LIMIT = "take_profit_limit"
    TRAILING_STOP = "trailing_stop"

    def __init__(self, text: str) -> None:
        self.waits = text not in ("market", "limit")
        """It sleeps until the market reaches its trigger."""
        self.has_price = text.endswith("limit")
        """It has a limit price."""
        self.takes_profit = text.startswith("take_profit")
        """It wakes when the market moves in favour: a sell when it rises to the trigger."""


class TimeInForce(StrEnum):
    """How long an order rests: until cancelled, not at all, all or nothing, or until a date."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"


class OrderSpec(msgspec.Struct, frozen=True, gc=False):
    """What was asked for: the intent, written to the journal before a byte of it is sent.

    Attributes:
        client_order_id: our id; the venue keeps it beside the order.
        strategy: whose order it is; its fills make this strategy's position.
        instrument: where.
        side: buy or sell.
        type: how it is matched.
        quantity: in the base currency, a multiple of the lot, above 0.
        price: limit price in the quote currency, on the tick; None for the types without one.
        trigger_price: where a waiting order wakes; None for market and limit. Of a trailing stop:
            where it stands at first.
        tif: how long it rests.
        post_only: refuse it rather than let it take liquidity.
        reduce_only: it may only make the position smaller.
        protective: it is a stop-loss. Protective orders pass the halt, are never cancelled by a
            stop while their position is open, and count as cover only while they rest at the venue.
        created_ns: when it was asked for, by the runtime's clock.
        expire_ns: when a GTD order ends, in nanoseconds since the Unix epoch; 0 for the others.
        trail: how far behind the market a trailing stop follows, in the quote currency.
        parent: the order whose fills release this one, as far as they go; it is held until then.
        oco: the name of a group of which one order's fills take the place of the others'.
        emulated: the venue cannot hold this type, so the runtime itself waits for the trigger. It
            does nothing while the runtime is not there, and is never counted as protection.
    """

    client_order_id: ClientOrderId
    strategy: StrategyName
    instrument: InstrumentId
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    protective: bool = False
    created_ns: int = 0
    expire_ns: int = 0
    trail: Decimal | None = None
    parent: ClientOrderId | None = None
    oco: str = ""
    emulated: bool = False


class ReportStatus(StrEnum):
    """A venue's word for where an order stands."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class OrderReport(msgspec.Struct, frozen=True, gc=False):
    """A venue's answer to a query of an order: its own view, at the moment of the answer.

    `filled` is the cumulative executed quantity.
    """

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    instrument: InstrumentId
    side: Side
    type: OrderType
    status: ReportStatus
    quantity: Decimal
    filled: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    reason: str = ""
