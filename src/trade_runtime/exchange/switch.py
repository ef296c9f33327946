"""The dead-man's switch: the exchange cancels by itself what nobody has told it to keep.

The time runs by the exchange's own timer, whatever its clock of the day says. What it cancels is
for the face to say: some venues take waiting stops too, of others it is not documented.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.views import Order

MAX_COUNTDOWN_SECS = 86_400
"""A longer countdown is none."""


class Switches:
    """The countdowns of an account: one for each symbol, or one for all of them.

    Args:
        exchange: whose orders are cancelled.
        spares: tells of an order that it outlives the firing.
    """

    def __init__(self, exchange: Exchange, spares: Callable[[Order], bool] | None = None) -> None:
        self._exchange = exchange
        self.spares: Callable[[Order], bool] = spares or (lambda _: False)
        self._due: dict[str | None, float] = {}
        self._changed = trio.Event()

    def arm(self, symbol: str | None, secs: float) -> None:
        """Start the countdown of a symbol, or of the account (None), anew; 0 stops it."""
        record = self._exchange.record
        if secs <= 0:
            self._due.pop(symbol, None)
            record.write("switch_disarmed", symbol=symbol)
        else:
            self._due[symbol] = trio.current_time() + min(secs, MAX_COUNTDOWN_SECS)
            record.write("switch_armed", symbol=symbol, secs=secs)
        self._changed.set()

    def armed(self) -> dict[str, float]:
        """Return the seconds left of each countdown, by symbol; empty for that of the account."""
        now = trio.current_time()
        return {symbol or "": max(due - now, 0) for symbol, due in self._due.items()}

    async def run(self) -> None:
        """Fire when a countdown ends, and stay off after that. Never returns."""
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(min(self._due.values(), default=float("inf"))):
                await self._changed.wait()
            now = trio.current_time()
            for symbol in [one for one, due in self._due.items() if due <= now]:
                del self._due[symbol]
                self._fire(symbol)

    def _fire(self, symbol: str | None) -> None:
        exchange = self._exchange
        exchange.record.write("switch_fired", symbol=symbol)
        for order in exchange.open_orders(symbol):
            live = exchange.order(order.order_id)
            if live is not None and live.open and not self.spares(live):
                exchange.cancel(live, reason="the countdown ended")
