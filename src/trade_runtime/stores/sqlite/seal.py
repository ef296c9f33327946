"""The seal: a digest of the whole file, written at a clean close, so that no later change hides.

Part of the SQLite store. SQLite has no page checksums, and the chain of record digests does not
cover what lies between records; the seal covers every byte. It is there only while nobody has the
journal open for writing: after a crash there is none, and SQLite's own check and the chain serve.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import trio

from trade_runtime.errors import StoreDamaged
from trade_runtime.stores.sqlite.files import replace_durably, size_of

CHUNK_BYTES = 1 << 20
"""Digested between two checkpoints: about 1 ms, so that the loop goes on answering. Two of them are
in memory at a time."""


def seal_of(journal: Path) -> Path:
    """Return where the seal of `journal` is."""
    return journal.with_name(journal.name + ".seal")


def verify_seal(journal: Path) -> bool:
    """Compare the journal with its seal; False where it has none.

    Raises:
        StoreDamaged: they differ, or the journal is gone.
        OSError: one cannot be read.
    """
    seal = seal_of(journal)
    try:
        sealed = seal.read_bytes()
    except FileNotFoundError:
        return False
    mend = f"restore it from a backup, or delete {seal.name} if the change was deliberate"
    if not journal.exists():
        raise StoreDamaged(f"{journal}: is gone, though {seal.name} is there; {mend}")
    if size_of(journal.with_name(journal.name + "-wal")):
        raise StoreDamaged(
            f"{journal}: was written by another program since it was sealed: it has a -wal; {mend}"
        )
    digest = hashlib.blake2b(digest_size=32)
    size = sum(len(chunk) for chunk in _chunks(journal, digest))
    if sealed != _text(size, digest.hexdigest()):
        raise StoreDamaged(f"{journal}: is not what was sealed in {seal.name}; {mend}")
    return True


async def write_seal(journal: Path) -> None:
    """Seal the journal. A cancel leaves it without a seal, never with a wrong one.

    Raises:
        OSError: the seal cannot be written.
    """
    digest = hashlib.blake2b(digest_size=32)
    size = 0
    for chunk in _chunks(journal, digest):
        size += len(chunk)
        if len(chunk) == CHUNK_BYTES:
            await trio.lowlevel.checkpoint()
    replace_durably(seal_of(journal), _text(size, digest.hexdigest()))


def _chunks(journal: Path, digest: hashlib.blake2b) -> Iterator[bytes]:
    handle = os.open(journal, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        while chunk := os.read(handle, CHUNK_BYTES):
            digest.update(chunk)
            yield chunk
    finally:
        os.close(handle)


def _text(size: int, digest: str) -> bytes:
    """Return the one spelling of a seal, so that a changed byte of the seal itself shows too."""
    return b'{"size": %d, "blake2b": "%s"}\n' % (size, digest.encode())
