"""What tests of Binance USD-M Futures share: a local exchange over real sockets, our adapter."""

from __future__ import annotations

import io
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import structlog
import trio

from trade_runtime.exchange.faces.binance_usdm import KIND
from trade_runtime.exchange.faults import parse_fault
from trade_runtime.exchange.record import Record
from trade_runtime.exchange.server import serve_exchange
from trade_runtime.exchange.settings import ExchangeSettings
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.model.events import VenueEvent
from trade_runtime.model.ids import VenueName
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import Environment
from trade_runtime.venues.binance_usdm import BinanceUsdmSettings, plugin
from trade_runtime.venues.binance_usdm.venue import BinanceUsdm

KEY, SECRET = "k" * 64, "s" * 64
PATIENCE_SECS = 10.0
"""What a test waits at most for something that takes milliseconds."""


class Events:
    """A `VenueSink` that keeps what comes."""

    def __init__(self) -> None:
        self.all: list[VenueEvent] = []
        self.moved = trio.Event()

    def on_event(self, event: VenueEvent) -> None:
        self.all.append(event)
        self.moved.set()
        self.moved = trio.Event()

    def of(self, name: str) -> list[VenueEvent]:
        return [one for one in self.all if one.client_order_id == name]

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_SECS):
            while not condition():
                await self.moved.wait()


@attrs.define
class World:
    """A local exchange."""

    port: int
    lines: io.BytesIO

    async def control(self, method: str, path: str, **body: object) -> Any:
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{self.port}/_control/{path}"
            answer = await client.request(method, url, json=body or None)
            assert answer.status_code == 200, answer.text
            return answer.json()

    async def fault(self, text: str) -> None:
        await self.control("POST", "faults", fault=text)

    async def heal(self) -> None:
        await self.control("DELETE", "faults")

    async def move(self, symbol: str, price: object) -> None:
        await self.control("POST", "market", symbol=symbol, price=str(price))

    def record(self, event: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [row for row in rows if row["event"] == event]

    def settings(self, **changed: Any) -> BinanceUsdmSettings:
        given = {
            "rest_url": f"http://127.0.0.1:{self.port}",
            "ws_url": f"ws://127.0.0.1:{self.port}",
            "api_key": Secret(KEY),
            "api_secret": Secret(SECRET),
            "live": True,
        }
        return BinanceUsdmSettings(**{**given, **changed})


def environment() -> Environment:
    return Environment(SystemClock(), random.Random(1), Path(), structlog.get_logger("test"))


@asynccontextmanager
async def exchange(
    *faults: str, options: dict[str, str] | None = None, still: bool = True, **changed: Any
) -> AsyncIterator[World]:
    """Serve a local exchange of BTCUSDT and ETHUSDT; `still`: its market does not move."""
    lines, clock = io.BytesIO(), SystemClock()
    settings = ExchangeSettings(
        api_key=KEY,
        api_secret=SECRET,
        symbols=("BTCUSDT", "ETHUSDT"),
        volatility_bps=0.0 if still else 20.0,
        options=options or {},
        faults=tuple(parse_fault(one) for one in faults),
        **changed,
    )
    async with trio.open_nursery() as nursery:
        port = await nursery.start(
            partial(
                serve_exchange,
                KIND,
                settings,
                clock=clock,
                record=Record(lines, clock),
                log=structlog.get_logger("test"),
            )
        )
        yield World(port, lines)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def venue(world: World, **changed: Any) -> AsyncIterator[BinanceUsdm]:
    """Open the plug-in on a local exchange, its contracts known."""
    async with plugin.open(VenueName("usdm"), world.settings(**changed), environment()) as opened:
        assert isinstance(opened, BinanceUsdm)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opened.serve)
            await opened.instruments(["BTCUSDT", "ETHUSDT"])
            yield opened
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(world: World, **changed: Any) -> AsyncIterator[tuple[BinanceUsdm, Events]]:
    """Open the plug-in with its private stream up."""
    async with venue(world, **changed) as opened, trio.open_nursery() as nursery:
        events, up = Events(), trio.Event()
        nursery.start_soon(opened.run, events, up.set)
        with trio.fail_after(PATIENCE_SECS):
            await up.wait()
        yield opened, events
        nursery.cancel_scope.cancel()
