"""Many histories as one, in the order of their times."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import attrgetter

from trade_runtime.protocols import MarketEvent

_time = attrgetter("ts_ns")


class _Source:
    """A history, and what of it was read and not yet given out."""

    def __init__(self, chunks: Iterator[Sequence[MarketEvent]]) -> None:
        self._chunks = chunks
        self.held: list[MarketEvent] = []
        self.ended = False

    def fill(self) -> None:
        """Hold something of two different times, or all there is."""
        while not self.ended and (not self.held or self.held[0].ts_ns == self.held[-1].ts_ns):
            chunk = next(self._chunks, None)
            if chunk is None:
                self.ended = True
            else:
                self.held.extend(chunk)

    @property
    def known_ns(self) -> int:
        """Up to when, excluded, all is held: the last time may go on in the next chunk."""
        return self.held[-1].ts_ns

    def take(self, until_ns: int | None) -> list[MarketEvent]:
        """Give out what is before `until_ns`, or all."""
        held = self.held
        if until_ns is None:
            self.held = []
            return held
        count = bisect_left(held, until_ns, key=_time)
        taken, self.held = held[:count], held[count:]
        return taken


def merged(
    sources: Sequence[Iterator[Sequence[MarketEvent]]],
) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of all sources in chunks, in the order of their times.

    Events of one time come in the order of the sources and, within one, in its own order. All
    events of one time are in one chunk. What is held in memory is bounded by the chunks of the
    sources, and by the events of a single time.

    Args:
        sources: each in the order of its times.

    Raises:
        DataError: a source is not what it should be.
    """
    open_ones = [_Source(source) for source in sources]
    while True:
        for source in open_ones:
            source.fill()
        open_ones = [source for source in open_ones if source.held]
        if not open_ones:
            return
        running = [source.known_ns for source in open_ones if not source.ended]
        until_ns = min(running) if running else None
        parts = [part for source in open_ones if (part := source.take(until_ns))]
        if len(parts) == 1:
            yield parts[0]
        elif parts:
            chunk = [event for part in parts for event in part]
            chunk.sort(key=_time)  # stable, and quick where the parts are in order
            yield chunk
