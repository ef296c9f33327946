"""The chain of the journal: how an event becomes a record, and how a record is proven.

Each record's digest covers the digest before it, so a record that was changed, lost or put in is
found by reading on. What survives a crash is a prefix of the chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from trade_runtime.errors import StoreDamaged
from trade_runtime.model.records import KINDS, JournalEvent
from trade_runtime.protocols import Record

GENESIS = "0" * 32
"""The digest before the first record."""

_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(cls) for cls, kind in KINDS.items()
}
_encode = msgspec.json.Encoder().encode


def digest(previous: str, seq: int, ts_ns: int, kind: str, payload: bytes) -> str:
    """Return the digest of a record: 32 hex digits of BLAKE2b."""
    head = f"{previous}:{seq}:{ts_ns}:{kind}:".encode()
    return blake2b(head + payload, digest_size=16).hexdigest()


def make_record(previous: str, seq: int, ts_ns: int, event: JournalEvent) -> Record:
    """Return the record of an event, chained to the digest of the record before it."""
    kind, payload = KINDS[type(event)], _encode(event)
    return Record(seq, ts_ns, kind, payload, digest(previous, seq, ts_ns, kind, payload))


def read_event(record: Record) -> JournalEvent:
    """Return the event of a record.

    Raises:
        StoreDamaged: the kind is not known, or the payload is not one of that kind.
    """
    try:
        event: JournalEvent = _DECODERS[record.kind].decode(record.payload)
    except KeyError:
        raise StoreDamaged(
            f"record {record.seq} is of kind {record.kind!r}, which this version does not know:"
            " use the version that wrote it, or a newer one"
        ) from None
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"record {record.seq} ({record.kind}) cannot be read: {error}") from None
    return event


def check_chain(
    records: Iterable[Record], previous: str = GENESIS, seq: int = 0
) -> Iterator[Record]:
    """Hand records on as long as each follows from the one before.

    Raises:
        StoreDamaged: one does not; the message names it.
    """
    for record in records:
        seq += 1
        if record.seq != seq:
            raise StoreDamaged(f"record {seq} is missing: {record.seq} stands in its place")
        if record.digest != digest(previous, seq, record.ts_ns, record.kind, record.payload):
            raise StoreDamaged(f"record {seq} ({record.kind}) is not what was written")
        previous = record.digest
        yield record
