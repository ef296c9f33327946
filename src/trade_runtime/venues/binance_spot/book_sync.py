"""Binance's rule for keeping an order book in step with its depth stream, without any I/O.

One `BookSync` serves one symbol on one connection. Depth events and snapshots go in by plain
calls; what is to be told comes out as a list: `BookLevels`, a snapshot first and then each change,
and `BookLost` where a change was missed. Guarantees, whatever comes in and in whatever order:

- The first `BookLevels`, and the first after each `BookLost`, is a snapshot.
- Every change given out continues, without a gap, the one given out before it.
- Each gap is told once, also where it lies among the events that waited for the snapshot.

Source: "How to manage a local order book correctly",
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels

MAX_BUFFERED_EVENTS: Final = 10_000
"""Events of a symbol that wait for its snapshot: 16 minutes of a stream that tells every 100 ms.

Beyond it the buffer is dropped, and a snapshot taken after that is needed.
"""

Levels = tuple[tuple[Decimal, Decimal], ...]


class DepthEvent(msgspec.Struct, frozen=True):
    """A change of the book: the changes `first_id` to `last_id`, both included."""

    instrument: InstrumentId
    ts_ns: int
    first_id: int
    last_id: int
    bids: Levels
    asks: Levels


class DepthSnapshot(msgspec.Struct, frozen=True):
    """A whole book, after the change `last_id`."""

    last_id: int
    bids: Levels
    asks: Levels


class BookLost(msgspec.Struct, frozen=True):
    """A change was missed: the book is worth nothing until the next snapshot."""

    instrument: InstrumentId


Output = BookLevels | BookLost


class BookSync:
    """Keeps one symbol's book in sequence.

    Args:
        instrument: whose book it is; what comes out carries it.
        max_buffered: the bound of the buffer.
    """

    __slots__ = ("_buffer", "_max_buffered", "instrument", "last_id", "overflows", "resyncs")

    def __init__(self, instrument: InstrumentId, max_buffered: int = MAX_BUFFERED_EVENTS) -> None:
        self.instrument = instrument
        self.last_id: int | None = None
        """The id of the last change given out; None while there is no book."""
        self.resyncs = 0
        """How often the book was lost."""
        self.overflows = 0
        """How often the buffer was dropped."""
        self._max_buffered = max_buffered
        self._buffer: deque[DepthEvent] = deque()

    @property
    def wants_snapshot(self) -> bool:
        """There is no book: a snapshot is to be fetched."""
        return self.last_id is None

    @property
    def buffered(self) -> int:
        """How many events wait for the snapshot."""
        return len(self._buffer)

    def on_event(self, event: DepthEvent) -> list[Output]:
        """Take the next event of the stream and return what is to be told."""
        last_id = self.last_id
        if last_id is not None and event.first_id <= last_id + 1:
            if event.last_id <= last_id:
                return []  # it is in the book already
            self.last_id = event.last_id
            return [_change(event)]
        told: list[Output] = []
        if last_id is not None:
            self.last_id = None
            self.resyncs += 1
            told.append(BookLost(self.instrument))
        elif len(self._buffer) >= self._max_buffered:
            self._buffer.clear()
            self.overflows += 1
        self._buffer.append(event)
        return told

    def on_snapshot(self, snapshot: DepthSnapshot, ts_ns: int) -> list[Output]:
        """Take a snapshot and return what is to be told: nothing where it is of no use.

        It is stale where the events that wait begin after it: the next one has to be fetched.
        `ts_ns` is the time that the book's first `BookLevels` carries.
        """
        if self.last_id is not None:
            return []
        waiting = self._buffer
        newer = next((e for e in waiting if e.last_id > snapshot.last_id), None)
        if newer is not None and newer.first_id > snapshot.last_id + 1:
            return []
        self._buffer = deque()
        self.last_id = snapshot.last_id
        told: list[Output] = [
            BookLevels(self.instrument, ts_ns, snapshot.last_id, snapshot.bids, snapshot.asks, True)
        ]
        told.extend(self._replayed(waiting))
        return told

    def _replayed(self, events: Iterable[DepthEvent]) -> Iterable[Output]:
        for event in events:
            yield from self.on_event(event)


def _change(event: DepthEvent) -> BookLevels:
    return BookLevels(event.instrument, event.ts_ns, event.last_id, event.bids, event.asks)
