"""What a market event costs on its way through the runtime, against a loop that calls the handler.

The way is the real one: the feed drops repeats, the paper venue matches, each strategy's handler is
called. Both are timed in turns, block by block, in the same process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import trio

from harness.market import INSTRUMENT, Walk, bare, through
from harness.measure import US, figure, spread, timed
from harness.report import main, progress
from harness.world import Counter, world
from trade_runtime import Strategy
from trade_runtime.model.market import Quote
from trade_runtime.protocols import MarketSink

STRATEGIES = (1, 3, 10)
RESTING = (0, 1_000)

Sizes = Mapping[str, int]
FULL = {"block": 10_000, "rounds": 25, "long": 200, "hops": 5_000}
TINY = {"block": 200, "rounds": 2, "long": 10, "hops": 50}


class Rester(Counter):
    """Counts, and keeps orders resting far below the market."""

    orders = 0

    def on_quote(self, quote: Quote) -> None:
        """Place what is wanted with the first quote, then count."""
        self.seen += 1
        while self.orders:
            self.orders -= 1
            self.trader.limit(INSTRUMENT, "buy", "0.001", f"{10_000 + self.orders / 100:.2f}")


class Reader(Strategy):
    """Reads quotes in a task of its own."""

    seen = 0

    async def run(self) -> None:
        """Count what is read."""
        async for _ in self.trader.quotes(INSTRUMENT):
            self.seen += 1


async def handlers(sizes: Sizes, count: int, resting: int) -> dict[str, float]:
    """Time `count` strategies with `resting` orders in the market."""
    strategies = [Rester(f"s{number}", [INSTRUMENT]) for number in range(count)]
    strategies[0].orders = resting
    plain = [Counter(f"b{number}").on_quote for number in range(count)]
    walk, done = Walk(), trio.Event()
    ways: dict[str, list[float]] = {"runtime": [], "bare": []}

    async def play(sink: MarketSink) -> None:
        through(sink, walk.block(1))()
        await rested.wait()
        for number in range(sizes["rounds"] + 2):
            block = walk.block(sizes["block"])
            took = timed(through(sink, block)), timed(bare(plain, block))
            if number >= 2:  # the first ones warm up
                ways["runtime"].append(took[0] / len(block) * US)
                ways["bare"].append(took[1] / len(block) * US)
            await trio.lowlevel.checkpoint()
        done.set()

    rested = trio.Event()
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder), strategies, play) as runtime:
            while not (strategies[0].seen and _resting(runtime) == resting):
                await trio.sleep(0.01)
            rested.set()
            await done.wait()
    ours, theirs = median(ways["runtime"]), median(ways["bare"])
    return {
        "us_per_event": figure(ours),
        "bare_us_per_event": figure(theirs),
        "ratio": figure(ours / theirs),
        "spread": spread(ways["runtime"]),
    }


def _resting(runtime: Any) -> int:
    return sum(order.state == "open" for order in runtime.trading.orders.trading.live())


async def flatness(sizes: Sizes) -> dict[str, float]:
    """Time the first and the last tenth of a long run of three strategies."""
    strategies = [Counter(f"s{number}", [INSTRUMENT]) for number in range(3)]
    walk, done = Walk(), trio.Event()
    blocks: list[float] = []

    async def play(sink: MarketSink) -> None:
        for _ in range(sizes["long"]):
            block = walk.block(sizes["block"])
            blocks.append(timed(through(sink, block)) / len(block) * US)
            await trio.lowlevel.checkpoint()
        done.set()

    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder), strategies, play):
            await done.wait()
    tenth = max(1, len(blocks) // 10)
    first, last = median(blocks[:tenth]), median(blocks[-tenth:])
    return {
        "events": sizes["long"] * sizes["block"],
        "first_tenth_us": figure(first),
        "last_tenth_us": figure(last),
        "last_to_first": figure(last / first),
    }


async def readers(sizes: Sizes) -> dict[str, float]:
    """Time a quote from the feed to a reader in another task, one by one and in bursts of 100.

    The peer is the least that Trio can do: one task wakes another.
    """
    reader = Reader("reader", [INSTRUMENT])
    walk, done = Walk(), trio.Event()
    ways: dict[str, list[float]] = {"one": [], "burst": [], "hop": []}

    async def play(sink: MarketSink) -> None:
        for _ in range(sizes["rounds"]):
            ways["one"].append(await one_by_one(sink, walk.block(sizes["hops"])))
            ways["burst"].append(await in_bursts(sink, walk.block(sizes["hops"])))
            ways["hop"].append(await hops(sizes["hops"]))
        done.set()

    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder), [reader], play):
            await done.wait()
    one, burst, hop = (median(ways[way]) for way in ("one", "burst", "hop"))
    return {
        "us_per_quote_read": figure(one),
        "hop_us": figure(hop),
        "ratio": figure(one / hop),
        "burst_us_per_event": figure(burst),
    }


async def one_by_one(sink: MarketSink, block: list[Quote]) -> float:
    began = perf_counter()
    for quote in block:
        sink.on_quote(quote)
        await trio.lowlevel.checkpoint()
    return (perf_counter() - began) / len(block) * US


async def in_bursts(sink: MarketSink, block: list[Quote]) -> float:
    began = perf_counter()
    for start in range(0, len(block), 100):
        for quote in block[start : start + 100]:
            sink.on_quote(quote)
        await trio.lowlevel.checkpoint()
    return (perf_counter() - began) / len(block) * US


async def hops(count: int) -> float:
    lot = trio.lowlevel.ParkingLot()

    async def wait() -> None:
        while True:
            await lot.park()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.lowlevel.checkpoint()
        began = perf_counter()
        for _ in range(count):
            lot.unpark()
            await trio.lowlevel.checkpoint()
        took = perf_counter() - began
        nursery.cancel_scope.cancel()
    return took / count * US


def measure(tiny: bool) -> dict[str, Any]:
    """Measure everything."""
    sizes = TINY if tiny else FULL
    by_resting: dict[str, dict[str, Any]] = {}
    for resting in RESTING:
        found = {}
        for count in STRATEGIES:
            progress(f"{count} strategies, {resting} resting orders")
            found[str(count)] = trio.run(handlers, sizes, count, resting)
        few, many = min(STRATEGIES), max(STRATEGIES)
        more = found[str(many)]["us_per_event"] - found[str(few)]["us_per_event"]
        by_resting[str(resting)] = {
            "strategies": found,
            "us_per_extra_strategy": figure(more / (many - few)),
        }
    progress("a long run, and readers")
    return {
        "resting_orders": by_resting,
        "flatness": trio.run(flatness, sizes),
        "readers": trio.run(readers, sizes),
    }


if __name__ == "__main__":
    main("events", measure)
