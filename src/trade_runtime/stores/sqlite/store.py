"""The open journal: reads, appends, checks, closes.

Part of the SQLite store. An append is one transaction. With durability "process" it runs where it
is called, a few tens of microseconds that no task switch is worth; with "power" it waits for the
disk in a worker thread, which is never abandoned. Either way it can be cancelled before it begins
and not after, so `Cancelled` means that nothing was written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.model.tables import Row, Rows, Table
from trade_runtime.protocols import Ownership, Record, Snapshot
from trade_runtime.stores.sqlite import tables
from trade_runtime.stores.sqlite.faults import RESTORE, told
from trade_runtime.stores.sqlite.files import APPLICATION_ID, SCHEMA_VERSION

CHECKPOINT_PAGES = 1000
"""How long the write-ahead log grows (4 MB) before it is moved into the file: SQLite's own default;
longer logs make fewer but longer pauses."""

_READ = "SELECT seq, ts_ns, kind, payload, digest FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
_TABLED = "SELECT value FROM meta WHERE key = 'tabled'"
_TABLE = "INSERT OR REPLACE INTO meta VALUES ('tabled', ?)"
_APPEND = "INSERT INTO records VALUES (?, ?, ?, ?, ?)"
_SNAPSHOT = "SELECT seq, ts_ns, digest, payload, checksum FROM snapshots WHERE seq = ?"
_OLDEST = "SELECT seq FROM records WHERE seq <= ? ORDER BY seq LIMIT ?"
_LAST_RECORD = "SELECT max(seq) FROM records"
# Each by itself: the end of an index. The largest of both together would be looked for in all rows.
_LAST = """SELECT max(coalesce((SELECT max(seq) FROM records), 0),
    coalesce((SELECT max(seq) FROM snapshots), 0))"""

T = TypeVar("T")


class SqliteStore:
    """A journal in a SQLite file; made by `plugin.open`.

    Args:
        connection: in autocommit mode, usable from any thread.
        path: what messages name.
        read_only: refuse appends.
        in_thread: append in a worker thread.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, read_only: bool, in_thread: bool
    ) -> None:
        self._connection = connection
        self._path = path
        self._read_only = read_only
        self._in_thread = in_thread
        self._turn = trio.Lock()
        self._snapshots = self._has_snapshots()
        self._last = self._last_seq()
        self._cleanup = contextlib.ExitStack()
        self._damaged = False

    @property
    def ownership(self) -> Ownership:
        """The lock is the operating system's: no token, and never lost."""
        return Ownership()

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to `limit` records with `seq > after`, in order."""
        async with self._turn:
            with self._noting_damage(), told(self._path):
                rows = self._connection.execute(_READ, (after, limit)).fetchall()
            return [Record(*row) for row in rows]

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        """Write `records` in one transaction. `Cancelled` means that nothing was written."""
        await self._change(partial(self._write, records, rows, more=more))

    async def tabled(self) -> int:
        """Return the last record that the tables know of."""
        async with self._turn:
            with self._noting_damage(), told(self._path):
                row = self._connection.execute(_TABLED).fetchone()
            return 0 if row is None else int(row[0])

    async def find(self, table: Table, keys: Sequence[Row]) -> Sequence[Row]:
        """Return those rows of a table that have one of these keys."""
        async with self._turn:
            with self._noting_damage(), told(self._path):
                return tables.find(self._connection, table, keys)

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        """Return rows of a table in the order of their keys."""
        async with self._turn:
            with self._noting_damage(), told(self._path):
                return tables.rows(self._connection, table, after, limit)

    async def snapshots(self) -> Sequence[int]:
        """Return the `seq` of every snapshot that is kept, in order."""
        if not self._snapshots:
            await trio.lowlevel.checkpoint()
            return []
        async with self._turn:
            with self._noting_damage(), told(self._path):
                rows = self._connection.execute("SELECT seq FROM snapshots ORDER BY seq").fetchall()
            return [seq for (seq,) in rows]

    async def snapshot(self, seq: int) -> Snapshot:
        """Return one of them."""
        async with self._turn:
            with self._noting_damage(), told(self._path):
                row = self._connection.execute(_SNAPSHOT, (seq,)).fetchone()
            if row is None:
                raise StoreError(f"{self._path}: has no snapshot at record {seq}")
            return Snapshot(*row)

    async def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot."""
        await self._change(partial(self._write_snapshot, snapshot))

    async def forget(self, through: int, limit: int) -> bool:
        """Remove the oldest records up to `through`, and then the snapshots below it."""
        return await self._change(partial(self._remove, through, limit))

    async def check(self) -> None:
        """Check the file; the owner does so from the disk, past its connection's cache."""
        async with self._turn:
            with self._noting_damage(), told(self._path), contextlib.ExitStack() as cleanup:
                connection = self._connection
                if not self._read_only:
                    uri = f"{self._path.absolute().as_uri()}?mode=ro"
                    other = sqlite3.connect(uri, uri=True, timeout=0)
                    connection = cleanup.enter_context(contextlib.closing(other))
                check_schema(connection, self._path)
                check_pages(connection, self._path)

    def on_close(self, cleanup: contextlib.ExitStack) -> None:
        """Hand over what `close` is to end, the connection among it."""
        self._cleanup = cleanup

    def close(self) -> bool:
        """Close the journal; tell whether it is now whole by itself, without a log, and sound.

        Raises:
            StoreError: what was acknowledged is still safe, but in the log.
        """
        with self._cleanup, told(self._path):
            row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return row[0] == 0 and not self._damaged

    async def _change(self, work: Callable[[], T]) -> T:
        if self._read_only:
            raise StoreError(f"{self._path}: opened for reading; nothing was written")
        if self._in_thread:
            async with self._turn:
                return await trio.to_thread.run_sync(work)
        await trio.lowlevel.checkpoint_if_cancelled()
        result = work()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return result

    def _write(self, records: Sequence[Record], changed: Rows | None, *, more: bool) -> None:
        last = self._last
        for record in records:
            if record.seq != last + 1:
                raise StoreError(
                    f"{self._path}: record {record.seq} does not follow {last}; nothing was written"
                )
            last = record.seq
        if not records and changed is None:
            return
        lines = [(r.seq, r.ts_ns, r.kind, r.payload, r.digest) for r in records]
        with self._transaction() as connection:
            connection.executemany(_APPEND, lines)
            if changed is not None:
                tables.write(connection, changed)
                if not more:
                    connection.execute(_TABLE, (str(last),))
        self._last = last

    def _write_snapshot(self, kept: Snapshot) -> None:
        row = kept.seq, kept.ts_ns, kept.digest, kept.payload, kept.checksum
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)", row)

    def _remove(self, through: int, limit: int) -> bool:
        with self._transaction() as connection:
            found = connection.execute(_OLDEST, (through, limit + 1)).fetchall()
            if found:
                last = found[:limit][-1][0]
                connection.execute("DELETE FROM records WHERE seq <= ?", (last,))
            more = len(found) > limit
            if not more:
                connection.execute("DELETE FROM snapshots WHERE seq < ?", (through,))
        return more

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with self._noting_damage(), told(self._path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _has_snapshots(self) -> bool:
        """Tell whether it has their table; a journal of the first schema, read only, has not."""
        with told(self._path):
            found = self._connection.execute(
                "SELECT 1 FROM sqlite_schema WHERE name = 'snapshots'"
            ).fetchone()
        return found is not None

    def _last_seq(self) -> int:
        with told(self._path):
            row = self._connection.execute(_LAST if self._snapshots else _LAST_RECORD).fetchone()
        return int(row[0] or 0)

    @contextlib.contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except StoreDamaged:
            self._damaged = True
            raise


class EmptyStore:
    """What a journal that does not exist reads as."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def ownership(self) -> Ownership:
        """Nobody's."""
        return Ownership()

    async def snapshots(self) -> Sequence[int]:
        """Return nothing."""
        await trio.lowlevel.checkpoint()
        return []

    async def snapshot(self, seq: int) -> Snapshot:
        """Find none."""
        raise StoreError(f"{self._path}: has no snapshot at record {seq}")

    async def tabled(self) -> int:
        """Return 0."""
        await trio.lowlevel.checkpoint()
        return 0

    async def find(self, table: Table, keys: Sequence[Row]) -> Sequence[Row]:
        """Return nothing."""
        await trio.lowlevel.checkpoint()
        return []

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        """Return nothing."""
        await trio.lowlevel.checkpoint()
        return []

    async def keep(self, snapshot: Snapshot) -> None:
        """Refuse."""
        raise StoreError(f"{self._path}: opened for reading; nothing was written")

    async def forget(self, through: int, limit: int) -> bool:
        """Refuse."""
        raise StoreError(f"{self._path}: opened for reading; nothing was written")

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return nothing."""
        await trio.lowlevel.checkpoint()
        return []

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        """Refuse."""
        raise StoreError(f"{self._path}: opened for reading; nothing was written")

    async def check(self) -> None:
        """Find nothing wrong."""
        await trio.lowlevel.checkpoint()


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is a journal of ours and of a version we know.

    Raises:
        StoreDamaged: it is not, or is newer.
        sqlite3.Error: it cannot be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if application != APPLICATION_ID or not {"records", "meta"} <= tables:
        raise StoreDamaged(f"{path}: is a database, but no journal; {RESTORE}")
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    version = row[0] if row else ""
    if not version.isdecimal() or int(version) < 1:
        raise StoreDamaged(f"{path}: damaged: it has no schema version; {RESTORE}")
    if int(version) > SCHEMA_VERSION:
        raise StoreDamaged(
            f"{path}: was written by a newer trade_runtime: its schema version is {version},"
            f" this one knows up to {SCHEMA_VERSION}; run the newer one"
        )


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Let SQLite check every page of the file.

    Raises:
        StoreDamaged: something is wrong; the message has the first finding.
        sqlite3.Error: it cannot be read.
    """
    findings = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    if findings != ["ok"]:
        first = " ".join(str(findings[0] if findings else "no answer").split())
        raise StoreDamaged(f"{path}: damaged: {first}; {RESTORE}")
