"""What a store must be: it keeps the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import attrs

from trade_runtime.model.tables import Row, Rows, Table
from trade_runtime.protocols.world import Environment


@attrs.frozen
class Record:
    """One line of the journal as a store keeps it.

    Attributes:
        seq: 1, 2, 3, ... without a gap; those that were forgotten are the first.
        ts_ns: when it was made.
        kind: what it is; the core knows the kinds, a store does not.
        payload: JSON.
        digest: hex digest over the previous digest and all of the above; the core makes it.
    """

    seq: int
    ts_ns: int
    kind: str
    payload: bytes
    digest: str


@attrs.frozen
class Snapshot:
    """What the records up to one of them add up to; a store keeps it as it is.

    Attributes:
        seq: of the last record that is in it.
        ts_ns: when it was taken.
        digest: of that record.
        payload: JSON; the core makes it and reads it.
        checksum: hex digest over all of the above; the core makes it.
    """

    seq: int
    ts_ns: int
    digest: str
    payload: bytes
    checksum: str


@attrs.frozen
class Owner:
    """Who opens a store.

    Attributes:
        name: of the runtime; a store that keeps the journals of several tells them apart by it.
        lease_secs: how long ownership lasts unless it is renewed, where it is a lease.
        standby: wait for as long as another owns it, instead of raising StoreBusy.
    """

    name: str
    lease_secs: float = 5.0
    standby: bool = False


@attrs.frozen
class Ownership:
    """How a store is owned by who has it open.

    Attributes:
        token: what each write names, larger with each owner; None where an operating-system lock
            holds the store, or it is open for reading.
        lost: another took the store over; nothing of this owner is written any more.
    """

    token: int | None = None
    lost: bool = False


class Store(Protocol):
    """Keeps the journal. It is held by one owner at a time."""

    @property
    def ownership(self) -> Ownership:
        """How it is owned, as far as that is known here; never asks."""

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to `limit` records with `seq > after`, in order.

        Raises:
            StoreDamaged: what is there cannot be read as records.
            StoreError: it cannot be read now.
        """

    async def append(
        self, records: Sequence[Record], rows: Rows | None = None, *, more: bool = False
    ) -> None:
        """Write `records` in one transaction; on return they survive what `durability` names.

        Cancellation leaves all or none of them written, and the caller must read to know which.

        Args:
            records: in order, the first after the last that is there.
            rows: of the tables of `model.tables`, in the same transaction; each replaces the one
                of its key. None where they are not known for these records.
            more: more rows are to come before the tables know of the last record; `tabled` stays.

        Raises:
            StoreFenced: another took the store over; nothing was written, nor will be.
            StoreError: nothing was written, or it is not known whether it was.
        """

    async def snapshots(self) -> Sequence[int]:
        """Return the `seq` of every snapshot that is kept, in order.

        Raises:
            StoreError: they cannot be read now.
        """

    async def snapshot(self, seq: int) -> Snapshot:
        """Return one of them.

        Raises:
            StoreDamaged: what is there cannot be read as a snapshot.
            StoreError: it cannot be read now, or is not there.
        """

    async def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot, in a transaction of its own.

        Raises:
            StoreError: it was not written, or it is not known whether it was.
        """

    async def forget(self, through: int, limit: int) -> bool:
        """Remove the oldest `limit` records of those with `seq <= through`, of which there is a
        snapshot, and once none of them is left, the snapshots below `through`; in one transaction.
        Return whether more are left.

        Raises:
            StoreError: nothing was removed, or it is not known whether it was.
        """

    async def tabled(self) -> int:
        """Return the last record that the tables know of: that of the last `append` with rows.

        Raises:
            StoreError: it cannot be read now.
        """

    async def find(self, table: Table, keys: Sequence[Row]) -> Sequence[Row]:
        """Return those rows of a table that have one of these keys, in any order. A decimal may
        come as its text.

        Raises:
            StoreError: they cannot be read now.
        """

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        """Return up to `limit` rows of a table whose keys come after `after`, in their order; from
        the first on where it is None.

        Raises:
            StoreError: they cannot be read now.
        """

    async def check(self) -> None:
        """Check the store's own integrity, as entering it did: for a store that was written since.

        Raises:
            StoreDamaged: it is not what was written; the message says where and how to mend it.
        """


class OpenStore(Protocol):
    """The call signature of `StorePlugin.open`."""

    def __call__(
        self,
        location: str,
        data_dir: Path,
        *,
        owner: Owner,
        durability: str,
        read_only: bool,
        env: Environment,
    ) -> AbstractAsyncContextManager[Store]:
        """Open the store."""


@attrs.frozen
class StorePlugin:
    """What an entry point of `trade_runtime.stores` names.

    Attributes:
        open: makes the store from the rest of the URL (after `scheme:///`), the data directory, the
            owner and the durability ("process" or "power"). With `read_only` nothing is created or
            changed, no ownership is taken, and a store that does not exist reads as empty.
            Entering raises StoreBusy where another owner holds it, StoreDamaged where it is not
            what was written. Leaving closes it for good and seals what is there.
        asyncio: it needs an asyncio loop; it is then opened and closed beneath one of
            trio-asyncio's, which outlives it.
        whole_url: `open` is given the whole URL instead of the rest; it may hold a password, which
            must not leave the plug-in.
        back_up: writes a copy of the store at a place (the rest of its URL, and the data directory)
            to a file that is not there yet; an owner may go on with it. None where the store's own
            tools do that. Raises ConfigError where the file is there or cannot be written,
            StoreError where there is nothing, or it cannot be read.
    """

    open: OpenStore
    asyncio: bool = False
    whole_url: bool = False
    back_up: Callable[[str, Path, Path], Awaitable[None]] | None = None
