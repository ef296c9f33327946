"""Orders that depend on others or on us: children, groups, and types that a venue cannot hold.

A child is released as its parent fills, for as much as was filled, and dropped where the parent
ended without a fill. Of a group, one order's fills take the place of the others': where the venue
does not do that itself, the others are made smaller or cancelled from here. An order whose type the
venue cannot hold waits here for its trigger: it does nothing while the runtime is not there, and
the protection of a position never counts it.

Plain calls. It stands above the orders, which tell it what moved; after a crash `recover` takes up
what the journal says was held.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import structlog

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.managers.local_triggers import LocalTriggers
from trade_runtime.managers.orders import OrderManager
from trade_runtime.model.ids import ClientOrderId, InstrumentId
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import ZERO, TimeInForce
from trade_runtime.protocols import Capabilities

log = structlog.get_logger("orders")

ROOM_NS = 500_000_000
"""How long a venue that sees to groups has to make an order smaller, or end it, before the runtime
does; and how soon what a venue refused is asked for again."""

MAX_TRIES = 3
"""How often a venue is asked to make an order of a group smaller, before it is cancelled."""


class HeldOrders:
    """Releases, shrinks and drops what depends on other orders or on the market.

    Args:
        orders: tells what moved, and carries out what follows from it.
    """

    def __init__(self, orders: OrderManager) -> None:
        self._orders = orders
        self._triggers = LocalTriggers(orders)
        self._late: dict[InstrumentId, list[Order]] = {}
        """Children that may go, and wait for the market to be seen again."""
        self._tapped: set[InstrumentId] = set()
        self._tries: dict[ClientOrderId, int] = {}
        """How often the venue was asked to make an order of a group smaller."""
        self._let: dict[ClientOrderId, tuple[Decimal, int]] = {}
        """Of exits that were to grow: for how much they were let go, and how often in vain."""
        self._later: set[ClientOrderId] = set()
        """Orders of which a change is looked at again soon."""
        self._taken: set[ClientOrderId] = set()
        """Stop-losses that were cancelled because they could not be made smaller."""
        orders.on_moved = self.moved
        orders.on_held = self.watch

    def recover(self) -> None:
        """Take up what an earlier process held, once the venue and the journal agree."""
        trading = self._orders.trading
        for order in list(trading.live()):
            parent = order.spec.parent
            if order.state is OrderState.HELD or parent is None:
                self.watch(order)
            if order.spec.oco:
                self._make_room(order)
            if order.amending is not None:
                # Whoever sent it cannot hear of it any more: the venue is asked, once it had time.
                due_ns = self._orders.clock.now_ns() + ROOM_NS
                self._orders.alarms.set(due_ns, partial(self._ask_about, order))
            if parent is not None:
                self._follow(order, over=parent not in trading.orders)

    def _ask_about(self, order: Order, now_ns: int) -> None:
        if order.is_live and order.amending is not None:
            self._orders.in_doubt[order.id] = order

    # --- children and groups

    def moved(self, order: Order) -> None:
        """Act on an order that others wait for, or that waits or stands for others."""
        for child in list(self._orders.trading.index.children.get(order.id, {}).values()):
            self._follow(child, over=order.settled)
        spec = order.spec
        if spec.oco:
            for one in [order, *self._orders.trading.index.groups.get(spec.oco, {}).values()]:
                self._make_room(one)
            self._replace(order)
        if spec.parent is not None:
            self._grow(order)
        if not order.is_live:
            self._let.pop(order.id, None)
        self._triggers.moved(order)

    def _follow(self, child: Order, *, over: bool) -> None:
        """Release a child for what its parent filled, or drop it where nothing came of that."""
        if child.state is not OrderState.HELD:
            self._grow(child)
        elif child.ready:
            if not child.spec.protective and not self._seen(child):
                self._wait(child)
            # One that could not grow later waits for all, unless it is what protects the position.
            elif over or child.spec.protective or self._holds(child).amends(child.type):
                ready = self._ready(child) - child.released
                if ready > 0:
                    ready = min(ready, child.quantity)
                    self._orders.release(child, ready, f"order {child.spec.parent} filled")
        elif over:
            self._orders.drop(child, f"order {child.spec.parent} ended without a fill")

    def _ready(self, child: Order) -> Decimal:
        """Return how much of a child its parent's fills carry: whole lots of what was received."""
        ready = min(child.ready, child.spec.quantity)
        rules = self._orders.prices.instruments.get(child.instrument)
        return ready if rules is None else rules.round_quantity(ready)

    def _seen(self, child: Order) -> bool:
        """Whether there is a market to let an order out into; a stop-loss needs none."""
        return self._orders.prices.market_price(child.instrument, child.side) is not None

    def _wait(self, child: Order) -> None:
        """Look at a child again with the next quote: after a start, or while data is stale."""
        late = self._late.setdefault(child.instrument, [])
        if child not in late:
            late.append(child)
        if child.instrument not in self._tapped:
            self._tapped.add(child.instrument)
            self._orders.prices.views[child.instrument].market_taps.append(self._on_quote)

    def _more(self, child: Order) -> Decimal:
        """Return how much its parent has filled that a child was not let go for."""
        if child.spec.parent is None or child.state is OrderState.HELD:
            return ZERO
        more = self._ready(child) - child.released
        return more if more > 0 and self._holds(child).amends(child.type) else ZERO

    def _grow(self, child: Order, *, due: bool = False) -> None:
        """Let a child that rests follow what its parent has filled meanwhile.

        What came to nothing is asked for again, after a while and a few times.
        """
        more = self._more(child)
        if (
            not more
            or child.state is not OrderState.OPEN
            or child.amending is not None
            or child.owed > 0
            or child.cancel_requested
            or child.id in self._later
        ):
            return
        asked, failures = self._let.get(child.id, (ZERO, 0))
        failures = failures + 1 if child.released < asked else 0
        if failures > MAX_TRIES:
            return
        if failures and not due:
            self._look_later(child)
            return
        try:
            self._orders.amend(child, quantity=child.quantity + more)
        except OrderRefused as refused:
            log.warning("An exit cannot grow", order=child.id, detail=str(refused))
        else:
            self._let[child.id] = child.released, failures

    def _make_room(self, order: Order, *, due: bool = False) -> None:
        """Have an order become smaller by what others of its group filled, or end.

        Where the venue sees to groups it does so, unless it never saw the order together with the
        one that filled. So it is given some time, as it is after it refused; `due` says that this
        is over. What is asked for is how large the order is to be, so it is harmless where the
        venue has done it meanwhile.
        """
        own = order.id
        if order.owed <= 0 or not order.is_live or order.cancel_requested:
            self._tries.pop(own, None)
            return
        if order.amending is not None or own in self._later:
            return
        here = order.state in (OrderState.HELD, OrderState.PENDING)
        holds, tries = self._holds(order), self._tries.get(own, 0)
        if not due and not here and (holds.oco or tries):
            self._look_later(order)
            return
        left = order.share + self._more(order)
        if left <= order.filled:
            self._take_away(order, f"others of {order.spec.oco} filled in its place")
        elif tries == MAX_TRIES or not (here or holds.amends(order.type)):
            self._take_away(order, "the venue does not make it smaller")
        else:
            self._tries[own] = tries + 1
            try:
                self._orders.amend(order, quantity=left)
            except OrderRefused as refused:
                self._take_away(order, f"it cannot be made smaller: {refused}")

    def _look_later(self, order: Order) -> None:
        self._later.add(order.id)
        due_ns = self._orders.clock.now_ns() + ROOM_NS
        self._orders.alarms.set(due_ns, partial(self._look_again, order))

    def _look_again(self, order: Order, now_ns: int) -> None:
        self._later.discard(order.id)
        self._make_room(order, due=True)
        self._grow(order, due=True)

    def _take_away(self, order: Order, why: str) -> None:
        """Cancel an order that is too large; what a stop-loss still protected is covered anew."""
        if order.spec.protective:
            self._taken.add(order.id)
        self._orders.cancel(order, why)

    def _replace(self, order: Order) -> None:
        if order.id in self._taken and not order.is_live:
            self._taken.discard(order.id)
            self._orders.protect_now(order.strategy, order.instrument)

    # --- what is watched here

    def watch(self, order: Order) -> None:
        """Watch the market for the trigger of an order, and the clock for its end."""
        self._date(order)
        if order.spec.emulated:
            self._triggers.watch(order)

    def _date(self, order: Order) -> None:
        """See to it that an order with a date ends then, where the venue does not."""
        spec = order.spec
        here = spec.emulated or TimeInForce.GTD not in self._holds(order).tifs
        if spec.tif is TimeInForce.GTD and here:
            self._orders.alarms.set(
                spec.expire_ns, lambda _: self._orders.cancel(order, "its date has come")
            )

    def _on_quote(self, quote: Quote) -> None:
        for child in self._late.pop(quote.instrument, ()):
            parent = self._orders.trading.orders.get(child.spec.parent or ClientOrderId(""))
            self._follow(child, over=parent is None or parent.settled)

    def _holds(self, order: Order) -> Capabilities:
        return self._orders.venues.trading_in(order.instrument).capabilities
