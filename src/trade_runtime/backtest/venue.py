"""A simulated venue as the order manager sees it: commands go in now and arrive a latency later.

The wire is one for all venues, so that what is due in one nanosecond arrives in the order in which
it left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from functools import partial
from typing import TypeVar

from trade_runtime.backtest.clock import HistoryClock
from trade_runtime.machines.alarms import NEVER, Alarms
from trade_runtime.model.events import VenueEvent
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderSpec
from trade_runtime.protocols import Placed, Simulated

What = TypeVar("What", OrderSpec, ClientOrderId)
"""What a request is about."""


class Wire(Alarms):
    """What is under way to the venues, and the dates of the orders that rest there."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        """How many requests are under way; dates are none."""


class SimulatedVenue:
    """Order entry at `exchange`, by the clock of the history.

    Args:
        exchange: what it leads to.
        clock: the time of the history.
        wire: where what is under way waits.
        tell: takes what the exchange tells.
    """

    def __init__(
        self,
        exchange: Simulated,
        clock: HistoryClock,
        wire: Wire,
        tell: Callable[[VenueEvent], None],
    ) -> None:
        self.exchange = exchange
        self.capabilities = exchange.capabilities
        self._clock = clock
        self._wire = wire
        self._tell = tell
        self._latency_ns = exchange.latency_ns
        self._expiry_ns = NEVER
        self._dated = False
        """An order with a date was sent: from then on dates are watched."""

    def submit(self, order: OrderSpec) -> None:
        """Send a new order."""
        self._send(self.exchange.submit, order)
        if order.expire_ns:
            self._dated = True

    def cancel(self, order: Placed) -> None:
        """Send a cancel."""
        self._send(self.exchange.cancel, order.client_order_id)

    def amend(
        self,
        order: Placed,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Send new numbers for an order."""
        amend = partial(
            self.exchange.amend, quantity=quantity, price=price, trigger_price=trigger_price
        )
        self._send(amend, order.client_order_id)

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Learn the instruments to trade."""
        self.exchange.adopt(instruments)

    def on_quote(self, quote: Quote) -> None:
        """Match against a new best bid and ask, before the strategies see it."""
        if events := self.exchange.on_quote(quote):
            self._tell_all(events)

    def on_trade(self, trade: Trade) -> None:
        """Match against a trade, before the strategies see it."""
        if events := self.exchange.on_trade(trade):
            self._tell_all(events)

    def _send(self, request: Callable[[What], Iterable[VenueEvent]], what: What) -> None:
        self._wire.requests += 1
        self._wire.set(self._clock.ns + self._latency_ns, partial(self._land, request, what))

    def _land(
        self, request: Callable[[What], Iterable[VenueEvent]], what: What, now_ns: int
    ) -> None:
        # What has a date that came ends before what arrives: the exchange sees to that.
        self._wire.requests -= 1
        tell = self._tell
        for event in request(what):
            tell(event)
        if self._dated:
            self._watch_dates()

    def _on_date(self, now_ns: int) -> None:
        self._expiry_ns = NEVER
        self._tell_all(self.exchange.expire(now_ns))
        self._watch_dates()

    def _watch_dates(self) -> None:
        due_ns = self.exchange.next_expiry_ns
        if due_ns is not None and due_ns < self._expiry_ns:
            self._expiry_ns = due_ns
            self._wire.set(due_ns, self._on_date)

    def _tell_all(self, events: Iterable[VenueEvent]) -> None:
        tell = self._tell
        for event in events:
            tell(event)
