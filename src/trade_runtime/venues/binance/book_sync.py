"""Binance's rules for keeping an order book in step with its depth stream, without any I/O.

One `BookSync` serves one symbol on one connection. Depth events and snapshots go in by plain
calls; what is to be told comes out as a list: `BookLevels`, a snapshot first and then each change,
and `BookLost` where a change was missed. Guarantees, whatever comes in and in whatever order:

- The first `BookLevels`, and the first after each `BookLost`, is a snapshot.
- Every change given out continues, without a gap, the one given out before it.
- An event whose ids contradict those of the event before loses the book, as a gap does.
- Each gap is told once, also where it lies among the events that waited for the snapshot.

On Spot the ids of a symbol are contiguous: a change continues the book where it begins at the next
id, or before. On USD-M Futures they are not, so each change names the one before it (`pu`): the
first after a snapshot has to hold the snapshot's id, or name it; each later one has to name the
one before it. Levels are absolute, so a change that the book holds already is left out in silence.

Sources: "How to manage a local order book correctly",
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/How-to-manage-a-local-order-book-correctly
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
    """A change of the book: the changes `first_id` to `last_id`, both included.

    `previous_id` is the `last_id` of the event before it, where the stream names that: it is what
    makes the rule that of USD-M Futures.
    """

    instrument: InstrumentId
    ts_ns: int
    first_id: int
    last_id: int
    bids: Levels
    asks: Levels
    previous_id: int | None = None

    def continues(self, book_id: int, *, first: bool) -> bool:
        """It continues, without a gap, a book at `book_id`; `first`: one fresh from a snapshot."""
        if self.previous_id is None:
            return self.first_id <= book_id + 1
        return self.previous_id == book_id or (first and self.first_id <= book_id)


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

    __slots__ = (
        "_buffer",
        "_given",
        "_max_buffered",
        "instrument",
        "last_id",
        "overflows",
        "resyncs",
    )

    def __init__(self, instrument: InstrumentId, max_buffered: int = MAX_BUFFERED_EVENTS) -> None:
        self.instrument = instrument
        self.last_id: int | None = None
        """The id of the last change given out; None while there is no book."""
        self.resyncs = 0
        """How often the book was lost."""
        self.overflows = 0
        """How often the buffer was dropped."""
        self._max_buffered = max_buffered
        self._given: tuple[int, int] | None = None
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
        if last_id is not None:
            if event.last_id <= last_id:
                if not self._contradicts(event):
                    return []  # it is in the book already
            elif event.continues(last_id, first=self._given is None):
                self.last_id = event.last_id
                self._given = event.first_id, event.last_id
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

    def _contradicts(self, event: DepthEvent) -> bool:
        """Whether an event that ends within the book cannot be an old one.

        Events follow each other, so one that begins after the last must end after it: where it does
        not, one of the two has a wrong id, and what the book lacks cannot be told.
        """
        if self._given is None:
            return False
        first_id, last_id = self._given
        return event.first_id > first_id or (
            event.first_id == first_id and event.last_id != last_id
        )

    def on_snapshot(self, snapshot: DepthSnapshot, ts_ns: int) -> list[Output]:
        """Take a snapshot and return what is to be told: nothing where it is of no use.

        It is stale where the events that wait begin after it: the next one has to be fetched.
        `ts_ns` is the time that the book's first `BookLevels` carries.
        """
        if self.last_id is not None:
            return []
        waiting = self._buffer
        newer = next((e for e in waiting if e.last_id > snapshot.last_id), None)
        if newer is not None and not newer.continues(snapshot.last_id, first=True):
            return []
        self._buffer = deque()
        self.last_id = snapshot.last_id
        self._given = None
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
