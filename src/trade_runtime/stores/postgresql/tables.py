"""The tables that people query, in PostgreSQL: numbers of money as `numeric`, exact.

Part of the PostgreSQL store. Names of tables and columns are the core's own, never a user's. Each
row carries the runtime's name, so that several runtimes share a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from trade_runtime.model.tables import TABLES, Row, Rows, Table
from trade_runtime.stores.postgresql.link import Link

_TYPES = {"text": "text", "integer": "bigint", "decimal": "numeric", "flag": "boolean"}


@cache
def append_statement() -> str:
    """Return the one statement that writes records and rows, where the token is the one in force.

    Its arguments are the runtime, the token, `seq` for the tables or null where they stay behind,
    five columns of records, and those of `columns_of`. It returns how many records it wrote, or no
    row where the token is another.
    """
    number = 9
    parts = []
    for table in TABLES.values():
        arrays = []
        for column in table.columns:
            arrays.append(f"${number}::{_TYPES[column.kind]}[]")
            number += 1
        parts.append(_part(table, arrays))
    return f"""
    WITH mine AS (
        SELECT 1 FROM trade_runtime.leases WHERE runtime = $1 AND token = $2 FOR SHARE
    ), written AS (
        INSERT INTO trade_runtime.records (runtime, seq, ts_ns, kind, payload, digest)
        SELECT $1, new.* FROM mine, unnest(
            $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], $8::text[]
        ) AS new RETURNING 1
    ), tabled AS (
        INSERT INTO trade_runtime.tabled (runtime, seq)
        SELECT $1, $3::bigint FROM mine WHERE $3::bigint IS NOT NULL
        ON CONFLICT (runtime) DO UPDATE SET seq = excluded.seq
    ), {", ".join(parts)}
    SELECT (SELECT count(*) FROM written) AS written FROM mine
    """  # noqa: S608


def _part(table: Table, arrays: Sequence[str]) -> str:
    names = ", ".join(table.names)
    key = ", ".join(table.names[: table.key])
    rest = ", ".join(f"{name} = excluded.{name}" for name in table.names[table.key :])
    return f"""new_{table.name} AS (
        INSERT INTO trade_runtime.{table.name} (runtime, {names})
        SELECT $1, new.* FROM mine, unnest({", ".join(arrays)}) AS new
        ON CONFLICT (runtime, {key}) DO UPDATE SET {rest}
    )"""  # noqa: S608


def columns_of(rows: Rows) -> list[list[Any]]:
    """Return rows column by column, for all tables in their order."""
    columns: list[list[Any]] = []
    for name, table in TABLES.items():
        changed = rows.get(name, ())
        columns += [[row[n] for row in changed] for n in range(len(table.columns))]
    return columns


async def find(link: Link, runtime: str, table: Table, keys: Sequence[Row]) -> list[Row]:
    """Return those rows that have one of these keys."""
    columns = [[key[n] for key in keys] for n in range(table.key)]
    return [tuple(row) for row in await link.rows(_find(table), runtime, *columns)]


async def rows(link: Link, runtime: str, table: Table, after: Row | None, limit: int) -> list[Row]:
    """Return rows in the order of their keys."""
    statement = _page(table, begun=after is not None)
    return [tuple(row) for row in await link.rows(statement, runtime, limit, *(after or ()))]


@cache
def _find(table: Table) -> str:
    names, key = ", ".join(table.names), ", ".join(table.names[: table.key])
    arrays = ", ".join(f"${n}::text[]" for n in range(2, table.key + 2))
    return (
        f"SELECT {names} FROM trade_runtime.{table.name}"  # noqa: S608
        f" WHERE runtime = $1 AND ({key}) IN (SELECT * FROM unnest({arrays}))"
    )


@cache
def _page(table: Table, *, begun: bool) -> str:
    names, key = ", ".join(table.names), ", ".join(table.names[: table.key])
    marks = ", ".join(f"${n}" for n in range(3, table.key + 3))
    after = f" AND ({key}) > ({marks})" if begun else ""
    return (
        f"SELECT {names} FROM trade_runtime.{table.name}"  # noqa: S608
        f" WHERE runtime = $1{after} ORDER BY {key} LIMIT $2"
    )
