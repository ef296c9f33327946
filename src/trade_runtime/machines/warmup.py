"""Counts the bars that a strategy is given before it may trade."""

from __future__ import annotations

from collections.abc import Iterable

from trade_runtime.model.ids import InstrumentId


class WarmUp:
    """Knows whether a strategy has been given its bars, of each of its instruments.

    Args:
        instruments: those that it trades.
        bars: how many of each it needs; 0 for none.
    """

    __slots__ = ("_bars", "_missing")

    def __init__(self, instruments: Iterable[InstrumentId] = (), bars: int = 0) -> None:
        self._bars = bars
        self._missing = dict.fromkeys(instruments, bars) if bars else {}

    @property
    def active(self) -> bool:
        """Whether bars are missing still."""
        return bool(self._missing)

    def count(self, instrument: InstrumentId) -> None:
        """Count a bar that has been given. Called after the strategy's handler, so that the handler
        of the last one still sees a strategy that warms up.
        """
        missing = self._missing.get(instrument)
        if missing is None:
            return
        if missing > 1:
            self._missing[instrument] = missing - 1
        else:
            del self._missing[instrument]

    def describe(self) -> str:
        """Return what is missing, in words."""
        lacking = ", ".join(
            f"{self._bars - missing} of {instrument}"
            for instrument, missing in self._missing.items()
        )
        return f"of {self._bars} bars each, the strategy has been given {lacking}"
