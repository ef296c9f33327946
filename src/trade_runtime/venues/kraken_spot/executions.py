"""Kraken's `executions` channel, without any I/O: its rows in, events of orders out.

A row tells only what changed, so what an order is (its client order id, symbol, side) is kept from
the rows before. A trade may say `partially_filled` although it completes the order: only the row
`filled` ends it.

Source: https://docs.kraken.com/api/docs/websocket-v2/executions
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import attrs
import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill, OrderAccepted, OrderAmended, OrderClosed, VenueEvent
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    TradeId,
    VenueOrderId,
)
from trade_runtime.model.orders import ZERO, OrderType, ReportStatus, Side
from trade_runtime.venues.kraken_spot.codec import KRAKEN, check_digits, side_of
from trade_runtime.venues.kraken_spot.orders import type_of
from trade_runtime.venues.kraken_spot.times import ns_of
from trade_runtime.venues.wire.payload import excerpt

MAX_KNOWN: Final = 20_000
"""Orders that are kept in mind, more than may ever be open; the oldest are forgotten."""

_ENDS: Final = {
    "filled": ReportStatus.FILLED,
    "canceled": ReportStatus.CANCELLED,
    "expired": ReportStatus.EXPIRED,
}


class _Fee(msgspec.Struct):
    asset: str
    qty: Decimal


class _Triggers(msgspec.Struct):
    price: Decimal | None = None


class _Row(msgspec.Struct):
    order_id: str
    exec_type: str
    timestamp: str
    cl_ord_id: str | None = None
    symbol: str | None = None
    side: str | None = None
    order_type: str | None = None
    order_qty: Decimal | None = None
    cum_qty: Decimal | None = None
    limit_price: Decimal | None = None
    triggers: _Triggers | None = None
    exec_id: str | None = None
    last_qty: Decimal | None = None
    last_price: Decimal | None = None
    fees: list[_Fee] | None = None
    liquidity_ind: str | None = None
    reason: str | None = None


_rows = msgspec.json.Decoder(list[_Row])


@attrs.frozen
class Known:
    """What an order is, as far as it was told.

    Attributes:
        name: its client order id, or Kraken's own where it has none.
        placed_at: on trio's clock, when we first heard of it.
        symbol: as Kraken spells it; empty where that is not known.
        side, type, quantity, price, trigger: its own, or None.
        filled: the sum of what was executed.
    """

    name: ClientOrderId
    placed_at: float
    symbol: str = ""
    side: Side | None = None
    type: OrderType | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger: Decimal | None = None
    filled: Decimal = ZERO

    @property
    def complete(self) -> bool:
        """All numbers of an order of its type are known."""
        kind = self.type
        if kind is None or self.quantity is None:
            return False
        fixed = kind.waits and kind is not OrderType.TRAILING_STOP
        return (not kind.has_price or self.price is not None) and (
            not fixed or self.trigger is not None
        )


class Executions:
    """Makes events of the rows of the channel.

    Args:
        instrument_of: the instrument that a symbol is.
        now: trio's clock.
    """

    def __init__(
        self, instrument_of: Callable[[str], InstrumentId], now: Callable[[], float]
    ) -> None:
        self.ignored = 0
        """Rows that tell nothing of use, or too little."""
        self._instrument_of = instrument_of
        self._now = now
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._names: dict[ClientOrderId, str] = {}

    def learn(self, order_id: str, name: ClientOrderId) -> None:
        """Keep in mind how we call an order, as an answer of Kraken's told."""
        if order_id not in self._known:
            self._keep(order_id, Known(name, self._now()))

    def name_of(self, order_id: str) -> ClientOrderId | None:
        """Return how we call an order, or None where that is not known."""
        known = self._known.get(order_id)
        return None if known is None else known.name

    def age_secs(self, name: ClientOrderId) -> float | None:
        """Return how long ago we first heard of an order, or None."""
        known = self._known.get(self._names.get(name, ""))
        return None if known is None else self._now() - known.placed_at

    def decode(self, payload: msgspec.Raw) -> list[VenueEvent]:
        """Return what the rows tell, in their order.

        Raises:
            VenueError: one of them made no sense.
        """
        events: list[VenueEvent] = []
        for row in KRAKEN.decode(_rows, payload, "execution"):
            numbers = (row.order_qty, row.cum_qty, row.limit_price, row.last_qty, row.last_price)
            given = [value for value in numbers if value is not None]
            given += [fee.qty for fee in row.fees or ()]
            if row.triggers is not None and row.triggers.price is not None:
                given.append(row.triggers.price)
            check_digits("execution", *given)
            event = self._event(row, self._learned(row), ns_of(row.timestamp))
            if event is None:
                self.ignored += 1
            else:
                events.append(event)
        return events

    def _learned(self, row: _Row) -> Known:
        before = self._known.get(row.order_id)
        if before is None:
            before = Known(ClientOrderId(row.order_id), self._now())
        told = row.triggers.price if row.triggers is not None else None
        known = Known(
            ClientOrderId(row.cl_ord_id) if row.cl_ord_id else before.name,
            before.placed_at,
            row.symbol or before.symbol,
            side_of(row.side) if row.side else before.side,
            # A stop that woke is told as what it became; it stays what was placed.
            before.type or (type_of(row.order_type) if row.order_type else None),
            before.quantity if row.order_qty is None else row.order_qty,
            before.price if row.limit_price is None else row.limit_price,
            before.trigger if told is None else told,
            before.filled if row.cum_qty is None else max(before.filled, row.cum_qty),
        )
        self._keep(row.order_id, known)
        return known

    def _keep(self, order_id: str, known: Known) -> None:
        self._known[order_id] = known
        self._known.move_to_end(order_id)
        self._names[known.name] = order_id
        while len(self._known) > MAX_KNOWN:
            _, old = self._known.popitem(last=False)
            self._names.pop(old.name, None)

    def _event(self, row: _Row, known: Known, at_ns: int) -> VenueEvent | None:
        if row.exec_type == "trade":
            return self._fill(row, known, at_ns)
        if row.exec_type in _ENDS:
            status, filled = _ENDS[row.exec_type], known.filled
            if status is ReportStatus.FILLED and row.cum_qty is None and known.quantity is not None:
                filled = max(filled, known.quantity)
            return OrderClosed(known.name, status, filled, at_ns, excerpt(row.reason or ""))
        if row.exec_type == "new":
            return OrderAccepted(known.name, VenueOrderId(row.order_id), at_ns)
        if row.exec_type in ("amended", "restated") and known.complete:
            assert known.quantity is not None
            trailing = known.type is OrderType.TRAILING_STOP
            trigger = None if trailing else known.trigger
            return OrderAmended(known.name, known.quantity, known.price, trigger, at_ns)
        return None

    def _fill(self, row: _Row, known: Known, at_ns: int) -> Fill | None:
        if row.exec_id is None:
            return None  # an order of a snapshot whose last event was a trade
        if (
            not row.exec_id
            or row.last_qty is None
            or row.last_price is None
            or not known.symbol
            or known.side is None
        ):
            raise VenueError(f"Kraken told too little of the trade {excerpt(row.exec_id)}")
        if row.last_qty <= 0 or row.last_price <= 0:
            raise VenueError(f"Kraken sent a trade of {row.last_qty} at {row.last_price}")
        fees = row.fees or []
        if len({fee.asset for fee in fees}) > 1:
            raise VenueError(f"Kraken took two currencies for the trade {excerpt(row.exec_id)}")
        instrument = self._instrument_of(known.symbol)
        base, _, quote = known.symbol.partition("/")
        currency = fees[0].asset if fees else quote
        return Fill(
            known.name,
            instrument,
            TradeId(row.exec_id),
            known.side,
            row.last_qty,
            row.last_price,
            sum((fee.qty for fee in fees), ZERO),
            Currency(currency),
            row.liquidity_ind == "m",
            at_ns,
            fee_in_base=currency == base,
        )
