"""The latch that restricts trading: which mode is the stricter, and which orders it takes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from trade_runtime.machines.order import Order
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.orders import Side
from trade_runtime.model.records import TradingMode

_STRICTNESS = {mode: rank for rank, mode in enumerate(TradingMode)}


def stricter(mode: TradingMode, than: TradingMode) -> bool:
    """Tell whether a mode lets less leave than another."""
    return _STRICTNESS[mode] > _STRICTNESS[than]


def opening_orders(
    entries: Iterable[Order], position: Callable[[StrategyName, InstrumentId], Decimal]
) -> list[Order]:
    """Return the entry orders that could open, enlarge or turn over a position.

    Args:
        entries: live ones, oldest first: where several close the same position, the elder stay.
        position: a strategy's signed position in an instrument.
    """
    room: dict[tuple[StrategyName, InstrumentId, Side], Decimal] = {}
    opening = []
    for order in entries:
        key = order.strategy, order.instrument, order.side
        if key not in room:
            room[key] = -order.side.sign * position(order.strategy, order.instrument)
        if order.remaining > room[key]:
            opening.append(order)
            if not order.cancel_requested:
                continue
        room[key] -= order.remaining  # also of one that is being cancelled: it may still fill
    return opening
