"""Trading on indicators: two moving averages and a stop-loss by the range of the market.

    [[strategies]]
    name = "crossover"
    class = "indicators.py:Crossover"
    instruments = ["ETHUSDT.paper"]
    params = { size = "0.1", fast = 12, slow = 26, stop_ranges = 2.0 }
    bar_secs = 60.0
    warmup_bars = 100

It buys when the fast average is above the slow one, sells when it is below, and protects what it
bought with a stop-loss so many average true ranges below. The indicators are talipp's, which take
one bar at a time: `pip install talipp`. Any library that does so serves as well.
"""

from decimal import Decimal

from talipp.indicators import ATR, EMA
from talipp.ohlcv import OHLCV

from trade_runtime import Bar, Fill, Side, Strategy

KEPT = 1_000
"""Values that each indicator keeps. Left alone, talipp keeps all of them, and a run may last."""


class Crossover(Strategy):
    """Holds a position while the fast average is above the slow one."""

    def on_start(self) -> None:
        """Begin with empty indicators; the bars of the warm-up fill them."""
        (self.instrument,) = self.instruments
        self.size = Decimal(self.params["size"])
        self.fast = EMA(self.params["fast"])
        self.slow = EMA(self.params["slow"])
        self.range = ATR(self.params["slow"])
        self.trader.cancel_all()

    def on_bar(self, bar: Bar) -> None:
        """Feed the indicators with every bar, those from before this run first; act when live."""
        self.fast.add(bar.close)
        self.slow.add(bar.close)
        self.range.add(OHLCV(bar.open, bar.high, bar.low, bar.close, bar.volume))
        for indicator in (self.fast, self.slow, self.range):
            if len(indicator) >= 2 * KEPT:
                indicator.purge_oldest(KEPT)
        fast, slow = self.fast[-1], self.slow[-1]
        if self.trader.warming_up or fast is None or slow is None or self.range[-1] is None:
            return
        held = self.trader.closable(self.instrument)
        entries = [o for o in self.trader.open_orders() if not o.spec.protective]
        if fast > slow and not held and not entries:
            self.trader.market(self.instrument, Side.BUY, self.size)
        elif fast < slow and held > 0:
            self.trader.market(self.instrument, Side.SELL, held, reduce_only=True)

    def on_fill(self, fill: Fill) -> None:
        """Protect what was bought, at the venue, where the stop outlives this process."""
        if fill.side is Side.BUY:
            away = Decimal(str(self.params["stop_ranges"] * self.range[-1]))
            rules = self.trader.instrument(self.instrument)
            price = rules.round_price(fill.price - away, up=False)
            held = rules.round_quantity(fill.change)  # less a fee in what was bought
            self.trader.stop_loss(self.instrument, Side.SELL, held, price)
