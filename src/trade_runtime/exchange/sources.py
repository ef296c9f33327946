"""What moves the market: a made-up one, seeded, or a recording at its own pace."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import trio

from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.exchange.core import NAME
from trade_runtime.exchange.kinds import Kind, Source
from trade_runtime.exchange.market import Market
from trade_runtime.exchange.settings import ExchangeSettings
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.protocols import Clock, Environment, Log
from trade_runtime.venues.binance.book_sync import DepthEvent, DepthSnapshot
from trade_runtime.venues.binance.streams import Decode, StreamDecoder
from trade_runtime.venues.binance_spot.recording import Recording
from trade_runtime.venues.synthetic.settings import SyntheticSettings
from trade_runtime.venues.synthetic.source import SyntheticData

ROWS_PER_CHECKPOINT: Final = 200

MAX_EARLY: Final = 1_000
"""Changes of a recorded book that wait for its snapshot; with more there is taken to be none."""

BOOK_LEVELS: Final = 20
"""Prices on each side of a made-up book."""


class Synthetic:
    """A made-up market.

    Args:
        symbols: what is traded.
        settings: how it moves.
        clock: the time of the events.
        log: for the environment of the market.
    """

    def __init__(
        self, symbols: Collection[str], settings: SyntheticSettings, clock: Clock, log: Log
    ) -> None:
        env = Environment(clock, random.Random(settings.seed), Path(), log)
        self._data = SyntheticData(NAME, settings, env)
        self._symbols = {symbol: InstrumentId(f"{symbol}.{NAME}") for symbol in symbols}
        self._markets = {_plain(symbol): one for symbol, one in self._symbols.items()}
        self._paused = False
        self._changed = trio.Event()
        self._market: Market | None = None

    async def run(self, market: Market) -> None:
        """Push events into `market`."""
        self._market = market
        while True:
            self._changed = trio.Event()
            async with trio.open_nursery() as nursery:
                if not self._paused:
                    nursery.start_soon(self._stream, market)
                await self._changed.wait()
                nursery.cancel_scope.cancel()

    async def _stream(self, market: Market) -> None:
        async with self._data.connect(self._markets, market) as session:
            await session.run()

    def move(self, symbol: str, price: Decimal) -> bool:
        """Let the price of a symbol jump."""
        self._data.jump(_plain(symbol), price)
        if self._market is not None:
            self._data.tell(_plain(symbol), self._symbols[symbol], self._market)
        return True

    def pause(self, paused: bool) -> None:
        """Hold the market still, or let it go on."""
        self._paused = paused
        self._changed.set()


def _plain(symbol: str) -> str:
    """Return a symbol as the synthetic market spells it: without a slash."""
    return symbol.replace("/", "")


class Recorded:
    """A recording of Binance's combined stream, at its own pace; then the market stands still.

    Args:
        recording: the file.
        symbols: which of its symbols are traded.
        clock: the time of the events; recorded times are moved to it.
        streams: what each kind of its streams is decoded by.
        decode_snapshot: decodes a whole book.
    """

    def __init__(
        self,
        recording: Recording,
        symbols: Collection[str],
        clock: Clock,
        *,
        streams: Mapping[str, Decode],
        decode_snapshot: Callable[[bytes], DepthSnapshot],
    ) -> None:
        self._recording = recording
        self._clock = clock
        self._decode_snapshot = decode_snapshot
        instruments = {symbol: InstrumentId(f"{symbol}.{NAME}") for symbol in symbols}
        self._decoder = StreamDecoder(streams, instruments)
        self._known: Mapping[str, InstrumentId] = instruments
        self._early: dict[str, list[DepthEvent]] = {symbol: [] for symbol in instruments}
        """Changes of a book that came before its first snapshot."""
        self._running = trio.Event()
        self._running.set()

    async def run(self, market: Market) -> None:
        """Push the recording into `market`."""
        first_ns: int | None = None
        began = trio.current_time()
        last_symbol = ""
        for number, row in enumerate(self._recording.rows()):
            if number % ROWS_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()
            first_ns = row.at_ns if first_ns is None else first_ns
            due = began + (row.at_ns - first_ns) / 1e9
            if due > trio.current_time():
                await trio.sleep_until(due)
            if not self._running.is_set():
                stood = trio.current_time()
                await self._running.wait()
                began += trio.current_time() - stood
            if not row.stream:
                symbol = row.symbol or last_symbol
                if symbol in self._known:
                    self._begin(market, symbol, self._decode_snapshot(row.body))
                continue
            last_symbol = row.stream.partition("@")[0].upper()
            with suppress(VenueError):  # a recorded frame that the decoder does not take
                self._push(market, last_symbol, row.body)
        await trio.sleep_forever()

    def _push(self, market: Market, symbol: str, frame: bytes) -> None:
        now_ns = self._clock.now_ns()
        event = self._decoder.decode(frame, now_ns)
        if isinstance(event, Quote):
            market.on_quote(event)
        elif isinstance(event, Trade):
            market.on_trade(msgspec.structs.replace(event, ts_ns=now_ns))
        elif event is not None:
            early = self._early.get(symbol)
            if early is not None and len(early) < MAX_EARLY:
                early.append(event)  # the recorder's snapshot may be older than this
                return
            self._change(market, symbol, event)

    def _begin(self, market: Market, symbol: str, snapshot: DepthSnapshot) -> None:
        """Begin a book with a recorded snapshot, and let the changes follow that it has not."""
        market.reset(symbol, snapshot.last_id, snapshot.bids, snapshot.asks)
        for event in self._early.pop(symbol, ()):
            self._change(market, symbol, event)

    def _change(self, market: Market, symbol: str, event: DepthEvent) -> None:
        if event.last_id > market.tapes[symbol].last_id:
            market.change(
                symbol,
                self._clock.now_ns(),
                event.first_id,
                event.last_id,
                tuple(event.bids),
                tuple(event.asks),
            )

    def move(self, symbol: str, price: Decimal) -> bool:
        """A recording goes its own way."""
        return False

    def pause(self, paused: bool) -> None:
        """Hold the market still, or let it go on."""
        if paused:
            self._running = trio.Event()
        else:
            self._running.set()


def open_source(
    kind: Kind, settings: ExchangeSettings, clock: Clock, log: Log
) -> tuple[Source, dict[str, Instrument]]:
    """Return what moves the market, and what is traded in it.

    Raises:
        ConfigError: a recording cannot be read, or a symbol does not exist.
    """
    symbols = settings.symbols or kind.symbols
    if settings.recording is None:
        instruments = {}
        for symbol in symbols:
            one = kind.instrument(symbol)
            if one is None:
                raise ConfigError(f"symbol {symbol!r}: {kind.name} spells none like that")
            instruments[symbol] = one
        market = SyntheticSettings(
            seed=settings.seed,
            quotes_per_sec=settings.quotes_per_sec,
            volatility_bps=settings.volatility_bps,
            book_every=1,
            book_levels=BOOK_LEVELS,
        )
        return Synthetic(tuple(instruments), market, clock, log), instruments
    if kind.recording is None or kind.recorded_symbols is None:
        raise ConfigError(f"recording {settings.recording}: {kind.name} cannot play one")
    recorded = kind.recorded_symbols(settings.recording)
    listed = {one: recorded[one] for one in recorded if one in (settings.symbols or recorded)}
    if not listed:
        raise ConfigError(f"recording {settings.recording}: it has {', '.join(recorded)} alone")
    return kind.recording(settings.recording, tuple(listed), clock), listed
