"""The market streams of Binance USD-M Futures, each on its route; on the other it stays silent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.streams import MarketStreams, Write, pairs_of
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.market import DepthChange
from trade_runtime.exchange.sockets import Socket
from trade_runtime.model.instrument import text
from trade_runtime.model.market import Quote, Trade

PUBLIC: Final = "public"
MARKET: Final = "market"
_PUBLIC_KINDS: Final = ("bookTicker", "depth", "rpiDepth", "trade")
"""How their names begin. `trade` is not documented, and is served all the same."""

MARK_SECS: Final = 1.0
"""Between two mark prices of a contract."""


def route_of(stream: str) -> str:
    """Return the route on which a stream speaks."""
    kind = stream.partition("@")[2] or stream.lstrip("!")
    return PUBLIC if kind.startswith(_PUBLIC_KINDS) else MARKET


def depth_payload(change: DepthChange, now_ms: int, write: Write) -> dict[str, Any]:
    """Return the payload of a change of a book, which names the one before it."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "T": change.ts_ns // NS_PER_MS,
        "s": change.symbol,
        "U": change.first_id,
        "u": change.last_id,
        "pu": change.previous_id,
        "b": pairs_of(change.bids, write),
        "a": pairs_of(change.asks, write),
    }


class UsdmStreams(MarketStreams):
    """The market streams of one client on one route.

    Args:
        route: `public` or `market`; None is the address without one, which speaks as `public`.
    """

    def __init__(
        self, floor: Floor, socket: Socket, names: Iterable[str], *, combined: bool, route: str
    ) -> None:
        self._route = route
        self._clock = floor.clock
        self._tapes = floor.market.tapes
        self._marked: dict[str, int] = {}
        super().__init__(
            floor, socket, names, combined=combined, write=text, to_depth=depth_payload
        )

    def _send(self, name: str, payload: Any) -> None:
        if route_of(name) == self._route:
            super()._send(name, payload)

    def on_quote(self, symbol: str, quote: Quote) -> None:
        """Tell of a new best bid and ask, and now and then of the mark price."""
        super().on_quote(symbol, quote)
        now_ms = self._clock.now_ms()
        if now_ms - self._marked.get(symbol, 0) < MARK_SECS * 1000:
            return
        self._marked[symbol] = now_ms
        mark = text(self._tapes[symbol].mid)
        payload = {
            "e": "markPriceUpdate",
            "E": now_ms,
            "s": symbol,
            "p": mark,
            "i": mark,
            "P": mark,
            "r": "0",
            "T": now_ms // 28_800_000 * 28_800_000 + 28_800_000,
        }
        for kind in ("markPrice", "markPrice@1s"):
            self._tell(symbol, kind, lambda: payload)

    def book_ticker(self, symbol: str, quote: Quote) -> dict[str, Any]:
        """Return the payload of a quote, which has a time here."""
        at_ms = quote.ts_ns // NS_PER_MS
        told = super().book_ticker(symbol, quote)
        return {"e": "bookTicker", **told, "T": at_ms, "E": self._clock.now_ms()}

    def trade(self, symbol: str, trade: Trade) -> dict[str, Any]:
        """Return the payload of a trade."""
        told = super().trade(symbol, trade)
        del told["M"]
        return told
