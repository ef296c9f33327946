"""Binance USD-M Futures: market data and trading, as a plug-in named by `kind = "binance_usdm"`.

`docs/reference/venues-binance-usdm.md` says what it can do, what it asks Binance and what that
costs.

    codec, instruments        sans-I/O: public frames and answers in, model objects out
    orders, events, twins     sans-I/O: orders on the wire, the private stream, the two ids of one
    desk, account, private    requests about orders, questions, the private stream
    market, venue             what the core uses
"""

from __future__ import annotations

from trade_runtime.protocols import VenuePlugin
from trade_runtime.venues.binance_usdm.settings import BinanceUsdmSettings
from trade_runtime.venues.binance_usdm.venue import open_venue

plugin = VenuePlugin(
    settings=BinanceUsdmSettings,
    open=open_venue,
    trades=True,
    streams=True,
    live=lambda settings: settings.live is True,
)

__all__ = ["BinanceUsdmSettings", "plugin"]
