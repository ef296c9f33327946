"""The journal in PostgreSQL: several runtimes in one database, on machines that may change.

A plug-in beside the core: it imports `protocols` and `errors` alone, and asyncpg only once it is
named by a configuration. What it guarantees: an acknowledged record survives the death of this
process and of the server; one owner at a time, by a lease whose token every write checks, so that
an owner that was paused and replaced writes nothing; a commit whose outcome is unknown is resolved
by reading, never guessed. `docs/reference/journal-store.md` has the schema.
"""

from trade_runtime.errors import ConfigError
from trade_runtime.protocols import StorePlugin

try:
    from trade_runtime.stores.postgresql.opening import open_postgresql
except ModuleNotFoundError as error:
    if error.name not in ("asyncpg", "trio_asyncio"):
        raise
    raise ConfigError(
        f"store.url: PostgreSQL needs {error.name}, which is not installed:"
        " pip install 'trade-runtime[postgresql]'"
    ) from None

__all__ = ["plugin"]

plugin = StorePlugin(open=open_postgresql, asyncio=True, whole_url=True)
