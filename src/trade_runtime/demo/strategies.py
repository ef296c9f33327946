"""The strategies of the demo, in both styles: `Maker` by handlers, `Trend` as a task.

They are there to be read. Both survive any restart: an order or a position of an earlier process is
found by what the trader says, never by what the strategy itself remembers.
"""

from __future__ import annotations

from decimal import Decimal

import trio

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import Side
from trade_runtime.strategy import Strategy

REFUSED_WAIT_SECS = 1.0
"""How long a refused order is not tried again."""


class Maker(Strategy):
    """Keeps post-only bids and asks around the middle of the market.

    Params:
        size: of each order, in the base currency.
        levels: orders a side.
        spread_bps: between the best bid and ask of its own; levels lie half of it apart.
        max_position: beyond which the side that would add to it rests.
    """

    def on_start(self) -> None:
        """Begin with an empty book: what an earlier run left there has prices of then."""
        self.size = Decimal(self.params["size"])
        self.max_position = Decimal(self.params["max_position"])
        self.half_spread = self.params["spread_bps"] / 20_000
        self.resting: dict[tuple[Side, int], Order] = {}
        self.trader.cancel_all()

    def on_quote(self, quote: Quote) -> None:
        """Move what is no longer where it should be."""
        rules = self.trader.instrument(quote.instrument)
        position = self.trader.position(quote.instrument).quantity
        step = quote.mid * self.half_spread
        for side in Side:
            wanted = position * side.sign < self.max_position
            for level in range(self.params["levels"]):
                price = quote.mid - side.sign * step * (1 + level)
                on_tick = rules.round_price(price, up=side is Side.SELL)
                order = self.resting.get((side, level))
                if order is None or not order.is_live:
                    if wanted:
                        self._quote((side, level), quote.instrument, on_tick)
                elif not wanted or abs((order.price or on_tick) - on_tick) > step:
                    self.trader.cancel(order)

    def _quote(self, place: tuple[Side, int], instrument: InstrumentId, price: Decimal) -> None:
        try:
            self.resting[place] = self.trader.limit(
                instrument, place[0], self.size, price, post_only=True
            )
        except OrderRefused as refused:  # the next quote brings the next chance
            self.trader.log.debug("Not quoting", reason=refused.reason, detail=refused.detail)

    def on_stale(self, instrument: InstrumentId) -> None:
        """Quote nothing into a market that cannot be seen."""
        self.trader.cancel_all(instrument)


class Trend(Strategy):
    """Buys when a fast average of the price crosses above a slow one; sells when it falls below.

    Params:
        size: in the base currency.
        fast, slow: the lengths of the averages, in quotes.
        stop_pct: how far below each fill its stop-loss is placed.
    """

    def on_start(self) -> None:
        """Go on with the position of an earlier run; its stop-loss rests at the venue."""
        (self.instrument,) = self.instruments
        self.events = self.trader.order_events()
        self.trader.cancel_all()
        position = self.trader.position(self.instrument)
        if position.quantity:
            self.trader.log.info("Going on with a position", quantity=str(position.quantity))

    async def run(self) -> None:
        """Trade the crossings, one order at a time."""
        averages = Averages(self.params["fast"], self.params["slow"])
        async for quote in self.trader.quotes(self.instrument):
            trend = averages.add(quote.mid)
            position = self.trader.position(self.instrument)
            try:
                if trend > 0 and not position.quantity:
                    await self._buy()
                elif trend < 0 and position.quantity > 0:
                    await self._done(
                        self.trader.market(
                            self.instrument, Side.SELL, position.quantity, reduce_only=True
                        )
                    )
            except OrderRefused as refused:
                self.trader.log.warning("No order", reason=refused.reason, detail=refused.detail)
                await trio.sleep(REFUSED_WAIT_SECS)

    async def _buy(self) -> None:
        """Buy, and protect what was bought at the venue, where it outlives this process."""
        order = await self._done(self.trader.market(self.instrument, Side.BUY, self.params["size"]))
        if order.average_price is not None:
            rules = self.trader.instrument(self.instrument)
            trigger = order.average_price * (1 - Decimal(self.params["stop_pct"]) / 100)
            self.trader.stop_loss(
                self.instrument, Side.SELL, order.filled, rules.round_price(trigger, up=False)
            )

    async def _done(self, order: Order) -> Order:
        """Return an order when it has ended."""
        async for event in self.events:
            if event.order is order and order.ended:
                break
        return order


class Averages:
    """Two exponential averages of a price.

    Args:
        fast: length of the one, in prices.
        slow: length of the other.
    """

    def __init__(self, fast: int, slow: int) -> None:
        self._weights = 2 / (fast + 1), 2 / (slow + 1)
        self._fast = self._slow = 0.0
        self._missing = slow

    def add(self, price: float) -> int:
        """Take a price; return 1 in an upward trend, -1 in a downward one, 0 while unknown."""
        if not self._slow:
            self._fast = self._slow = price
        self._fast += self._weights[0] * (price - self._fast)
        self._slow += self._weights[1] * (price - self._slow)
        self._missing = max(0, self._missing - 1)
        return 0 if self._missing else (self._fast > self._slow) - (self._fast < self._slow)
