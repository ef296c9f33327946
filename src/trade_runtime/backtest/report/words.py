"""Numbers as a person reads them on the page; the exact ones stand beside them, for machines."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

WHOLE_FROM: Final = 1_000
"""Amounts from here on are shown to the hundredth."""

FINE_BELOW: Final = 1
"""Amounts below are shown with `FINE_DECIMALS`, those between with `DECIMALS`."""

DECIMALS: Final = 4
FINE_DECIMALS: Final = 8

DASH: Final = "–"  # noqa: RUF001 - a dash, not a minus: there is no such number
"""What stands where there is no number."""

UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


def amount(number: Decimal | float | None) -> str:
    """Return money, or a quantity, with as many decimals as its size deserves."""
    if number is None:
        return DASH
    size = abs(float(number))
    if size >= WHOLE_FROM:
        return f"{number:,.2f}"
    shown = f"{number:.{FINE_DECIMALS if size < FINE_BELOW else DECIMALS}f}"
    shown = shown.rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def measure(number: float | None, unit: str = "") -> str:
    """Return a ratio or a share, with two decimals; very small ones with what they have."""
    if number is None:
        return DASH
    return (f"{number:,.2f}" if abs(number) >= 0.01 or not number else f"{number:.2g}") + unit


def span(secs: float | None) -> str:
    """Return a length of time in its two largest units."""
    if secs is None:
        return DASH
    if secs < 60:
        return f"{secs:.3g} s" if secs < 59.95 else "1 min"
    words: list[str] = []
    rest = round(secs)
    for unit, length in UNITS:
        count, rest = divmod(rest, length)
        if count or words:
            words.append(f"{count} {unit}")
    words.append(f"{rest} s")
    return " ".join(words[:2])
