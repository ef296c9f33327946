"""What journal and venue do not agree on, and no reconcile explains.

Fills that one of the two lacks, orders that one has lost, and what is left of a position when all
fills are equal. Each difference says what would have to be recorded to take the venue's view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import attrs
import trio

from trade_runtime.errors import VenueError
from trade_runtime.machines.journal import read_event
from trade_runtime.machines.order import OrderState
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.account import QUERY_TIMEOUT_SECS
from trade_runtime.managers.journal import READ_BATCH
from trade_runtime.model.events import Fill, OrderClosed
from trade_runtime.model.ids import (
    ClientOrderId,
    InstrumentId,
    StrategyName,
    TradeId,
    VenueName,
    venue_of,
)
from trade_runtime.model.orders import ZERO, OrderReport, OrderSpec, ReportStatus
from trade_runtime.model.records import JournalEvent, OrderClaimed, PositionAdjusted
from trade_runtime.protocols import Clock, Store, TellsPositions, Venue
from trade_runtime.settings import Settings

FillKey = tuple[InstrumentId, TradeId]


@attrs.define
class Difference:
    """Something that journal and venue do not agree on, and no start could explain.

    Attributes:
        what: in words.
        mend: what to do about it, where accepting the venue's view is not enough.
        accept: what is recorded where the venue's view is accepted; empty where nothing can be.
        accepted: it was.
    """

    what: str
    mend: str = ""
    accept: list[JournalEvent] = attrs.field(factory=list)
    accepted: bool = False


@attrs.define
class Past:
    """What the journal has of the past, as far back as its records go.

    Attributes:
        fills: with their strategies; and what was adjusted for a fill, by its id.
        intents: by id.
        before_claim: fills that orders of others had before the journal took them over.
        since_ns: from here on every fill of ours is in `fills`; 0 where none was removed.
    """

    fills: dict[FillKey, tuple[StrategyName, Fill]] = attrs.field(factory=dict)
    adjusted: set[FillKey] = attrs.field(factory=set)
    intents: dict[ClientOrderId, OrderSpec] = attrs.field(factory=dict)
    before_claim: set[FillKey] = attrs.field(factory=set)
    since_ns: int = 0

    @classmethod
    async def of(cls, store: Store) -> Past:
        """Read it; the journal was proven before."""
        past, seq = cls(), 0
        while batch := await store.read(seq, READ_BATCH):
            if not seq and batch[0].seq > 1:
                past.since_ns = batch[0].ts_ns
            for record in batch:
                past.take(read_event(record))
            seq = batch[-1].seq
            await trio.lowlevel.checkpoint()
        return past

    def take(self, event: JournalEvent) -> None:
        """Take an event of the journal."""
        if isinstance(event, OrderSpec):
            self.intents[event.client_order_id] = event
        elif isinstance(event, OrderClaimed):
            self.intents[event.spec.client_order_id] = event.spec
            self.before_claim.update((event.spec.instrument, one) for one in event.trade_ids)
        elif isinstance(event, Fill):
            intent = self.intents.get(event.client_order_id)
            strategy = StrategyName("") if intent is None else intent.strategy
            self.fills.setdefault((event.instrument, event.trade_id), (strategy, event))
        elif isinstance(event, PositionAdjusted) and event.trade_id:
            self.adjusted.add((event.instrument, event.trade_id))


class Finder:
    """Looks for what nothing explains, at one venue."""

    def __init__(
        self,
        settings: Settings,
        name: VenueName,
        venue: Venue,
        trading: TradingState,
        past: Past,
        clock: Clock,
        who: str,
    ) -> None:
        self.highest_id = 0
        """The number of the highest id of ours that the venue knows and the journal does not."""
        self._settings = settings
        self._name = name
        self._venue = venue
        self._trading = trading
        self._past = past
        self._clock = clock
        self._who = who
        self._last: dict[InstrumentId, Fill] = {}

    async def find(self) -> list[Difference]:
        """Return the differences, those of orders first."""
        with trio.move_on_after(QUERY_TIMEOUT_SECS) as scope:
            told = await self._venue.fills(0)
            resting = await self._venue.open_orders()
            held = None
            if isinstance(self._venue, TellsPositions):
                held = await self._venue.positions()
        if scope.cancelled_caught:
            raise VenueError(f"venue {self._name!r} gave no answer within {QUERY_TIMEOUT_SECS} s")
        self._last = {fill.instrument: fill for fill in told}
        ours = [fill for fill in told if self._ours(fill)]
        found = [*self._orders(resting)]
        missing = self._missing(ours)
        alone = self._alone(told)
        found += [difference for _, difference in missing] + [difference for _, difference in alone]
        if held is not None:
            changes: dict[InstrumentId, Decimal] = {}
            for fill, sign in [
                *((fill, 1) for fill, _ in missing),
                *((fill, -1) for fill, _ in alone),
            ]:
                change = sign * fill.change
                changes[fill.instrument] = changes.get(fill.instrument, ZERO) + change
            others = [fill for fill in told if not self._ours(fill)]
            found += self._positions(held, others, changes)
        return found

    def _ours(self, fill: Fill) -> bool:
        """Whether a fill is to be booked: of our order, or of one that was taken over before."""
        key = fill.instrument, fill.trade_id
        if key in self._past.before_claim:
            return False
        return key in self._past.fills or self._trading.is_ours(fill.client_order_id)

    # --- orders

    def _orders(self, resting: Sequence[OrderReport]) -> list[Difference]:
        found = []
        there = {report.client_order_id for report in resting}
        for order in self._trading.orders.values():
            if venue_of(order.instrument) != self._name:
                continue
            if order.state is OrderState.OPEN and order.id not in there:
                why = f"the venue does not have it; accepted by {self._who}"
                gone = OrderClosed(
                    order.id, ReportStatus.CANCELLED, order.filled, self._clock.now_ns(), why
                )
                found.append(
                    Difference(
                        f"order {order.id} of {order.strategy} rests by the journal, and the venue"
                        " does not have it",
                        accept=[gone],
                    )
                )
            elif order.state is OrderState.UNKNOWN or (order.ended and not order.settled):
                what = "its outcome" if order.state is OrderState.UNKNOWN else "all its fills"
                found.append(
                    Difference(
                        f"order {order.id} of {order.strategy}: the venue has not told {what}",
                        "ask again when the venue has caught up",
                    )
                )
        for report in resting:
            one = report.client_order_id
            if self._trading.is_ours(one) and one not in self._trading.orders:
                self._note_id(one)
                found.append(
                    Difference(
                        f"order {one} rests at the venue ({report.side} {report.quantity}"
                        f" {report.instrument}), and the journal has no such live order",
                        "cancel it at the venue",
                    )
                )
        return found

    def _note_id(self, one: ClientOrderId) -> None:
        number = int(one.rpartition("-")[2], 36)
        if number > self._trading.intents:
            self.highest_id = max(self.highest_id, number)

    # --- fills

    def _missing(self, ours: Sequence[Fill]) -> list[tuple[Fill, Difference]]:
        """Fills of the venue that are nowhere in the journal."""
        found = []
        for fill in ours:
            key = fill.instrument, fill.trade_id
            if fill.ts_ns < self._past.since_ns or key in self._past.fills:
                continue
            if key in self._past.adjusted:
                continue
            self._note_id(fill.client_order_id)
            what = (
                f"fill {fill.trade_id} of order {fill.client_order_id} ({fill.side} {fill.quantity}"
                f" {fill.instrument} at {fill.price}) is not in the journal"
            )
            intent = self._past.intents.get(fill.client_order_id)
            owner = intent.strategy if intent is not None else self._owner(fill.instrument)
            change = fill.change
            found.append((fill, self._adjusted(owner, fill, change, what, fee=fill.fee)))
        return found

    def _alone(self, told: Sequence[Fill]) -> list[tuple[Fill, Difference]]:
        """Fills of the journal that the venue does not know."""
        there = {(fill.instrument, fill.trade_id) for fill in told}
        found = []
        for key, (owner, fill) in self._past.fills.items():
            if venue_of(key[0]) == self._name and key not in there | self._past.adjusted:
                what = f"fill {fill.trade_id} of {owner} is in the journal, and not at the venue"
                change = -fill.change
                found.append((fill, self._adjusted(owner, fill, change, what, fee=-fill.fee)))
        return found

    # --- positions

    def _positions(
        self,
        held: Mapping[InstrumentId, Decimal],
        others: Sequence[Fill],
        changes: Mapping[InstrumentId, Decimal],
    ) -> list[Difference]:
        """What is still not equal when all fills are."""
        rest: dict[InstrumentId, Decimal] = dict(held)
        for fill in others:
            change = fill.change
            rest[fill.instrument] = rest.get(fill.instrument, ZERO) - change
        for position in self._trading.ledger:
            if venue_of(position.instrument) == self._name:
                one = position.instrument
                rest[one] = rest.get(one, ZERO) - position.quantity
        for one, change in changes.items():
            rest[one] = rest.get(one, ZERO) - change
        found = []
        for one, change in rest.items():
            if change:
                what = (
                    f"the position in {one} is {held.get(one, ZERO)} at the venue, which is"
                    f" {abs(change)} {'more' if change > 0 else 'less'} than all fills explain"
                )
                found.append(self._adjusted(self._owner(one), self._last.get(one), change, what))
        return found

    def _owner(self, instrument: InstrumentId) -> StrategyName | None:
        """Return the one strategy that can have traded an instrument; None where several can."""
        holding = {p.strategy for p in self._trading.ledger.open() if p.instrument == instrument}
        named = {
            StrategyName(table.name)
            for table in self._settings.strategies
            if instrument in table.instruments
        }
        for candidates in (holding, named):
            if len(candidates) == 1:
                return next(iter(candidates))
            if candidates:
                return None
        return None

    def _adjusted(
        self,
        owner: StrategyName | None,
        fill: Fill | None,
        change: Decimal,
        what: str,
        fee: Decimal | None = None,
    ) -> Difference:
        """Return a difference that a change of a position mends.

        Args:
            owner: whose position; None where that is not known.
            fill: the fill that it is about, or the last one, for its price; None where there is
                none.
            change: of the position.
            what: in words.
            fee: of the fill that it is about; None where it is about none.
        """
        if not owner:
            return Difference(
                what, "several strategies can have traded it, or none: close it there"
            )
        if fill is None:
            return Difference(what, "nothing tells a price for it: close it at the venue")
        return Difference(
            what,
            accept=[
                PositionAdjusted(
                    strategy=owner,
                    instrument=fill.instrument,
                    quantity=change,
                    price=fill.price,
                    fee=ZERO if fee is None else fee,
                    fee_currency=fill.fee_currency,
                    trade_id=TradeId("") if fee is None else fill.trade_id,
                    multiplier=fill.multiplier,
                    ts_ns=self._clock.now_ns() if fee is None else fill.ts_ns,
                    by=self._who,
                    reason=what,
                )
            ],
        )
