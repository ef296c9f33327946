"""A copy of a journal, whole and sealed, also of one that is in use.

Part of the SQLite store. What is copied is what was durable at one moment; its owner goes on.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from trade_runtime.errors import ConfigError, StoreError
from trade_runtime.stores.sqlite.faults import told
from trade_runtime.stores.sqlite.files import sync_folder
from trade_runtime.stores.sqlite.opening import checked
from trade_runtime.stores.sqlite.seal import seal_of, write_seal


async def back_up(location: str, data_dir: Path, target: Path) -> None:
    """Write a copy of a journal to `target`, and its seal beside it.

    Args:
        location: of the journal, relative to `data_dir`.
        data_dir: what it is relative to.
        target: a file that is not there yet.

    Raises:
        ConfigError: there is something at `target`, or it cannot be written.
        StoreDamaged: the journal is not what was written.
        StoreError: there is none, or it cannot be read now.
    """
    _check_free(target)
    draft = target.with_name(target.name + ".new")
    draft.unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}") from error
    try:
        with ExitStack() as cleanup, told(draft):
            source = checked(data_dir / location, cleanup)
            if source is None:
                raise StoreError(f"{data_dir / location}: there is no journal to back up")
            with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
                source.backup(copy)
        draft.rename(target)
        sync_folder(target.parent)
        await write_seal(target)
    finally:
        draft.unlink(missing_ok=True)


def _check_free(target: Path) -> None:
    if target.exists() or seal_of(target).exists():
        raise ConfigError(f"{target}: is there already; a backup replaces nothing")
