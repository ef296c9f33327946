"""What the `options` of a `[[backtest.data]]` table say, by their rules; an unknown one is refused.

Stands below every format of the package.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from trade_runtime.errors import DataError
from trade_runtime.protocols import HistoryQuery
from trade_runtime.spelling import did_you_mean


def check_options(query: HistoryQuery, known: Collection[str]) -> None:
    """Refuse an option that the format does not know.

    Raises:
        DataError: with what there is.
    """
    for name in query.options:
        if name not in known:
            raise DataError(
                f'{query.path}: no option "{name}"{did_you_mean(name, known) or "."}'
                f" There are for {query.kind}: {', '.join(sorted(known))}"
            )


MIN_BAR_SECS = 1e-9
MAX_BAR_SECS = 31_622_400
"""The shortest bar and the longest, a leap year, in seconds."""


def bar_length_ns(query: HistoryQuery) -> int | None:
    """Return the option `bar_secs` in nanoseconds; None without it.

    Raises:
        DataError: no bar is so short, or so long.
    """
    secs = number_of(query, "bar_secs")
    if secs is None:
        return None
    if not MIN_BAR_SECS <= secs <= MAX_BAR_SECS:
        raise DataError(
            f"{query.path}: the option bar_secs must be from {MIN_BAR_SECS:g} to"
            f" {MAX_BAR_SECS}, got {secs:g}"
        )
    return round(secs * 1e9)


def text_of(query: HistoryQuery, name: str, default: str, choices: Collection[str] = ()) -> str:
    """Return an option that is text, of `choices` if there are any.

    Raises:
        DataError: it is something else.
    """
    value: Any = query.options.get(name, default)
    if not isinstance(value, str) or (choices and value not in choices):
        rule = f"one of {', '.join(sorted(choices))}" if choices else "text"
        raise DataError(f"{query.path}: the option {name} must be {rule}, got {value!r}")
    return value


def number_of(query: HistoryQuery, name: str) -> float | None:
    """Return an option that is a number above 0, also where it is written as text; None without it.

    Raises:
        DataError: it is something else.
    """
    value: Any = query.options.get(name)
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise DataError(
            f"{query.path}: the option {name} must be a finite number above 0, got {value!r}"
        )
    return number
