"""Bars by volume: every one of exactly the same.

Stands beside `bars`, whose rules hold here too.
"""

from __future__ import annotations

from trade_runtime.machines.bars import Emit
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar, Quote, Trade

VOLUME_UNITS = 1e9
"""Volume bars count in units of 10^-9 of the base currency, as whole numbers: venues quote no more
than eight decimals, so ten trades of 0.1 are exactly 1, which they are not in floats. A float tells
these units apart up to 9 million of the base currency in one trade."""

MAX_BARS_OF_A_TRADE = 1_000
"""How many volume bars one trade makes at most; the last of them then holds all the rest of it. A
size far below that of a usual trade is a mistake, and must not hold up the runtime."""


class VolumeBars:
    """Makes bars of a fixed volume, by whole units of 10^-9 of the base currency.

    A bar ends with the trade that fills it. A trade that brings more is split: the rest opens the
    next bar, or makes several, at its price and time. It counts in `trades` of the bar that it
    touches first, so a bar that is all the rest of one trade has none.

    Args:
        instrument: whose bars these are.
        size: the volume of a bar, in the base currency; at least one unit.
        emit: takes each bar that has ended.
    """

    __slots__ = (
        "_count",
        "_emit",
        "_empty",
        "_high",
        "_instrument",
        "_latest_ns",
        "_low",
        "_missing",
        "_open",
        "_open_ns",
        "_size",
    )

    def __init__(self, instrument: InstrumentId, size: float, emit: Emit) -> None:
        self._instrument = instrument
        self._size = self._missing = max(1, round(size * VOLUME_UNITS))
        self._emit = emit
        self._open_ns = self._latest_ns = 0
        self._open = self._high = self._low = 0.0
        self._count = 0
        self._empty = True

    def on_trade(self, trade: Trade) -> None:
        """Count a trade."""
        if trade.ts_ns > self._latest_ns:  # noqa: PLR1730 - as above
            self._latest_ns = trade.ts_ns
        price = trade.price
        units = int(trade.quantity * VOLUME_UNITS + 0.5)
        if self._empty:
            self._begin(price)
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._count += 1
        if units < self._missing:
            self._missing -= units
        else:
            self._end(price, units - self._missing)

    def on_quote(self, quote: Quote) -> None:
        """Do nothing: a quote brings no volume."""

    def _begin(self, price: float) -> None:
        self._empty = False
        self._open_ns = self._latest_ns
        self._open = self._high = self._low = price

    def _end(self, price: float, rest: int) -> None:
        """End the open bar, and those that the rest of the trade fills by itself."""
        size = self._size
        more = rest // size
        whole = [self._bar(price, size)]
        self._empty, self._missing, self._count = True, size, 0
        if more:
            self._begin(price)
            alone = min(more, MAX_BARS_OF_A_TRADE - 1)
            whole += [self._bar(price, size)] * (alone - 1)
            whole.append(self._bar(price, size + (more - alone) * size))
            self._empty = True
        if left := rest - more * size:
            self._begin(price)
            self._missing = size - left
        for bar in whole:
            self._emit(bar)

    def _bar(self, price: float, units: int) -> Bar:
        return Bar(
            self._instrument,
            self._latest_ns,
            self._open_ns,
            self._open,
            self._high,
            self._low,
            price,
            units / VOLUME_UNITS,
            self._count,
        )
