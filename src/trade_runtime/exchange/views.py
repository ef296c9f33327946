"""What goes into the exchange and what comes out of it, in no venue's wire.

A face turns its venue's request into a `NewOrder`, and an `Order`, a `Change` or a `Refused` into
its venue's answer. All are values; an `Order` is the order as it stood at one moment.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import attrs

from trade_runtime.model.orders import ZERO, OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper.orders import Position
from trade_runtime.venues.paper.record import Holding


class Why(StrEnum):
    """Why the exchange refuses."""

    ASKED = "a fault asked for it"
    BAD_NUMBERS = "its numbers are not on the grid, too small or too large"
    DUPLICATE = "an open order has that client order id"
    FORM = "such an order is not offered"
    NO_FUNDS = "insufficient balance"
    NO_MARKET = "there is no market yet"
    REDUCES_NOTHING = "a reduce-only order reduces nothing"
    TOO_MANY = "too many open orders"
    UNKNOWN_ORDER = "there is no such open order"
    UNKNOWN_SYMBOL = "there is no such symbol"
    WOULD_TAKE = "it would take liquidity"
    WOULD_TRIGGER = "it would trigger at once"


class Refused(Exception):
    """The exchange refused, and nothing changed.

    Attributes:
        why: the kind of reason, by which a face finds its venue's code.
        reason: the whole of it in words.
    """

    def __init__(self, why: Why, reason: str = "") -> None:
        super().__init__(reason or str(why))
        self.why = why
        self.reason = reason or str(why)


@attrs.frozen
class NewOrder:
    """An order that is asked for.

    Attributes:
        symbol: as the exchange lists it.
        client_id: the client's own id, as it was sent; unique among the open orders.
        trail: how far behind the market a trailing stop follows, in the quote currency.
        group: orders of one group share what they lock, and one ends the others.
        note: whatever the face wants to find again with the order; the exchange does not read it.
            All that is told of the order has this one mapping.
    """

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    client_id: str
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    expire_ns: int = 0
    trail: Decimal | None = None
    group: str = ""
    note: MutableMapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Order:
    """An order as it stands.

    Attributes:
        order_id: the exchange's id; grows.
        asked: as it came.
        status: where it stands.
        quantity, price, trigger_price: as they are now, amends included.
        filled: executed, in the base currency.
        cost: executed, in the quote currency.
        triggered: it waited for a trigger, and woke.
        reason: why it was rejected, cancelled or expired, in words; empty on request.
        created_ns, updated_ns: by the exchange's clock.
    """

    order_id: int
    asked: NewOrder
    status: ReportStatus
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    triggered: bool = False
    reason: str = ""
    created_ns: int = 0
    updated_ns: int = 0

    @property
    def client_id(self) -> str:
        """The client's own id."""
        return self.asked.client_id

    @property
    def symbol(self) -> str:
        """Where it is."""
        return self.asked.symbol

    @property
    def open(self) -> bool:
        """It is alive: it rests, or waits for its trigger."""
        return self.status is ReportStatus.OPEN

    @property
    def remaining(self) -> Decimal:
        """What is still to be executed."""
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        """The average price of what was executed; 0 where nothing was."""
        return self.cost / self.filled if self.filled else ZERO


@attrs.frozen
class Execution:
    """A fill of an order. `trade_id` grows over the whole account; `fee` is in `fee_currency`."""

    trade_id: int
    order_id: int
    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool
    ts_ns: int


class What(StrEnum):
    """What happened to an order."""

    ACCEPTED = "accepted"
    TRIGGERED = "triggered"
    FILLED = "filled"
    AMENDED = "amended"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


@attrs.frozen
class Change:
    """One thing that happened to an order.

    Attributes:
        what: what. `FILLED` is said of every fill: `order.open` tells whether more is to come.
        order: as it stood right after.
        ts_ns: when, by the exchange's clock.
        execution: of a fill.
    """

    what: What
    order: Order
    ts_ns: int
    execution: Execution | None = None


@attrs.frozen
class Update:
    """All that one request or one move of the market changed; a private stream tells it in order.

    Attributes:
        changes: what happened to orders, in order.
        balances: those that changed, by currency.
        positions: those that changed, by symbol.
    """

    changes: tuple[Change, ...]
    balances: Mapping[str, Holding]
    positions: Mapping[str, Position]
    ts_ns: int
