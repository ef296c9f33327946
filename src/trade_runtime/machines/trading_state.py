"""Everything the journal says, folded: orders, positions, exposure, where ids go on.

The runtime applies each event when it happens, and the same event again when it reads the journal
back at the next start: one code path, so a restart stands where the crash left it. Orders that
ended and are settled leave memory; the journal keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Any, ClassVar

from trade_runtime.machines import accounts, amends, by_hand, claims
from trade_runtime.machines.exposure import Exposure
from trade_runtime.machines.images import PositionImage, StateImage
from trade_runtime.machines.ledger import Ledger, Position
from trade_runtime.machines.memories import Memories
from trade_runtime.machines.order import (
    CLOSING_INPUT,
    InvalidTransition,
    Order,
    OrderInput,
    OrderState,
)
from trade_runtime.machines.order_ids import order_id
from trade_runtime.machines.order_index import OrderIndex
from trade_runtime.machines.profit import Profits
from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
)
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, VenueName, venue_of
from trade_runtime.model.orders import ZERO, OrderSpec
from trade_runtime.model.records import (
    AmendRequested,
    CancelRequested,
    InstrumentListed,
    JournalEvent,
    LatchSet,
    OrderDropped,
    OrderReleased,
    OrderSent,
    OrderUnknown,
    ProfitMarked,
    RuntimeStarted,
    RuntimeStopped,
    StrategyStopped,
    TradingHalted,
)


class TradingState:
    """The fold. `apply` is the only way it changes."""

    def __init__(self) -> None:
        self.index = OrderIndex()
        self.orders = self.index.orders
        """Orders that are live, or ended with a fill still under way, or were given up lately."""
        self.ledger = Ledger()
        self.exposure = Exposure()
        self.tag = ""
        """Prefix of our client order ids; made once for a journal."""
        self._ours = "-"
        self.intents = 0
        """How many intents there ever were; the next client order id counts from here."""
        self.fills = 0
        self.last_fill_ns: dict[VenueName, int] = {}
        """The venue time of the latest fill, by venue: from here fills are asked for again."""
        self.stop_price: dict[tuple[StrategyName, InstrumentId], Decimal] = {}
        """The trigger of the last protective stop of a position, while it is open."""
        self.declared: dict[tuple[StrategyName, InstrumentId], Decimal] = {}
        """How much protection a strategy asked for while its position is open."""
        self.clean = True
        """The last process stopped in order."""
        self.latch: LatchSet | None = None
        """What restricts trading until somebody clears it; None while nothing does."""
        self.on_fill: Callable[[Fill, Order, Position, Decimal], None] | None = None
        """Told of each fill that was folded in, with the position after it and the profit that it
        realised, before fees. Set by who keeps the fills."""
        self.profits = Profits()
        """What the limits on losses count from."""
        self.memories = Memories()
        """What strategies saved."""
        self.accounts = accounts.Accounts()
        """What the venues say that the accounts hold."""

    def apply(self, event: JournalEvent) -> Order | None:
        """Fold an event in; return the order it is about, if it is about one that is in mind.

        Raises:
            InvalidTransition: it cannot follow from what was before; nothing was changed.
        """
        return self._HANDLERS[type(event)](self, event)

    def next_order_id(self) -> ClientOrderId:
        """Return the id of the next intent: the same after a crash that lost the last ones."""
        return order_id(self.tag, self.intents + 1)

    def is_ours(self, order_id: ClientOrderId) -> bool:
        """Whether an id was made from this journal."""
        return order_id in self.orders or order_id.startswith(self._ours)

    def live(self) -> Iterator[Order]:
        """Give the orders that rest at a venue or may."""
        return (order for order in self.orders.values() if order.is_live)

    def live_of(self, strategy: StrategyName) -> list[Order]:
        """Return a strategy's live orders, oldest first, whatever others have."""
        return list(self.index.live_of.get(strategy, {}).values())

    def entries(self) -> list[Order]:
        """Return the live orders that are not protective."""
        return [order for order in self.live() if not order.spec.protective]

    def stops(self, strategy: StrategyName, instrument: InstrumentId) -> list[Order]:
        """Return the live protective orders of a position, oldest first."""
        return list(self.index.stops.get((strategy, instrument), {}).values())

    def untold(self, strategy: StrategyName, instrument: InstrumentId) -> Decimal:
        """Return what a position is about to change by: fills that the venue made, and only told by
        the end of their order.
        """
        return sum(
            (
                order.side.sign * order.outstanding
                for order in self.orders.values()
                if order.ended and (order.strategy, order.instrument) == (strategy, instrument)
            ),
            ZERO,
        )

    def image(self) -> StateImage:
        """Return all of it as plain values."""
        return StateImage(
            tag=self.tag,
            intents=self.intents,
            fills=self.fills,
            clean=self.clean,
            latch=self.latch,
            last_fill_ns=self.last_fill_ns,
            index=self.index.image(),
            positions=[PositionImage.of(position) for position in self.ledger],
            profits=self.profits.image(),
            stop_price=[(*key, price) for key, price in self.stop_price.items()],
            declared=[(*key, quantity) for key, quantity in self.declared.items()],
            memories=self.memories.image(),
            accounts=self.accounts.image(),
        )

    @classmethod
    def of(cls, image: StateImage) -> TradingState:
        """Return the state that an image was made of.

        Raises:
            KeyError: it names an order that it has not.
        """
        state = cls()
        state.tag, state._ours = image.tag, f"{image.tag}-"
        state.intents, state.fills, state.clean = image.intents, image.fills, image.clean
        state.latch, state.last_fill_ns = image.latch, dict(image.last_fill_ns)
        state.index = OrderIndex.of(image.index)
        state.orders = state.index.orders
        for position in image.positions:
            position.onto(state.ledger.position(position.strategy, position.instrument))
            state.exposure.position_changed(
                position.strategy, position.instrument, position.quantity
            )
        for order in state.orders.values():
            state.exposure.order_changed(order)
        state.profits = Profits.of(image.profits)
        state.stop_price = {(s, i): price for s, i, price in image.stop_price}
        state.declared = {(s, i): quantity for s, i, quantity in image.declared}
        state.memories = Memories.of(image.memories)
        state.accounts = accounts.Accounts.of(image.accounts)
        return state

    def hash(self) -> str:
        """Return a digest of all that trading depends on: equal states have equal hashes."""
        lines = [f"{self.tag} {self.intents} {self.fills}"]
        lines += [
            f"{order!r} {order.cancel_requested} {order.ready} {order.released} {order.share}"
            f" {order.amending} {sorted(order.trade_ids)}"
            for order in sorted(self.orders.values(), key=lambda o: o.id)
        ]
        traded = (p for p in self.ledger if p.fees)  # one that was only asked for is not state
        for p in sorted(traded, key=lambda p: (p.strategy, p.instrument)):
            fees = sorted(p.fees.items())
            lines.append(f"{p!r} {p.realised} {fees} {p.opened_ns}")
        lines += [f"{self.latch}", *self.profits.lines(), *self.memories.lines()]
        lines += self.accounts.lines()
        return blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()

    def _started(self, event: RuntimeStarted) -> None:
        self.tag, self._ours = event.tag, f"{event.tag}-"
        self.clean = False
        for order in self.orders.values():
            if order.state in (OrderState.PENDING, OrderState.SENT):
                order.apply(OrderInput.UNKNOWN, reason="the process that sent it ended")

    def _stopped(self, event: RuntimeStopped) -> None:
        self.clean = True

    def _listed(self, event: InstrumentListed) -> None:
        self.profits.listed[event.instrument] = event

    def _marked(self, event: ProfitMarked) -> None:
        self.profits.marks[event.currency] = event

    def _told(self, event: object) -> None:
        """Take an event that changes nothing here; the journal keeps it for who reads it."""

    def _sent(self, event: OrderSent) -> Order | None:
        return self._move(event.client_order_id, OrderInput.SENT)

    def _unknown(self, event: OrderUnknown) -> Order | None:
        return self._move(event.client_order_id, OrderInput.UNKNOWN, reason=event.reason)

    def _dropped(self, event: OrderDropped) -> Order | None:
        return self._move(event.client_order_id, OrderInput.DROPPED, reason=event.reason)

    def _rejected(self, event: OrderRejected) -> Order | None:
        return self._move(event.client_order_id, OrderInput.REJECTED, reason=event.reason)

    def _closed(self, event: OrderClosed) -> Order | None:
        what = CLOSING_INPUT[event.status]
        return self._move(event.client_order_id, what, reason=event.reason, filled=event.filled)

    def _intent(self, spec: OrderSpec) -> Order:
        order = Order(spec)
        self.index.add(order)
        self.intents += 1
        self.exposure.order_changed(order)
        if spec.protective:
            self._declare(order)
        return order

    def _declare(self, order: Order) -> None:
        """Count an order that leaves for the venue as the protection that it is meant to be. One
        that the runtime holds, or held until its trigger was reached, protects nothing.
        """
        spec, held = order.spec, order.state is OrderState.HELD
        if spec.protective and not (spec.emulated or held) and order.trigger_price is not None:
            key = order.strategy, order.instrument
            self.stop_price[key] = order.trigger_price
            self.index.protects(order)
            asked = sum((stop.remaining for stop in self.stops(*key)), ZERO)
            self.declared[key] = max(self.declared.get(key, ZERO), asked)

    def _released(self, event: OrderReleased) -> Order | None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            order.release(event.quantity)
            self._declare(order)
            self._changed(order)
        return order

    def _amend_requested(self, event: AmendRequested) -> Order | None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            amends.ask(order, event)
            self._changed(order)
        return order

    def _amended(self, event: OrderAmended) -> Order | None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            amends.take(order, event)
            if order.is_live:
                self._declare(order)
            self._changed(order)
        return order

    def _amend_rejected(self, event: AmendRejected) -> Order | None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            amends.refuse(order)
            self._changed(order)
        return order

    def _move(
        self,
        order_id: ClientOrderId,
        what: OrderInput,
        *,
        reason: str = "",
        filled: Decimal | None = None,
    ) -> Order | None:
        order = self.orders.get(order_id)
        if order is None:
            return None
        was_live = order.is_live
        order.apply(what, reason=reason, filled=filled)
        if not (was_live and order.is_live):  # else neither what it may do nor where it is found
            self._changed(order)
        return order

    def _accepted(self, event: OrderAccepted) -> Order | None:
        order = self._move(event.client_order_id, OrderInput.ACCEPTED)
        if order is not None:
            order.venue_order_id = event.venue_order_id
        return order

    def _cancel_requested(self, event: CancelRequested) -> Order | None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            order.cancel_requested = True
        return order

    def _fill(self, fill: Fill) -> Order | None:
        order = self.orders.get(fill.client_order_id)
        if order is None or not order.apply_fill(fill):
            return None
        self.fills += 1
        index = self.index
        if index.children:
            for child in index.children.get(order.id, {}).values():
                child.ready = order.filled - order.withheld
        if order.spec.oco:
            group = index.groups.get(order.spec.oco, {})
            amends.take_place(order, fill.quantity, group.values(), index.given_up.values())
        venue = venue_of(fill.instrument)
        if fill.ts_ns > self.last_fill_ns.get(venue, 0):
            self.last_fill_ns[venue] = fill.ts_ns
        position, gained = self.take(order.strategy, fill)
        self._changed(order)
        if self.memories.kept:
            self.memories.filled(order.strategy, fill)
        if self.on_fill is not None:
            self.on_fill(fill, order, position, gained)
        return order

    def take(self, strategy: StrategyName, fill: Fill) -> tuple[Position, Decimal]:
        """Have a position take a fill; return it, and the profit that was realised."""
        position = self.ledger.position(strategy, fill.instrument)
        before = position.quantity
        gained = position.apply(fill)
        self.profits.filled(position, fill, before, gained)
        self.exposure.position_changed(strategy, fill.instrument, position.quantity)
        if before and before * position.quantity <= 0:  # closed, or turned over
            key = strategy, fill.instrument
            self.stop_price.pop(key, None)
            self.declared.pop(key, None)
        return position, gained

    def _changed(self, order: Order) -> None:
        self.exposure.order_changed(order)
        self.index.changed(order)

    def never_intended(self, order_id: ClientOrderId) -> bool:
        """Whether an id of ours is of an order that the journal never had an intent of."""
        return order_id not in self.orders and int(order_id.rpartition("-")[2], 36) > self.intents

    def knows_fill(self, fill: Fill) -> bool:
        """Whether a fill was booked: by its order, or because its order is settled and gone.

        Raises:
            InvalidTransition: it names an order of ours that was never intended.
        """
        order = self.orders.get(fill.client_order_id)
        if order is not None:
            return fill.trade_id in order.trade_ids
        if self.never_intended(fill.client_order_id):
            raise InvalidTransition(
                f"the venue filled order {fill.client_order_id}, of which no intent is recorded"
            )
        return True

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], Order | None]]] = {
        RuntimeStarted: _started,
        OrderSpec: _intent,
        OrderSent: _sent,
        OrderUnknown: _unknown,
        OrderDropped: _dropped,
        OrderAccepted: _accepted,
        OrderRejected: _rejected,
        OrderClosed: _closed,
        Fill: _fill,
        CancelRequested: _cancel_requested,
        CancelRejected: _told,
        AmendRequested: _amend_requested,
        OrderAmended: _amended,
        AmendRejected: _amend_rejected,
        OrderReleased: _released,
        TradingHalted: _told,
        StrategyStopped: _told,
        **by_hand.HANDLERS,
        **accounts.HANDLERS,
        **claims.HANDLERS,
        RuntimeStopped: _stopped,
        InstrumentListed: _listed,
        ProfitMarked: _marked,
    }
