"""A runtime with a real server that is killed, frozen, filled, or drops its connections: while it
trades, and during the stop. In real time, since a real server has no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trio
import trio.lowlevel

from tests.process.support import share
from tests.support.valkey import Valkey
from trade_runtime import OrderUpdate, Quote, Settings, Strategy, open_runtime
from trade_runtime.caches.redis import plugin
from trade_runtime.plugins import Plugins
from trade_runtime.runtime import Runtime

ETH = "ETHUSDT.paper"

BUDGET_SECS = 5.0

SLOW_SECS = 0.5
"""What no order may take, of which one takes some milliseconds on an idle machine."""

PATIENCE_SECS = 20.0


class Pinger(Strategy):
    """Places an order, waits until the venue has it, cancels it, and again; keeps the times."""

    def on_start(self) -> None:
        self.took: list[float] = []
        self.began = 0.0

    def on_quote(self, quote: Quote) -> None:
        if not self.trader.open_orders() and not self.trader.position(ETH).quantity:
            self.trader.market(ETH, "buy", "1")
        elif not any(order.type == "limit" for order in self.trader.open_orders()):
            self.began = time.perf_counter()
            self.trader.limit(ETH, "buy", "1", "1000")

    def on_order(self, event: OrderUpdate) -> None:
        if event.kind == "accepted" and event.order.type == "limit":
            self.took.append(time.perf_counter() - self.began)
            self.trader.cancel(event.order)


class Bench:
    """A runtime that trades against a real server."""

    def __init__(self, folder: Path, server: Valkey) -> None:
        self.server = server
        self.strategy = Pinger("pinger", [ETH])
        self.settings = Settings.from_mapping(
            {
                "runtime": {"name": "bench", "data_dir": str(folder), "seed": 1},
                "store": {"url": "memory:///bench", "commit_secs": 0.05},
                "cache": {"url": server.url, "prefix": "tr", "timeout_secs": 0.4},
                "venues": {
                    "sim": {"kind": "synthetic", "seed": 1},
                    "paper": {
                        "kind": "paper",
                        "market_data": "sim",
                        "latency_ms": 1,
                        "balances": {"USDT": "1000000", "ETH": "10"},
                    },
                },
                "protection": {"stop_pct": 5},
            }
        )

    def open(self) -> Any:
        plugins = Plugins(caches={"redis": plugin})
        return open_runtime(self.settings, strategies=[self.strategy], plugins=plugins)

    async def until(self, seen: Callable[[], object], what: str) -> None:
        with trio.move_on_after(PATIENCE_SECS):
            while not seen():  # noqa: ASYNC110 - it waits for what tells nobody
                await trio.sleep(0.02)
            return
        pytest.fail(f"no {what} within {PATIENCE_SECS} s")

    async def traded(self, count: int = 15) -> None:
        """Return when so many more orders were placed and taken; none may have taken long."""
        before = len(self.strategy.took)
        await self.until(lambda: len(self.strategy.took) >= before + count, "orders")
        assert max(self.strategy.took[before:]) < SLOW_SECS


def heal_nothing(server: Valkey) -> None:
    """A reset needs no healing."""


FAULTS = {
    "killed": (Valkey.kill, Valkey.start),
    "frozen": (Valkey.freeze, Valkey.thaw),
    "full": (Valkey.fill, Valkey.empty),
    "reset": (Valkey.reset, heal_nothing),
}

WARNINGS = [
    "The cache cannot be written; trading goes on without it",
    "The cache is back; what it missed is being written",
]


pytestmark = pytest.mark.process


@pytest.fixture
def bench(tmp_path: Path, valkey: Valkey) -> Bench:
    return Bench(tmp_path / "state", valkey)


def shown(bench: Bench, table: str) -> dict[str, str]:
    """What another program reads."""
    with bench.server.client() as client:
        found: dict[str, str] = client.hgetall(f"tr:bench:{table}")
        return found


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("turn", range(share(1, 20)))
async def test_while_it_trades(bench: Bench, fault: str, turn: int) -> None:
    """Orders take no longer; one warning a spell; when it is back all is there, once."""
    harm, heal = FAULTS[fault]
    with structlog.testing.capture_logs() as logs:
        async with bench.open() as runtime:
            await bench.traded()
            await bench.until(lambda: runtime.cache.stats.batches > 3, "writes")
            harm(bench.server)
            await bench.until(lambda: runtime.cache.stats.failures, "failure")
            await bench.traded(30)
            heal(bench.server)
            await bench.until(lambda: runtime.cache.away_since is None, "return")
            await bench.traded()
            assert 1 == runtime.cache.stats.spells
    report = runtime.report
    assert 0 == report.exit_code, report
    assert {"flushed": True, "spooled": 0, "error": ""} == report.cache
    told = [e["event"] for e in logs if e["event"] in WARNINGS]
    assert WARNINGS == told
    assert ("stopped", "clean") == (
        shown(bench, "status")["state"],
        shown(bench, "status")["outcome"],
    )
    assert {f"pinger:{ETH}"} == shown(bench, "positions").keys()
    assert len(report.positions) == len(shown(bench, "orders")) == 1  # its stop-loss
    with bench.server.client() as client:
        entries = client.xrange("tr:bench:stream")
    seqs = [int(fields["seq"]) for _, fields in entries]
    assert seqs == list(range(seqs[0], report.state["records"] + 1))
    if fault != "killed":  # that one forgot what it had
        assert 1 == seqs[0]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("turn", range(share(1, 20)))
async def test_at_the_stop(bench: Bench, fault: str, turn: int) -> None:
    """The stop is as clean, within its ladder, and the report says what was written."""
    harm, _ = FAULTS[fault]
    async with bench.open() as runtime:
        await bench.traded()
        await bench.until(lambda: runtime.cache.stats.batches > 3, "writes")
        harm(bench.server)
        runtime.request_stop("the test says so")
        await runtime.stopped()
    check_stopped(bench, runtime, written=fault == "reset")


@pytest.mark.parametrize("turn", range(share(1, 20)))
async def test_frozen_in_the_midst_of_the_stop(bench: Bench, turn: int) -> None:
    """When its last write begins, it is too late for a connection: it has its second, no more."""
    async with bench.open() as runtime:
        await bench.traded()
        runtime.request_stop("the test says so")
        while not any(result.name == "flush" for result in runtime.ladder.results):
            await trio.lowlevel.checkpoint()
        bench.server.freeze()
        await runtime.stopped()
    check_stopped(bench, runtime, written=False)


async def test_frozen_from_the_start(bench: Bench) -> None:
    """It starts, trades and stops as if there were none."""
    bench.server.freeze()
    async with bench.open() as runtime:
        await bench.traded()
    check_stopped(bench, runtime, written=False)


def check_stopped(bench: Bench, runtime: Runtime, *, written: bool) -> None:
    """Check a stop under a fault."""
    report = runtime.report
    assert report is not None
    assert (0, "clean") == (report.exit_code, report.outcome)
    assert report.duration_secs < BUDGET_SECS
    assert {"ok"} == {stage.outcome for stage in report.stages}
    assert () == (*report.tasks_left, *report.connections_left)
    assert report.cache is not None
    assert report.cache["flushed"] is written
    assert bool(report.cache["spooled"]) is not written
    assert bool(report.cache["error"]) is not written


async def test_a_password_is_in_no_log(tmp_path: Path, valkey: Valkey) -> None:
    """Nor in the report, when the server refuses it."""
    bench = Bench(tmp_path / "state", valkey)
    url = valkey.url.replace("127", "user:hunter2@127")
    bench.settings = Settings.from_mapping(
        {
            "runtime": {"name": "bench", "data_dir": str(tmp_path)},
            "store": {"url": "memory:///bench"},
            "cache": {"url": url},
        }
    )
    bench.strategy.instruments = ()
    with structlog.testing.capture_logs() as logs:
        async with bench.open() as runtime:
            await bench.until(lambda: runtime.cache.stats.failures, "failure")
    assert "hunter2" not in f"{logs} {runtime.report} {runtime.settings} {runtime.cache.error}"
    assert runtime.report.cache["flushed"] is False
