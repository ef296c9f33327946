"""What a paper exchange writes down, the interface to it, and the twin that keeps it in memory.

The record is the exchange's own and apart from the runtime's journal: recovery compares the two.
Whatever one request or one market event did is one `Step`, written whole or not at all before its
outcome is told to anyone. `MemoryRecord` is for virtual time; `sqlite.SqliteRecord` is for disks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import attrs

from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, Currency
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ReportStatus
from trade_runtime.venues.paper.orders import OrderRow

Detail = Mapping[str, str | bool | None]


@attrs.frozen
class HistoryRow:
    """One thing that the exchange saw or did; the history is only ever added to.

    Attributes:
        seq: 1, 2, 3, ... without a gap, over the whole life of the venue.
        ts_ns: exchange time; never goes back.
        event: `deposit`, `submit`, `accept`, `reject`, `cancel_request`, `cancel_reject`,
            `cancel`, `amend_request`, `amend_reject`, `amend`, `trail`, `trigger`, `fill` or
            `expire`.
        client_order_id: whose; empty for a deposit.
        detail: what else there is to say, by name.
    """

    seq: int
    ts_ns: int
    event: str
    client_order_id: ClientOrderId
    detail: Detail


@attrs.frozen
class Holding:
    """What is held of a currency, and how much of that live orders have locked."""

    total: Decimal
    locked: Decimal


@attrs.frozen
class Step:
    """All that one request or one market event changed.

    Attributes:
        history: the new lines of the history.
        orders: new and changed orders, as they stand after the step.
        fills: new fills.
        balances: changed balances.
        instruments: new or changed instruments.
    """

    history: Sequence[HistoryRow] = ()
    orders: Sequence[OrderRow] = ()
    fills: Sequence[Fill] = ()
    balances: Mapping[Currency, Holding] = attrs.field(factory=dict)
    instruments: Sequence[Instrument] = ()


@attrs.frozen
class Saved:
    """What an exchange is restored from.

    Attributes:
        seq: the last number of the history, 0 for a new record.
        ts_ns: the time of it.
        live: the orders that are open, eldest first.
        balances: what is held.
        instruments: what is traded.
        deposit: what was held at first.
    """

    seq: int
    ts_ns: int
    live: Sequence[OrderRow]
    balances: Mapping[Currency, Decimal]
    instruments: Sequence[Instrument]
    deposit: Mapping[Currency, Decimal]


def deposit_of(detail: Detail) -> dict[Currency, Decimal]:
    """Return the amounts that the detail of a `deposit` names."""
    return {Currency(name): Decimal(str(amount)) for name, amount in detail.items()}


class ExchangeRecord(Protocol):
    """Keeps what an exchange did. Calls are plain and short."""

    keeps: bool
    """Steps are written to it. Else it only knows what is held at first."""

    def load(self) -> Saved:
        """Return what is needed to go on.

        Raises:
            StoreError: it cannot be read now.
        """

    def write(self, step: Step) -> None:
        """Write `step` in one transaction; on return it survives the death of the process.

        Raises:
            StoreError: nothing of it was written.
        """

    def order(self, client_order_id: ClientOrderId) -> OrderRow | None:
        """Return the order of that id, live or past, rejected ones too.

        Raises:
            StoreError: it cannot be read now.
        """

    def fills(self, since_ns: int) -> list[Fill]:
        """Return the fills from `since_ns` on, oldest first.

        Raises:
            StoreError: it cannot be read now.
        """


class MemoryRecord:
    """A record in memory, for virtual time and tests. It outlives the exchange that writes to it.

    Attributes:
        orders: every order by its client order id.
        executions: every fill, oldest first.
        balances: what is held.
        instruments: what is traded, by id.
        history: everything that was seen and done, in order.
    """

    keeps = True

    def __init__(self) -> None:
        self.orders: dict[ClientOrderId, OrderRow] = {}
        self.executions: list[Fill] = []
        self.balances: dict[Currency, Holding] = {}
        self.instruments: dict[str, Instrument] = {}
        self.history: list[HistoryRow] = []

    def load(self) -> Saved:
        """Return what is needed to go on."""
        live = [row for row in self.orders.values() if row.status is ReportStatus.OPEN]
        last = self.history[-1] if self.history else None
        return Saved(
            seq=last.seq if last else 0,
            ts_ns=last.ts_ns if last else 0,
            live=sorted(live, key=lambda row: row.seq),
            balances={name: held.total for name, held in self.balances.items()},
            instruments=list(self.instruments.values()),
            deposit=deposit_of(self.history[0].detail if self.history else {}),
        )

    def write(self, step: Step) -> None:
        """Keep `step`."""
        self.history.extend(step.history)
        self.orders.update((row.client_order_id, row) for row in step.orders)
        self.executions.extend(step.fills)
        self.balances.update(step.balances)
        self.instruments.update((one.id, one) for one in step.instruments)

    def order(self, client_order_id: ClientOrderId) -> OrderRow | None:
        """Return the order of that id, live or past, rejected ones too."""
        return self.orders.get(client_order_id)

    def fills(self, since_ns: int) -> list[Fill]:
        """Return the fills from `since_ns` on, oldest first."""
        return [fill for fill in self.executions if fill.ts_ns >= since_ns]


class NullRecord(MemoryRecord):
    """A record that keeps nothing but what is traded and what was held at first: for a backtest,
    in which nobody asks for what is past. Memory does not grow with the number of orders.

    So an exchange on it does not know the ids of past orders again, nor past fills.
    """

    keeps = False
