"""What tests of market data share: a sink that keeps books, a small recording, a server."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio

from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.protocols import Environment
from trade_runtime.replay import AtEnd, Speed, parse_fault, serve_replay
from trade_runtime.venues.binance_spot import BinanceSpotSettings, plugin
from trade_runtime.venues.binance_spot.market import BinanceSpot

BEGAN_NS = 1_700_000_000_000_000_000
BEGAN_MS = 1_700_000_005_000
"""The venue's clock, ahead of the recorder's."""

MS = 1_000_000

ETH = {"ETHUSDT": InstrumentId("ETHUSDT.test")}


class Sink:
    """Keeps what comes, and a book of each instrument as a reader of the stream would."""

    def __init__(self) -> None:
        self.quotes: list[Quote] = []
        self.trades: list[Trade] = []
        self.changes: list[BookLevels] = []
        self.snapshots: list[BookLevels] = []
        self.lost: list[InstrumentId] = []
        self.books: dict[InstrumentId, OrderBook] = {}
        self.bad_books = 0
        self.compared = 0
        self.agreed = 0
        self.moved = trio.Event()
        self._tops: dict[tuple[InstrumentId, int], Quote] = {}

    def on_quote(self, quote: Quote) -> None:
        self.quotes.append(quote)
        self._tops[quote.instrument, quote.update_id] = quote
        self._move()

    def on_trade(self, trade: Trade) -> None:
        self.trades.append(trade)
        self._move()

    def on_book(self, levels: BookLevels) -> None:
        (self.snapshots if levels.snapshot else self.changes).append(levels)
        book = self.books.setdefault(levels.instrument, OrderBook(levels.instrument))
        self.bad_books += not book.apply(levels)
        quote = self._tops.get((levels.instrument, levels.update_id))
        if quote is not None:
            self.compared += 1
            bid, ask = book.best_bid, book.best_ask
            assert bid is not None
            assert ask is not None
            mine = [float(number) for number in (*bid, *ask)]
            self.agreed += mine == [quote.bid, quote.bid_size, quote.ask, quote.ask_size]
        self._move()

    def on_book_lost(self, instrument: InstrumentId) -> None:
        self.lost.append(instrument)
        self.books[instrument].invalidate()
        self._move()

    def _move(self) -> None:
        self.moved.set()
        self.moved = trio.Event()


def environment() -> Environment:
    return Environment(
        clock=TrioClock(), rng=random.Random(1), data_dir=Path(), log=structlog.get_logger("test")
    )


@asynccontextmanager
async def served(
    recording: Path,
    *,
    speed: Speed = "max",
    at_end: AtEnd = "close",
    faults: Sequence[str] = (),
) -> AsyncIterator[int]:
    """Serve a recording on a free port."""
    async with trio.open_nursery() as nursery:
        port: int = await nursery.start(
            partial(
                serve_replay,
                recording,
                port=0,
                speed=speed,
                at_end=at_end,
                faults=[parse_fault(word) for word in faults],
            )
        )
        yield port
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def market(port: int) -> AsyncIterator[BinanceSpot]:
    """Open the plug-in against a server on loopback."""
    settings = BinanceSpotSettings(
        ws_url=f"ws://127.0.0.1:{port}/", rest_url=f"http://127.0.0.1:{port}"
    )
    async with plugin.open(VenueName("test"), settings, environment()) as opened:
        assert isinstance(opened, BinanceSpot)
        yield opened


def frame(stream: str, data: dict[str, Any]) -> str:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def small_recording(
    path: Path, changes: int = 60, *, snapshot: bool = True, gap_ms: int = 10, gone: int = 0
) -> Path:
    """Write a recording of a market whose top of book walks: a quote, a change and a trade a step.

    Ids are 1000, 1010, ...; the change of step i carries the ids from there on to 9 further. The
    snapshot is taken at the third step. `gone` leaves out that step's change, as a recorder might.
    """
    walk = random.Random(7)
    lines: list[str] = []
    bid = 10_000
    for step in range(changes):
        before, bid = bid, bid + walk.choice((-1, 0, 1))
        first = 1000 + step * 10
        at_ns, ms = BEGAN_NS + step * gap_ms * MS, BEGAN_MS + step * gap_ms
        bids = [[price(bid), "1.500"], [price(bid - 1), "2.000"]]
        asks = [[price(bid + 1), "0.250"], [price(bid + 2), "3.000"]]
        if bid > before:
            asks.append([price(bid), "0.000"])
        if bid < before:
            bids.append([price(before), "0.000"])
        top = {"u": first + 9, "s": "ETHUSDT", "b": price(bid), "B": "1.500"}
        text = frame("ethusdt@bookTicker", {**top, "a": price(bid + 1), "A": "0.250"})
        lines.append(f"{at_ns} {text}")
        data = {"e": "depthUpdate", "E": ms, "s": "ETHUSDT", "U": first, "u": first + 9}
        if step + 1 != gone:
            text = frame("ethusdt@depth@100ms", {**data, "b": bids, "a": asks})
            lines.append(f"{at_ns + 1} {text}")
        trade = {"e": "trade", "E": ms, "s": "ETHUSDT", "t": 500 + step, "p": price(bid)}
        text = frame("ethusdt@trade", {**trade, "q": "0.250", "T": ms, "m": True, "M": True})
        lines.append(f"{at_ns + 2} {text}")
        if snapshot and step == 2:
            whole = {"lastUpdateId": first + 9, "bids": bids[:2], "asks": asks[:2]}
            lines.append(f"{at_ns + 3} {json.dumps(whole)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}000000"
