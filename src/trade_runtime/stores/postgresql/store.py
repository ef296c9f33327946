"""The open journal: reads, appends, checks, and the renewal of its lease.

Part of the PostgreSQL store. An append is one statement, and so one transaction and one answer: it
finds the lease's row with this connection's token, holds it for as long as it writes, and writes
nothing where the token is another. A process that stops in the middle of it leaves nothing locked.

Where a connection is lost, what was under way is unknown. The next connection first raises the
token, which waits for a write that still runs and refuses one that comes later; what it then reads
is the truth. Records that are there were written, and others are written again.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
import trio_asyncio

from trade_runtime.errors import ConfigError, StoreDamaged, StoreError, StoreFenced
from trade_runtime.model.tables import Row, Rows, Table
from trade_runtime.protocols import Ownership, Record, Snapshot
from trade_runtime.stores.postgresql import snapshots, tables
from trade_runtime.stores.postgresql.faults import RESTORE, Lost
from trade_runtime.stores.postgresql.lease import (
    Lease,
    Terms,
    fenced,
    raised,
    release,
    renew,
)
from trade_runtime.stores.postgresql.link import CLOSE_SECS, Link
from trade_runtime.stores.postgresql.schema import read_version

T = TypeVar("T")

OUTAGE_SECS = 15.0
"""How long a call goes on trying while the server is away; then it fails."""

RETRY_SECS = 0.1
"""Before the second try; twice as long before each one after it."""

MOST_RETRY_SECS = 1.0
"""The longest wait between two tries."""

_READ = """
    SELECT seq, ts_ns, kind, payload, digest FROM trade_runtime.records
    WHERE runtime = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
# Each by itself: the end of an index. The largest of both together would be looked for in all rows.
_END = """
    SELECT coalesce(greatest(
        (SELECT max(seq) FROM trade_runtime.records WHERE runtime = $1),
        (SELECT max(seq) FROM trade_runtime.snapshots WHERE runtime = $1)
    ), 0) AS last
"""
_TABLED = "SELECT seq FROM trade_runtime.tabled WHERE runtime = $1"


class PostgresqlStore:
    """The journal of one runtime; made by `plugin.open`.

    Args:
        link: the first connection.
        connect: makes another.
        terms: whose journal it is, and how it is owned.
        lease: what its owner holds; None: for reading alone.
        there: whether there are tables; where not, it reads as empty.
    """

    def __init__(
        self,
        link: Link,
        connect: Callable[[], Awaitable[Link]],
        terms: Terms,
        lease: Lease | None,
        *,
        there: bool = True,
    ) -> None:
        self._link = link
        self._connect = connect
        self._terms = terms
        self._lease = lease
        self._there = there
        self._place, self._log = terms.place, terms.log
        self._turn = trio.Lock()
        self._last = 0
        self._fenced: StoreFenced | None = None
        self._renewing: Future[Any] | None = None

    async def begin(self) -> None:
        """Read where the journal ends, and begin to renew the lease.

        The task lives in the asyncio loop's own nursery, which outlives the store: a nursery of the
        store's would have to be closed outside of every scope that was opened after it.
        """
        self._last = await self._end(self._link)
        self._renewing = trio_asyncio.current_loop.get().trio_as_future(self._keep)

    @property
    def ownership(self) -> Ownership:
        """The token of the connection in use; lost once a call was refused for it."""
        token = None if self._lease is None else self._lease.token
        return Ownership(token, self._fenced is not None)

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to `limit` records with `seq > after`, in order.

        Raises:
            StoreFenced: another owns the journal now.
            StoreError: the server did not answer in time.
        """
        if not self._there:
            await trio.lowlevel.checkpoint()
            return []
        args = (self._terms.runtime, after, limit)
        rows = await self._tried(lambda link: link.rows(_READ, *args), "it cannot be read now")
        return [Record(*row) for row in rows]

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        """Write `records`, and rows, in one transaction.

        Cancelled before it begins, nothing was written. Cancelled later, all or none were, and the
        caller must read to know which; what that reads is final.

        Raises:
            StoreFenced: another owns the journal now; nothing was written.
            StoreError: nothing was written, or the message says that it is not known.
        """
        if self._lease is None:
            raise StoreError(f"{self._place}: opened for reading; nothing was written")
        await trio.lowlevel.checkpoint_if_cancelled()
        sent = False

        async def write(link: Link) -> None:
            nonlocal sent
            if sent and await self._found(link, records):
                self._log.info("records of a lost connection had been written")
                return
            self._check_follows(records)
            sent = True
            await self._write(link, records, rows, more=more)

        if records or rows is not None:
            await self._tried(write, "it is not known whether the last records were written")
        else:
            await trio.lowlevel.checkpoint()

    async def snapshots(self) -> Sequence[int]:
        """Return the `seq` of every snapshot that is kept, in order."""
        if not self._there:
            await trio.lowlevel.checkpoint()
            return []
        return await self._tried(
            lambda link: snapshots.taken(link, self._terms.runtime), "they cannot be read now"
        )

    async def snapshot(self, seq: int) -> Snapshot:
        """Return one of them."""
        found = None
        if self._there:
            found = await self._tried(
                lambda link: snapshots.one(link, self._terms.runtime, seq), "it cannot be read now"
            )
        if found is None:
            raise StoreError(f"{self._place}: has no snapshot at record {seq}")
        return found

    async def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot; tried again, it takes its own place."""

        async def write(link: Link) -> None:
            done = await snapshots.keep(link, self._terms.runtime, self._token(), snapshot)
            await self._check_mine(link, mine=done)

        await self._tried(write, "it is not known whether the snapshot was written")

    async def forget(self, through: int, limit: int) -> bool:
        """Remove the oldest records up to `through`, and then the snapshots below it."""

        async def remove(link: Link) -> bool:
            more = await snapshots.forget(link, self._terms.runtime, self._token(), through, limit)
            await self._check_mine(link, mine=more is not None)
            return bool(more)

        return await self._tried(remove, "it is not known whether old records were removed")

    async def tabled(self) -> int:
        """Return the last record that the tables know of."""
        if not self._there:
            await trio.lowlevel.checkpoint()
            return 0
        row = await self._tried(
            lambda link: link.row(_TABLED, self._terms.runtime), "it cannot be read now"
        )
        return 0 if row is None else int(row["seq"])

    async def find(self, table: Table, keys: Sequence[Row]) -> Sequence[Row]:
        """Return those rows of a table that have one of these keys."""
        if not self._there:
            await trio.lowlevel.checkpoint()
            return []
        return await self._tried(
            lambda link: tables.find(link, self._terms.runtime, table, keys),
            "they cannot be read now",
        )

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        """Return rows of a table in the order of their keys."""
        if not self._there:
            await trio.lowlevel.checkpoint()
            return []
        return await self._tried(
            lambda link: tables.rows(link, self._terms.runtime, table, after, limit),
            "they cannot be read now",
        )

    async def check(self) -> None:
        """Check the schema's version and that the journal's end can be read; a gap is found in
        reading.

        Raises:
            StoreDamaged: it is not what was written.
            StoreError: the server did not answer in time.
        """
        if not self._there:
            await trio.lowlevel.checkpoint()
            return

        async def look(link: Link) -> None:
            await read_version(link, self._place)
            await self._end(link)

        await self._tried(look, "it cannot be checked now")

    async def close(self) -> None:
        """Stop renewing, give the lease back, and end the connection.

        Cancelled, or where the server is away, the lease is not given back: it ends by itself.
        """
        try:
            if self._renewing is not None:
                self._renewing.cancel()
            with trio.move_on_after(CLOSE_SECS) as in_time:
                async with self._turn:
                    if self._lease is not None and self._fenced is None:
                        await release(self._link, self._terms, self._lease)
                    await self._link.close()
            if in_time.cancelled_caught:
                raise Lost(f"{self._place}: no answer within {CLOSE_SECS:g} s")
        except StoreError as error:
            self._log.warning("the lease was not given back; it ends by itself", error=str(error))
        finally:
            self._link.cut()

    async def _keep(self) -> None:
        while True:
            await trio.sleep(self._terms.renew_secs)
            try:
                async with self._turn:
                    link = await self._ready()
                    assert self._lease is not None
                    with self._noting_fence():
                        await renew(link, self._terms, self._lease)
            except StoreFenced as error:
                self._log.error("the journal was taken over", error=str(error))
                return
            except StoreError as error:
                self._log.debug("the lease was not renewed", error=str(error))

    async def _tried(self, act: Callable[[Link], Awaitable[T]], outcome: str) -> T:
        """Act on a connection, and on another one where that is lost, within the bound."""
        lost = Lost(f"{self._place}: no answer")
        pause = RETRY_SECS
        with trio.move_on_after(OUTAGE_SECS):
            while True:
                try:
                    async with self._turn:
                        return await act(await self._ready())
                except Lost as error:
                    lost = error
                    tell = self._log.warning if pause == RETRY_SECS else self._log.debug
                    tell("the connection was lost", error=str(error))
                await trio.sleep(pause)
                pause = min(2 * pause, MOST_RETRY_SECS)
        raise StoreError(f"{lost}, and not for {OUTAGE_SECS:g} s; {outcome}")

    async def _ready(self) -> Link:
        """Return a connection whose reads are final and whose token is the one in force."""
        if self._fenced is not None:
            raise self._fenced
        if self._renewing is not None and self._renewing.done():
            self._renewing.result()  # a defect: raised here, where it is not overlooked
        if self._link.broken:
            try:
                link = await self._connect()
            except ConfigError as error:
                raise StoreError(str(error)) from error
            try:
                if self._lease is not None:
                    with self._noting_fence():
                        self._lease = await raised(link, self._terms, self._lease)
                    self._last = await self._end(link)
            except BaseException:
                link.cut()
                raise
            self._log.info("connected again")
            self._link = link
        return self._link

    async def _write(
        self, link: Link, records: Sequence[Record], rows: Rows | None, *, more: bool
    ) -> None:
        last = records[-1].seq if records else self._last
        done = await link.row(
            tables.append_statement(),
            self._terms.runtime,
            self._token(),
            None if rows is None or more else last,
            *_columns(records),
            *tables.columns_of(rows or {}),
        )
        await self._check_mine(link, mine=done is not None)
        self._last = last

    def _token(self) -> int:
        if self._lease is None:
            raise StoreError(f"{self._place}: opened for reading; nothing was written")
        return self._lease.token

    async def _check_mine(self, link: Link, *, mine: bool) -> None:
        if not mine:
            with self._noting_fence():
                raise await fenced(link, self._terms)

    async def _found(self, link: Link, records: Sequence[Record]) -> bool:
        """Tell whether records whose outcome was unknown are there.

        Raises:
            StoreDamaged: others are there in their place.
        """
        if not records or self._last < records[0].seq:
            return False
        first = records[0].seq
        rows = await link.rows(_READ, self._terms.runtime, first - 1, len(records))
        if self._last == records[-1].seq and records == [Record(*row) for row in rows]:
            return True
        raise StoreDamaged(
            f"{self._place}: holds other records from {first} on than were sent; {RESTORE}"
        )

    def _check_follows(self, records: Sequence[Record]) -> None:
        for expected, record in enumerate(records, start=self._last + 1):
            if record.seq != expected:
                raise StoreError(
                    f"{self._place}: record {record.seq} does not follow {expected - 1};"
                    " nothing was written"
                )

    async def _end(self, link: Link) -> int:
        row = await link.row(_END, self._terms.runtime)
        assert row is not None
        return int(row["last"])

    @contextmanager
    def _noting_fence(self) -> Iterator[None]:
        try:
            yield
        except StoreFenced as error:
            self._fenced = error
            raise


def _columns(records: Sequence[Record]) -> list[list[object]]:
    lines = [(r.seq, r.ts_ns, r.kind, r.payload, r.digest) for r in records]
    return [list(column) for column in zip(*lines, strict=True)] or [[], [], [], [], []]
