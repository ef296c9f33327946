"""Every figure of a report, worked out once: the JSON and the page show these.

Money is exact; how far the profit fell, and the ratios, are floats over the samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from trade_runtime.backtest.report.ratios import ratios_of
from trade_runtime.backtest.report.trips import RoundTrip, round_trips
from trade_runtime.backtest.result import BookedFill, Result
from trade_runtime.backtest.summary import as_json
from trade_runtime.model.ids import Currency
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO

SCHEMA: Final = 1


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
    def average_won(self) -> Decimal | None:
        """What a winner made on average, net."""
        return self.gross_won / self.won if self.won else None

    @property
    def average_lost(self) -> Decimal | None:
        """What one of the others lost on average, net; not below 0."""
        return self.gross_lost / (self.trips - self.won) if self.trips > self.won else None

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
            "average_won": None if self.average_won is None else text(self.average_won),
            "average_lost": None if self.average_lost is None else text(self.average_lost),
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
    ratios, why = ratios_of(result, currency, float(start))
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
