"""Holds what two engines made of the same orders against each other, and against the arithmetic.

Neither engine knows of the other, so what both come to is no mistake of ours alone. Fills are
compared as they stand, exact; amounts of money to the last decimal that NautilusTrader keeps, and
the profit, which it rounds with each fill, as near as that leaves it. The profit is also compared
with what a third computation, in fractions that are never rounded, makes of the peer's fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import zip_longest
from typing import Any

from harness.backtests import Run, Traded

EXAMPLES = 3
"""Differing fills that are told in full."""

MONEY_STEP = Decimal("1e-8")
"""What NautilusTrader rounds an amount of USDT to."""


def compared(mine: Run, theirs: Run) -> dict[str, Any]:
    """Return how the runs differ: see docs/reference/benchmarks.md, which says what each key is."""
    own, others = sorted(mine.fills, key=_place), sorted(theirs.fills, key=_place)
    pairs = list(zip_longest(own, others))
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    currencies = mine.balances.keys() | theirs.balances.keys()
    zero = Decimal(0)
    found: dict[str, Any] = {
        "fills": len(others),
        "fills_differing": len(differing),
        "position_off": _off(mine.position, theirs.position),
        "net_pnl_off": _off(mine.net_pnl, theirs.net_pnl, slack=len(others) * MONEY_STEP / 2),
        "arithmetic_off": _off(mine.net_pnl, net_pnl(others)),
        "balances_off": max(
            abs(_off(mine.balances.get(one, zero), theirs.balances.get(one, zero)))
            for one in currencies
        ),
    }
    if differing:
        found["examples"] = [[str(side) for side in pair] for pair in differing[:EXAMPLES]]
    return found


def agrees(found: dict[str, Any]) -> bool:
    """Tell whether nothing differs."""
    return all(not found[key] for key in found if key.endswith(("_differing", "_off")))


def _off(mine: Decimal, theirs: Decimal, *, slack: Decimal = Decimal(0)) -> float:
    off = mine.quantize(MONEY_STEP) - theirs.quantize(MONEY_STEP)
    return float(off) if abs(off) > slack else 0.0


def _place(fill: Traded) -> tuple[Any, ...]:
    """Where a fill stands: by its time, and of one instant the best price first.

    The peers' books tell the fills of an instant in the order in which the orders were placed.
    """
    best = -fill.price if fill.side == "buy" else fill.price
    return fill.ts_ns, fill.side, best, fill.quantity


def net_pnl(fills: Sequence[Traded]) -> Decimal:
    """Return what the fills realised by the average cost of the position, less the fees."""
    held = cost = realised = Fraction(0)  # cost: what was paid for what is held
    for fill in fills:
        signed = Fraction(fill.quantity) * (1 if fill.side == "buy" else -1)
        price = Fraction(fill.price)
        if held * signed < 0:
            closed = min(abs(held), abs(signed)) * (1 if held > 0 else -1)
            realised += closed * (price - cost / held)
            cost -= closed * (cost / held)
            held -= closed
            signed += closed
        held += signed
        cost += signed * price
        realised -= Fraction(fill.fee)
    return (Decimal(realised.numerator) / Decimal(realised.denominator)).quantize(MONEY_STEP)
