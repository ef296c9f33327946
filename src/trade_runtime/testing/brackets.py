"""The strategy of the bracket scenarios: one bracket after the other, and nothing to mend them.

Like those of the smoke scenario it tells the world what it asked for, and goes on from what it
finds. It looks after no exit: what becomes of one when the other fills is the runtime's business.
"""

from __future__ import annotations

from trade_runtime.errors import OrderRefused
from trade_runtime.model.market import Quote
from trade_runtime.strategy import Strategy
from trade_runtime.testing.smoke import Asked

QUANTITY = "1.2"
"""More than is displayed at a time, so that entries and exits fill in parts."""

STOP = 0.997
TARGET = 1.002


class Bracketeer(Strategy):
    """Enters at the ask, and leaves by a stop-loss below or a target above."""

    def __init__(self, asked: Asked) -> None:
        super().__init__("bracketeer", ["ETHUSDT.paper"])
        self._asked = asked

    def on_quote(self, quote: Quote) -> None:
        """Place a bracket whenever nothing is left of the one before."""
        trader, instrument = self.trader, self.instruments[0]
        exits = [o for o in trader.open_orders(instrument) if not o.spec.protective]
        held = trader.position(instrument).quantity
        try:
            if held and not exits:
                # A stop of the runtime has cancelled the target, and left the position.
                self._asked(trader.market(instrument, "sell", held, reduce_only=True))
            elif not held and not trader.open_orders(instrument):
                self._enter(quote)
        except OrderRefused:
            return

    def _enter(self, quote: Quote) -> None:
        rules = self.trader.instrument(self.instruments[0])
        made = self.trader.bracket(
            self.instruments[0],
            "buy",
            QUANTITY,
            price=quote.ask,
            stop=rules.round_price(quote.ask * STOP, up=False),
            target=rules.round_price(quote.ask * TARGET, up=True),
        )
        for order in (made.entry, made.stop, made.target):
            if order is not None:
                self._asked(order)
