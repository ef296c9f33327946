"""A trading state as bytes: what a journal has come to, so that a start need not read it all.

A snapshot is a shortcut and never the truth: it carries the digest of the record that it was taken
after, and the hash of the state, so whoever has the records can prove it.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from trade_runtime.machines.images import StateImage
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.protocols import Snapshot

SCHEMA = 1
"""Of `StateImage`. A state of another version is not read: the records are."""


class _Kept(msgspec.Struct, frozen=True):
    """What the payload of a snapshot is, as JSON."""

    version: int
    hash: str
    state: msgspec.Raw


class UnreadableSnapshot(Exception):
    """It cannot be used: damaged, or of another version. The records say the same, slower."""


_encode = msgspec.json.Encoder().encode
_kept = msgspec.json.Decoder(_Kept)
_image = msgspec.json.Decoder(StateImage)


def take(state: TradingState, seq: int, ts_ns: int, digest: str) -> Snapshot:
    """Take a snapshot of a state.

    Args:
        state: after record `seq`; it is not changed.
        seq: of the last record that is in it.
        ts_ns: when it is taken.
        digest: of that record.
    """
    kept = _Kept(SCHEMA, state.hash(), msgspec.Raw(_encode(state.image())))
    payload = _encode(kept)
    return Snapshot(seq, ts_ns, digest, payload, _checksum(seq, ts_ns, digest, payload))


def restore(snapshot: Snapshot) -> TradingState:
    """Return the state of a snapshot.

    Raises:
        UnreadableSnapshot: it is not what was taken, or of another version; the text says which.
    """
    checksum = _checksum(snapshot.seq, snapshot.ts_ns, snapshot.digest, snapshot.payload)
    if checksum != snapshot.checksum:
        raise UnreadableSnapshot(f"the snapshot at record {snapshot.seq} is not what was taken")
    try:
        kept = _kept.decode(snapshot.payload)
        if kept.version != SCHEMA:
            raise UnreadableSnapshot(
                f"the snapshot at record {snapshot.seq} is of version {kept.version}, not {SCHEMA}"
            )
        state = TradingState.of(_image.decode(kept.state))
    except msgspec.MsgspecError as error:
        raise UnreadableSnapshot(
            f"the snapshot at record {snapshot.seq} cannot be read: {error}"
        ) from None
    if state.hash() != kept.hash:
        raise UnreadableSnapshot(f"the snapshot at record {snapshot.seq} adds up to another state")
    return state


def hash_of(snapshot: Snapshot) -> str:
    """Return the hash of the state that a snapshot was taken of."""
    return _kept.decode(snapshot.payload).hash


def _checksum(seq: int, ts_ns: int, digest: str, payload: bytes) -> str:
    head = f"{seq}:{ts_ns}:{digest}:".encode()
    return blake2b(head + payload, digest_size=16).hexdigest()
