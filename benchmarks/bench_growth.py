"""Ten million quotes and a hundred thousand orders: does anything grow, does anything get slower?

Every hundredth quote a strategy places an order: taken at once, cancelled at once, or left to rest
until two hundred later ones have come. Memory and cost are given for each tenth of the run, on a
real journal and the paper venue's own record. The end of the run is a stop like any other, over all
that was recorded.
"""

from __future__ import annotations

import gc
import sqlite3
import sys
import tempfile
from collections import deque
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import trio

from harness.market import INSTRUMENT, Play, Walk, bare, through
from harness.measure import US, figure, rss_mib, timed
from harness.report import main, progress
from harness.world import Counter, until, world
from trade_runtime import Strategy
from trade_runtime.machines.order import Order, OrderUpdate
from trade_runtime.model.market import Quote
from trade_runtime.protocols import MarketSink
from trade_runtime.runtime import Runtime

TENTHS = 10
QUOTES_PER_ORDER = 100
MOST_RESTING = 200


class Trader(Strategy):
    """Places an order whenever it is told to, of each sort in turn."""

    due = False
    placed = 0
    busy: Order | None = None
    """The order that has to end, or come to rest, before the next."""
    quotes = fills = events = 0

    def __init__(self) -> None:
        super().__init__("trader", [INSTRUMENT])
        self.resting: deque[Order] = deque()

    def on_quote(self, quote: Quote) -> None:
        """Place an order, where one is due."""
        self.quotes += 1
        if self.due:
            self.due = False
            self.busy = self._place(quote)
            self.placed += 1

    def _place(self, quote: Quote) -> Order:
        trader, turn = self.trader, self.placed % 4
        if turn == 0:
            return trader.market(INSTRUMENT, "buy", "0.1")
        if turn == 1:
            return trader.limit(INSTRUMENT, "buy", "0.1", f"{quote.bid - 9000:.2f}")
        if turn == 2:
            return trader.limit(INSTRUMENT, "sell", "0.1", f"{quote.bid:.2f}")
        order = trader.limit(INSTRUMENT, "sell", "0.1", f"{quote.ask + 9000:.2f}", post_only=True)
        self.resting.append(order)
        if len(self.resting) > MOST_RESTING:
            trader.cancel(self.resting.popleft())
        return order

    def on_order(self, event: OrderUpdate) -> None:
        """Cancel what is to be cancelled as soon as it rests."""
        self.events += 1
        order = event.order
        if event.kind == "accepted" and order.side == "buy" and order.price is not None:
            self.trader.cancel(order)

    def on_fill(self, fill: Any) -> None:
        """Count."""
        self.fills += 1

    def at_rest(self) -> bool:
        """Whether nothing has to happen before the next order."""
        order = self.busy
        if order is None:
            return True
        rests = order.side == "sell" and order.spec.post_only and order.state == "open"
        return order.settled or rests


class Commits:
    """The peer of an order: small commits to a table that does not grow, with the same pragmas."""

    def __init__(self, path: Path) -> None:
        self._write = sqlite3.connect(path, isolation_level=None).execute
        self._write("PRAGMA journal_mode = WAL")
        self._write("PRAGMA synchronous = NORMAL")
        self._write("CREATE TABLE records (number INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
        self._count = 0

    def commit(self) -> None:
        """Commit one record."""
        self._count += 1
        self._write("BEGIN IMMEDIATE")
        row = self._count % 1000, b"x" * 1000
        self._write("INSERT OR REPLACE INTO records VALUES (?, ?)", row)
        self._write("COMMIT")


async def tenth(
    trader: Trader, walk: Walk, sink: MarketSink, commits: Commits, orders: int
) -> dict[str, float]:
    """Trade for a tenth of the run; return what a quote and an order cost in it.

    The peers are a handler that is called with the same quotes by a bare loop, and a commit.
    """
    handler = Counter().on_quote
    quotes_us, bare_us, order_us, commit_us = [], [], [], []
    for _ in range(orders):
        first, *rest = walk.block(QUOTES_PER_ORDER)
        trader.due = True
        began = perf_counter()
        sink.on_quote(first)
        await until(trader.at_rest)
        order_us.append((perf_counter() - began) * US)
        commit_us.append(timed(commits.commit) * US)
        quotes_us.append(timed(through(sink, rest)) / len(rest) * US)
        bare_us.append(timed(bare([handler], rest)) / len(rest) * US)
    gc.collect()
    return {
        "us_per_event": figure(median(quotes_us)),
        "ratio_to_bare": figure(median(quotes_us) / median(bare_us)),
        "us_per_order": figure(median(order_us)),
        "ratio_to_commit": figure(median(order_us) / median(commit_us)),
        "mean_us_per_order": figure(sum(order_us) / orders),
        "rss_mib": figure(rss_mib()),
        "python_blocks": sys.getallocatedblocks(),
    }


async def run(orders: int, found: dict[str, Any]) -> None:
    """Trade ten tenths of `orders`, stop, and start again on what was recorded."""
    trader, walk, done = Trader(), Walk(), trio.Event()
    tenths: list[dict[str, float]] = []

    async def play(sink: MarketSink) -> None:
        sink.on_quote(walk.block(1)[0])
        await tenth(
            trader, walk, sink, commits, orders // 20
        )  # everything is imported and made by then
        for number in range(TENTHS):
            tenths.append(await tenth(trader, walk, sink, commits, orders // TENTHS))
            progress(f"tenth {number + 1}: {tenths[-1]}")
        done.set()

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as beside:
        commits = Commits(Path(beside) / "peer.sqlite")
        began = perf_counter()
        async with a_world(folder, trader, play) as runtime:
            found["first_start_secs"] = figure(perf_counter() - began)
            await done.wait()
            found |= {"quotes": trader.quotes, "orders": trader.placed, "fills": trader.fills}
            found |= held(runtime)
        found["files_mib"] = figure(bytes_on_disk(Path(folder)) / 2**20)
        found |= stopped(runtime)
        progress("starting again")
        began = perf_counter()
        async with a_world(folder, Trader(), silence):
            found["next_start_secs"] = figure(perf_counter() - began)
    found |= {
        "tenths": tenths,
        "rss_last_to_first": last_to_first(tenths, "rss_mib"),
        "blocks_last_to_first": last_to_first(tenths, "python_blocks"),
        "event_last_to_first": last_to_first(tenths, "ratio_to_bare"),
        "order_last_to_first": last_to_first(tenths, "ratio_to_commit"),
    }


def a_world(folder: str, trader: Trader, play: Play) -> AbstractAsyncContextManager[Runtime]:
    """Return a runtime that keeps its state in `folder`."""
    store = {"url": "sqlite:///journal.sqlite"}
    return world(Path(folder), [trader], play, store=store, ack_timeout_secs=2.0)


async def silence(sink: MarketSink) -> None:
    """Bring no quotes."""
    await trio.lowlevel.checkpoint()


def stopped(runtime: Runtime) -> dict[str, Any]:
    """Return how the stop went."""
    report = runtime.report
    assert report is not None
    return {
        "journal_records": report.state["records"],
        "stop_exit_code": report.exit_code,
        "stop_secs": figure(report.duration_secs),
        "stages_ms": {stage.name: figure(stage.took_secs * 1e3) for stage in report.stages},
    }


def bytes_on_disk(folder: Path) -> int:
    """Return how large the journal and the venue's record are."""
    return sum(path.stat().st_size for path in folder.glob("*.sqlite"))


def last_to_first(tenths: list[dict[str, float]], key: str) -> float:
    """Return how the last tenth compares with the first."""
    return figure(tenths[-1][key] / tenths[0][key])


def held(runtime: Runtime) -> dict[str, Any]:
    """Return how much the runtime keeps in mind at the end of the run."""
    assert runtime.trading is not None
    orders = runtime.trading.orders
    return {
        "kept_in_mind": {
            "orders": len(orders.trading.orders),
            "counted_in_exposure": orders.trading.exposure.live_orders,
            "in_doubt": len(orders.in_doubt),
        }
    }


def measure(tiny: bool) -> dict[str, Any]:
    """Measure it once: the run is long enough to be its own peer."""
    found: dict[str, Any] = {}
    trio.run(run, 1_000 if tiny else 100_000, found)
    return found


if __name__ == "__main__":
    main("growth", measure)
