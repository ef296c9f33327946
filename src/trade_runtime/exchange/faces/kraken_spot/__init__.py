"""Kraken Spot's wire in front of the exchange: REST and the WebSocket v2.

listing, words          its names and its words
auth, rates             who may trade, and how fast
trading                 orders, whichever way they came
public, account         REST
events, channels        frames, and who gets them
session, face           the WebSocket, and all of it behind the paths
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from trade_runtime.exchange.faces.kraken_spot.face import KrakenFace
from trade_runtime.exchange.faces.kraken_spot.listing import instrument_of
from trade_runtime.exchange.kinds import Kind

_BASES: Final = ("BTC", "ETH", "SOL", "LTC", "XRP", "ADA", "DOT", "LINK", "AVAX", "BNB")

KIND: Final = Kind(
    name="kraken_spot",
    symbols=tuple(f"{base}/USD" for base in _BASES),
    instrument=instrument_of,
    balances={"USD": Decimal(1_000_000), **dict.fromkeys(_BASES, Decimal(1_000))},
    fees_bps=(Decimal(25), Decimal(40)),
    leverage=Decimal(1),
    face=KrakenFace,
)
"""Kraken Spot."""
