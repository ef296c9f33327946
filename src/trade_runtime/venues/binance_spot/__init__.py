"""Binance Spot, as a plug-in named by `kind = "binance_spot"`.

It streams quotes, trades and the order book over one WebSocket, fetches snapshots of the book over
REST and polls there where the stream is down. With `live = true` it trades, too: orders over REST,
the account's events over the WebSocket API. `docs/reference/venues-binance-spot.md` says what it
asks Binance, what that costs, and what is not supported.

    codec, instruments                sans-I/O: market data
    spelling, order_codec,
    account_codec, user_codec         sans-I/O: orders and the account
    market                            a source of market data
    desk, trades, resting             order entry, fills, open orders
    private, venue                    the private connection, all together
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from trade_runtime.model.ids import VenueName
from trade_runtime.protocols import Environment, VenuePlugin
from trade_runtime.venues.binance.rest import Account, Rest
from trade_runtime.venues.binance_spot.market import BinanceSpot
from trade_runtime.venues.binance_spot.settings import BinanceSpotSettings
from trade_runtime.venues.binance_spot.venue import BinanceSpotVenue
from trade_runtime.venues.wire.http import open_http, tls_for


@asynccontextmanager
async def open_spot(name: VenueName, settings: Any, env: Environment) -> AsyncIterator[BinanceSpot]:
    """Open the plug-in; this needs no network. Leaving closes the pool of REST connections.

    Requests that wait to be sent then never leave; those under way may arrive.

    Raises:
        ConfigError: the key cannot sign.
    """
    tls = tls_for(settings.ws_url, settings.rest_url, settings.ws_api_url)
    async with open_http(settings.rest_url, tls) as http:
        if not settings.live:
            yield BinanceSpot(name, settings, env, Rest(http), tls)
            return
        account = Account(settings.signer(), env.clock, "/api/v3/time", settings.recv_window_ms)
        yield BinanceSpotVenue(name, settings, env, Rest(http, account=account), tls)


plugin = VenuePlugin(
    settings=BinanceSpotSettings,
    open=open_spot,
    trades=True,
    streams=True,
    live=lambda settings: settings.live,
)

__all__ = ["BinanceSpot", "BinanceSpotSettings", "BinanceSpotVenue", "open_spot", "plugin"]
