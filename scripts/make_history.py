#!/usr/bin/env python3
"""Make the history of `examples/backtest.toml`: a made-up market, the same from the same seed.

    python scripts/make_history.py                        # writes examples/data/quotes.csv.gz
    python scripts/make_history.py --rows 1000000 --out big.csv.gz

A quote every five seconds or so: a random walk that now and then is drawn back to where it began,
with a spread and with sizes that vary. Nothing in it comes from a real market.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "examples" / "data" / "quotes.csv.gz"
BEGIN_MS = 1_704_067_200_000  # 2024-01-01 00:00 UTC
STEP_MS = 5_000
PRICE = 2_300_00  # in ticks of 0.01
SIGMA = 45.0
DRAWN_BACK = 0.0008


def quotes(rows: int, seed: int) -> Iterator[str]:
    """Give the lines of the file."""
    rng = random.Random(seed)
    at_ms, middle = BEGIN_MS, float(PRICE)
    yield "ts_ns,bid,ask,bid_size,ask_size"
    for _ in range(rows):
        at_ms += STEP_MS + rng.randint(-20, 20) * 50
        middle += rng.gauss(0, SIGMA) - DRAWN_BACK * (middle - PRICE)
        bid = round(middle)
        ask = bid + rng.choice((5, 10, 10, 20))
        sizes = (rng.randint(1, 60) / 10, rng.randint(1, 60) / 10)
        yield f"{at_ms}000000,{bid / 100:.2f},{ask / 100:.2f},{sizes[0]},{sizes[1]}"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with (
        given.out.open("wb") as raw,
        # Without a name and a time in its head the file is the same each time.
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text,
    ):
        text.writelines(f"{line}\n" for line in quotes(given.rows, given.seed))
    print(f"{given.out}: {given.rows:,} quotes, {given.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
