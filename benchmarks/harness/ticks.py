"""A random walk of quotes as a Parquet file, which every engine reads."""

from __future__ import annotations

import random
from pathlib import Path

START_NS = 1_700_000_000_000_000_000


def write_ticks(path: Path, count: int, seed: int = 1) -> None:
    """Write `count` quotes of BTCUSDT, about one a millisecond, each at a time of its own.

    The displayed sizes are far above what the benchmark trades: an order fills at once, in full.
    """
    import pyarrow as pa  # noqa: PLC0415 - only this needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    rng = random.Random(seed)
    cents, ts_ns = 6_000_000, START_NS
    rows: list[tuple[int, float, float, float, float]] = []
    for _ in range(count):
        cents += rng.randint(-3, 3)
        ts_ns += 1_000_000 + rng.randrange(1_000)
        sizes = 50.0 + rng.randrange(5), 50.0 + rng.randrange(5)
        rows.append((ts_ns, cents / 100, (cents + 2) / 100, *sizes))
    names = ("ts_ns", "bid", "ask", "bid_size", "ask_size")
    columns = zip(*rows, strict=True)
    table = {name: list(column) for name, column in zip(names, columns, strict=True)}
    pq.write_table(pa.table(table), path)
