"""Values: exact where money is, lossless where floats are."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import BUY, ETH, RULES, SELL, quote, spec
from trade_runtime.model.ids import InstrumentId, VenueName, symbol_of, venue_of
from trade_runtime.model.instrument import Instrument, OffGrid, exact

STEPS = st.integers(0, 8).map(lambda digits: Decimal(1).scaleb(-digits))


@given(STEPS, st.integers(1, 10**15 - 1))
def test_a_number_of_15_digits_survives_a_float(step: Decimal, count: int) -> None:
    """Price to float and back: the very same number, so a quote can be traded at as it is."""
    price = step * count
    assert price == exact(float(price))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_taken_by_its_shortest_text(value: float) -> None:
    """The decimal is the one that a person reads, and leads back to the same float."""
    assert value == float(exact(value))
    assert Decimal(repr(value)) == exact(value)


@pytest.mark.parametrize("value", ["abc", "", "1,5", float("nan"), "inf", Decimal("-inf"), None])
def test_what_is_no_number_is_refused(value: object) -> None:
    """In words, never as an infinity that passes every limit."""
    with pytest.raises(ValueError, match="is not a"):
        exact(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [Decimal("0.10"), 0.1, "0.10", "1e-1"])
def test_numbers_may_come_in_any_form(value: Decimal | float | str) -> None:
    """One tenth is one tenth."""
    assert Decimal("0.1") == exact(value)


class TestInstrument:
    """The grid of a symbol."""

    @pytest.mark.parametrize("price", [0, -1, "0.001", "100.005", 0.1 + 0.2])
    def test_prices_off_the_tick(self, price: float | str) -> None:
        """Refused, never rounded behind the trader's back."""
        with pytest.raises(OffGrid, match=r"is not a positive multiple of 0\.01"):
            RULES.price(price)

    @pytest.mark.parametrize(
        ("quantity", "why"),
        [
            ("0", "not a positive multiple"),
            ("-1", "not a positive multiple"),
            ("0.00005", "not a positive multiple"),
            ("1000.0001", "above 1000"),
        ],
    )
    def test_quantities_off_the_lot(self, quantity: str, why: str) -> None:
        """Or outside the venue's bounds."""
        with pytest.raises(OffGrid, match=why):
            RULES.quantity(quantity)

    def test_a_quantity_below_the_least(self) -> None:
        """On the lot, but too little."""
        rules = attrs.evolve(RULES, min_quantity=Decimal("0.01"))
        with pytest.raises(OffGrid, match=r"is below 0\.01"):
            rules.quantity("0.005")

    def test_what_is_on_the_grid_is_taken_as_it_is(self) -> None:
        """By value, in any form."""
        assert Decimal("99.37") == RULES.price(99.37)
        assert Decimal("0.5") == RULES.quantity("0.5000")

    @given(st.decimals("0.00001", "1000000", places=6), STEPS, st.booleans())
    def test_rounding_goes_where_it_is_told(self, value: Decimal, tick: Decimal, up: bool) -> None:
        """To the nearest step on that side, and stays where it is on one."""
        rules = attrs.evolve(RULES, tick=tick, lot=tick, max_quantity=None)
        rounded = rules.round_price(value, up=up)
        assert 0 == rounded % tick
        assert (0 <= rounded - value < tick) if up else (0 <= value - rounded < tick)
        assert rounded == rules.round_price(rounded, up=not up)
        assert rules.round_quantity(value) == rules.round_price(value, up=False)

    @pytest.mark.parametrize("step", ["0", "-0.01", "NaN", "Infinity"])
    def test_a_step_must_be_one(self, step: str) -> None:
        """A venue that says otherwise made no sense."""
        with pytest.raises(ValueError, match="must be above 0"):
            attrs.evolve(RULES, tick=Decimal(step))

    def test_what_a_float_could_not_carry_is_refused(self) -> None:
        """Checked when an instrument loads, not when money is lost."""
        with pytest.raises(ValueError, match="need more than 15 digits"):
            Instrument(
                ETH,
                RULES.base,
                RULES.quote,
                tick=Decimal("0.00000001"),
                lot=Decimal(1),
                max_price=Decimal(100_000_000),
            )


def test_instrument_ids_are_symbol_and_venue() -> None:
    """The last dot parts them: a symbol may have dots of its own."""
    assert ("ETHUSDT", VenueName("paper")) == (symbol_of(ETH), venue_of(ETH))
    dotted = InstrumentId("BRK.B.nyse")
    assert ("BRK.B", VenueName("nyse")) == (symbol_of(dotted), venue_of(dotted))


def test_sides() -> None:
    """Their sign and their opposite."""
    assert (1, -1, SELL, BUY) == (BUY.sign, SELL.sign, BUY.opposite, SELL.opposite)


def test_the_middle_of_a_quote() -> None:
    """Half way."""
    assert 101.0 == quote(100.0, 102.0).mid


def test_values_cannot_be_changed() -> None:
    """What is in the journal stays what it was."""
    with pytest.raises(AttributeError):
        quote().bid = 1.0  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RULES.tick = Decimal(1)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        spec().quantity = Decimal(2)  # type: ignore[misc]
