"""Exposure: what live orders could still do to the positions, at its worst."""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill, OrderClosed
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, StrategyName, TradeId
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side
from trade_runtime.model.records import OrderSent

ETH = InstrumentId("ETHUSDT.paper")
ID = ClientOrderId("abc-1")


def fill(trade_id: str, quantity: str) -> Fill:
    """A fill of the one order."""
    return Fill(
        ID, ETH, TradeId(trade_id), Side.BUY, Decimal(quantity), Decimal(100), Decimal(0),
        Currency("USDT"), False, 1,
    )  # fmt: skip


def test_fills_that_are_not_told_yet_still_count() -> None:
    """An order ends as filled before its fills are told: what it bought counts all the while."""
    state = TradingState()
    state.apply(OrderSpec(ID, StrategyName("s"), ETH, Side.BUY, OrderType.MARKET, Decimal(1)))
    state.apply(OrderSent(ID))
    assert Decimal(1) == state.exposure.worst(ETH, Side.BUY)
    state.apply(OrderClosed(ID, ReportStatus.FILLED, Decimal(1), 1))
    assert Decimal(1) == state.exposure.worst(ETH, Side.BUY)
    state.apply(fill("t1", "0.4"))
    assert Decimal(1) == state.exposure.worst(ETH, Side.BUY)
    state.apply(fill("t2", "0.6"))
    assert Decimal(1) == state.exposure.worst(ETH, Side.BUY)
    assert 0 == state.exposure.live_orders


def test_what_a_cancelled_order_did_not_buy_counts_no_more() -> None:
    """Of an order cancelled with a part executed, that part counts until its fills are told."""
    state = TradingState()
    state.apply(
        OrderSpec(ID, StrategyName("s"), ETH, Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(9))
    )
    state.apply(OrderSent(ID))
    state.apply(OrderClosed(ID, ReportStatus.CANCELLED, Decimal("0.3"), 1))
    assert Decimal("0.3") == state.exposure.worst(ETH, Side.BUY)
    state.apply(fill("t1", "0.3"))
    assert Decimal("0.3") == state.exposure.worst(ETH, Side.BUY)
    assert 0 == state.exposure.live_orders
