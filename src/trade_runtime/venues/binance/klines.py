"""Bars from before now: Binance's klines, page by page.

Sources: `GET /api/v3/klines`, https://developers.binance.com/docs/binance-spot-api-docs/rest-api;
`GET /fapi/v1/klines`, which has the same shape and no klines of a second,
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Kline-Candlestick-Data
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import Ms
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance.streams import NS_PER_MS

INTERVAL_SECS: Final[Mapping[str, int]] = {
    "1s": 1,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
}
"""The intervals that are aligned to the epoch, as our bars are. A week and a month are not."""

MAX_KLINES_PER_REQUEST: Final = 1000
"""What Binance gives at most in one answer."""

MAX_KLINES: Final = 20_000
"""Klines of one symbol that are fetched at most: 20 requests."""


@attrs.frozen
class Interval:
    """A length that Binance keeps klines of, by its name there."""

    name: str
    ms: int


class _Kline(msgspec.Struct, array_like=True, gc=False):
    open_ms: Ms
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_ms: Ms
    quote_volume: float
    trades: int


class _Time(msgspec.Struct):
    serverTime: Ms  # noqa: N815


_klines = msgspec.json.Decoder(list[_Kline], strict=False)
_time = msgspec.json.Decoder(_Time)


def interval_for(length_secs: float, count: int, shortest_secs: int = 1) -> Interval:
    """Return the largest interval that `count` bars of `length_secs` can be made of.

    `shortest_secs` is the length of the shortest that there is.

    Raises:
        VenueError: there is none, or it would take too many klines.
    """
    fitting = [
        name
        for name, secs in INTERVAL_SECS.items()
        if secs >= shortest_secs and length_secs % secs == 0
    ]
    if not fitting or length_secs <= 0:
        raise VenueError(f"Binance has no klines that bars of {length_secs:g} s can be made of")
    name = fitting[-1]
    needed = round(length_secs / INTERVAL_SECS[name]) * count
    if needed > MAX_KLINES:
        raise VenueError(
            f"{count} bars of {length_secs:g} s are made of {needed} klines of {name}:"
            f" {MAX_KLINES} are fetched at most"
        )
    return Interval(name, INTERVAL_SECS[name] * 1000)


async def fetch_klines(
    rest: Rest,
    path: str,
    symbol: str,
    instrument: InstrumentId,
    interval: Interval,
    window_ms: tuple[int, int],
) -> list[Bar]:
    """Return the klines of a symbol that lie in a window of time, oldest first, as bars.

    `path` is where the klines are.

    Raises:
        VenueError: it cannot be reached, or its answer made no sense.
    """
    first_ms, end_ms = window_ms
    found: list[_Kline] = []
    while end_ms > first_ms:
        limit = min(MAX_KLINES_PER_REQUEST, (end_ms - first_ms) // interval.ms)
        params = {"symbol": symbol, "interval": interval.name, "limit": str(limit)}
        body = await rest.get(path, {**params, "endTime": str(end_ms - 1)})
        page = decode_klines(body, interval, end_ms)
        found = page + found
        if len(page) < limit:
            break  # the symbol is younger than that
        end_ms = page[0].open_ms
    return [
        Bar(
            instrument,
            (kline.open_ms + interval.ms) * NS_PER_MS,
            kline.open_ms * NS_PER_MS,
            kline.open,
            kline.high,
            kline.low,
            kline.close,
            kline.volume,
            kline.trades,
        )
        for kline in found
        if kline.trades and kline.open_ms >= first_ms
    ]


def decode_klines(body: bytes, interval: Interval, before_ms: int) -> list[_Kline]:
    """Decode a list of klines, oldest first, all of them over at `before_ms`.

    Raises:
        VenueError: it made no sense.
    """
    klines = BINANCE.decode(_klines, body, "list of klines")
    earliest_ms = 0
    for kline in klines:
        BINANCE.check_finite("kline", kline.open, kline.high, kline.low, kline.close, kline.volume)
        opened, closed = kline.open_ms, kline.open_ms + interval.ms
        if opened % interval.ms or not earliest_ms <= opened < closed <= before_ms:
            raise VenueError(
                f"Binance sent a kline of {interval.name} that opens at {opened}: it is not asked"
                " for, or out of order"
            )
        earliest_ms = closed
    return klines


def decode_time(body: bytes) -> int:
    """Decode the answer of `/api/v3/time` or `/fapi/v1/time`: milliseconds since the Unix epoch.

    Raises:
        VenueError: it made no sense.
    """
    return BINANCE.decode(_time, body, "time").serverTime
