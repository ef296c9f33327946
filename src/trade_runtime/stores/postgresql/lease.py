"""One owner: a row for each runtime that says who holds its journal, and until when.

Part of the PostgreSQL store. Time is the server's clock alone, so the clocks of the machines need
not agree. Every taking, and every new connection of the owner, raises the token; every write names
the token of its connection and is refused where it is not the row's. So a write of an owner that
was replaced, or of a connection that was given up, has no effect however late it arrives.
"""

from __future__ import annotations

import os
import platform
from datetime import timedelta
from typing import Any
from uuid import UUID

import attrs
import trio

from trade_runtime.errors import StoreBusy, StoreFenced
from trade_runtime.protocols import Log
from trade_runtime.stores.postgresql.link import Link

RENEWALS = 3
"""How often a lease is renewed in the time that it lasts: two renewals may fail."""

LOOK_SECS = 0.2
"""How often one who waits looks whether the lease is free."""

_TAKE = """
    INSERT INTO trade_runtime.leases AS held (runtime, token, holder, host, pid, since, expires_at)
    VALUES ($1, 1, gen_random_uuid(), $2, $3, clock_timestamp(), clock_timestamp() + $4)
    ON CONFLICT (runtime) DO UPDATE
    SET token = held.token + 1, holder = excluded.holder, host = excluded.host, pid = excluded.pid,
        since = excluded.since, expires_at = excluded.expires_at
    WHERE held.expires_at <= clock_timestamp() AND (
        held.holder IS NULL OR pg_postmaster_start_time() + $4 <= clock_timestamp()
    )
    RETURNING token, holder
"""
# A lease that ended while the server was away is left to its owner for as long as a lease lasts: it
# could not renew it, and comes back first.
_RENEW = """
    UPDATE trade_runtime.leases SET expires_at = clock_timestamp() + $3
    WHERE runtime = $1 AND token = $2
"""
_RAISE = """
    UPDATE trade_runtime.leases SET token = token + 1, expires_at = clock_timestamp() + $3
    WHERE runtime = $1 AND holder = $2 RETURNING token
"""
_RELEASE = """
    UPDATE trade_runtime.leases SET holder = NULL, expires_at = clock_timestamp()
    WHERE runtime = $1 AND holder = $2
"""
_LOOK = """
    SELECT *, expires_at > clock_timestamp() AS held FROM trade_runtime.leases WHERE runtime = $1
"""


@attrs.frozen
class Lease:
    """A lease that is held.

    Attributes:
        holder: this holding, and no other.
        token: what a write must name; larger with each holding and each connection.
    """

    holder: UUID
    token: int


@attrs.frozen
class Terms:
    """For whom a lease is.

    Attributes:
        place: of the database, as it may be shown.
        runtime: the name.
        lasts: how long it lasts unless it is renewed.
        log: of the store.
    """

    place: str
    runtime: str
    lasts: timedelta
    log: Log

    @property
    def renew_secs(self) -> float:
        """How often it is to be renewed."""
        return self.lasts.total_seconds() / RENEWALS


async def take(link: Link, terms: Terms, *, standby: bool) -> Lease:
    """Take the lease, once it is free.

    One that is not renewed belongs to a process that is gone: its end is waited for, at most for as
    long as a lease lasts. One that is renewed is held by a process that lives.

    Args:
        link: to the database.
        terms: of the lease.
        standby: wait for as long as it is held.

    Raises:
        StoreBusy: another holds it, and lives.
        StoreError: the database does not answer.
    """
    until: Any = None
    while True:
        row = await link.row(_TAKE, terms.runtime, platform.node(), os.getpid(), terms.lasts)
        if row is not None:
            return Lease(row["holder"], row["token"])
        held = await link.row(_LOOK, terms.runtime)
        if held is not None and held["held"]:
            if until is None:
                terms.log.info("Standing by until the journal is free", why=f"held by {_who(held)}")
            elif held["expires_at"] > until and not standby:
                raise _busy(held, terms)
            until = held["expires_at"]
        await trio.sleep(LOOK_SECS)


async def renew(link: Link, terms: Terms, lease: Lease) -> None:
    """Let the lease last again for its whole time.

    Raises:
        StoreFenced: another holds it.
    """
    if await link.run(_RENEW, terms.runtime, lease.token, terms.lasts) != "UPDATE 1":
        raise await fenced(link, terms)


async def raised(link: Link, terms: Terms, lease: Lease) -> Lease:
    """Return the lease with a token for this connection; those of earlier ones are void.

    It waits for a write that is under way on an earlier connection. What is read after this will
    not be changed by what was sent before.

    Raises:
        StoreFenced: another holds it.
    """
    row = await link.row(_RAISE, terms.runtime, lease.holder, terms.lasts)
    if row is None:
        raise await fenced(link, terms)
    return Lease(lease.holder, row["token"])


async def release(link: Link, terms: Terms, lease: Lease) -> None:
    """Give the lease back, so that the next may take it at once."""
    await link.run(_RELEASE, terms.runtime, lease.holder)


async def fenced(link: Link, terms: Terms) -> StoreFenced:
    """Return the error that says who holds the lease instead."""
    held = await link.row(_LOOK, terms.runtime)
    if held is None:
        who = "nobody: its lease was removed from the table"
    elif held["holder"] is None:
        who = f"nobody any more; the last was {_who(held)}"
    else:
        who = _who(held)
    return StoreFenced(
        f"{terms.place}: the journal of runtime {terms.runtime!r} was taken over while this owner"
        f" did not renew its lease; it is held by {who}"
    )


def _busy(held: Any, terms: Terms) -> StoreBusy:
    return StoreBusy(
        f"{terms.place}: the journal of runtime {terms.runtime!r} is held by {_who(held)},"
        f" until {_time(held['expires_at'])} and renewed; stop that runtime first, or give this"
        " one a runtime.name of its own"
    )


def _who(held: Any) -> str:
    return (
        f"pid {held['pid']} on host {held['host']} since {_time(held['since'])}"
        f" (token {held['token']})"
    )


def _time(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))
