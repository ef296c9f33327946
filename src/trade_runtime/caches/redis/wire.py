"""One connection to a Redis server: many commands there, their replies back, in one turn.

A cancelled command leaves its reply under way, and every later one would be given its
predecessor's: so after a cancellation, as after an error, the connection is dropped, never used
again. Dropping is a plain call that works at any moment, also when the server is frozen and
takes nothing more.

Names are looked up by Trio: its look-up can be abandoned, so a name server that hangs holds up no
stop. The loop of asyncio would wait for its thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio_asyncio
from redis.asyncio import Connection, SSLConnection
from redis.exceptions import RedisError, ResponseError

from trade_runtime.errors import CacheError

Command = Sequence[str | bytes | int]


class _Dialled(Connection):
    """A connection to an address that was looked up before, and that can be dropped."""

    address = ""
    transport: asyncio.WriteTransport | None = None

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "host": self.address}

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        if self._writer is not None:
            self.transport = self._writer.transport

    def drop(self) -> None:
        """Close it at once: nothing that waits to be sent is waited for."""
        if self.transport is not None:
            self.transport.abort()
        self.transport = self._reader = self._writer = None


class _DialledTls(_Dialled, SSLConnection):
    """The same with TLS: the certificate is for the name, not for the address."""

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.host}


class Wire:
    """A connection that is up. Made by `dial`."""

    def __init__(self, connection: _Dialled) -> None:
        self._connection = connection

    async def ask(self, *commands: Command) -> list[Any]:
        """Send commands and return their replies; one that was refused is a ResponseError there.

        Raises:
            CacheError: the connection is of no use any more.
        """
        try:
            replies: list[Any] = await trio_asyncio.aio_as_trio(self._ask)(commands)
        except (RedisError, OSError, EOFError) as error:
            raise CacheError(_reason(error)) from None
        return replies

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        if not connection.is_connected:
            raise ConnectionError("the connection is lost")
        packed = connection.pack_commands(commands)
        await connection.send_packed_command(packed, check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies


@asynccontextmanager
async def dial(options: dict[str, Any], *, tls: bool) -> AsyncIterator[Wire]:
    """Connect to a server; leaving drops the connection.

    Args:
        options: of `redis.asyncio.Connection`, from a URL.
        tls: whether to speak TLS.

    Raises:
        CacheError: there is no connection.
    """
    connection = make(options, tls=tls)
    try:
        try:
            found = await trio.socket.getaddrinfo(
                connection.host, connection.port, type=trio.socket.SOCK_STREAM
            )
            await _connect(connection, [str(address[0]) for *_, address in found])
        except (RedisError, OSError, EOFError) as error:
            raise CacheError(_reason(error)) from None
        yield Wire(connection)
    finally:
        connection.drop()


async def _connect(connection: _Dialled, addresses: Sequence[str]) -> None:
    """Connect to the first address that answers."""
    for address in addresses[:-1]:
        connection.address = address
        try:
            await trio_asyncio.aio_as_trio(connection.connect)()
        except (RedisError, OSError):
            connection.drop()
        else:
            return
    connection.address = addresses[-1]
    await trio_asyncio.aio_as_trio(connection.connect)()


def make(options: dict[str, Any], *, tls: bool) -> _Dialled:
    """Return a connection that is not up yet. Deadlines are Trio's, so it has none of its own.

    Raises:
        TypeError: there is no such option.
    """
    kind = _DialledTls if tls else _Dialled
    return kind(
        **{"socket_timeout": None, "socket_connect_timeout": None, "protocol": 2, **options}
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
