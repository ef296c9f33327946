"""What both runners of NautilusTrader share: the ticks, the orders, the time, the answer.

Runs inside a peer's own environment, which has pyarrow beside it and nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator

import pyarrow.parquet as pq

COLUMNS = ("ts_ns", "bid", "ask", "bid_size", "ask_size")


class Task:
    """What the command line asks for: `TICKS EVERY SIZES AWAY ALONE`."""

    def __init__(self) -> None:
        self.path, self.every = sys.argv[1], int(sys.argv[2])
        self.sizes = [(size.startswith("-"), size.lstrip("-")) for size in sys.argv[3].split(",")]
        """Of the orders, in turn: whether to sell, and how much."""
        self.away = int(sys.argv[4])
        """So many ticks from the market a limit order rests; 0 for market orders."""
        self.alone = sys.argv[5] == "1"
        """No order while another one rests."""

    def rows(self) -> Iterator[tuple[int, float, float, float, float]]:
        """Give the ticks."""
        table = pq.read_table(self.path)
        return zip(*(table[name].to_pylist() for name in COLUMNS), strict=True)


def timed(run: Callable[[], None]) -> float:
    """Return how many seconds the event loop took."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def answer(secs: float, **found: object) -> None:
    """Print what came of it, as one line of JSON. Money is exact text."""
    print(json.dumps({"engine_secs": secs, **found}))


def number(money: object) -> str:
    """Return the number of an amount such as `1.5 USDT` or `60_000.03 USDT`."""
    return str(money).split()[0].replace("_", "")
