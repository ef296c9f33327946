"""A log whose reader stops reading."""

from __future__ import annotations

import logging
import os

from trade_runtime.cli import logs
from trade_runtime.cli.logs import FdHandler


def record(text: str) -> logging.LogRecord:
    """A log record."""
    return logging.LogRecord("test", logging.INFO, __file__, 1, text, None, None)


def drained(fd: int) -> str:
    """All that is in the pipe now."""
    os.set_blocking(fd, False)
    data = b""
    try:
        while piece := os.read(fd, 1 << 20):
            data += piece
    except BlockingIOError:
        pass
    return data.decode()


def test_a_reader_that_stops_reading_holds_nothing_up(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Lines wait, up to a bound; the rest is counted; whole lines come when it reads again."""
    monkeypatch.setattr(logs, "MAX_WAITING", 100)
    reader, writer = os.pipe()
    handler = FdHandler(writer)
    lines = [f"{number:05} " + "x" * 1000 for number in range(1000)]
    for line in lines:
        handler.emit(record(line))  # would block for ever on a full pipe

    read = ""
    while more := drained(reader):
        read += more
        handler.flush()
    handler.emit(record("after"))
    seen = (read + drained(reader)).splitlines()
    kept = [line for line in seen if line in set(lines)]

    assert lines[: len(kept)] == kept
    assert 100 <= len(kept) < 1000
    dropped = 1000 - len(kept)
    assert [f"{dropped} log lines were dropped: nobody read them", "after"] == seen[len(kept) :]
    os.close(reader)
    os.close(writer)


def test_a_reader_that_is_gone_silences_the_log() -> None:
    """A closed pipe raises nothing, now or later."""
    reader, writer = os.pipe()
    handler = FdHandler(writer)
    os.close(reader)
    handler.emit(record("one"))
    handler.emit(record("two"))
    handler.flush()
    os.close(writer)
