"""Contracts at the paper exchange: positions, margin, and orders that may only reduce."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paper_world import ETH, ETHUSDT, World, quote, short, spec
from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import OrderSpec, Side
from trade_runtime.venues.paper import MemoryRecord, PaperSettings
from trade_runtime.venues.paper.orders import Position

CONTRACT = attrs.evolve(ETHUSDT, kind="linear", multiplier=Decimal("0.1"))
USDT = {"USDT": Decimal(1_000)}


def contracts(leverage: int = 1, fee_bps: int = 0, **more: object) -> World:
    """1,000 USDT, and a contract on 0.1 ETH at 99 x 500 to 100 x 500."""
    world = World(
        settings=PaperSettings(balances=USDT, leverage=leverage, fee_bps=fee_bps, **more),  # type: ignore[arg-type]
        instrument=CONTRACT,
    )
    world.sees(99, 100, 500, 500)
    return world


def held(world: World) -> str:
    position = world.exchange.positions().get(ETH, Position())
    return f"{short(position.quantity)} @ {short(position.average_price)}"


class TestPositions:
    def test_no_base_currency_moves(self) -> None:
        world = contracts()
        assert world.buy("a", "10") == "a accepted; a took 10 @ 100; a filled 10"
        assert world.exchange.balances() == USDT
        assert held(world) == "10 @ 100"

    def test_closing_settles_what_it_earned_times_the_multiplier(self) -> None:
        world = contracts()
        world.buy("a", "10")
        world.sees(110, 111, 500, 500)
        world.sell("b", "4")
        assert world.usdt == Decimal(1_000) + 4 * 10 * Decimal("0.1")
        assert held(world) == "6 @ 100"

    def test_fees_are_of_the_notional(self) -> None:
        world = contracts(fee_bps=10)
        world.buy("a", "10")
        assert world.usdt == Decimal(1_000) - Decimal("0.1")

    def test_one_may_sell_what_one_does_not_have(self) -> None:
        world = contracts()
        world.sell("a", "10")
        assert held(world) == "-10 @ 99"
        world.sees(88, 89, 500, 500)
        world.buy("b", "10")
        assert world.usdt == Decimal(1_010)
        assert held(world) == "0 @ 0"

    def test_going_through_zero_opens_at_the_new_price(self) -> None:
        world = contracts()
        world.buy("a", "10")
        world.sees(110, 111, 500, 500)
        world.sell("b", "15")
        assert world.usdt == Decimal(1_010)
        assert held(world) == "-5 @ 110"

    def test_survive_a_restart(self) -> None:
        world = contracts()
        world.buy("a", "10")
        world.sell("stop", "10", trigger="95", reduce_only=True)
        world.reopen()
        assert held(world) == "10 @ 100"
        assert world.sees(94, 95, 500, 500) == "stop took 10 @ 94; stop filled 10"
        assert world.usdt == Decimal(994)

    def test_are_in_the_record(self) -> None:
        world = contracts()
        world.buy("a", "10")
        assert isinstance(world.record, MemoryRecord)
        assert world.record.positions == {ETH: Position(Decimal(10), Decimal(100))}


class TestMargin:
    def test_equity_times_leverage_bounds_the_notional(self) -> None:
        """1,000 USDT carry 100 contracts of 10 USDT each; with a leverage of 3, three times so."""
        assert contracts().buy("a", "100.1") == "a rejected (insufficient balance)"
        assert contracts().buy("a", "100").endswith("a filled 100")
        assert contracts(leverage=3).buy("a", "300.1").endswith("(insufficient balance)")
        assert contracts(leverage=3).buy("a", "300").endswith("a filled 300")

    def test_fees_have_to_be_covered_too(self) -> None:
        assert contracts(fee_bps=10).buy("a", "100") == "a rejected (insufficient balance)"

    def test_resting_orders_count_by_side(self) -> None:
        """Buys and sells do not add up: only one side can come true at a time."""
        world = contracts()
        assert world.buy("a", "100", "90") == "a accepted"
        assert world.buy("b", "12", "90").endswith("(insufficient balance)")
        assert world.sell("c", "90", "110") == "c accepted"
        assert world.sell("d", "10", "110").endswith("(insufficient balance)")
        world.cancel("a")
        assert world.buy("e", "100", "90") == "e accepted"

    def test_a_loss_leaves_less_to_trade_with(self) -> None:
        world = contracts(leverage=2)
        world.buy("a", "100")
        world.sees(49, 50, 500, 500)
        assert world.buy("b", "100").endswith("(insufficient balance)")

    def test_what_makes_the_position_smaller_is_always_let_in(self) -> None:
        """However deep the loss: one can always get out."""
        world = contracts(leverage=10)
        world.buy("a", "500", "100")
        world.sees(9, 10, 500, 500)
        assert world.buy("b", "1").startswith("b rejected")
        assert world.sell("c", "500").endswith("c filled 500")
        assert world.usdt == Decimal(1_000) - 500 * 91 * Decimal("0.1")

    def test_losses_may_exceed_the_balance_and_then_nothing_is_added(self) -> None:
        """There is no liquidation: what a real venue would have closed is carried on."""
        world = contracts(leverage=10)
        world.buy("a", "500", "100")
        world.sees(9, 10, 500, 500)
        world.sell("b", "500")
        assert world.usdt < 0
        assert world.buy("c", "10").endswith("(insufficient balance)")

    def test_a_group_counts_once(self) -> None:
        world = contracts()
        assert world.sell("a", "90", "110", oco="g") == "a accepted"
        assert world.sell("b", "90", "109", oco="g") == "b accepted"
        world.cancel("a")
        world.cancel("b")
        assert world.sell("c", "90", "110") == "c accepted"

    def test_an_amend_is_checked_like_a_new_order(self) -> None:
        world = contracts()
        world.buy("a", "100", "90")
        assert world.amend("a", "112", "90") == "a amend rejected (insufficient balance)"
        assert world.amend("a", "111", "90") == "a amended 111 90"

    def test_spot_cannot_spend_what_contracts_need(self) -> None:
        spot = attrs.evolve(ETHUSDT, id=InstrumentId("ETHSPOT.binance"))
        world = contracts()
        world.exchange.adopt([spot])
        world.buy("a", "90")
        here = InstrumentId("ETHSPOT.paper")
        assert world.buy("b", "2", "100", instrument=here).endswith("(insufficient balance)")
        assert world.buy("c", "1", "100", instrument=here) == "c accepted"
        assert world.buy("d", "1").endswith("(insufficient balance)")


class TestReduceOnly:
    def test_refused_where_there_is_nothing_to_reduce(self) -> None:
        world = contracts()
        reason = "(reduce-only order would not reduce the position)"
        assert world.sell("a", "10", "110", reduce_only=True) == f"a rejected {reason}"
        world.buy("b", "10")
        assert world.buy("c", "10", "90", reduce_only=True) == f"c rejected {reason}"

    def test_never_more_than_the_position(self) -> None:
        world = contracts()
        world.buy("a", "10")
        assert world.sell("b", "25", "110", reduce_only=True) == "b accepted; b amended 10 110"
        assert world.amend("b", "11", "110") == (
            "b amend rejected (reduce-only order would not reduce the position)"
        )

    def test_shrinks_and_ends_with_the_position(self) -> None:
        """A profit and a stop, each for all of it, in no group: neither may turn it around."""
        world = contracts()
        world.buy("a", "10")
        world.sell("profit", "10", "110", reduce_only=True)
        world.sell("stop", "10", trigger="95", reduce_only=True)
        assert world.trades(110, 4, Side.BUY) == "profit made 4 @ 110; stop amended 6 95"
        assert world.sell("close", "6") == (
            "close accepted; close took 6 @ 99;"
            " profit cancelled 4 (reduce-only order would not reduce the position);"
            " stop cancelled 0 (reduce-only order would not reduce the position); close filled 6"
        )
        assert held(world) == "0 @ 0"

    def test_needs_no_margin(self) -> None:
        world = contracts()
        world.buy("a", "100")
        assert world.sell("b", "100", trigger="95", reduce_only=True) == "b accepted"

    def test_two_that_wake_together_do_not_turn_it_around(self) -> None:
        """The second has woken, and is in no book, when the first closes the position."""
        world = contracts()
        world.buy("a", "10")
        world.sell("s1", "10", trigger="95", reduce_only=True)
        world.sell("s2", "10", trigger="94", reduce_only=True)
        assert "s2 cancelled 0" in world.sees(93, 94, 500, 500)
        assert held(world) == "0 @ 0"


def test_an_instrument_does_not_turn_into_a_contract() -> None:
    world = World()
    with pytest.raises(VenueError, match=r"is linear ETH/USDT x 0\.1, but ETH/USDT in the record"):
        world.exchange.adopt([CONTRACT])


PRICES = st.integers(9_000, 11_000).map(lambda ticks: f"{Decimal(ticks) / 100}")
STEPS = st.lists(
    st.one_of(
        st.builds(
            spec,
            st.integers(0, 500).map(str),
            st.sampled_from(Side),
            st.integers(1, 2_000).map(lambda lots: f"{Decimal(lots) / 10}"),
            st.none() | PRICES,
            trigger=st.none() | PRICES,
            reduce_only=st.booleans(),
            oco=st.sampled_from(["", "", "g"]),
        ),
        st.builds(
            lambda bid, spread, size: quote(bid / 100, (bid + spread) / 100, size, size),
            st.integers(9_000, 11_000),
            st.integers(1, 100),
            st.integers(0, 300),
        ),
    ),
    min_size=10,
    max_size=60,
)


def from_scratch(fills: list[Fill]) -> tuple[Decimal, Decimal]:
    """The balance and the position that fills make, average by average."""
    total, held, average = Decimal(1_000), Decimal(0), Decimal(0)
    for fill in fills:
        change = fill.side.sign * fill.quantity
        if held * change < 0:
            closed = min(abs(held), abs(change)) * (1 if held > 0 else -1)
            total += round(closed * (fill.price - average) * Decimal("0.1"), 8)
            if abs(change) > abs(held):
                average = fill.price
        else:
            whole = abs(held) * average + fill.quantity * fill.price
            average = whole / abs(held + change)
        total -= fill.fee
        held += change
    return total, held


@given(STEPS, st.integers(1, 5), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_the_account_is_the_sum_of_its_fills(
    steps: list[OrderSpec | Quote], leverage: int, at: int
) -> None:
    """Counted from scratch after each step, and across a restart; no order that is to reduce ever
    asks for more than there is.
    """
    world = World(
        settings=PaperSettings(balances=USDT, leverage=Decimal(leverage)),
        instrument=attrs.evolve(CONTRACT, min_notional=Decimal(0)),
    )
    assert isinstance(world.record, MemoryRecord)
    for number, step in enumerate(steps):
        if number == at:
            world.reopen()
        if isinstance(step, Quote):
            world.exchange.on_quote(step)
        else:
            world.exchange.submit(step)
        total, quantity = from_scratch(world.record.executions)
        assert world.usdt == total
        assert world.exchange.positions().get(ETH, Position()).quantity == quantity
        for row in world.record.load().live:
            assert row.filled < row.quantity
            if row.reduce_only:
                assert row.quantity - row.filled <= -row.side.sign * quantity
