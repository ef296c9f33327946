"""A cache in memory that fails when it is told to, for runs in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from trade_runtime.errors import CacheError, CacheTaken
from trade_runtime.protocols import CacheBatch, CacheEntry, CachePlugin, OpenCache


class MemoryCache:
    """What others would read, and how the cache is.

    `fault` is what the next connection or write runs into: `away` and `taken` fail, `frozen` never
    answers, `lost` writes and then never answers, `defect` is an error that no plug-in may raise.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.stream: dict[int, CacheEntry] = {}
        self.fault = ""
        self.calls = 0
        self.writes = 0
        self.connected = 0
        self.open = 0
        self.expiry_secs = 0.0
        self.fault_at: int | None = None
        """The call, a connection or a write, counted from 1, that fails whatever `fault` says."""
        self.lasting = False
        """And every later one."""
        self.late = False
        """A write that fails so was done."""

    @property
    def plugin(self) -> CachePlugin:
        return CachePlugin(self._prepare)

    def _prepare(self, url: str, *, space: str, entries: int) -> OpenCache:
        return self._connect

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[MemoryCache]:
        await self._meet()
        self._fail_the_nth()
        self.connected += 1
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1

    async def _meet(self) -> None:
        self.calls += 1
        await trio.lowlevel.checkpoint()
        if self.fault == "frozen":
            await trio.sleep_forever()
        if self.fault == "defect":
            raise ZeroDivisionError("a defect")
        if self.fault == "taken":
            raise CacheTaken("a later run of this name writes there: pid 1 on other")
        if self.fault == "away":
            raise CacheError("connection refused")

    async def write(self, batch: CacheBatch) -> None:
        await self._meet()
        self.writes += 1
        if not self.late:
            self._fail_the_nth()
        self._take(batch)
        self._fail_the_nth()
        if self.fault == "lost":
            await trio.sleep_forever()

    def _fail_the_nth(self) -> None:
        if self.fault_at is not None and (
            self.calls == self.fault_at or (self.lasting and self.calls > self.fault_at)
        ):
            raise CacheError("the nth call fails")

    def _take(self, batch: CacheBatch) -> None:
        self.expiry_secs = batch.expiry_secs
        for name, fields in batch.tables.items():
            table = self.tables.setdefault(name, {})
            if batch.reset:
                table.clear()
            for key, value in fields.items():
                table.pop(key, None)
                if value is not None:
                    table[key] = value
        for entry in batch.entries:
            self.stream.setdefault(entry.seq, entry)

    def lose(self) -> None:
        """Forget everything, as a server does that is started again."""
        self.tables.clear()
        self.stream.clear()

    def values(self, table: str) -> dict[str, Any]:
        """The values of a table, read."""
        return {key: msgspec.json.decode(value) for key, value in self.tables[table].items()}

    @property
    def status(self) -> dict[str, str]:
        return self.tables["status"]
