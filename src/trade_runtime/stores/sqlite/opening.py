"""Opens the journal: for its owner, or for reading alone, which leaves no trace.

Part of the SQLite store. Before anything is written it is known whose the file is, that every byte
is as it was sealed (or, after a crash, that SQLite finds it sound and its log lost nothing), and
that its schema is one we know. What is refused is left exactly as it was found.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    closing,
    suppress,
)
from pathlib import Path

import trio

from trade_runtime.errors import ConfigError, StoreBusy, StoreDamaged, StoreError
from trade_runtime.protocols import Environment, Owner, Store
from trade_runtime.stores.sqlite.faults import RESTORE, told
from trade_runtime.stores.sqlite.files import (
    SCHEMA_VERSION,
    create_journal,
    migrate,
    remove_durably,
    size_of,
)
from trade_runtime.stores.sqlite.lock import owned, unwritable
from trade_runtime.stores.sqlite.seal import seal_of, verify_seal, write_seal
from trade_runtime.stores.sqlite.store import (
    CHECKPOINT_PAGES,
    EmptyStore,
    SqliteStore,
    check_pages,
    check_schema,
)
from trade_runtime.stores.sqlite.wal import WAL_HEADER, lost_frames, read_index

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""

COPY_ATTEMPTS = 5
"""How often a journal in use is copied anew when its log was begun anew meanwhile."""

LOOK_SECS = 0.2
"""How often one who stands by looks whether the journal is free."""

_open_here: set[tuple[int, int]] = set()
"""The journals (device, inode) that this process writes. POSIX drops all locks a process has on a
file when it closes any handle on it, so those must not be copied from within. SQLite keeps the
same list, for the same reason: "Posix Advisory Locking" in its os_unix.c."""


def open_sqlite(
    location: str,
    data_dir: Path,
    *,
    owner: Owner,
    durability: str,
    read_only: bool,
    env: Environment,
) -> AbstractAsyncContextManager[Store]:
    """Open the journal at `location`, a path relative to `data_dir`.

    For its owner, entering creates the folder and the file where they are missing, takes the lock,
    and may run for as long as it takes to digest the file (about 1 s a gigabyte).

    Args:
        location: the path of the file.
        data_dir: what it is relative to.
        owner: ignored: whose file it is says the lock.
        durability: "process" survives `kill -9`, "power" also the loss of power.
        read_only: take no lock, and create or change nothing.
        env: the clock and the log.

    Raises:
        StoreBusy: another owner holds it; says which.
        StoreDamaged: it is not what was written; nothing was changed.
        StoreError: it cannot be opened now.
        ConfigError: the place cannot be written, or names no file.
    """
    if not location:
        raise ConfigError('store.url names no file; write for example "sqlite:///journal.sqlite"')
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old; 3.37 is the oldest that does"
        )
    path = data_dir / location
    if read_only:
        return _open_for_reading(path)
    return _open_for_owner(path, env, in_thread=durability == "power", standby=owner.standby)


@asynccontextmanager
async def _open_for_reading(path: Path) -> AsyncIterator[Store]:
    with ExitStack() as cleanup:
        connection = checked(path, cleanup)
        if connection is None:
            yield EmptyStore(path)
        else:
            yield SqliteStore(connection, path, read_only=True, in_thread=False)


@asynccontextmanager
async def _open_for_owner(
    path: Path, env: Environment, *, in_thread: bool, standby: bool
) -> AsyncIterator[Store]:
    try:
        _make_folder(path.parent)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    with ExitStack() as ownership:
        await _own(path, env, ownership, standby=standby)
        store = _opened(path, env, in_thread=in_thread)
        try:
            yield store
        finally:
            # Cancelled here, the journal stays without a seal, as after a crash: no shield needed.
            if store.close():
                with told(path):
                    await write_seal(path)
            else:
                env.log.warning("journal was left without a seal", file=str(path))


async def _own(path: Path, env: Environment, ownership: ExitStack, *, standby: bool) -> None:
    """Take the lock; on standby, as soon as nobody else has it.

    Raises:
        StoreBusy: another holds it.
    """
    told_who = False
    while True:
        try:
            ownership.enter_context(owned(path, env.clock.now_ns()))
        except StoreBusy as busy:
            if not standby:
                raise
            if not told_who:
                env.log.info("Standing by until the journal is free", why=str(busy))
                told_who = True
            await trio.sleep(LOOK_SECS)
        else:
            return


def _opened(path: Path, env: Environment, *, in_thread: bool) -> SqliteStore:
    """Open for the owner. The seal is broken once all was found as it should be."""
    with ExitStack() as checking:
        # Not by the owner's connection: closing that would move the log of a journal we refuse.
        exists = checked(path, checking) is not None
    with told(path), ExitStack() as cleanup:
        if not exists:
            try:
                create_journal(path, env.clock.now_ns())
            except OSError as error:
                raise unwritable(path, error) from error
        elif not seal_of(path).exists():
            env.log.warning("journal was not closed cleanly; it is sound", file=str(path))
        connection = cleanup.enter_context(closing(_connect(path, "mode=rw")))
        here = _identity(path)
        _open_here.add(here)
        cleanup.callback(_open_here.discard, here)
        connection.execute(f"PRAGMA synchronous = {'FULL' if in_thread else 'NORMAL'}")
        # macOS: without it a commit may rest in the drive's own cache. Elsewhere it does nothing.
        connection.execute(f"PRAGMA fullfsync = {'ON' if in_thread else 'OFF'}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        remove_durably(seal_of(path))
        before = migrate(connection)
        if before != SCHEMA_VERSION:
            env.log.info("journal is brought up to date", file=str(path), schema_was=before)
        store = SqliteStore(connection, path, read_only=False, in_thread=in_thread)
        store.on_close(cleanup.pop_all())
        return store


def checked(path: Path, cleanup: ExitStack) -> sqlite3.Connection | None:
    """Return a connection that changes nothing on the disk, or None where there is no journal.

    Raises:
        StoreDamaged: it is not what was written.
        StoreError: it cannot be read now.
        ConfigError: there is a file where its folder should be.
    """
    with told(path):
        try:
            sealed = _verified(path)
        except NotADirectoryError as error:
            raise unwritable(path.parent, error) from error
        if not path.exists():
            return None
        if _identity(path) in _open_here:
            # Its owner is this process: the files SQLite needs are all there already.
            connection = _connect(path, "mode=ro")
        elif path.with_name(path.name + "-wal").exists():
            folder = tempfile.TemporaryDirectory(prefix="trade_runtime-")
            connection = _connect(_copied(path, Path(cleanup.enter_context(folder))), "mode=rw")
        else:
            connection = _connect(path, "mode=ro&immutable=1")
        cleanup.enter_context(closing(connection))
        check_schema(connection, path)
        if not sealed:
            check_pages(connection, path)
        return connection


def _verified(path: Path) -> bool:
    """Tell whether the journal is as it was sealed.

    Raises:
        StoreDamaged: it is not, or cannot be a journal.
    """
    if verify_seal(path):
        return True
    if path.is_dir():
        raise StoreError(f"{path}: is a folder; name a file in store.url")
    log = path.with_name(path.name + "-wal")
    if not path.exists():
        if size_of(log):
            raise StoreDamaged(f"{path}: is gone, though its -wal is there; {RESTORE}")
        return False
    if size_of(path) == 0:
        raise StoreDamaged(f"{path}: is empty, and no journal ever is; {RESTORE}")
    # Where there is a log, it is compared with its index once it is copied. SQLite removes the
    # index before the log, so an index alone means that the log was taken away.
    if not log.exists() and lost_frames(read_index(path), log):
        raise _lost(path)
    return False


def _copied(path: Path, folder: Path) -> Path:
    """Copy the journal and its log, consistent even where an owner in another process writes on.

    The file first, then the log: as long as the log was not begun anew meanwhile, it holds every
    page that the file's copy may have caught in the middle of a change.
    """
    copy, log = folder / "journal", path.with_name(path.name + "-wal")
    copied_log = folder / "journal-wal"
    for _ in range(COPY_ATTEMPTS):
        index, head = read_index(path), _head(log)
        shutil.copyfile(path, copy)
        copied_log.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(log, copied_log)
        if _head(copied_log) == head:
            if not lost_frames(index, copied_log):
                return copy
            if index is not None and index.salt == head[16:24]:
                break  # index and log belong together: it was not begun anew, it is damaged
    raise _lost(path)


def _head(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            return file.read(WAL_HEADER.size)
    except FileNotFoundError:
        return b""


def _lost(path: Path) -> StoreDamaged:
    return StoreDamaged(
        f"{path}-wal: damaged: it has lost records that were acknowledged; restore both files from"
        f" a backup, or delete {path.name}-wal and {path.name}-shm to go on without those records"
    )


def _connect(path: Path, options: str) -> sqlite3.Connection:
    """Connect; no waiting for locks: the journal has one owner."""
    uri = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino
