"""How the trading state takes what no venue told: states of strategies, and what people decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.model.orders import Side
from trade_runtime.model.records import (
    LatchCleared,
    LatchSet,
    PositionAdjusted,
    Reconciled,
    StrategySaved,
)

if TYPE_CHECKING:
    from trade_runtime.machines.trading_state import TradingState

NO_ORDER = ClientOrderId("")


def _saved(state: TradingState, event: StrategySaved) -> None:
    state.memories.save(event)


def _adjusted(state: TradingState, event: PositionAdjusted) -> None:
    """The position takes it as it takes a fill; no order has it, and none is told of it."""
    state.take(
        event.strategy,
        Fill(
            NO_ORDER,
            event.instrument,
            event.trade_id,
            Side.BUY if event.quantity > 0 else Side.SELL,
            abs(event.quantity),
            event.price,
            event.fee,
            event.fee_currency,
            maker=False,
            ts_ns=event.ts_ns,
            multiplier=event.multiplier,
        ),
    )


def _reconciled(state: TradingState, event: Reconciled) -> None:
    state.intents = max(state.intents, event.intents)


def _latch_set(state: TradingState, event: LatchSet) -> None:
    state.latch = event


def _latch_cleared(state: TradingState, event: LatchCleared) -> None:
    state.latch = None
    state.profits.begin_anew()


HANDLERS: Final[dict[type, Callable[[Any, Any], None]]] = {
    StrategySaved: _saved,
    PositionAdjusted: _adjusted,
    Reconciled: _reconciled,
    LatchSet: _latch_set,
    LatchCleared: _latch_cleared,
}
