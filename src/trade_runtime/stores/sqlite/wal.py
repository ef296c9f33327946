"""Finds what SQLite does not tell: acknowledged records that a damaged write-ahead log lost.

Part of the SQLite store; it matters after a crash, when the log (`-wal`) is still there. SQLite
ends a log at the first frame whose checksum is wrong, silently: right for a write that was cut off,
wrong for a flipped byte, since every record after it vanishes. But the log's index (`-shm`), a
memory map that survives the process, says how many frames were committed. So a log with fewer good
frames than its index names has lost something. After a loss of power the index is old or gone, and
claims less.

Formats: https://www.sqlite.org/walformat.html and https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import attrs

WAL_HEADER: Final = struct.Struct(">8I")
FRAME_HEADER: Final = struct.Struct(">6I")
INDEX_BYTES: Final = 48
INDEX_VERSION: Final = 3007000
_LITTLE_MAGIC: Final = 0x377F0682
_BIG_MAGIC: Final = 0x377F0683
_WORD: Final = 0xFFFFFFFF


@attrs.frozen
class LogIndex:
    """What the index says was committed: `frames` of the log that begins with `salt`."""

    frames: int
    salt: bytes


def read_index(journal: Path) -> LogIndex | None:
    """Return what the log's index says, or None where it is gone or makes no sense.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with journal.with_name(journal.name + "-shm").open("rb") as file:
            content = file.read(2 * INDEX_BYTES)
    except FileNotFoundError:
        return None
    # Two copies, the second written first: the first that is whole is the last acknowledged.
    for copy in (content[:INDEX_BYTES], content[INDEX_BYTES:]):
        if len(copy) == INDEX_BYTES:
            words = struct.unpack("=12I", copy)
            if words[0] == INDEX_VERSION and words[10:] == _checksum(words[:10], (0, 0)):
                return LogIndex(frames=words[4], salt=copy[32:40])
    return None


def lost_frames(index: LogIndex | None, log: Path) -> bool:
    """Tell whether `log` holds fewer good frames than its index says were committed.

    Raises:
        OSError: the log cannot be read.
    """
    if index is None or index.frames == 0:
        return False
    return good_frames(log, index.salt, index.frames) < index.frames


def good_frames(log: Path, salt: bytes, most: int) -> int:
    """Return how many frames, up to `most`, stand in `log` one after the other unharmed.

    Raises:
        OSError: the log cannot be read.
    """
    try:
        file = log.open("rb")
    except FileNotFoundError:
        return 0
    with file:
        head = file.read(WAL_HEADER.size)
        if len(head) < WAL_HEADER.size or head[16:24] != salt:
            return 0
        magic, _, page_bytes, *_, first, second = WAL_HEADER.unpack(head)
        if magic not in (_LITTLE_MAGIC, _BIG_MAGIC):
            return 0
        order = ">" if magic == _BIG_MAGIC else "<"
        running = _checksum(struct.unpack(f"{order}6I", head[:24]), (0, 0))
        if running != (first, second) or not 512 <= page_bytes <= 65536:
            return 0
        words = struct.Struct(f"{order}{page_bytes // 4}I")
        for number in range(most):
            frame = file.read(FRAME_HEADER.size + page_bytes)
            if len(frame) < FRAME_HEADER.size + page_bytes or frame[8:16] != salt:
                return number
            running = _checksum(struct.unpack(f"{order}2I", frame[:8]), running)
            running = _checksum(words.unpack_from(frame, FRAME_HEADER.size), running)
            if running != FRAME_HEADER.unpack_from(frame)[4:6]:
                return number
    return most


def _checksum(words: tuple[int, ...], start: tuple[int, int]) -> tuple[int, int]:
    first, second = start
    pairs = iter(words)
    for even, odd in zip(pairs, pairs, strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
