"""Frames a second from a WebSocket on loopback, by how far up they are followed.

The replay server sends a made-up recording as fast as it is read. Followed: to trio-websocket
alone, through the Binance session to a sink, and through a whole runtime to a strategy. The limit
is a loop that reads the very same bytes from a socket and does nothing with them. All are timed in
turns; the servers run in processes of their own.
"""

from __future__ import annotations

import random
import socket
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import structlog
import trio
from trio_websocket import open_websocket_url

from harness.measure import US, figure, spread
from harness.report import main, progress
from harness.wire import LEAD, record, server
from trade_runtime import Strategy, open_runtime
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Environment
from trade_runtime.settings import Settings

STREAMS = "ethusdt@bookTicker/ethusdt@trade/ethusdt@depth@100ms"
READ_BYTES = 2**16

Way = Callable[[int, int], Awaitable[float]]


class Sink:
    """Waits for the trade that ends the lead, and for the last one; all else is dropped."""

    def __init__(self, last: int) -> None:
        self.done = trio.Event()
        self.took = 0.0
        """Seconds from the one to the other."""
        self._last = last
        self._began = 0.0

    def on_quote(self, quote: Quote) -> None:
        """Drop."""

    def on_trade(self, trade: Trade) -> None:
        """See whether it is one of the two."""
        if trade.trade_id == LEAD:
            self._began = perf_counter()
        elif trade.trade_id == self._last:
            self.took = perf_counter() - self._began
            self.done.set()

    def on_book(self, levels: BookLevels) -> None:
        """Drop."""

    def on_book_lost(self, instrument: InstrumentId) -> None:
        """Drop."""


class Waiter(Strategy):
    """Takes quotes, trades and books."""

    def __init__(self, last: int) -> None:
        super().__init__("waiter", ["ETHUSDT.paper"])
        self.sink = Sink(last)

    def on_quote(self, quote: Quote) -> None:
        """Drop."""

    def on_trade(self, trade: Trade) -> None:
        """See whether it is the last one."""
        self.sink.on_trade(trade)

    def on_book(self, book: OrderBook) -> None:
        """Read it, as a strategy would."""
        _ = book.best_bid


async def raw(port: int, count: int) -> float:
    """Read the bytes and do nothing."""
    await trio.lowlevel.checkpoint()
    with socket.create_connection(("127.0.0.1", port)) as stream:
        began = perf_counter()
        while stream.recv(READ_BYTES):
            pass
        took = perf_counter() - began
    return took * (count - LEAD) / count


async def websocket(port: int, count: int) -> float:
    """Take every message."""
    url = f"ws://127.0.0.1:{port}/stream?streams={STREAMS}"
    # Sized as the runtime's own connection is.
    async with open_websocket_url(
        url, message_queue_size=256, receive_buffer_size=READ_BYTES
    ) as ws:
        for _ in range(LEAD):
            await ws.get_message()
        began = perf_counter()
        for _ in range(count - LEAD):
            await ws.get_message()
        return perf_counter() - began


async def session(port: int, count: int) -> float:
    """Decode every message and hand it to a sink."""
    plugin, sink = Plugins().venues["binance_spot"], Sink(count)
    options = {"ws_url": f"ws://127.0.0.1:{port}", "rest_url": f"http://127.0.0.1:{port}"}
    env = Environment(SystemClock(), random.Random(1), Path(), structlog.get_logger("bench"))
    instruments = {"ETHUSDT": InstrumentId("ETHUSDT.binance")}
    async with (
        plugin.open(VenueName("binance"), plugin.settings(**options), env) as market,
        market.connect(instruments, sink) as stream,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream.run)
        await sink.done.wait()
        nursery.cancel_scope.cancel()
    return sink.took


async def runtime(port: int, count: int) -> float:
    """Hand every event to a strategy of a whole runtime."""
    waiter, url = Waiter(count), f"://127.0.0.1:{port}"
    binance = {"kind": "binance_spot", "ws_url": f"ws{url}", "rest_url": f"http{url}"}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_mapping(
            {
                "runtime": {"name": "bench", "data_dir": folder, "seed": 1},
                "venues": {
                    "binance": binance,
                    "paper": {"kind": "paper", "market_data": "binance"},
                },
            }
        )
        async with open_runtime(settings, strategies=[waiter]):
            await waiter.sink.done.wait()
    return waiter.sink.took


def measure(tiny: bool) -> dict[str, Any]:
    """Measure every way, in turns."""
    rounds, count = (1, 2 * LEAD) if tiny else (7, 100 * LEAD)
    ways: dict[str, Way] = {
        "raw_socket": raw,
        "trio_websocket": websocket,
        "binance_session": session,
        "runtime": runtime,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as name:
        recording, sent = Path(name) / "frames.jsonl", Path(name) / "sent.bin"
        sent.write_bytes(record(recording, count))
        size = sent.stat().st_size
        with server("serve_bytes.py", sent) as plain, server("serve_replay.py", recording) as port:
            for number in range(rounds):
                progress(f"round {number + 1} of {rounds}")
                for way, follow in ways.items():
                    at = plain if way == "raw_socket" else port
                    times[way].append(trio.run(partial(follow, at, count)))
    limit, timed = median(times["raw_socket"]), count - LEAD
    found: dict[str, Any] = {"frames": timed, "bytes_per_frame": figure(size / count)}
    for way, took in times.items():
        secs = median(took)
        found[way] = {
            "frames_per_sec": figure(timed / secs),
            "us_per_frame": figure(secs / timed * US),
            "ratio_to_raw_socket": figure(secs / limit),
            "spread": spread(took),
        }
    return found


if __name__ == "__main__":
    main("wire", measure)
