"""An order that was given up, and of which the venue tells all the same."""

from __future__ import annotations

from decimal import Decimal

from tests.support.values import accepted, closed, fill, spec
from trade_runtime.machines import order_index
from trade_runtime.machines.order import OrderState
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import ClientOrderId, InstrumentId
from trade_runtime.model.orders import ReportStatus, Side
from trade_runtime.model.records import OrderDropped, OrderSent, OrderUnknown, RuntimeStarted


def started() -> TradingState:
    """A state that has begun."""
    state = TradingState()
    state.apply(RuntimeStarted("test", "t", "1", "host", 1))
    return state


def give_up(state: TradingState, number: int) -> ClientOrderId:
    """Send an order, hear nothing, ask, and hear that there is none."""
    order_id = ClientOrderId(f"t-{number}")
    state.apply(spec(order_id))
    state.apply(OrderSent(order_id))
    state.apply(OrderUnknown(order_id, "no outcome in time"))
    state.apply(OrderDropped(order_id, "the venue does not know it"))
    return order_id


def test_its_fill_counts() -> None:
    """A venue that breaks its word about late arrivals loses no fill."""
    state = started()
    order_id = give_up(state, 1)
    late = fill(order_id)

    assert not state.knows_fill(late)
    order = state.apply(late)

    assert order is not None
    assert order.state in (OrderState.OPEN, OrderState.FILLED)
    assert 1 == state.fills
    assert late.quantity == state.ledger.position(order.strategy, order.instrument).quantity


def test_one_that_came_back_and_ended_is_forgotten() -> None:
    """Nothing of it is left, so a snapshot that was taken then can be read."""
    state = started()
    order_id = give_up(state, 1)
    state.apply(accepted(order_id))
    state.apply(closed(order_id, status=ReportStatus.CANCELLED, filled="0"))

    assert {} == state.orders == state.index.given_up
    assert state.hash() == TradingState.of(state.image()).hash()


def test_only_the_latest_are_kept_in_mind() -> None:
    """The number of orders that were given up does not grow for ever."""
    state = started()
    for number in range(1, order_index.MAX_GIVEN_UP + 11):
        give_up(state, 10**6 + number)

    assert order_index.MAX_GIVEN_UP == len(state.orders)
    assert Decimal(0) == state.exposure.worst(*_key())


def _key() -> tuple[InstrumentId, Side]:
    asked = spec("t-1")
    return asked.instrument, asked.side
