"""The journal in a SQLite file: the store that needs nothing else, and the default.

A plug-in beside the core: it imports `protocols` and `errors` alone. What it guarantees: a record
that was acknowledged survives `kill -9` (and with durability "power" the loss of power); one owner
at a time; every changed byte of a journal that was closed cleanly is found, and after a crash every
change that matters; reading leaves no trace. `docs/reference/journal-store.md` has the files.
"""

from trade_runtime.protocols import StorePlugin
from trade_runtime.stores.sqlite.backup import back_up
from trade_runtime.stores.sqlite.opening import open_sqlite
from trade_runtime.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "plugin"]

plugin = StorePlugin(open=open_sqlite, back_up=back_up)
