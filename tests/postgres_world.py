"""What the tests of the PostgreSQL store share: databases, openers, a proxy that cuts."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import attrs
import trio
from trio_asyncio import aio_as_trio

from tests.stores import FixedClock, ListLog
from tests.support.postgres import fresh_name
from trade_runtime.protocols import Environment, Owner, Store
from trade_runtime.stores.postgresql import plugin

LEASE_SECS = 1.0


async def query(url: str, *statements: str) -> list[Any]:
    """Run statements on a connection of their own; return the rows of the last."""
    connection = await aio_as_trio(asyncpg.connect)(url)
    try:
        for statement in statements[:-1]:
            await aio_as_trio(connection.execute)(statement)
        return list(await aio_as_trio(connection.fetch)(statements[-1]))
    finally:
        await aio_as_trio(connection.close)()


@asynccontextmanager
async def fresh_database(url: str) -> AsyncIterator[str]:
    """Give the URL of a new database of the server, dropped afterwards."""
    name = fresh_name()
    await query(url, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with trio.CancelScope(shield=True):
            await query(url, f"DROP DATABASE {name} WITH (FORCE)")


@attrs.define
class Desk:
    """Opens journals in one database, and keeps what they log."""

    url: str
    log: ListLog = attrs.field(factory=ListLog)

    def open(
        self,
        *,
        name: str = "test",
        read_only: bool = False,
        durability: str = "process",
        lease_secs: float = LEASE_SECS,
        standby: bool = False,
        url: str = "",
    ) -> AbstractAsyncContextManager[Store]:
        """Open the journal of a runtime."""
        return plugin.open(
            url or self.url,
            Path(),
            owner=Owner(name, lease_secs, standby),
            durability=durability,
            read_only=read_only,
            env=Environment(FixedClock(), random.Random(1), Path(), self.log),
        )


class CuttingProxy:
    """Stands between a store and its server, and cuts when it is told to.

    Attributes:
        port: where to connect.
        cut_after: when what a client sends holds this, the connection is cut once the server has
            answered; the answer is not handed on. Once.
        hold_at: what a client sends that holds this is kept until `release` is set, and then sent
            to the server, even if the client has gone. Once.
        cut_at: the number of the message of a client, counted from 1 over all connections, at which
            it cuts; 0 for none.
        early: cut at that message before it reaches the server, not after the server has answered.
        stay_down: take no connection after that.
        cuts: how often it cut.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.cut_after = b""
        self.cut_at, self.early, self.stay_down = 0, False, False
        self._messages = 0
        self.hold_at = b""
        self.held, self.release = trio.Event(), trio.Event()
        self.cuts = 0
        self._streams: list[trio.SocketStream] = []

    @asynccontextmanager
    async def run(self) -> AsyncIterator[CuttingProxy]:
        """Run it for as long as the block."""
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, self._serve, 0)
            self.port = listeners[0].socket.getsockname()[1]
            yield self
            nursery.cancel_scope.cancel()

    def url(self, url: str) -> str:
        """Return the URL of a database through the proxy."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.username}@127.0.0.1:{self.port}").geturl()

    def cut_all(self) -> None:
        """Cut every connection now."""
        self.cuts += 1
        for stream in self._streams:
            with contextlib.suppress(OSError):  # it has ended by itself
                stream.socket.shutdown(2)
        self._streams.clear()

    async def _serve(self, client: trio.SocketStream) -> None:
        if self.stay_down and self.cuts:
            return
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            async with await trio.open_tcp_stream("127.0.0.1", self._to) as server:
                self._streams.append(client)
                doomed = trio.Event()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._forward, client, server, doomed, nursery)
                    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                        async for data in server:
                            if doomed.is_set():
                                self.cuts += 1
                                break
                            await client.send_all(data)
                    nursery.cancel_scope.cancel()

    async def _forward(
        self,
        client: trio.SocketStream,
        server: trio.SocketStream,
        doomed: trio.Event,
        nursery: trio.Nursery,
    ) -> None:
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in client:
                self._messages += 1
                if self._messages == self.cut_at and self.early:
                    self.cuts += 1
                    nursery.cancel_scope.cancel()
                    return
                if self._messages == self.cut_at:
                    doomed.set()
                if self.cut_after and self.cut_after in data:
                    self.cut_after = b""
                    doomed.set()
                if self.hold_at and self.hold_at in data:
                    self.hold_at = b""
                    self.held.set()
                    await self.release.wait()
                await server.send_all(data)
            await server.send_eof()
