"""The fold of the journal: one code path for what happens and for what is read back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import BUY, ETH, SELL, accepted, closed, fill, rejected, spec
from trade_runtime.machines.journal import GENESIS, check_chain, make_record, read_event
from trade_runtime.machines.order import InvalidTransition, OrderState
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import CancelRejected, Fill
from trade_runtime.model.ids import ClientOrderId, StrategyName, VenueName
from trade_runtime.model.orders import ReportStatus, Side
from trade_runtime.model.records import (
    CancelRequested,
    JournalEvent,
    OrderDropped,
    OrderSent,
    OrderUnknown,
    RuntimeStarted,
    RuntimeStopped,
    StrategyStopped,
    TradingHalted,
)

STARTED = RuntimeStarted("demo", "t", "0.1", "host", 1)
MAKER = StrategyName("maker")
ID = ClientOrderId("t-1")


def state(*events: JournalEvent) -> TradingState:
    """What events add up to."""
    made = TradingState()
    for event in (STARTED, *events):
        made.apply(event)
    return made


class TestIds:
    """Client order ids go on for ever and are never used twice."""

    def test_ids_count_in_base_36(self) -> None:
        """Short enough for every venue: tag, dash, number."""
        made = state()
        ids = []
        for _ in range(37):
            ids.append(made.next_order_id())
            made.apply(spec(ids[-1]))
        assert ["t-1", "t-9", "t-a", "t-z", "t-10", "t-11"] == [
            ids[n - 1] for n in (1, 9, 10, 35, 36, 37)
        ]

    def test_ids_go_on_after_a_restart(self) -> None:
        """Orders that ended and left memory are not forgotten by the count."""
        made = state(spec(), OrderSent(ID), rejected(), RuntimeStopped("x", "clean"), STARTED)
        assert {} == made.orders
        assert "t-2" == made.next_order_id()

    def test_the_longest_id_fits_the_shortest_limit(self) -> None:
        """18 characters, after more orders than anyone will ever place."""
        made = state(RuntimeStarted("demo", "abc123", "0.1", "host", 1))
        made.intents = 36**8
        assert 18 >= len(made.next_order_id())

    def test_only_our_own_ids_are_ours(self) -> None:
        """An order placed by hand, or under another journal's tag, is not."""
        made = state()
        assert [True, False, False] == [
            made.is_ours(ClientOrderId(i)) for i in ("t-1", "tt-1", "web_9")
        ]


class TestRestart:
    """What a new process makes of the old one's journal."""

    @pytest.mark.parametrize(
        ("last", "after"),
        [
            ([], OrderState.UNKNOWN),
            ([OrderSent(ID)], OrderState.UNKNOWN),
            ([OrderSent(ID), OrderUnknown(ID, "late")], OrderState.UNKNOWN),
            ([OrderSent(ID), accepted()], OrderState.OPEN),
        ],
        ids=["pending", "sent", "unknown", "open"],
    )
    def test_what_may_have_been_sent_is_unknown(
        self, last: list[JournalEvent], after: OrderState
    ) -> None:
        """Between intent and send, and between send and outcome, nobody here knows."""
        made = state(spec(), *last, STARTED)
        assert after is made.orders[ID].state
        assert Decimal(1) == made.exposure.worst(ETH, BUY)

    def test_a_stop_in_order_is_known(self) -> None:
        """Whether the last process ended well can be told."""
        made = state()
        assert not made.clean
        made.apply(RuntimeStopped("SIGTERM", "clean"))
        assert made.clean
        made.apply(STARTED)
        assert not made.clean


class TestOrders:
    """What stays in mind, and what leaves."""

    def test_a_settled_order_leaves(self) -> None:
        """Filled, with all its fills: the journal keeps it, memory does not."""
        made = state(spec(), OrderSent(ID), accepted(), fill())
        assert {} == made.orders
        assert (1, 1, 0) == (made.intents, made.fills, made.exposure.live_orders)
        assert Decimal(1) == made.ledger.position(MAKER, ETH).quantity

    def test_an_end_that_overtook_its_fill_is_kept_in_mind(self) -> None:
        """Until the fill is here the order counts with what the venue executed."""
        made = state(spec(), OrderSent(ID), closed(filled="0.4"))
        assert [ID] == list(made.orders)
        assert Decimal("0.4") == made.exposure.worst(ETH, BUY)
        made.apply(fill(quantity="0.4"))
        assert {} == made.orders

    @pytest.mark.parametrize(
        "event",
        [
            OrderSent(ID),
            accepted(),
            closed(),
            rejected(),
            fill(),
            OrderDropped(ID, "x"),
            CancelRequested(ID, "x"),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_an_order_out_of_mind_is_left_alone(self, event: JournalEvent) -> None:
        """What is told of an order that is settled and gone changes nothing."""
        made = state(spec(), OrderSent(ID), accepted(), fill())
        before = made.hash()
        assert made.apply(event) is None
        assert before == made.hash()

    def test_entries_and_stops_are_told_apart(self) -> None:
        """Stops belong to their position and are given oldest first."""
        made = state(
            spec("t-1"),
            spec("t-2", SELL, protective=True),
            spec("t-3", SELL, protective=True),
            spec("t-4", SELL, protective=True, strategy="taker"),
        )
        assert ["t-1"] == [o.id for o in made.entries()]
        assert ["t-2", "t-3"] == [o.id for o in made.stops(MAKER, ETH)]
        made.apply(OrderDropped(ClientOrderId("t-2"), "halted"))
        assert ["t-3"] == [o.id for o in made.stops(MAKER, ETH)]
        assert [] == made.stops(StrategyName("other"), ETH)

    def test_a_strategy_finds_its_own_live_orders_alone(self) -> None:
        """However many others have; stops among them, and none that ended."""
        made = state(
            spec("t-1"),
            spec("t-2", strategy="taker"),
            spec("t-3", SELL, protective=True),
            spec("t-4"),
        )
        assert ["t-1", "t-3", "t-4"] == [o.id for o in made.live_of(MAKER)]
        made.apply(OrderSent(ClientOrderId("t-1")))
        made.apply(rejected("t-1"))
        assert ["t-3", "t-4"] == [o.id for o in made.live_of(MAKER)]
        assert [] == made.live_of(StrategyName("other"))

    def test_a_fill_of_an_order_that_was_never_intended_cannot_be(self) -> None:
        """It carries our tag and a number that we have not reached: something is very wrong."""
        made = state(spec())
        with pytest.raises(InvalidTransition, match="no intent is recorded"):
            made.knows_fill(fill("t-2"))

    def test_a_fill_is_known_by_its_order_or_by_its_orders_end(self) -> None:
        """In mind: by the trade id. Settled and gone: it was booked, or it could not be settled."""
        made = state(spec(quantity="2"), OrderSent(ID), accepted(), fill(trade_id="a"))
        assert (True, False) == (
            made.knows_fill(fill(trade_id="a")),
            made.knows_fill(fill(trade_id="b")),
        )
        made.apply(fill(trade_id="b"))
        assert made.knows_fill(fill(trade_id="b"))

    def test_the_latest_fill_is_remembered_by_venue(self) -> None:
        """From there fills are asked for after a restart; one told late does not set it back."""
        made = state(
            spec(quantity="2"),
            OrderSent(ID),
            fill(trade_id="a", ts_ns=50),
            fill(trade_id="b", ts_ns=20),
        )
        assert {VenueName("paper"): 50} == made.last_fill_ns

    def test_what_the_runtime_did_besides_changes_nothing(self) -> None:
        """Halts and the ends of strategies are for who reads the journal."""
        made = state(spec())
        before = made.hash()
        for event in (
            TradingHalted("x"),
            StrategyStopped(MAKER, "failed", "x"),
            CancelRejected(ID, "x", 1),
        ):
            made.apply(event)
        assert before == made.hash()


class TestDeclaredProtection:
    """What a strategy asked for as protection, while its position is open."""

    KEY = MAKER, ETH

    def held(self) -> TradingState:
        """Long 1, with a stop of 0.4 at 90 declared."""
        made = state(spec(), OrderSent(ID), fill())
        made.apply(spec("t-2", SELL, "0.4", protective=True, trigger="90"))
        return made

    def test_the_stop_is_remembered_when_it_is_gone(self) -> None:
        """Its price and size serve to place it again."""
        made = self.held()
        made.apply(OrderDropped(ClientOrderId("t-2"), "not sent"))
        assert Decimal(90) == made.stop_price[self.KEY]
        assert Decimal("0.4") == made.declared[self.KEY]

    def test_it_ends_with_the_position(self) -> None:
        """Closed, or turned over: the next position is not protected at the last one's price."""
        for quantity in ("1", "2"):
            made = self.held()
            made.apply(spec("t-3", SELL, quantity))
            made.apply(OrderSent(ClientOrderId("t-3")))
            made.apply(fill("t-3", quantity, side=SELL, trade_id="c"))
            assert ({}, {}) == (made.stop_price, made.declared)


# --- any journal ------------------------------------------------------------------------------

NUMBERS = st.integers(1, 6)
STEPS = st.one_of(
    st.tuples(st.just("intent"), st.sampled_from(Side), st.integers(1, 4), st.booleans()),
    st.tuples(
        st.sampled_from(
            ["sent", "unknown", "accepted", "rejected", "dropped", "cancel", "start", "stop"]
        ),
        NUMBERS,
    ),
    st.tuples(st.just("fill"), NUMBERS, st.integers(1, 3), st.integers(0, 9)),
    st.tuples(st.just("closed"), NUMBERS, st.integers(0, 4), st.sampled_from(ReportStatus)),
)


def event_of(made: TradingState, step: tuple[Any, ...]) -> JournalEvent:
    """A journal event, as it might come from anywhere."""
    what, *how = step
    if what == "intent":
        side, quantity, protective = how
        return spec(made.next_order_id(), side, str(quantity), protective=protective)
    if what == "fill":
        number, quantity, trade_id = how
        order = made.orders.get(ClientOrderId(f"t-{number}"))
        side = BUY if order is None else order.side
        return fill(f"t-{number}", str(quantity), trade_id=trade_id, side=side)
    order_id = ClientOrderId(f"t-{how[0]}")
    if what == "closed":
        status = ReportStatus.CANCELLED if how[2] is ReportStatus.OPEN else how[2]
        return closed(order_id, status, str(how[1]))
    plain: dict[str, JournalEvent] = {
        "sent": OrderSent(order_id),
        "unknown": OrderUnknown(order_id, "late"),
        "accepted": accepted(order_id),
        "rejected": rejected(order_id),
        "dropped": OrderDropped(order_id, "halted"),
        "cancel": CancelRequested(order_id, "asked for"),
        "start": STARTED,
        "stop": RuntimeStopped("x", "clean"),
    }
    return plain[what]


def everything(made: TradingState) -> tuple[object, ...]:
    """What the hash says, and what it leaves out."""
    return (
        made.hash(),
        dict(made.stop_price),
        dict(made.declared),
        dict(made.last_fill_ns),
        made.clean,
        made.exposure.live_orders,
        [made.exposure.worst(ETH, side) for side in Side],
        [s.id for s in made.stops(MAKER, ETH)],
    )


@given(st.lists(STEPS, max_size=60))
def test_a_replay_stands_where_the_journal_ends(steps: list[tuple[Any, ...]]) -> None:
    """What was recorded, read back from any prefix of the journal, gives the same state.

    What could not be was refused whole, and is not in the journal.
    """
    live = TradingState()
    live.apply(STARTED)
    records = [make_record(GENESIS, 1, 1, STARTED)]
    after = [everything(live)]
    for step in steps:
        event = event_of(live, step)
        before = everything(live)
        try:
            live.apply(event)
        except InvalidTransition:
            assert before == everything(live)
            continue
        last = records[-1]
        records.append(make_record(last.digest, last.seq + 1, 1, event))
        after.append(everything(live))
    again = TradingState()
    for record, expected in zip(check_chain(records), after, strict=True):
        again.apply(read_event(record))
        assert expected == everything(again)


@given(st.lists(STEPS, max_size=60))
def test_positions_are_the_sum_of_counted_fills(steps: list[tuple[Any, ...]]) -> None:
    """Whatever is told: each fill moves the position once, by its size."""
    made = TradingState()
    made.apply(STARTED)
    total, counted = Decimal(0), 0
    for step in steps:
        event = event_of(made, step)
        try:
            booked = made.apply(event)
        except InvalidTransition:
            continue
        if isinstance(event, Fill) and booked is not None:
            total += event.side.sign * event.quantity
            counted += 1
    assert total == made.ledger.position(MAKER, ETH).quantity
    assert counted == made.fills
