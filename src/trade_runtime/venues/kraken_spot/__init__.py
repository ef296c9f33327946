"""Kraken Spot, over its WebSocket v2 and REST: a plug-in named by `kind = "kraken_spot"`.

    codec, book, instruments, polling, ohlc     market data, sans-I/O
    orders, executions, account, signing, times what is private, sans-I/O
    rest, session, private                      the connections
    market, desk, venue                         what the core uses

`docs/reference/venues-kraken-spot.md` says what Kraken holds by itself, and what it does not.
"""

from __future__ import annotations

from trade_runtime.protocols import VenuePlugin
from trade_runtime.venues.kraken_spot.settings import KrakenSpotSettings
from trade_runtime.venues.kraken_spot.venue import open_venue

plugin = VenuePlugin(
    settings=KrakenSpotSettings,
    open=open_venue,
    trades=True,
    streams=True,
    live=lambda settings: settings.live,
)

__all__ = ["KrakenSpotSettings", "plugin"]
