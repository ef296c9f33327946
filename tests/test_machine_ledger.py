"""Positions as a fold of fills: exact, whatever the fills."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import BTC, BUY, ETH, SELL, USDT, fill
from trade_runtime.machines.ledger import Ledger, Position
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import StrategyName
from trade_runtime.model.orders import Side

MAKER, TAKER = StrategyName("maker"), StrategyName("taker")

FILLS = st.builds(
    lambda number, side, lots, ticks, fee: fill(
        trade_id=number,
        side=side,
        quantity=Decimal(lots).scaleb(-4),
        price=Decimal(ticks).scaleb(-2),
        fee=Decimal(fee).scaleb(-6),
    ),
    st.integers(0, 10**9),
    st.sampled_from(Side),
    st.integers(1, 50_000),
    st.integers(100, 500_000),
    st.integers(-100, 10_000),
)


def position(*fills: Fill) -> Position:
    """The position that fills make."""
    made = Position(MAKER, ETH)
    for one in fills:
        made.apply(one)
    return made


def test_adding_moves_the_average() -> None:
    """Bought at 100 and at 102: the average is 101, nothing is realised."""
    held = position(fill(price="100"), fill(price="102"))
    assert (Decimal(2), Decimal(101), Decimal(0)) == (
        held.quantity,
        held.average_price,
        held.realised,
    )
    assert Decimal(8) == held.unrealised(Decimal(105))


def test_closing_a_part_realises_against_the_average() -> None:
    """Half of it sold ten higher is five earned; what is left keeps its average."""
    held = position(fill(price="100"), fill(side=SELL, quantity="0.5", price="110"))
    assert (Decimal("0.5"), Decimal(100), Decimal(5)) == (
        held.quantity,
        held.average_price,
        held.realised,
    )


def test_a_short_position_earns_when_the_price_falls() -> None:
    """Sold at 100, bought back at 90."""
    held = position(fill(side=SELL, price="100"), fill(price="90"))
    assert (Decimal(0), Decimal(0), Decimal(10)) == (
        held.quantity,
        held.average_price,
        held.realised,
    )


def test_crossing_zero_opens_at_the_price_of_the_crossing() -> None:
    """Long 1 at 100, sold 3 at 110: 10 earned, and short 2 at 110 from that moment on."""
    held = position(
        fill(price="100", ts_ns=10), fill(side=SELL, quantity="3", price="110", ts_ns=20)
    )
    assert (Decimal(-2), Decimal(110), Decimal(10), 20) == (
        held.quantity,
        held.average_price,
        held.realised,
        held.opened_ns,
    )


def test_the_age_is_that_of_what_is_open() -> None:
    """Adding keeps the age, closing ends it, opening again begins anew."""
    held = position(fill(ts_ns=10), fill(ts_ns=20))
    assert 10 == held.opened_ns
    held.apply(fill(side=SELL, quantity="1", ts_ns=25))
    assert 10 == held.opened_ns
    held.apply(fill(side=SELL, quantity="1", ts_ns=30))
    assert 0 == held.opened_ns
    held.apply(fill(ts_ns=40))
    assert 40 == held.opened_ns


def test_fees_are_kept_by_currency_beside_the_average() -> None:
    """A fee never hides in the price."""
    held = position(fill(fee="0.1"), fill(fee="0.2", trade_id="2"))
    assert {USDT: Decimal("0.3")} == held.fees
    assert Decimal(100) == held.average_price


def test_positions_belong_to_the_strategy_whose_fills_made_them() -> None:
    """Two strategies in one instrument have two positions; a flat one is not open."""
    ledger = Ledger()
    ledger.position(MAKER, ETH).apply(fill())
    ledger.position(TAKER, ETH).apply(fill(side=SELL, quantity="2"))
    ledger.position(TAKER, BTC).apply(fill(instrument=BTC))
    ledger.position(TAKER, BTC).apply(fill(instrument=BTC, side=SELL))
    assert [(MAKER, Decimal(1)), (TAKER, Decimal(-2))] == [
        (p.strategy, p.quantity) for p in ledger.open()
    ]
    assert 3 == len(list(ledger))
    assert Decimal(0) == ledger.position(MAKER, BTC).quantity


def test_a_position_shows_itself() -> None:
    """What a log line says of it."""
    assert "<Position maker 1 ETHUSDT.paper at 100>" == repr(position(fill()))


@given(st.lists(FILLS, max_size=40))
def test_quantity_and_fees_are_exact_sums(fills: list[Fill]) -> None:
    """Position = the sum of its fills, to the last digit; the same for the fees."""
    held = position(*fills)
    exact = sum(Fraction(f.side.sign * f.quantity) for f in fills)
    assert exact == Fraction(held.quantity)
    assert sum(Fraction(f.fee) for f in fills) == Fraction(held.fees.get(USDT, Decimal(0)))
    assert (held.quantity == 0) is (held.average_price == 0) is (held.opened_ns == 0)


@given(st.lists(FILLS, max_size=40), st.integers(100, 500_000))
def test_profit_is_what_the_cash_says(fills: list[Fill], ticks: int) -> None:
    """Realised and unrealised profit together are the cash that flowed plus what is held.

    An average price may need more digits than there are: the two agree to 15 digits of the
    turnover, and exactly where no average was divided.
    """
    held, price = position(*fills), Decimal(ticks).scaleb(-2)
    cash = -sum(Fraction(f.side.sign * f.quantity) * Fraction(f.price) for f in fills)
    worth = cash + Fraction(held.quantity) * Fraction(price)
    profit = Fraction(held.realised) + Fraction(held.unrealised(price))
    turnover = sum((Fraction(f.quantity) * Fraction(f.price) for f in fills), Fraction(1))
    assert abs(worth - profit) <= turnover / 10**15


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.sampled_from(Side))
def test_a_round_trip_leaves_exactly_the_cash(lots: list[int], side: Side) -> None:
    """In at one price, out at another: the profit is exact, and nothing is left."""
    into = [fill(side=side, quantity=str(n), price="100.01") for n in lots]
    out = [fill(side=side.opposite, quantity=str(n), price="99.99") for n in reversed(lots)]
    held = position(*into, *out)
    assert Decimal(-side.sign * sum(lots)) * Decimal("0.02") == held.realised
    assert (Decimal(0), Decimal(0)) == (held.quantity, held.average_price)


def test_either_side_serves() -> None:
    """The first fill may be a sale."""
    assert (Decimal(-1), BUY) == (position(fill(side=SELL)).quantity, SELL.opposite)
