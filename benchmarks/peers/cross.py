"""The benchmark's strategy for trade_runtime: what `nautilus_v1.py` and `nautilus_v2.py` do."""

from __future__ import annotations

from decimal import Decimal

from trade_runtime import Quote, Side, Strategy


class Cross(Strategy):
    """Two averages of the mid, and an order every so many quotes; sizes come in turn.

    Params:
        every: so many quotes; 0 for no orders.
        sizes: of the orders, in turn, in the base currency; one below 0 sells.
        away: so many ticks below the bid, or above the ask, a limit order rests; 0 for market
            orders.
        alone: no order while another one rests.
    """

    def on_start(self) -> None:
        """Begin."""
        self.every, self.n, self.fast, self.slow = self.params["every"], 0, 0.0, 0.0
        sizes = [Decimal(size) for size in self.params["sizes"]]
        self.turns = [(Side.SELL if size < 0 else Side.BUY, abs(size)) for size in sizes]

    def on_quote(self, quote: Quote) -> None:
        """Follow the market, and trade by the count."""
        mid = (quote.bid + quote.ask) * 0.5
        if not self.n:
            self.fast = self.slow = mid
        self.fast += (mid - self.fast) * 0.18
        self.slow += (mid - self.slow) * 0.06
        self.n += 1
        if self.every and self.n % self.every == 0:
            if self.params["alone"] and self.trader.open_orders():
                return
            side, size = self.turns[self.n // self.every % len(self.turns) - 1]
            if not self.params["away"]:
                self.trader.market(quote.instrument, side, size)
                return
            far = self.params["away"] * self.trader.instrument(quote.instrument).tick
            near = Decimal(str(quote.bid if side is Side.BUY else quote.ask))
            self.trader.limit(quote.instrument, side, size, near - side.sign * far)
