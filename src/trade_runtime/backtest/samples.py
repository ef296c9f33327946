"""The course of the account: samples at even steps of the history's time, thinned to a bound."""

from __future__ import annotations

from collections import defaultdict

from trade_runtime.backtest.result import Sample
from trade_runtime.machines.alarms import on_the_beat
from trade_runtime.machines.ledger import Ledger
from trade_runtime.managers.prices import Prices
from trade_runtime.model.ids import Currency

FIRST_STEP_NS = 100_000_000
"""The step that sampling begins with. It doubles whenever there are too many samples."""


class Sampler:
    """Takes samples as the history goes on.

    Args:
        prices: the markets.
        ledger: the positions.
        most: how many samples are kept.
    """

    def __init__(self, prices: Prices, ledger: Ledger, most: int) -> None:
        self.samples: list[Sample] = []
        self.next_ns = 0
        """The next sample is due with the first event at or after this."""
        self._prices = prices
        self._ledger = ledger
        self._most = most
        self._step_ns = FIRST_STEP_NS

    def take(self, now_ns: int) -> None:
        """Take a sample of what is."""
        if len(self.samples) >= self._most:
            del self.samples[1::2]
            self._step_ns *= 2
        self.samples.append(self._sample(now_ns))
        self.next_ns = on_the_beat(now_ns, self._step_ns)

    def _sample(self, now_ns: int) -> Sample:
        instruments = self._prices.instruments
        mids = {
            one: view.quote.mid
            for one, view in self._prices.views.items()
            if view.quote is not None
        }
        pnl: dict[Currency, float] = defaultdict(float)
        held = dict.fromkeys(instruments, 0.0)
        for position in self._ledger:
            rules = instruments[position.instrument]
            quantity = float(position.quantity)
            held[position.instrument] += quantity
            pnl[rules.quote] += float(position.realised)
            if quantity and position.instrument in mids:
                gain = mids[position.instrument] - float(position.average_price)
                pnl[rules.quote] += gain * quantity * float(position.multiplier)
            for currency, fee in position.fees.items():
                pnl[currency] -= float(fee)
        return Sample(now_ns, dict(pnl), held, mids)
