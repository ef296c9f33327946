"""What PostgreSQL, asyncpg and the network complain of, in our words: no foreign error leaves.

Part of the PostgreSQL store. Three kinds are told apart: the connection is `Lost`, and with it what
became of the statement under way; the server said no, so nothing was written; or what is there is
damaged. Every message names the place and the mend, and none the password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from trade_runtime.errors import ConfigError, StoreDamaged, StoreError

RESTORE = "restore the database from a backup"


class Lost(StoreError):
    """The connection is gone, or the server does not answer; the statement's outcome is unknown."""


_MENDS: dict[type[Exception], str] = {
    asyncpg.DiskFullError: "the server's disk is full; make room",
    asyncpg.ReadOnlySQLTransactionError: "the server takes no writes; name the primary, if this is"
    " a standby",
    asyncpg.InsufficientPrivilegeError: "this user lacks a right; let the owner of the database"
    " grant CREATE on it, or on the schema trade_runtime all",
}
_DAMAGE = (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, starting, a statement's time is over
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncio.CancelledError,  # the driver's own, when a connection ends under a statement
    OSError,
    TimeoutError,
)


@contextmanager
def told(place: str) -> Iterator[None]:
    """Raise what the driver raises as Lost, StoreDamaged or StoreError."""
    try:
        yield
    except _DAMAGE as error:
        raise StoreDamaged(f"{place}: damaged: {error}; {RESTORE}") from error
    except _LOST as error:
        raise Lost(f"{place}: {reason(error)}") from error
    except asyncpg.PostgresError as error:
        mend = next((text for kind, text in _MENDS.items() if isinstance(error, kind)), None)
        raise StoreError(f"{place}: {mend} ({error})" if mend else f"{place}: {error}") from error


@contextmanager
def told_at_connecting(place: str) -> Iterator[None]:
    """As `told`; what only another configuration mends is a ConfigError."""
    try:
        with told(place):
            try:
                yield
            except asyncpg.ClientConfigurationError:
                # Not repeated: it may quote the URL.
                raise ConfigError(f"{place}: store.url has an option that cannot be used") from None
            except asyncpg.InvalidCatalogNameError:
                raise ConfigError(
                    f"{place}: there is no such database; create it (createdb), or name another"
                ) from None
            except asyncpg.InvalidAuthorizationSpecificationError as error:
                raise ConfigError(
                    f"{place}: the server does not let this user in ({error}); give the password"
                    " in the environment (PGPASSWORD) or in ~/.pgpass"
                ) from None
    except ValueError:
        raise ConfigError(f"{place}: store.url has an option that cannot be used") from None


def reason(error: BaseException) -> str:
    """Return why a connection is gone, never without words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or "the connection ended"
