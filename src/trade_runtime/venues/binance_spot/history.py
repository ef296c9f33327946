"""Recordings of Binance's streams as history: the same lines that the replay server serves, through
the codec and the book's rule of the live session.

The time of an event is the recorder's: it is when a strategy there would have known. Where that
clock went back, an event carries the time of the one before it. The exchange's own times, which may
be ahead of or behind it, are not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from trade_runtime.errors import ConfigError, DataError, VenueError
from trade_runtime.model.ids import symbol_of
from trade_runtime.model.market import Quote, Trade
from trade_runtime.protocols import HistoryPlugin, HistoryQuery, MarketEvent
from trade_runtime.venues.binance.book_sync import BookLost, BookSync, DepthEvent, Output
from trade_runtime.venues.binance.streams import StreamDecoder
from trade_runtime.venues.binance_spot.codec import STREAMS, decode_snapshot
from trade_runtime.venues.binance_spot.recording import Recording, Row

CHUNK_EVENTS: Final = 16_384

KINDS: Final = frozenset({"quotes", "trades", "book"})


class _Reader:
    """Makes the wanted events of a recording's rows."""

    def __init__(self, query: HistoryQuery) -> None:
        self._query = query
        self._symbol = symbol_of(query.instrument)
        self._decoder = StreamDecoder(STREAMS, {self._symbol: query.instrument})
        self._sync = BookSync(query.instrument)
        self.now_ns = 0

    def events(self, row: Row) -> list[MarketEvent]:
        """Return what a row tells that is wanted.

        Raises:
            VenueError: it makes no sense.
            DataError: a change of the book is missing.
        """
        self.now_ns = max(self.now_ns, row.at_ns)
        kind = self._query.kind
        if not row.stream:
            if kind != "book" or row.symbol not in ("", self._symbol):
                return []
            return self._told(self._sync.on_snapshot(decode_snapshot(row.body), self.now_ns))
        event = self._decoder.decode(row.body, self.now_ns)
        if isinstance(event, DepthEvent):
            return self._told(self._sync.on_event(event)) if kind == "book" else []
        if (kind == "quotes" and isinstance(event, Quote)) or (
            kind == "trades" and isinstance(event, Trade)
        ):
            return [replace(event, ts_ns=self.now_ns)]
        return []

    def _told(self, outputs: Sequence[Output]) -> list[MarketEvent]:
        events: list[MarketEvent] = []
        for output in outputs:
            if isinstance(output, BookLost):
                raise VenueError("a change of the book is missing before it")
            events.append(replace(output, ts_ns=self.now_ns))
        return events


def read_recording(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of one symbol and kind in chunks.

    Raises:
        DataError: with the file and the line; what came before was as it should be.
    """
    if query.options:
        raise DataError(
            f"{query.path}: a recording has no options, got {', '.join(query.options)};"
            " take them out"
        )
    reader, chunk, found = _Reader(query), list[MarketEvent](), False
    try:
        recording = Recording(query.path)
        for row in recording.rows():
            try:
                events = reader.events(row)
            except VenueError as error:
                raise DataError(f"{query.path}: line {row.number}: {error}") from None
            found = found or bool(events)
            if query.end_ns is not None and reader.now_ns >= query.end_ns:
                found = True  # as far as it was read
                break  # its time never goes back: nothing that is wanted follows
            if query.start_ns is None or reader.now_ns >= query.start_ns:
                chunk += events
            if len(chunk) >= CHUNK_EVENTS:
                yield chunk
                chunk = []
    except ConfigError as error:
        raise DataError(str(error)) from None
    if chunk:
        yield chunk
    if not found:
        raise DataError(
            f"{query.path}: has no {query.kind} of {symbol_of(query.instrument)};"
            " name what it recorded"
        )


plugin = HistoryPlugin(
    read_recording,
    KINDS,
    (".jsonl", ".jsonl.gz", ".ws.log", ".ws.log.gz"),
)
