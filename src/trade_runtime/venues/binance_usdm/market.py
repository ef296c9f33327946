"""Binance USD-M Futures as a source of market data: instruments, streams, and polling where these
are down.

The streams are split over addresses: quotes and book changes come on the route `/public`, trades on
`/market`, and a stream that is asked for on the wrong one stays silent. So a session has two
connections, and ends when either does.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Bar
from trade_runtime.protocols import Environment, MarketSession, MarketSink
from trade_runtime.venues.binance.book_sync import DepthSnapshot
from trade_runtime.venues.binance.klines import decode_time, fetch_klines, interval_for
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance.session import StreamSession
from trade_runtime.venues.binance.streams import Decode, StreamDecoder, stream_names
from trade_runtime.venues.binance_usdm.codec import (
    MARKET_STREAMS,
    PUBLIC_STREAMS,
    decode_agg_trades,
    decode_snapshot,
    decode_tickers,
)
from trade_runtime.venues.binance_usdm.instruments import decode_instruments, decode_max_stops
from trade_runtime.venues.binance_usdm.settings import BinanceUsdmSettings
from trade_runtime.venues.wire.link import open_link

MAX_STREAMS: Final = 1024
"""Streams that Binance allows on one connection."""

MAX_TRADES_PER_POLL: Final = 1000
"""What Binance gives at most in one answer."""

DEPTH_WEIGHT: Final = 20
"""Request weight of the deepest snapshot."""

SHORTEST_KLINE_SECS: Final = 60
"""Futures have no klines of a second."""


class UsdmMarket:
    """Public market data of Binance USD-M Futures: a `MarketData` that is a `MarketHistory`.

    Args:
        name: of the venue, which the ids of its instruments carry.
        settings: of its table.
        env: the time of day, randomness for pauses, and a log.
        rest: the REST API.
        tls: what checks certificates, or None where no URL needs it.
    """

    def __init__(
        self,
        name: VenueName,
        settings: BinanceUsdmSettings,
        env: Environment,
        rest: Rest,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._env = env
        self._rest = rest
        self._tls = tls
        self._known: dict[str, Instrument] = {}
        self._max_stops: int | None = None
        """How many conditional orders may rest in one contract, once Binance has said so."""

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return what Binance says of those of `symbols` that it has; they are spelled as there.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """
        body = await self._rest.get("/fapi/v1/exchangeInfo", {}, weight=1)
        self._rest.learn(body)
        found = decode_instruments(body, set(symbols), self._name)
        self._known |= found
        self._max_stops = decode_max_stops(body, self._known)
        return {symbol: found[symbol] for symbol in symbols if symbol in found}

    @asynccontextmanager
    async def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[MarketSession]:
        """Open the streams of quotes, book changes and trades of `symbols`.

        Leaving closes both sockets: politely for at most a second each, at once in a cancelled
        scope.

        Raises:
            VenueError: a connection did not come about.
        """
        most = MAX_STREAMS // len(PUBLIC_STREAMS)
        if not 0 < len(symbols) <= most:
            raise VenueError(f"a connection carries 1 to {most} symbols, not {len(symbols)}")
        decoder = StreamDecoder({**PUBLIC_STREAMS, **MARKET_STREAMS}, symbols)
        async with (
            open_link(self._url("public", PUBLIC_STREAMS, symbols), self._tls) as public,
            open_link(self._url("market", MARKET_STREAMS, symbols), self._tls) as market,
        ):
            yield StreamSession([public, market], decoder, symbols, sink, self._depth, self._env)

    def _url(
        self, route: str, streams: Mapping[str, Decode], symbols: Mapping[str, InstrumentId]
    ) -> str:
        names = "/".join(stream_names(streams, symbols))
        return f"{self._settings.streams}/{route}/stream?streams={names}"

    async def _depth(self, symbol: str) -> DepthSnapshot:
        params = {"symbol": symbol, "limit": str(self._settings.depth_limit)}
        return decode_snapshot(await self._rest.get("/fapi/v1/depth", params, weight=DEPTH_WEIGHT))

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Ask once for the quotes and latest trades of `symbols`, and hand them to the sink.

        Quotes carry the update id 0: the answer has none. Trades come as often as they are polled;
        who takes them drops what repeats. Requests go one after the other, for each costs of the
        request weight (5 for all quotes, 20 for the trades of a symbol).

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """
        body = await self._rest.get("/fapi/v1/ticker/bookTicker", {}, weight=5)
        for quote in decode_tickers(body, symbols, self._env.clock.now_ns()):
            sink.on_quote(quote)
        for symbol, instrument in symbols.items():
            params = {"symbol": symbol, "limit": str(MAX_TRADES_PER_POLL)}
            body = await self._rest.get("/fapi/v1/aggTrades", params, weight=20)
            for trade in decode_agg_trades(body, instrument):
                sink.on_trade(trade)

    async def bars(
        self, symbols: Mapping[str, InstrumentId], length_secs: float, count: int
    ) -> Sequence[Bar]:
        """Return the last `count` bars of each of `symbols` that have ended, oldest first.

        They are klines of the largest interval that divides `length_secs`; those without trades are
        left out. What has ended, Binance's own clock says. Requests go one after the other: one for
        1,000 klines of a symbol, of request weight 5.

        Raises:
            VenueError: it cannot be reached, its answer made no sense, no interval divides
                `length_secs`, or too many klines are asked for.
        """
        interval = interval_for(length_secs, count, SHORTEST_KLINE_SECS)
        now_ms = decode_time(await self._rest.get("/fapi/v1/time", {}, weight=1))
        length_ms = round(length_secs * 1000)
        end_ms = now_ms - now_ms % length_ms
        window = (end_ms - count * length_ms, end_ms)
        found: list[Bar] = []
        for symbol, instrument in symbols.items():
            found += await fetch_klines(
                self._rest, "/fapi/v1/klines", symbol, instrument, interval, window
            )
        return found
