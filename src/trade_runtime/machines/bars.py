"""Bars by time, made of trades."""

from __future__ import annotations

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar, Trade


class BarBuilder:
    """Makes bars of a fixed length, aligned to the epoch by the trades' own times.

    A bar is given out with the first trade past its end; a stretch without trades makes no bar. A
    trade from before the bar that is open (clocks differ, feeds reorder) counts in the open one.
    """

    __slots__ = ("_bar", "_instrument", "_length_ns")

    def __init__(self, instrument: InstrumentId, length_secs: float) -> None:
        self._instrument = instrument
        self._length_ns = round(length_secs * 1e9)
        self._bar: Bar | None = None

    def add(self, trade: Trade) -> Bar | None:
        """Count a trade; return the bar that it ended, if it ended one."""
        bar, price = self._bar, trade.price
        if bar is not None and trade.ts_ns < bar.ts_ns:
            self._bar = Bar(
                bar.instrument,
                bar.ts_ns,
                bar.open_ns,
                bar.open,
                max(bar.high, price),
                min(bar.low, price),
                price,
                bar.volume + trade.quantity,
                bar.trades + 1,
            )
            return None
        opened = trade.ts_ns - trade.ts_ns % self._length_ns
        ends = opened + self._length_ns
        self._bar = Bar(
            self._instrument, ends, opened, price, price, price, price, trade.quantity, 1
        )
        return bar
