"""One owner at a time: an operating system lock that dies with the process that took it.

Part of the SQLite store. The lock is on `FILE.lock`, not on the journal, whose own locks are
SQLite's. Written by hand on `flock` and `msvcrt`, not on the `filelock` package: where a file
system knows no locks, that falls back to a file that outlives a killed process and then locks out
its successor. The file is removed when the lock is given back; so who takes a lock makes sure that
it is still the file of that name.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from trade_runtime.errors import ConfigError, StoreBusy

ATTEMPTS = 10
"""How often a lock file that its owner just removed is made anew."""

_FAR_BYTE = 1 << 30
"""Windows locks forbid reading: this byte is locked, so that the facts before it can be read."""


@contextlib.contextmanager
def owned(journal: Path, now_ns: int) -> Iterator[None]:
    """Hold the journal for as long as the block runs.

    Args:
        journal: the file to own; its folder exists.
        now_ns: since when, for the facts a second starter reads.

    Raises:
        StoreBusy: another process, or another part of this one, holds it; says which.
        ConfigError: the lock file cannot be made.
    """
    path = journal.with_name(journal.name + ".lock")
    handle = _acquired(path, journal)
    try:
        since = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
        facts = {"host": platform.node(), "pid": os.getpid(), "since": since.isoformat()}
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(facts).encode())
        yield
    finally:
        if os.name != "nt":
            path.unlink(missing_ok=True)
        os.close(handle)
        if os.name == "nt":  # where an open file cannot be removed; another may have it by now
            with contextlib.suppress(OSError):
                path.unlink()


def _acquired(path: Path, journal: Path) -> int:
    for _ in range(ATTEMPTS):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            if not _take(handle):
                break
            if _is_named(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    else:
        raise StoreBusy(f"{journal}: its lock changes hands all the time; start it once")
    try:
        raise StoreBusy(
            f"{journal} is held by {_holder(handle)};"
            " stop that runtime first, or give this one a data_dir of its own"
        )
    finally:
        os.close(handle)


def _is_named(handle: int, path: Path) -> bool:
    """Tell whether the locked file is still the one of that name: its last owner removes it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def unwritable(path: Path, error: OSError) -> ConfigError:
    """Return the error for a place that the configuration names and that cannot be written."""
    return ConfigError(
        f"{path}: cannot be written: {error.strerror or error};"
        " give this user the right to, or name another runtime.data_dir"
    )


def _holder(handle: int) -> str:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        facts = json.loads(os.read(handle, 4096))
        return f"pid {facts['pid']} on host {facts['host']} since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process that has not yet said who it is"


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> bool:
        os.lseek(handle, _FAR_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
