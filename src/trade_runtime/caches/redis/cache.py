"""How a batch becomes commands, and how a run knows that it may write.

Every batch is one transaction. Before it, the status is read, and watched: where it shows a later
run that has not stopped, nothing is written. The number of an entry in the stream is the run's and
the record's (`RUN-SEQ`), so that an entry whose answer was lost is refused when it is written
again.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError, ResponseError

from trade_runtime.caches.redis.wire import Command, Wire, dial, make
from trade_runtime.errors import CacheError, CacheTaken, ConfigError
from trade_runtime.protocols import CacheBatch

STREAM_EXPIRY_SECS = 604_800
"""How long a stream stays that nothing is added to: a week."""

TOO_SMALL: Final = "equal or smaller"
"""What the server says of an entry that is there already."""


class Server:
    """A server by its URL, and the names of one runtime there.

    Args:
        url: `redis://USER:PASSWORD@HOST:PORT/DB`, or `rediss://`.
        space: what every key begins with.
        entries: how many the stream keeps, about.

    Raises:
        ConfigError: the URL is at fault; the message holds no part of it.
    """

    def __init__(self, url: str, space: str, entries: int) -> None:
        self.space = space
        self.entries = entries
        self.epoch: int | None = None
        """The first half of the numbers of this run's entries, once the stream was looked at."""
        try:
            parts = urlsplit(url)
            if not (parts.path in ("", "/") or parts.path[1:].isdecimal()):
                raise ValueError("what follows the host must be the number of a database")
            options: dict[str, Any] = dict(parse_url(url))
            self._tls = options.pop("connection_class", None) is not None
            make(options, tls=self._tls)
        except (ValueError, TypeError, OSError, RedisError) as error:
            # Of what cannot be read nobody knows which part is the password: say none of it.
            known = str(error) if "database" in str(error) else "not a URL of a Redis server"
            raise ConfigError(
                f'cache.url: {known}; write for example "redis://localhost:6379/0"'
            ) from None
        self._options = options

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RedisCache]:
        """Connect.

        Raises:
            CacheError: there is no connection.
        """
        async with dial(self._options, tls=self._tls) as wire:
            yield RedisCache(self, wire)

    def key(self, name: str) -> str:
        """Return the whole name of a table or of the stream."""
        return f"{self.space}:{name}"


class RedisCache:
    """One connection, as `protocols.Cache` asks."""

    def __init__(self, server: Server, wire: Wire) -> None:
        self._server = server
        self._wire = wire

    async def write(self, batch: CacheBatch) -> None:
        """Write a batch.

        Raises:
            CacheTaken: a later run of the name writes there.
            CacheError: it was not written, or nobody knows.
        """
        await self._may_write(batch.run)
        if self._server.epoch is None:
            self._server.epoch = await self._begin(batch.run)
        commands = self._commands(batch, self._server.epoch)
        *queued, done = await self._wire.ask(("MULTI",), *commands, ("EXEC",))
        for reply in queued:  # what is refused here (no memory) keeps all the rest from happening
            if isinstance(reply, Exception):
                raise CacheError(str(reply))
        if isinstance(done, Exception):
            raise CacheError(str(done))
        if done is None:
            raise CacheError("another run wrote in the same moment")
        for reply in done:
            if isinstance(reply, ResponseError) and TOO_SMALL not in str(reply):
                raise CacheError(str(reply))

    async def _begin(self, run: int) -> int:
        """Return a number for a run's entries that is above those that are there."""
        stream = self._server.key("stream")
        (last,) = await self._wire.ask(("XREVRANGE", stream, "+", "-", "COUNT", 1))
        if isinstance(last, Exception):
            raise CacheError(str(last))
        there = int(last[0][0].partition(b"-")[0]) if last else 0
        return max(run, there + 1)

    async def _may_write(self, own: int) -> None:
        status = self._server.key("status")
        watching, owner = await self._wire.ask(
            ("WATCH", status), ("HMGET", status, "run", "state", "host", "pid")
        )
        for reply in (watching, owner):
            if isinstance(reply, Exception):
                raise CacheError(str(reply))
        run, state, host, pid = (part.decode() if part else "" for part in owner)
        if run.isdecimal() and int(run) > own and state != "stopped":
            raise CacheTaken(f"a later run of this name writes there: pid {pid} on {host}")

    def _commands(self, batch: CacheBatch, epoch: int) -> list[Command]:
        key = self._server.key
        commands: list[Command] = []
        if batch.reset and batch.tables:
            commands.append(("DEL", *map(key, batch.tables)))
        for name, fields in batch.tables.items():
            put = [part for item in fields.items() if item[1] is not None for part in item]
            gone = [field for field, value in fields.items() if value is None]
            if gone:
                commands.append(("HDEL", key(name), *gone))
            if put:
                commands.append(("HSET", key(name), *put))  # type: ignore[arg-type]
            commands.append(("EXPIRE", key(name), math.ceil(batch.expiry_secs)))
        stream = key("stream")
        for entry in batch.entries:
            told = [part for item in entry.fields.items() for part in item]
            number = f"{epoch}-{entry.seq}"
            limit = ("MAXLEN", "~", self._server.entries)
            commands.append(("XADD", stream, *limit, number, *told))
        if batch.entries:
            commands.append(("EXPIRE", stream, STREAM_EXPIRY_SECS))
        return commands
