"""The benchmark's strategy for trade_runtime: what `nautilus_v1.py` and `nautilus_v2.py` do."""

from __future__ import annotations

from trade_runtime import Quote, Strategy


class Cross(Strategy):
    """Two averages of the mid, and a market order every so many quotes, in turn buy and sell."""

    def on_start(self) -> None:
        """Begin."""
        self.every, self.n, self.fast, self.slow = self.params["every"], 0, 0.0, 0.0
        self.buys = True

    def on_quote(self, quote: Quote) -> None:
        """Follow the market, and trade by the count."""
        mid = (quote.bid + quote.ask) * 0.5
        if not self.n:
            self.fast = self.slow = mid
        self.fast += (mid - self.fast) * 0.18
        self.slow += (mid - self.slow) * 0.06
        self.n += 1
        if self.every and self.n % self.every == 0:
            side = "buy" if self.buys else "sell"
            self.buys = not self.buys
            self.trader.market(quote.instrument, side, "0.01")
