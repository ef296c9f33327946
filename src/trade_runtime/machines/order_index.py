"""The orders that are in mind, and where each is found: by its owner, its position, its group.

A part of the trading state. Each index is kept exact with every change, so that asking costs the
same however many orders there are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

from trade_runtime.machines.images import Ids, IndexImage, OrderImage
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName

MAX_GIVEN_UP = 1_000
"""Orders that may have left and that the venue then did not know: the latest are kept in mind."""

Orders = dict[ClientOrderId, Order]
Key = TypeVar("Key", bound=Hashable)


class OrderIndex:
    """Orders that are live, or ended with a fill still under way, or were given up lately."""

    def __init__(self) -> None:
        self.orders: Orders = {}
        """All of them, by id."""
        self.children: dict[ClientOrderId, Orders] = {}
        """Live orders that wait for, or follow, the fills of another: by that other's id."""
        self.groups: dict[str, Orders] = {}
        """Live orders of each group of which one order's fills take the place of the others'."""
        self.given_up: Orders = {}
        """Those that may have left, and that the venue did not know."""
        self.live_of: dict[StrategyName, Orders] = {}
        """Live orders by strategy, oldest first."""
        self.stops: dict[tuple[StrategyName, InstrumentId], Orders] = {}
        """Live protective orders of a position that left for the venue, oldest first."""

    def add(self, order: Order) -> None:
        """Take in a new order."""
        spec = order.spec
        self.orders[order.id] = order
        self._own(order.strategy)[order.id] = order
        if spec.parent is not None:
            self.children.setdefault(spec.parent, {})[order.id] = order
        if spec.oco:
            self.groups.setdefault(spec.oco, {})[order.id] = order

    def protects(self, order: Order) -> None:
        """Note that an order leaves for the venue as the stop of its position."""
        self.stops.setdefault((order.strategy, order.instrument), {})[order.id] = order

    def changed(self, order: Order) -> None:
        """Keep the indexes in step with an order; forget one of which nothing more can come."""
        spec = order.spec
        _keep(self._own(order.strategy), order)
        if spec.protective and not spec.emulated and order.state is not OrderState.HELD:
            _keep(self.stops.setdefault((spec.strategy, spec.instrument), {}), order)
        if spec.parent is not None:
            _keep_in(self.children, spec.parent, order)
        if spec.oco:
            _keep_in(self.groups, spec.oco, order)
        if order.settled:
            self._forget(order)

    def _forget(self, order: Order) -> None:
        if order.state is OrderState.DROPPED and order.may_have_left:
            # Nothing more should come of it. If a venue tells of it all the same, it is known.
            self.given_up[order.id] = order
            if len(self.given_up) <= MAX_GIVEN_UP:
                return
            order = self.given_up.pop(next(iter(self.given_up)))
            if order.state is not OrderState.DROPPED:  # the venue did tell of it
                return
        self.given_up.pop(order.id, None)  # one that came back after all, and has ended
        self.orders.pop(order.id, None)

    def _own(self, strategy: StrategyName) -> Orders:
        own = self.live_of.get(strategy)
        if own is None:
            own = self.live_of[strategy] = {}
        return own

    def image(self) -> IndexImage:
        """Return all of it as plain values."""
        return IndexImage(
            orders=[OrderImage.of(order) for order in self.orders.values()],
            children=_ids(self.children),
            groups=_ids(self.groups),
            given_up=list(self.given_up),
            live_of=_ids(self.live_of),
            stops=[(*key, list(orders)) for key, orders in self.stops.items()],
        )

    @classmethod
    def of(cls, image: IndexImage) -> OrderIndex:
        """Return what an image was made of.

        Raises:
            KeyError: it names an order that it has not.
        """
        made = cls()
        orders = made.orders = {one.spec.client_order_id: one.order() for one in image.orders}
        made.children = _found(orders, image.children)
        made.groups = _found(orders, image.groups)
        made.given_up = _pick(orders, image.given_up)
        made.live_of = _found(orders, image.live_of)
        made.stops = {(s, i): _pick(orders, ids) for s, i, ids in image.stops}
        return made


def _keep(index: Orders, order: Order) -> None:
    """Have an index hold an order exactly while it is live."""
    if order.is_live:
        index[order.id] = order
    else:
        index.pop(order.id, None)


def _keep_in(groups: dict[Key, Orders], name: Key, order: Order) -> None:
    """The same in one of several indexes; one that is empty is forgotten."""
    members = groups.setdefault(name, {})
    _keep(members, order)
    if not members:
        del groups[name]


def _ids(groups: dict[Key, Orders]) -> dict[Key, Ids]:
    return {name: list(orders) for name, orders in groups.items()}


def _pick(orders: Orders, ids: Iterable[ClientOrderId]) -> Orders:
    return {one: orders[one] for one in ids}


def _found(orders: Orders, groups: dict[Key, Ids]) -> dict[Key, Orders]:
    return {name: _pick(orders, ids) for name, ids in groups.items()}
