"""The frames of Binance's combined streams, without any I/O: `{"stream": NAME, "data": {...}}`.

What differs between Spot and USD-M Futures, the streams and the shape of their events, the codec of
each brings as a table; here is what is the same. Fields and streams that we do not know are
ignored, as Binance asks of its clients; frames that we do not know are counted. What cannot be
understood raises `VenueError`, whose text names what was wrong and repeats little of it; no error
of the JSON library leaks.

Quotes and trades carry floats, levels of the book `Decimal`, both from the text on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Quote, Trade
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.book_sync import DepthEvent
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.wire.payload import excerpt

NS_PER_MS: Final = 1_000_000

Event = Quote | Trade | DepthEvent

Decode = Callable[[msgspec.Raw, InstrumentId, int], Event | None]
"""Makes an event of a stream's payload, its instrument and the time of receipt; None where it tells
nothing of use.
"""


class _Envelope(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    error: msgspec.Raw = msgspec.Raw(b"")


class _Event(msgspec.Struct):
    e: str = ""


class _BookTicker(msgspec.Struct, gc=False):
    u: Id
    bid: float = msgspec.field(name="b")
    bid_size: float = msgspec.field(name="B")
    ask: float = msgspec.field(name="a")
    ask_size: float = msgspec.field(name="A")
    time_ms: Ms = msgspec.field(name="T", default=0)


# Binance writes prices and quantities as strings; `strict=False` reads those as floats.
_envelope = msgspec.json.Decoder(_Envelope)
_event = msgspec.json.Decoder(_Event)
_book_ticker = msgspec.json.Decoder(_BookTicker, strict=False)


def stream_names(streams: Mapping[str, Decode], symbols: Mapping[str, InstrumentId]) -> list[str]:
    """Return the names of all streams of `symbols`: `ethusdt@bookTicker` and so on."""
    return [f"{symbol.lower()}@{stream}" for symbol in symbols for stream in streams]


class StreamDecoder:
    """Decodes the frames of a combined stream.

    Args:
        streams: what each kind of stream is decoded by.
        symbols: the instrument that each symbol maps to.
    """

    __slots__ = ("_known", "ignored")

    def __init__(self, streams: Mapping[str, Decode], symbols: Mapping[str, InstrumentId]) -> None:
        self.ignored = 0
        """Frames that told nothing of use: unknown streams, answers, quotes of one side only."""
        self._known: dict[str, tuple[Decode, InstrumentId]] = {
            f"{symbol.lower()}@{stream}": (decode, instrument)
            for symbol, instrument in symbols.items()
            for stream, decode in streams.items()
        }

    def decode(self, frame: str | bytes, received_ns: int) -> Event | None:
        """Return what a frame tells, or None where that is nothing of use.

        `received_ns` is the time of what carries none of its own.

        Raises:
            VenueError: the frame is malformed, or says that the server shuts down or that the
                subscription failed.
        """
        envelope = BINANCE.decode(_envelope, frame, "frame")
        known = self._known.get(envelope.stream)
        if known is None:
            self._unknown(envelope)
            return None
        decode, instrument = known
        event = decode(envelope.data, instrument, received_ns)
        if event is None:
            self.ignored += 1
        return event

    def _unknown(self, envelope: _Envelope) -> None:
        event = envelope.e
        if not event and bytes(envelope.data)[:1] == b"{":
            event = BINANCE.decode(_event, envelope.data, "event").e
        if event == "serverShutdown":
            raise VenueError("Binance is about to shut this server down: connect again")
        if bytes(envelope.error):
            raise VenueError(f"Binance refused the subscription: {excerpt(bytes(envelope.error))}")
        self.ignored += 1


def decode_quote(payload: msgspec.Raw, instrument: InstrumentId, received_ns: int) -> Quote | None:
    """Decode a `bookTicker`; None where a side is empty: there is no best bid and ask to tell.

    Where Binance gives it no time, as on Spot, it carries that of its receipt.

    Raises:
        VenueError: it made no sense.
    """
    raw = BINANCE.decode(_book_ticker, payload, "bookTicker")
    BINANCE.check_finite("bookTicker", raw.bid, raw.ask, raw.bid_size, raw.ask_size)
    if not (raw.bid and raw.ask):
        return None
    ts_ns = raw.time_ms * NS_PER_MS or received_ns
    return Quote(instrument, ts_ns, raw.bid, raw.ask, raw.bid_size, raw.ask_size, raw.u)
