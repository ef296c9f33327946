"""Journal and venues brought in line while no runtime runs: what an operator asks for by hand.

It books what `Reconciler` would book at a start, from the venues' answers alone, and then looks for
what no start could explain: fills that the journal lacks or has alone, positions that are not the
venue's, orders that one of the two has lost. It only ever asks: no order and no cancel leaves.

A rehearsal does the same on a copy in memory, so what it shows is what would be recorded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import trio

from trade_runtime.errors import StoreError, VenueDown, VenueError
from trade_runtime.machines.accounts import left_open
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.account import Account
from trade_runtime.managers.cover import Cover
from trade_runtime.managers.differences import Difference, Finder, Past
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.outcomes import Journal
from trade_runtime.managers.prices import Prices
from trade_runtime.managers.protect import ProtectionGuard
from trade_runtime.managers.reconcile import Reconciler
from trade_runtime.managers.venue_tables import note_account, open_table, read_venue, traded_venues
from trade_runtime.managers.venues import Venues
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import InstrumentId, StrategyName, VenueName, venue_of
from trade_runtime.model.orders import OrderReport, OrderSpec
from trade_runtime.model.records import JournalEvent, Reconciled
from trade_runtime.protocols import (
    Clock,
    Environment,
    FillsBySymbol,
    Placed,
    Venue,
    VenuePlugin,
)
from trade_runtime.settings import Settings

SETTLE_TIMEOUT_SECS = 15.0
"""How long a venue may take to say what became of every order. Those it has not told of by then are
told as unexplained."""

ID_GAP = 1_000
"""Client order ids that are left out after the highest that a venue knows and the journal does not:
the venue may know more of them, without a trace in its fills and open orders."""


@attrs.define
class Plan:
    """What was found, and is or would be recorded.

    Attributes:
        fills: booked, each with its strategy.
        orders: those whose state changed: the order, what it was, what it is.
        foreign: orders on the account that are not the journal's; they are left alone.
        bare: positions whose stop-losses do not cover them; the next start places them.
        differences: what could not be explained.
        records: how many events were, or would be, recorded.
    """

    fills: list[tuple[StrategyName, Fill]] = attrs.field(factory=list)
    orders: list[tuple[Order, OrderState, OrderState]] = attrs.field(factory=list)
    foreign: list[OrderReport] = attrs.field(factory=list)
    bare: list[Cover] = attrs.field(factory=list)
    differences: list[Difference] = attrs.field(factory=list)
    records: int = 0

    @property
    def agrees(self) -> bool:
        """Journal and venues agree, now that it was carried out."""
        return all(difference.accepted for difference in self.differences)


class Noting:
    """A journal that remembers what was recorded.

    Args:
        inner: where it is recorded; None for a rehearsal, which only folds it.
        trading: the state that it is folded into.
        past: takes it too.
    """

    def __init__(self, inner: Journal | None, trading: TradingState, past: Past) -> None:
        self.trading = trading
        self.failed: StoreError | None = None
        self.on_durable: Callable[[int], None] = lambda seq: None
        self.events: list[JournalEvent] = []
        self._inner = inner
        self._past = past

    @property
    def seq(self) -> int:
        """How much was recorded here."""
        return len(self.events)

    def record(self, event: JournalEvent, *, urgent: bool = False) -> Order | None:
        """Fold an event in, and record it unless this is a rehearsal.

        Raises:
            InvalidTransition: the event cannot follow from what was before; nothing was changed.
        """
        if self._inner is None:
            order = self.trading.apply(event)
        else:
            order = self._inner.record(event, urgent=urgent)
        self.events.append(event)
        self._past.take(event)
        return order


class Mute:
    """A venue that is only asked: what would leave stays here."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def submit(self, order: OrderSpec) -> None:
        """Send nothing.

        Raises:
            VenueDown: always.
        """
        raise VenueDown("nothing is sent while an operator reconciles")

    def cancel(self, order: Placed) -> None:
        """Send nothing; the next start asks again."""

    def amend(self, order: Placed, **numbers: Decimal | None) -> None:
        """Send nothing; the next start asks again."""


@asynccontextmanager
async def open_trading_venues(
    settings: Settings,
    plugins: Mapping[str, VenuePlugin],
    env: Callable[[str], Environment],
    trading: TradingState,
) -> AsyncIterator[dict[VenueName, Venue]]:
    """Open the venues that trade, and no connection.

    Args:
        settings: which name them.
        plugins: by kind.
        env: makes the environment of a plug-in, by its name.
        trading: what the journal says.

    Raises:
        ConfigError: a table is wrong, or the journal was made on another account.
        StoreError: a venue of ours cannot open its record.
    """
    async with AsyncExitStack() as stack:
        venues: dict[VenueName, Venue] = {}
        needed = traded_venues(settings, (), trading)
        for name in settings.venues:
            venue = read_venue(settings, name, plugins)
            if venue.stand_in is not None and venue.name not in needed:
                continue
            note_account(venue, trading)
            opening = open_table(venue, env, trades=True)
            _, opened = await stack.enter_async_context(opening)
            if opened is not None:
                venues[venue.name] = opened
            if isinstance(opened, FillsBySymbol):
                opened.watch(_instruments(settings, trading, venue.name))
        yield venues


def _instruments(settings: Settings, trading: TradingState, name: VenueName) -> list[InstrumentId]:
    """Return the instruments of a venue that the journal or a strategy names."""
    named = [one for strategy in settings.strategies for one in strategy.instruments]
    known = [*named, *left_open(trading), *(position.instrument for position in trading.ledger)]
    return [one for one in dict.fromkeys(known) if venue_of(one) == name]


async def repair(
    settings: Settings,
    venues: Mapping[VenueName, Venue],
    journal: Noting,
    past: Past,
    clock: Clock,
    *,
    by: str,
    reason: str,
    accept: bool,
) -> Plan:
    """Ask the venues, record what follows, and return all that was found.

    Args:
        settings: of the runtime.
        venues: to ask, by name.
        journal: is told what is to be recorded; its process has been noted as started.
        past: what was in it.
        clock: the time of day.
        by: who decides.
        reason: why, in their words.
        accept: record what cannot be explained as the venue holds it; else it is only told.

    Raises:
        VenueError: a venue gave no answer. What others told was recorded.
    """
    orders_before = {order.id: (order, order.state) for order in journal.trading.orders.values()}
    mute = {name: Mute(venue) for name, venue in venues.items()}
    everything = Venues()
    everything.trading = mute
    orders = OrderManager(
        settings.orders, settings.risk, everything, Prices(settings.prices), journal, clock
    )
    guard = ProtectionGuard(orders, settings.protection, settings.risk, clock)
    plan = Plan()
    for name, venue in mute.items():
        account = Account(name, venue, journal, clock, compares=False)
        reconciler = Reconciler(name, venue, account, orders, settings.orders, clock)
        await _settle(reconciler)
        plan.foreign += reconciler.foreign.values()
    plan.fills = [
        past.fills[event.instrument, event.trade_id]
        for event in journal.events
        if isinstance(event, Fill)
    ]
    plan.orders = [
        (order, was, order.state) for order, was in orders_before.values() if order.state is not was
    ]
    highest = 0
    for name, real in venues.items():
        finder = Finder(settings, name, real, journal.trading, past, clock, f"{by}: {reason}")
        plan.differences += await finder.find()
        highest = max(highest, finder.highest_id)
    if accept:
        for difference in plan.differences:
            for event in difference.accept:
                journal.record(event)
            difference.accepted = bool(difference.accept)
    if plan.agrees:
        for name, real in venues.items():
            account = Account(name, real, journal, clock)
            held = await account.positions()
            if held is not None:
                account.agreed(account.beyond(held))
    accepted = any(difference.accepted for difference in plan.differences)
    go_on_from = highest + ID_GAP if accept and highest else 0
    journal.record(Reconciled(by, reason, accepted, go_on_from))
    plan.bare = [cover for cover in guard.covers() if not cover.plan.covered]
    plan.records = journal.seq
    return plan


async def _settle(reconciler: Reconciler) -> None:
    """Reconcile until the venue has said what became of every order, or would not in time."""
    reconciler.connected()
    failed: list[VenueError] = []

    async def ask() -> None:
        try:
            await reconciler.run()
        except VenueError as error:
            failed.append(error)
            reconciler.ready.set()

    with trio.move_on_after(SETTLE_TIMEOUT_SECS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await reconciler.ready.wait()
            nursery.cancel_scope.cancel()
    if failed:
        raise failed[0]
