"""Binance USD-M Futures' wire in front of the exchange: REST, and streams on three routes.

    listing, requests     contracts and their filters; what a request for an order says
    orders, words         the two services of orders, and their shapes
    events, listen        the events of the account, and who may hear them
    account, public       balances and positions; market data by REST
    streams, private      market streams on their routes; the private stream
    endpoints, face       what can be asked for; all of it behind the paths

Options: `listen_key_secs` (how long a listen key lives), `countdown_spares_algo=true` (the
dead-man's switch leaves conditional orders; it takes them too where this is not set, for Binance
documents neither), `hedge_mode=true` (the account is in hedge mode).
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Final

from trade_runtime.exchange.faces.binance_usdm.face import UsdmFace
from trade_runtime.exchange.faces.binance_usdm.listing import instrument_of
from trade_runtime.exchange.kinds import BASES, Kind
from trade_runtime.exchange.recorded import recorded_symbols
from trade_runtime.exchange.sources import Recorded
from trade_runtime.protocols import Clock
from trade_runtime.venues.binance.streams import Decode
from trade_runtime.venues.binance_spot.recording import Recording
from trade_runtime.venues.binance_usdm.codec import (
    MARKET_STREAMS,
    PUBLIC_STREAMS,
    decode_depth,
    decode_snapshot,
)

_RECORDED: Final[dict[str, Decode]] = {
    **PUBLIC_STREAMS,
    **MARKET_STREAMS,
    "depth@0ms": decode_depth,
}
"""The streams of a recording that are played: what is subscribed, and the fastest changes."""


def _recording(path: Path, symbols: Collection[str], clock: Clock) -> Recorded:
    return Recorded(
        Recording(path), symbols, clock, streams=_RECORDED, decode_snapshot=decode_snapshot
    )


KIND: Final = Kind(
    name="binance_usdm",
    symbols=tuple(f"{base}USDT" for base in BASES),
    instrument=instrument_of,
    balances={"USDT": Decimal(1_000_000)},
    fees_bps=(Decimal(2), Decimal(5)),
    leverage=Decimal(20),
    face=UsdmFace,
    recording=_recording,
    recorded_symbols=lambda path: recorded_symbols(path, instrument_of),
)
"""Binance USD-M Futures."""
