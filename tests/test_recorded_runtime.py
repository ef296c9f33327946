"""A recording, served over the real wire, through the whole runtime to a strategy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.recorded import ETHUSDT as RECORDING
from tests.recorded import recorded
from trade_runtime import OrderBook, Quote, Runtime, Settings, Strategy, Trade, open_runtime
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.instrument import exact
from trade_runtime.replay.faults import parse_fault
from trade_runtime.replay.server import serve_replay

pytestmark = pytest.mark.recorded

ETHUSDT = "ETHUSDT.paper"
PATIENCE_SECS = 60.0

Best = tuple[Decimal, Decimal, Decimal, Decimal]


class Witness(Strategy):
    """Writes down all that it is told."""

    def __init__(self) -> None:
        super().__init__("witness", [ETHUSDT])
        self.trade_ids: list[int] = []
        self.quotes: dict[int, Best] = {}
        self.books: dict[int, Best] = {}
        self.crossed = 0
        self.stale = 0
        self.done = trio.Event()

    def on_quote(self, quote: Quote) -> None:
        """Keep the best prices by update id."""
        best = exact(quote.bid), exact(quote.bid_size), exact(quote.ask), exact(quote.ask_size)
        self.quotes[quote.update_id] = best

    def on_trade(self, trade: Trade) -> None:
        """Keep the id."""
        self.trade_ids.append(trade.trade_id)

    def on_book(self, book: OrderBook) -> None:
        """Keep the best prices by update id."""
        assert book.best_bid is not None
        assert book.best_ask is not None
        self.crossed += book.crossed
        self.books[book.update_id] = *book.best_bid, *book.best_ask

    def on_stale(self, instrument: InstrumentId) -> None:
        """Count; silence at the end of the recording means that all of it came."""
        self.stale += 1
        if len(self.trade_ids) >= 6106:
            self.done.set()


@asynccontextmanager
async def witnessed(tmp_path: Path, *faults: str) -> AsyncIterator[tuple[Witness, Runtime]]:
    """Serve the recording with `faults` and run a witness on it until all has come."""
    witness = Witness()
    recording = recorded(RECORDING)
    parsed = [parse_fault(word) for word in faults]
    async with trio.open_nursery() as nursery:

        async def serve(task_status: Any) -> None:
            await serve_replay(
                recording, port=0, speed="max", faults=parsed, task_status=task_status
            )

        port = await nursery.start(serve)
        settings = Settings.from_mapping(
            {
                "runtime": {"data_dir": str(tmp_path / "state")},
                "prices": {"stale_after_secs": 2.0, "poll_secs": 0.2},
                "venues": {
                    "binance": {
                        "kind": "binance_spot",
                        "ws_url": f"ws://127.0.0.1:{port}",
                        "rest_url": f"http://127.0.0.1:{port}",
                    },
                    "paper": {"kind": "paper", "market_data": "binance"},
                },
            },
            tmp_path,
        )
        with trio.fail_after(PATIENCE_SECS):
            async with open_runtime(settings, strategies=[witness]) as runtime:
                await witness.done.wait()
                yield witness, runtime
        nursery.cancel_scope.cancel()


def stats_of(runtime: Runtime) -> dict[str, int]:
    """Return what the report says of the market data."""
    assert runtime.report is not None
    return dict(runtime.report.market_data[ETHUSDT])


def agreements(witness: Witness) -> tuple[int, int]:
    """Return how often book and quote of one update id agree, and how many ids both have."""
    shared = witness.books.keys() & witness.quotes.keys()
    return sum(witness.books[u] == witness.quotes[u] for u in shared), len(shared)


async def test_the_whole_recording_reaches_the_strategy_once(tmp_path: Path) -> None:
    """Every trade and quote comes once, the book is never crossed and agrees with the quotes."""
    async with witnessed(tmp_path) as (witness, runtime):
        pass
    stats = stats_of(runtime)

    assert len(witness.trade_ids) == 6106 == len(set(witness.trade_ids)) == stats["trades"]
    assert len(witness.quotes) == 24_077 == stats["quotes"]
    assert stats["book_updates"] == 3432
    assert stats["resyncs"] == 0
    assert witness.crossed == 0
    # For 550 of these it is the latest quote before the change; the others are looked up by id.
    assert agreements(witness) == (577, 577)


async def test_a_missed_change_costs_one_resync_and_shows_no_broken_book(tmp_path: Path) -> None:
    """With one depth line left out, the book is synced anew, once; no wrong book is shown."""
    async with witnessed(tmp_path, "skip:depth=1000") as (witness, runtime):
        pass
    stats = stats_of(runtime)
    agreed, shared = agreements(witness)

    assert stats["resyncs"] == 1
    assert witness.crossed == 0
    assert agreed == shared > 400
    assert stats["trades"] == 6106


@pytest.mark.parametrize("fault", ["drop:at=10000", "silent:at=10000"])
async def test_a_lost_stream_is_polled_for_and_comes_back(tmp_path: Path, fault: str) -> None:
    """Dropped or silent: strategies are told, polling begins, the stream returns, nothing twice."""
    async with witnessed(tmp_path, fault) as (witness, runtime):
        pass
    stats = stats_of(runtime)

    assert witness.stale >= 2  # at the fault, and at the end of the recording
    assert stats["rest_polls"] >= 1
    assert stats["reconnects"] >= 1
    assert len(witness.trade_ids) == 6106 == len(set(witness.trade_ids))
    assert agreements(witness)[0] == agreements(witness)[1]
