"""Round trips: from flat to flat, or through zero, by strategy and instrument."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import attrs

from trade_runtime.backtest.result import BookedFill
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.orders import ZERO


@attrs.define
class RoundTrip:
    """A position from its opening to its end.

    Attributes:
        strategy: whose.
        instrument: of what.
        side: `long` or `short`.
        opened_ns: when it left zero.
        closed_ns: when it came back.
        quantity: the largest that it was.
        realised: the profit, in the quote currency, before fees.
        fees: what was paid in the quote currency.
        fills: how many made it.
    """

    strategy: StrategyName
    instrument: InstrumentId
    side: str
    opened_ns: int
    closed_ns: int = 0
    quantity: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0

    @property
    def net(self) -> Decimal:
        """The profit less the fees that were paid in the quote currency."""
        return self.realised - self.fees


def round_trips(fills: Iterable[BookedFill], quotes: dict[InstrumentId, str]) -> list[RoundTrip]:
    """Return every position that was closed, in the order of their ends.

    A fill that takes a position through zero ends one and opens the next; its fee is the first's.

    Args:
        fills: every fill, oldest first.
        quotes: the quote currency of each instrument.
    """
    open_ones: dict[tuple[StrategyName, InstrumentId], RoundTrip] = {}
    before: dict[tuple[StrategyName, InstrumentId], Decimal] = {}
    ended: list[RoundTrip] = []
    for booked in fills:
        fill, key = booked.fill, (booked.strategy, booked.fill.instrument)
        held, now = before.get(key, ZERO), booked.position
        before[key] = now
        trip = open_ones.get(key)
        if trip is None:
            trip = open_ones[key] = _opened(booked)
        trip.fills += 1
        trip.realised += booked.realised
        if fill.fee_currency == quotes[fill.instrument]:
            trip.fees += fill.fee
        trip.quantity = max(trip.quantity, abs(held), abs(now) if held * now >= 0 else ZERO)
        if not now or held * now < 0:
            trip.closed_ns = fill.ts_ns
            ended.append(trip)
            del open_ones[key]
            if now:
                open_ones[key] = _opened(booked)
                open_ones[key].quantity = abs(now)
    return ended


def _opened(booked: BookedFill) -> RoundTrip:
    side = "long" if booked.position > 0 else "short"
    return RoundTrip(booked.strategy, booked.fill.instrument, side, booked.fill.ts_ns)
