"""The trades table: one row a fill, as Parquet, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from trade_runtime.backtest.result import BookedFill

BATCH_ROWS: Final = 100_000


def write_trades(fills: Sequence[BookedFill], path: Path) -> None:
    """Write every fill. Numbers are text, exact as they were computed: cast them as you need.

    Raises:
        OSError: the file cannot be written.
    """
    import pyarrow as pa  # noqa: PLC0415 - only a report needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    whole, flags = ("ts_ns",), ("maker",)
    fields = [
        (name, pa.int64() if name in whole else pa.bool_() if name in flags else pa.string())
        for name in COLUMNS
    ]
    schema = pa.schema(fields)
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, len(fills), BATCH_ROWS):
            rows = [_row(booked) for booked in fills[first : first + BATCH_ROWS]]
            columns = list(zip(*rows, strict=True))
            writer.write_batch(pa.record_batch([list(c) for c in columns], schema=schema))


COLUMNS: Final = (
    "ts_ns",
    "strategy",
    "instrument",
    "order_id",
    "trade_id",
    "side",
    "order_type",
    "quantity",
    "price",
    "notional",
    "fee",
    "fee_currency",
    "maker",
    "realised",
    "position",
    "average_price",
)


def _row(booked: BookedFill) -> tuple[Any, ...]:
    fill = booked.fill
    return (
        fill.ts_ns,
        booked.strategy,
        fill.instrument,
        fill.client_order_id,
        fill.trade_id,
        fill.side.value,
        booked.order_type.value,
        f"{fill.quantity:f}",
        f"{fill.price:f}",
        f"{fill.price * fill.quantity * fill.multiplier:f}",
        f"{fill.fee:f}",
        fill.fee_currency,
        fill.maker,
        f"{booked.realised:f}",
        f"{booked.position:f}",
        f"{booked.average_price:f}",
    )
