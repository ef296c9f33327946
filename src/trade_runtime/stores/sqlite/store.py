"""The open journal: reads, appends, checks, closes.

Part of the SQLite store. An append is one transaction. With durability "process" it runs where it
is called, a few tens of microseconds that no task switch is worth; with "power" it waits for the
disk in a worker thread, which is never abandoned. Either way it can be cancelled before it begins
and not after, so `Cancelled` means that nothing was written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import trio

from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.protocols import Record
from trade_runtime.stores.sqlite.faults import RESTORE, told
from trade_runtime.stores.sqlite.files import APPLICATION_ID, SCHEMA_VERSION

CHECKPOINT_PAGES = 1000
"""How long the write-ahead log grows (4 MB) before it is moved into the file: SQLite's own default;
longer logs make fewer but longer pauses."""

_READ = "SELECT seq, ts_ns, kind, payload, digest FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
_APPEND = "INSERT INTO records VALUES (?, ?, ?, ?, ?)"


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
        self._last = self._last_seq()
        self._cleanup = contextlib.ExitStack()
        self._damaged = False

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to `limit` records with `seq > after`, in order."""
        async with self._turn:
            with self._noting_damage(), told(self._path):
                rows = self._connection.execute(_READ, (after, limit)).fetchall()
            return [Record(*row) for row in rows]

    async def append(self, records: Sequence[Record]) -> None:
        """Write `records` in one transaction. `Cancelled` means that nothing was written."""
        if self._read_only:
            raise StoreError(f"{self._path}: opened for reading; nothing was written")
        if self._in_thread:
            async with self._turn:
                await trio.to_thread.run_sync(self._write, records)
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._write(records)
            await trio.lowlevel.cancel_shielded_checkpoint()

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

    def _write(self, records: Sequence[Record]) -> None:
        last = self._last
        for record in records:
            if record.seq != last + 1:
                raise StoreError(
                    f"{self._path}: record {record.seq} does not follow {last}; nothing was written"
                )
            last = record.seq
        if not records:
            return
        rows = [(r.seq, r.ts_ns, r.kind, r.payload, r.digest) for r in records]
        connection = self._connection
        with self._noting_damage(), told(self._path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_APPEND, rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self._last = last

    def _last_seq(self) -> int:
        with told(self._path):
            row = self._connection.execute("SELECT max(seq) FROM records").fetchone()
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

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return nothing."""
        await trio.lowlevel.checkpoint()
        return []

    async def append(self, records: Sequence[Record]) -> None:
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
