"""Kraken's public WebSocket v2, without any I/O: frames in, model objects out, and requests.

Fields, channels and methods that we do not know are ignored, and counted. What cannot be understood
raises `VenueError`, whose text names what was wrong and repeats little of it; no error of the JSON
library leaks.

Numbers are JSON numbers. Quotes and trades carry floats, levels of the book `Decimal`, both from
the text on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.kraken_spot.book import BookEvent, Levels
from trade_runtime.venues.kraken_spot.times import ns_of
from trade_runtime.venues.wire.payload import Reader, excerpt

KRAKEN: Final = Reader("Kraken")
"""Reads what it sends."""

CHANNELS: Final = ("ticker", "trade", "book")
"""What is subscribed for each symbol."""

MAX_DIGITS: Final = 24
"""A number of more digits, before or behind its point, is none of Kraken's; with so many, sums are
exact."""


class Ack(msgspec.Struct, frozen=True):
    """The answer to a request.

    Attributes:
        method: what was asked for.
        req_id: the request's own; 0 where it gives none.
        error: why it was refused; empty where it was not.
        channel: of a subscription.
        symbol: the same.
        result: the whole of it.
        server_ns: when Kraken had taken the request in; 0 where it does not say.
    """

    method: str
    req_id: int
    error: str
    channel: str
    symbol: str
    result: msgspec.Raw
    server_ns: int


class Status(msgspec.Struct, frozen=True):
    """How the exchange is: `online`, `maintenance`, `cancel_only`, `post_only`, `limit_only`."""

    system: str


class Envelope(msgspec.Struct):
    """What every frame is, of data or an answer."""

    channel: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    sequence: int | None = None
    method: str = ""
    req_id: int | None = None
    success: bool | None = None
    error: str | None = None
    symbol: str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    time_in: str | None = None


class _Subscribed(msgspec.Struct):
    channel: str = ""
    symbol: str | None = None


class _Level(msgspec.Struct, gc=False):
    price: Decimal
    qty: Decimal


class _Book(msgspec.Struct):
    symbol: str
    checksum: int
    bids: list[_Level] = []
    asks: list[_Level] = []
    timestamp: str | None = None


class _Ticker(msgspec.Struct, gc=False):
    symbol: str
    bid: float | None = None
    bid_qty: float | None = None
    ask: float | None = None
    ask_qty: float | None = None
    timestamp: str | None = None


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    side: str
    price: float
    qty: float
    trade_id: int
    timestamp: str


class _Status(msgspec.Struct):
    system: str = ""


_envelope = msgspec.json.Decoder(Envelope)
_subscribed = msgspec.json.Decoder(_Subscribed)
_books = msgspec.json.Decoder(list[_Book])
_tickers = msgspec.json.Decoder(list[_Ticker])
_trades = msgspec.json.Decoder(list[_Trade])
_statuses = msgspec.json.Decoder(list[_Status])

Event = Quote | Trade | BookEvent | Ack | Status


def read_envelope(frame: str | bytes) -> Envelope:
    """Return what a frame is.

    Raises:
        VenueError: it is none.
    """
    return KRAKEN.decode(_envelope, frame, "frame")


def ack_of(envelope: Envelope) -> Ack:
    """Return the answer that a frame is.

    Raises:
        VenueError: it makes no sense.
    """
    result = _Subscribed()
    if bytes(envelope.result)[:1] == b"{":
        result = KRAKEN.decode(_subscribed, envelope.result, f"answer to {envelope.method}")
    error = envelope.error or ""
    if envelope.success is False and not error:
        error = "refused without a reason"
    return Ack(
        excerpt(envelope.method),
        envelope.req_id or 0,
        excerpt(error),
        result.channel,
        result.symbol or envelope.symbol or "",
        envelope.result,
        ns_of(envelope.time_in) if envelope.time_in else 0,
    )


class StreamDecoder:
    """Decodes the frames of the public WebSocket.

    Args:
        symbols: the instrument that each symbol maps to.
    """

    __slots__ = ("_symbols", "ignored")

    def __init__(self, symbols: Mapping[str, InstrumentId]) -> None:
        self.ignored = 0
        """Things that told nothing of use: unknown channels and symbols, quotes of one side."""
        self._symbols = symbols

    def decode(self, frame: str | bytes, received_ns: int) -> Sequence[Event]:
        """Return what a frame tells; nothing for a heartbeat.

        `received_ns` is the time of what carries none of its own.

        Raises:
            VenueError: the frame is malformed.
        """
        envelope = read_envelope(frame)
        channel = envelope.channel
        if channel == "heartbeat":
            return ()
        if channel == "ticker":
            return self._quotes(envelope.data, received_ns)
        if channel == "book":
            return self._books(envelope, received_ns)
        if channel == "trade":
            return self._trades(envelope.data)
        if channel == "status":
            found = KRAKEN.decode(_statuses, envelope.data, "status")
            return [Status(excerpt(status.system)) for status in found]
        if envelope.method or envelope.error:
            return [ack_of(envelope)]
        self.ignored += 1
        return ()

    def _quotes(self, payload: msgspec.Raw, received_ns: int) -> Sequence[Quote]:
        quotes = []
        for raw in KRAKEN.decode(_tickers, payload, "ticker"):
            instrument = self._symbols.get(raw.symbol)
            numbers = (raw.bid or 0.0, raw.ask or 0.0, raw.bid_qty or 0.0, raw.ask_qty or 0.0)
            KRAKEN.check_finite("ticker", *numbers)
            if instrument is None or not (raw.bid and raw.ask):
                self.ignored += 1  # one side is empty: there is no best bid and ask to tell
                continue
            at_ns = ns_of(raw.timestamp) if raw.timestamp else received_ns
            quotes.append(Quote(instrument, at_ns, *numbers))
        return quotes

    def _trades(self, payload: msgspec.Raw) -> Sequence[Trade]:
        trades = []
        for raw in KRAKEN.decode(_trades, payload, "trade"):
            instrument = self._symbols.get(raw.symbol)
            KRAKEN.check_finite("trade", raw.price, raw.qty, raw.trade_id)
            if instrument is None:
                self.ignored += 1
                continue
            at_ns, side = ns_of(raw.timestamp), side_of(raw.side)
            trades.append(Trade(instrument, at_ns, raw.price, raw.qty, side, raw.trade_id))
        return trades

    def _books(self, envelope: Envelope, received_ns: int) -> Sequence[BookEvent]:
        if envelope.type not in ("snapshot", "update"):
            raise VenueError(f"Kraken sent a book of the type {excerpt(envelope.type)!r}")
        events = []
        for raw in KRAKEN.decode(_books, envelope.data, "book"):
            instrument = self._symbols.get(raw.symbol)
            if instrument is None:
                self.ignored += 1
                continue
            events.append(
                BookEvent(
                    instrument,
                    ns_of(raw.timestamp) if raw.timestamp else received_ns,
                    _levels(raw.bids),
                    _levels(raw.asks),
                    raw.checksum,
                    envelope.type == "snapshot",
                )
            )
        return events


def _levels(raw: Iterable[_Level]) -> Levels:
    levels = tuple((level.price, level.qty) for level in raw)
    KRAKEN.check_levels("book", levels)
    check_digits("book", *(number for level in levels for number in level))
    return levels


def check_digits(what: str, *numbers: Decimal) -> None:
    """Refuse numbers that no market has, whose text or whole part would be endless.

    Raises:
        VenueError: one of them is such.
    """
    for number in numbers:
        _, digits, exponent = number.as_tuple()
        within = isinstance(exponent, int) and exponent >= -MAX_DIGITS
        if not within or len(digits) > MAX_DIGITS or number.adjusted() > MAX_DIGITS:
            raise VenueError(
                f"Kraken sent a {what} with an impossible number: {excerpt(str(number))}"
            )


def side_of(text: str) -> Side:
    """Return the side that Kraken names.

    Raises:
        VenueError: it is none.
    """
    if text == "buy":
        return Side.BUY
    if text == "sell":
        return Side.SELL
    raise VenueError(f"Kraken sent a side that is none: {excerpt(text)!r}")


def subscribe(
    channel: str,
    symbols: Sequence[str],
    req_id: int,
    depth: int = 0,
    *,
    method: Literal["subscribe", "unsubscribe"] = "subscribe",
) -> str:
    """Return the request for a channel of `symbols`; `depth` is that of a book."""
    params: dict[str, object] = {"channel": channel, "symbol": list(symbols)}
    if channel == "ticker":
        params["event_trigger"] = "bbo"
    if channel == "book":
        params["depth"] = depth
    if method == "subscribe":
        params["snapshot"] = channel != "trade"
    return msgspec.json.encode({"method": method, "params": params, "req_id": req_id}).decode()


def ping(req_id: int) -> str:
    """Return the request that Kraken answers with `pong`."""
    return msgspec.json.encode({"method": "ping", "req_id": req_id}).decode()
