"""A terminal that cannot hold up the runtime, however long nobody reads from it.

A part of the command line. A write to a terminal blocks while its other end does not read: a lost
network under ssh, a stopped emulator, Ctrl-S. So the live view writes into memory, and what is
there is sent on without waiting, through a handle of its own: the mode that this needs would else
be shared with every program on that terminal.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import IO, Any, cast

import trio

MAX_PENDING_BYTES = 1 << 20
"""What may wait to be sent; more is dropped, whole writes at a time."""

RETRY_SECS = 0.05
FINISH_TRIES = 20
FINISH_WAIT_SECS = 0.05
"""How often, and how long each time, the end of all waits for a terminal that takes nothing."""


class Terminal:
    """A text stream for rich, sent on by `drain`.

    Args:
        fd: of the terminal.
        encoding: of its text.
    """

    def __init__(self, fd: int, encoding: str = "utf-8") -> None:
        self.encoding = encoding
        self.dead = False
        """It is gone: nothing more is written."""
        self._fd = fd
        self._pending = bytearray()
        self._own: int | None = None
        with contextlib.suppress(OSError, AttributeError):
            self._own = os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)

    def write(self, text: str) -> int:
        """Take a text; nothing is sent."""
        data = text.encode(self.encoding, "replace")
        if not self.dead and len(self._pending) + len(data) <= MAX_PENDING_BYTES:
            self._pending += data
        return len(text)

    def flush(self) -> None:
        """Send nothing: `drain` does."""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True

    def fileno(self) -> int:
        """Return the terminal's own descriptor, of which rich asks the size."""
        return self._fd

    @property
    def stream(self) -> IO[str]:
        """This, as the type that rich declares; it uses no more than is here."""
        return cast("IO[str]", cast("Any", self))

    async def drain(self) -> None:
        """Send what was written, however long that takes. Cancelled, the rest is kept."""
        while self._pending and not self.dead:
            if not self._send():
                await trio.sleep(RETRY_SECS)
        await trio.lowlevel.checkpoint()

    def finish(self) -> None:
        """Send what was written, waiting for a second at most; then close."""
        for _ in range(FINISH_TRIES):
            while self._pending and not self.dead and self._send():
                pass
            if not self._pending or self.dead:
                break
            with contextlib.suppress(OSError, ValueError):
                select.select([], [self._own or self._fd], [], FINISH_WAIT_SECS)
        self.close()

    def send_at_once(self, text: str) -> None:
        """Send a text past what waits, which is forgotten. For a forced exit: never waits."""
        self._pending[:] = text.encode(self.encoding, "replace")
        self._send()
        self._pending.clear()

    def close(self) -> None:
        """Give the handle back; nothing can be written any more."""
        self.dead = True
        if self._own is not None:
            with contextlib.suppress(OSError):
                os.close(self._own)
            self._own = None

    def _send(self) -> bool:
        """Send some; return whether any of it was taken."""
        try:
            sent = os.write(self._fd if self._own is None else self._own, self._pending)
        except BlockingIOError:
            return False
        except OSError:  # nobody will ever read it: EIO, EPIPE, ENXIO, EBADF
            self.dead = True
            return False
        del self._pending[:sent]
        return True
