"""Every figure of a report, worked out once: the JSON and the page show these.

Money is exact. The usual ratios come from `empyrical`, over the profit at the end of each day (UTC)
against what the account held of the quote currency at first; a history of fewer than
`MIN_RATIO_DAYS` gives none, since a year made of minutes says nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from trade_runtime.backtest.report.trips import RoundTrip, round_trips
from trade_runtime.backtest.result import BookedFill, Result, Sample
from trade_runtime.backtest.summary import as_json, text
from trade_runtime.model.ids import Currency
from trade_runtime.model.orders import ZERO

SCHEMA: Final = 1

MIN_RATIO_DAYS: Final = 20
"""Days of a history from which on ratios by the year are given."""

DAYS_OF_A_YEAR: Final = 365
"""The markets that this is made for trade every day."""

DAY_NS: Final = 86_400 * 10**9

RATIOS: Final = ("cagr", "volatility", "sharpe", "sortino", "calmar")


@attrs.frozen
class MoneyFigures:
    """What a quote currency came to.

    Attributes:
        realised: before fees.
        unrealised: at the last prices, before fees.
        fees: that were paid in it.
        start: what the accounts held of it at first; 0 where nothing.
        max_drawdown: how far the profit fell at most from its highest, as sampled.
        max_drawdown_pct: the same of the account at that height, or None without a start.
        trips: round trips that ended.
        won: those that made more than their fees.
        gross_won: what they made, net.
        gross_lost: what the others lost, net; not below 0.
        hold_secs: how long a round trip took on average, or None.
        ratios: by name, or None where there is none.
        no_ratios: why there are none; empty where there are.
    """

    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    start: Decimal
    max_drawdown: float
    max_drawdown_pct: float | None
    trips: int
    won: int
    gross_won: Decimal
    gross_lost: Decimal
    hold_secs: float | None
    ratios: Mapping[str, float | None]
    no_ratios: str

    @property
    def net(self) -> Decimal:
        """What is left: realised and unrealised, less the fees."""
        return self.realised + self.unrealised - self.fees

    @property
    def win_rate(self) -> float | None:
        """The share of round trips that won, in per cent."""
        return 100 * self.won / self.trips if self.trips else None

    @property
    def profit_factor(self) -> float | None:
        """What the winners made for each unit that the others lost."""
        return float(self.gross_won / self.gross_lost) if self.gross_lost else None

    def as_json(self) -> dict[str, Any]:
        """Return it for the JSON; money as exact text."""
        return {
            "net_pnl": text(self.net),
            "realised_pnl": text(self.realised),
            "unrealised_pnl": text(self.unrealised),
            "fees": text(self.fees),
            "start_balance": text(self.start),
            "max_drawdown": self.max_drawdown,
            "max_drawdown_pct": self.max_drawdown_pct,
            "round_trips": self.trips,
            "won": self.won,
            "win_rate_pct": self.win_rate,
            "gross_won": text(self.gross_won),
            "gross_lost": text(self.gross_lost),
            "profit_factor": self.profit_factor,
            "average_hold_secs": self.hold_secs,
            "ratios": dict(self.ratios),
            "no_ratios": self.no_ratios,
        }


@attrs.frozen
class PartFigures:
    """What a strategy, or an instrument, did.

    Attributes:
        fills: how many.
        bought: the notional of its buys, by quote currency.
        sold: that of its sells.
        realised: before fees.
        fees: by the currency that they were paid in.
    """

    fills: int
    bought: Mapping[Currency, Decimal]
    sold: Mapping[Currency, Decimal]
    realised: Mapping[Currency, Decimal]
    fees: Mapping[Currency, Decimal]

    def as_json(self) -> dict[str, Any]:
        """Return it for the JSON."""
        named = ("bought", "sold", "realised", "fees")
        money = {n: {c: text(v) for c, v in getattr(self, n).items()} for n in named}
        return {"fills": self.fills, **money}


@attrs.frozen
class Figures:
    """All figures of one backtest.

    Attributes:
        result: what they are of, as `backtest --json` gives it.
        started_ns: the first event.
        ended_ns: the last.
        by_currency: by quote currency.
        by_strategy: by name.
        by_instrument: by id.
        trips: every round trip that ended.
    """

    result: Mapping[str, Any]
    started_ns: int
    ended_ns: int
    by_currency: Mapping[Currency, MoneyFigures]
    by_strategy: Mapping[str, PartFigures]
    by_instrument: Mapping[str, PartFigures]
    trips: list[RoundTrip]

    def as_json(self) -> dict[str, Any]:
        """Return the content of `report.json`."""
        return {
            "schema": SCHEMA,
            **self.result,
            "started_ns": self.started_ns,
            "ended_ns": self.ended_ns,
            "by_currency": {name: one.as_json() for name, one in self.by_currency.items()},
            "by_strategy": {name: one.as_json() for name, one in self.by_strategy.items()},
            "by_instrument": {name: one.as_json() for name, one in self.by_instrument.items()},
        }


def figures_of(result: Result) -> Figures:
    """Work out every figure of a result."""
    trips = round_trips(result.fills, dict(result.quotes))
    return Figures(
        result={
            "runtime": result.runtime,
            "reason": result.reason,
            **as_json(result),
            "start_balances": {n: text(v) for n, v in result.start_balances.items()},
            "latch": result.latch,
            "strategies": [attrs.asdict(strategy) for strategy in result.strategies],
        },
        started_ns=result.started_ns,
        ended_ns=result.ended_ns,
        by_currency={currency: _money(result, currency, trips) for currency in result.realised_pnl},
        by_strategy=_parts(result, lambda booked: str(booked.strategy)),
        by_instrument=_parts(result, lambda booked: str(booked.fill.instrument)),
        trips=trips,
    )


def _money(result: Result, currency: Currency, trips: list[RoundTrip]) -> MoneyFigures:
    own = [trip for trip in trips if result.quotes[trip.instrument] == currency]
    start = result.start_balances.get(currency, ZERO)
    won = [trip.net for trip in own if trip.net > 0]
    lost = [trip.net for trip in own if trip.net <= 0]
    held = [trip.closed_ns - trip.opened_ns for trip in own]
    ratios, why = _ratios(result, currency, float(start))
    return MoneyFigures(
        realised=result.realised_pnl[currency],
        unrealised=result.unrealised_pnl[currency],
        fees=result.fees.get(currency, ZERO),
        start=start,
        max_drawdown=result.max_drawdown(currency),
        max_drawdown_pct=_drawdown_pct(result.samples, currency, float(start)),
        trips=len(own),
        won=len(won),
        gross_won=sum(won, ZERO),
        gross_lost=-sum(lost, ZERO),
        hold_secs=sum(held) / len(held) / 1e9 if held else None,
        ratios=ratios,
        no_ratios=why,
    )


def _drawdown_pct(samples: Any, currency: Currency, start: float) -> float | None:
    if start <= 0:
        return None
    peak, deepest = start, 0.0
    for sample in samples:
        equity = start + sample.pnl.get(currency, 0.0)
        peak = max(peak, equity)
        deepest = max(deepest, (peak - equity) / peak)
    return 100 * deepest


def _ratios(
    result: Result, currency: Currency, start: float
) -> tuple[dict[str, float | None], str]:
    none = dict.fromkeys(RATIOS, None)
    days = (result.ended_ns - result.started_ns) / DAY_NS
    if start <= 0:
        return none, f"the accounts held no {currency} at first: there is no base for ratios"
    if days < MIN_RATIO_DAYS:
        return none, f"the history is shorter than {MIN_RATIO_DAYS} days: ratios would say nothing"
    import empyrical  # noqa: PLC0415 - only a report needs it
    import pandas as pd  # noqa: PLC0415

    equity = pd.Series(_by_day(result.samples, currency, start))
    returns = equity.pct_change().dropna()
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


def _by_day(samples: Any, currency: Currency, start: float) -> list[float]:
    """Return the equity at first, and at the end of each day; a day without samples is the last."""
    last: dict[int, float] = {}
    for sample in samples:
        last[sample.ts_ns // DAY_NS] = start + _pnl(sample, currency)
    equity = [start]
    for day in range(min(last), max(last) + 1):
        equity.append(last.get(day, equity[-1]))
    return equity


def _pnl(sample: Sample, currency: Currency) -> float:
    return sample.pnl.get(currency, 0.0)


def _parts(result: Result, name_of: Any) -> dict[str, PartFigures]:
    found: dict[str, dict[str, Any]] = {}
    for booked in result.fills:
        _count(found.setdefault(name_of(booked), _empty()), booked, result)
    return {name: PartFigures(**part) for name, part in found.items()}


def _empty() -> dict[str, Any]:
    return {"fills": 0, "bought": {}, "sold": {}, "realised": {}, "fees": {}}


def _count(part: dict[str, Any], booked: BookedFill, result: Result) -> None:
    fill = booked.fill
    quote = result.quotes[fill.instrument]
    notional = fill.price * fill.quantity * fill.multiplier
    part["fills"] += 1
    for kind, currency, amount in (
        ("bought" if fill.side.sign > 0 else "sold", quote, notional),
        ("realised", quote, booked.realised),
        ("fees", fill.fee_currency, fill.fee),
    ):
        part[kind][currency] = part[kind].get(currency, ZERO) + amount
