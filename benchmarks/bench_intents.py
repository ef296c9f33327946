"""Durable intents a second, and an order's way from the strategy's call to the venue's.

The way is the real one: risk gate, intent, journal commit, send. The peer is a loop that commits
the very records that the runtime committed, in the same batches, with the same pragmas, on the same
disk, through nothing but `sqlite3`. A store in memory shows what is left without a disk.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import trio

from harness.market import INSTRUMENT, Walk
from harness.measure import US, figure, percentile, spread, timed
from harness.orders import Row, Taker, noting, taker_plugin
from harness.report import main, progress
from harness.world import Actor, until, world
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import MarketSink

AT_ONCE = (1, 100)
STORES = {
    "memory": {"url": "memory:///"},
    "process": {"url": "sqlite:///journal.sqlite", "durability": "process"},
    "power": {"url": "sqlite:///journal.sqlite", "durability": "power"},
}

TABLE = """CREATE TABLE records (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL,
    kind TEXT NOT NULL, payload BLOB NOT NULL, digest TEXT NOT NULL) STRICT"""
INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?)"


class Raw:
    """A table like the journal's, written to by `sqlite3` alone."""

    def __init__(self, path: Path, durability: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        self.db.execute("PRAGMA wal_autocheckpoint = 1000")
        self.db.execute(TABLE)

    def commit(self, batches: list[list[Row]]) -> None:
        """Commit each batch by itself."""
        execute, executemany = self.db.execute, self.db.executemany
        for batch in batches:
            execute("BEGIN IMMEDIATE")
            executemany(INSERT, batch)
            execute("COMMIT")


async def intents(store: str, at_once: int, rounds: int, per_round: int) -> dict[str, Any]:
    """Time intents on one kind of store, so many placed at once."""
    taker, walk, done = Taker(), Walk(), trio.Event()
    batches: list[list[Row]] = []
    times: dict[str, list[float]] = {"runtime": [], "raw": [], "call": [], "latency": []}

    async def play(sink: MarketSink) -> None:
        sink.on_quote(walk.block(1)[0])
        quoted.set()

    async def act(actor: Actor) -> None:
        await quoted.wait()
        for number in range(rounds + 1):
            batches.clear()
            took, calls, latencies = await one_round(actor)
            peer = timed(lambda: raw.commit(list(batches)))
            if number:  # the first one warms up
                times["runtime"].append(took)
                times["raw"].append(peer)
                times["call"] += calls
                times["latency"] += latencies
        done.set()

    async def one_round(actor: Actor) -> tuple[float, list[float], list[float]]:
        limit, calls, latencies, took = actor.trader.limit, [], [], 0.0
        for _ in range(per_round // at_once):
            taker.expect(at_once)
            placed: dict[ClientOrderId, float] = {}
            began = perf_counter()
            for _ in range(at_once):
                asked = perf_counter()
                order = limit(INSTRUMENT, "buy", "0.0010", "50000.00")
                calls.append(perf_counter() - asked)
                placed[order.id] = asked
            await taker.all_here.wait()
            took += perf_counter() - began
            latencies += [taker.arrived[order_id] - asked for order_id, asked in placed.items()]
            taker.end_all()
        await until(lambda: not list(actor.trader.open_orders()))
        return took, calls, latencies

    quoted = trio.Event()
    with tempfile.TemporaryDirectory() as folder:
        raw = Raw(Path(folder) / "raw.sqlite", store)
        scheme = STORES[store]["url"].partition("://")[0]
        plugin = noting(Plugins().stores[scheme], batches)
        with closing(raw.db):
            async with world(
                Path(folder),
                [Actor(act)],
                play,
                venue=taker_plugin(taker),
                store=STORES[store],
                stores={scheme: plugin},
            ):
                await done.wait()
    return figures(store, per_round, times)


def figures(store: str, per_round: int, times: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return what the times of some rounds come to."""
    ours, raw, latency = median(times["runtime"]), median(times["raw"]), times["latency"]
    found = {
        "intents_per_sec": figure(per_round / ours),
        "us_per_intent": figure(ours / per_round * US),
        "latency_p50_us": figure(median(latency) * US),
        "latency_p99_us": figure(percentile(latency, 99) * US),
        "call_us": figure(median(times["call"]) * US),
        "spread": spread(times["runtime"]),
    }
    if store != "memory":
        found["raw_intents_per_sec"] = figure(per_round / raw)
        found["raw_us_per_intent"] = figure(raw / per_round * US)
        found["ratio"] = figure(ours / raw)
        found["us_beside_sqlite"] = figure((ours - raw) / per_round * US)
    return found


def measure(tiny: bool) -> dict[str, Any]:
    """Measure every store, one order at a time and many at once."""
    rounds, per_round = (1, 100) if tiny else (15, 1_000)
    results: dict[str, Any] = {}
    for store in STORES:
        results[store] = {"at_once": {}}
        for at_once in AT_ONCE:
            progress(f"{store}, {at_once} at once")
            found = trio.run(intents, store, at_once, rounds, per_round)
            results[store]["at_once"][str(at_once)] = found
    return results


if __name__ == "__main__":
    main("intents", measure)
