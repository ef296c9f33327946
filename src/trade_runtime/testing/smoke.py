"""The strategies of the smoke scenario: small, of both styles, and busy.

Each tells the world which orders it asked for, so that an order that nobody asked for is known.
They go on from what they find: nothing in them survives a restart but the holder's count of its
fills, which is kept as its state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order
from trade_runtime.model.events import Fill
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import Side
from trade_runtime.strategy import Strategy

Asked = Callable[[Order], None]

QUOTE_EVERY = 7
"""The maker quotes anew with every so many quotes of the market."""

STOP_DISTANCE = Decimal("0.003")
TARGET = 1.003

RUNGS, RUNG_STEP = 4, 0.0012
"""Of a ladder of buys: how many, and how far apart, as a part of the price."""


class Maker(Strategy):
    """Quotes both sides at the best price, from plain handlers."""

    def __init__(self, asked: Asked) -> None:
        super().__init__("maker", ["ETHUSDT.paper"])
        self._asked = asked
        self._seen = 0

    def on_quote(self, quote: Quote) -> None:
        """Replace both quotes from time to time."""
        self._seen += 1
        if self._seen % QUOTE_EVERY == 1:
            self.trader.cancel_all()
            self._quote(Side.BUY, quote.bid)
            self._quote(Side.SELL, quote.ask)

    def on_stop(self, reason: str) -> None:
        """Try what must not be: an order after the halt."""
        last = self.trader.quote("ETHUSDT.paper")
        if last is not None:
            self._quote(Side.BUY, last.bid)

    def _quote(self, side: Side, price: float) -> None:
        try:
            self._asked(self.trader.limit(self.instruments[0], side, "0.4", price, post_only=True))
        except OrderRefused:
            return


class Taker(Strategy):
    """Buys with market orders, places its own stop-loss, sells at a target; a task of its own."""

    def __init__(self, asked: Asked) -> None:
        super().__init__("taker", ["ETHUSDT.paper"])
        self._asked = asked

    async def run(self) -> None:
        """Trade on each newest quote."""
        instrument = self.instruments[0]
        async for quote in self.trader.quotes(instrument):
            position = self.trader.position(instrument)
            busy = any(not o.spec.protective for o in self.trader.open_orders(instrument))
            try:
                if not busy and position.quantity == 0:
                    self._asked(self.trader.market(instrument, "buy", "1"))
                elif not busy and quote.bid > float(position.average_price) * TARGET:
                    self._exit(position.quantity)
            except OrderRefused:
                continue

    def _exit(self, quantity: Decimal) -> None:
        side = Side.SELL if quantity > 0 else Side.BUY
        self._asked(self.trader.market(self.instruments[0], side, abs(quantity), reduce_only=True))

    def on_fill(self, fill: Fill) -> None:
        """Protect what was bought, fill by fill."""
        if fill.side is Side.BUY and self.trader.position(fill.instrument).quantity > 0:
            rules = self.trader.instrument(fill.instrument)
            trigger = rules.round_price(fill.price * (1 - STOP_DISTANCE), up=False)
            try:
                self._asked(self.trader.stop_loss(fill.instrument, "sell", fill.quantity, trigger))
            except OrderRefused:
                return


class Holder(Strategy):
    """Builds a position in steps and takes a part back; whatever protects it, others place. Its
    state is how many fills it was ever told of.
    """

    def __init__(self, asked: Asked) -> None:
        super().__init__("holder", ["BTCUSDT.paper"])
        self._asked = asked
        self._seen = 0
        self._fills = 0

    def on_save(self) -> Mapping[str, Any]:
        """Keep the count."""
        return {"fills": self._fills}

    def on_load(self, state: Any) -> None:
        """Go on from it."""
        self._fills = state["fills"]

    def on_fill(self, fill: Fill) -> None:
        """Count."""
        self._fills += 1

    def on_quote(self, quote: Quote) -> None:
        """Buy at first, then add, then take back."""
        self._seen += 1
        instrument = self.instruments[0]
        if self.trader.position(instrument).quantity == 0:
            if self._seen % 10 == 1:
                self._order("market", "buy", "0.05")
        elif self._seen % 25 == 15:
            self._order("limit", "buy", "0.02", quote.ask)
        elif self._seen % 25 == 22:
            self._order("ioc", "sell", "0.03", quote.bid)

    def _order(self, how: str, side: str, quantity: str, price: float = 0.0) -> None:
        trader, instrument = self.trader, self.instruments[0]
        try:
            if how == "market":
                self._asked(trader.market(instrument, side, quantity))
            else:
                tif = "ioc" if how == "ioc" else "gtc"
                self._asked(trader.limit(instrument, side, quantity, price, tif=tif))
        except OrderRefused:
            return


class Ladder(Strategy):
    """Rests some buys below the market, and sells at once what one of them bought: mostly nothing
    rests in its instrument but entries.
    """

    def __init__(self, asked: Asked) -> None:
        super().__init__("ladder", ["SOLUSDT.paper"])
        self._asked = asked

    def on_quote(self, quote: Quote) -> None:
        """Fill the ladder up; close what is open."""
        trader, instrument = self.trader, self.instruments[0]
        resting = [o for o in trader.open_orders(instrument) if not o.spec.protective]
        held = trader.position(instrument).quantity
        try:
            if held > 0 and all(order.spec.tif != "ioc" for order in resting):
                self._asked(trader.limit(instrument, "sell", held, quote.bid, tif="ioc"))
            elif len(resting) < RUNGS:
                price = quote.bid * (1 - RUNG_STEP * (1 + len(resting)))
                price = float(trader.instrument(instrument).round_price(price, up=False))
                self._asked(trader.limit(instrument, "buy", "0.3", price))
        except OrderRefused:
            return
