"""What the tests of stores share: an environment, an opener, and a look at a folder."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import attrs

from trade_runtime.protocols import Environment, Owner, Record, Store
from trade_runtime.stores.sqlite import plugin

NAME = "journal.sqlite"


class FixedClock:
    """Always the same time of day."""

    def now_ns(self) -> int:
        """Return 2023-11-14T22:13:20Z."""
        return 1_700_000_000_000_000_000


@attrs.define
class ListLog:
    """Keeps what is logged."""

    lines: list[str] = attrs.field(factory=list)

    def debug(self, event: str, **fields: object) -> None:
        self.lines.append(f"{event} {fields}")

    info = warning = error = debug


def environment(data_dir: Path) -> Environment:
    """What a store is given in these tests."""
    return Environment(FixedClock(), random.Random(1), data_dir, ListLog())


def open_sqlite(
    data_dir: Path, *, read_only: bool = False, durability: str = "process", name: str = NAME
) -> AbstractAsyncContextManager[Store]:
    """Open the journal of these tests."""
    return plugin.open(
        name,
        data_dir,
        owner=Owner("test"),
        durability=durability,
        read_only=read_only,
        env=environment(data_dir),
    )


def chained(first: int, count: int, digest: str = "", size: int = 40) -> list[Record]:
    """Records whose digests are a chain, as the core makes them."""
    records = []
    for seq in range(first, first + count):
        payload = (b'{"n": %d, "pad": "' % seq) + b"x" * size + b'"}'
        digest = link(digest, seq, seq * 1000, "intent", payload)
        records.append(Record(seq, seq * 1000, "intent", payload, digest))
    return records


def link(previous: str, seq: int, ts_ns: int, kind: str, payload: bytes) -> str:
    """A digest over the previous one and a record."""
    text = f"{previous}|{seq}|{ts_ns}|{kind}|".encode() + payload
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def is_chain(records: Iterable[Record]) -> bool:
    """Whether every digest is what the records before it make it."""
    digest = ""
    for seq, record in enumerate(records, start=1):
        digest = link(digest, record.seq, record.ts_ns, record.kind, record.payload)
        if record.seq != seq or record.digest != digest:
            return False
    return True


def listing(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"/"
        for path in sorted(folder.rglob("*"))
    }


async def read_all(store: Store) -> list[Record]:
    """Every record of a store."""
    found: list[Record] = []
    while batch := await store.read(len(found), 100):
        found.extend(batch)
    return found
