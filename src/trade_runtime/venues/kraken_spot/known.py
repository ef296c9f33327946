"""What is known of the account's orders from what Kraken told of them, without any I/O.

A row of the `executions` channel tells only what changed; here it is put together. It is Kraken's
own word, in sequence, and costs nothing, while a question over REST costs of a counter that allows
one in three seconds: so it answers where REST has no room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import attrs

from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueOrderId, symbol_of
from trade_runtime.model.orders import ZERO, OrderReport, OrderType, ReportStatus, Side

MAX_KNOWN: Final = 20_000
"""Orders that are kept in mind, more than may ever be open; the oldest are forgotten."""


@attrs.frozen
class Known:
    """What an order is, as far as it was told.

    Attributes:
        order_id: Kraken's own.
        name: its client order id, or Kraken's own where it has none.
        placed_at: on trio's clock, when we first heard of it.
        symbol: as Kraken spells it; empty where that is not known.
        side, type, quantity, price, trigger: its own, or None.
        filled: the sum of what was executed.
        status: where it stands; None where that is not known.
        reason: why it ended.
    """

    order_id: str
    name: ClientOrderId
    placed_at: float
    symbol: str = ""
    side: Side | None = None
    type: OrderType | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger: Decimal | None = None
    filled: Decimal = ZERO
    status: ReportStatus | None = None
    reason: str = ""

    @classmethod
    def of(cls, report: OrderReport, placed_at: float) -> Known:
        """Return what an answer to a query says of an order."""
        return cls(
            report.venue_order_id,
            report.client_order_id,
            placed_at,
            symbol_of(report.instrument),
            report.side,
            report.type,
            report.quantity,
            report.price,
            report.trigger_price,
            report.filled,
            report.status,
            report.reason,
        )

    @property
    def complete(self) -> bool:
        """All numbers of an order of its type are known."""
        kind = self.type
        if kind is None or self.quantity is None:
            return False
        fixed = kind.waits and kind is not OrderType.TRAILING_STOP
        return (not kind.has_price or self.price is not None) and (
            not fixed or self.trigger is not None
        )

    @property
    def fixed_trigger(self) -> Decimal | None:
        """Where it wakes; None for a trailing stop, of which the distance is told."""
        return None if self.type is OrderType.TRAILING_STOP else self.trigger

    def report(self, instrument: InstrumentId) -> OrderReport | None:
        """Return it as an answer to a query would have it, or None where too little is known."""
        if not self.complete or self.side is None or self.status is None or not self.symbol:
            return None
        assert self.type is not None
        assert self.quantity is not None
        return OrderReport(
            self.name,
            VenueOrderId(self.order_id),
            instrument,
            self.side,
            self.type,
            self.status,
            self.quantity,
            self.filled,
            self.price if self.type.has_price else None,
            self.fixed_trigger if self.type.waits else None,
            self.reason,
        )


class Orders:
    """The orders that are known, by Kraken's ids and by ours."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Known] = OrderedDict()
        self._ids: dict[ClientOrderId, str] = {}

    def get(self, order_id: str) -> Known | None:
        """Return an order by Kraken's id."""
        return self._by_id.get(order_id)

    def named(self, name: ClientOrderId) -> Known | None:
        """Return an order by ours."""
        return self._by_id.get(self._ids.get(name, ""))

    def keep(self, known: Known) -> None:
        """Keep what is known of an order now; the eldest beyond the bound are forgotten."""
        self._by_id[known.order_id] = known
        self._by_id.move_to_end(known.order_id)
        self._ids[known.name] = known.order_id
        while len(self._by_id) > MAX_KNOWN:
            _, old = self._by_id.popitem(last=False)
            if self._ids.get(old.name) == old.order_id:
                del self._ids[old.name]

    def open(self) -> list[Known]:
        """Return those that are open."""
        return [one for one in self._by_id.values() if one.status is ReportStatus.OPEN]

    def lost(self) -> list[str]:
        """Return Kraken's ids of those of which it is not known any more where they stand."""
        return [one.order_id for one in self._by_id.values() if one.status is None and one.side]

    def forget_others(self, open_ids: Iterable[str]) -> None:
        """Take these for all that are open: of the others it is not known any more what became."""
        still = set(open_ids)
        for known in self.open():
            if known.order_id not in still:
                self._by_id[known.order_id] = attrs.evolve(known, status=None)
