"""Binance's market streams: what a client subscribes to, and the frames of each stream.

A stream that does not exist is subscribed to as any other and stays silent, as at Binance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Limits, Window
from trade_runtime.exchange.market import DepthChange
from trade_runtime.exchange.sockets import Socket
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.serving import Request

MAX_STREAMS: Final = 1_024
"""Of a connection; Binance's own."""

MESSAGES_PER_SEC: Final = 5
"""Of a client on one connection; Binance's own. Who sends more is cut."""

SLOW_MS: Final = 1_000
"""Between two changes of a book on a stream without a speed."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Write = Callable[[Decimal], str]
"""Writes a number as the venue does."""

ToDepth = Callable[[DepthChange, int, "Write"], dict[str, Any]]


def stream_names(request: Request, combined: str = "/stream", bare: str = "/ws") -> list[str]:
    """Return the streams that a path asks for."""
    if request.path.rstrip("/") == combined:
        names = parse_qs(request.query).get("streams", [""])[0]
    else:
        names = unquote(request.path).removeprefix(bare).strip("/")
    return [name for name in names.split("/") if name]


def pairs_of(levels: Iterable[tuple[Decimal, Decimal]], write: Write) -> list[list[str]]:
    """Return levels of a book as Binance writes them."""
    return [[write(price), write(quantity)] for price, quantity in levels]


class _Depth:
    """The changes of one book since the last frame, for a stream with a speed."""

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self.due_ms = 0
        self.pending: list[DepthChange] = []


class MarketStreams:
    """The market streams of one client; a `MarketListener`.

    Args:
        floor: whose market.
        socket: where frames go.
        names: what is subscribed to at first.
        combined: wrap each payload with the name of its stream.
        write: how numbers are written.
        to_depth: makes the payload of a change of a book; None for that of Spot.
    """

    def __init__(
        self,
        floor: Floor,
        socket: Socket,
        names: Iterable[str],
        *,
        combined: bool,
        write: Write,
        to_depth: ToDepth | None = None,
    ) -> None:
        self._floor = floor
        self._socket = socket
        self._combined = combined
        self._write = write
        self._to_depth = to_depth or spot_depth
        self._streams: dict[str, None] = {}
        self._depths: dict[str, _Depth] = {}
        self._symbols: Mapping[str, str] = {one.lower(): one for one in floor.market.tapes}
        self._messages = Limits([Window("messages", MESSAGES_PER_SEC, 1.0)])
        self._subscribe(list(names))

    async def on_message(self, message: bytes) -> None:
        """Take a client's request for other streams."""
        if self._messages.take({"messages": 1}) is not None:
            self._socket.leave(1008, "Too many requests")
            return
        try:
            asked = _decode(message)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            self._refuse(None, 3, "Invalid JSON: expected value")
            return
        key, names = asked.get("id"), asked.get("params", [])
        method = asked.get("method")
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                self._refuse(key, 2, "Invalid request: params must be a list of names")
                return
            if method == "UNSUBSCRIBE":
                for name in names:
                    self._streams.pop(name, None)
            elif len(self._streams) + len(names) > MAX_STREAMS:
                self._refuse(key, 2, "Invalid request: too many streams")
                return
            else:
                self._subscribe(names)
            self._socket.reply(_encode({"result": None, "id": key}))
        elif method == "LIST_SUBSCRIPTIONS":
            self._socket.reply(_encode({"result": list(self._streams), "id": key}))
        elif method == "SET_PROPERTY" and isinstance(names, list) and names[:1] == ["combined"]:
            self._combined = bool(names[-1])
            self._socket.reply(_encode({"result": None, "id": key}))
        elif method == "GET_PROPERTY":
            self._socket.reply(_encode({"result": self._combined, "id": key}))
        else:
            self._refuse(key, 2, f"Invalid request: unknown method {method!r}")

    def _refuse(self, key: Any, code: int, text: str) -> None:
        self._socket.reply(_encode({"error": {"code": code, "msg": text}, "id": key}))

    def _subscribe(self, names: list[str]) -> None:
        self._streams.update(dict.fromkeys(names[:MAX_STREAMS]))

    # --- what the market tells -----------------------------------------------------------------

    def on_quote(self, symbol: str, quote: Quote) -> None:
        """Tell of a new best bid and ask."""
        self._tell(symbol, "bookTicker", lambda: self.book_ticker(symbol, quote))

    def on_trade(self, symbol: str, trade: Trade) -> None:
        """Tell of a trade between others."""
        self._tell(symbol, "trade", lambda: self.trade(symbol, trade))
        self._tell(symbol, "aggTrade", lambda: self.agg_trade(symbol, trade))
        self._tell(symbol, "ticker", lambda: self.ticker(symbol))
        self._tell(symbol, "miniTicker", lambda: self.ticker(symbol))

    def on_depth(self, change: DepthChange) -> None:
        """Tell of a change of a book: all of it on the streams of changes, a few levels else."""
        symbol = change.symbol
        prefix = f"{symbol.lower()}@depth"
        for name in [one for one in self._streams if one.startswith(prefix)]:
            levels, _, speed = name.removeprefix(prefix).partition("@")
            if levels:
                self._send(name, self._levels(symbol, int(levels) if levels.isdecimal() else 0))
                continue
            interval = (
                int(speed[:-2]) if speed.endswith("ms") and speed[:-2].isdecimal() else SLOW_MS
            )
            depth = self._depths.setdefault(name, _Depth(interval))
            depth.pending.append(change)
            now_ms = self._floor.clock.base.now_ns() // NS_PER_MS
            if now_ms >= depth.due_ms or interval < SLOW_MS:
                depth.due_ms = now_ms + depth.interval_ms
                whole, depth.pending = merged(depth.pending), []
                self._send(name, self._to_depth(whole, self._now_ms(), self._write))

    def _tell(self, symbol: str, kind: str, payload: Callable[[], dict[str, Any]]) -> None:
        name = f"{symbol.lower()}@{kind}"
        if name in self._streams:
            self._send(name, payload())
        every = f"!{kind}@arr"
        if every in self._streams:
            self._send(every, [payload()])

    def _send(self, name: str, payload: Any) -> None:
        told = {"stream": name, "data": payload} if self._combined else payload
        self._socket.tell(_encode(told))

    def _now_ms(self) -> int:
        return self._floor.clock.now_ms()

    def _levels(self, symbol: str, levels: int) -> dict[str, Any]:
        tape = self._floor.market.tapes[symbol]
        bids, asks = tape.depth(levels)
        return {
            "lastUpdateId": tape.last_id,
            "bids": pairs_of(bids, self._write),
            "asks": pairs_of(asks, self._write),
        }

    def book_ticker(self, symbol: str, quote: Quote) -> dict[str, Any]:
        """Return the payload of a quote."""
        write = self._write
        return {
            "u": quote.update_id,
            "s": symbol,
            "b": write(exact(quote.bid)),
            "B": write(exact(quote.bid_size)),
            "a": write(exact(quote.ask)),
            "A": write(exact(quote.ask_size)),
        }

    def trade(self, symbol: str, trade: Trade) -> dict[str, Any]:
        """Return the payload of a trade."""
        return {
            "e": "trade",
            "E": self._now_ms(),
            "s": symbol,
            "t": trade.trade_id,
            "p": self._write(exact(trade.price)),
            "q": self._write(exact(trade.quantity)),
            "T": trade.ts_ns // NS_PER_MS,
            "m": trade.aggressor is Side.SELL,
            "M": True,
        }

    def agg_trade(self, symbol: str, trade: Trade) -> dict[str, Any]:
        """Return the payload of an aggregate of trades: here of one."""
        one = self.trade(symbol, trade)
        number = one.pop("t")
        return {**one, "e": "aggTrade", "a": number, "f": number, "l": number}

    def ticker(self, symbol: str) -> dict[str, Any]:
        """Return the payload of what the last day brought."""
        tape, write = self._floor.market.tapes[symbol], self._write
        return {
            "e": "24hrTicker",
            "E": self._now_ms(),
            "s": symbol,
            "c": write(tape.last_price),
            "o": write(tape.first_price),
            "h": write(tape.high),
            "l": write(tape.low),
            "v": write(tape.volume),
            "q": write(tape.turnover),
            "n": tape.trade_count,
        }


def merged(changes: list[DepthChange]) -> DepthChange:
    """Return changes of a book that follow each other as one."""
    first, last = changes[0], changes[-1]
    if len(changes) == 1:
        return first
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    for change in changes:
        bids.update(change.bids)
        asks.update(change.asks)
    return DepthChange(
        first.symbol,
        last.ts_ns,
        first.first_id,
        last.last_id,
        first.previous_id,
        tuple(bids.items()),
        tuple(asks.items()),
    )


def spot_depth(change: DepthChange, now_ms: int, write: Write) -> dict[str, Any]:
    """Return the payload of a change of a book on Spot."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": change.symbol,
        "U": change.first_id,
        "u": change.last_id,
        "b": pairs_of(change.bids, write),
        "a": pairs_of(change.asks, write),
    }
