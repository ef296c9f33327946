"""The paper exchange's rows to and from what SQLite keeps: numbers as text, names as text.

Values only; the order of columns is that of the tables in `sqlite.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trade_runtime.model.events import Fill
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    TradeId,
    VenueOrderId,
)
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper.orders import OrderRow, text_of

Values = tuple[str | int | None, ...]


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def order_values(row: OrderRow) -> Values:
    """Return the columns of `orders`."""
    return (
        row.client_order_id,
        row.venue_order_id,
        row.instrument,
        row.side.value,
        row.type.value,
        row.status.value,
        text_of(row.quantity),
        text_of(row.filled),
        text_of(row.price),
        text_of(row.trigger_price),
        row.tif.value,
        row.post_only,
        row.reduce_only,
        row.triggered,
        text_of(row.locked),
        row.reason,
        row.created_ns,
        row.updated_ns,
        row.seq,
        row.expire_ns,
        text_of(row.trail),
        row.oco,
        row.priority,
        text_of(row.ahead),
    )


def order_row(columns: tuple[Any, ...]) -> OrderRow:
    """Return the order that the columns of `orders` are of."""
    return OrderRow(
        client_order_id=ClientOrderId(columns[0]),
        venue_order_id=VenueOrderId(columns[1]),
        instrument=InstrumentId(columns[2]),
        side=Side(columns[3]),
        type=OrderType(columns[4]),
        status=ReportStatus(columns[5]),
        quantity=Decimal(columns[6]),
        filled=Decimal(columns[7]),
        price=_number(columns[8]),
        trigger_price=_number(columns[9]),
        tif=TimeInForce(columns[10]),
        post_only=bool(columns[11]),
        reduce_only=bool(columns[12]),
        triggered=bool(columns[13]),
        locked=Decimal(columns[14]),
        reason=columns[15],
        created_ns=columns[16],
        updated_ns=columns[17],
        seq=columns[18],
        expire_ns=columns[19],
        trail=_number(columns[20]),
        oco=columns[21],
        priority=columns[22] or columns[18],
        ahead=_number(columns[23]),
    )


def fill_values(fill: Fill) -> Values:
    """Return the columns of `fills`; a trade id is the number of the fill in the history."""
    return (
        int(fill.trade_id),
        fill.trade_id,
        fill.client_order_id,
        fill.instrument,
        fill.side.value,
        text_of(fill.quantity),
        text_of(fill.price),
        text_of(fill.fee),
        fill.fee_currency,
        fill.maker,
        fill.ts_ns,
        text_of(fill.multiplier),
    )


def fill_of(columns: tuple[Any, ...]) -> Fill:
    """Return the fill that the columns of `fills`, and whether its fee is in base, are of."""
    return Fill(
        trade_id=TradeId(columns[1]),
        client_order_id=ClientOrderId(columns[2]),
        instrument=InstrumentId(columns[3]),
        side=Side(columns[4]),
        quantity=Decimal(columns[5]),
        price=Decimal(columns[6]),
        fee=Decimal(columns[7]),
        fee_currency=Currency(columns[8]),
        maker=bool(columns[9]),
        ts_ns=columns[10],
        multiplier=Decimal(columns[11]),
        fee_in_base=bool(columns[12]),
    )


def instrument_values(one: Instrument) -> Values:
    """Return the columns of `instruments`."""
    return (
        one.id,
        one.base,
        one.quote,
        text_of(one.tick),
        text_of(one.lot),
        text_of(one.min_quantity),
        text_of(one.max_quantity),
        text_of(one.min_notional),
        text_of(one.max_price),
        one.kind,
        text_of(one.multiplier),
    )


def instrument_of(columns: tuple[Any, ...]) -> Instrument:
    """Return the instrument that the columns of `instruments` are of."""
    return Instrument(
        id=InstrumentId(columns[0]),
        base=Currency(columns[1]),
        quote=Currency(columns[2]),
        tick=Decimal(columns[3]),
        lot=Decimal(columns[4]),
        min_quantity=Decimal(columns[5]),
        max_quantity=_number(columns[6]),
        min_notional=Decimal(columns[7]),
        max_price=_number(columns[8]),
        kind=columns[9],
        multiplier=Decimal(columns[10]),
    )
