"""Reads a recording of Binance's streams, row by row, whatever its size.

Two formats, told apart line by line, both plain or gzipped (by content, not by name):

    1723161254024619568 {"stream":"ethusdt@bookTicker","data":{...}}      local time, frame
    1723161254152322667 {"lastUpdateId":35346513512,"bids":[...],...}     a snapshot between them

    wss://stream.binance.com:9443/stream?streams=... <-> 1633998511.15    cryptofeed's .ws.log
    1633998512.06: {"stream":"nknusdt@depth@100ms","data":{...}}
    https://.../api/v3/depth?symbol=NKNUSDT&limit=1000 -> 1633998512.3: {"lastUpdateId":...}
                                                       the last in its sibling, .http.log

Nothing is held but the line that is read. What cannot be read raises `ConfigError` naming the file
and the line; a last line that the recorder did not finish is left out.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from trade_runtime.errors import ConfigError

MAX_LINE_BYTES: Final = 64 * 2**20
"""The longest answer one finds in a recording is exchangeInfo of all symbols, some 20 MB."""

READ_BYTES: Final = 2**18
GZIP_MAGIC: Final = b"\x1f\x8b"
WS_LOG: Final = ".ws.log"
HTTP_LOG: Final = ".http.log"

_FRAME_START: Final = b'{"stream":"'
# The units a recorder may count in: seconds, milli-, micro-, nanoseconds since 1970.
_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))


class Row(msgspec.Struct, frozen=True, gc=False):
    """One thing that was recorded.

    Attributes:
        number: of the line, from 1; 0 for what comes from the sibling file of snapshots.
        at_ns: when the recorder had it, by its own clock.
        stream: the name of the stream; empty for a snapshot of a book.
        body: the whole frame, or the snapshot, as JSON.
        symbol: of a snapshot where the recording says it, else empty.
    """

    number: int
    at_ns: int
    stream: str
    body: bytes
    symbol: str = ""


class _Peek(msgspec.Struct):
    stream: str = ""
    lastUpdateId: int | None = None  # noqa: N815
    symbol: str = ""
    s: str = ""


class _BadLine(Exception):
    """A line makes no sense; the text says why."""


_peek = msgspec.json.Decoder(_Peek)


class Recording:
    """A recording on disk.

    Args:
        path: the file of frames.

    Raises:
        ConfigError: there is no such file, or it is the file of snapshots beside it.
    """

    def __init__(self, path: Path) -> None:
        if path.name.removesuffix(".gz").endswith(HTTP_LOG):
            raise ConfigError(f"{path}: this is the file of snapshots; name the {WS_LOG} beside it")
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
        self.path = path
        self.end_line: int | None = None
        """The first line that the recorder did not finish, once it is known; reading ends there."""

    def rows(self) -> Iterator[Row]:
        """Return the rows from the beginning, snapshots among them by the recorder's clock.

        Raises:
            ConfigError: the file cannot be read, or a line other than the last makes no sense.
        """
        snapshots = self._snapshots()
        snapshot = next(snapshots, None)
        for row in self._frames():
            while snapshot is not None and snapshot.at_ns <= row.at_ns:
                yield snapshot
                snapshot = next(snapshots, None)
            yield row
        if snapshot is not None:
            yield snapshot
            yield from snapshots

    def _frames(self) -> Iterator[Row]:
        lines = _lines(self.path)
        for number, line in lines:
            if number == self.end_line:
                return
            if line.startswith((b"ws://", b"wss://")):
                continue
            try:
                row = _frame(number, line)
            except _BadLine as bad:
                if any(rest for _, rest in lines):
                    raise ConfigError(
                        f"{self.path}, line {number}: {bad}; mend the line or remove it"
                    ) from None
                self.end_line = number
                return
            if row is not None:
                yield row

    def _snapshots(self) -> Iterator[Row]:
        name = self.path.name
        if WS_LOG not in name:
            return
        plain = self.path.with_name(name.replace(WS_LOG, HTTP_LOG).removesuffix(".gz"))
        for path in (plain, plain.with_name(plain.name + ".gz")):
            if path.is_file():
                for number, line in _lines(path):
                    row = _answer(line)
                    if row is None and not line.startswith((b"http://", b"https://")):
                        raise ConfigError(f"{path}, line {number}: not `URL -> TIME: JSON`")
                    if row is not None:
                        yield row
                return


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number the lines of a file from 1 and leave out the blank ones."""
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES:
                    raise ConfigError(f"{path}, line {number}: longer than {MAX_LINE_BYTES} bytes")
                line = line.strip()
                if line:
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigError(
            f"{path}, after line {number}: the gzip data is cut short or damaged ({error});"
            f" save what is whole with `gzip -dc {path.name} > whole.jsonl` and replay that"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


def _opened(path: Path) -> BinaryIO:
    file = io.BufferedReader(io.FileIO(path), READ_BYTES)
    if file.peek(2)[:2] != GZIP_MAGIC:
        return file
    return io.BufferedReader(_Gunzipped(file), READ_BYTES)


class _Gunzipped(gzip.GzipFile):
    """A `GzipFile` that closes the file it reads."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._under = file

    def close(self) -> None:
        super().close()
        self._under.close()


def _frame(number: int, line: bytes) -> Row | None:
    """Return what a line says, or None where it says nothing that a stream could."""
    begin = line.find(b"{")
    if begin <= 0:
        raise _BadLine("not `TIME JSON`")
    at_ns = _time_ns(line[:begin].rstrip(b" \t:"))
    body = line[begin:]
    if body.startswith(_FRAME_START):
        end = body.find(b'"', len(_FRAME_START))
        if end > 0 and body.endswith(b"}"):
            return Row(number, at_ns, body[len(_FRAME_START) : end].decode(errors="replace"), body)
    try:
        peek = _peek.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _BadLine(f"not the JSON of a stream ({error})") from None
    if peek.stream or peek.lastUpdateId is not None:
        return Row(number, at_ns, peek.stream, body, (peek.symbol or peek.s).upper())
    return None


def _answer(line: bytes) -> Row | None:
    """Return the snapshot of a book that a line of the sibling file holds, or None."""
    url, arrow, rest = line.partition(b" -> ")
    stamp, _, body = rest.partition(b": ")
    parts = urlsplit(url.decode(errors="replace"))
    symbols = parse_qs(parts.query).get("symbol")
    if not (arrow and symbols and parts.path.endswith("/depth")):
        return None
    try:
        if _peek.decode(body).lastUpdateId is None:
            return None
        return Row(0, _time_ns(stamp), "", body.strip(), symbols[0].upper())
    except (msgspec.MsgspecError, UnicodeError, RecursionError, _BadLine):
        return None  # an answer cut short, or an error: the book then begins without it


def _time_ns(text: bytes) -> int:
    whole, _, part = text.partition(b".")
    if not whole.isdigit() or not (part.isdigit() or not part) or len(whole) > 19:
        raise _BadLine("does not begin with a time")
    number = int(whole)
    scale = next(scale for least, scale in _UNITS if number < least)
    fraction = int(part[:9].ljust(9, b"0")) * scale // 10**9 if part else 0
    return number * scale + fraction
