"""What the journal keeps besides the venue's events: what the runtime itself decided and did."""

from __future__ import annotations

import attrs

from trade_runtime.model.events import (
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderClosed,
    OrderRejected,
)
from trade_runtime.model.ids import ClientOrderId, StrategyName
from trade_runtime.model.orders import OrderSpec


@attrs.frozen
class RuntimeStarted:
    """A process took the journal over; `tag` is the prefix of every client order id of it."""

    runtime: str
    tag: str
    version: str
    host: str
    pid: int


@attrs.frozen
class OrderSent:
    """The order has left for the venue; how it fared there is not known yet."""

    client_order_id: ClientOrderId


@attrs.frozen
class OrderUnknown:
    """No outcome came in time, or the process that sent it died: only a query will tell."""

    client_order_id: ClientOrderId
    reason: str


@attrs.frozen
class OrderDropped:
    """The intent provably never became an order at the venue."""

    client_order_id: ClientOrderId
    reason: str


@attrs.frozen
class CancelRequested:
    """A cancel was asked for; repeats of it are not recorded."""

    client_order_id: ClientOrderId
    reason: str


@attrs.frozen
class TradingHalted:
    """The gate was closed: from here only cancels and protective orders leave."""

    reason: str


@attrs.frozen
class StrategyStopped:
    """A strategy will place nothing more; `outcome` is `stopped` or `failed`."""

    strategy: StrategyName
    outcome: str
    detail: str


@attrs.frozen
class RuntimeStopped:
    """The process gave the journal up, in order; the report of the stop has the details."""

    reason: str
    outcome: str


JournalEvent = (
    RuntimeStarted
    | OrderSpec
    | OrderSent
    | OrderUnknown
    | OrderDropped
    | CancelRequested
    | OrderAccepted
    | OrderRejected
    | OrderClosed
    | CancelRejected
    | Fill
    | TradingHalted
    | StrategyStopped
    | RuntimeStopped
)

KINDS: dict[type, str] = {
    RuntimeStarted: "start",
    OrderSpec: "intent",
    OrderSent: "sent",
    OrderUnknown: "unknown",
    OrderDropped: "dropped",
    CancelRequested: "cancel",
    OrderAccepted: "accepted",
    OrderRejected: "rejected",
    OrderClosed: "closed",
    CancelRejected: "cancel_rejected",
    Fill: "fill",
    TradingHalted: "halt",
    StrategyStopped: "strategy",
    RuntimeStopped: "stop",
}
"""The `kind` of a journal record by the class of its payload."""
