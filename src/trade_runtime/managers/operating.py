"""What an operator may do to a runtime that runs, besides stopping it."""

from __future__ import annotations

from trade_runtime.errors import RuntimeFault
from trade_runtime.managers.latch import Latch
from trade_runtime.managers.trading import Trading
from trade_runtime.model.records import TradingMode

OPERATOR = "operator"
"""Who restricts or resumes trading from outside, as the journal names them."""


class Operated:
    """The part of a `Runtime` that restricts trading, resumes it, and closes positions."""

    trading: Trading | None
    """The orders layer; None until it is open."""

    def halt(self, reason: str) -> None:
        """Halt all trading until it is resumed, over restarts too; the runtime goes on.

        Every entry order is cancelled, stop-losses stay; only cancels and stop-losses leave.

        Args:
            reason: in words, for the journal, the log and the report.

        Raises:
            RuntimeFault: the orders layer is not open yet. The same holds for the next three.
        """
        self._latch.restrict(TradingMode.HALTED, reason, OPERATOR)

    def reduce_only(self, reason: str) -> None:
        """Let orders only make positions smaller until trading is resumed, over restarts too."""
        self._latch.restrict(TradingMode.REDUCE_ONLY, reason, OPERATOR)

    def flatten(self, reason: str) -> None:
        """Cancel every entry order and close every position at the market, also while halted.

        It returns at once; `positions` tells what is left. What could not be closed gets its stop
        back, and is logged as an error.
        """
        self._latch.flatten(reason)

    def resume(self, reason: str) -> None:
        """Let trading go on after a halt; limits on losses count from now on."""
        self._latch.resume(OPERATOR, reason)

    @property
    def _latch(self) -> Latch:
        if self.trading is None:
            raise RuntimeFault("the orders layer is not open yet")
        return self.trading.orders.latch
