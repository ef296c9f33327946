"""What the journal keeps besides the venue's events: what the runtime itself decided and did."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
)
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    StrategyName,
    TradeId,
    VenueName,
    VenueOrderId,
)
from trade_runtime.model.orders import OrderSpec


class RuntimeStarted(msgspec.Struct, frozen=True, gc=False):
    """A process took the journal over; `tag` is the prefix of every client order id of it."""

    runtime: str
    tag: str
    version: str
    host: str
    pid: int


class OrderSent(msgspec.Struct, frozen=True, gc=False):
    """The order has left for the venue; how it fared there is not known yet."""

    client_order_id: ClientOrderId


class OrderUnknown(msgspec.Struct, frozen=True, gc=False):
    """No outcome came in time, or the process that sent it died: only a query will tell."""

    client_order_id: ClientOrderId
    reason: str


class OrderDropped(msgspec.Struct, frozen=True, gc=False):
    """The intent provably never became an order at the venue."""

    client_order_id: ClientOrderId
    reason: str


class CancelRequested(msgspec.Struct, frozen=True, gc=False):
    """A cancel was asked for; repeats of it are not recorded."""

    client_order_id: ClientOrderId
    reason: str


class AmendRequested(msgspec.Struct, frozen=True, gc=False):
    """An amend was asked for: the whole new quantity and prices, not what changes of them."""

    client_order_id: ClientOrderId
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None


class OrderReleased(msgspec.Struct, frozen=True, gc=False):
    """An order that was held is to be sent now, for `quantity`: its parent filled so far, or the
    market reached the trigger of one that the runtime emulates.
    """

    client_order_id: ClientOrderId
    quantity: Decimal
    reason: str


class TradingMode(StrEnum):
    """What may leave: anything; only what makes a position smaller; or only protection."""

    ACTIVE = "active"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class LatchSet(msgspec.Struct, frozen=True, gc=False):
    """Trading was restricted until somebody clears it: over restarts too.

    `by` is who decided: `risk`, `strategy NAME` or `operator`.
    """

    mode: TradingMode
    reason: str
    by: str


class LatchCleared(msgspec.Struct, frozen=True, gc=False):
    """Somebody let trading go on, and why."""

    by: str
    reason: str


class InstrumentListed(msgspec.Struct, frozen=True, gc=False):
    """What an instrument's profit is counted in: written once, where losses are limited."""

    instrument: InstrumentId
    quote: Currency


class ProfitMarked(msgspec.Struct, frozen=True, gc=False):
    """What the losses in a currency are counted from, where they are limited.

    Attributes:
        currency: the quote currency of the instruments that are added up.
        day: the day of the daily count, in days since the Unix epoch, UTC.
        opened: the profit, realised and unrealised less fees, when that day's count began.
        peak: the highest profit so far that was written down.
    """

    currency: Currency
    day: int
    opened: Decimal
    peak: Decimal


class TradingHalted(msgspec.Struct, frozen=True, gc=False):
    """The gate was closed: from here only cancels and protective orders leave."""

    reason: str


class StrategyStopped(msgspec.Struct, frozen=True, gc=False):
    """A strategy will place nothing more; `outcome` is `stopped` or `failed`."""

    strategy: StrategyName
    outcome: str
    detail: str


class StateFormat(StrEnum):
    """How a saved state is written: not at all, as base64, or as JSON with tags."""

    NONE = "none"
    BYTES = "bytes"
    MAPPING = "mapping"


class StrategySaved(msgspec.Struct, frozen=True, gc=False):
    """A strategy's own state, which knows every fill of it that stands before.

    Attributes:
        strategy: its name.
        version: the `state_version` of the class that saved it.
        format: how `payload` is to be read; `none` where its state is kept from here on and it has
            saved none yet.
        payload: the state.
    """

    strategy: StrategyName
    version: int
    format: StateFormat
    payload: str


class PositionAdjusted(msgspec.Struct, frozen=True, gc=False):
    """Somebody had a position changed to what the venue holds, where no fill of an order explains
    it.

    Attributes:
        strategy: whose position it is.
        instrument: of what.
        quantity: by how much it changes, signed.
        price: what that is taken to have been traded at.
        fee: what the venue took for it, in `fee_currency`, as far as it is known.
        fee_currency: of the fee.
        trade_id: the venue's id of the fill that is taken in or out; empty where there is none.
        multiplier: as of a fill.
        ts_ns: when it happened at the venue; else when it was adjusted.
        by: who decided.
        reason: what was found, and why it was accepted.
    """

    strategy: StrategyName
    instrument: InstrumentId
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: Currency
    trade_id: TradeId
    multiplier: Decimal
    ts_ns: int
    by: str
    reason: str


class Reconciled(msgspec.Struct, frozen=True, gc=False):
    """Somebody had the journal brought in line with the venues, while no runtime ran.

    Attributes:
        by: who.
        reason: why, in their words.
        accepted: what could not be explained was taken as the venues hold it.
        intents: client order ids count on from here at least: the venue knows one of this number.
    """

    by: str
    reason: str
    accepted: bool
    intents: int


class BalancesTold(msgspec.Struct, frozen=True, gc=False):
    """What a venue told of the account that was not told before.

    Attributes:
        venue: which.
        balances: by currency, free and locked, whoever's they are.
        ts_ns: when it was told, by our clock.
    """

    venue: VenueName
    balances: dict[Currency, Decimal]
    ts_ns: int


class OthersHold(msgspec.Struct, frozen=True, gc=False):
    """What an account held that is not from our fills, when journal and venue agreed at a start.

    Attributes:
        venue: which.
        quantities: by instrument, signed; those that are not 0.
        ts_ns: when it was told, by our clock.
    """

    venue: VenueName
    quantities: dict[InstrumentId, Decimal]
    ts_ns: int


class OrderClaimed(msgspec.Struct, frozen=True, gc=False):
    """An order of others was taken over, as the configuration says.

    Attributes:
        spec: what rests, under the id that it was given elsewhere; of the strategy `foreign`.
        venue_order_id: the venue's own id of it.
        filled: what it had filled before; that is not ours.
        trade_ids: of the fills before.
        ts_ns: when, by our clock.
    """

    spec: OrderSpec
    venue_order_id: VenueOrderId
    filled: Decimal
    trade_ids: list[TradeId]
    ts_ns: int


class VenueUsed(msgspec.Struct, frozen=True, gc=False):
    """Where the orders of a `[venues.NAME]` table of a real exchange go, for this whole journal.

    Attributes:
        venue: the table.
        account: `paper`, or the kind with `live` or `testnet`.
    """

    venue: VenueName
    account: str


class RuntimeStopped(msgspec.Struct, frozen=True, gc=False):
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
    | AmendRequested
    | OrderAmended
    | AmendRejected
    | OrderReleased
    | Fill
    | LatchSet
    | LatchCleared
    | InstrumentListed
    | ProfitMarked
    | TradingHalted
    | StrategyStopped
    | StrategySaved
    | PositionAdjusted
    | Reconciled
    | BalancesTold
    | OthersHold
    | VenueUsed
    | OrderClaimed
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
    AmendRequested: "amend",
    OrderAmended: "amended",
    AmendRejected: "amend_rejected",
    OrderReleased: "released",
    Fill: "fill",
    LatchSet: "latch",
    LatchCleared: "latch_cleared",
    InstrumentListed: "instrument",
    ProfitMarked: "profit",
    TradingHalted: "halt",
    StrategyStopped: "strategy",
    StrategySaved: "strategy_state",
    PositionAdjusted: "adjusted",
    Reconciled: "reconciled",
    BalancesTold: "balances",
    OthersHold: "others",
    VenueUsed: "venue",
    OrderClaimed: "claimed",
    RuntimeStopped: "stop",
}
"""The `kind` of a journal record by the class of its payload."""
