"""A made-up journal, as long as is wanted: what a runtime writes that trades all day.

Orders of two strategies in two instruments, by turns bought and sold, each with five records:
intent, sent, accepted, fill, closed. A few rest at any time. They are made as the state layer makes
them, folded and chained, and written with the rows of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs

from trade_runtime.machines.journal import GENESIS, make_record
from trade_runtime.machines.order_ids import order_id
from trade_runtime.machines.projection import Projection
from trade_runtime.machines.snapshot import take
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill, OrderAccepted, OrderClosed
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName, TradeId, VenueOrderId
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side
from trade_runtime.model.records import JournalEvent, OrderSent, RuntimeStarted
from trade_runtime.protocols import Record, Store

BATCH = 100
"""Records of a transaction: the default of `store.batch_rows`."""

RESTING = 20
"""Orders that rest at any time."""

STEP_NS = 1_000_000
FIRST_NS = 1_790_000_000_000_000_000
TAG = "bench0"
INSTRUMENTS = InstrumentId("BTCUSDT.binance"), InstrumentId("ETHUSDT.binance")
STRATEGIES = StrategyName("cross"), StrategyName("maker")
USDT, FEE, QUANTITY = Currency("USDT"), Decimal("0.06123450"), Decimal("0.0010")


@attrs.frozen
class Filled:
    """What was written.

    Attributes:
        payload_bytes: of all records together: what the least of files would hold.
        snapshot_at: the record that the snapshot was taken after.
    """

    payload_bytes: int
    snapshot_at: int


def events() -> Iterator[JournalEvent]:
    """Give what happens, without an end."""
    yield RuntimeStarted("bench", TAG, "1.0.0", "host", 1)
    number = 0
    while True:
        number += 1
        spec = spec_of(number)
        yield spec
        yield OrderSent(spec.client_order_id)
        yield OrderAccepted(spec.client_order_id, VenueOrderId(str(10**10 + number)), ns(number))
        if number > RESTING:
            yield from end_of(spec_of(number - RESTING), number)


def spec_of(number: int) -> OrderSpec:
    """Return an order."""
    return OrderSpec(
        order_id(TAG, number),
        STRATEGIES[number % 2],
        INSTRUMENTS[number // 2 % 2],
        Side.BUY if number // 4 % 2 else Side.SELL,
        OrderType.LIMIT,
        QUANTITY,
        Decimal(6_000_000 + number * 37 % 10_000) / 100,
        created_ns=ns(number),
    )


def end_of(spec: OrderSpec, now: int) -> Iterator[JournalEvent]:
    """Give the fill of an order, and its end."""
    order_id, price = spec.client_order_id, spec.price
    assert price is not None
    trade = TradeId(str(4 * 10**9 + now))
    yield Fill(
        order_id,
        spec.instrument,
        trade,
        spec.side,
        spec.quantity,
        price,
        FEE,
        USDT,
        maker=True,
        ts_ns=ns(now),
    )
    yield OrderClosed(order_id, ReportStatus.FILLED, spec.quantity, ns(now))


def ns(number: int) -> int:
    """Return the moment of an order."""
    return FIRST_NS + number * STEP_NS


async def fill(store: Store, records: int, since_snapshot: int) -> Filled:
    """Write a journal to an empty store.

    Args:
        store: is filled.
        records: how many.
        since_snapshot: how many of them come after its only snapshot; a multiple of `BATCH`.
    """
    state = TradingState()
    projection = Projection(state)
    digest, seq, payload_bytes = GENESIS, 0, 0
    source, batch = events(), list[Record]()
    while seq < records:
        seq += 1
        event = next(source)
        projection.note(event, state.apply(event))
        record = make_record(digest, seq, FIRST_NS + seq, event)
        digest = record.digest
        payload_bytes += len(record.payload)
        batch.append(record)
        if len(batch) == BATCH or seq == records:
            rows, _ = projection.changed()
            await store.append(batch, rows)
            batch = []
        if seq == records - since_snapshot:
            await store.keep(take(state, seq, FIRST_NS + seq, digest))
    return Filled(payload_bytes, records - since_snapshot)
