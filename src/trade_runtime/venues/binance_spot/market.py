"""Binance Spot as a source of market data: instruments, streams, and polling where these are down.

A `MarketData` that is a `MarketHistory` too. Each stream is opened by who uses it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Bar
from trade_runtime.protocols import Environment, MarketSession, MarketSink
from trade_runtime.venues.binance.answers import RestRefused
from trade_runtime.venues.binance.book_sync import DepthSnapshot
from trade_runtime.venues.binance.klines import decode_time, fetch_klines, interval_for
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance.session import StreamSession
from trade_runtime.venues.binance.streams import StreamDecoder, stream_names
from trade_runtime.venues.binance_spot.codec import (
    STREAMS,
    decode_snapshot,
    decode_tickers,
    decode_trades,
)
from trade_runtime.venues.binance_spot.instruments import Traits, decode_instruments, decode_traits
from trade_runtime.venues.binance_spot.settings import MAX_DEPTH_LIMIT, BinanceSpotSettings
from trade_runtime.venues.wire.link import open_link

MAX_STREAMS: Final = 1024
"""Streams that Binance allows on one connection."""

MAX_SYMBOLS_PER_REQUEST: Final = 100
MAX_TRADES_PER_POLL: Final = 1000
"""What Binance gives at most in one answer."""

INFO_WEIGHT: Final = 20
TICKER_WEIGHT: Final = 4
TRADES_WEIGHT: Final = 25
DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1000, 50), (MAX_DEPTH_LIMIT, 250))
"""What requests take of the request weight; that of a snapshot by its levels."""


class BinanceSpot:
    """Public market data of Binance Spot: a `MarketData`."""

    def __init__(
        self,
        name: VenueName,
        settings: BinanceSpotSettings,
        env: Environment,
        rest: Rest,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._env = env
        self._rest = rest
        self._tls = tls
        self.known: dict[str, Instrument] = {}
        """The instruments that were asked for, by symbol."""
        self.traits: dict[str, Traits] = {}
        """What may rest in each of them."""

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return what Binance says of those of `symbols` that it has; they are spelled as there.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """
        found: dict[str, Instrument] = {}
        for batch in _batches(sorted(set(symbols))):
            try:
                found |= await self._exchange_info({"symbols": _json(batch)})
            except RestRefused as refused:
                if not refused.symbol_unknown:
                    raise
                # One unknown symbol refuses them all.
                for symbol in batch:
                    found |= await self._exchange_info_of_one(symbol)
        return {symbol: found[symbol] for symbol in symbols if symbol in found}

    async def _exchange_info_of_one(self, symbol: str) -> dict[str, Instrument]:
        try:
            return await self._exchange_info({"symbol": symbol})
        except RestRefused as refused:
            if refused.symbol_unknown:
                return {}
            raise

    async def _exchange_info(self, params: Mapping[str, str]) -> dict[str, Instrument]:
        body = await self._rest.get("/api/v3/exchangeInfo", params, weight=INFO_WEIGHT)
        found = decode_instruments(body, self._name)
        self._rest.learn(body)
        self.known |= found
        self.traits |= decode_traits(body)
        return found

    @asynccontextmanager
    async def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[MarketSession]:
        """Open one stream of quotes, trades and book changes of `symbols`.

        Leaving closes the socket: politely for at most a second, at once in a cancelled scope.

        Raises:
            VenueError: no connection came about.
        """
        names = stream_names(STREAMS, symbols)
        if not 0 < len(names) <= MAX_STREAMS:
            raise VenueError(
                f"a connection carries 1 to {MAX_STREAMS // len(STREAMS)} symbols,"
                f" not {len(symbols)}"
            )
        url = f"{self._settings.ws_url.rstrip('/')}/stream?streams={'/'.join(names)}"
        async with open_link(url, self._tls) as link:
            decoder = StreamDecoder(STREAMS, symbols)
            yield StreamSession([link], decoder, symbols, sink, self._depth, self._env)

    async def _depth(self, symbol: str) -> DepthSnapshot:
        params = {"symbol": symbol, "limit": str(self._settings.depth_limit)}
        weight = next(w for levels, w in DEPTH_WEIGHTS if self._settings.depth_limit <= levels)
        return decode_snapshot(await self._rest.get("/api/v3/depth", params, weight=weight))

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Ask once for the quotes and latest trades of `symbols`, and hand them to the sink.

        Quotes carry the update id 0 and our time: the answer has neither. Trades come as often as
        they are polled; who takes them drops what repeats. Requests go one after the other, for
        each costs of the request weight (4 for all quotes, 25 for the trades of a symbol).

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """
        for batch in _batches(list(symbols)):
            body = await self._rest.get(
                "/api/v3/ticker/bookTicker", {"symbols": _json(batch)}, weight=TICKER_WEIGHT
            )
            for quote in decode_tickers(body, symbols, self._env.clock.now_ns()):
                sink.on_quote(quote)
        for symbol, instrument in symbols.items():
            params = {"symbol": symbol, "limit": str(MAX_TRADES_PER_POLL)}
            body = await self._rest.get("/api/v3/trades", params, weight=TRADES_WEIGHT)
            for trade in decode_trades(body, instrument):
                sink.on_trade(trade)

    async def bars(
        self, symbols: Mapping[str, InstrumentId], length_secs: float, count: int
    ) -> Sequence[Bar]:
        """Return the last `count` bars of each of `symbols` that have ended, oldest first.

        They are klines of the largest interval that divides `length_secs`; those without trades are
        left out. What has ended, Binance's own clock says. Requests go one after the other: one for
        1,000 klines of a symbol, of request weight 2.

        Raises:
            VenueError: it cannot be reached, its answer made no sense, no interval divides
                `length_secs`, or too many klines are asked for.
        """
        interval = interval_for(length_secs, count)
        now_ms = decode_time(await self._rest.get("/api/v3/time", {}))
        length_ms = round(length_secs * 1000)
        end_ms = now_ms - now_ms % length_ms
        found: list[Bar] = []
        for symbol, instrument in symbols.items():
            window = (end_ms - count * length_ms, end_ms)
            found += await fetch_klines(
                self._rest, "/api/v3/klines", symbol, instrument, interval, window
            )
        return found


def _batches(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(symbols), MAX_SYMBOLS_PER_REQUEST):
        yield symbols[start : start + MAX_SYMBOLS_PER_REQUEST]


def _json(symbols: Sequence[str]) -> str:
    return msgspec.json.encode(symbols).decode()
