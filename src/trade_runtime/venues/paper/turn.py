"""What one step of the exchange changes, gathered until it is written and only then told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from trade_runtime.model.events import (
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, TradeId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ReportStatus
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.orders import OrderRow, PaperOrder, Position, text_of
from trade_runtime.venues.paper.record import HistoryRow, Holding, Step

_HISTORY_OF = {
    ReportStatus.CANCELLED: "cancel",
    ReportStatus.EXPIRED: "expire",
    ReportStatus.REJECTED: "reject",
}


class _Written:
    """What of a turn is only of interest where it will be written."""

    __slots__ = ("currencies", "fills", "history", "positions")

    def __init__(self) -> None:
        self.history: list[HistoryRow] = []
        self.fills: list[Fill] = []
        self.currencies: dict[Currency, None] = {}
        self.positions: dict[InstrumentId, Position] = {}


class Turn:
    """One request or one market event, while it is worked on.

    Args:
        seq: the last number of the history so far.
        ts_ns: exchange time of everything in it.
        kept: it will be written. Else the history is only counted.

    Attributes:
        seq: the last number of the history, with what is in this turn.
        ts_ns: exchange time of everything in it.
        events: what to tell once it is written.
        orders: the orders it changed.
    """

    __slots__ = ("_written", "events", "orders", "seq", "ts_ns")

    def __init__(self, seq: int, ts_ns: int, *, kept: bool) -> None:
        self.seq = seq
        self.ts_ns = ts_ns
        self.events: list[VenueEvent] = []
        self.orders: dict[ClientOrderId, PaperOrder] = {}
        self._written = _Written() if kept else None

    def note(self, event: str, client_order_id: ClientOrderId, detail: Mapping[str, Any]) -> int:
        """Add a line to the history and return its number. Numbers become text when written."""
        self.seq += 1
        if self._written is not None:
            self._line(self._written, event, client_order_id, detail)
        return self.seq

    def _line(
        self, written: _Written, event: str, order_id: ClientOrderId, detail: Mapping[str, Any]
    ) -> None:
        told = {
            name: text_of(value) if isinstance(value, Decimal) else value
            for name, value in detail.items()
        }
        written.history.append(HistoryRow(self.seq, self.ts_ns, event, order_id, told))

    def touch(self, order: PaperOrder) -> None:
        """Have `order` written as it stands at the end."""
        self.orders[order.spec.client_order_id] = order

    def spend(self, *currencies: Currency) -> None:
        """Have the balances of `currencies` written as they stand at the end."""
        if self._written is not None:
            self._written.currencies.update(dict.fromkeys(currencies))

    def hold(self, instrument: InstrumentId, position: Position) -> None:
        """Have what is held of a contract written."""
        if self._written is not None:
            self._written.positions[instrument] = position

    def accept(self, order: PaperOrder) -> None:
        """Take `order` in."""
        name = order.spec.client_order_id
        self.seq += 1
        self.orders[name] = order
        if self._written is not None:
            self._line(self._written, "accept", name, {"venue_order_id": order.venue_order_id})
        self.events.append(OrderAccepted(name, order.venue_order_id, self.ts_ns))

    def amend(self, order: PaperOrder, cause: str) -> None:
        """Write down and tell an order's new numbers."""
        name, numbers = order.spec.client_order_id, (order.quantity, order.price)
        detail = dict(zip(("quantity", "price"), numbers, strict=True))
        self.note("amend", name, {**detail, "trigger_price": order.trigger_price, "by": cause})
        self.touch(order)
        self.events.append(OrderAmended(name, *numbers, order.trigger_price, self.ts_ns))

    def trail(self, order: PaperOrder) -> None:
        """Write down that an order's trigger followed the market; venues do not tell that."""
        self.note("trail", order.spec.client_order_id, {"trigger_price": order.trigger_price})
        self.touch(order)

    def fill(
        self,
        order: PaperOrder,
        instrument: Instrument,
        *,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        maker: bool,
        fee_in_base: bool,
    ) -> None:
        """Write down and tell an execution; the caller changes the order and the balances."""
        spec = order.spec
        self.seq += 1
        self.orders[spec.client_order_id] = order
        execution = Fill(
            spec.client_order_id,
            spec.instrument,
            TradeId(str(self.seq)),
            spec.side,
            quantity,
            price,
            fee,
            instrument.base if fee_in_base else instrument.quote,
            maker,
            self.ts_ns,
            instrument.multiplier,
            fee_in_base,
        )
        self.events.append(execution)
        if self._written is not None:
            told = {"quantity": quantity, "price": price, "fee": fee, "maker": maker}
            self._line(self._written, "fill", spec.client_order_id, told)
            self._written.fills.append(execution)
            self.spend(instrument.base, instrument.quote)

    def close(self, order: PaperOrder, status: ReportStatus, reason: str = "") -> None:
        """End `order`; filled needs no line of its own beside its last fill."""
        order.status, order.reason = status, reason
        name, filled = order.spec.client_order_id, order.filled
        self.orders[name] = order
        if status in _HISTORY_OF:
            self.note(_HISTORY_OF[status], name, {"filled": filled, "reason": reason})
        self.events.append(OrderClosed(name, status, filled, self.ts_ns, reason))

    def step(self, account: Account) -> Step:
        """Return what is to be written."""
        for order in self.orders.values():
            order.updated_ns = self.ts_ns
        written = self._written
        assert written is not None, "the record keeps nothing"
        return Step(
            history=written.history,
            orders=[order.row() for order in self.orders.values()],
            fills=written.fills,
            balances={
                name: Holding(account.total(name), account.locked(name))
                for name in written.currencies
            },
            positions=written.positions,
        )


def standing(order: PaperOrder | OrderRow, ts_ns: int) -> VenueEvent:
    """Return the event that says how an order stands now."""
    if order.status is ReportStatus.OPEN:
        return OrderAccepted(order.client_order_id, order.venue_order_id, ts_ns)
    if order.status is ReportStatus.REJECTED:
        return OrderRejected(order.client_order_id, order.reason, ts_ns)
    return OrderClosed(order.client_order_id, order.status, order.filled, ts_ns, order.reason)
