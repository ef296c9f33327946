"""Orders on the account that are not of this journal: left alone, cancelled, or taken over.

Beside the reconciler, which finds them. By default they are left alone and told of. Whatever is
configured, what waits for a trigger is left alone: a stop-loss that somebody placed by hand may be
all that protects a position which is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog

from trade_runtime.errors import VenueDown
from trade_runtime.managers.account import ask
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.venue_tables import ForeignOrders
from trade_runtime.model.ids import FOREIGN, TradeId, VenueName
from trade_runtime.model.orders import ZERO, OrderReport, OrderSpec
from trade_runtime.model.records import OrderClaimed
from trade_runtime.protocols import Clock, Venue

log = structlog.get_logger("reconcile")

CLAIM_LOOKBACK_NS: Final = 24 * 3600 * 10**9
"""How far back the fills are looked for that an order had before it was claimed. They are not ours,
and have to be known one by one so that none is booked."""


class ForeignKeeper:
    """Sees to the orders of others at one venue.

    Args:
        name: of the venue.
        venue: the venue.
        orders: where a claimed order goes.
        clock: for the time of a claim.
        policy: what is to become of them.

    Attributes:
        claimed: how many orders were taken over.
        cancelled: how many were cancelled, as far as it was asked for.
    """

    def __init__(
        self,
        name: VenueName,
        venue: Venue,
        orders: OrderManager,
        clock: Clock,
        policy: ForeignOrders = "leave",
    ) -> None:
        self.claimed = self.cancelled = 0
        self._name = name
        self._venue = venue
        self._orders = orders
        self._clock = clock
        self._policy = policy
        self._known: set[str] = set()
        self._asked: set[str] = set()

    async def see_to(self, found: Mapping[str, OrderReport]) -> list[OrderReport]:
        """See to what rests of others; return what was taken over.

        Args:
            found: by client order id, as of now.

        Raises:
            VenueError: the venue did not answer.
        """
        taken = []
        for report in found.values():
            if self._policy == "leave" or report.type.waits or not report.client_order_id:
                continue
            if self._policy == "cancel":
                self._cancel(report)
            elif await self._claim(report):
                taken.append(report)
        left = found.keys() - {report.client_order_id for report in taken} - self._asked
        if new := sorted(left - self._known):
            log.warning(
                "Orders of others rest on this account, and are left alone",
                venue=self._name,
                orders=len(new),
                first=new[0],
            )
        self._known = set(left)
        self._asked &= found.keys()
        return taken

    def _cancel(self, report: OrderReport) -> None:
        """Ask for the cancel of an order, in each look at it until it is gone."""
        if report.client_order_id not in self._asked:
            self._asked.add(report.client_order_id)
            self.cancelled += 1
            log.warning(
                "Order of others is cancelled, as configured",
                venue=self._name,
                order=report.client_order_id,
                instrument=report.instrument,
            )
        try:
            self._venue.cancel(report)
        except VenueDown as error:
            log.warning("Cancel not sent", order=report.client_order_id, error=str(error))

    async def _claim(self, report: OrderReport) -> bool:
        orders = self._orders
        if orders.gate.halted is not None or report.instrument not in orders.prices.instruments:
            return False  # a stop begins nothing new; what has no rules cannot be protected
        before: list[TradeId] = []
        if report.filled:
            since_ns = max(self._clock.now_ns() - CLAIM_LOOKBACK_NS, 0)
            fills = await ask(self._name, partial(self._venue.fills, since_ns))
            own = [f for f in fills if f.client_order_id == report.client_order_id]
            if sum((fill.quantity for fill in own), ZERO) != report.filled:
                return False  # it is filling just now, or has fills that are too old: next time
            before = [fill.trade_id for fill in own]
        now_ns = self._clock.now_ns()
        spec = OrderSpec(
            report.client_order_id,
            FOREIGN,
            report.instrument,
            report.side,
            report.type,
            report.quantity,
            report.price,
            report.trigger_price,
            created_ns=now_ns,
        )
        orders.claim(
            OrderClaimed(spec, report.venue_order_id, report.filled, sorted(before), now_ns)
        )
        self.claimed += 1
        log.warning(
            "Order of others is taken over, as configured",
            venue=self._name,
            order=report.client_order_id,
            instrument=report.instrument,
            strategy=FOREIGN,
        )
        return True
