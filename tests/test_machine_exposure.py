"""Exposure and the risk gate: limits hold whatever fills, in whatever order."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import (
    BTC,
    BUY,
    ETH,
    RULES,
    SELL,
    accepted,
    closed,
    fill,
    rejected,
    spec,
)
from trade_runtime.errors import OrderRefused
from trade_runtime.machines.exposure import Exposure
from trade_runtime.machines.limits import RiskLimits
from trade_runtime.machines.order import Order
from trade_runtime.machines.risk import RiskGate
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.orders import OrderSpec, ReportStatus, Side
from trade_runtime.model.records import OrderSent, OrderUnknown, RuntimeStarted

ZERO = Decimal(0)
LARGEST = Decimal(5)
STRATEGIES = ("maker", "taker")


class Desk:
    """A trading state in a test's hands: what passes the gate is recorded."""

    def __init__(self, limits: RiskLimits | None = None) -> None:
        self.state = TradingState()
        self.state.apply(RuntimeStarted("test", "t", "0", "host", 1))
        self.gate = RiskGate(limits or RiskLimits(), self.state.exposure)
        self.trades = 0

    def place(self, side: Side, quantity: str | Decimal, **how: Any) -> Order:
        """Ask the gate, then record the intent."""
        asked = spec(self.state.next_order_id(), side, quantity, **how)
        rules = attrs.evolve(RULES, id=asked.instrument)
        self.gate.check(asked, rules, Decimal(100))
        order = self.state.apply(asked)
        assert order is not None
        return order

    def open(self, order: Order) -> None:
        self.state.apply(OrderSent(order.id))
        self.state.apply(accepted(order.id))

    def fill(self, order: Order, quantity: Decimal | None = None) -> None:
        self.trades += 1
        self.state.apply(
            fill(
                order.id,
                order.remaining if quantity is None else quantity,
                trade_id=self.trades,
                side=order.side,
                instrument=order.instrument,
            )
        )

    def hold(self, side: Side, quantity: str, **how: Any) -> None:
        """Have an order of this size filled."""
        order = self.place(side, quantity, **how)
        self.open(order)
        self.fill(order)


def recomputed(state: TradingState, instrument: InstrumentId, side: Side) -> Decimal:
    """The same as `Exposure.worst`, from nothing but the orders and positions."""
    orders = [o for o in state.orders.values() if (o.instrument, o.side) == (instrument, side)]
    total = sum((o.outstanding for o in orders if not o.spec.protective), ZERO)
    for name in map(StrategyName, STRATEGIES):
        stops = [o.outstanding for o in orders if o.spec.protective and o.strategy == name]
        held = state.ledger.position(name, instrument).quantity * side.sign
        total += max(held + sum(stops, ZERO), ZERO)
    return total


def extremes(state: TradingState, instrument: InstrumentId) -> tuple[Decimal, Decimal]:
    """The lowest and the highest position that any interleaving of fills leads to."""
    held = sum((p.quantity for p in state.ledger if p.instrument == instrument), ZERO)
    orders = [o for o in state.orders.values() if o.instrument == instrument]
    return (
        held - sum((o.outstanding for o in orders if o.side is SELL), ZERO),
        held + sum((o.outstanding for o in orders if o.side is BUY), ZERO),
    )


ACTIONS = st.one_of(
    st.tuples(
        st.just("place"),
        st.sampled_from(STRATEGIES),
        st.sampled_from([ETH, ETH, BTC]),
        st.sampled_from(Side),
        st.integers(1, 4),
    ),
    st.tuples(st.just("stop"), st.sampled_from(STRATEGIES), st.just(ETH)),
    st.tuples(
        st.sampled_from(["sent", "open", "unknown", "rejected", "restart"]),
        st.integers(0, 20),
    ),
    st.tuples(st.just("fill"), st.integers(0, 20), st.integers(1, 4)),
    st.tuples(st.just("cancelled"), st.integers(0, 20), st.integers(0, 2)),
)


def act(desk: Desk, action: tuple[Any, ...]) -> None:
    """Carry one action out; what cannot be is left out."""
    state = desk.state
    if action[0] == "place":
        _, strategy, instrument, side, quantity = action
        try:
            desk.place(side, str(quantity), strategy=strategy, instrument=instrument)
        except OrderRefused:
            return
    elif action[0] == "stop":
        _, strategy, instrument = action
        key = StrategyName(strategy), instrument
        held = state.ledger.position(*key).quantity
        left = abs(held) - sum((s.remaining for s in state.stops(*key)), ZERO)
        if left > 0:
            side = SELL if held > 0 else BUY
            desk.place(side, left, strategy=strategy, instrument=instrument, protective=True)
    elif action[0] == "restart":
        state.apply(RuntimeStarted("test", "t", "0", "host", 2))
    elif known := list(state.orders.values()):
        order = known[action[1] % len(known)]
        what, present = action[0], str(order.state)
        if what in ("sent", "open") and present == "pending":
            state.apply(OrderSent(order.id))
        if present not in ("pending", "rejected", "dropped"):
            if what == "open":
                state.apply(accepted(order.id))
            elif what == "unknown":
                state.apply(OrderUnknown(order.id, "no outcome in time"))
            elif what == "fill":
                desk.fill(order, min(Decimal(action[2]), order.outstanding))
            elif what == "cancelled" and order.is_live:
                executed = min(order.filled + action[2], order.quantity)
                state.apply(closed(order.id, ReportStatus.CANCELLED, executed))
            elif what == "rejected" and present in ("sent", "unknown"):
                state.apply(rejected(order.id))


@given(st.lists(ACTIONS, max_size=60))
def test_running_sums_equal_a_count_from_scratch(actions: list[tuple[Any, ...]]) -> None:
    """After any sequence, what was added up step by step is what is there."""
    desk = Desk()
    for action in actions:
        act(desk, action)
        for instrument in (ETH, BTC):
            for side in Side:
                worst = desk.state.exposure.worst(instrument, side)
                assert recomputed(desk.state, instrument, side) == worst
        assert len(desk.state.orders) == desk.state.exposure.live_orders


@given(st.lists(ACTIONS, max_size=80))
def test_no_interleaving_of_fills_exceeds_max_position(actions: list[tuple[Any, ...]]) -> None:
    """Whatever of the live orders fills next, stops too: the position stays within the limit.

    From any state the furthest that fills can lead is all of one side: it is checked at each step.
    """
    desk = Desk(RiskLimits(max_position={ETH: LARGEST}))
    for action in actions:
        act(desk, action)
        low, high = extremes(desk.state, ETH)
        assert -LARGEST <= low <= high <= LARGEST


def test_a_stop_without_its_position_still_counts() -> None:
    """Long 1 with a stop, sold by another order: the stop, until it is gone, could open a short."""
    desk = Desk(RiskLimits(max_position={ETH: Decimal(2)}))
    desk.hold(BUY, "1")
    desk.open(desk.place(SELL, "1", protective=True))
    desk.hold(SELL, "2")
    assert Decimal(2) == desk.state.exposure.worst(ETH, SELL)
    with pytest.raises(OrderRefused, match="could reach 3: above max_position 2"):
        desk.place(SELL, "1")


def test_positions_of_the_other_side_give_no_room() -> None:
    """Being long 2 does not allow selling 4 at a limit of 2: the stop of the long may fill too."""
    desk = Desk(RiskLimits(max_position={ETH: Decimal(2)}))
    desk.hold(BUY, "2")
    desk.place(SELL, "2")
    with pytest.raises(OrderRefused, match="could reach 3"):
        desk.place(SELL, "1")


class TestRefusals:
    """Each reason, in words that name the limit and the value."""

    @pytest.mark.parametrize(
        ("asked", "reason", "detail"),
        [
            ({"quantity": "0.00005"}, "lot", "0.00005 of ETHUSDT.paper is not a positive multiple"),
            ({"quantity": "-1"}, "lot", "-1 of ETHUSDT.paper is not a positive multiple"),
            ({"quantity": "2000"}, "lot", "2000 of ETHUSDT.paper is above 1000"),
            ({"price": "100.001"}, "tick", "100.001 of ETHUSDT.paper is not a positive multiple"),
            ({"price": "0"}, "tick", "price 0"),
            ({"trigger": "90.001"}, "tick", "90.001"),
            ({"quantity": "0.01"}, "risk", "below the venue's minimum 5"),
            ({"quantity": "11"}, "risk", "notional 1100 is above max_order_notional 1000"),
            ({"quantity": "6"}, "risk", "the buy side of ETHUSDT.paper could reach 6: above"),
        ],
    )
    def test_off_the_grid_or_over_a_limit(
        self, asked: Mapping[str, Any], reason: str, detail: str
    ) -> None:
        """What is wrong is said in one word and one sentence."""
        limits = RiskLimits(max_order_notional=Decimal(1000), max_position={ETH: LARGEST})
        gate = RiskGate(limits, Exposure())
        with pytest.raises(OrderRefused) as refused:
            gate.check(spec(**asked), RULES, Decimal(100))
        assert reason == refused.value.reason
        assert detail in refused.value.detail

    def test_halted(self) -> None:
        """After the halt only protective orders pass."""
        gate = RiskGate(RiskLimits(), Exposure())
        gate.halted = "SIGTERM"
        with pytest.raises(OrderRefused, match="halted: trading is halted: SIGTERM"):
            gate.check(spec(), RULES, Decimal(100))
        gate.check(spec(protective=True, side=SELL), RULES, Decimal(100))

    def test_a_stopped_strategy(self) -> None:
        """A strategy that failed places nothing more; the others and its own stops go on."""
        gate = RiskGate(RiskLimits(), Exposure())
        gate.stopped[StrategyName("maker")] = "ValueError: oops"
        with pytest.raises(OrderRefused, match="strategy maker is stopped: ValueError: oops"):
            gate.check(spec(), RULES, Decimal(100))
        gate.check(spec(strategy="taker"), RULES, Decimal(100))
        gate.check(spec(protective=True, side=SELL), RULES, Decimal(100))

    def test_a_market_order_without_a_fresh_price(self) -> None:
        """What cannot be priced cannot be limited."""
        gate = RiskGate(RiskLimits(), Exposure())
        with pytest.raises(OrderRefused, match="stale: no fresh quote of ETHUSDT"):
            gate.check(spec(price=None), RULES, None)

    def test_a_market_order_is_priced_by_the_market(self) -> None:
        """Its notional is what it would cost now."""
        gate = RiskGate(RiskLimits(max_order_notional=Decimal(150)), Exposure())
        gate.check(spec(price=None), RULES, Decimal(150))
        with pytest.raises(OrderRefused, match="notional 151 is above"):
            gate.check(spec(price=None), RULES, Decimal(151))

    def test_too_many_live_orders(self) -> None:
        """Stops are counted, but never held back."""
        desk = Desk(RiskLimits(max_open_orders=2))
        desk.hold(BUY, "1")
        desk.place(BUY, "1")
        desk.place(SELL, "1", protective=True)
        with pytest.raises(OrderRefused, match="2 orders are live: max_open_orders 2"):
            desk.place(BUY, "1")
        desk.place(SELL, "1", protective=True)

    def test_a_limit_is_of_one_instrument(self) -> None:
        """What is not named has no limit."""
        desk = Desk(RiskLimits(max_position={ETH: Decimal(1)}))
        desk.place(BUY, "3", instrument=BTC)


class TestStopsAndTheLimit:
    """Protection comes first, but it is protection only as far as there is a position."""

    def test_a_stop_no_larger_than_its_position_always_passes(self) -> None:
        """Also where entries of the same side have used the limit up."""
        desk = Desk(RiskLimits(max_position={ETH: Decimal(1)}))
        desk.hold(BUY, "1")
        desk.place(SELL, "1")
        desk.open(desk.place(SELL, "1", protective=True))
        desk.place(SELL, "1", protective=True)

    def test_a_stop_beyond_its_position_keeps_to_the_limit(self) -> None:
        """A stop of 7 for a position of 1 could open a short of 6."""
        desk = Desk(RiskLimits(max_position={ETH: LARGEST}))
        desk.hold(BUY, "1")
        with pytest.raises(OrderRefused, match=r"side of ETHUSDT.* could reach 6"):
            desk.place(SELL, "7", protective=True)
        desk.place(SELL, "6", protective=True)

    def test_a_stop_on_the_wrong_side_keeps_to_the_limit(self) -> None:
        """A buy stop for a long position adds to it."""
        desk = Desk(RiskLimits(max_position={ETH: Decimal(2)}))
        desk.hold(BUY, "1")
        with pytest.raises(OrderRefused, match="could reach 3"):
            desk.place(BUY, "2", protective=True, trigger="110")

    def test_a_stop_may_come_before_its_position(self) -> None:
        """Entry and stop placed at once, as long as both alone would be within the limit."""
        desk = Desk(RiskLimits(max_position={ETH: Decimal(1)}))
        desk.place(BUY, "1")
        desk.place(SELL, "1", protective=True)


def test_the_gate_changes_nothing() -> None:
    """Asking is free: a refused and a passed order both leave the exposure as it was."""
    desk = Desk(RiskLimits(max_position={ETH: LARGEST}))
    desk.hold(BUY, "1")
    before = desk.state.exposure.worst(ETH, BUY), desk.state.hash()
    passing: OrderSpec = spec("t-9", BUY, "1")
    desk.gate.check(passing, RULES, Decimal(100))
    with pytest.raises(OrderRefused):
        desk.gate.check(spec("t-9", BUY, "9"), RULES, Decimal(100))
    assert before == (desk.state.exposure.worst(ETH, BUY), desk.state.hash())
