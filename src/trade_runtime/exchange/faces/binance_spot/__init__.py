"""Binance Spot's wire in front of the exchange: REST, the WebSocket API, market streams.

listing         symbols and their filters
requests        a request for an order, read and checked
orders, lists   order entry, amends, order lists (OCO)
words, events   orders and events in Binance's shapes
endpoints       what can be asked for
account         balances, fees, rights of the key
public          market data by REST
face            all of it behind the paths
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Final

from trade_runtime.exchange.faces.binance_spot.face import SpotFace
from trade_runtime.exchange.faces.binance_spot.listing import instrument_of
from trade_runtime.exchange.kinds import BASES, Kind
from trade_runtime.exchange.recorded import recorded_symbols
from trade_runtime.exchange.sources import Recorded
from trade_runtime.protocols import Clock
from trade_runtime.venues.binance_spot.codec import STREAMS, decode_snapshot
from trade_runtime.venues.binance_spot.recording import Recording


def _recording(path: Path, symbols: Collection[str], clock: Clock) -> Recorded:
    return Recorded(
        Recording(path), symbols, clock, streams=STREAMS, decode_snapshot=decode_snapshot
    )


KIND: Final = Kind(
    name="binance_spot",
    symbols=tuple(f"{base}USDT" for base in BASES),
    instrument=instrument_of,
    balances={"USDT": Decimal(1_000_000), **dict.fromkeys(BASES, Decimal(1_000))},
    fees_bps=(Decimal(10), Decimal(10)),
    leverage=Decimal(1),
    fee_in="received",
    face=SpotFace,
    recording=_recording,
    recorded_symbols=lambda path: recorded_symbols(path, instrument_of),
)
"""Binance Spot."""
