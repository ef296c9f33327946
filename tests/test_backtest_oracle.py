"""The comparison with another engine's backtest: what differs is found, what agrees is let pass."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from harness.backtests import Run, Traded
from harness.oracle import agrees, compared, net_pnl


def traded(ts_ns: int, side: str, quantity: str, price: str, fee: str = "0") -> Traded:
    return Traded(ts_ns, side, Decimal(quantity), Decimal(price), Decimal(fee))


RUN = Run(
    secs=1.0,
    quotes=100,
    orders=2,
    peak_mib=1.0,
    fills=[traded(1, "buy", "0.01", "100", "0.001"), traded(2, "sell", "0.01", "102", "0.00102")],
    position=Decimal(0),
    net_pnl=Decimal("0.01798"),
    balances={"USDT": Decimal("1000.01798"), "BTC": Decimal(1)},
)


def test_the_same_books_agree() -> None:
    """Two engines that came to the same differ in nothing, however the numbers are written."""
    other = attrs.evolve(
        RUN,
        secs=9.0,
        fills=[attrs.evolve(one, price=one.price + Decimal("0.00")) for one in RUN.fills],
        balances={"BTC": Decimal("1.00000000"), "USDT": Decimal("1000.01798000")},
    )
    found = compared(RUN, other)
    assert agrees(found)
    assert 2 == found["fills"]
    assert "examples" not in found


def test_the_order_of_one_instant_is_open() -> None:
    """Two fills of one quote are told by one engine as they came, by the other as they were asked
    for.
    """
    fills = [traded(1, "buy", "0.01", "100"), traded(1, "buy", "0.02", "99")]
    one, other = (attrs.evolve(RUN, fills=told) for told in (fills, fills[::-1]))
    assert 0 == compared(one, other)["fills_differing"]


@pytest.mark.parametrize(("theirs", "off"), [("0.01798001", 0.0), ("0.01798002", -2e-8)])
def test_a_profit_is_as_near_as_its_rounding_leaves_it(theirs: str, off: float) -> None:
    """Two fills, each rounded by half a step at most, come to one step; more is a difference."""
    other = attrs.evolve(RUN, net_pnl=Decimal(theirs))
    assert off == compared(RUN, other)["net_pnl_off"]


@pytest.mark.parametrize(
    "other",
    [
        attrs.evolve(RUN, fills=RUN.fills[:1]),
        attrs.evolve(RUN, fills=[*RUN.fills, traded(3, "buy", "0.01", "100")]),
        attrs.evolve(RUN, fills=[RUN.fills[0], attrs.evolve(RUN.fills[1], ts_ns=3)]),
        attrs.evolve(RUN, fills=[RUN.fills[0], attrs.evolve(RUN.fills[1], side="buy")]),
        attrs.evolve(RUN, fills=[RUN.fills[0], attrs.evolve(RUN.fills[1], price=Decimal(101))]),
        attrs.evolve(RUN, fills=[RUN.fills[0], attrs.evolve(RUN.fills[1], fee=Decimal(0))]),
        attrs.evolve(RUN, position=Decimal("0.01")),
        attrs.evolve(RUN, net_pnl=Decimal("0.01799")),
        attrs.evolve(RUN, balances={"USDT": Decimal(1000), "BTC": Decimal(1)}),
        attrs.evolve(RUN, balances={"USDT": Decimal("1000.01798")}),
    ],
    ids=[
        "fill-missing",
        "fill-too-many",
        "time",
        "side",
        "price",
        "fee",
        "position",
        "profit",
        "balance",
        "currency-missing",
    ],
)
def test_whatever_differs_is_found(other: Run) -> None:
    """A difference anywhere in the books is a disagreement."""
    assert not agrees(compared(RUN, other))


def test_a_profit_that_both_have_wrong_is_found() -> None:
    """Two engines may share a mistake: the arithmetic does not."""
    wrong = attrs.evolve(RUN, net_pnl=Decimal(5))
    found = compared(wrong, wrong)
    assert 0.0 == found["net_pnl_off"]
    assert not agrees(found)


def test_the_arithmetic_follows_a_position_that_turns() -> None:
    """What is closed is settled at the average cost; what is beyond it opens the other way."""
    fills = [
        traded(1, "buy", "1", "100"),
        traded(2, "buy", "1", "110", "0.5"),  # holds 2 at 105
        traded(3, "sell", "3", "120"),  # 30, and short 1 at 120
        traded(4, "buy", "1", "125"),  # -5
    ]
    assert Decimal("24.5") == net_pnl(fills)


def test_examples_of_what_differs_are_few() -> None:
    """Thousands of differing fills are counted, and a few told."""
    found = compared(RUN, attrs.evolve(RUN, fills=[traded(0, "buy", "1", "1")] * 1_000))
    assert 1_000 == found["fills_differing"]
    assert 3 == len(found["examples"])
