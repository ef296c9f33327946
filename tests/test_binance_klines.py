"""Bars from before now: what of Binance's klines becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.replay_world import ETH, environment
from tests.test_binance_rest import answering
from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.protocols import MarketHistory
from trade_runtime.venues.binance.klines import INTERVAL_SECS, MAX_KLINES, interval_for
from trade_runtime.venues.binance_spot import BinanceSpotSettings
from trade_runtime.venues.binance_spot.market import BinanceSpot

NOW_MS = 1_700_000_030_000
"""By Binance's clock: 20 seconds into a minute, 13 minutes and 50 seconds into an hour."""

MINUTE_MS = 60_000


def kline(open_ms: int, interval_ms: int, trades: int = 3) -> list[Any]:
    """As in Binance's documentation: twelve fields, numbers as text."""
    price = str(open_ms // 1000 % 1000 + 1)
    closes = open_ms + interval_ms - 1
    return [open_ms, price, price, price, price, "2.5", closes, "9", trades, "1", "3", "0"]


class Exchange:
    """Answers for `klines` and `time` as Binance does, the open kline among them."""

    def __init__(self, since_ms: int = 0, quiet: Callable[[int], bool] = lambda ms: False) -> None:
        self.since_ms = since_ms
        self.quiet = quiet
        self.asked: list[dict[str, str]] = []
        self.body: bytes | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v3/time":
            return httpx.Response(200, json={"serverTime": NOW_MS})
        assert request.url.path == "/api/v3/klines"
        params = dict(request.url.params)
        self.asked.append(params)
        if self.body is not None:
            return httpx.Response(200, content=self.body)
        interval_ms = INTERVAL_SECS[params["interval"]] * 1000
        last = min(int(params["endTime"]), NOW_MS)
        newest = last - last % interval_ms
        opens = [newest - i * interval_ms for i in range(int(params["limit"]))]
        klines = [
            kline(ms, interval_ms, 0 if self.quiet(ms) else 3)
            for ms in sorted(opens)
            if ms >= self.since_ms
        ]
        return httpx.Response(200, json=klines)


async def bars_of(
    exchange: Exchange, length_secs: float, count: int, symbols: Any = None
) -> list[tuple[InstrumentId, int, int]]:
    """The instrument, beginning and end of each bar, in seconds before the last whole minute."""
    async with answering(exchange) as rest:
        spot = BinanceSpot(VenueName("b"), BinanceSpotSettings(), environment(), rest, None)
        assert isinstance(spot, MarketHistory)
        minute = NOW_MS - NOW_MS % MINUTE_MS
        return [
            (b.instrument, b.open_ns // 10**9 - minute // 1000, b.ts_ns // 10**9 - minute // 1000)
            for b in await spot.bars(symbols or ETH, length_secs, count)
        ]


async def test_only_what_has_ended_comes_oldest_first() -> None:
    """The minute that is open is left out, by Binance's clock and not by ours."""
    exchange = Exchange()
    eth = ETH["ETHUSDT"]
    expected = [(eth, -180, -120), (eth, -120, -60), (eth, -60, 0)]
    assert expected == await bars_of(exchange, 60.0, 3)
    end = str(NOW_MS - NOW_MS % MINUTE_MS - 1)
    assert [{"symbol": "ETHUSDT", "interval": "1m", "limit": "3", "endTime": end}] == exchange.asked


async def test_a_kline_becomes_a_bar() -> None:
    """Numbers, times in nanoseconds, and the count of trades."""
    async with answering(Exchange()) as rest:
        spot = BinanceSpot(VenueName("b"), BinanceSpotSettings(), environment(), rest, None)
        (bar,) = await spot.bars(ETH, 60.0, 1)
    begins = NOW_MS - NOW_MS % MINUTE_MS - MINUTE_MS
    price = begins // 1000 % 1000 + 1.0
    assert (ETH["ETHUSDT"], begins * 10**6, (begins + MINUTE_MS) * 10**6) == (
        bar.instrument,
        bar.open_ns,
        bar.ts_ns,
    )
    assert (price, price, price, price, 2.5, 3) == (
        *(bar.open, bar.high, bar.low, bar.close),
        *(bar.volume, bar.trades),
    )


async def test_more_than_one_answer_holds_is_asked_for_page_by_page() -> None:
    """From the newest back; no bar twice, none left out."""
    exchange = Exchange()
    found = await bars_of(exchange, 60.0, 2_345)
    assert ["1000", "1000", "345"] == [asked["limit"] for asked in exchange.asked]
    assert [(-60 * n, -60 * n + 60) for n in range(2_345, 0, -1)] == [(b, e) for _, b, e in found]


async def test_a_young_symbol_has_fewer() -> None:
    """A page that is not full is the last one."""
    exchange = Exchange(since_ms=NOW_MS - 5 * MINUTE_MS)
    assert 4 == len(await bars_of(exchange, 60.0, 1_500))
    assert 1 == len(exchange.asked)


async def test_a_minute_without_trades_has_no_bar() -> None:
    """As it has none live."""
    exchange = Exchange(quiet=lambda ms: ms % (2 * MINUTE_MS) == 0)
    assert 2 == len(await bars_of(exchange, 60.0, 4))


async def test_a_length_that_binance_lacks_is_made_of_the_largest_that_divides_it() -> None:
    """Two bars of 25 minutes are ten of five, beginning with a whole one."""
    exchange = Exchange()
    found = await bars_of(exchange, 1_500.0, 2)
    assert {"5m"} == {asked["interval"] for asked in exchange.asked}
    assert 10 == len(found)
    minute = NOW_MS - NOW_MS % MINUTE_MS
    assert [0, 0] == [(minute // 1000 + at) % 1_500 for at in (found[0][1], found[-1][2])]


async def test_every_symbol_has_its_own() -> None:
    """Under the id that it maps to."""
    symbols = {"ETHUSDT": InstrumentId("ETHUSDT.paper"), "BTCUSDT": InstrumentId("BTCUSDT.paper")}
    found = await bars_of(Exchange(), 60.0, 2, symbols)
    assert ["ETHUSDT.paper"] * 2 + ["BTCUSDT.paper"] * 2 == [
        instrument for instrument, _, _ in found
    ]


@pytest.mark.parametrize(
    ("length_secs", "name"),
    [(1.0, "1s"), (7.0, "1s"), (90.0, "1s"), (60.0, "1m"), (600.0, "5m"), (172_800.0, "1d")],
)
def test_the_largest_interval_is_chosen(length_secs: float, name: str) -> None:
    """It takes the fewest klines."""
    assert name == interval_for(length_secs, 10).name


@pytest.mark.parametrize("length_secs", [0.5, 60.5, 0.0])
def test_what_no_interval_divides_has_no_history(length_secs: float) -> None:
    """Below a second Binance keeps nothing."""
    with pytest.raises(VenueError, match="no klines that bars of"):
        interval_for(length_secs, 10)


def test_there_is_a_bound_to_what_is_fetched() -> None:
    """The weight of requests is limited, and the start waits."""
    with pytest.raises(VenueError, match=f"made of 89000 klines of 1s: {MAX_KLINES} are"):
        interval_for(89.0, 1_000)


@pytest.mark.parametrize(
    "klines",
    [
        "{}",
        "[[1]]",
        json.dumps([kline(NOW_MS, MINUTE_MS)]),
        json.dumps([kline(NOW_MS - NOW_MS % MINUTE_MS, MINUTE_MS)]),
        json.dumps([kline(MINUTE_MS, MINUTE_MS), kline(MINUTE_MS, MINUTE_MS)]),
        json.dumps([kline(2 * MINUTE_MS, MINUTE_MS), kline(MINUTE_MS, MINUTE_MS)]),
        json.dumps([kline(MINUTE_MS, MINUTE_MS)]).replace('"2.5"', '"NaN"'),
    ],
    ids=["object", "short", "off the grid", "not over", "twice", "backwards", "nan"],
)
async def test_an_answer_that_makes_no_sense_is_refused(klines: str) -> None:
    """Nothing that could be traded on is guessed, and no page is asked for for ever."""
    exchange = Exchange()
    exchange.body = klines.encode()
    with pytest.raises(VenueError, match="Binance sent a"):
        await bars_of(exchange, 60.0, 2)
