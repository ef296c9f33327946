"""What is known of a world from outside: the disk read back, the exchange's history, the wire.

Stands between the world and the oracle. It reads the journal with the project's own codec, but
folds orders, fills and positions by itself, with plain sums: what judges the runtime shares none of
the runtime's arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs

from trade_runtime.errors import StoreDamaged
from trade_runtime.machines.journal import check_chain, read_event
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, TradeId
from trade_runtime.model.orders import ZERO, OrderSpec, Side
from trade_runtime.model.records import AmendRequested, JournalEvent
from trade_runtime.protocols import Record
from trade_runtime.testing.world import World
from trade_runtime.venues.paper.record import HistoryRow

Key = tuple[StrategyName, InstrumentId]

_decoded: dict[str, JournalEvent] = {}
_MAX_DECODED = 50_000


def decode(record: Record) -> JournalEvent:
    """Return the event of a record; runs that begin alike share records, so each is read once.

    Raises:
        StoreDamaged: it cannot be read.
    """
    event = _decoded.get(record.digest)
    if event is None:
        if len(_decoded) >= _MAX_DECODED:
            _decoded.clear()
        event = _decoded[record.digest] = read_event(record)
    return event


@attrs.define
class VenueOrder:
    """An order as the exchange's history tells it.

    Attributes:
        id: the client order id.
        spec: the durable intent of that id; None where there is none.
        side: of the order that the exchange saw.
        instrument: likewise.
        quantity: what it is for now.
        filled: what was executed of it.
        live: it was accepted and has not ended.
    """

    id: ClientOrderId
    spec: OrderSpec | None
    side: Side
    instrument: InstrumentId
    quantity: Decimal
    filled: Decimal = ZERO
    live: bool = False

    @property
    def remaining(self) -> Decimal:
        """What is not yet filled."""
        return self.quantity - self.filled

    @property
    def protective(self) -> bool:
        """The intent says that it is a stop-loss."""
        return self.spec is not None and self.spec.protective

    @property
    def key(self) -> Key:
        """Whose position its fills make."""
        strategy = StrategyName("?") if self.spec is None else self.spec.strategy
        return strategy, self.instrument


class Venue:
    """The exchange's history, folded line by line.

    Attributes:
        orders: every order that was ever submitted.
        positions: by strategy and instrument, the sum of the fills.
        live: the orders that rest, by id.
        groups: by its name, every order of a group that was ever submitted.
    """

    def __init__(self, intents: dict[ClientOrderId, OrderSpec]) -> None:
        self._intents = intents
        self.orders: dict[ClientOrderId, VenueOrder] = {}
        self.positions: dict[Key, Decimal] = {}
        self.live: dict[ClientOrderId, VenueOrder] = {}
        self.groups: dict[str, list[VenueOrder]] = {}

    def apply(self, row: HistoryRow) -> VenueOrder | None:
        """Fold a line in; return the order that it is about."""
        if row.event == "deposit":
            return None
        order = self.orders.get(row.client_order_id)
        if row.event == "submit":
            if order is None:
                order = self.orders[row.client_order_id] = VenueOrder(
                    row.client_order_id,
                    self._intents.get(row.client_order_id),
                    Side(str(row.detail["side"])),
                    InstrumentId(str(row.detail["instrument"])),
                    Decimal(str(row.detail["quantity"])),
                )
                if order.spec is not None and order.spec.oco:
                    self.groups.setdefault(order.spec.oco, []).append(order)
            return order
        if order is None:
            return None
        if row.event == "accept":
            order.live = True
            self.live[order.id] = order
        elif row.event in ("cancel", "expire"):
            self._end(order)
        elif row.event == "amend":
            order.quantity = Decimal(str(row.detail["quantity"]))
        elif row.event == "fill":
            quantity = Decimal(str(row.detail["quantity"]))
            order.filled += quantity
            key = order.key
            self.positions[key] = self.positions.get(key, ZERO) + order.side.sign * quantity
            if order.remaining <= 0:
                self._end(order)
        return order

    def _end(self, order: VenueOrder) -> None:
        order.live = False
        self.live.pop(order.id, None)

    def cover(self, key: Key) -> Decimal:
        """Return how much of a position resting stop-losses would close."""
        side = Side.SELL if self.positions.get(key, ZERO) > 0 else Side.BUY
        stops = (o for o in self.live.values() if o.protective and o.side is side and o.key == key)
        return sum((order.remaining for order in stops), ZERO)

    def is_bare(self, key: Key) -> bool:
        """Whether a position is open and its stop-losses do not cover it."""
        size = abs(self.positions.get(key, ZERO))
        return size > 0 and self.cover(key) < size

    def entitled(self, order: VenueOrder) -> Decimal:
        """Return how much may be left of an order: of an exit, what its entry filled and no exit of
        its group has sold since, and nothing where no position is left; of any other, all of it.
        """
        spec = order.spec
        if spec is None or spec.parent is None or not spec.oco:
            return order.remaining
        entry = self.orders.get(spec.parent)
        if entry is not None and not entry.live and not self.positions.get(order.key, ZERO):
            return ZERO  # something else has closed the position
        entered = ZERO if entry is None else entry.filled
        left = sum((other.filled for other in self.groups.get(spec.oco, ())), ZERO)
        return max(entered - left, ZERO)

    def entries(self) -> list[VenueOrder]:
        """Return the live orders that are not protective."""
        return [order for order in self.live.values() if not order.protective]

    def reach(self, instrument: InstrumentId, side: Side) -> Decimal:
        """Return the largest position on a side that fills of its entry orders could lead to."""
        held = sum(
            (max(q * side.sign, ZERO) for (_, i), q in self.positions.items() if i == instrument),
            ZERO,
        )
        return held + sum(
            (o.remaining for o in self.entries() if (o.instrument, o.side) == (instrument, side)),
            ZERO,
        )


@attrs.define
class Evidence:
    """All that the oracle judges from.

    Attributes:
        world: where it is from.
        damage: what is wrong with the journal; empty where nothing is.
        events: the journal's records with what they say, in order.
        intents: by id.
        intent_seq: the number of an intent's record.
        changes: by id, the numbers of the records that ask for a change of an order.
        fills: the journal's, by trade id; each with how often it is there.
        positions: the sum of the journal's fills.
    """

    world: World
    damage: str = ""
    events: list[tuple[Record, JournalEvent]] = attrs.field(factory=list)
    intents: dict[ClientOrderId, OrderSpec] = attrs.field(factory=dict)
    intent_seq: dict[ClientOrderId, int] = attrs.field(factory=dict)
    changes: dict[ClientOrderId, list[int]] = attrs.field(factory=dict)
    fills: dict[TradeId, list[Fill]] = attrs.field(factory=dict)
    positions: dict[Key, Decimal] = attrs.field(factory=dict)

    @classmethod
    def of(cls, world: World) -> Evidence:
        """Gather it."""
        evidence = cls(world)
        try:
            for record in check_chain(world.disk.ever):
                evidence._take(record, decode(record))
        except StoreDamaged as error:
            evidence.damage = str(error)
        return evidence

    def _take(self, record: Record, event: JournalEvent) -> None:
        self.events.append((record, event))
        if isinstance(event, OrderSpec):
            self.intents.setdefault(event.client_order_id, event)
            self.intent_seq.setdefault(event.client_order_id, record.seq)
        elif isinstance(event, AmendRequested):
            self.changes.setdefault(event.client_order_id, []).append(record.seq)
        elif isinstance(event, Fill):
            self.fills.setdefault(event.trade_id, []).append(event)
            intent = self.intents.get(event.client_order_id)
            strategy = StrategyName("?") if intent is None else intent.strategy
            key = strategy, event.instrument
            self.positions[key] = self.positions.get(key, ZERO) + event.change

    def venue(self) -> Venue:
        """Return the exchange's history, not yet folded."""
        return Venue(self.intents)

    def untold(self) -> set[TradeId]:
        """Return the fills that the last life cannot know of.

        The exchange made them after it was last asked, and the event that told of them was lost or
        is still held back. The next start asks again.
        """
        last = self.last_look()
        return {
            fill.trade_id
            for fill in self.world.fills()
            if fill.trade_id not in self.fills and fill.ts_ns >= last
        }

    def last_look(self) -> int:
        """Return when the last life was last told of fills that it asked for, or when it ended."""
        life = self.world.lives[-1]
        told = [
            note.ts_ns
            for note in self.world.notes
            if note.life == life.number and note.what == "fills told"
        ]
        return told[-1] if told else life.ended_ns

    def moved(self) -> set[Key]:
        """Return the positions that changed after the last life's last look."""
        last = self.last_look()
        venue = self.venue_now()
        return {
            venue.orders[fill.client_order_id].key
            for fill in self.world.fills()
            if fill.ts_ns >= last
        }

    def vague(self) -> set[Key]:
        """Return the positions that the last life cannot know: those of untold fills."""
        untold = self.untold()
        venue = self.venue_now()
        return {
            venue.orders[fill.client_order_id].key
            for fill in self.world.fills()
            if fill.trade_id in untold
        }

    def venue_now(self) -> Venue:
        """Return the exchange's history, folded to its end."""
        venue = self.venue()
        for row in self.world.record.history:
            venue.apply(row)
        return venue

    def of_life(self, number: int) -> Iterator[tuple[Record, JournalEvent]]:
        """Give the records that one life wrote."""
        lives = self.world.lives
        first = lives[number].records_before
        after = number + 1
        last = lives[after].records_before if after < len(lives) else len(self.events)
        yield from self.events[first:last]
