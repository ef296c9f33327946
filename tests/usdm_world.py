"""Our adapter of Binance USD-M Futures, at the local exchange that speaks its wire."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
import trio

from tests import exchange_world
from tests.exchange_world import KEY, SECRET, World
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.model.events import VenueEvent
from trade_runtime.model.ids import VenueName
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import Environment
from trade_runtime.venues.binance_usdm import BinanceUsdmSettings, plugin
from trade_runtime.venues.binance_usdm.venue import BinanceUsdm

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


def exchange(
    *faults: str, options: dict[str, str] | None = None, **settings: Any
) -> AbstractAsyncContextManager[World]:
    """Serve a local exchange of BTCUSDT and ETHUSDT."""
    return exchange_world.exchange(
        "binance_usdm",
        faults=faults,
        options=options or {},
        symbols=("BTCUSDT", "ETHUSDT"),
        **{"quotes_per_sec": 10.0, **settings},
    )


def settings_of(world: World, **changed: Any) -> BinanceUsdmSettings:
    given = {
        "rest_url": world.url,
        "ws_url": world.ws_url,
        "api_key": Secret(KEY),
        "api_secret": Secret(SECRET),
        "live": True,
    }
    return BinanceUsdmSettings(**{**given, **changed})


def environment() -> Environment:
    return Environment(SystemClock(), random.Random(1), Path(), structlog.get_logger("test"))


@asynccontextmanager
async def venue(world: World, **changed: Any) -> AsyncIterator[BinanceUsdm]:
    """Open the plug-in on a local exchange, its contracts known."""
    settings = settings_of(world, **changed)
    async with plugin.open(VenueName("usdm"), settings, environment()) as opened:
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
