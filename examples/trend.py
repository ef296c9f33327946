"""A trend follower in the async style: a task of its own that waits for what it needs.

    [[strategies]]
    name = "trend"
    class = "trend.py:Trend"
    instruments = ["ETHUSDT.paper"]
    params = { size = "0.1", lookback = 200, stop_pct = "1.5" }

It buys when the price is at its highest of the last `lookback` quotes, sells when it is at its
lowest, and protects what it bought with a stop-loss `stop_pct` percent below.
"""

from collections import deque
from decimal import Decimal

import trio

from trade_runtime import Order, OrderRefused, Side, Strategy


class Trend(Strategy):
    """Holds a position while the price makes new highs."""

    def on_start(self) -> None:
        """Listen before anything is placed, so that no event is missed; cancel what was left."""
        (self.instrument,) = self.instruments
        self.events = self.trader.order_events()
        self.trader.cancel_all()

    async def run(self) -> None:
        """Trade for ever. A stop of the runtime cancels this first of all."""
        prices: deque[float] = deque(maxlen=self.params["lookback"])
        async for quote in self.trader.quotes(self.instrument):  # always the newest one
            prices.append(quote.mid)
            if len(prices) < self.params["lookback"]:
                continue
            held = self.trader.closable(self.instrument)
            try:
                if not held and quote.mid >= max(prices):
                    await self.enter()
                elif held > 0 and quote.mid <= min(prices):
                    await self.ended(
                        self.trader.market(self.instrument, "sell", held, reduce_only=True)
                    )
            except OrderRefused as refused:
                self.trader.log.warning("No order", reason=refused.reason, detail=refused.detail)
                await trio.sleep(1)

    async def enter(self) -> None:
        """Buy; what was bought is protected at the venue, where the stop outlives this process."""
        bought = await self.ended(
            self.trader.market(self.instrument, Side.BUY, self.params["size"])
        )
        if bought.average_price is not None:
            trigger = bought.average_price * (1 - Decimal(self.params["stop_pct"]) / 100)
            price = self.trader.instrument(self.instrument).round_price(trigger, up=False)
            self.trader.stop_loss(self.instrument, Side.SELL, bought.filled, price)

    async def ended(self, order: Order) -> Order:
        """Return an order once nothing more can come of it."""
        async for event in self.events:
            if event.order is order and not order.is_live:
                break
        return order
