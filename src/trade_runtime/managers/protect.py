"""The protection guard: no open position without a stop-loss that rests at the venue.

While trading it looks at every position that changed: it gives the strategy `grace_secs` to place
its own stop (none where the runtime itself took one away), then places what is missing, cancels
what became superfluous, and reports what it cannot cover. At the stop it does the same without
grace, and proves the result by asking the venue.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import partial

import structlog

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.alarms import NEVER, on_the_beat
from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.machines.protection import stop_trigger
from trade_runtime.managers.cover import Cover, Covers, Key
from trade_runtime.managers.orders import OrderManager
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import OrderType, Side
from trade_runtime.protocols import Clock
from trade_runtime.settings import ProtectionSettings, RiskSettings

log = structlog.get_logger("protection")

GUARD_NS = 250_000_000
"""How often positions that changed are looked at: at every such beat of the clock."""

REFUSED_WAIT_NS = 2_000_000_000
"""How long after a stop was refused the next try waits, while trading, at the most. The first
refusal may only mean that the market moved meanwhile, so the next try waits for `GUARD_NS`; after
each further one in a row, twice as long."""

NO_PRICE = "no stop_pct is configured, and the strategy named no price"
NO_PLACE = "the venue cannot hold a stop-loss"
MAKING_ROOM = "a stop is being cancelled to make room"

CLOSE_RETRY_NS = 10_000_000_000
"""How long after a try to close a position that overstayed the next one waits."""

MAX_OVERLAPS = 3
"""How often a stop of the runtime shrinks or joins the stops of a position. Two do where no order
fills meanwhile."""


class ProtectionGuard(Covers):
    """Keeps positions covered.

    Args:
        orders: places the stops; every stop passes its gate.
        settings: what has to be covered, and where a missing stop goes.
        risk: for how long a position may stay open.
        clock: for the age of positions.
    """

    def __init__(
        self,
        orders: OrderManager,
        settings: ProtectionSettings,
        risk: RiskSettings,
        clock: Clock,
    ) -> None:
        super().__init__(orders, settings)
        self._risk = risk
        self._clock = clock
        self._grace_ns = round(settings.grace_secs * 1e9)
        self._due: dict[Key, int] = {}
        """Positions to look at, and until when the strategy may still act by itself."""
        self._next_look_ns = NEVER
        self._reported: set[Key] = set()
        self._placed: dict[Key, Order] = {}
        """The last stop that was placed for a position, while it is being covered."""
        self._refusals: dict[Key, int] = {}
        """How often in a row a stop for a position was refused."""
        self._timed: dict[Key, int] = {}
        self._overdue: dict[Key, int] = {}
        orders.on_position = self.mark
        orders.protect_now = self.look_now

    def mark(self, strategy: StrategyName, instrument: InstrumentId) -> None:
        """Note that a position or its stops changed."""
        if self._risk.max_position_secs is not None:
            self._time((strategy, instrument), self._risk.max_position_secs)
        if self._settings.required != "off":
            now_ns = self._clock.now_ns()
            self._due.setdefault((strategy, instrument), now_ns + self._grace_ns)
            self._look_later(now_ns)

    def look_now(self, strategy: StrategyName, instrument: InstrumentId) -> None:
        """Look at a position at once: what protected it is gone, and its strategy did not ask for
        that, so there is nothing to wait for.
        """
        if self._settings.required != "off":
            now_ns = self._clock.now_ns()
            self._due[strategy, instrument] = now_ns
            self._look((strategy, instrument), now_ns, now_ns)
            self._look_later(now_ns)

    def _look_later(self, now_ns: int) -> None:
        beat_ns = on_the_beat(now_ns, GUARD_NS)
        if beat_ns < self._next_look_ns:
            self._next_look_ns = beat_ns
            self._orders.alarms.set(beat_ns, self._look_at_all)

    def mark_all(self) -> None:
        """Look at every position and stop there is: after the start, when anything may lack."""
        for position in self._orders.trading.ledger.open():
            self.mark(position.strategy, position.instrument)
        for order in self._orders.trading.live():
            if order.spec.protective or order.spec.parent is not None:
                self.mark(order.strategy, order.instrument)

    def _look_at_all(self, now_ns: int) -> None:
        self._next_look_ns = NEVER
        for key, due_ns in list(self._due.items()):
            self._look(key, now_ns, due_ns)
        if self._due:
            self._look_later(max(now_ns, min(self._due.values()) - 1))

    def _look(self, key: Key, now_ns: int, due_ns: int) -> None:
        cover = self.cover(key)
        self._cancel_superfluous(cover)
        if key in self._orders.gate.closing:
            return  # its stops made room for the order that closes it; the grace goes on meanwhile
        if cover.position.instrument in self._orders.swept:
            return  # one request cancels all there: a stop that came now might be taken along
        if cover.plan.place and now_ns >= due_ns:
            placed = self._placed.get(key)
            problem: str | None
            if placed is not None and placed.state is OrderState.REJECTED:
                problem = f"the venue rejected its stop: {placed.reason}"
                self._report(cover, problem)
            else:
                problem = self._place(cover)
            if problem is NO_PLACE or (
                problem is NO_PRICE and key not in self._orders.trading.stop_price
            ):
                # Nothing but the strategy can mend that, and what it does is heard of.
                del self._due[key]
            elif problem is not None:
                self._placed.pop(key, None)
                self._due[key] = now_ns + self._refused(key)
        elif cover.plan.covered and not cover.plan.cancel and not cover.plan.place:
            del self._due[key]
            self._placed.pop(key, None)
            self._refusals.pop(key, None)
            self._reported.discard(key)

    def _refused(self, key: Key) -> int:
        """Count a refusal; return how long the next try waits, in nanoseconds."""
        times = self._refusals[key] = self._refusals.get(key, 0) + 1
        return min(GUARD_NS << min(times - 1, 32), REFUSED_WAIT_NS)

    def _cancel_superfluous(self, cover: Cover) -> None:
        for stop in cover.plan.cancel:
            self._orders.cancel(stop, "its position no longer needs it")
        trading = self._orders.trading
        if cover.size or trading.untold(*cover.key):
            return
        # A stop of the guard's closes what an exit of a bracket was for, and is of no group.
        for order in trading.live_of(cover.position.strategy):
            spec = order.spec
            if spec.instrument == cover.position.instrument and spec.parent and spec.reduce_only:
                entry = trading.orders.get(spec.parent)
                if entry is None or entry.settled:
                    self._orders.cancel(order, "its position is closed")

    def _place(self, cover: Cover) -> str | None:
        """Place what is missing; return why that could not be, once logged."""
        position, key = cover.position, cover.key
        side = Side.SELL if position.quantity > 0 else Side.BUY
        venue = self._orders.venues.trading_in(position.instrument)
        rests = OrderType.STOP_MARKET in venue.capabilities.types
        problem = NO_PRICE if rests else NO_PLACE
        try:
            trigger = self._trigger(position, side)
            if rests and trigger is not None:
                full = self._find_slot(cover)
                if full is MAKING_ROOM:
                    return None
                if full is not None:
                    self._report(cover, full)
                    return full
                stop = self._placed[key] = self._orders.place(
                    position.strategy,
                    position.instrument,
                    side,
                    OrderType.STOP_MARKET,
                    cover.plan.place,
                    trigger_price=trigger,
                    reduce_only=True,
                    protective=True,
                )
                log.info(
                    "Missing stop-loss placed",
                    order=stop.id,
                    strategy=position.strategy,
                    instrument=position.instrument,
                    quantity=text(cover.plan.place),
                    trigger_price=str(trigger),
                )
                return None
        except OrderRefused as refused:
            problem = str(refused)
        self._report(cover, problem)
        return problem

    def _find_slot(self, cover: Cover) -> str | None:
        """Return nothing where the venue lets a further stop rest; else see to it that it will, and
        return why not now.

        A stop goes, and the one that is then placed is for what it covered too. A spot account can
        do it in no other order, since the resting stop locks what the larger one needs. So for the
        way to the venue and back less is covered than before.
        """
        if self._slots(cover.position.instrument) > 0:
            return None
        waiting = self._waiting(cover.position.instrument)
        if any(order.cancel_requested for order in waiting):
            return MAKING_ROOM
        stops: dict[StrategyName, list[Order]] = {}
        for order in waiting:
            if order.spec.protective and order.state is OrderState.OPEN:
                stops.setdefault(order.strategy, []).append(order)
        own = stops.get(cover.position.strategy, [])
        spare = own or [stop for several in stops.values() if len(several) > 1 for stop in several]
        if not spare:
            return f"the venue lets {len(waiting)} such orders rest, and others hold them"
        smallest = min(spare, key=lambda stop: stop.remaining)
        self._orders.cancel(smallest, "the venue lets no more stops rest: a larger one takes over")
        return MAKING_ROOM

    def _report(self, cover: Cover, problem: str) -> None:
        if cover.plan.covered or cover.key in self._reported:
            return
        self._reported.add(cover.key)
        log.error(
            "Position is not protected",
            strategy=cover.position.strategy,
            instrument=cover.position.instrument,
            quantity=text(cover.position.quantity),
            problem=problem,
        )

    def _trigger(self, position: Position, side: Side) -> Decimal | None:
        rules = self._orders.instrument(position.instrument)
        up = side is Side.BUY
        market = self._orders.prices.market_price(position.instrument, side)
        wanted = self._orders.trading.stop_price.get((position.strategy, position.instrument))
        if wanted is not None and (
            market is None or (wanted > market if up else wanted < market)
        ):  # else a venue would refuse it as triggering at once
            return wanted
        if self._settings.stop_pct is None:
            return None
        return rules.round_price(
            stop_trigger(side, position.average_price, self._settings.stop_pct, market), up=up
        )

    # --- the stage of the stop

    def place_missing(self, overlaps: Counter[Key]) -> dict[Key, str]:
        """Act once on every position, without grace; return what cannot be covered, and why.

        Args:
            overlaps: counts the stops that only make room for others to go; bounded, since a venue
                may refuse them again and again.
        """
        problems = {}
        for cover in [*self.covers(), *self.leftovers()]:
            self._cancel_superfluous(cover)
            if cover.plan.overlaps and cover.plan.place:
                if overlaps[cover.key] < MAX_OVERLAPS:
                    overlaps[cover.key] += 1
                    self._place(cover)
            elif cover.plan.place:
                problem = self._place(cover)
                if problem is not None:
                    problems[cover.key] = problem
        return problems

    # --- how long a position may stay open

    def _time(self, key: Key, limit_secs: float) -> None:
        """Have a position looked at when it will have been open for too long."""
        opened_ns = self._orders.trading.ledger.position(*key).opened_ns
        if not opened_ns or self._timed.get(key) == opened_ns:
            return
        self._timed[key] = opened_ns
        due_ns = opened_ns + round(limit_secs * 1e9) + 1
        self._orders.alarms.set(due_ns, partial(self._overstayed, key, opened_ns))

    def _overstayed(self, key: Key, opened_ns: int, now_ns: int) -> None:
        position = self._orders.trading.ledger.position(*key)
        if position.opened_ns != opened_ns:
            return  # it was closed in time
        if key not in self._overdue or self._overdue[key] != opened_ns:
            self._overdue[key] = opened_ns
            log.warning(
                "Position is open for longer than max_position_secs",
                strategy=position.strategy,
                instrument=position.instrument,
                quantity=text(position.quantity),
                open_secs=round((now_ns - opened_ns) / 1e9, 1),
                action=self._risk.max_position_action,
            )
        if self._risk.max_position_action == "close":
            self._orders.close_position(*key, "open for longer than max_position_secs")
            # One that could not be closed is not tried again at once.
            again_ns = now_ns + CLOSE_RETRY_NS
            self._orders.alarms.set(again_ns, partial(self._overstayed, key, opened_ns))
