"""The life of an order: the table, and what no sequence of events can do to it."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import order_diagram, order_page
from tests.support.values import BUY, SELL, closed, fill, order, spec
from trade_runtime.machines.order import (
    CLOSING_INPUT,
    LIVE_STATES,
    TRANSITIONS,
    InvalidTransition,
    Order,
    OrderInput,
    OrderState,
    OrderUpdate,
)
from trade_runtime.model.events import Fill
from trade_runtime.model.orders import ReportStatus

PAIRS = list(product(OrderState, OrderInput))
ENDS = {OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}


def picture(one: Order) -> tuple[object, ...]:
    """All that an order is, to compare before and after."""
    return tuple(
        frozenset(one.trade_ids) if name == "trade_ids" else getattr(one, name)
        for name in Order.__slots__
    )


class TestTable:
    """The table itself."""

    @pytest.mark.parametrize(("state", "what"), [p for p in PAIRS if p in TRANSITIONS])
    def test_known_pairs_move_as_the_table_says(self, state: OrderState, what: OrderInput) -> None:
        """What the table knows happens, and nothing else decides."""
        one = order(spec(), state)
        one.apply(what)
        assert TRANSITIONS[state, what] is one.state

    @pytest.mark.parametrize(("state", "what"), [p for p in PAIRS if p not in TRANSITIONS])
    def test_unknown_pairs_raise_and_change_nothing(
        self, state: OrderState, what: OrderInput
    ) -> None:
        """What cannot be is refused whole: not even the reason or the fills of it are kept."""
        one = order(spec(), state)
        before = picture(one)
        with pytest.raises(InvalidTransition, match=f"t-1 is {state}: {what} cannot be"):
            one.apply(what, reason="because", filled=Decimal(1))
        assert before == picture(one)

    def test_an_order_that_left_can_always_be_resolved(self) -> None:
        """From every live state that may be at the venue, each of its words leads somewhere."""
        words = [OrderInput.ACCEPTED, OrderInput.FILL, *CLOSING_INPUT.values()]
        stuck = [
            (state, what)
            for state in (OrderState.SENT, OrderState.UNKNOWN)
            for what in words
            if (state, what) not in TRANSITIONS
        ]
        assert [] == stuck

    def test_nothing_comes_back_from_a_venue_end(self) -> None:
        """No event makes an order live again that the venue said has ended."""
        back = [
            (state, what)
            for (state, what), after in TRANSITIONS.items()
            if state in ENDS | {OrderState.REJECTED} and after is not state
        ]
        assert [] == back

    def test_a_sent_order_never_goes_back_to_pending(self) -> None:
        """An order that left is never again one that may be sent: that would send it twice."""
        ways_back = [pair for pair, after in TRANSITIONS.items() if after is OrderState.PENDING]
        assert {
            (OrderState.HELD, OrderInput.RELEASED),
            (OrderState.PENDING, OrderInput.AMENDED),
        } == set(ways_back)
        ways_to_sent = [pair for pair, after in TRANSITIONS.items() if after is OrderState.SENT]
        assert [(OrderState.PENDING, OrderInput.SENT)] == ways_to_sent

    def test_the_page_is_made_from_the_table(self) -> None:
        """The reference page cannot drift from the machine."""
        page = order_page.PAGE.read_text(encoding="utf-8")
        assert order_page.rewritten(page) == page, "python -m tests.support.order_page"
        made = order_page.PICTURE.read_text(encoding="utf-8")
        assert order_diagram.picture() == made, "python -m tests.support.order_page"

    def test_the_page_explains_every_state(self) -> None:
        """Each state has its line of meaning."""
        page = order_page.PAGE.read_text(encoding="utf-8")
        assert [] == [s for s in OrderState if f"| {s} | " not in page.split("## The table")[0]]


class TestFills:
    """What fills do."""

    def test_fills_add_up_to_filled(self) -> None:
        """Two halves fill an order, at their average price, without a word of its end."""
        one = order(spec(quantity="2"))
        one.apply_fill(fill(quantity="1", price="100", trade_id="a"))
        assert (OrderState.OPEN, Decimal(1), Decimal(1)) == (one.state, one.filled, one.remaining)
        one.apply_fill(fill(quantity="1", price="101", trade_id="b"))
        assert OrderState.FILLED is one.state
        assert one.settled
        assert Decimal("100.5") == one.average_price

    def test_a_fill_told_twice_counts_once(self) -> None:
        """The trade id decides: the second telling changes nothing."""
        one = order(spec(quantity="2"))
        assert one.apply_fill(fill(trade_id="a"))
        before = picture(one)
        assert not one.apply_fill(fill(trade_id="a"))
        assert before == picture(one)

    def test_a_fill_beyond_the_order_cannot_be(self) -> None:
        """A venue that executes more than was asked for is not believed."""
        one = order(spec(quantity="1"))
        one.apply_fill(fill(quantity="0.6", trade_id="a"))
        before = picture(one)
        with pytest.raises(InvalidTransition, match="goes beyond 1"):
            one.apply_fill(fill(quantity="0.5", trade_id="b"))
        assert before == picture(one)

    @pytest.mark.parametrize("state", [OrderState.PENDING, OrderState.REJECTED])
    def test_what_never_rested_cannot_fill(self, state: OrderState) -> None:
        """An order that never left, or was refused, has no fills."""
        one = order(spec(), state)
        before = picture(one)
        with pytest.raises(InvalidTransition, match="a fill cannot be"):
            one.apply_fill(fill())
        assert before == picture(one)

    def test_without_fills_there_is_no_average(self) -> None:
        """Nothing divided by nothing is no price."""
        assert order(spec()).average_price is None


class TestSettled:
    """When nothing more can come of an order."""

    def test_closed_before_its_last_fill(self) -> None:
        """The end overtook a fill: ended, but not settled until that fill is here."""
        one = order(spec(quantity="2"))
        one.apply(OrderInput.CANCELLED, filled=Decimal(1))
        assert (True, False) == (one.ended, one.settled)
        one.apply_fill(fill(quantity="1"))
        assert (OrderState.CANCELLED, True) == (one.state, one.settled)

    def test_the_larger_word_counts(self) -> None:
        """Of two ends told, the one that executed more was told later."""
        one = order(spec(quantity="2"))
        one.apply(OrderInput.CANCELLED, filled=Decimal(1))
        one.apply(OrderInput.CANCELLED, filled=Decimal(0))
        assert Decimal(1) == one.closed_filled
        assert not one.settled

    @pytest.mark.parametrize("state", sorted(LIVE_STATES))
    def test_a_live_order_is_never_settled(self, state: OrderState) -> None:
        """What may still rest may still fill."""
        assert not order(spec(), state).settled

    def test_the_first_reason_of_a_state_stays(self) -> None:
        """A late repeat does not overwrite why an order ended."""
        one = order(spec())
        one.apply(OrderInput.CANCELLED, reason="asked for")
        one.apply(OrderInput.CANCELLED, reason="told again")
        assert "asked for" == one.reason


@st.composite
def lives(draw: st.DrawFn) -> tuple[ReportStatus, Decimal, list[Fill]]:
    """What truly happened to an order of 5 at its venue: its parts, and how it ended."""
    parts = draw(st.lists(st.integers(1, 2), max_size=4))
    total = min(sum(parts), 5)
    fills, left = [], total
    for number, part in enumerate(parts):
        take = min(part, left)
        if take:
            fills.append(fill(quantity=str(take), price=str(100 + number), trade_id=number))
            left -= take
    if total == 5:
        return ReportStatus.FILLED, Decimal(5), fills
    status = draw(st.sampled_from([ReportStatus.CANCELLED, ReportStatus.EXPIRED]))
    return status, Decimal(total), fills


class TestAnyOrderOfEvents:
    """The world tells late, twice and out of order."""

    @given(lives(), st.data())
    def test_all_tellings_end_the_same(
        self, life: tuple[ReportStatus, Decimal, list[Fill]], data: st.DataObject
    ) -> None:
        """However an order's story is shuffled and repeated, its end is what truly happened."""
        status, total, fills = life
        story: list[object] = ["accepted", "closed", *fills]
        again = data.draw(st.lists(st.sampled_from(story), max_size=4))
        told = data.draw(st.permutations([*story, *again]))
        one = order(spec(quantity="5"), OrderState.SENT)
        timeout = data.draw(st.integers(0, len(told)))
        for number, event in enumerate(told):
            if number == timeout:
                one.apply(OrderInput.UNKNOWN)
            if isinstance(event, Fill):
                one.apply_fill(event)
            elif event == "accepted":
                one.apply(OrderInput.ACCEPTED)
            else:
                one.apply(CLOSING_INPUT[status], filled=total)
        assert (OrderState(status), total, True) == (one.state, one.filled, one.settled)
        assert sum((f.price * f.quantity for f in fills), Decimal(0)) == one.notional

    @given(
        st.lists(
            st.sampled_from(OrderInput)
            | st.builds(
                lambda quantity, name: fill(quantity=str(quantity), trade_id=name),
                st.integers(1, 3),
                st.sampled_from("abcd"),
            ),
            max_size=20,
        )
    )
    def test_no_sequence_breaks_an_order(self, events: list[OrderInput | Fill]) -> None:
        """Whatever comes: refused whole or taken whole, each fill once, never beyond the order."""
        one = Order(spec(quantity="5"))
        counted: dict[str, Decimal] = {}
        for event in events:
            before, state = picture(one), one.state
            try:
                if isinstance(event, Fill):
                    if one.apply_fill(event):
                        counted[event.trade_id] = event.quantity
                else:
                    one.apply(event)
            except InvalidTransition:
                assert before == picture(one)
                continue
            if state in ENDS:
                assert state is one.state, "an end is for ever"
            assert set(counted) == one.trade_ids
            assert sum(counted.values(), Decimal(0)) == one.filled <= one.quantity
            assert one.is_live is not one.ended
            assert one.filled < one.quantity or one.ended


def test_an_order_shows_itself() -> None:
    """A log line with an order in it says all there is to know."""
    limit = order(spec("t-7", BUY, "2", "100.5"))
    stop = order(spec("t-8", SELL, "1", protective=True))
    assert "<Order t-7 buy 0/2 ETHUSDT.paper limit at 100.5 open>" == repr(limit)
    assert "<Order t-8 sell 0/1 ETHUSDT.paper stop_market trigger 90 open>" == repr(stop)
    assert (BUY, Decimal("100.5"), None) == (limit.side, limit.price, limit.trigger_price)
    assert "limit" == limit.type


def test_an_update_carries_the_order_as_it_stands() -> None:
    """A strategy that keeps an update sees the order go on."""
    one = order(spec(), OrderState.SENT)
    update = OrderUpdate(one, "accepted", "", 1)
    one.apply(CLOSING_INPUT[closed().status])
    assert OrderState.CANCELLED is update.order.state
