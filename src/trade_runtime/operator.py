"""What an operator can ask of a running runtime, besides its stop."""

from __future__ import annotations

from typing import Final

from trade_runtime.errors import RuntimeFault
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.trading import Trading
from trade_runtime.model.records import TradingMode

OPERATOR: Final = "operator"
"""Who decided, as the journal names it."""


class OperatorCalls:
    """Halt, reduce-only, flatten and resume, by plain calls. `Runtime` has them."""

    trading: Trading | None

    def halt(self, reason: str) -> None:
        """Halt all trading until it is resumed, over restarts too; the runtime goes on.

        Every entry order is cancelled, stop-losses stay; only cancels and stop-losses leave.

        Args:
            reason: in words, for the journal, the log and the report.

        Raises:
            RuntimeFault: the orders layer is not open yet. The same holds for the next three.
        """
        self._orders.restrict(TradingMode.HALTED, reason, OPERATOR)

    def reduce_only(self, reason: str) -> None:
        """Let orders only make positions smaller until trading is resumed, over restarts too."""
        self._orders.restrict(TradingMode.REDUCE_ONLY, reason, OPERATOR)

    def flatten(self, reason: str) -> None:
        """Cancel every entry order and close every position at the market, also while halted.

        It returns at once; `positions` tells what is left. What could not be closed gets its stop
        back, and is logged as an error.
        """
        self._orders.flatten(reason)

    def resume(self, reason: str) -> None:
        """Let trading go on after a halt; limits on losses count from now on."""
        self._orders.resume(OPERATOR, reason)

    @property
    def _orders(self) -> OrderManager:
        if self.trading is None:
            raise RuntimeFault("the orders layer is not open yet")
        return self.trading.orders
