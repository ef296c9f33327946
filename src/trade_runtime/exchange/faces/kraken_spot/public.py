"""Kraken's public REST API: what is listed, and what its market shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from trade_runtime.exchange.faces.kraken_spot.listing import Listing, Pair
from trade_runtime.exchange.faces.kraken_spot.words import NS, Wrong, secs, stamp
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.market import Tape
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Trade
from trade_runtime.model.orders import Side

MAX_LEVELS: Final = 500
"""Of the depth that REST gives."""

MAX_TRADES: Final = 1_000
MAX_BARS: Final = 720

_MINUTES: Final = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)


class PublicRest:
    """Answers the public methods.

    Args:
        floor: the market.
        listing: its pairs.
    """

    def __init__(self, floor: Floor, listing: Listing) -> None:
        self._floor = floor
        self._listing = listing
        self.methods: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "Time": self._time,
            "SystemStatus": self._status,
            "Assets": self._assets,
            "AssetPairs": self._asset_pairs,
            "Ticker": self._ticker,
            "Depth": self._depth,
            "Trades": self._trades,
            "OHLC": self._ohlc,
        }
        """By name."""

    def _time(self, _: Mapping[str, Any]) -> Any:
        now_ns = self._floor.clock.now_ns()
        at = datetime.fromtimestamp(now_ns // NS, UTC)
        return {"unixtime": now_ns // NS, "rfc1123": f"{at:%a, %d %b %y %H:%M:%S} +0000"}

    def _status(self, _: Mapping[str, Any]) -> Any:
        return {"status": "online", "timestamp": stamp(self._floor.clock.now_ns())}

    def _assets(self, params: Mapping[str, Any]) -> Any:
        assets = self._listing.assets()
        wanted = [one for one in str(params.get("asset", "")).split(",") if one]
        if not wanted:
            return assets
        found = {
            name: asset
            for name, asset in assets.items()
            if name in wanted or asset["altname"] in wanted
        }
        if not found:
            raise Wrong("EQuery:Unknown asset")
        return found

    def _asset_pairs(self, params: Mapping[str, Any]) -> Any:
        return {key: pair.described() for key, pair in self._wanted(params).items()}

    def _wanted(self, params: Mapping[str, Any]) -> dict[str, Pair]:
        """Return what was asked for, by the name that it is answered under: who asks with a slash
        is answered with one.
        """
        names = [one for one in str(params.get("pair", "")).split(",") if one]
        if not names:
            return {pair.key: pair for pair in self._listing.pairs.values()}
        found = {}
        for name in names:
            pair = self._listing.named(name)
            if pair is None:
                raise Wrong("EQuery:Unknown asset pair")
            found[name if "/" in name else pair.key] = pair
        return found

    def _one(self, params: Mapping[str, Any]) -> tuple[str, Pair, Tape]:
        if not params.get("pair"):
            raise Wrong("EGeneral:Invalid arguments")
        key, pair = next(iter(self._wanted(params).items()))
        return key, pair, self._floor.market.tapes[pair.symbol]

    def _ticker(self, params: Mapping[str, Any]) -> Any:
        return {
            key: _told(pair, self._floor.market.tapes[pair.symbol])
            for key, pair in self._wanted(params).items()
        }

    def _depth(self, params: Mapping[str, Any]) -> Any:
        key, _, tape = self._one(params)
        bids, asks = tape.depth(min(_whole(params.get("count"), 100), MAX_LEVELS))
        now = self._floor.clock.now_ns() // NS

        def levels(side: Any) -> list[list[Any]]:
            return [[f"{price:.5f}", f"{size:.3f}", now] for price, size in side]

        return {key: {"asks": levels(asks), "bids": levels(bids)}}

    def _trades(self, params: Mapping[str, Any]) -> Any:
        key, pair, tape = self._one(params)
        since = params.get("since", "")
        since_ns = _since_ns(str(since)) if since else 0
        newer = [trade for trade in tape.trades if trade.ts_ns > since_ns]
        count = min(_whole(params.get("count"), MAX_TRADES), MAX_TRADES)
        given = newer[:count] if since else newer[-count:]
        last = given[-1].ts_ns if given else self._floor.clock.now_ns()
        return {key: [_row(pair, trade) for trade in given], "last": str(last)}

    def _ohlc(self, params: Mapping[str, Any]) -> Any:
        key, pair, tape = self._one(params)
        minutes = _whole(params.get("interval"), 1)
        if minutes not in _MINUTES:
            raise Wrong("EGeneral:Invalid arguments")
        bars: dict[int, list[Trade]] = {}
        for trade in tape.trades:
            opened = trade.ts_ns // NS // (minutes * 60) * minutes * 60
            bars.setdefault(opened, []).append(trade)
        rows = [_bar(pair, opened, trades) for opened, trades in sorted(bars.items())][-MAX_BARS:]
        return {key: rows, "last": rows[-2][0] if len(rows) > 1 else 0}


def _told(pair: Pair, tape: Tape) -> dict[str, Any]:
    quote = tape.quote
    ask, bid = (quote.ask, quote.bid) if quote else (0.0, 0.0)
    sizes = (quote.ask_size, quote.bid_size) if quote else (0.0, 0.0)
    last = tape.trades[-1] if tape.trades else None
    vwap = tape.turnover / tape.volume if tape.volume else tape.last_price

    def twice(value: Any) -> list[Any]:
        return [value, value]

    return {
        "a": [f"{exact(ask):.5f}", str(int(sizes[0])), f"{exact(sizes[0]):.3f}"],
        "b": [f"{exact(bid):.5f}", str(int(sizes[1])), f"{exact(sizes[1]):.3f}"],
        "c": [f"{tape.last_price:.5f}", pair.quantity(exact(last.quantity if last else 0.0))],
        "v": twice(pair.quantity(tape.volume)),
        "p": twice(f"{vwap:.5f}"),
        "t": twice(tape.trade_count),
        "l": twice(f"{tape.low:.5f}"),
        "h": twice(f"{tape.high:.5f}"),
        "o": f"{tape.first_price:.5f}",
    }


def _row(pair: Pair, trade: Trade) -> list[Any]:
    side = "b" if trade.aggressor is Side.BUY else "s"
    price, quantity = f"{exact(trade.price):.5f}", pair.quantity(exact(trade.quantity))
    return [price, quantity, secs(trade.ts_ns), side, "m", "", trade.trade_id]


def _bar(pair: Pair, opened: int, trades: list[Trade]) -> list[Any]:
    prices = [exact(trade.price) for trade in trades]
    volume = sum(exact(trade.quantity) for trade in trades)
    turnover = sum(exact(trade.quantity) * exact(trade.price) for trade in trades)
    first, last = prices[0], prices[-1]
    numbers = (first, max(prices), min(prices), last, turnover / volume if volume else last)
    return [
        opened,
        *(f"{number:.{pair.price_places}f}" for number in numbers),
        f"{volume:.{pair.quantity_places}f}",
        len(trades),
    ]


def _whole(value: object, default: int) -> int:
    text = str(value if value is not None else default)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise Wrong("EGeneral:Invalid arguments")
    return int(text)


def _since_ns(text: str) -> int:
    """Return a time as clients give it: seconds, or nanoseconds."""
    whole = text.partition(".")[0]
    if not whole.isascii() or not whole.isdigit() or len(whole) > 19:
        raise Wrong("EGeneral:Invalid arguments")
    return int(whole) if len(whole) > 12 else int(whole) * NS
