"""The usual ratios of a year, by `empyrical`, over the profit at the end of each day (UTC).

They are taken against what the account held of the quote currency at first. Where they would say
nothing there are none, and a sentence says why: a year made of minutes, days that nobody sampled,
an account that was lost. The day that the history begins in and the one that it ends in count as
whole days; the rate that money earns without risk is taken as 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Final

from trade_runtime.backtest.result import Result, Sample
from trade_runtime.machines.pace import DAY_NS
from trade_runtime.model.ids import Currency

MIN_RATIO_DAYS: Final = 20
"""Days of a history from which on ratios by the year are given."""

DAYS_OF_A_YEAR: Final = 365
"""The markets that this is made for trade every day."""

RATIOS: Final = ("cagr", "volatility", "sharpe", "sortino", "calmar")


def ratios_of(
    result: Result, currency: Currency, start: float
) -> tuple[dict[str, float | None], str]:
    """Return each of `RATIOS`, None where it is not defined, and why there are none at all.

    Args:
        result: of the backtest.
        currency: the quote currency whose profit it is about.
        start: what the accounts held of it at first.
    """
    none = dict.fromkeys(RATIOS, None)
    days = (result.ended_ns - result.started_ns) / DAY_NS
    if start <= 0:
        return none, f"the accounts held no {currency} at first: there is no base for ratios"
    if days < MIN_RATIO_DAYS:
        return none, f"the history is shorter than {MIN_RATIO_DAYS} days: ratios would say nothing"
    if len(result.samples) < days:
        return none, "there are fewer samples than days: raise backtest.samples for ratios"
    by_day = _by_day(result.samples, currency, start)
    if min(by_day) <= 0:  # the return on less than nothing has the wrong sign
        return none, f"the account lost all the {currency} that it began with: there are no ratios"
    import empyrical  # noqa: PLC0415 - only a report needs it
    import pandas as pd  # noqa: PLC0415

    returns = pd.Series(by_day).pct_change().dropna()
    measures = {
        "cagr": empyrical.cagr,
        "volatility": empyrical.annual_volatility,
        "sharpe": empyrical.sharpe_ratio,
        "sortino": empyrical.sortino_ratio,
        "calmar": empyrical.calmar_ratio,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a division by no deviation: the figure is then None
        found = {n: float(f(returns, annualization=DAYS_OF_A_YEAR)) for n, f in measures.items()}
    return {n: v if math.isfinite(v) else None for n, v in found.items()}, ""


def _by_day(samples: Sequence[Sample], currency: Currency, start: float) -> list[float]:
    """Return the equity at first, and at the end of each day; a day without samples is the last."""
    last: dict[int, float] = {}
    for sample in samples:
        last[sample.ts_ns // DAY_NS] = start + sample.pnl.get(currency, 0.0)
    equity = [start]
    for day in range(min(last), max(last) + 1):
        equity.append(last.get(day, equity[-1]))
    return equity
