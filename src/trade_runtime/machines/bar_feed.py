"""Bars that a history has ready-made: handed on as they are, or put together to longer ones.

It serves a backtest over bars and the history that a live runtime fetches before it trades, by
plain calls.
"""

from __future__ import annotations

from trade_runtime.errors import ConfigError
from trade_runtime.machines.bars import Emit, length_ns
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar


class BarFeed:
    """Takes bars of one instrument, oldest first, and hands on bars of the length asked for.

    A bar of that length passes as it is. Shorter ones are put together, aligned to the epoch; a
    longer bar is handed on with the last one that belongs to it, or, where that is missing, with
    the first one past its end. A bar from before the end of the last one is dropped: what a history
    tells twice is counted once.

    Args:
        instrument: whose bars these are.
        length_secs: of the bars that are handed on.
        emit: takes them.
    """

    __slots__ = ("_emit", "_instrument", "_length_ns", "_open", "_reached_ns")

    def __init__(self, instrument: InstrumentId, length_secs: float, emit: Emit) -> None:
        self._instrument = instrument
        self._length_ns = length_ns(length_secs)
        self._emit = emit
        self._open: Bar | None = None
        self._reached_ns = 0

    def on_bar(self, bar: Bar) -> None:
        """Take the next bar.

        Raises:
            ConfigError: its length does not divide the length asked for, or it would lie in two
                bars of that length.
        """
        if bar.open_ns < self._reached_ns:
            return
        if bar.ts_ns - bar.open_ns == self._length_ns:
            self._give()
            self._reached_ns = bar.ts_ns
            self._emit(bar)
            return
        ends_ns = self._end_of(bar)
        self._reached_ns = bar.ts_ns
        if self._open is not None and self._open.ts_ns != ends_ns:
            self._give()
        self._open = _joined(self._open, bar, ends_ns - self._length_ns, ends_ns)
        if bar.ts_ns == ends_ns:
            self._give()

    def _end_of(self, bar: Bar) -> int:
        """Return when the longer bar ends that `bar` belongs to."""
        wanted, length = self._length_ns, bar.ts_ns - bar.open_ns
        if length <= 0 or wanted % length:
            raise ConfigError(
                f"bar_secs: {wanted / 1e9:g} s is no multiple of the {length / 1e9:g} s of the bars"
                f" that the history of {self._instrument} has; set it to one"
            )
        ends_ns = bar.open_ns - bar.open_ns % wanted + wanted
        if bar.ts_ns > ends_ns:
            raise ConfigError(
                f"bar_secs: {wanted / 1e9:g} s would split the bars that the history of"
                f" {self._instrument} has: they are not aligned to the epoch; set it to their"
                f" length, {length / 1e9:g} s"
            )
        return ends_ns

    def _give(self) -> None:
        whole, self._open = self._open, None
        if whole is not None:
            self._emit(whole)


def _joined(first: Bar | None, bar: Bar, open_ns: int, ends_ns: int) -> Bar:
    if first is None:
        return Bar(
            bar.instrument,
            ends_ns,
            open_ns,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.trades,
        )
    return Bar(
        bar.instrument,
        ends_ns,
        open_ns,
        first.open,
        max(first.high, bar.high),
        min(first.low, bar.low),
        bar.close,
        first.volume + bar.volume,
        first.trades + bar.trades,
    )
