"""What one step of the exchange changes, gathered until it is written and only then told."""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.model.events import Fill, OrderAccepted, OrderClosed, OrderRejected, VenueEvent
from trade_runtime.model.ids import ClientOrderId, Currency, TradeId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ReportStatus
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.orders import OrderRow, PaperOrder
from trade_runtime.venues.paper.record import HistoryRow, Holding, Step

_HISTORY_OF = {
    ReportStatus.CANCELLED: "cancel",
    ReportStatus.EXPIRED: "expire",
    ReportStatus.REJECTED: "reject",
}


class Turn:
    """One request or one market event, while it is worked on.

    Args:
        seq: the last number of the history so far.
        ts_ns: exchange time of everything in it.

    Attributes:
        seq: the last number of the history, with what is in this turn.
        ts_ns: exchange time of everything in it.
        events: what to tell once it is written.
        orders: the orders it changed.
    """

    def __init__(self, seq: int, ts_ns: int) -> None:
        self.seq = seq
        self.ts_ns = ts_ns
        self.events: list[VenueEvent] = []
        self.orders: dict[ClientOrderId, PaperOrder] = {}
        self._history: list[HistoryRow] = []
        self._fills: list[Fill] = []
        self._currencies: dict[Currency, None] = {}

    def note(self, event: str, client_order_id: ClientOrderId, **detail: str | bool | None) -> int:
        """Add a line to the history and return its number."""
        self.seq += 1
        self._history.append(HistoryRow(self.seq, self.ts_ns, event, client_order_id, detail))
        return self.seq

    def touch(self, order: PaperOrder) -> None:
        """Have `order` written as it stands at the end."""
        order.updated_ns = self.ts_ns
        self.orders[order.client_order_id] = order

    def spend(self, *currencies: Currency) -> None:
        """Have the balances of `currencies` written as they stand at the end."""
        self._currencies.update(dict.fromkeys(currencies))

    def accept(self, order: PaperOrder) -> None:
        """Take `order` in."""
        self.note("accept", order.client_order_id, venue_order_id=order.venue_order_id)
        self.touch(order)
        self.events.append(OrderAccepted(order.client_order_id, order.venue_order_id, self.ts_ns))

    def fill(
        self,
        order: PaperOrder,
        instrument: Instrument,
        *,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        maker: bool,
    ) -> None:
        """Write down and tell an execution; the caller changes the order and the balances."""
        trade_id = self.note(
            "fill",
            order.client_order_id,
            quantity=f"{quantity:f}",
            price=f"{price:f}",
            fee=f"{fee:f}",
            maker=maker,
        )
        execution = Fill(
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            trade_id=TradeId(str(trade_id)),
            side=order.side,
            quantity=quantity,
            price=price,
            fee=fee,
            fee_currency=instrument.quote,
            maker=maker,
            ts_ns=self.ts_ns,
        )
        self._fills.append(execution)
        self.events.append(execution)
        self.spend(instrument.base, instrument.quote)

    def close(self, order: PaperOrder, status: ReportStatus, reason: str = "") -> None:
        """End `order`; filled needs no line of its own beside its last fill."""
        order.status, order.reason = status, reason
        self.touch(order)
        if status in _HISTORY_OF:
            self.note(
                _HISTORY_OF[status],
                order.client_order_id,
                filled=f"{order.filled:f}",
                reason=reason,
            )
        self.events.append(
            OrderClosed(order.client_order_id, status, order.filled, self.ts_ns, reason)
        )

    def step(self, account: Account) -> Step:
        """Return what is to be written."""
        return Step(
            history=self._history,
            orders=[order.row() for order in self.orders.values()],
            fills=self._fills,
            balances={
                name: Holding(account.total(name), account.locked(name))
                for name in self._currencies
            },
        )


def standing(order: PaperOrder | OrderRow, ts_ns: int) -> VenueEvent:
    """Return the event that says how an order stands now."""
    if order.status is ReportStatus.OPEN:
        return OrderAccepted(order.client_order_id, order.venue_order_id, ts_ns)
    if order.status is ReportStatus.REJECTED:
        return OrderRejected(order.client_order_id, order.reason, ts_ns)
    return OrderClosed(order.client_order_id, order.status, order.filled, ts_ns, order.reason)
