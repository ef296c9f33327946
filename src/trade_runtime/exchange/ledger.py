"""What the matching core writes to: it keeps what is alive, and passes every step on."""

from __future__ import annotations

from collections.abc import Callable

from trade_runtime.model.orders import ReportStatus
from trade_runtime.venues.paper.record import MemoryRecord, Step


class Ledger(MemoryRecord):
    """A record in memory that forgets what has ended, for the exchange keeps that itself.

    Args:
        on_step: called with every step before its outcome is told.
    """

    def __init__(self, on_step: Callable[[Step], None]) -> None:
        super().__init__()
        self._on_step = on_step

    def write(self, step: Step) -> None:
        """Keep `step`, and pass it on."""
        super().write(step)
        self.executions.clear()
        for row in step.orders:
            if row.status is not ReportStatus.OPEN:
                del self.orders[row.client_order_id]
        del self.history[1:-1]  # the deposit, and where it stands now
        self._on_step(step)
