"""What the hash of the trading state depends on."""

from __future__ import annotations

from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import InstrumentId, StrategyName


def test_asking_for_a_position_changes_nothing() -> None:
    """A strategy that looks at a position it never had leaves no mark in what is verified."""
    state = TradingState()
    before = state.hash()

    state.ledger.position(StrategyName("maker"), InstrumentId("ETHUSDT.paper"))

    assert before == state.hash()
