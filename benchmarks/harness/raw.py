"""Commits of a store, made by nothing but the database's own driver: what they cost at the least.

The tables have the columns and keys of the store's, made from the same description. Nothing is
checked, nothing is owned, nobody waits: a loop over commits that were prepared before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import asyncpg
from trio_asyncio import aio_as_trio

from harness.orders import Batch
from trade_runtime.model.instrument import text
from trade_runtime.model.tables import TABLES, Table

_SQLITE = {"text": "TEXT", "integer": "INTEGER", "decimal": "TEXT", "flag": "INTEGER"}
_POSTGRES = {"text": "text", "integer": "bigint", "decimal": "numeric", "flag": "boolean"}

RECORDS = """CREATE TABLE records (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL,
    kind TEXT NOT NULL, payload BLOB NOT NULL, digest TEXT NOT NULL) STRICT"""


class RawSqlite:
    """Commits by `sqlite3`, with the pragmas of the store."""

    def __init__(self, path: Path, durability: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        self._db.execute("PRAGMA wal_autocheckpoint = 1000")
        self._db.execute(RECORDS)
        for table in TABLES.values():
            self._db.execute(f"CREATE TABLE {_columns(table, _SQLITE)} STRICT, WITHOUT ROWID")

    async def commit(self, batches: Iterable[Batch]) -> list[float]:
        """Commit each batch by itself; return what each took, in seconds."""
        into = "INSERT INTO records VALUES (?, ?, ?, ?, ?)"
        upserts = {
            name: f"INSERT OR REPLACE INTO {name} VALUES ({_marks(table)})"
            for name, table in TABLES.items()
        }
        prepared = [
            [
                (into, _lines(records)),
                *((upserts[name], _texts(changed)) for name, changed in rows.items() if changed),
            ]
            for records, rows in batches
        ]
        execute, executemany = self._db.execute, self._db.executemany
        took = []
        for statements in prepared:
            began = perf_counter()
            execute("BEGIN IMMEDIATE")
            for statement, lines in statements:
                executemany(statement, lines)
            execute("COMMIT")
            took.append(perf_counter() - began)
        return took

    async def aclose(self) -> None:
        """Close the connection."""
        self._db.close()


class RawPostgres:
    """Commits by asyncpg, each one prepared statement: one way there and back. Made by `connect`,
    on an asyncio loop beneath Trio's.
    """

    def __init__(self, connection: Any, statement: Any) -> None:
        self._connection = connection
        self._statement = statement

    @classmethod
    async def connect(cls, url: str) -> RawPostgres:
        """Connect to a database, and make the tables in its schema `raw`."""
        connection = await aio_as_trio(asyncpg.connect)(url)
        run = aio_as_trio(connection.execute)
        await run("CREATE SCHEMA raw")
        await run(
            "CREATE TABLE raw.records (seq bigint PRIMARY KEY, ts_ns bigint NOT NULL,"
            ' kind text COLLATE "C" NOT NULL, payload bytea NOT NULL,'
            ' digest text COLLATE "C" NOT NULL)'
        )
        for table in TABLES.values():
            await run(f"CREATE TABLE raw.{_columns(table, _POSTGRES)}")
        return cls(connection, await aio_as_trio(connection.prepare)(_statement()))

    async def commit(self, batches: Iterable[Batch]) -> list[float]:
        """Commit each batch by itself; return what each took, in seconds."""
        prepared = [
            [
                *(_turned(_lines(records), 5)),
                *(
                    column
                    for name, table in TABLES.items()
                    for column in _turned(rows.get(name, ()), len(table.columns))
                ),
            ]
            for records, rows in batches
        ]

        async def loop() -> list[float]:
            took = []
            for columns in prepared:
                began = perf_counter()
                await self._statement.fetchval(*columns)
                took.append(perf_counter() - began)
            return took

        found: list[float] = await aio_as_trio(loop)()
        return found

    async def aclose(self) -> None:
        """Close the connection."""
        await aio_as_trio(self._connection.close)()


Raw = RawSqlite | RawPostgres


def _columns(table: Table, types: dict[str, str]) -> str:
    columns = ", ".join(
        f"{column.name} {types[column.kind]}{'' if column.optional else ' NOT NULL'}"
        for column in table.columns
    )
    return f"{table.name} ({columns}, PRIMARY KEY ({', '.join(table.names[: table.key])}))"


def _statement() -> str:
    number, parts = 6, []
    for table in TABLES.values():
        arrays = [
            f"${number + n}::{_POSTGRES[column.kind]}[]" for n, column in enumerate(table.columns)
        ]
        number += len(arrays)
        key = ", ".join(table.names[: table.key])
        rest = ", ".join(f"{name} = excluded.{name}" for name in table.names[table.key :])
        parts.append(
            f"new_{table.name} AS (INSERT INTO raw.{table.name}"
            f" SELECT * FROM unnest({', '.join(arrays)}) ON CONFLICT ({key}) DO UPDATE SET {rest})"
        )
    return (
        f"WITH {', '.join(parts)} INSERT INTO raw.records SELECT * FROM unnest("
        "$1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::text[])"
    )


def _lines(records: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [(r.seq, r.ts_ns, r.kind, r.payload, r.digest) for r in records]


def _turned(rows: Sequence[Sequence[Any]], columns: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(columns)]


def _texts(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [
        tuple(text(value) if type(value) is Decimal else value for value in row) for row in rows
    ]


def _marks(table: Table) -> str:
    return ", ".join("?" * len(table.columns))
