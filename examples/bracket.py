"""Orders that hang together: an entry with its exits, and changes to what rests.

    [[strategies]]
    name = "pullback"
    class = "bracket.py:Pullback"
    instruments = ["ETHUSDT.paper"]
    params = { size = "0.1", below_bps = 5, target_bps = 8, stop_bps = 20, patience_secs = 30 }

It bids twice for `size` below the market. One half leaves at a target or at a stop-loss, whichever
comes first: a bracket. The other half runs on until a stop-loss that trails the market by
`stop_bps` ends it. The bids follow a market that rises, and end by themselves after
`patience_secs`. Distances are in hundredths of a percent.
"""

from decimal import Decimal

from trade_runtime import Order, OrderRefused, Quote, Side, Strategy


class Pullback(Strategy):
    """Buys below the market; every bid carries its own way out."""

    def on_start(self) -> None:
        """Take up the bids that an earlier run left. Their exits are there too, as they were."""
        (self.instrument,) = self.instruments
        self.size = Decimal(self.params["size"])
        self.patience_ns = round(self.params["patience_secs"] * 1e9)
        self.bids = [order for order in self.trader.open_orders() if order.side is Side.BUY]

    def on_quote(self, quote: Quote) -> None:
        """Bid when nothing is held or under way; else have the bids follow."""
        try:
            if self.trader.open_orders():
                for bid in self.bids:
                    self.follow(bid, quote)
            elif not self.trader.closable(self.instrument):
                self.enter(quote)
        except OrderRefused as refused:
            self.trader.log.debug("No order", reason=refused.reason, detail=refused.detail)

    def enter(self, quote: Quote) -> None:
        """Bid twice. What protects a bid is on its way as soon as a part of it has filled."""
        price = self.off(quote.bid, -self.params["below_bps"])
        expire_ns = self.trader.now_ns() + self.patience_ns
        bracket = self.trader.bracket(
            self.instrument,
            Side.BUY,
            self.size,
            price=price,
            stop=self.off(float(price), -self.params["stop_bps"]),
            target=self.off(float(price), self.params["target_bps"]),
            tif="gtd",
            expire_ns=expire_ns,
        )
        runner = self.trader.limit(
            self.instrument, Side.BUY, self.size, price, tif="gtd", expire_ns=expire_ns
        )
        self.bids = [bracket.entry, runner]
        trail = price - self.off(float(price), -self.params["stop_bps"])
        self.trader.stop_loss(
            self.instrument, Side.SELL, self.size, price - trail, trail=trail, after=runner
        )

    def follow(self, bid: Order, quote: Quote) -> None:
        """Move a bid up that the market has left behind. Its place comes from the venue's word."""
        wanted = self.off(quote.bid, -self.params["below_bps"])
        behind = self.off(quote.bid, -2 * self.params["below_bps"])
        idle = bid.is_live and not bid.filled and bid.amending is None
        if idle and bid.price is not None and bid.price < behind:
            self.trader.amend(bid, price=wanted)

    def off(self, price: float, bps: float) -> Decimal:
        """Return a price so many hundredths of a percent off another, on the tick."""
        rules = self.trader.instrument(self.instrument)
        return rules.round_price(price * (1 + bps / 10_000), up=False)
