"""Logs: one line an event, in words or as JSON, written whole with one system call."""

from __future__ import annotations

import logging
import os
from collections.abc import MutableMapping
from typing import Any

import structlog

from trade_runtime.settings import is_secret

QUIET = ("httpx", "httpcore", "trio-websocket")
"""Libraries whose own chatter is only of interest when something is wrong."""


class FdHandler(logging.Handler):
    """Writes each line with `os.write`: nothing is buffered, so nothing can be lost or torn.

    A handler that a signal interrupts may be entered again by the signal's own logging; buffered
    streams refuse that.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd: int | None = fd

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; a reader that is gone silences the log, never the runtime."""
        if self._fd is None:
            return
        try:
            data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._fd = None
        except Exception:
            self.handleError(record)


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
