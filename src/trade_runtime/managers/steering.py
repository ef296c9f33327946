"""How trading is restricted and let go on: by a limit that acts, a strategy, or an operator.

A restriction is a latch in the journal: it survives restarts, until somebody resumes. Between the
outcomes of orders and the manager that sends them, as the one that cancels is needed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import structlog

from trade_runtime.machines.order import Order
from trade_runtime.machines.restriction import opening_orders, stricter
from trade_runtime.machines.risk import RiskGate
from trade_runtime.managers.outcomes import Journal, Outcomes
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.records import LatchCleared, LatchSet, TradingMode
from trade_runtime.protocols import Clock

log = structlog.get_logger("orders")

HOW = {"mend": "look at why, then run: python -m trade_runtime resume CONFIG"}
"""What the log says of how a latch is cleared."""


class Steering(Outcomes):
    """Restricts and resumes trading, and flattens. The order manager is one.

    Args:
        gate: what every order has to pass.
        state: where all is recorded; the latch of an earlier process is in force from here on.
        clock: the time of day.
        time: seconds that only go forward, for what is overdue.
    """

    def __init__(
        self, gate: RiskGate, state: Journal, clock: Clock, time: Callable[[], float] | None
    ) -> None:
        super().__init__(state, clock, time)
        self.gate = gate
        self.on_resumed: Callable[[], None] = lambda: None
        """Told after trading was resumed. Set by the risk watch."""
        self.close_position: Callable[[StrategyName, InstrumentId, str], None] = lambda s, i, w: (
            None
        )
        """Closes a position at the market, and says why. Set by the closer."""
        self.protect_now: Callable[[StrategyName, InstrumentId], None] = lambda s, i: None
        """Protects a position, without a grace, whose stop made way in vain. Set by the guard."""
        if self.trading.latch is not None:  # of an earlier process: in force before anything runs
            self.gate.mode = self.trading.latch.mode
            self.gate.mode_reason = self.trading.latch.reason

    @abstractmethod
    def cancel(self, order: Order, reason: str = "asked for") -> None:
        """Ask for a cancel."""

    def restrict(self, mode: TradingMode, reason: str, by: str) -> None:
        """Restrict trading until somebody resumes it, over restarts too; stops stay.

        What may no longer leave is cancelled where it is live. A mode that is no stricter than the
        one in force changes nothing.

        Args:
            mode: `REDUCE_ONLY` or `HALTED`.
            reason: in words, for the journal, the log and the report.
            by: `risk`, `strategy NAME` or `operator`.
        """
        if not stricter(mode, self.gate.mode):
            return
        self.gate.mode, self.gate.mode_reason = mode, reason
        self._state.record(LatchSet(mode, reason, by), urgent=True)
        log.error(
            "Trading is restricted until it is resumed", mode=str(mode), reason=reason, by=by, **HOW
        )
        self.enforce_latch()

    def enforce_latch(self) -> None:
        """Cancel the entry orders that the latch no longer lets leave."""
        if self.gate.mode is TradingMode.ACTIVE:
            return
        entries = self.trading.entries()
        if self.gate.mode is TradingMode.REDUCE_ONLY:
            ledger = self.trading.ledger
            entries = opening_orders(entries, lambda s, i: ledger.position(s, i).quantity)
        for order in entries:
            if (order.strategy, order.instrument) not in self.gate.closing:
                self.cancel(order, f"trading is restricted: {self.gate.mode_reason}")

    def resume(self, by: str, reason: str) -> None:
        """Let trading go on; nothing where nothing restricts it.

        Limits on losses count from now on. What was cancelled stays so.
        """
        if self.trading.latch is None:
            return
        self._state.record(LatchCleared(by, reason), urgent=True)
        self.gate.mode, self.gate.mode_reason = TradingMode.ACTIVE, ""
        log.info("Trading is resumed", by=by, reason=reason)
        self.on_resumed()

    def flatten(
        self,
        reason: str,
        *,
        strategy: StrategyName | None = None,
        instrument: InstrumentId | None = None,
    ) -> None:
        """Cancel entry orders and close positions at the market, as far as they go.

        Args:
            reason: in words, for the journal and the log.
            strategy: whose; None for everybody's.
            instrument: where; None for everywhere.
        """

        def meant(whose: StrategyName, where: InstrumentId) -> bool:
            return strategy in (None, whose) and instrument in (None, where)

        for order in self.trading.entries():
            closing = (order.strategy, order.instrument) in self.gate.closing
            if meant(order.strategy, order.instrument) and not closing:
                self.cancel(order, f"flatten: {reason}" if reason else "flatten")
        for position in self.trading.ledger.open():
            if meant(position.strategy, position.instrument):
                self.close_position(position.strategy, position.instrument, reason or "flatten")
