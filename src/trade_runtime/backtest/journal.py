"""The journal of a backtest: it folds what happens, and keeps the fills. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from trade_runtime.backtest.result import BookedFill
from trade_runtime.errors import StoreError
from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import Order
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill, OrderRejected
from trade_runtime.model.records import JournalEvent, RuntimeStarted


class MemoryJournal:
    """Stands for the state manager: the same fold, and all is durable as soon as it is told.

    Args:
        started: the first record, with the prefix of every client order id.
    """

    def __init__(self, started: RuntimeStarted) -> None:
        self.trading = TradingState()
        self.trading.on_fill = self._keep
        self.failed: StoreError | None = None
        self.on_durable: Callable[[int], None] = lambda seq: None
        self.seq = 0
        self.fills: list[BookedFill] = []
        self.rejected = 0
        self.record(started)

    def record(self, event: JournalEvent, *, urgent: bool = False) -> Order | None:
        """Fold an event in. What is urgent is durable when the engine says so, after the instant in
        which it was recorded, as it is live.

        Raises:
            InvalidTransition: the event cannot follow from what was before; nothing was changed.
        """
        self.seq += 1
        if type(event) is OrderRejected:
            self.rejected += 1
        return self.trading.apply(event)

    def _keep(self, fill: Fill, order: Order, position: Position, realised: Decimal) -> None:
        self.fills.append(
            BookedFill(
                fill,
                order.strategy,
                order.type,
                realised,
                position.quantity,
                position.average_price,
            )
        )
