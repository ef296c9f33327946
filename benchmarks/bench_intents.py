"""Durable intents a second, and an order's way from the strategy's call to the venue's.

The way is the real one: risk gate, intent, journal commit, send. The peer is a loop that commits
the very records and rows that the runtime committed, in the same batches, with the same settings,
on the same disk or server, through nothing but the driver: `sqlite3`, or asyncpg beneath Trio. A
store in memory shows what is left without a disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, aclosing
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import trio

from harness.market import INSTRUMENT, Walk
from harness.measure import US, figure, percentile, spread
from harness.orders import Batch, Taker, noting, taker_plugin
from harness.raw import Raw, RawPostgres, RawSqlite
from harness.report import parser, progress, run
from harness.servers import add_option, fresh_database, postgres
from harness.world import Actor, until, world
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import MarketSink

AT_ONCE = (1, 100)
STORES = {
    "memory": {"url": "memory:///"},
    "process": {"url": "sqlite:///journal.sqlite", "durability": "process"},
    "power": {"url": "sqlite:///journal.sqlite", "durability": "power"},
    "postgresql": {"url": "postgresql://", "durability": "power"},
}
ROUNDS = {"memory": 15, "process": 15, "power": 15, "postgresql": 5}
"""How often each is measured: a commit of PostgreSQL takes many times as long."""


async def intents(
    store: str, at_once: int, rounds: int, per_round: int, database: str | None
) -> dict[str, Any]:
    """Time intents on one kind of store, so many placed at once."""
    taker, walk, done = Taker(), Walk(), trio.Event()
    batches: list[Batch] = []
    times: dict[str, list[float]] = {
        name: [] for name in ("runtime", "raw", "raw_commit", "call", "latency")
    }
    table = STORES[store] | ({} if database is None else {"url": database})

    async def play(sink: MarketSink) -> None:
        sink.on_quote(walk.block(1)[0])
        quoted.set()

    async def act(actor: Actor) -> None:
        await quoted.wait()
        async with aclosing(await raw_of(store, folder, database)) as raw:
            for number in range(rounds + 1):
                batches.clear()
                took, calls, latencies = await one_round(actor)
                commits = await raw.commit(list(batches))
                if number:  # the first one warms up
                    times["runtime"].append(took)
                    times["raw"].append(sum(commits))
                    times["raw_commit"] += commits
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
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        scheme = table["url"].partition("://")[0]
        async with world(
            folder,
            [Actor(act)],
            play,
            venue=taker_plugin(taker),
            store=table,
            stores={scheme: noting(Plugins().stores[scheme], batches)},
        ):
            await done.wait()
    return figures(store, per_round, times)


async def raw_of(store: str, folder: Path, database: str | None) -> Raw:
    """Return the peer of a store; that of the store in memory is SQLite's, and not told of."""
    if database is not None:
        return await RawPostgres.connect(database)
    return RawSqlite(folder / "raw.sqlite", store)


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
        commits = times["raw_commit"]
        p50, p99 = median(commits) * US, percentile(commits, 99) * US
        found |= {
            "raw_intents_per_sec": figure(per_round / raw),
            "raw_us_per_intent": figure(raw / per_round * US),
            "raw_commit_p50_us": figure(p50),
            "raw_commit_p99_us": figure(p99),
            "added_p50_us": figure(found["latency_p50_us"] - p50),
            "added_p99_us": figure(found["latency_p99_us"] - p99),
            "ratio": figure(ours / raw),
            "us_beside_driver": figure((ours - raw) / per_round * US),
        }
    return found


def measure(tiny: bool, server: str | None) -> dict[str, Any]:
    """Measure every store, one order at a time and many at once.

    Args:
        tiny: only a little.
        server: the URL of a database of a PostgreSQL server; None leaves it out.
    """
    results: dict[str, Any] = {}
    for store in STORES:
        if store == "postgresql" and server is None:
            continue
        results[store] = {"at_once": {}}
        rounds, per_round = (1, 100) if tiny else (ROUNDS[store], 1_000)
        for at_once in AT_ONCE:
            progress(f"{store}, {at_once} at once")
            with ExitStack() as made:
                database = None
                if store == "postgresql" and server is not None:
                    database = made.enter_context(fresh_database(server))
                found = trio.run(intents, store, at_once, rounds, per_round, database)
            results[store]["at_once"][str(at_once)] = found
    return results


def main() -> None:
    """Read the command line, and measure."""
    options = parser()
    add_option(options)
    args = options.parse_args()
    with postgres(args.postgres) as server:
        run("intents", partial(measure, server=server), tiny=args.tiny)


if __name__ == "__main__":
    main()
