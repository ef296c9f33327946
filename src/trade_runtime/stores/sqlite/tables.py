"""The tables that people query, in SQLite: numbers of money as their text, exact.

Part of the SQLite store. Names of tables and columns are the core's own, never a user's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from functools import cache

from trade_runtime.model.instrument import text
from trade_runtime.model.tables import TABLES, Row, Rows, Table


def write(connection: sqlite3.Connection, changed: Rows) -> None:
    """Write rows, within the transaction that is open; each replaces the one of its key."""
    for name, rows in changed.items():
        if rows:
            connection.executemany(_upsert(TABLES[name]), map(_as_written, rows))


def find(connection: sqlite3.Connection, table: Table, keys: Sequence[Row]) -> list[Row]:
    """Return those rows that have one of these keys."""
    found = (connection.execute(_one(table), key).fetchone() for key in keys)
    return [row for row in found if row is not None]


def rows(connection: sqlite3.Connection, table: Table, after: Row | None, limit: int) -> list[Row]:
    """Return rows in the order of their keys."""
    statement = _page(table, begun=after is not None)
    return connection.execute(statement, (*(after or ()), limit)).fetchall()


def _as_written(row: Row) -> tuple[object, ...]:
    return tuple(text(value) if type(value) is Decimal else value for value in row)


@cache
def _upsert(table: Table) -> str:
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT OR REPLACE INTO {table.name} ({_names(table)}) VALUES ({marks})"  # noqa: S608


@cache
def _one(table: Table) -> str:
    where = " AND ".join(f"{name} = ?" for name in table.names[: table.key])
    return f"SELECT {_names(table)} FROM {table.name} WHERE {where}"  # noqa: S608


@cache
def _page(table: Table, *, begun: bool) -> str:
    key = ", ".join(table.names[: table.key])
    after = f" WHERE ({key}) > ({', '.join('?' * table.key)})" if begun else ""
    return f"SELECT {_names(table)} FROM {table.name}{after} ORDER BY {key} LIMIT ?"  # noqa: S608


def _names(table: Table) -> str:
    return ", ".join(table.names)
