"""One connection to PostgreSQL, used from Trio: each call bounded, each failure in our words.

Part of the PostgreSQL store. A call that is cancelled or gets no answer in time leaves no doubt
about the connection: it is cut, and the next call makes a new one. The driver could cancel the
statement and go on; but whether the statement took effect would still be unknown, and a connection
to a frozen server would be waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import trio
from trio_asyncio import aio_as_trio

from trade_runtime.stores.postgresql.address import Address
from trade_runtime.stores.postgresql.faults import Lost, told, told_at_connecting

T = TypeVar("T")

CONNECT_SECS = 3.0
"""A connection that is not there by then is given up."""

CALL_SECS = 5.0
"""A statement without an answer by then is given up, and its connection is cut."""

SERVER_CALL_SECS = 4.0
"""The server ends a statement after this by itself, so that what was given up does not linger."""

CLOSE_SECS = 1.0
"""A connection that does not say goodbye by then is cut."""

SYNCHRONOUS = {"process": "local", "power": "on"}
"""What `durability` means to the server. Never "off": the server may crash while this process lives
on, and would have forgotten what it acknowledged."""


class Link:
    """A connection; made by `connect`."""

    def __init__(self, connection: asyncpg.Connection[Any], place: str) -> None:
        self._connection = connection
        self._place = place

    @property
    def broken(self) -> bool:
        """Whether it is gone."""
        return self._connection.is_closed()

    async def run(self, statement: str, *args: Any) -> str:
        """Run a statement and return what the server says it did, as `INSERT 0 3`.

        Raises:
            Lost: the connection is gone, and it is not known whether it took effect.
            StoreDamaged: what is there cannot be read.
            StoreError: it had no effect.
        """
        return await self._call(lambda: self._connection.execute(statement, *args))

    async def rows(self, statement: str, *args: Any) -> list[asyncpg.Record]:
        """Run a statement and return its rows; raises as `run`."""
        return await self._call(lambda: self._connection.fetch(statement, *args))

    async def row(self, statement: str, *args: Any) -> asyncpg.Record | None:
        """Run a statement and return its first row, if it has one; raises as `run`."""
        return await self._call(lambda: self._connection.fetchrow(statement, *args))

    def cut(self) -> None:
        """End it without a word; never blocks."""
        self._connection.terminate()

    async def close(self) -> None:
        """Say goodbye, within a bound."""
        try:
            with trio.move_on_after(CLOSE_SECS), told(self._place):
                await aio_as_trio(self._connection.close)()
        except Lost:
            pass  # it is gone either way
        finally:
            self._connection.terminate()

    async def _call(self, statement: Callable[[], Awaitable[T]]) -> T:
        try:
            with told(self._place), trio.fail_after(CALL_SECS):
                answer: T = await aio_as_trio(statement)()
                return answer
        except trio.TooSlowError:
            self.cut()
            raise Lost(f"{self._place}: no answer within {CALL_SECS:g} s") from None
        except (trio.Cancelled, Lost):
            self.cut()
            raise


async def connect(address: Address, application: str, durability: str, *, read_only: bool) -> Link:
    """Connect to the database.

    Args:
        address: of it.
        application: how the server lists this connection.
        durability: what an acknowledged record survives.
        read_only: the server is to refuse every change.

    Raises:
        Lost: the server cannot be reached now.
        ConfigError: it can, but not with this URL, user or password.
    """
    options = {
        "application_name": application,
        "synchronous_commit": SYNCHRONOUS[durability],
        "statement_timeout": str(round(SERVER_CALL_SECS * 1000)),
        "default_transaction_read_only": "on" if read_only else "off",
    }
    place = address.place
    try:
        with told_at_connecting(place), trio.fail_after(CONNECT_SECS):
            connection = await aio_as_trio(asyncpg.connect)(
                address.url, timeout=CONNECT_SECS, server_settings=options
            )
    except trio.TooSlowError:
        raise Lost(f"{place}: no connection within {CONNECT_SECS:g} s") from None
    return Link(connection, place)
