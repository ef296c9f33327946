"""Stops that overlap: a convenience of the guard, and never a way past a limit on positions."""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.machines.limits import RiskLimits
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.machines.protection import MAX_STOPS, plan
from trade_runtime.machines.risk import RiskGate
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill, OrderAccepted, OrderClosed
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    StrategyName,
    TradeId,
    VenueOrderId,
)
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side
from trade_runtime.model.records import OrderSent

ETH = InstrumentId("ETHUSDT.paper")
ME = StrategyName("me")


def stop(name: str, quantity: str) -> OrderSpec:
    """A stop-loss of a long position."""
    return OrderSpec(
        ClientOrderId(name),
        ME,
        ETH,
        Side.SELL,
        OrderType.STOP_MARKET,
        Decimal(quantity),
        trigger_price=Decimal(90),
        protective=True,
    )


def resting(name: str, quantity: str) -> Order:
    """A stop-loss that rests at the venue."""
    order = Order(stop(name, quantity))
    order.state = OrderState.OPEN
    return order


def test_one_stop_in_place_of_many_overlaps_with_them() -> None:
    """Many stops are replaced by one for all, which until they are gone doubles the cover."""
    stops = [resting(f"a-{n}", "1") for n in range(MAX_STOPS + 1)]
    size = Decimal(len(stops))
    found = plan(size, size, stops)
    assert found.covered
    assert found.overlaps
    assert size == found.place


def test_a_stop_that_is_missing_does_not_overlap() -> None:
    """What covers a bare part is no convenience."""
    found = plan(Decimal(3), Decimal(3), [resting("a-1", "1")])
    assert Decimal(2) == found.place
    assert not found.overlaps


def test_a_limit_leaves_no_room_for_stops_that_overlap() -> None:
    """If a second stop for the whole position filled too, the position would turn over too far."""
    state = TradingState()
    gate = RiskGate(RiskLimits(max_position={ETH: Decimal(3)}), state.exposure)
    entry = OrderSpec(ClientOrderId("a-1"), ME, ETH, Side.BUY, OrderType.MARKET, Decimal(2))
    for event in (
        entry,
        OrderSent(entry.client_order_id),
        Fill(
            entry.client_order_id,
            ETH,
            TradeId("t"),
            Side.BUY,
            Decimal(2),
            Decimal(100),
            Decimal(0),
            Currency("USDT"),
            False,
            1,
        ),
        stop("a-2", "2"),
        OrderSent(ClientOrderId("a-2")),
        OrderAccepted(ClientOrderId("a-2"), VenueOrderId("v"), 2),
    ):
        state.apply(event)
    assert gate.has_room(stop("a-3", "2"))
    short = OrderSpec(ClientOrderId("b-1"), ME, ETH, Side.SELL, OrderType.LIMIT, Decimal("1.5"))
    state.apply(short)
    assert not gate.has_room(stop("a-3", "2"))


def test_fills_that_only_the_end_of_an_order_tells_are_known() -> None:
    """A stop-loss ended as filled before its fill was told: its position is about to be closed."""
    state = TradingState()
    assert 0 == state.untold(ME, ETH)
    for event in (
        stop("a-1", "0.9"),
        OrderSent(ClientOrderId("a-1")),
        OrderClosed(ClientOrderId("a-1"), ReportStatus.FILLED, Decimal("0.9"), 1),
    ):
        state.apply(event)
    assert Decimal("-0.9") == state.untold(ME, ETH)
    assert 0 == state.untold(StrategyName("other"), ETH)
