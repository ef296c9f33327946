"""The tables that people query: made anew from the records, and proven to equal them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import structlog
import trio

from trade_runtime.errors import StoreDamaged
from trade_runtime.machines.order import Order
from trade_runtime.machines.projection import Projection, balance_rows, order_row, position_row
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.journal import JournalReader, reader
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.model.tables import BALANCES, FILLS, ORDERS, POSITIONS, Row, Table, Value
from trade_runtime.protocols import Store

log = structlog.get_logger("state")

FIND_BATCH = 500
"""Rows that are asked for at a time."""


async def remake(store: Store) -> None:
    """Make the tables from the records, as far back as these go; what is older stays as it is.

    Only with the last of them do the tables know of the last record: a crash in the midst leaves
    tables that the next start makes anew.

    Raises:
        StoreDamaged: the journal is not what was written.
        StoreError: the tables could not be written.
    """
    log.info("The tables are made anew from the records")
    found = await reader(store, whole=True)
    found.projection = Projection(found.state)
    rows = None
    while await found.step():
        if rows is not None:
            await store.append([], rows, more=True)
        rows, _ = found.projection.changed()
    if rows is not None:
        await store.append([], rows)


async def prove(store: Store) -> tuple[JournalReader, bool]:
    """Read a journal as far back as it goes, and hold its tables against it.

    Returns:
        what read it, and whether the tables were held against it: not where they are behind or
        ahead of what was read, as after a crash, which the next start mends, or while a runtime
        goes on writing.

    Raises:
        StoreDamaged: a record, a snapshot or a row is not what was written.
        StoreError: it cannot be read.
    """
    found = await reader(store, whole=True)
    found.projection = Projection(found.state)
    at_first = await store.tabled()
    left: dict[ClientOrderId, Order] = {}
    while await found.step():
        rows, orders = found.projection.changed()
        if not at_first:  # there never were any
            continue
        await _equal(store, FILLS, rows[FILLS.name])
        left.update((order.id, order) for order in orders)
        over = [order for order in left.values() if order.id not in found.state.orders]
        await _equal(store, ORDERS, [order_row(order) for order in over])
        for order in over:
            del left[order.id]
    tabled = found.seq == at_first == await store.tabled()
    if tabled:
        await equal(store, found.state)
    return found, tabled


async def equal(store: Store, state: TradingState) -> None:
    """Hold the rows of the orders in mind, and of all positions and balances, against a state.

    Raises:
        StoreDamaged: one is another, or is missing.
        StoreError: they cannot be read.
    """
    await _equal(store, ORDERS, [order_row(order) for order in state.orders.values()])
    traded = [position_row(position) for position in state.ledger if position.fees]
    await _equal(store, POSITIONS, traded)
    told = state.accounts.balances.values()
    await _equal(store, BALANCES, [row for one in told for row in balance_rows(one)])


async def _equal(store: Store, table: Table, wanted: Sequence[Row]) -> None:
    for first in range(0, len(wanted), FIND_BATCH):
        batch = wanted[first : first + FIND_BATCH]
        there = await store.find(table, [row[: table.key] for row in batch])
        found = {row[: table.key]: row for row in there}
        for row in batch:
            other = found.get(row[: table.key])
            if other is None or _plain(table, row) != _plain(table, other):
                key = " ".join(map(str, row[: table.key]))
                raise StoreDamaged(
                    f"table {table.name}: the row of {key} is not what the records add up to:"
                    f" {_shown(table, row, other)}"
                )
        await trio.lowlevel.checkpoint()


def _plain(table: Table, row: Row) -> list[Value]:
    return [
        Decimal(str(value)) if column.kind == "decimal" and value is not None else value
        for column, value in zip(table.columns, row, strict=True)
    ]


def _shown(table: Table, row: Row, other: Row | None) -> str:
    if other is None:
        return "it is missing"
    pairs: Iterable[tuple[str, Value, Value]] = zip(
        table.names, _plain(table, row), _plain(table, other), strict=True
    )
    return ", ".join(
        f"{name} is {there}, not {here}" for name, here, there in pairs if here != there
    )
