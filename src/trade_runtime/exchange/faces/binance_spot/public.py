"""Market data of Binance Spot by REST."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.calls import limit_of
from trade_runtime.exchange.faces.binance.errors import BAD_SYMBOL, Rejected
from trade_runtime.exchange.faces.binance.params import Params, text8
from trade_runtime.exchange.faces.binance.streams import pairs_of
from trade_runtime.exchange.faces.binance_spot.listing import listed, symbol_info
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Window
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Trade
from trade_runtime.model.orders import ZERO, Side

DEFAULT_DEPTH: Final = 100
MAX_DEPTH: Final = 5_000
"""Levels a side; Binance's own."""

DEFAULT_TRADES: Final = 500
MAX_TRADES: Final = 1_000
"""Of one answer; Binance's own."""

INTERVAL_SECS: Final = {
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

_names = msgspec.json.Decoder(list[str])


class Public:
    """Market data.

    Args:
        floor: whose.
        windows: the limits that `exchangeInfo` lists.
    """

    def __init__(self, floor: Floor, windows: Sequence[Window]) -> None:
        self._floor = floor
        self._windows = windows

    def ping(self, _: Params) -> dict[str, Any]:
        """Answer."""
        return {}

    def time(self, _: Params) -> dict[str, Any]:
        """Tell the time."""
        return {"serverTime": self._floor.clock.now_ms()}

    def exchange_info(self, params: Params) -> dict[str, Any]:
        """Tell what is traded, under which filters and limits."""
        listing = self._floor.exchange.instruments
        wanted = self._symbols(params) or list(listing)
        return {
            "timezone": "UTC",
            "serverTime": self._floor.clock.now_ms(),
            "rateLimits": [limit_of(one.name, one.limit, one.secs) for one in self._windows],
            "exchangeFilters": [],
            "symbols": [symbol_info(listing[symbol], symbol) for symbol in wanted],
        }

    def depth(self, params: Params) -> dict[str, Any]:
        """Tell the book."""
        tape = self._floor.market.tapes[self._symbol(params)]
        bids, asks = tape.depth(min(params.whole("limit", DEFAULT_DEPTH), MAX_DEPTH))
        return {
            "lastUpdateId": tape.last_id,
            "bids": pairs_of(bids, text8),
            "asks": pairs_of(asks, text8),
        }

    def trades(self, params: Params) -> list[dict[str, Any]]:
        """Tell the newest trades, oldest first."""
        return [
            {
                "id": one.trade_id,
                "price": text8(exact(one.price)),
                "qty": text8(exact(one.quantity)),
                "quoteQty": text8(exact(one.price) * exact(one.quantity)),
                "time": one.ts_ns // NS_PER_MS,
                "isBuyerMaker": one.aggressor is Side.SELL,
                "isBestMatch": True,
            }
            for one in self._trades(params)
        ]

    def agg_trades(self, params: Params) -> list[dict[str, Any]]:
        """Tell the newest trades as aggregates of one."""
        return [
            {
                "a": one.trade_id,
                "p": text8(exact(one.price)),
                "q": text8(exact(one.quantity)),
                "f": one.trade_id,
                "l": one.trade_id,
                "T": one.ts_ns // NS_PER_MS,
                "m": one.aggressor is Side.SELL,
                "M": True,
            }
            for one in self._trades(params)
        ]

    def _trades(self, params: Params) -> list[Trade]:
        trades = list(self._floor.market.tapes[self._symbol(params)].trades)
        if "fromId" in params:
            least = params.whole("fromId")
            trades = [one for one in trades if one.trade_id >= least]
        limit = min(params.whole("limit", DEFAULT_TRADES), MAX_TRADES)
        return trades[-limit:]

    def klines(self, params: Params) -> list[list[Any]]:
        """Tell the bars that the trades kept amount to, oldest first."""
        symbol = self._symbol(params)
        secs = INTERVAL_SECS[params.choice("interval", tuple(INTERVAL_SECS), -1120)]
        length_ms = secs * 1000
        start, end = params.whole("startTime", 0), params.whole("endTime", 1 << 62)

        def opens(trade: Trade) -> int:
            at_ms = trade.ts_ns // NS_PER_MS
            return at_ms - at_ms % length_ms

        trades = sorted(self._floor.market.tapes[symbol].trades, key=lambda one: one.ts_ns)
        bars = [_bar(at, length_ms, list(inside)) for at, inside in groupby(trades, key=opens)]
        limit = min(params.whole("limit", DEFAULT_TRADES), MAX_TRADES)
        found = [bar for bar in bars if start <= bar[0] <= end]
        return found[:limit] if start else found[-limit:]

    def average_price(self, params: Params) -> dict[str, Any]:
        """Tell the average price."""
        tape = self._floor.market.tapes[self._symbol(params)]
        price = tape.turnover / tape.volume if tape.volume else tape.mid
        return {"mins": 5, "price": text8(price), "closeTime": self._floor.clock.now_ms()}

    def book_ticker(self, params: Params) -> Any:
        """Tell the best bid and ask."""
        return self._each(params, self._book_ticker)

    def price(self, params: Params) -> Any:
        """Tell the price of the newest trade."""
        tapes = self._floor.market.tapes
        return self._each(
            params, lambda one: {"symbol": one, "price": text8(tapes[one].last_price)}
        )

    def day(self, params: Params) -> Any:
        """Tell what the last day brought: here all that was since the start."""
        return self._each(params, self._day)

    def _book_ticker(self, symbol: str) -> dict[str, Any]:
        bids, asks = self._floor.market.tapes[symbol].depth(1)
        bid, bid_size = bids[0] if bids else (ZERO, ZERO)
        ask, ask_size = asks[0] if asks else (ZERO, ZERO)
        return {
            "symbol": symbol,
            "bidPrice": text8(bid),
            "bidQty": text8(bid_size),
            "askPrice": text8(ask),
            "askQty": text8(ask_size),
        }

    def _day(self, symbol: str) -> dict[str, Any]:
        tape, now_ms = self._floor.market.tapes[symbol], self._floor.clock.now_ms()
        last, first = tape.last_price, tape.first_price or tape.last_price
        best = self._book_ticker(symbol)
        return {
            **best,
            "priceChange": text8(last - first),
            "priceChangePercent": f"{(last - first) / first * 100 if first else ZERO:.3f}",
            "weightedAvgPrice": text8(tape.turnover / tape.volume if tape.volume else last),
            "prevClosePrice": text8(first),
            "lastPrice": text8(last),
            "lastQty": text8(exact(tape.trades[-1].quantity) if tape.trades else ZERO),
            "openPrice": text8(first),
            "highPrice": text8(tape.high),
            "lowPrice": text8(tape.low),
            "volume": text8(tape.volume),
            "quoteVolume": text8(tape.turnover),
            "openTime": now_ms - 86_400_000,
            "closeTime": now_ms,
            "firstId": tape.trades[0].trade_id if tape.trades else -1,
            "lastId": tape.trades[-1].trade_id if tape.trades else -1,
            "count": tape.trade_count,
        }

    def _symbol(self, params: Params) -> str:
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        return symbol

    def _symbols(self, params: Params) -> list[str]:
        """Return the symbols that a request names; none where it names none."""
        if "symbol" in params:
            return [self._symbol(params)]
        if "symbols" not in params:
            return []
        try:
            names = _names.decode(params.text("symbols"))
        except msgspec.MsgspecError:
            raise Rejected(-1100, "Illegal characters found in parameter 'symbols'.") from None
        if not all(name in self._floor.exchange.instruments for name in names):
            raise Rejected(-1121, BAD_SYMBOL)
        return names

    def _each(self, params: Params, tell: Callable[[str], dict[str, Any]]) -> Any:
        if "symbol" in params:
            return tell(self._symbol(params))
        wanted = self._symbols(params) or list(self._floor.exchange.instruments)
        return [tell(symbol) for symbol in wanted]


def _bar(opens_ms: int, length_ms: int, inside: list[Trade]) -> list[Any]:
    prices = [exact(one.price) for one in inside]
    bought = [one for one in inside if one.aggressor is Side.BUY]

    def volume(trades: list[Trade]) -> str:
        return text8(sum((exact(one.quantity) for one in trades), ZERO))

    def turnover(trades: list[Trade]) -> str:
        return text8(sum((exact(one.price) * exact(one.quantity) for one in trades), ZERO))

    return [
        opens_ms,
        text8(prices[0]),
        text8(max(prices)),
        text8(min(prices)),
        text8(prices[-1]),
        volume(inside),
        opens_ms + length_ms - 1,
        turnover(inside),
        len(inside),
        volume(bought),
        turnover(bought),
        "0",
    ]
