"""What a backtest comes to: values alone, which the report and the command line read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import attrs
import msgspec

from trade_runtime.model.events import Fill
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName
from trade_runtime.model.orders import ZERO, OrderType


class BookedFill(msgspec.Struct, frozen=True, gc=False):
    """A fill, and what it did.

    Attributes:
        fill: the venue's word.
        strategy: whose order it was.
        order_type: how the order was matched.
        realised: the profit that it realised, in the quote currency, before fees.
        position: the strategy's position after it.
        average_price: of that position.
    """

    fill: Fill
    strategy: StrategyName
    order_type: OrderType
    realised: Decimal
    position: Decimal
    average_price: Decimal


class Sample(msgspec.Struct, frozen=True, gc=False):
    """The state of the account at a moment; floats, since it is only looked at.

    Attributes:
        ts_ns: when, by the history.
        pnl: by quote currency, the profit since the start: realised and unrealised, less the fees.
        positions: by instrument, what all strategies together hold.
        prices: by instrument, the middle of the market, or the last price.
    """

    ts_ns: int
    pnl: dict[Currency, float]
    positions: dict[InstrumentId, float]
    prices: dict[InstrumentId, float]


@attrs.frozen
class StrategyResult:
    """How a strategy fared: `outcome` is `stopped` or `failed`, `detail` says why."""

    name: StrategyName
    outcome: str
    detail: str


@attrs.frozen
class Result:
    """What a backtest comes to.

    Attributes:
        runtime: the name in the configuration.
        outcome: `complete`, or `interrupted` where it was stopped before the end of the history.
        reason: why it stopped.
        started_ns: the time of the first event; 0 where there was none.
        ended_ns: the time of the last event, or of the last request that was under way then.
        events: how many events of the history were handed on.
        orders: how many orders were taken.
        refused: how many were refused by the runtime.
        rejected: how many were rejected by the venue.
        fills: every fill, oldest first.
        engine_secs: wall time of the event loop alone; loading excluded.
        loading_secs: wall time of reading the history.
        positions: by instrument, what all strategies together hold at the end.
        realised_pnl: by quote currency, before fees.
        unrealised_pnl: by quote currency, at the last prices, before fees.
        fees: by the currency that they were paid in.
        balances: by currency, what the accounts hold at the end.
        start_balances: by currency, what they held at first.
        samples: the course of the account, thinned to a bounded number.
        strategies: one for each strategy.
        quotes: the quote currency of each instrument.
        latch: why trading was halted or restricted to the end; empty where it was not.
    """

    runtime: str
    outcome: str
    reason: str
    started_ns: int
    ended_ns: int
    events: int
    orders: int
    refused: int
    rejected: int
    fills: Sequence[BookedFill]
    engine_secs: float
    loading_secs: float
    positions: Mapping[InstrumentId, Decimal]
    realised_pnl: Mapping[Currency, Decimal]
    unrealised_pnl: Mapping[Currency, Decimal]
    fees: Mapping[Currency, Decimal]
    balances: Mapping[Currency, Decimal]
    start_balances: Mapping[Currency, Decimal]
    samples: Sequence[Sample]
    strategies: Sequence[StrategyResult]
    quotes: Mapping[InstrumentId, Currency]
    latch: str = ""

    @property
    def us_per_event(self) -> float:
        """Microseconds of the event loop for each event."""
        return self.engine_secs / self.events * 1e6 if self.events else 0.0

    def net_pnl(self, currency: Currency) -> Decimal:
        """Return the profit in a quote currency: realised and unrealised, less the fees in it."""
        gained = self.realised_pnl[currency] + self.unrealised_pnl[currency]
        return gained - self.fees.get(currency, ZERO)

    def max_drawdown(self, currency: Currency) -> float:
        """Return how far the profit in `currency` fell at most from its highest, as sampled."""
        peak = fall = 0.0
        for sample in self.samples:
            pnl = sample.pnl.get(currency, 0.0)
            peak = max(peak, pnl)
            fall = max(fall, peak - pnl)
        return fall
