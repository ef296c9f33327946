"""The latch: what somebody decided about trading, over restarts, until somebody takes it back.

It stands just below the orders, which make it. Plain calls: each sets the gate first, so that from
then on nothing leaves that may not, then writes the journal, then cancels what is out there.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from trade_runtime.machines.order import Order
from trade_runtime.machines.restriction import opening_orders, stricter
from trade_runtime.machines.risk import RiskGate
from trade_runtime.managers.state import StateManager
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.records import LatchCleared, LatchSet, TradingMode

log = structlog.get_logger("orders")

HOW = {"mend": "look at why, then run: python -m trade_runtime resume CONFIG"}
"""What the log says of how a latch is cleared."""


class Latch:
    """Restricts trading, lets it go on, and takes positions down.

    Args:
        gate: is set to what the journal says, at once.
        state: keeps it.
        cancel: cancels an order, for a reason.
    """

    def __init__(
        self, gate: RiskGate, state: StateManager, cancel: Callable[[Order, str], None]
    ) -> None:
        self.on_resumed: Callable[[], None] = lambda: None
        """Told after trading was resumed. Set by the risk watch."""
        self.close_position: Callable[[StrategyName, InstrumentId, str], None] = (
            lambda strategy, instrument, why: None
        )
        """Closes a position at the market. Set by the closer."""
        self._gate = gate
        self._state = state
        self._trading = state.trading
        self._cancel = cancel
        if self._trading.latch is not None:
            gate.mode, gate.mode_reason = self._trading.latch.mode, self._trading.latch.reason

    def restrict(self, mode: TradingMode, reason: str, by: str) -> None:
        """Restrict trading until somebody resumes it, over restarts too; stops stay.

        What may no longer leave is cancelled where it is live. A mode that is no stricter than the
        one in force changes nothing.

        Args:
            mode: `REDUCE_ONLY` or `HALTED`.
            reason: in words, for the journal, the log and the report.
            by: `risk`, `strategy NAME` or `operator`.
        """
        if not stricter(mode, self._gate.mode):
            return
        self._gate.mode, self._gate.mode_reason = mode, reason
        self._state.record(LatchSet(mode, reason, by), urgent=True)
        log.error(
            "Trading is restricted until it is resumed", mode=str(mode), reason=reason, by=by, **HOW
        )
        self.enforce()

    def enforce(self) -> None:
        """Cancel the entry orders that the latch no longer lets leave."""
        if self._gate.mode is TradingMode.ACTIVE:
            return
        entries = self._trading.entries()
        if self._gate.mode is TradingMode.REDUCE_ONLY:
            ledger = self._trading.ledger
            entries = opening_orders(entries, lambda s, i: ledger.position(s, i).quantity)
        for order in entries:
            if (order.strategy, order.instrument) not in self._gate.closing:
                self._cancel(order, f"trading is restricted: {self._gate.mode_reason}")

    def resume(self, by: str, reason: str) -> None:
        """Let trading go on; nothing where nothing restricts it.

        Limits on losses count from now on. What was cancelled stays so.
        """
        if self._trading.latch is None:
            return
        self._state.record(LatchCleared(by, reason), urgent=True)
        self._gate.mode, self._gate.mode_reason = TradingMode.ACTIVE, ""
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

        for order in self._trading.entries():
            closing = (order.strategy, order.instrument) in self._gate.closing
            if meant(order.strategy, order.instrument) and not closing:
                self._cancel(order, f"flatten: {reason}" if reason else "flatten")
        for position in self._trading.ledger.open():
            if meant(position.strategy, position.instrument):
                self.close_position(position.strategy, position.instrument, reason or "flatten")
