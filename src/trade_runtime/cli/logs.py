"""Logs: one line an event, in words or as JSON, written whole with one system call."""

from __future__ import annotations

import logging
import os
import select
from collections import deque
from collections.abc import MutableMapping
from contextlib import nullcontext
from typing import Any

import structlog

from trade_runtime.settings import is_secret

MAX_WAITING = 10_000
"""Log lines that may wait for a reader that has stopped reading."""

PIPE_BYTES = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
"""What a pipe that takes anything takes at once (POSIX)."""

FLUSH_MS = 200
"""How long a flush waits for the reader, for each piece."""

QUIET = ("httpx", "httpcore", "trio-websocket")
"""Libraries whose own chatter is only of interest when something is wrong."""


class FdHandler(logging.Handler):
    """Writes lines whole, with `os.write`, and never waits for who reads them.

    Nothing is buffered in Python, so nothing is lost or torn by a forced exit, and a handler that
    a signal interrupts may be entered again by the signal's own logging; buffered streams refuse
    that. Where a reader stops reading, lines wait, `MAX_WAITING` at most; those beyond are counted,
    and told when it reads again: the log never holds up the trading.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd: int | None = fd
        self._waiting: deque[bytes] = deque()
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; a reader that is gone silences the log, never the runtime."""
        if self._fd is None:
            return
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception:
            self.handleError(record)
            return
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
        else:
            self._waiting.append(line)
        self._write(0)

    def flush(self) -> None:
        """Write what waits, as far as the reader takes it within `FLUSH_MS`."""
        with self.lock or nullcontext():
            self._write(FLUSH_MS)

    def _write(self, patience_ms: int) -> None:
        while self._waiting and self._fd is not None and self._takes(patience_ms):
            line = self._waiting.popleft()
            try:
                done = os.write(self._fd, line[:PIPE_BYTES])
            except OSError:
                self._fd = None
                return
            if done < len(line):
                self._waiting.appendleft(line[done:])
            elif not self._waiting and self._dropped:
                told = f"{self._dropped} log lines were dropped: nobody read them\n"
                self._waiting.append(told.encode())
                self._dropped = 0

    def _takes(self, patience_ms: int) -> bool:
        if not hasattr(select, "poll"):
            return True  # Windows cannot tell
        poll = select.poll()
        poll.register(self._fd or 0, select.POLLOUT)
        return bool(poll.poll(patience_ms))


def _mask(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if is_secret(key):
            event[key] = "***"
    return event


def configure_logs(level: str, *, stop_level: str, json: bool, handler: logging.Handler) -> None:
    """Send the logs of the runtime and of its libraries to `handler`.

    Args:
        level: the least that is shown.
        stop_level: the least that is shown of the steps of a stop.
        json: one JSON object a line, else plain text.
        handler: where to.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
    ]
    renderer: list[Any]
    if json:
        renderer = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=False,
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("shutdown").setLevel(stop_level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
