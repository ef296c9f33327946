"""The journal in memory: for tests, simulations and the curious.

A plug-in beside the core: it imports `protocols` and `errors` alone. What is durable lives in a
`MemoryDisk` outside the store, so that a simulated kill takes the store and leaves the disk. It
reads no clock and starts no thread, so a run on it can be repeated step by step.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import attrs
import trio

from trade_runtime.errors import StoreBusy, StoreDamaged, StoreError
from trade_runtime.model.tables import TABLES, Row, Rows, Table
from trade_runtime.protocols import (
    Environment,
    Owner,
    Ownership,
    Record,
    Snapshot,
    Store,
    StorePlugin,
)

Hook = Callable[[str, int], Awaitable[None]]
"""Called with the operation (the store's method) and its number, counted from 1 over all of them.
It may raise StoreError, to fail the call, or sleep, to stall it."""


@attrs.define
class MemoryDisk:
    """What survives a simulated kill.

    Attributes:
        records: what is durable.
        snapshots: by `seq`, those that are.
        tabled: the last record that the tables know of.
        tables: by name, the rows by their key.
        forgotten: a list given here gets the records that are removed, for whoever judges.
        calls: how many operations were begun, over all stores of this disk.
        before: called before an operation has any effect.
        after: called when it has had its effect and is not yet acknowledged.
    """

    records: list[Record] = attrs.field(factory=list)
    snapshots: dict[int, Snapshot] = attrs.field(factory=dict)
    tabled: int = 0
    tables: dict[str, dict[Row, Row]] = attrs.field(factory=lambda: {name: {} for name in TABLES})
    forgotten: list[Record] | None = None
    calls: int = 0
    before: Hook | None = None
    after: Hook | None = None
    _owner: object | None = None
    _life: int = 0

    @property
    def last(self) -> int:
        """The number of the last record, which may have been forgotten."""
        return self.records[-1].seq if self.records else max(self.snapshots, default=0)

    @property
    def ever(self) -> list[Record]:
        """Every record that ever was durable, as far as those that were removed are kept."""
        return [*self.forgotten, *self.records] if self.forgotten else self.records

    def copy(self) -> MemoryDisk:
        """Return a disk that holds the same, is open to nobody, and has no hooks."""
        return MemoryDisk(
            list(self.records),
            dict(self.snapshots),
            self.tabled,
            {name: dict(rows) for name, rows in self.tables.items()},
            None if self.forgotten is None else list(self.forgotten),
        )

    def kill(self) -> None:
        """Let the process that has this disk open be dead: nothing it still does has any effect.

        Its calls never return, and the next to open the disk owns it.
        """
        self._owner = None
        self._life += 1

    def store(self, *, read_only: bool = False) -> AbstractAsyncContextManager[MemoryStore]:
        """Open the disk.

        Raises:
            StoreBusy: on entering, where it has an owner and `read_only` is not set.
        """
        return self._store(read_only=read_only)

    @asynccontextmanager
    async def _store(self, *, read_only: bool) -> AsyncIterator[MemoryStore]:
        if read_only:
            yield MemoryStore(self, read_only=True)
            return
        if self._owner is not None:
            raise StoreBusy("the memory journal is held by another part of this process")
        owner = self._owner = object()
        try:
            yield MemoryStore(self, read_only=False)
        finally:
            if self._owner is owner:
                self._owner = None

    @property
    def life(self) -> int:
        """How often its process was killed."""
        return self._life


class MemoryStore:
    """A journal on a `MemoryDisk`; made by `MemoryDisk.store`."""

    def __init__(self, disk: MemoryDisk, *, read_only: bool) -> None:
        self._disk = disk
        self._read_only = read_only
        self._life = disk.life

    @property
    def ownership(self) -> Ownership:
        """Its owner is a part of this process: no token, and never lost."""
        return Ownership()

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to `limit` records with `seq > after`, in order."""
        number = await self._begin("read")
        records = self._disk.records
        first = records[0].seq if records else 1
        found = records[max(after + 1 - first, 0) :][:limit]
        await self._end("read", number)
        return found

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        """Write `records`, all or none. The one checkpoint is before the write, so `Cancelled`
        means that nothing was written (unless a hook that runs after it was cancelled).
        """
        if self._read_only:
            raise StoreError("the memory journal is opened for reading; nothing was written")
        number = await self._begin("append")
        for expected, record in enumerate(records, start=self._disk.last + 1):
            if record.seq != expected:
                raise StoreError(f"record {record.seq} does not follow {expected - 1}")
        self._disk.records.extend(records)
        if rows is not None:
            if not more:
                self._disk.tabled = self._disk.last
            for name, changed in rows.items():
                key = TABLES[name].key
                self._disk.tables[name].update((row[:key], row) for row in changed)
        await self._end("append", number)

    async def tabled(self) -> int:
        """Return the last record that the tables know of."""
        number = await self._begin("tabled")
        await self._end("tabled", number)
        return self._disk.tabled

    async def find(self, table: Table, keys: Sequence[Row]) -> Sequence[Row]:
        """Return those rows of a table that have one of these keys."""
        number = await self._begin("find")
        rows = self._disk.tables[table.name]
        found = [rows[key] for key in keys if key in rows]
        await self._end("find", number)
        return found

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        """Return rows of a table in the order of their keys."""
        number = await self._begin("rows")
        rows = self._disk.tables[table.name]
        keys = sorted(rows, key=str)
        found = [rows[key] for key in keys if after is None or str(key) > str(after)][:limit]
        await self._end("rows", number)
        return found

    async def snapshots(self) -> Sequence[int]:
        """Return the `seq` of every snapshot that is kept, in order."""
        number = await self._begin("snapshots")
        found = sorted(self._disk.snapshots)
        await self._end("snapshots", number)
        return found

    async def snapshot(self, seq: int) -> Snapshot:
        """Return one of them."""
        number = await self._begin("snapshot")
        found = self._disk.snapshots.get(seq)
        await self._end("snapshot", number)
        if found is None:
            raise StoreError(f"the memory journal has no snapshot at record {seq}")
        return found

    async def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot. As for `append`, `Cancelled` means that nothing was written."""
        if self._read_only:
            raise StoreError("the memory journal is opened for reading; nothing was written")
        number = await self._begin("keep")
        self._disk.snapshots[snapshot.seq] = snapshot
        await self._end("keep", number)

    async def forget(self, through: int, limit: int) -> bool:
        """Remove the oldest records up to `through`, and then the snapshots below it."""
        if self._read_only:
            raise StoreError("the memory journal is opened for reading; nothing was written")
        number = await self._begin("forget")
        disk = self._disk
        old = sum(1 for record in disk.records[: limit + 1] if record.seq <= through)
        if disk.forgotten is not None:
            disk.forgotten += disk.records[: min(old, limit)]
        del disk.records[: min(old, limit)]
        if old <= limit:
            for seq in [seq for seq in disk.snapshots if seq < through]:
                del disk.snapshots[seq]
        await self._end("forget", number)
        return old > limit

    async def check(self) -> None:
        """Check that the records are numbered without a gap.

        Raises:
            StoreDamaged: they are not.
        """
        number = await self._begin("check")
        records = self._disk.records
        for expected, record in enumerate(records, start=records[0].seq if records else 1):
            if record.seq != expected:
                raise StoreDamaged(f"the memory journal has {record.seq} in place of {expected}")
        await self._end("check", number)

    async def _begin(self, operation: str) -> int:
        self._disk.calls += 1
        number = self._disk.calls
        await trio.lowlevel.checkpoint()
        if self._disk.before is not None:
            await self._disk.before(operation, number)
        await self._die_if_killed()
        return number

    async def _end(self, operation: str, number: int) -> None:
        if self._disk.after is not None:
            await self._disk.after(operation, number)
            await self._die_if_killed()

    async def _die_if_killed(self) -> None:
        if self._life != self._disk.life:
            await trio.sleep_forever()


@asynccontextmanager
async def _open_fresh(
    location: str,
    data_dir: Path,
    *,
    owner: Owner,
    durability: str,
    read_only: bool,
    env: Environment,
) -> AsyncIterator[Store]:
    """Open a journal that begins empty and is gone when it is closed."""
    async with MemoryDisk().store(read_only=read_only) as store:
        yield store


plugin = StorePlugin(open=_open_fresh)
