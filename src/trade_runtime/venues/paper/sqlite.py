"""The paper exchange's record on disk: one SQLite file that anyone may read while it runs.

Beside `record.py`, whose interface it implements. Write-ahead log with `synchronous=NORMAL`: a
committed step survives the death of the process at any moment; a power loss may take the last steps
but never half of one. Calls are made inline: a step takes tens of microseconds.

The file is made readable by its owner alone. Numbers are TEXT, exact, as they were computed. The
tables are documented in the reference, for whoever judges from outside.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId
from trade_runtime.venues.paper.orders import OrderRow, Position, text_of
from trade_runtime.venues.paper.record import Saved, Step, deposit_of
from trade_runtime.venues.paper.rows import (
    fill_of,
    fill_values,
    instrument_of,
    instrument_values,
    order_row,
    order_values,
)
from trade_runtime.venues.paper.schema import APPLICATION_ID, FROM_SCHEMA_1, SCHEMA, TABLES

BUSY_TIMEOUT_MS = 100
"""How long a write waits for another's lock; only a stranger who writes could hold one."""

WAL_LIMIT_BYTES = 16 * 1024 * 1024
"""To what size the write-ahead log is cut back after a checkpoint."""

CACHE_KIB = 2048
"""SQLite's page cache: with it, the record's share of the memory is bounded."""

_WRITE_ORDER = (
    "INSERT OR REPLACE INTO orders VALUES"
    " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_WRITE_FILL = "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WRITE_BALANCE = "INSERT OR REPLACE INTO balances VALUES (?, ?, ?)"
_WRITE_INSTRUMENT = "INSERT OR REPLACE INTO instruments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WRITE_POSITION = "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)"
_WRITE_HISTORY = "INSERT INTO history VALUES (?, ?, ?, ?, ?)"
_READ_FILLS = """
SELECT fills.*, fills.fee_currency = instruments.base AND instruments.kind = 'spot'
FROM fills JOIN instruments ON instruments.id = fills.instrument
WHERE ts_ns >= ? ORDER BY seq
"""


class SqliteRecord:
    """A record in the SQLite file at `path`, made where it is not there yet.

    Raises:
        StoreDamaged: the file is not a record that this version can read.
        StoreError: it cannot be opened or made.
    """

    keeps = True

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Made by hand, since SQLite would make it as readable as the umask lets it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: cannot be opened: {error}") from error
        try:
            with self._errors():
                self._set_up()
        except StoreError:
            self._db.close()
            raise

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it. Never raises."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def load(self) -> Saved:
        """Return what is needed to go on.

        Raises:
            StoreDamaged: it does not read as a record.
            StoreError: it cannot be read now.
        """
        with self._errors():
            last = self._db.execute(
                "SELECT seq, ts_ns FROM history ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            first = self._db.execute("SELECT detail FROM history WHERE seq = 1").fetchone()
            live = self._db.execute("SELECT * FROM orders WHERE status = 'open' ORDER BY seq")
            held = self._db.execute("SELECT currency, total FROM balances")
            traded = self._db.execute("SELECT * FROM instruments")
            open_ = self._db.execute("SELECT instrument, quantity, average_price FROM positions")
            return Saved(
                seq=last[0] if last else 0,
                ts_ns=last[1] if last else 0,
                live=[order_row(row) for row in live],
                balances={Currency(name): Decimal(total) for name, total in held},
                instruments=[instrument_of(row) for row in traded],
                deposit=deposit_of(msgspec.json.decode(first[0]) if first else {}),
                positions={
                    InstrumentId(name): Position(Decimal(quantity), Decimal(price))
                    for name, quantity, price in open_
                },
            )

    def write(self, step: Step) -> None:
        """Write `step` in one transaction; on return it survives the death of the process.

        Raises:
            StoreError: nothing of it was written.
        """
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._write(step)
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def order(self, client_order_id: ClientOrderId) -> OrderRow | None:
        """Return the order of that id, live or past, rejected ones too.

        Raises:
            StoreError: it cannot be read now.
        """
        with self._errors():
            row = self._db.execute(
                "SELECT * FROM orders WHERE client_order_id = ?", (client_order_id,)
            ).fetchone()
            return order_row(row) if row else None

    def fills(self, since_ns: int) -> list[Fill]:
        """Return the fills from `since_ns` on, oldest first.

        Raises:
            StoreError: it cannot be read now.
        """
        with self._errors():
            return [fill_of(row) for row in self._db.execute(_READ_FILLS, (since_ns,))]

    def _set_up(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        owner = self._db.execute("PRAGMA application_id").fetchone()[0]
        made = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if made and (owner != APPLICATION_ID or version < 1):
            raise StoreDamaged(
                f"{self.path}: is a database, but not a paper exchange's record; move it away"
            )
        if version > SCHEMA:
            raise StoreDamaged(
                f"{self.path}: has schema {version}, this version reads up to {SCHEMA};"
                " upgrade trade_runtime, or move the file away to begin a new account"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        self._db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if made and version == 1:
            self._db.executescript(
                f"BEGIN; {FROM_SCHEMA_1} PRAGMA user_version = {SCHEMA}; COMMIT;"
            )
        if not made:
            self._db.executescript(
                f"BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {SCHEMA}; COMMIT;"
            )

    def _write(self, step: Step) -> None:
        write = self._db.execute
        for one in step.history:
            detail = msgspec.json.encode(one.detail).decode()
            write(_WRITE_HISTORY, (one.seq, one.ts_ns, one.event, one.client_order_id, detail))
        for row in step.orders:
            write(_WRITE_ORDER, order_values(row))
        for fill in step.fills:
            write(_WRITE_FILL, fill_values(fill))
        for currency, held in step.balances.items():
            write(_WRITE_BALANCE, (currency, f"{held.total:f}", f"{held.locked:f}"))
        for instrument in step.instruments:
            write(_WRITE_INSTRUMENT, instrument_values(instrument))
        for name, one_held in step.positions.items():
            quantity, price = text_of(one_held.quantity), text_of(one_held.average_price)
            write(_WRITE_POSITION, (name, quantity, price))

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
            raise StoreError(f"{self.path}: {error}") from error
        except sqlite3.IntegrityError as error:
            raise StoreError(
                f"{self.path}: another process has written to it ({error}); run one at a time"
            ) from error
        except (sqlite3.DatabaseError, ArithmeticError, ValueError, TypeError) as error:
            raise StoreDamaged(
                f"{self.path}: is damaged ({error}); restore it from a backup,"
                " or move it away to begin a new account"
            ) from error
