"""What a venue must be: order entry, what it holds by itself, and its plug-in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

import attrs

from trade_runtime.model.events import Fill, VenueEvent
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderReport, OrderSpec, OrderType, Side, TimeInForce
from trade_runtime.protocols.world import Clock, Environment


class VenueSink(Protocol):
    """Where a venue's private events go. Plain calls."""

    def on_event(self, event: VenueEvent) -> None:
        """Take an event; it may be late, double or out of order."""


@attrs.frozen
class Capabilities:
    """What a venue holds by itself. What it does not, the runtime emulates or refuses.

    Attributes:
        types: the order types that rest and wake at the venue.
        tifs: how long its orders can rest.
        post_only: it can refuse an order rather than let it take.
        reduce_only: it holds an order to closing a position.
        amend: it can change an order that rests.
        amend_waiting: and one that waits for its trigger.
        oco: it knows `OrderSpec.oco`: orders of one group share what they lock, and each fill of
            one makes the others smaller by as much.
        max_stops: how many orders that wait for a trigger may rest in one instrument; None for as
            many as anybody wants.
    """

    types: frozenset[OrderType] = frozenset(OrderType)
    tifs: frozenset[TimeInForce] = frozenset(TimeInForce)
    post_only: bool = True
    reduce_only: bool = True
    amend: bool = True
    amend_waiting: bool = True
    oco: bool = False
    max_stops: int | None = None

    def amends(self, kind: OrderType) -> bool:
        """Whether it can change an order of this type while it rests."""
        return self.amend and (self.amend_waiting or not kind.waits)


class Placed(Protocol):
    """An order as it was placed: what a venue has to be told to find it. An `OrderSpec` is one, and
    so is an `OrderReport`.
    """

    @property
    def client_order_id(self) -> ClientOrderId: ...  # noqa: D102
    @property
    def instrument(self) -> InstrumentId: ...  # noqa: D102
    @property
    def side(self) -> Side: ...  # noqa: D102
    @property
    def type(self) -> OrderType: ...  # noqa: D102


class OrderEntry(Protocol):
    """What sends orders: commands go in by plain calls, and their outcome comes as events, or
    never.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it holds by itself."""

    def submit(self, order: OrderSpec) -> None:
        """Send a new order. The outcome comes as OrderAccepted, OrderRejected or a fill, or never.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """

    def cancel(self, order: Placed) -> None:
        """Ask for a cancel. The outcome comes as OrderClosed or CancelRejected, or never.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """

    def amend(
        self,
        order: Placed,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Ask for an order to be changed to these numbers; one whose type has none gets None.

        The outcome comes as OrderAmended, AmendRejected or OrderClosed, or never. A quantity at or
        below what is filled ends the order.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """


class Venue(OrderEntry, Protocol):
    """Order entry at one venue: commands go in by plain calls, events come out through the sink.

    An outcome may never come. Who called decides by its own deadline that it is unknown, and asks
    `order()`; the same intent is never submitted again.
    """

    @property
    def settle_secs(self) -> float:
        """For how long after a submit "no such order" proves nothing."""

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return every order that rests at the venue on this account, whoever placed it.

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def order(self, order: Placed) -> OrderReport | None:
        """Return the venue's view of an order, or None where it knows none of that id.

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return this account's fills from `since_ns` on (venue time), oldest first.

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Return what the account holds, in full (free and locked).

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Hold the private connection: call `connected` once it is up, then hand events to `sink`.

        Raises:
            VenueError: the connection ended. Who supervises it calls again, after asking for what
                was missed.
        """


@runtime_checkable
class Serves(Protocol):
    """A venue with work of its own while it is open: what it was asked to send has to leave.

    A plug-in opens no nursery around itself: the stop begins with a cancellation, which would end
    its tasks together with the strategies, when the cancels have yet to leave. So its layer runs
    them, for as long as anything needs the venue.
    """

    async def serve(self) -> None:
        """Work until cancelled, which happens when nothing needs the venue any more. Never raises
        but for a defect, which stops the runtime.
        """


@runtime_checkable
class TellsPositions(Protocol):
    """A venue that says what the account holds by its own count, to hold the journal's against."""

    async def positions(self) -> Mapping[InstrumentId, Decimal]:
        """Return the signed sum of every fill of the account, by instrument, whoever traded;
        less the fees that were taken out of the base currency.

        Raises:
            VenueError: no answer, or one that made no sense.
        """


@runtime_checkable
class FillsBySymbol(Protocol):
    """A venue that tells fills of one instrument at a time, so it has to know of which.

    Those that it was asked the rules of, and those it trades, it knows anyway.
    """

    def watch(self, instruments: Collection[InstrumentId]) -> None:
        """Learn of which instruments fills are to be told, besides those that it knows."""


@runtime_checkable
class CancelsAll(Protocol):
    """A venue that cancels all that rests in an instrument by one request, whoever placed it."""

    def cancel_all(self, order: Placed) -> None:
        """Ask for the cancel of all that rests in the instrument of `order`.

        The outcomes come as an OrderClosed for each, or never. Who calls has seen that nothing
        rests there which is to stay: no stop-loss, no order of another program.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """


@runtime_checkable
class DeadMansSwitch(Protocol):
    """A venue that cancels orders by itself when it has not heard from us for a while.

    What it cancels differs: some take stop-losses too. So after any firing the orders are read
    again, and what is missing is placed again.
    """

    @property
    def switch_secs(self) -> float:
        """After how many seconds of silence it fires; 0 where it is not to be used."""

    async def arm(self) -> None:
        """Start its countdown anew.

        Raises:
            VenueError: the venue did not say that it runs.
        """

    async def disarm(self) -> None:
        """Stop its countdown: nothing fires any more.

        Raises:
            VenueError: the venue did not say that it stands.
        """


@runtime_checkable
class Simulated(Protocol):
    """An exchange of ours that a backtest drives by plain calls, with no wire and no record of its
    own. What a call returns is told to the strategies in that order.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it holds by itself."""

    @property
    def latency_ns(self) -> int:
        """How long a request is under way to it."""

    @property
    def next_expiry_ns(self) -> int | None:
        """When the next order with a date ends; None where none has one."""

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Learn the instruments to trade."""

    def submit(self, order: OrderSpec) -> Sequence[VenueEvent]:
        """Take a new order."""

    def cancel(self, client_order_id: ClientOrderId) -> Sequence[VenueEvent]:
        """Cancel an order, or say why not."""

    def amend(
        self,
        client_order_id: ClientOrderId,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        """Change an order, or say why not."""

    def on_quote(self, quote: Quote) -> Sequence[VenueEvent]:
        """Match against a new best bid and ask."""

    def on_trade(self, trade: Trade) -> Sequence[VenueEvent]:
        """Match against a trade."""

    def expire(self, now_ns: int) -> Sequence[VenueEvent]:
        """End the orders whose date has come."""

    def balances(self) -> Mapping[Currency, Decimal]:
        """Return what the account holds, free and locked."""


@attrs.frozen
class VenuePlugin:
    """What an entry point of `trade_runtime.venues` names.

    Attributes:
        settings: a frozen attrs class that the `[venues.NAME]` table (less `kind`) is read into;
            its fields, types and validators are the documented configuration.
        open: makes the thing from its name, its settings and the environment; entering may open
            files and pools but must not need the network. It is a `MarketData`, a `Venue`, or both.
        trades: it is a `Venue`.
        streams: it is a `MarketData`.
        live: of a plug-in that leads to a real exchange: whether these settings say `live = true`.
            Where they do not, it is asked for market data alone, holds no key, and the paper venue
            takes the orders under the same name. None: what it is, it always is.
        live_needs: the settings that must be there where it is live.
        simulate: makes the exchange of a backtest from its name, its settings and a clock; None
            where it is not an exchange of ours.
    """

    settings: type[Any]
    open: Callable[[VenueName, Any, Environment], AbstractAsyncContextManager[Any]]
    trades: bool
    streams: bool
    simulate: Callable[[VenueName, Any, Clock], Simulated] | None = None
    live: Callable[[Any], bool] | None = None
    live_needs: tuple[str, ...] = ("api_key", "api_secret")
