"""Kraken's `executions` channel, without any I/O: its rows in, events of orders out.

A row tells only what changed, so what an order is (its client order id, symbol, side) is kept from
the rows before. A trade may say `partially_filled` although it completes the order: only the row
`filled` ends it.

Source: https://docs.kraken.com/api/docs/websocket-v2/executions
"""

from __future__ import annotations

from collections import deque
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
from trade_runtime.model.orders import ZERO, OrderReport, ReportStatus
from trade_runtime.venues.kraken_spot.codec import KRAKEN, check_digits, side_of
from trade_runtime.venues.kraken_spot.known import MAX_KNOWN, Known, Orders
from trade_runtime.venues.kraken_spot.orders import type_of
from trade_runtime.venues.kraken_spot.times import ns_of
from trade_runtime.venues.wire.payload import excerpt

MAX_TRADES: Final = 5_000
"""Fills that are kept in mind; the oldest are forgotten."""

SNAP_TRADES: Final = 50
"""Fills that Kraken tells at the beginning of a connection, the last ones."""

DAY_NS: Final = 86_400_000_000_000
"""How long before the first of them it is believed that there were no others, where there are
fewer."""

_ENDS: Final = {
    "filled": ReportStatus.FILLED,
    "canceled": ReportStatus.CANCELLED,
    "expired": ReportStatus.EXPIRED,
}
_OPEN: Final = ReportStatus.OPEN
_STATUS: Final = {
    "new": ReportStatus.OPEN,
    "partially_filled": ReportStatus.OPEN,
    **_ENDS,
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
    order_status: str | None = None
    reason: str | None = None


_rows = msgspec.json.Decoder(list[_Row])


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
        self.begun = False
        """All that was open at the beginning of the connection was told."""
        self.behind = False
        """Something that happened since has not come yet, while what came after it has."""
        self._instrument_of = instrument_of
        self._now = now
        self._orders = Orders()
        self._trades: deque[Fill] = deque(maxlen=MAX_TRADES)
        self._whole = False
        self._ended: dict[ClientOrderId, OrderReport] = {}

    @property
    def in_step(self) -> bool:
        """All that is open was told, and everything that happened since."""
        return self.begun and not self.behind

    def begin(self) -> None:
        """A connection begins: nothing is in step until its snapshot is here."""
        self.begun = self.behind = False
        self._trades.clear()

    def learn(self, order_id: str, name: ClientOrderId) -> None:
        """Keep in mind how we call an order, as an answer of Kraken's told."""
        if self._orders.get(order_id) is None:
            self._orders.keep(Known(order_id, name, self._now()))

    def learn_report(self, report: OrderReport) -> None:
        """Keep an answer of Kraken's in mind: what has ended stays as it is."""
        if report.status is _OPEN:
            self.learn(report.venue_order_id, report.client_order_id)
            return
        before = self._orders.get(report.venue_order_id)
        placed_at = before.placed_at if before is not None else self._now()
        self._ended[report.client_order_id] = report
        while len(self._ended) > MAX_KNOWN:
            del self._ended[next(iter(self._ended))]
        self._orders.keep(Known.of(report, placed_at))

    def lost(self) -> list[str]:
        """Return Kraken's ids of orders of which it is not known any more where they stand."""
        return self._orders.lost()

    def name_of(self, order_id: str) -> ClientOrderId | None:
        """Return how we call an order, or None where that is not known."""
        known = self._orders.get(order_id)
        return None if known is None else known.name

    def id_of(self, name: ClientOrderId) -> str | None:
        """Return how Kraken calls an order, or None where that is not known."""
        known = self._orders.named(name)
        return None if known is None else known.order_id

    def age_secs(self, name: ClientOrderId) -> float | None:
        """Return how long ago we first heard of an order, or None."""
        known = self._orders.named(name)
        return None if known is None else self._now() - known.placed_at

    def report(self, name: ClientOrderId) -> OrderReport | None:
        """Return an order as it was told, or None where that is not in step or too little.

        One that has ended is told in step or not: it stays so.
        """
        if (ended := self._ended.get(name)) is not None:
            return ended
        known = self._orders.named(name) if self.in_step else None
        return None if known is None else known.report(self._instrument_of(known.symbol))

    def open_reports(self) -> list[OrderReport] | None:
        """Return all open orders as they were told, or None as for `report`."""
        if not self.in_step:
            return None
        found = [one.report(self._instrument_of(one.symbol)) for one in self._orders.open()]
        reports = [report for report in found if report is not None]
        return reports if len(reports) == len(found) else None

    def fills(self, since_ns: int) -> list[Fill] | None:
        """Return the fills from a time on, oldest first, or None where they may not be all."""
        if not self.in_step or not self._trades:
            return None
        first_ns = self._trades[0].ts_ns
        if since_ns < (first_ns - DAY_NS if self._whole else first_ns):
            return None
        once = {fill.trade_id: fill for fill in self._trades if fill.ts_ns >= since_ns}
        return sorted(once.values(), key=lambda fill: (fill.ts_ns, fill.trade_id))

    def decode(self, payload: msgspec.Raw, *, snapshot: bool = False) -> list[VenueEvent]:
        """Return what the rows tell, in their order.

        Args:
            payload: the rows.
            snapshot: they are what stands at the beginning of a connection.

        Raises:
            VenueError: one of them made no sense.
        """
        events: list[VenueEvent] = []
        rows = KRAKEN.decode(_rows, payload, "execution")
        for row in rows:
            _check(row)
            event = self._event(row, self._learned(row), ns_of(row.timestamp))
            if event is None:
                self.ignored += 1
                continue
            events.append(event)
            if isinstance(event, Fill):
                self._whole = self._whole and len(self._trades) < MAX_TRADES
                self._trades.append(event)
        if snapshot:
            told = (row for row in rows if row.exec_id is None)
            self._orders.forget_others(
                row.order_id for row in told if _STATUS.get(row.order_status or "") is _OPEN
            )
            # Kraken gives the last 50: of an account with fewer these are all.
            self._whole = len(self._trades) < SNAP_TRADES
            self._trades = deque(sorted(self._trades, key=lambda f: f.ts_ns), MAX_TRADES)
            self.begun = True
        return events

    def _learned(self, row: _Row) -> Known:
        before = self._orders.get(row.order_id)
        if before is None:
            before = Known(row.order_id, ClientOrderId(row.order_id), self._now())
        trigger = row.triggers.price if row.triggers is not None else None
        known = Known(
            row.order_id,
            ClientOrderId(row.cl_ord_id) if row.cl_ord_id else before.name,
            before.placed_at,
            row.symbol or before.symbol,
            side_of(row.side) if row.side else before.side,
            # A stop that woke is told as what it became; it stays what was placed.
            before.type or (type_of(row.order_type) if row.order_type else None),
            before.quantity if row.order_qty is None else row.order_qty,
            before.price if row.limit_price is None else row.limit_price,
            before.trigger if trigger is None else trigger,
            before.filled if row.cum_qty is None else max(before.filled, row.cum_qty),
            _status(before.status, row),
            excerpt(row.reason or before.reason),
        )
        if known.status is ReportStatus.FILLED and known.quantity is not None:
            known = attrs.evolve(known, filled=max(known.filled, known.quantity))
        self._orders.keep(known)
        ended = self._ended.get(known.name)
        if ended is not None and ended.venue_order_id != row.order_id:
            del self._ended[known.name]  # somebody used its name again
        return known

    def _event(self, row: _Row, known: Known, at_ns: int) -> VenueEvent | None:
        if row.exec_type == "trade":
            return self._fill(row, known, at_ns)
        if row.exec_type in _ENDS:
            status = _ENDS[row.exec_type]
            return OrderClosed(known.name, status, known.filled, at_ns, excerpt(row.reason or ""))
        if row.exec_type == "new":
            return OrderAccepted(known.name, VenueOrderId(row.order_id), at_ns)
        if row.exec_type in ("amended", "restated") and known.complete:
            assert known.quantity is not None
            trigger = known.fixed_trigger
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


def _status(before: ReportStatus | None, row: _Row) -> ReportStatus | None:
    if before is not None and before is not _OPEN:
        return before  # it has ended, and what comes now was held up
    if row.exec_id is not None and row.order_status == "filled":
        return before  # of a trade; that it ended is told by a row of its own
    return _STATUS.get(row.order_status or row.exec_type, before)


def _check(row: _Row) -> None:
    numbers = [row.order_qty, row.cum_qty, row.limit_price, row.last_qty, row.last_price]
    numbers += [fee.qty for fee in row.fees or ()]
    numbers.append(row.triggers.price if row.triggers is not None else None)
    check_digits("execution", *(value for value in numbers if value is not None))
