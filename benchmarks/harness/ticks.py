"""A random walk of quotes as a Parquet file, which every engine reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000
"""Between two quotes, and up to a thousandth of it more."""
FIRST_CENTS = 6_000_000
SPREAD_CENTS = 2
LEAST_SIZE = 50
"""Displayed at each price: far above what the benchmark trades, so that an order fills at once."""


def write_ticks(path: Path, count: int, seed: int = 1) -> None:
    """Write `count` quotes of BTCUSDT, about one a millisecond, each at a time of its own.

    The same arguments give the same quotes, and a longer file begins as a shorter one does.
    Columns: `ts_ns`, and `bid`, `ask`, `bid_size` and `ask_size` as floats.
    """
    walks, times, bid_sizes, ask_sizes = (
        np.random.default_rng([seed, number]) for number in range(4)
    )
    bids = FIRST_CENTS + np.cumsum(walks.integers(-3, 3, count, endpoint=True))
    steps = STEP_NS + times.integers(STEP_NS // 1_000, size=count)
    table = {
        "ts_ns": START_NS + np.cumsum(steps),
        "bid": bids / 100,
        "ask": (bids + SPREAD_CENTS) / 100,
        "bid_size": LEAST_SIZE + bid_sizes.integers(5, size=count).astype(float),
        "ask_size": LEAST_SIZE + ask_sizes.integers(5, size=count).astype(float),
    }
    pq.write_table(pa.table(table), path)
