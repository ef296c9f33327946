"""Opens the journal: for its owner, who takes the lease, or for reading alone.

Part of the PostgreSQL store. For its owner the tables are made or brought up to date first. Reading
takes no lease and the server is told to refuse every change; tables that are not there read as an
empty journal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import trio

from trade_runtime.protocols import Environment, Owner, Store
from trade_runtime.stores.postgresql.address import read_address
from trade_runtime.stores.postgresql.faults import Lost
from trade_runtime.stores.postgresql.lease import Terms, take
from trade_runtime.stores.postgresql.link import Link, connect
from trade_runtime.stores.postgresql.schema import migrate, read_version
from trade_runtime.stores.postgresql.store import MOST_RETRY_SECS, PostgresqlStore


def open_postgresql(
    location: str,
    data_dir: Path,
    *,
    owner: Owner,
    durability: str,
    read_only: bool,
    env: Environment,
) -> AbstractAsyncContextManager[Store]:
    """Open the journal of a runtime in a database.

    Entering may take as long as a lease lasts: that of a process which is gone is waited for.

    Args:
        location: the whole URL; a password in it is never shown.
        data_dir: not used: nothing of the journal is on this machine.
        owner: whose journal it is, and how long its lease lasts.
        durability: "process" survives a crash of the server too, and the loss of its power; "power"
            also the loss of the server, where it has synchronous standbys.
        read_only: take no lease, and change nothing.
        env: the log.

    Raises:
        StoreBusy: another owner holds it; says which.
        StoreDamaged: it is not what was written; nothing was changed.
        StoreError: the server cannot be reached, or refuses.
        ConfigError: the URL, the user or the password is wrong.
    """
    address = read_address(location)
    reach = partial(
        connect, address, f"trade_runtime {owner.name}", durability, read_only=read_only
    )
    terms = Terms(address.place, owner.name, timedelta(seconds=owner.lease_secs), env.log)
    if read_only:
        return _open_for_reading(reach, terms)
    return _open_for_owner(reach, terms, standby=owner.standby)


@asynccontextmanager
async def _open_for_reading(
    reach: Callable[[], Awaitable[Link]], terms: Terms
) -> AsyncIterator[Store]:
    link = await reach()
    try:
        there = await read_version(link, terms.place) > 0
        store = PostgresqlStore(link, reach, terms, None, there=there)
    except BaseException:
        link.cut()
        raise
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _open_for_owner(
    reach: Callable[[], Awaitable[Link]], terms: Terms, *, standby: bool
) -> AsyncIterator[Store]:
    store = await _owned(reach, terms, standby=standby)
    try:
        await store.begin()
        yield store
    finally:
        await store.close()


async def _owned(
    reach: Callable[[], Awaitable[Link]], terms: Terms, *, standby: bool
) -> PostgresqlStore:
    """Return the store once its lease is taken.

    One on standby outlasts that the server goes away; another is told at once.
    """
    while True:
        try:
            link = await reach()
            try:
                await _warn_of_settings(link, terms)
                await migrate(link, terms.place)
                lease = await take(link, terms, standby=standby)
            except BaseException:
                link.cut()
                raise
            return PostgresqlStore(link, reach, terms, lease)
        except Lost as error:
            if not standby:
                raise
            terms.log.debug("The server is away", error=str(error))
        await trio.sleep(MOST_RETRY_SECS)


async def _warn_of_settings(link: Link, terms: Terms) -> None:
    row = await link.row(
        "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages"
    )
    assert row is not None
    if "off" in (row["fsync"], row["pages"]):
        terms.log.warning(
            "the server's fsync or full_page_writes is off: what it acknowledges does not survive"
            " the loss of its power",
            place=terms.place,
        )
