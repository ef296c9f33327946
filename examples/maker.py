"""A market maker in the plain style: handlers that the runtime calls as events come in.

    [[strategies]]
    name = "maker"
    class = "maker.py:Maker"
    instruments = ["ETHUSDT.paper"]
    params = { size = "0.05", spread_bps = 8 }

`size` is in the base currency, `spread_bps` the distance between its bid and its ask in hundredths
of a percent.
"""

from decimal import Decimal

from trade_runtime import Fill, Order, OrderRefused, Quote, Side, Strategy


class Maker(Strategy):
    """Keeps one bid and one ask around the middle of the market, and never takes."""

    def on_start(self) -> None:
        """Begin with an empty book, whatever an earlier run, or a crash, left in it."""
        self.size = Decimal(self.params["size"])
        self.half_spread = self.params["spread_bps"] / 20_000
        self.resting: dict[Side, Order] = {}
        self.trader.cancel_all()

    def on_quote(self, quote: Quote) -> None:
        """Move an order that is more than half the spread off its place."""
        rules = self.trader.instrument(quote.instrument)
        distance = quote.mid * self.half_spread
        for side in Side:
            wanted = rules.round_price(quote.mid - side.sign * distance, up=side is Side.SELL)
            order = self.resting.get(side)
            if order is None or not order.is_live:
                self.place(quote.instrument, side, wanted)
            elif order.price is not None and abs(order.price - wanted) > distance:
                self.trader.cancel(order)  # its successor follows once it is gone

    def place(self, instrument: str, side: Side, price: Decimal) -> None:
        """Place an order, unless the runtime is against it: a limit, stale data, a halt."""
        try:
            self.resting[side] = self.trader.limit(
                instrument, side, self.size, price, post_only=True
            )
        except OrderRefused as refused:
            self.trader.log.debug("Not quoting", reason=refused.reason, detail=refused.detail)

    def on_fill(self, fill: Fill) -> None:
        """Say so. The position has it already; its stop-loss is the runtime's affair."""
        position = self.trader.position(fill.instrument)
        self.trader.log.info(
            "Filled", side=fill.side, quantity=str(fill.quantity), position=str(position.quantity)
        )

    def on_stale(self, instrument: str) -> None:
        """Quote nothing into a market that cannot be seen."""
        self.trader.cancel_all(instrument)
