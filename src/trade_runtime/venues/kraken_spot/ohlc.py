"""Bars from before now: Kraken's OHLC, of which it keeps the last 720 of each length.

Source: `GET /0/public/OHLC`, https://docs.kraken.com/api/docs/rest-api/get-ohlc-data
"""

from __future__ import annotations

from typing import Final

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar
from trade_runtime.venues.kraken_spot.codec import KRAKEN
from trade_runtime.venues.kraken_spot.times import NS_PER_SEC

INTERVAL_MINUTES: Final = (1, 5, 15, 30, 60, 240, 1440)
"""The lengths that are aligned to the epoch, as our bars are. A week and 15 days are not."""

MAX_OHLC: Final = 719
"""Bars that have ended in one answer, at most: the last of the 720 is the one that runs."""


class _Ohlc(msgspec.Struct, array_like=True, gc=False):
    time: int
    open: float
    high: float
    low: float
    close: float
    vwap: float
    volume: float
    trades: int


class _Time(msgspec.Struct):
    unixtime: int


_ohlc = msgspec.json.Decoder(dict[str, msgspec.Raw])
_rows = msgspec.json.Decoder(list[_Ohlc], strict=False)
_time = msgspec.json.Decoder(_Time)


def minutes_for(length_secs: float, count: int) -> int:
    """Return the longest interval in minutes that `count` bars of `length_secs` can be made of.

    Raises:
        VenueError: there is none, or Kraken does not go back so far.
    """
    fitting = [m for m in INTERVAL_MINUTES if length_secs > 0 and length_secs % (m * 60) == 0]
    if not fitting:
        raise VenueError(f"Kraken has no OHLC that bars of {length_secs:g} s can be made of")
    minutes = fitting[-1]
    needed = round(length_secs / (minutes * 60)) * count
    if needed > MAX_OHLC:
        raise VenueError(
            f"{count} bars of {length_secs:g} s are made of {needed} of {minutes} min:"
            f" Kraken has the last {MAX_OHLC}"
        )
    return minutes


def decode_ohlc(
    body: msgspec.Raw, instrument: InstrumentId, minutes: int, window_secs: tuple[int, int]
) -> list[Bar]:
    """Decode the result of `/0/public/OHLC`: the bars within a window of time, oldest first.

    Raises:
        VenueError: it made no sense.
    """
    found = KRAKEN.decode(_ohlc, body, "OHLC")
    rows = [rows for key, rows in found.items() if key != "last"]
    if len(rows) != 1:
        raise VenueError(f"Kraken sent OHLC of {len(rows)} pairs where one was asked for")
    length, (first, end) = minutes * 60, window_secs
    bars: list[Bar] = []
    earliest = 0
    for row in KRAKEN.decode(_rows, rows[0], "OHLC"):
        KRAKEN.check_finite("OHLC", row.open, row.high, row.low, row.close, row.volume, row.trades)
        if row.time % length or not earliest <= row.time < 2**33:
            raise VenueError(
                f"Kraken sent a bar of {minutes} min that opens at {row.time}: out of order"
            )
        earliest = row.time + length
        if row.trades and first <= row.time and row.time + length <= end:
            opened, closed = row.time * NS_PER_SEC, (row.time + length) * NS_PER_SEC
            bars.append(
                Bar(
                    instrument,
                    closed,
                    opened,
                    row.open,
                    row.high,
                    row.low,
                    row.close,
                    row.volume,
                    row.trades,
                )
            )
    return bars


def decode_time(body: msgspec.Raw) -> int:
    """Decode the result of `/0/public/Time`: seconds since the Unix epoch.

    Raises:
        VenueError: it made no sense.
    """
    return KRAKEN.decode(_time, body, "time").unixtime
