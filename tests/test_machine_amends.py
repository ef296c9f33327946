"""What an order is to be for: changes that cross with fills, and with what a venue does itself."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from tests.support.values import SELL, fill, order, spec
from trade_runtime.machines import amends
from trade_runtime.machines.order import Order, OrderInput, OrderState
from trade_runtime.model.events import OrderAmended
from trade_runtime.model.records import AmendRequested


def exit_of(quantity: str = "1") -> Order:
    """An exit of a group that rests."""
    return order(replace(spec("exit", SELL, quantity), oco="g"))


def ask(one: Order, quantity: str) -> None:
    amends.ask(one, AmendRequested(one.id, Decimal(quantity), one.price, one.trigger_price))


def told(one: Order, quantity: str) -> None:
    amends.take(one, OrderAmended(one.id, Decimal(quantity), one.price, one.trigger_price, 0))


def sold(one: Order, quantity: str) -> None:
    """Another of the group fills."""
    other = exit_of("9")
    amends.take_place(other, Decimal(quantity), [one, other], [])


def test_it_owes_what_others_filled_until_it_is_smaller() -> None:
    """And nothing after that, whoever made it so."""
    one = exit_of()
    sold(one, "0.4")
    assert Decimal("0.4") == one.owed
    told(one, "0.6")
    assert 0 == one.owed


def test_a_venue_may_tell_what_it_did_before_it_tells_why() -> None:
    """The fill that comes later takes nothing twice."""
    one = exit_of()
    told(one, "0.6")
    sold(one, "0.4")
    assert 0 == one.owed


def test_what_the_venue_did_meanwhile_is_no_answer() -> None:
    """The order was made smaller before the growth arrived: that is still under way."""
    one = exit_of("0.5")
    ask(one, "1")
    told(one, "0.1")
    assert one.worst_quantity == Decimal(1)
    sold(one, "0.4")
    told(one, "1")
    assert (None, Decimal("0.4")) == (one.amending, one.owed)


def test_what_the_venue_did_afterwards_is_an_answer() -> None:
    """The growth arrived, and then the order was made smaller: its size says so."""
    one = exit_of("0.5")
    ask(one, "1")
    sold(one, "0.4")
    told(one, "0.6")
    assert (None, Decimal(0)) == (one.amending, one.owed)


def test_a_refused_growth_may_be_asked_for_again() -> None:
    """It was let go for so much the less; and owes only what others filled."""
    one = exit_of("0.5")
    one.released = one.quantity
    ask(one, "1")
    assert Decimal(1) == one.released
    sold(one, "0.2")
    amends.refuse(one)
    assert (Decimal("0.5"), Decimal("0.2")) == (one.released, one.owed)


def test_fills_of_its_old_size_do_not_end_what_may_have_grown() -> None:
    """Nor is it settled before the venue has said so: what it fills later has to be booked."""
    one = exit_of("0.5")
    ask(one, "1")
    one.apply_fill(fill("exit", "0.5", trade_id=1, side=SELL))
    assert OrderState.OPEN is one.state
    told(one, "1")
    one.apply_fill(fill("exit", "0.5", trade_id=2, side=SELL))
    assert (OrderState.FILLED, False) == (one.state, one.settled)
    one.apply(OrderInput.FILLED, filled=Decimal(1))
    assert one.settled


def test_a_growth_that_never_was_leaves_an_order_that_is_filled() -> None:
    """Refused, its old size is all that there was to fill."""
    one = exit_of("0.5")
    ask(one, "1")
    one.apply_fill(fill("exit", "0.5", trade_id=1, side=SELL))
    amends.refuse(one)
    assert OrderState.FILLED is one.state
