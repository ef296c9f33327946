"""A strategy that keeps orders resting and says when they all do. The stop benchmark runs it."""

from __future__ import annotations

from trade_runtime import Strategy
from trade_runtime.machines.order import OrderUpdate
from trade_runtime.model.market import Quote


class Resting(Strategy):
    """Places `params["orders"]` bids far below the market with the first quote."""

    placed = False
    rest = 0

    def on_quote(self, quote: Quote) -> None:
        """Place everything, once."""
        if self.placed:
            return
        self.placed = True
        for number in range(self.params["orders"]):
            price = f"{100 + number / 100:.2f}"
            self.trader.limit(quote.instrument, "buy", "0.01", price, post_only=True)
        self._tell()

    def on_order(self, event: OrderUpdate) -> None:
        """Count those that rest."""
        if event.kind == "accepted":
            self.rest += 1
            self._tell()

    def _tell(self) -> None:
        if self.rest == self.params["orders"]:
            print("ready", flush=True)
