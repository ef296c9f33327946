"""Market data of Binance USD-M Futures by REST."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.calls import limit_of
from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance.streams import pairs_of
from trade_runtime.exchange.faces.binance_usdm.listing import listed, symbol_info
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Window
from trade_runtime.model.instrument import exact, text
from trade_runtime.model.market import Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.binance.klines import INTERVAL_SECS

DEPTHS: Final = (5, 10, 20, 50, 100, 500, 1000)
MAX_PAGE: Final = 1_000
MAX_KLINES: Final = 1_500
"""Rows of one answer; Binance's own."""


class Public:
    """What anybody may ask.

    Args:
        floor: where.
        windows: the limits, as `exchangeInfo` lists them.
    """

    def __init__(self, floor: Floor, windows: tuple[Window, ...]) -> None:
        self._floor = floor
        self._windows = windows

    def ping(self, _: Params) -> dict[str, Any]:
        """Answer."""
        return {}

    def time(self, _: Params) -> dict[str, Any]:
        """Tell the time."""
        return {"serverTime": self._floor.clock.now_ms()}

    def info(self, _: Params) -> dict[str, Any]:
        """Tell the contracts and the limits."""
        instruments = self._floor.exchange.instruments
        quotes = sorted({str(one.quote) for one in instruments.values()})
        return {
            "timezone": "UTC",
            "serverTime": self._floor.clock.now_ms(),
            "futuresType": "U_MARGINED",
            "rateLimits": [limit_of(one.name, one.limit, one.secs) for one in self._windows],
            "exchangeFilters": [],
            "assets": [
                {"asset": one, "marginAvailable": True, "autoAssetExchange": "0"} for one in quotes
            ],
            "symbols": [symbol_info(one, symbol) for symbol, one in instruments.items()],
        }

    def depth(self, params: Params) -> dict[str, Any]:
        """Tell a book."""
        symbol, limit = params.needed("symbol"), params.whole("limit", 500)
        listed(self._floor, symbol)
        if limit not in DEPTHS:
            raise Rejected(-4021, f"Illegal parameter 'limit': {limit}.")
        tape = self._floor.market.tapes[symbol]
        bids, asks = tape.depth(limit)
        now_ms = self._floor.clock.now_ms()
        return {
            "lastUpdateId": tape.last_id,
            "E": now_ms,
            "T": now_ms,
            "bids": pairs_of(bids, text),
            "asks": pairs_of(asks, text),
        }

    def book_ticker(self, params: Params) -> Any:
        """Tell the best bid and ask, of a contract or of all."""
        if "symbol" in params:
            symbol = params.needed("symbol")
            listed(self._floor, symbol)
            return self._book_ticker(symbol)
        return [self._book_ticker(symbol) for symbol in self._floor.exchange.instruments]

    def _book_ticker(self, symbol: str) -> dict[str, Any]:
        tape = self._floor.market.tapes[symbol]
        bids, asks = tape.depth(1)
        (bid, bid_size), (ask, ask_size) = (
            side[0] if side else (exact(0), exact(0)) for side in (bids, asks)
        )
        return {
            "symbol": symbol,
            "bidPrice": text(bid),
            "bidQty": text(bid_size),
            "askPrice": text(ask),
            "askQty": text(ask_size),
            "time": self._floor.clock.now_ms(),
            "lastUpdateId": tape.last_id,
        }

    def price(self, params: Params) -> Any:
        """Tell the last price, of a contract or of all."""
        if "symbol" in params:
            listed(self._floor, params.needed("symbol"))
        told = [
            {
                "symbol": symbol,
                "price": text(self._floor.market.tapes[symbol].last_price),
                "time": self._floor.clock.now_ms(),
            }
            for symbol in self._floor.exchange.instruments
            if params.text("symbol", symbol) == symbol
        ]
        return told[0] if "symbol" in params else told

    def mark(self, params: Params) -> Any:
        """Tell the mark price: here the middle of the quote."""
        if "symbol" in params:
            listed(self._floor, params.needed("symbol"))
        now_ms = self._floor.clock.now_ms()
        told = [
            {
                "symbol": symbol,
                "markPrice": text(self._floor.market.tapes[symbol].mid),
                "indexPrice": text(self._floor.market.tapes[symbol].mid),
                "estimatedSettlePrice": text(self._floor.market.tapes[symbol].mid),
                "lastFundingRate": "0",
                "interestRate": "0",
                "nextFundingTime": now_ms // 28_800_000 * 28_800_000 + 28_800_000,
                "time": now_ms,
            }
            for symbol in self._floor.exchange.instruments
            if params.text("symbol", symbol) == symbol
        ]
        return told[0] if "symbol" in params else told

    def day(self, params: Params) -> Any:
        """Tell what the last day brought, of a contract or of all."""
        if "symbol" in params:
            symbol = params.needed("symbol")
            listed(self._floor, symbol)
            return self._day(symbol)
        return [self._day(symbol) for symbol in self._floor.exchange.instruments]

    def _day(self, symbol: str) -> dict[str, Any]:
        tape = self._floor.market.tapes[symbol]
        now_ms, change = self._floor.clock.now_ms(), tape.last_price - tape.first_price
        ratio = change * 100 / tape.first_price if tape.first_price else exact(0)
        average = tape.turnover / tape.volume if tape.volume else tape.last_price
        return {
            "symbol": symbol,
            "priceChange": text(change),
            "priceChangePercent": f"{ratio:.3f}",
            "weightedAvgPrice": f"{average:.8f}",
            "lastPrice": text(tape.last_price),
            "lastQty": text(exact(tape.trades[-1].quantity)) if tape.trades else "0",
            "openPrice": text(tape.first_price),
            "highPrice": text(tape.high),
            "lowPrice": text(tape.low),
            "volume": text(tape.volume),
            "quoteVolume": text(tape.turnover),
            "openTime": now_ms - 86_400_000,
            "closeTime": now_ms,
            "firstId": tape.trades[0].trade_id if tape.trades else 0,
            "lastId": tape.trades[-1].trade_id if tape.trades else 0,
            "count": tape.trade_count,
        }

    def trades(self, params: Params) -> list[dict[str, Any]]:
        """List the newest trades."""
        return [
            {
                "id": one.trade_id,
                "price": text(exact(one.price)),
                "qty": text(exact(one.quantity)),
                "quoteQty": text(exact(one.price) * exact(one.quantity)),
                "time": one.ts_ns // NS_PER_MS,
                "isBuyerMaker": one.aggressor is Side.SELL,
                "isRPITrade": False,
            }
            for one in self._trades(params)
        ]

    def agg_trades(self, params: Params) -> list[dict[str, Any]]:
        """List the newest aggregate trades: here each is of one trade."""
        return [
            {
                "a": one.trade_id,
                "p": text(exact(one.price)),
                "q": text(exact(one.quantity)),
                "f": one.trade_id,
                "l": one.trade_id,
                "T": one.ts_ns // NS_PER_MS,
                "m": one.aggressor is Side.SELL,
            }
            for one in self._trades(params)
        ]

    def _trades(self, params: Params) -> list[Trade]:
        symbol, limit = params.needed("symbol"), params.whole("limit", 500)
        listed(self._floor, symbol)
        if not 1 <= limit <= MAX_PAGE:
            raise Rejected(-1130, "Data sent for parameter 'limit' is not valid.")
        return list(self._floor.market.tapes[symbol].trades)[-limit:]

    def klines(self, params: Params) -> list[list[Any]]:
        """List klines of the trades that are kept."""
        symbol, limit = params.needed("symbol"), params.whole("limit", 500)
        listed(self._floor, symbol)
        secs = INTERVAL_SECS.get(params.needed("interval"), 0)
        if secs < 60 or not 1 <= limit <= MAX_KLINES:
            raise Rejected(-1120, "Invalid interval.")
        start, end = params.whole("startTime", 0), params.whole("endTime", 1 << 62)
        found: OrderedDict[int, list[Trade]] = OrderedDict()
        for one in self._floor.market.tapes[symbol].trades:
            at_ms = one.ts_ns // NS_PER_MS
            if start <= at_ms <= end:
                found.setdefault(at_ms // (secs * 1000) * secs * 1000, []).append(one)
        rows = [_kline(opened, secs * 1000, trades) for opened, trades in found.items()]
        return rows[:limit] if start else rows[-limit:]


def _kline(opened_ms: int, length_ms: int, trades: list[Trade]) -> list[Any]:
    prices = [exact(one.price) for one in trades]
    sizes = [exact(one.quantity) for one in trades]
    bought = [
        (price, size)
        for one, price, size in zip(trades, prices, sizes, strict=True)
        if one.aggressor is Side.BUY
    ]
    turnover = sum((p * q for p, q in zip(prices, sizes, strict=True)), exact(0))
    return [
        opened_ms,
        *(text(one) for one in (prices[0], max(prices), min(prices), prices[-1])),
        text(sum(sizes, exact(0))),
        opened_ms + length_ms - 1,
        text(turnover),
        len(trades),
        text(sum((q for _, q in bought), exact(0))),
        text(sum((p * q for p, q in bought), exact(0))),
        "0",
    ]
