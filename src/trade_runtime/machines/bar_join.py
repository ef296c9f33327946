"""Where fetched history and live bars meet: without a gap, without a repeat, without half a bar.

    history          | missing     | live
    ...  [bar) [bar) | [bar) [bar) | [bar) [bar) ...
                     ^ known         ^ the first live event lies in the last missing bar

History ends at `known`. The first live event falls somewhere into a bar whose earlier events nobody
here has seen, so what the builder makes of that bar is not whole, and is thrown away. Once it has
ended, the venue has it as history: everything from `known` to its end is missing, is asked for, and
goes out before any live bar. Live bars that end meanwhile are held.

Plain calls; who asks and waits is `managers.warmup`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trade_runtime.machines.bars import Emit
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar

MAX_HELD = 1_000
"""Live bars that may wait for the missing ones; with more, the missing ones are given up."""


class BarJoin:
    """Joins the live bars of one instrument to its history.

    Args:
        instrument: whose bars these are.
        known_ns: where the history that was handed on ends.
        emit: takes every bar that goes on, once and in order.
        on_gap: told, once, that `missing_ns` is known and `fill` is wanted.
    """

    def __init__(
        self,
        instrument: InstrumentId,
        known_ns: int,
        emit: Emit,
        on_gap: Callable[[BarJoin], object],
    ) -> None:
        self.instrument = instrument
        self.known_ns = known_ns
        """Everything before this has been handed on."""
        self.missing_ns = 0
        """Everything from `known_ns` to this is missing; 0 until the first live bar has ended."""
        self.joined = False
        self.held: list[Bar] = []
        self._emit = emit
        self._on_gap = on_gap

    def on_bar(self, bar: Bar) -> None:
        """Take a live bar from the builder."""
        if not self.missing_ns:
            self.missing_ns = bar.ts_ns
            if bar.ts_ns <= self.known_ns:
                self.joined = True  # history reached beyond it
            else:
                self._on_gap(self)
        elif bar.open_ns < self.known_ns:
            return
        elif self.joined:
            self.known_ns = bar.ts_ns
            self._emit(bar)
        else:
            self.held.append(bar)
            if len(self.held) > MAX_HELD:
                self.give_up()

    def fill(self, bars: Iterable[Bar]) -> bool:
        """Take history, oldest first; hand on what was missing of it, and return whether that was
        all. What it has of the time before and after is passed over.
        """
        for bar in bars:
            if self.known_ns <= bar.open_ns and bar.ts_ns <= self.missing_ns:
                self.known_ns = bar.ts_ns
                self._emit(bar)
        if self.known_ns >= self.missing_ns:
            self.give_up()
        return self.joined

    def give_up(self) -> None:
        """Go on with live bars, whether or not something is still missing."""
        self.joined = True
        held, self.held = self.held, []
        for bar in held:
            self.on_bar(bar)
