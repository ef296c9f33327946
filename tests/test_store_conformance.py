"""Every store of ours keeps the promises of the protocol; the suite itself can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from tests.stores import open_sqlite
from trade_runtime.model.tables import Rows
from trade_runtime.protocols import Record, Store
from trade_runtime.stores.memory import MemoryDisk, MemoryStore
from trade_runtime.testing.stores import check_store


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_sqlite_keeps_every_promise(tmp_path: Path, durability: str) -> None:
    """On a path whose folders do not exist yet, with either durability."""
    folder = tmp_path / "a" / "b"
    await check_store(
        lambda read_only: open_sqlite(folder, read_only=read_only, durability=durability)
    )


async def test_memory_keeps_every_promise(autojump_clock: MockClock) -> None:
    """On one disk, opened again and again, in virtual time."""
    disk = MemoryDisk()
    await check_store(lambda read_only: disk.store(read_only=read_only))


class Forgetful(MemoryStore):
    """Acknowledges a batch and keeps its first record."""

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        await super().append(records[:1], rows, more=more)


class Careless(MemoryStore):
    """Takes a batch piece by piece."""

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        for record in records:
            await super().append([record], rows, more=more)


class Backward(MemoryStore):
    """Reads the newest first."""

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        return (await super().read(after, limit))[::-1]


@pytest.mark.parametrize(
    ("broken", "promise"),
    [(Forgetful, "whole and in order"), (Careless, "leaves nothing"), (Backward, "in order")],
)
async def test_a_broken_store_is_caught(broken: Any, promise: str) -> None:
    """Each breaks one promise, and is told which."""
    disk = MemoryDisk()

    @asynccontextmanager
    async def opened(read_only: bool) -> AsyncIterator[Store]:
        async with disk.store(read_only=read_only):
            yield broken(disk, read_only=read_only)

    with pytest.raises(AssertionError, match=promise):
        await check_store(opened)


async def test_a_store_without_an_owner_is_caught() -> None:
    """Two owners at once is the promise that is easiest to forget."""
    disk = MemoryDisk()

    def opened(read_only: bool) -> AbstractAsyncContextManager[Store]:
        return _unowned(disk, read_only)

    with pytest.raises(AssertionError, match="second owner"):
        await check_store(opened)


@asynccontextmanager
async def _unowned(disk: MemoryDisk, read_only: bool) -> AsyncIterator[Store]:
    yield MemoryStore(disk, read_only=read_only)
