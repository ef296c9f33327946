"""The REST answers of the replay server, in Binance's shapes, from a position in the recording.

No I/O: a request's path and parameters go in, a status and a body come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from trade_runtime.replay.facts import Facts, SymbolFacts
from trade_runtime.replay.klines import klines
from trade_runtime.replay.position import MAX_TRADES, Position
from trade_runtime.replay.shapes import Snapshot, decode_quote, decode_trade
from trade_runtime.venues.binance.klines import INTERVAL_SECS, MAX_KLINES_PER_REQUEST

DEFAULT_DEPTH: Final = 100
MAX_DEPTH: Final = 5000
DEFAULT_TRADES: Final = 500
DEFAULT_KLINES: Final = 500

MAX_DIGITS: Final = 18
"""Of a whole number in a request: a time in milliseconds has 13."""

STALE_BY: Final = 1_000_000
"""How many update ids before the first recorded change a stale snapshot lies."""

QUOTE_CURRENCIES: Final = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "BIDR", "USD1", "USDE"),
    *("BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "GBP", "AUD", "RUB", "UAH", "PLN", "RON"),
    *("ARS", "ZAR", "MXN", "COP", "CZK", "IDR", "NGN", "DAI", "PAX", "VAI", "XRP", "TRX", "SOL"),
    *("DOGE", "DOT", "EURI", "USDS", "BKRW", "BVND", "USD"),
)
"""How a symbol is split into base and quote: by the longest of these that it ends with."""

MAX_PRICE_STEPS: Final = 10**14
MAX_QUANTITY_STEPS: Final = 10**13

Answer = tuple[int, bytes]
Params = dict[str, str]

_encode = msgspec.json.Encoder().encode
_names = msgspec.json.Decoder(list[str])


class _Refused(Exception):
    """A request that is refused, with its status and Binance's code and message."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.answer = refusal(status, code, text)


def refusal(status: int, code: int, text: str) -> Answer:
    """Return an error in Binance's shape."""
    return status, _encode({"code": code, "msg": text})


class Answers:
    """Answers requests.

    Args:
        facts: of the recording.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._routes: dict[str, Callable[[Params, Position], Any]] = {
            "/api/v3/ping": lambda _params, _position: {},
            "/api/v3/time": lambda _, position: {"serverTime": _ms(position.at_ns)},
            "/api/v3/exchangeInfo": self._exchange_info,
            "/api/v3/depth": self._depth,
            "/api/v3/ticker/bookTicker": self._tickers,
            "/api/v3/trades": self._trades,
            "/api/v3/klines": self._klines,
        }

    def answer(self, path: str, params: Params, position: Position) -> Answer:
        """Return the answer to a GET, as of `position`."""
        route = self._routes.get(path)
        if route is None:
            known = ", ".join(self._routes)
            return refusal(404, -1000, f"The replay server has no {path}; it has {known}")
        try:
            return 200, _encode(route(params, position))
        except _Refused as refused:
            return refused.answer

    def stale_depth(self, params: Params) -> Answer:
        """Return a snapshot of the book from long before the recording."""
        try:
            facts = self._one(params)
            opening = facts.opening()
            if opening is None:
                raise _not_known(facts.symbol)
        except _Refused as refused:
            return refused.answer
        before = max((facts.first_depth_id or opening.lastUpdateId) - STALE_BY, 1)
        return 200, _encode(Snapshot(before, opening.bids, opening.asks))

    def _depth(self, params: Params, position: Position) -> Snapshot:
        facts = self._one(params)
        limit = _limit(params, DEFAULT_DEPTH, MAX_DEPTH)
        book = position.books.get(facts.symbol)
        opening = facts.opening()
        if book is None or opening is None:
            raise _not_known(facts.symbol)
        if facts.symbol not in position.opened:
            # Who buffers from the beginning can go on from here, whatever has been sent since.
            position.open(facts.symbol)
            whole = opening
        elif book.known:
            whole = book.snapshot()
        else:
            raise _not_known(facts.symbol)
        return Snapshot(whole.lastUpdateId, whole.bids[:limit], whole.asks[:limit])

    def _tickers(self, params: Params, position: Position) -> Any:
        if "symbol" in params:
            return self._ticker(self._one(params), position)
        wanted = self._many(params)
        return [self._ticker(facts, position) for facts in wanted if facts.first_quote is not None]

    def _ticker(self, facts: SymbolFacts, position: Position) -> dict[str, str]:
        body = position.quotes.get(facts.symbol, facts.first_quote)
        if body is None:
            raise _not_known(facts.symbol)
        quote = decode_quote(body)
        return {
            "symbol": facts.symbol,
            "bidPrice": quote.b,
            "bidQty": quote.B,
            "askPrice": quote.a,
            "askQty": quote.A,
        }

    def _trades(self, params: Params, position: Position) -> list[dict[str, Any]]:
        facts = self._one(params)
        limit = _limit(params, DEFAULT_TRADES, MAX_TRADES)
        answer = []
        for body in list(position.trades.get(facts.symbol, ()))[-limit:]:
            trade = decode_trade(body)
            answer.append(
                {
                    "id": trade.t,
                    "price": trade.p,
                    "qty": trade.q,
                    "quoteQty": format(Decimal(trade.p) * Decimal(trade.q), ".8f"),
                    "time": trade.T,
                    "isBuyerMaker": trade.m,
                    "isBestMatch": True,
                }
            )
        return answer

    def _klines(self, params: Params, position: Position) -> list[list[Any]]:
        facts = self._one(params)
        limit = _limit(params, DEFAULT_KLINES, MAX_KLINES_PER_REQUEST)
        interval_secs = INTERVAL_SECS.get(params.get("interval", ""))
        if interval_secs is None:
            raise _Refused(400, -1120, "Invalid interval.")
        end_ms = _whole_number(params["endTime"], "endTime") if "endTime" in params else None
        trades = [decode_trade(body) for body in position.trades.get(facts.symbol, ())]
        return klines(trades, interval_secs * 1000, end_ms)[-limit:]

    def _exchange_info(self, params: Params, position: Position) -> dict[str, Any]:
        wanted = [self._one(params)] if "symbol" in params else self._many(params)
        return {
            "timezone": "UTC",
            "serverTime": _ms(position.at_ns),
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": [_symbol_info(facts) for facts in wanted],
        }

    def _one(self, params: Params) -> SymbolFacts:
        symbol = params.get("symbol")
        if not symbol:
            raise _Refused(
                400,
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
            )
        facts = self._facts.symbols.get(symbol)
        if facts is None:
            raise _Refused(400, -1121, "Invalid symbol.")
        return facts

    def _many(self, params: Params) -> Iterable[SymbolFacts]:
        text = params.get("symbols")
        if text is None:
            return self._facts.symbols.values()
        try:
            names = _names.decode(text)
        except msgspec.MsgspecError:
            raise _Refused(
                400,
                -1100,
                "Illegal characters found in parameter 'symbols'; a JSON list is expected.",
            ) from None
        return [self._one({"symbol": name}) for name in names]


def _symbol_info(facts: SymbolFacts) -> dict[str, Any]:
    base, quote = split(facts.symbol)
    tick = Decimal(1).scaleb(-facts.price_places)
    lot = Decimal(1).scaleb(-facts.quantity_places)
    return {
        "symbol": facts.symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "isSpotTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": f"{tick:f}",
                "maxPrice": f"{tick * MAX_PRICE_STEPS:f}",
                "tickSize": f"{tick:f}",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": f"{lot:f}",
                "maxQty": f"{lot * MAX_QUANTITY_STEPS:f}",
                "stepSize": f"{lot:f}",
            },
            {"filterType": "NOTIONAL", "minNotional": "0.00000000"},
        ],
        "permissions": ["SPOT"],
    }


def split(symbol: str) -> tuple[str, str]:
    """Return the base and quote currency of a symbol."""
    for quote in sorted(QUOTE_CURRENCIES, key=len, reverse=True):
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    return symbol[:-3] or symbol, symbol[-3:]


def _limit(params: Params, default: int, most: int) -> int:
    return max(1, min(_whole_number(params.get("limit", str(default)), "limit"), most))


def _whole_number(text: str, parameter: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise _Refused(400, -1100, f"Illegal characters found in parameter '{parameter}'.")
    return int(text)


def _not_known(symbol: str) -> _Refused:
    return _Refused(503, -1001, f"The recording does not tell this of {symbol} at this point.")


def _ms(at_ns: int) -> int:
    return at_ns // 1_000_000
