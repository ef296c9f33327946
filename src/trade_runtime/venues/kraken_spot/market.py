"""Kraken Spot as a source of market data: instruments, streams, and polling where these are down.

A `MarketData` that is a `MarketHistory` too. Each stream is opened by who uses it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Bar
from trade_runtime.protocols import Environment, MarketSession, MarketSink
from trade_runtime.venues.kraken_spot.book import BookSync
from trade_runtime.venues.kraken_spot.instruments import Listing, Pair, decode_pairs
from trade_runtime.venues.kraken_spot.ohlc import decode_ohlc, decode_time, minutes_for
from trade_runtime.venues.kraken_spot.polling import decode_tickers, decode_trades
from trade_runtime.venues.kraken_spot.rest import Rest
from trade_runtime.venues.kraken_spot.session import StreamSession
from trade_runtime.venues.kraken_spot.settings import KrakenSpotSettings, v2
from trade_runtime.venues.wire.link import open_link

MAX_SYMBOLS: Final = 200
"""Symbols of one connection; Kraken names no bound, and its subscriptions must be answered soon."""

MAX_TRADES_PER_POLL: Final = 1000
"""What Kraken gives at most in one answer."""


class KrakenMarket:
    """Public market data of Kraken Spot."""

    def __init__(
        self,
        name: VenueName,
        settings: KrakenSpotSettings,
        env: Environment,
        rest: Rest,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._env = env
        self._rest = rest
        self._tls = tls
        self._listing: Listing | None = None
        self._ids = count(1)

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return what Kraken says of those of `symbols` that it has, spelled as `BTC/USD`.

        Raises:
            VenueError: it cannot be reached, its answer made no sense, or market data could not
                carry a symbol's numbers exactly.
        """
        listing = self._listing = await self._list()
        for symbol in symbols:
            if symbol in listing.unusable:
                raise VenueError(f"{symbol} cannot be used: {listing.unusable[symbol]}")
        return {
            symbol: listing.by_symbol[symbol].instrument
            for symbol in symbols
            if symbol in listing.by_symbol
        }

    async def listing(self) -> Listing:
        """Return all that Kraken lists, as it was when first asked for.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """
        if self._listing is None:
            self._listing = await self._list()
        return self._listing

    async def _list(self) -> Listing:
        return decode_pairs(await self._rest.get("AssetPairs", {}), self._name)

    async def _pairs(self, symbols: Mapping[str, InstrumentId]) -> dict[str, Pair]:
        listing = await self.listing()
        missing = [symbol for symbol in symbols if symbol not in listing.by_symbol]
        if missing:
            raise VenueError(f"Kraken does not list {', '.join(missing)}")
        return {symbol: listing.by_symbol[symbol] for symbol in symbols}

    @asynccontextmanager
    async def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[MarketSession]:
        """Open one stream of quotes, trades and books of `symbols`.

        Leaving closes the socket: politely for at most a second, at once in a cancelled scope.

        Raises:
            VenueError: no connection came about, or a symbol is not listed.
        """
        if not 0 < len(symbols) <= MAX_SYMBOLS:
            raise VenueError(f"a connection carries 1 to {MAX_SYMBOLS} symbols, not {len(symbols)}")
        depth = self._settings.book_depth
        pairs = await self._pairs(symbols)
        books = {
            instrument: BookSync(
                instrument, depth, pairs[symbol].price_places, pairs[symbol].quantity_places
            )
            for symbol, instrument in symbols.items()
        }
        async with open_link(v2(self._settings.ws_url), self._tls) as link:
            yield StreamSession(link, symbols, sink, books, depth, self._ids, self._env)

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Ask once for the quotes and latest trades of `symbols`, and hand them to the sink.

        Quotes carry the update id 0 and our time: the answer has neither. Trades come as often as
        they are polled; who takes them drops what repeats. Requests go one after the other.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """
        pairs = await self._pairs(symbols)
        named = {pair.key: symbols[symbol] for symbol, pair in pairs.items()}
        names = ",".join(pair.altname for pair in pairs.values())
        body = await self._rest.get("Ticker", {"pair": names})
        for quote in decode_tickers(body, named, self._env.clock.now_ns()):
            sink.on_quote(quote)
        for symbol, instrument in symbols.items():
            params = {"pair": pairs[symbol].altname, "count": str(MAX_TRADES_PER_POLL)}
            for trade in decode_trades(await self._rest.get("Trades", params), instrument):
                sink.on_trade(trade)

    async def bars(
        self, symbols: Mapping[str, InstrumentId], length_secs: float, count: int
    ) -> Sequence[Bar]:
        """Return the last `count` bars of each of `symbols` that have ended, oldest first.

        They are Kraken's of the longest length that divides `length_secs`; those without trades are
        left out. What has ended, Kraken's own clock says. Requests go one after the other.

        Raises:
            VenueError: it cannot be reached, its answer made no sense, no length divides
                `length_secs`, or it does not go back so far.
        """
        minutes = minutes_for(length_secs, count)
        pairs = await self._pairs(symbols)
        now = decode_time(await self._rest.get("Time", {}))
        length = round(length_secs)
        end = now - now % length
        found: list[Bar] = []
        for symbol, instrument in symbols.items():
            params = {"pair": pairs[symbol].altname, "interval": str(minutes)}
            body = await self._rest.get("OHLC", params)
            found += decode_ohlc(body, instrument, minutes, (end - count * length, end))
        return found
