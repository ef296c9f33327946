"""The orders layer put together: opened by recovery, closed by the stages `cancel` and
`protect`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import Any

import structlog
import trio

from trade_runtime.errors import VenueDisagrees, VenueError
from trade_runtime.lifecycle.ladder import Ladder, StageResult
from trade_runtime.lifecycle.layer import open_layer
from trade_runtime.lifecycle.supervision import supervise
from trade_runtime.machines.alarms import NEVER, Alarms
from trade_runtime.machines.order import OrderState
from trade_runtime.managers.account import Account, told
from trade_runtime.managers.cancelling import Canceller, some
from trade_runtime.managers.closing import Closer
from trade_runtime.managers.cover import Cover, Key
from trade_runtime.managers.held import HeldOrders
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.prices import PriceManager
from trade_runtime.managers.protect import MAX_OVERLAPS, ProtectionGuard
from trade_runtime.managers.reconcile import Reconciler
from trade_runtime.managers.risk_watch import RiskWatch
from trade_runtime.managers.state import StateManager
from trade_runtime.managers.switch import SwitchKeeper
from trade_runtime.managers.venues import VenueManager
from trade_runtime.model.ids import VenueName, venue_of
from trade_runtime.protocols import Clock, DeadMansSwitch, Environment, Venue
from trade_runtime.settings import Settings

log = structlog.get_logger("orders")

RECOVERY_TIMEOUT_SECS = 15.0
"""How long the venue and the journal may take to agree at the start."""

NAP_NS = 1_000_000_000

AFTER_SECS = 4e-10
"""What is due in a nanosecond comes after the market's and the venue's events of it: a little
later, by less than half a nanosecond."""

COVER_SECS = 0.25
"""How long, at a stop, the cancels of entries wait for the stop-losses of what is bare."""

COMING = (OrderState.PENDING, OrderState.SENT, OrderState.UNKNOWN)
"""States of an order that the venue may not have yet."""

BALANCES_SECS = 0.5
"""How long the balances may take at the stop; those of the last reconcile stand where they are
late."""


class Trading:
    """The orders layer as others see it: the order manager, the guard, one reconciler a venue."""

    def __init__(
        self,
        orders: OrderManager,
        guard: ProtectionGuard,
        reconcilers: dict[VenueName, Reconciler],
        venues: Mapping[VenueName, Venue],
    ) -> None:
        self.orders = orders
        self.guard = guard
        self.reconcilers = reconcilers
        self.canceller = Canceller(orders, reconcilers, venues)
        self.switches: dict[VenueName, SwitchKeeper] = {}
        """The dead-man's switches that are used, by venue."""

    def orders_report(self) -> dict[str, Any]:
        """Return what became of the entry orders of the stop, as the report tells it."""
        left = [order.id for order in self.orders.trading.entries()]
        filled = sum(order.state is OrderState.FILLED for order in self.canceller.stopping)
        ended = sum(order.ended for order in self.canceller.stopping)
        return {
            "open_at_stop": len(self.canceller.stopping),
            "cancelled": ended - filled,
            "filled": filled,
            "left_open": left,
            "foreign": self._foreign(),
        }

    def _foreign(self) -> dict[str, Any]:
        """Return what became of orders of others, as the report tells it."""
        keepers = [reconciler.keeper for reconciler in self.reconcilers.values()]
        left = [i for reconciler in self.reconcilers.values() for i in reconciler.foreign]
        return {
            "claimed": sum(keeper.claimed for keeper in keepers),
            "cancelled": sum(keeper.cancelled for keeper in keepers),
            "left": sorted(left),
        }

    async def recovered(self) -> None:
        """Return when every venue has agreed with the journal.

        Raises:
            VenueDisagrees: one tells what nothing explains; it is not safe to trade.
            VenueError: one did not agree in time; neither is it.
        """
        with trio.move_on_after(RECOVERY_TIMEOUT_SECS):
            for name, reconciler in self.reconcilers.items():
                await reconciler.ready.wait()
                if reconciler.unexplained:
                    raise VenueDisagrees(told(name, reconciler.unexplained))
            return
        late = [name for name, r in self.reconcilers.items() if not r.ready.is_set()]
        raise VenueError(
            f"venue {late[0]!r} and the journal did not agree within {RECOVERY_TIMEOUT_SECS} s"
            " of the start: nothing is traded"
        )

    def add_switches(
        self, venues: VenueManager, state: StateManager
    ) -> Iterable[tuple[VenueName, SwitchKeeper]]:
        """Make a keeper for each switch that is to be used, and return them."""
        for name, venue in venues.trading.items():
            if isinstance(venue, DeadMansSwitch) and venue.switch_secs > 0:
                self.switches[name] = SwitchKeeper(
                    name,
                    venue,
                    ready=self.reconcilers[name].ready.wait,
                    unhealthy=partial(_unhealthy, name, venues, state),
                    fired=partial(self._read_again, name),
                )
        return self.switches.items()

    async def _read_again(self, name: VenueName) -> None:
        """Read the orders of a venue again, and protect at once what is bare there."""
        reconciler = self.reconcilers[name]
        try:
            await reconciler.reconcile()
        except VenueError:
            reconciler.connected()  # it is asked until it answers
            raise
        for position in self.orders.trading.ledger.open():
            if venue_of(position.instrument) == name:
                self.guard.look_now(position.strategy, position.instrument)

    async def disarm(self) -> None:
        """Disarm each switch whose venue has proven that no entry is left; leave the others armed,
        to cancel what may be left when this process is gone.
        """
        async with trio.open_nursery() as nursery:
            for name, switch in self.switches.items():
                if name in self.canceller.proven:
                    nursery.start_soon(switch.disarm)
                else:
                    log.error(
                        "Dead-man's switch is left armed: entries may rest; when it fires it may"
                        " take stop-losses along",
                        venue=name,
                    )

    async def cover_first(self) -> None:
        """Place what stop-losses are missing now, and wait a moment for the venue to have them.

        Cancels may use up what a venue lets be sent; then it takes no stop-loss any more.
        """
        self.guard.place_missing(Counter())
        with trio.move_on_after(COVER_SECS):
            while any(
                order.spec.protective and order.state in COMING
                for order in self.orders.trading.live()
            ):
                await self.orders.changed.park()

    async def protect_positions(self, result: StageResult) -> None:
        """Have every position covered by stops that rest, proven by asking the venues.

        A stop that no position needs is cancelled, and its end proven too; stops that are together
        too large, or too many, are replaced, one resting before the other goes.
        """
        overlaps: Counter[Key] = Counter()
        problems: dict[Key, str] = {}
        bare: list[str] = []
        leaving: list[str] = []
        try:
            while True:
                _, silent = await self.canceller.ask_venues()
                problems = self.guard.place_missing(overlaps)
                covers = self.guard.covers()
                bare = [
                    f"{c.position.strategy} {c.position.quantity} {c.position.instrument}"
                    for c in covers
                    if not c.plan.covered
                ]
                leaving = [
                    order.id
                    for order in self.orders.trading.live()
                    if order.spec.protective and order.cancel_requested
                ]
                coming = any(
                    order.spec.protective and order.state is not OrderState.OPEN
                    for order in self.orders.trading.live()
                )
                waiting = (leaving or coming) or any(
                    c.plan.cancel or self._to_be_placed(c, problems, overlaps) for c in covers
                )
                # An order ended with fills that are not told: some position is not what it seems.
                untold = any(o.ended and not o.settled for o in self.orders.trading.orders.values())
                if not silent and not bare and not waiting and not untold:
                    result.detail = f"{len(covers)} positions covered"
                    return
                settled = not silent and not untold and not leaving
                if bare and len(problems) == len(bare) and settled:
                    return  # nothing more can be done: waiting longer changes nothing
                await self.canceller.pause()
        finally:
            if bare:
                why = "; ".join(sorted(set(problems.values())))
                result.fail(f"not protected: {some(bare)}" + (f" ({why})" if why else ""))
            if leaving:
                result.fail(f"stops that nothing needs may rest: {some(leaving)}")

    async def note_balances(self) -> None:
        """Record what the venues say of balances, where it is new; in what is left of the stage's
        time, of which it takes half at the most.
        """
        left = trio.current_effective_deadline() - trio.current_time()
        with trio.move_on_after(min(BALANCES_SECS, left / 2)):
            for reconciler in self.reconcilers.values():
                await reconciler.note_balances()

    @staticmethod
    def _to_be_placed(cover: Cover, problems: Mapping[Key, str], overlaps: Counter[Key]) -> bool:
        if cover.plan.overlaps:
            return bool(cover.plan.place) and overlaps[cover.key] < MAX_OVERLAPS
        return bool(cover.plan.place) and cover.key not in problems


def _unhealthy(name: VenueName, venues: VenueManager, state: StateManager) -> str:
    """Say why orders at a venue are not looked after; nothing where they are."""
    if state.failed is not None:
        return f"the store failed: {state.failed}"
    return "" if venues.connected[name] else "the private connection is down"


async def ring(alarms: Alarms, clock: Clock) -> None:
    """Make the calls that are due, for ever.

    It never sleeps for longer than `NAP_NS`, so that a clock that was set is noticed.
    """
    earlier = trio.lowlevel.ParkingLot()
    alarms.on_earlier = earlier.unpark_all
    while True:
        now_ns = clock.now_ns()
        alarms.ring(now_ns)
        deadline = inf
        if alarms.next_ns != NEVER:
            # Reckoned in whole nanoseconds: the present moment has a fraction of one, too.
            wait_ns = min(alarms.next_ns - now_ns, NAP_NS)
            deadline = (round(trio.current_time() * 1e9) + wait_ns) / 1e9 + AFTER_SECS
        with trio.move_on_at(deadline):
            await earlier.park()


@asynccontextmanager
async def open_orders(
    settings: Settings,
    venues: VenueManager,
    prices: PriceManager,
    state: StateManager,
    ladder: Ladder,
    env: Environment,
) -> AsyncIterator[Trading]:
    """Open the orders layer: the venues agree with the journal, positions are being protected.

    Leaving is the stages `cancel` and `protect`.

    Args:
        settings: its sections orders, risk, protection, supervision and shutdown.
        venues: outlives this layer.
        prices: outlives this layer.
        state: outlives this layer.
        ladder: of the stop.
        env: its clock and randomness.

    Raises:
        VenueError: a venue and the journal do not agree: it is not safe to trade.
    """
    orders = OrderManager(settings.orders, settings.risk, venues, prices, state, env.clock)
    held = HeldOrders(orders)
    guard = ProtectionGuard(orders, settings.protection, settings.risk, env.clock)
    closer = Closer(orders)
    watch = RiskWatch(settings.risk, orders, prices, state, env.clock)
    reconcilers = {
        name: Reconciler(
            name,
            venue,
            Account(name, venue, state, env.clock),
            orders,
            settings.orders,
            env.clock,
            venues.configs[name].foreign_orders,
        )
        for name, venue in venues.trading.items()
    }
    trading = Trading(orders, guard, reconcilers, venues.trading)

    protects = settings.shutdown.verify_stop_losses and settings.protection.required != "off"

    async def close() -> None:
        orders.halt("the runtime stops")
        closer.abandon()
        if orders.taken_over:
            for stage in ("cancel", "protect"):
                ladder.skip(stage, "another runtime took the journal over: the orders are its own")
            return
        if settings.shutdown.cancel_orders:
            with ladder.stage("cancel") as result:
                if protects:
                    await trading.cover_first()
                await trading.canceller.run(result)
                if not protects:
                    await trading.disarm()
        else:
            ladder.skip("cancel", "shutdown.cancel_orders is false")
        if protects:
            with ladder.stage("protect") as result:
                async with trio.open_nursery() as nursery:  # one that waits keeps no other waiting
                    nursery.start_soon(trading.disarm)
                    await trading.protect_positions(result)
                await trading.note_balances()
        else:
            ladder.skip("protect", "switched off by the configuration")

    async with open_layer("orders", close) as layer:
        layer.start_soon(orders.watch, name="overdue-watch")
        layer.start_soon(ring, orders.alarms, env.clock, name="alarms")
        for name, reconciler in reconcilers.items():
            for what, task in (
                ("reconcile", reconciler.run),
                ("doubts", reconciler.settle_doubts),
            ):
                layer.start_soon(
                    partial(
                        supervise,
                        task,
                        name=f"{what} of {name}",
                        settings=settings.supervision,
                        rng=env.rng,
                        worked=reconciler.worked if what == "reconcile" else None,
                    ),
                    name=f"{what}-{name}",
                )
        venues.listen(orders, lambda name: reconcilers[name].connected())
        for name, switch in trading.add_switches(venues, state):
            layer.start_soon(
                partial(
                    supervise,
                    switch.run,
                    name=f"dead-man's switch of {name}",
                    settings=settings.supervision,
                    rng=env.rng,
                ),
                name=f"switch-{name}",
            )
        await trading.recovered()
        for switch in trading.switches.values():
            await switch.tried.wait()
        held.recover()
        guard.mark_all()
        watch.begin()
        yield trading
