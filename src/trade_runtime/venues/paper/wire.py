"""What is under way between a runtime and the paper exchange, in the order it is due.

Moments are whole nanoseconds of trio's clock, so that nothing is early or late by a rounding.

Plain and synchronous: `venue.py` decides when. Bounded by `MAX_IN_FLIGHT`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from decimal import Decimal

import attrs

from trade_runtime.model.events import VenueEvent
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.model.orders import OrderSpec
from trade_runtime.venues.paper.exchange import PaperExchange

Numbers = tuple[Decimal, Decimal | None, Decimal | None]

NEVER = 2**63 - 1

MAX_IN_FLIGHT = 10_000
"""Requests and held-back events under way at once."""


@attrs.frozen
class Request:
    """A request on its way to the exchange.

    Attributes:
        client_order_id: which order.
        order: the new order, or None where one that exists is to be cancelled or amended.
        amend: the new numbers (quantity, price, trigger) where it is to be amended.
        refuse: the exchange is to refuse it, with this reason.
    """

    client_order_id: ClientOrderId
    order: OrderSpec | None
    amend: Numbers | None = None
    refuse: str = ""

    def reach(self, exchange: PaperExchange) -> Sequence[VenueEvent]:
        """Arrive at the exchange, and return what it tells of it.

        Raises:
            StoreError: the exchange's record failed; the request had no effect.
        """
        if self.amend is not None:
            quantity, price, trigger_price = self.amend
            return exchange.amend(
                self.client_order_id,
                quantity=quantity,
                price=price,
                trigger_price=trigger_price,
                refuse=self.refuse,
            )
        if self.order is None:
            return exchange.cancel(self.client_order_id, refuse=self.refuse)
        return exchange.submit(self.order, refuse=self.refuse)


class Wire:
    """Requests and held-back events, each with the moment it is due."""

    def __init__(self) -> None:
        # The number keeps what is due together in the order it was put.
        self._entries: list[tuple[int, int, Request | VenueEvent]] = []
        self._put = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """There is room for no more."""
        return len(self._entries) >= MAX_IN_FLIGHT

    @property
    def due_ns(self) -> int:
        """When the next arrives; NEVER where nothing is under way."""
        return self._entries[0][0] if self._entries else NEVER

    def put(self, due_ns: int, item: Request | VenueEvent) -> None:
        """Put `item` under way."""
        self._put += 1
        heapq.heappush(self._entries, (due_ns, self._put, item))

    def pop(self) -> Request | VenueEvent:
        """Take out what is due next."""
        return heapq.heappop(self._entries)[2]

    def requests(self) -> list[Request]:
        """Return the requests under way, in the order they are due."""
        entries = sorted(self._entries, key=lambda entry: entry[:2])
        return [item for _, _, item in entries if isinstance(item, Request)]

    def keep(self, wanted: Callable[[Request], bool]) -> None:
        """Lose all events, and every request that is not `wanted`; asked in the order of due."""
        entries = sorted(self._entries, key=lambda entry: entry[:2])
        self._entries = [
            entry for entry in entries if isinstance(entry[2], Request) and wanted(entry[2])
        ]
