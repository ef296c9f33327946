"""A trading state as plain values, from which the same state can be made again.

What follows from other values is left out, but for the order of things: indexes are kept as lists.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import LIVE_STATES, Order, OrderState
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    StrategyName,
    TradeId,
    VenueName,
    VenueOrderId,
)
from trade_runtime.model.orders import ZERO, OrderSpec
from trade_runtime.model.records import (
    AmendRequested,
    BalancesTold,
    InstrumentListed,
    LatchSet,
    OthersHold,
    ProfitMarked,
    StrategySaved,
    VenueUsed,
)

Ids = list[ClientOrderId]


class OrderImage(msgspec.Struct, frozen=True):
    """An order: every attribute of `Order` that does not follow from the others."""

    spec: OrderSpec
    state: OrderState
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    ready: Decimal
    released: Decimal
    share: Decimal
    share_asked: Decimal
    changed: bool
    amending: AmendRequested | None
    venue_order_id: VenueOrderId | None
    filled: Decimal
    notional: Decimal
    closed_filled: Decimal | None
    may_have_left: bool
    cancel_requested: bool
    reason: str
    trade_ids: list[TradeId]
    withheld: Decimal = ZERO

    @classmethod
    def of(cls, order: Order) -> OrderImage:
        """Return the image of an order as it stands."""
        values = {name: getattr(order, name) for name in cls.__struct_fields__}
        return cls(**values | {"trade_ids": sorted(order.trade_ids)})

    def order(self) -> Order:
        """Return the order."""
        order = Order(self.spec)
        for name in self.__struct_fields__:
            setattr(order, name, getattr(self, name))
        order.trade_ids = set(self.trade_ids)
        order.is_live = order.state in LIVE_STATES
        return order


class PositionImage(msgspec.Struct, frozen=True):
    """A position: every attribute of `Position`."""

    strategy: StrategyName
    instrument: InstrumentId
    multiplier: Decimal
    quantity: Decimal
    average_price: Decimal
    realised: Decimal
    fees: dict[Currency, Decimal]
    opened_ns: int

    @classmethod
    def of(cls, position: Position) -> PositionImage:
        """Return the image of a position as it stands."""
        return cls(*(getattr(position, name) for name in cls.__struct_fields__))

    def onto(self, position: Position) -> None:
        """Have a flat position be this one."""
        for name in self.__struct_fields__:
            setattr(position, name, getattr(self, name))
        position.fees = dict(self.fees)


class ProfitImage(msgspec.Struct, frozen=True):
    """What limits on losses count from."""

    listed: list[InstrumentListed]
    marks: list[ProfitMarked]
    streak: int
    trips: list[tuple[StrategyName, InstrumentId, Decimal]]


class IndexImage(msgspec.Struct, frozen=True):
    """The orders in mind; the indexes of them as ids, in their order."""

    orders: list[OrderImage]
    children: dict[ClientOrderId, Ids]
    groups: dict[str, Ids]
    given_up: Ids
    live_of: dict[StrategyName, Ids]
    stops: list[tuple[StrategyName, InstrumentId, Ids]]


class MemoryImage(msgspec.Struct, frozen=True):
    """What a strategy saved, and the fills since then."""

    saved: StrategySaved
    owed: list[Fill]
    behind: int


class AccountsImage(msgspec.Struct, frozen=True):
    """What the venues told of their accounts."""

    balances: list[BalancesTold] = []
    others: list[OthersHold] = []
    used: list[VenueUsed] = []


class StateImage(msgspec.Struct, frozen=True):
    """A trading state."""

    tag: str
    intents: int
    fills: int
    clean: bool
    latch: LatchSet | None
    last_fill_ns: dict[VenueName, int]
    index: IndexImage
    positions: list[PositionImage]
    profits: ProfitImage
    stop_price: list[tuple[StrategyName, InstrumentId, Decimal]]
    declared: list[tuple[StrategyName, InstrumentId, Decimal]]
    memories: list[MemoryImage] = []
    accounts: AccountsImage = AccountsImage()
