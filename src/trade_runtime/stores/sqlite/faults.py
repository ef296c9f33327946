"""What SQLite and the operating system complain of, in our words: no foreign error leaves.

Part of the SQLite store. Damage is told apart from what may pass (a full disk, a lock), and every
message names the file and the mend.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trade_runtime.errors import StoreDamaged, StoreError

_MENDS = {
    "SQLITE_FULL": "the disk is full; make room",
    "SQLITE_READONLY": "it may not be written; give this user the right to write it",
    "SQLITE_PERM": "it may not be opened; give this user the right to",
    "SQLITE_CANTOPEN": "it cannot be opened; see that it and its folder can be read and written",
    "SQLITE_BUSY": "another program holds a lock on it; close that (a database browser?)",
    "SQLITE_LOCKED": "another program holds a lock on it; close that (a database browser?)",
    "SQLITE_IOERR": "the disk failed to read or write it; see to the disk",
    "SQLITE_NOMEM": "there is not enough memory",
}
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_SCHEMA")

RESTORE = "restore it from a backup, or move it away to begin anew"


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raise what SQLite and the operating system raise as StoreError or StoreDamaged.

    Args:
        path: the file the message names.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise in_our_words(error, path) from error
    except UnicodeDecodeError as error:
        raise StoreDamaged(f"{path}: damaged: {error}; {RESTORE}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}; see to the disk") from error


def in_our_words(error: sqlite3.Error, path: Path) -> StoreError:
    """Return what `error` means for the journal at `path`."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(_DAMAGE) or "decode" in str(error) or "no such" in str(error):
        return StoreDamaged(f"{path}: damaged: {error}; {RESTORE}")
    mend = next((text for prefix, text in _MENDS.items() if name.startswith(prefix)), None)
    return StoreError(f"{path}: {mend} ({error})" if mend else f"{path}: {error}")
