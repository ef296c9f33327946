"""Binance Spot: public market data, as a plug-in named by `kind = "binance_spot"`.

It streams quotes, trades and the order book over one WebSocket, fetches snapshots of the book over
REST and polls there where the stream is down. It places no orders: the paper venue trades on this
data. `docs/reference/venues-binance-spot.md` says what it asks Binance and what that costs.

    codec, instruments     sans-I/O: bytes in, model objects out
    market                 what the price layer uses

What it shares with USD-M Futures, the keeping of books among it, is in `venues.binance`.
"""

from __future__ import annotations

from trade_runtime.protocols import VenuePlugin
from trade_runtime.venues.binance_spot.market import open_market
from trade_runtime.venues.binance_spot.settings import BinanceSpotSettings

plugin = VenuePlugin(settings=BinanceSpotSettings, open=open_market, trades=False, streams=True)

__all__ = ["BinanceSpotSettings", "plugin"]
