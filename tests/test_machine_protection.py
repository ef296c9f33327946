"""Protection: carrying out plans, in any order and with any outcome, never uncovers a position."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.values import BUY, SELL, order, spec
from trade_runtime.machines.order import Order, OrderInput, OrderState
from trade_runtime.machines.protection import ProtectionPlan, plan, stop_trigger
from trade_runtime.model.orders import Side
from trade_runtime.model.records import AmendRequested

ZERO = Decimal(0)
OPEN, SENT, UNKNOWN = OrderState.OPEN, OrderState.SENT, OrderState.UNKNOWN


def stop(quantity: str | Decimal, side: Side = SELL, state: OrderState = OPEN) -> Order:
    """A protective stop."""
    return order(spec(f"s-{quantity}", side, quantity, protective=True), state)


def planned(quantity: str, *stops: Order, needed: str | None = None) -> ProtectionPlan:
    """The plan for a position, all of which has to be covered unless said otherwise."""
    position = Decimal(quantity)
    return plan(position, abs(position) if needed is None else Decimal(needed), stops)


class TestPlans:
    """What one look says."""

    def test_a_bare_position_needs_a_stop_of_its_size(self) -> None:
        """Long or short."""
        for quantity in ("2", "-2"):
            made = planned(quantity)
            assert (Decimal(2), (), False) == (made.place, made.cancel, made.covered)

    def test_what_is_coming_is_not_placed_twice_but_is_no_cover_yet(self) -> None:
        """A stop under way counts against placing, and only a resting one counts as cover."""
        for state in (OrderState.PENDING, SENT, UNKNOWN):
            made = planned("2", stop("2", state=state))
            assert (ZERO, ZERO, False) == (made.place, made.resting, made.covered)

    def test_what_a_stop_is_about_to_grow_by_is_coming(self) -> None:
        """Else the stop would have grown and another would rest beside it, and both could fill."""
        growing = stop("0.5")
        growing.amending = AmendRequested(growing.id, Decimal(2), None, Decimal(90))
        made = planned("2", growing)
        assert (ZERO, Decimal("0.5"), False) == (made.place, made.resting, made.covered)

    def test_only_what_lacks_is_placed(self) -> None:
        """A position that grew gets a second stop for the difference."""
        assert Decimal("0.5") == planned("2", stop("1.5")).place

    def test_a_stop_that_was_asked_to_go_is_no_cover(self) -> None:
        """It may be gone any moment: another is placed, and no second cancel is asked for."""
        going = stop("2")
        going.cancel_requested = True
        made = planned("2", going)
        assert (Decimal(2), (), ZERO) == (made.place, made.cancel, made.resting)

    @pytest.mark.parametrize("state", [SENT, OPEN])
    def test_a_stop_without_a_position_goes(self, state: OrderState) -> None:
        """Flat: every stop is superfluous, also one under way."""
        left = stop("1", state=state)
        assert (ZERO, (left,), True) == (
            planned("0", left).place,
            planned("0", left).cancel,
            planned("0", left).covered,
        )

    def test_a_stop_on_the_wrong_side_goes_at_once(self) -> None:
        """The position turned over: the old stop would add to it, and a new one is needed."""
        old = stop("1", SELL)
        made = planned("-1", old)
        assert (Decimal(1), (old,), False) == (made.place, made.cancel, made.covered)

    def test_many_small_stops_become_one(self) -> None:
        """A position that grew by many fills gets one stop for all of it, then loses the others."""
        small = [stop("1") for _ in range(5)]
        assert (Decimal(5), ()) == (planned("5", *small).place, planned("5", *small).cancel)
        assert tuple(small) == planned("5", *small, stop("5")).cancel

    def test_the_newest_stops_stay(self) -> None:
        """Of two that each cover it all, the older one goes."""
        old, new = stop("2"), stop("2")
        assert (old,) == planned("2", old, new).cancel

    def test_nothing_goes_while_a_stop_is_coming(self) -> None:
        """A replacement that may yet be refused takes no cover away."""
        assert () == planned("1", stop("1"), stop("1", state=SENT)).cancel

    def test_one_that_is_too_large_is_replaced(self) -> None:
        """First the right one, then the wrong one goes."""
        large = stop("3")
        assert (Decimal(1), ()) == (planned("1", large).place, planned("1", large).cancel)
        assert (ZERO, (large,)) == (
            planned("1", large, stop("1")).place,
            planned("1", large, stop("1")).cancel,
        )

    def test_two_that_are_together_too_large_shrink(self) -> None:
        """Neither can go without uncovering: the older is replaced by what lacks without it."""
        old, new = stop("0.6"), stop("0.6")
        made = planned("1", old, new)
        assert (Decimal("0.4"), ()) == (made.place, made.cancel)
        assert (old,) == planned("1", old, new, stop("0.4")).cancel

    def test_a_part_may_be_all_that_is_needed(self) -> None:
        """Where only a part was declared, no more is placed, and nothing of use is cancelled."""
        made = planned("2", stop("1"), needed="1")
        assert (ZERO, (), True) == (made.place, made.cancel, made.covered)


class Guarding(RuleBasedStateMachine):
    """A position that moves, its stops at a venue that answers as it likes, and a guard that only
    does what plans say, one step at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.position = ZERO
        self.stops: list[Order] = []
        self.placed = 0

    @property
    def live(self) -> list[Order]:
        return [s for s in self.stops if s.is_live]

    @property
    def plan(self) -> ProtectionPlan:
        return plan(self.position, abs(self.position), self.live)

    def cover(self, without: tuple[Order, ...] = ()) -> Decimal:
        """What rests for the position and was not asked to go."""
        if not self.position:
            return ZERO
        side = SELL if self.position > 0 else BUY
        return sum(
            (
                s.remaining
                for s in self.live
                if s.side is side and s.state is OPEN and not s.cancel_requested
                if s not in without
            ),
            ZERO,
        )

    def place(self, quantity: Decimal, side: Side) -> None:
        self.placed += 1
        self.stops.append(order(spec(f"s-{self.placed}", side, quantity, protective=True), SENT))

    @rule(change=st.integers(-4, 4))
    def position_moves(self, change: int) -> None:
        """Entries of the strategy fill."""
        self.position += change

    @rule(quantity=st.integers(1, 5), side=st.sampled_from(Side))
    def strategy_places(self, quantity: int, side: Side) -> None:
        """The strategy brings a stop of its own, as wrong as it likes."""
        self.place(Decimal(quantity), side)

    @rule(data=st.data())
    @precondition(lambda self: self.live)
    def strategy_cancels(self, data: st.DataObject) -> None:
        """The strategy takes one back."""
        data.draw(st.sampled_from(self.live)).cancel_requested = True

    @rule(data=st.data())
    @precondition(lambda self: self.plan.place or self.plan.cancel)
    def guard_acts(self, data: st.DataObject) -> None:
        """One step of the plan is carried out; what the others were is forgotten."""
        made = self.plan
        step = data.draw(st.sampled_from([*made.cancel, *([None] if made.place else [])]))
        if step is None:
            self.place(made.place, SELL if self.position > 0 else BUY)
        else:
            step.cancel_requested = True

    @rule(data=st.data(), outcome=st.sampled_from([OrderInput.UNKNOWN, OrderInput.REJECTED]))
    @precondition(lambda self: any(s.state in (SENT, UNKNOWN) for s in self.live))
    def venue_lets_down(self, data: st.DataObject, outcome: OrderInput) -> None:
        """A stop is refused, or nothing is heard of it."""
        under_way = [s for s in self.live if s.state in (SENT, UNKNOWN)]
        data.draw(st.sampled_from(under_way)).apply(outcome)

    @rule(data=st.data())
    @precondition(lambda self: any(s.state in (SENT, UNKNOWN) for s in self.live))
    def venue_accepts(self, data: st.DataObject) -> None:
        """A stop rests."""
        under_way = [s for s in self.live if s.state in (SENT, UNKNOWN)]
        data.draw(st.sampled_from(under_way)).apply(OrderInput.ACCEPTED)

    @rule(data=st.data())
    @precondition(lambda self: any(s.cancel_requested and s.state is not SENT for s in self.live))
    def venue_cancels(self, data: st.DataObject) -> None:
        """A cancel arrives."""
        going = [s for s in self.live if s.cancel_requested and s.state is not SENT]
        data.draw(st.sampled_from(going)).apply(OrderInput.CANCELLED, filled=ZERO)

    @invariant()
    def no_cancel_uncovers(self) -> None:
        """If all cancels of the plan arrive at once, what was covered is covered."""
        made = self.plan
        assert self.cover() == made.resting
        assert min(self.cover(), made.needed) <= self.cover(without=made.cancel)
        assert made.place >= 0
        assert (self.cover() >= abs(self.position)) is made.covered

    def teardown(self) -> None:
        """Left alone with a venue that answers, it converges: covered exactly, nothing more."""
        for _ in range(8):
            for one in self.live:
                if one.cancel_requested:
                    one.apply(OrderInput.CANCELLED, filled=ZERO)
                elif one.state is not OPEN:
                    one.apply(OrderInput.ACCEPTED)
            made, before = self.plan, self.cover()
            if made.place:
                self.place(made.place, SELL if self.position > 0 else BUY)
            for one in made.cancel:
                one.cancel_requested = True
            assert min(before, abs(self.position)) <= self.cover()
        assert (ZERO, ()) == (self.plan.place, self.plan.cancel)
        assert abs(self.position) == self.cover()
        assert abs(self.position) == sum((s.remaining for s in self.live), ZERO)


Guarding.TestCase.settings = settings(max_examples=50, stateful_step_count=20)
TestGuarding = Guarding.TestCase


class TestStopTrigger:
    """Where a missing stop goes."""

    @pytest.mark.parametrize(
        ("side", "market", "trigger"),
        [
            (SELL, "101", "95"),
            (BUY, "99", "105"),
            (SELL, None, "95"),
            (SELL, "95", "90.25"),
            (SELL, "80", "76"),
            (BUY, "105", "110.25"),
            (BUY, "200", "210"),
        ],
    )
    def test_off_the_average_or_off_the_market(
        self, side: Side, market: str | None, trigger: str
    ) -> None:
        """5 % off the average of 100; where the market is there already, 5 % off the market."""
        price = None if market is None else Decimal(market)
        assert Decimal(trigger) == stop_trigger(side, Decimal(100), Decimal(5), price)

    @given(
        st.sampled_from(Side),
        st.integers(1, 10**6),
        st.integers(1, 10**6),
        st.integers(1, 99),
    )
    def test_never_one_that_triggers_at_once(
        self, side: Side, average: int, market: int, percent: int
    ) -> None:
        """Whatever the market did: a sell stop is below it, a buy stop above."""
        trigger = stop_trigger(side, Decimal(average), Decimal(percent), Decimal(market))
        assert (trigger < market) if side is SELL else (trigger > market)
