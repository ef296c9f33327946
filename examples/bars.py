"""Trading on bars: one decision at the end of each.

    [[strategies]]
    name = "bars"
    class = "bars.py:ThreeBars"
    instruments = ["ETHUSDT.paper"]
    params = { size = "0.1" }
    bar_secs = 60.0

It buys after three bars that closed higher than they opened, and sells after three that did not.
"""

from decimal import Decimal

from trade_runtime import Bar, Side, Strategy


class ThreeBars(Strategy):
    """Follows three bars of one colour."""

    def on_start(self) -> None:
        """Count from the first whole bar of this run; a position of an earlier run is kept."""
        self.size = Decimal(self.params["size"])
        self.run_length = 0
        self.trader.cancel_all()

    def on_bar(self, bar: Bar) -> None:
        """Act when a bar has ended. What the runtime refuses here is logged, and that is all."""
        rising = bar.close > bar.open
        same_way = (self.run_length > 0) == rising
        self.run_length = (self.run_length if same_way else 0) + (1 if rising else -1)
        held = self.trader.closable(bar.instrument)
        if self.trader.open_orders(bar.instrument) and not held:
            return  # the last order is still under way
        if self.run_length >= 3 and not held:
            self.trader.market(bar.instrument, Side.BUY, self.size)
        elif self.run_length <= -3 and held > 0:
            self.trader.market(bar.instrument, Side.SELL, held, reduce_only=True)
