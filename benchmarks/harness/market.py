"""Made-up quotes, and a source of market data whose stream is a function of the benchmark's."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import attrs
import trio

from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote
from trade_runtime.protocols import Environment, MarketSink, VenuePlugin

SYMBOL = "BTCUSDT"
INSTRUMENT = InstrumentId(f"{SYMBOL}.paper")

Play = Callable[[MarketSink], Awaitable[None]]
"""What a stream does once it is connected. When it returns, the stream stays up and is silent."""


class Walk:
    """A seeded random walk around 60,000 that never leaves 50,000 to 70,000."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed).random
        self._cents = 6_000_000
        self._update_id = 0

    def block(self, count: int) -> list[Quote]:
        """Return the next `count` quotes."""
        draw, quotes = self._random, []
        for _ in range(count):
            self._cents = min(max(self._cents + int(draw() * 201) - 100, 5_000_000), 7_000_000)
            self._update_id += 1
            bid, ask = self._cents / 100, (self._cents + 100) / 100
            size = (1 + int(draw() * 100_000)) / 10_000
            quotes.append(
                Quote(
                    INSTRUMENT, self._update_id, bid, ask, 1 + size, 6 - size / 2, self._update_id
                )
            )
        return quotes


def through(sink: MarketSink, block: list[Quote]) -> Callable[[], None]:
    """Return what hands a block of quotes to the feed."""

    def push() -> None:
        for quote in block:
            sink.on_quote(quote)

    return push


def bare(handlers: Sequence[Callable[[Quote], None]], block: list[Quote]) -> Callable[[], None]:
    """Return what hands a block of quotes to nothing but handlers."""

    def call() -> None:
        for quote in block:
            for handler in handlers:
                handler(quote)

    return call


class Tape:
    """A `MarketData`, and its own session."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._sink: MarketSink | None = None

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Say that every symbol is bitcoin."""
        await trio.lowlevel.checkpoint()
        base, quote = Currency("BTC"), Currency("USDT")
        tick, lot = Decimal("0.01"), Decimal("0.0001")
        return {
            symbol: Instrument(InstrumentId(f"{symbol}.tape"), base, quote, tick, lot)
            for symbol in symbols
        }

    @asynccontextmanager
    async def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[Tape]:
        """Connect; there is one stream."""
        await trio.lowlevel.checkpoint()
        self._sink = sink
        yield self

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Bring nothing."""
        await trio.lowlevel.checkpoint()

    async def run(self) -> None:
        """Play, then be silent."""
        assert self._sink is not None
        await self._play(self._sink)
        await trio.sleep_forever()

    async def ping(self) -> None:
        """Be there."""
        await trio.lowlevel.checkpoint()


@attrs.frozen
class TapeSettings:
    """It has none."""


def tape_plugin(play: Play) -> VenuePlugin:
    """Return the plug-in of a market that plays `play`."""

    @asynccontextmanager
    async def open_tape(name: str, settings: TapeSettings, env: Environment) -> AsyncIterator[Tape]:
        yield Tape(play)

    return VenuePlugin(settings=TapeSettings, open=open_tape, trades=False, streams=True)
