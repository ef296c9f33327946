"""Bars of trades or of quotes, by time and by their number; those by volume: `volume_bars`.

A builder counts an event in numbers that it keeps, and makes a `Bar` only when one ends, so that an
event costs a few comparisons. It knows nothing but the events and their own times: the same
events make the same bars, live or in a backtest, however they were cut into chunks.

What is the same for all of them:

- Ended bars are handed to `emit` at once, by a plain call, oldest first; a bar that has not ended
  is never shown.
- Of quotes the price is the mid; they bring no volume, and `Bar.trades` then counts quotes.
- An event that comes late, with a time from before the bar that is open (clocks differ, feeds
  reorder), counts in the open bar. It never moves the bar's times back.
- Times are not negative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar, Quote, Trade

Emit = Callable[[Bar], object]
"""Takes a bar that has ended. It must not raise: the bars after it would be lost."""


class BarBuilder(Protocol):
    """Makes bars of what it is told."""

    def on_trade(self, trade: Trade) -> None:
        """Count a trade."""

    def on_quote(self, quote: Quote) -> None:
        """Count a quote, at its mid."""


class TimeBars:
    """Makes bars of a fixed length, aligned to the epoch by the events' own times.

    A bar ends with the first event past its end; a stretch without events makes no bar. The first
    bar holds what has come since the builder was made, so it may not be whole.

    Args:
        instrument: whose bars these are.
        length_secs: of a bar; counted in whole nanoseconds, at least one.
        emit: takes each bar that has ended.
    """

    __slots__ = (
        "_close",
        "_count",
        "_emit",
        "_ends_ns",
        "_high",
        "_instrument",
        "_length_ns",
        "_low",
        "_open",
        "_volume",
    )

    def __init__(self, instrument: InstrumentId, length_secs: float, emit: Emit) -> None:
        self._instrument = instrument
        self._length_ns = length_ns(length_secs)
        self._emit = emit
        self._ends_ns = 0  # nothing has come: no event is before this
        self._open = self._high = self._low = self._close = self._volume = 0.0
        self._count = 0

    def on_trade(self, trade: Trade) -> None:
        """Count a trade."""
        self.add(trade.ts_ns, trade.price, trade.quantity)

    def on_quote(self, quote: Quote) -> None:
        """Count a quote, at its mid."""
        self.add(quote.ts_ns, quote.mid, 0.0)

    def add(self, ts_ns: int, price: float, quantity: float) -> None:
        """Count an event."""
        if ts_ns < self._ends_ns:
            if price > self._high:
                self._high = price
            elif price < self._low:
                self._low = price
            self._close = price
            self._volume += quantity
            self._count += 1
            return
        ended = self._bar() if self._count else None
        self._ends_ns = ts_ns - ts_ns % self._length_ns + self._length_ns
        self._open = self._high = self._low = self._close = price
        self._volume = quantity
        self._count = 1
        if ended is not None:
            self._emit(ended)

    def _bar(self) -> Bar:
        return Bar(
            self._instrument,
            self._ends_ns,
            self._ends_ns - self._length_ns,
            self._open,
            self._high,
            self._low,
            self._close,
            self._volume,
            self._count,
        )


class TradeBars:
    """Makes bars of a fixed number of trades, or of quotes.

    A bar ends with its last event: `ts_ns` is that event's time, `open_ns` the first one's.

    Args:
        instrument: whose bars these are.
        size: how many events a bar has, at least 1.
        emit: takes each bar that has ended.
    """

    __slots__ = (
        "_count",
        "_emit",
        "_high",
        "_instrument",
        "_latest_ns",
        "_low",
        "_open",
        "_open_ns",
        "_size",
        "_volume",
    )

    def __init__(self, instrument: InstrumentId, size: int, emit: Emit) -> None:
        self._instrument = instrument
        self._size = size
        self._emit = emit
        self._open_ns = self._latest_ns = 0
        self._open = self._high = self._low = self._volume = 0.0
        self._count = 0

    def on_trade(self, trade: Trade) -> None:
        """Count a trade."""
        self.add(trade.ts_ns, trade.price, trade.quantity)

    def on_quote(self, quote: Quote) -> None:
        """Count a quote, at its mid."""
        self.add(quote.ts_ns, quote.mid, 0.0)

    def add(self, ts_ns: int, price: float, quantity: float) -> None:
        """Count an event."""
        if ts_ns > self._latest_ns:  # noqa: PLR1730 - max() would double the cost of an event
            self._latest_ns = ts_ns
        if self._count:
            if price > self._high:
                self._high = price
            elif price < self._low:
                self._low = price
            self._volume += quantity
        else:
            self._open_ns = self._latest_ns
            self._open = self._high = self._low = price
            self._volume = quantity
        self._count += 1
        if self._count == self._size:
            self._count = 0
            self._emit(
                Bar(
                    self._instrument,
                    self._latest_ns,
                    self._open_ns,
                    self._open,
                    self._high,
                    self._low,
                    price,
                    self._volume,
                    self._size,
                )
            )


def length_ns(length_secs: float) -> int:
    """Return a length in whole nanoseconds, at least one."""
    return max(1, round(length_secs * 1e9))
