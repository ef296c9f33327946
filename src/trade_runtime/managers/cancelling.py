"""The stage `cancel` of the stop: every entry order gone, proven by asking the venues.

Beside what it serves, the orders layer. Where a venue cancels all that rests in an instrument by
one request, and all that rests there is to go, one request stands for many: a stop with a thousand
orders keeps within a venue's limits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import structlog
import trio

from trade_runtime.errors import VenueError
from trade_runtime.lifecycle.ladder import StageResult
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.reconcile import Reconciler
from trade_runtime.model.ids import InstrumentId, VenueName, venue_of
from trade_runtime.model.orders import OrderReport
from trade_runtime.protocols import CancelsAll, Venue

log = structlog.get_logger("orders")

STOP_RETRY_SECS = 0.25
"""How soon, in the stages of the stop, what has no answer is asked for again."""

LOOK_SECS = 0.25
"""How long a venue may take, at the stop, to say what rests, before all is cancelled by one request
for each order instead."""

WORTH = 2
"""From so many orders on one request for all of them is better than one for each."""

MANY = 50
"""With more entries than so many it takes some time to look through them."""

GATHER_SECS = 0.01
"""How often their ends are counted then."""

STOPS = "the runtime stops"


class Canceller:
    """Cancels every entry order at the stop.

    Args:
        orders: sends the cancels.
        reconcilers: ask the venues, by name.
        venues: which trade, by name.
    """

    def __init__(
        self,
        orders: OrderManager,
        reconcilers: Mapping[VenueName, Reconciler],
        venues: Mapping[VenueName, Venue],
    ) -> None:
        self.stopping: list[Order] = []
        """Entry orders that were live when the stop began to cancel."""
        self.proven: set[VenueName] = set()
        """The venues that have said, since the stop began, that no entry is left."""
        self._silent: set[VenueName] = set()
        self._orders = orders
        self._reconcilers = reconcilers
        self._venues = venues

    async def ask_venues(self) -> tuple[list[OrderReport], str]:
        """Ask each venue what rests there of ours; return it, and who gave no answer."""
        resting: list[OrderReport] = []
        silent = []
        self._silent = set()
        for name, reconciler in self._reconcilers.items():
            try:
                resting += await reconciler.reconcile()
            except VenueError as error:
                silent.append(f"{name}: {error}")
                self._silent.add(name)
                log.warning("Venue gives no answer", venue=name, error=str(error))
        return resting, "; ".join(silent)

    async def pause(self) -> None:
        """Wait for an event of an order, but not for long."""
        with trio.move_on_after(STOP_RETRY_SECS):
            await self._orders.changed.park()

    async def run(self, result: StageResult) -> None:
        """Cancel every entry order until the venues themselves prove that none is left."""
        trading = self._orders.trading
        self.stopping = trading.entries()
        try:
            for reconciler in self._reconcilers.values():
                reconciler.repeats = False  # it is done from here, by as few requests as can be
            await self._cancel(self.stopping)
            while True:
                await self._hear_of_ends()
                self._see_to_swept()
                resting, silent = await self.ask_venues()
                protective = {o.id for o in trading.live() if o.spec.protective}
                entries = [r for r in resting if r.client_order_id not in protective]
                self._note_proven(entries)
                if not silent and not entries and not trading.entries():
                    result.detail = f"{len(self.stopping)} orders cancelled or filled"
                    return
                self._cancel_again(entries, resting)
                if not trading.entries():  # nothing to wait for above: never ask in a tight circle
                    await self.pause()
        finally:
            self._orders.swept.clear()
            for reconciler in self._reconcilers.values():
                reconciler.repeats = True
            left = [order.id for order in trading.entries()]
            if left:
                result.fail(f"{len(left)} orders may rest: {some(left)}")

    async def _hear_of_ends(self) -> None:
        """Return when no entry is left, or when for a while no end of one was told.

        As long as ends come, nothing is asked: a venue that has just ended a thousand orders by one
        request would be asked for each that it has not told of yet.
        """
        trading = self._orders.trading
        left = len(trading.entries())
        quiet_from = trio.current_time()
        while left:
            with trio.move_on_at(quiet_from + STOP_RETRY_SECS) as scope:
                await self._orders.changed.park()
                if left > MANY:
                    await trio.sleep(GATHER_SECS)  # looking through all of them has its price
            before, left = left, len(trading.entries())
            if left < before:
                quiet_from = trio.current_time()
            elif scope.cancelled_caught:
                return

    def _note_proven(self, entries: Sequence[OrderReport]) -> None:
        left = [report.instrument for report in entries]
        left += [order.instrument for order in self._orders.trading.entries()]
        self.proven = set(self._reconcilers) - self._silent - set(map(venue_of, left))

    async def _cancel(self, orders: Sequence[Order]) -> None:
        """Cancel each order once: those first for which there is no better way."""
        many = {
            instrument: group
            for instrument, group in _by_instrument(orders).items()
            if len(group) >= WORTH and self._sweeps(instrument)
        }
        for order in orders:
            if order.instrument not in many or order.state in (
                OrderState.HELD,
                OrderState.PENDING,
            ):
                self._orders.cancel(order, STOPS)
        if not many:
            return
        answers: dict[VenueName, Sequence[OrderReport]] = {}
        with trio.move_on_after(LOOK_SECS):
            async with trio.open_nursery() as nursery:
                for name in dict.fromkeys(map(venue_of, many)):
                    nursery.start_soon(partial(self._look, name, answers))
        for instrument, group in many.items():
            live = [order for order in group if order.is_live]
            reports = answers.get(venue_of(instrument))
            if reports is not None and len(live) >= WORTH and self._may_sweep(instrument, reports):
                self._orders.cancel_together(live, STOPS)
            else:
                for order in live:
                    self._orders.cancel(order, STOPS)

    async def _look(self, name: VenueName, answers: dict[VenueName, Sequence[OrderReport]]) -> None:
        try:
            answers[name] = await self._venues[name].open_orders()
        except VenueError as error:
            log.warning("Venue gives no answer", venue=name, error=str(error))

    def _cancel_again(self, entries: Sequence[OrderReport], resting: Sequence[OrderReport]) -> None:
        """Cancel what the venues say rests, although its cancel was asked for.

        Args:
            entries: what is to go.
            resting: all of ours that rests, as of now.
        """
        orders = self._orders.trading.orders
        known = [o for r in entries if (o := orders.get(r.client_order_id)) and o.is_live]
        others = [r for one in self._reconcilers.values() for r in one.foreign.values()]
        reports = [*resting, *others]
        for instrument, group in _by_instrument(known).items():
            asked = [order for order in group if order.cancel_requested]
            for order in group:
                self._orders.cancel(order, STOPS)  # nothing where it was asked for
            many = len(asked) >= WORTH and self._sweeps(instrument)
            if many and self._may_sweep(instrument, reports):
                self._orders.cancel_together(asked, STOPS)
            else:
                for order in asked:
                    self._orders.send_cancel(order)

    def _sweeps(self, instrument: InstrumentId) -> bool:
        name = venue_of(instrument)
        return self._orders.venues.connected[name] and isinstance(self._venues[name], CancelsAll)

    def _may_sweep(self, instrument: InstrumentId, reports: Iterable[OrderReport]) -> bool:
        """Whether all that rests in an instrument, and all that may, is ours and is to go."""
        trading = self._orders.trading
        if any(
            order.spec.protective and order.state is not OrderState.HELD
            for order in trading.live()
            if order.instrument == instrument
        ):
            return False
        for report in reports:
            if report.instrument == instrument:
                order = trading.orders.get(report.client_order_id)
                if order is None or order.spec.protective:
                    return False
        return True

    def _see_to_swept(self) -> None:
        """Let stop-losses be placed again where nothing is being cancelled any more."""
        waiting = {order.instrument for order in self._orders.trading.entries()}
        self._orders.swept &= waiting


def _by_instrument(orders: Iterable[Order]) -> dict[InstrumentId, list[Order]]:
    groups: dict[InstrumentId, list[Order]] = defaultdict(list)
    for order in orders:
        groups[order.instrument].append(order)
    return groups


def some(names: Sequence[str], most: int = 10) -> str:
    """Return names in a list, and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
