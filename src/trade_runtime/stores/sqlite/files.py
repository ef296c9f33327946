"""Files made so that a crash leaves the old or the new, never a half.

Part of the SQLite store. Everything is readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

SCHEMA_VERSION = 2
"""Of the tables below. A journal of a newer one is refused; an older one is brought up to it when
its owner opens it."""

APPLICATION_ID = 0x54524A4C
"""`TRJL`: tells our files from other databases (`PRAGMA application_id`)."""

_TABLES_1 = (
    """CREATE TABLE records (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL,
    payload BLOB NOT NULL, digest TEXT NOT NULL) STRICT""",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
)
_TABLES_2 = (
    """CREATE TABLE snapshots (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL,
    digest TEXT NOT NULL, payload BLOB NOT NULL, checksum TEXT NOT NULL) STRICT""",
    """CREATE TABLE orders (client_order_id TEXT PRIMARY KEY, strategy TEXT NOT NULL,
    instrument TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL, tif TEXT NOT NULL,
    quantity TEXT NOT NULL, price TEXT, trigger_price TEXT, filled TEXT NOT NULL,
    average_price TEXT, state TEXT NOT NULL, live INTEGER NOT NULL, reason TEXT NOT NULL,
    protective INTEGER NOT NULL, reduce_only INTEGER NOT NULL, parent TEXT, oco TEXT NOT NULL,
    venue_order_id TEXT, created_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
    """CREATE TABLE fills (client_order_id TEXT NOT NULL, trade_id TEXT NOT NULL,
    strategy TEXT NOT NULL, instrument TEXT NOT NULL, side TEXT NOT NULL, quantity TEXT NOT NULL,
    price TEXT NOT NULL, fee TEXT NOT NULL, fee_currency TEXT NOT NULL, maker INTEGER NOT NULL,
    realised TEXT NOT NULL, ts_ns INTEGER NOT NULL, PRIMARY KEY (client_order_id, trade_id))
    STRICT, WITHOUT ROWID""",
    """CREATE TABLE positions (strategy TEXT NOT NULL, instrument TEXT NOT NULL,
    quantity TEXT NOT NULL, average_price TEXT NOT NULL, realised TEXT NOT NULL,
    fees TEXT NOT NULL, opened_ns INTEGER NOT NULL, PRIMARY KEY (strategy, instrument))
    STRICT, WITHOUT ROWID""",
    """CREATE TABLE balances (venue TEXT NOT NULL, currency TEXT NOT NULL, total TEXT NOT NULL,
    told_ns INTEGER NOT NULL, PRIMARY KEY (venue, currency)) STRICT, WITHOUT ROWID""",
    """CREATE VIEW stops AS SELECT client_order_id, strategy, instrument, side, type, quantity,
    filled, trigger_price, price, state, created_ns FROM orders WHERE protective AND live""",
)
_MIGRATIONS = {1: _TABLES_1, 2: _TABLES_2}
"""By schema version, what it has more than the one before."""


def create_journal(journal: Path, now_ns: int) -> None:
    """Make an empty journal under another name, and give it its own once it is whole.

    Raises:
        OSError, sqlite3.Error: it cannot be made; the journal's own name is untouched.
    """
    draft = journal.with_name(journal.name + ".new")
    for leftover in (
        draft,
        *(draft.with_name(draft.name + end) for end in ("-journal", "-wal", "-shm")),
    ):
        leftover.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    facts = {
        "schema_version": str(SCHEMA_VERSION),
        "created_ns": str(now_ns),
        "sqlite_version": sqlite3.sqlite_version,
    }
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        for statements in _MIGRATIONS.values():
            for statement in statements:
                connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    # Not over another's file: who owns the lock is the only one to create it.
    draft.rename(journal)
    sync_folder(journal.parent)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a journal up to the newest schema, in one transaction; return which it had.

    Raises:
        sqlite3.Error: it cannot be changed; it is as it was.
    """
    (found,) = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    version = int(found)
    if version == SCHEMA_VERSION:
        return version
    connection.execute("BEGIN IMMEDIATE")
    try:
        for newer in range(version + 1, SCHEMA_VERSION + 1):
            for statement in _MIGRATIONS[newer]:
                connection.execute(statement)
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(SCHEMA_VERSION),)
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return version


def replace_durably(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step that survives the loss of power.

    Raises:
        OSError: it cannot be written; `path` is untouched.
    """
    draft = path.with_name(path.name + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(path)
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove `path`, where it exists, in a way that survives the loss of power."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were added to or taken from `folder` survive the loss of power."""
    if os.name == "nt":
        return  # Windows has no handle on a folder to sync
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_of(path: Path) -> int:
    """Return the size of `path` in bytes, 0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
