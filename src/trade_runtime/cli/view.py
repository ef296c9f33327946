"""The live view: a runtime on a terminal, several times a second, through its stop to the end.

A part of the command line; only it is imported from outside. It looks and never touches: whatever
happens to the terminal or in drawing ends the view alone, and nothing that the runtime does waits
for it. It is one task, without a thread. While it is on, log lines appear in it, and what is logged
as an error is also printed above it in full, where it stays.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import deque

import attrs
import structlog
import trio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from trade_runtime.cli.logs import FdHandler
from trade_runtime.cli.terminal import Terminal
from trade_runtime.cli.view_lines import Frame, plain
from trade_runtime.cli.view_render import LOG_LINES, LogLine, render
from trade_runtime.cli.view_snapshot import snapshot
from trade_runtime.cli.view_summary import summary
from trade_runtime.runtime import Runtime

__all__ = ["TailHandler", "View", "snapshot", "summary"]

log = structlog.get_logger("view")

LOOK_SECS = 0.05
"""Between two looks at the runtime. In a stop, whose stages are often over in a moment, each is a
frame."""

LOOKS_PER_FRAME = 4
"""Looks for which one frame serves while nothing stops."""

MAX_ERRORS = 100
"""Errors that may wait to be printed above the view; older ones give way."""

RESTORED = "\x1b[0m\x1b[J\r\n"
"""No style, what is below cleared, a new line."""


class TailHandler(logging.Handler):
    """Keeps the last log lines for the view; without one, passes everything on.

    Args:
        fd: where records go once `let_through` was called: stderr.
    """

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self.lines: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.errors: deque[str] = deque(maxlen=MAX_ERRORS)
        """What was logged as an error, in full, and not yet printed."""
        self._fd = fd
        self._beyond: FdHandler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, or pass it on."""
        if self._beyond is not None:
            self._beyond.emit(record)
            return
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self.lines.append((record.levelno, text.partition("\n")[0]))
        if record.levelno >= logging.ERROR:
            self.errors.append(text)

    def let_through(self) -> None:
        """Write from now on, first what was never printed: there is no view any more."""
        if self._beyond is not None:
            return
        self._beyond = FdHandler(self._fd)
        self._beyond.setFormatter(self.formatter)
        while self.errors:
            try:
                os.write(self._fd, (self.errors.popleft() + "\n").encode("utf-8", "replace"))
            except OSError:
                self.errors.clear()


class View:
    """The live view of a runtime.

    Args:
        runtime: to look at.
        tail: has the log lines.
        console: to draw on instead of the terminal.
    """

    def __init__(self, runtime: Runtime, tail: TailHandler, console: Console | None = None) -> None:
        self._runtime = runtime
        self._tail = tail
        self._terminal: Terminal | None = None
        self._streams = sys.stdout, sys.stderr
        if console is None:
            encoding = sys.stdout.encoding or "utf-8"
            self._terminal = Terminal(sys.stdout.fileno(), encoding)
            console = Console(file=self._terminal.stream, force_terminal=True)
        self._console = console
        self._on = False

    async def run(self) -> None:
        """Draw until the runtime has stopped, then its summary.

        Cancelled, it does the same at once: the last frame, the summary if there is a report, and
        the terminal as it was. It raises nothing but `Cancelled`.
        """
        self._on = True
        self._streams = sys.stdout, sys.stderr
        live = Live(
            console=self._console, auto_refresh=False, transient=False, vertical_overflow="crop"
        )
        try:
            live.start()
            # Never hidden, it need never be brought back: not by a killed process either.
            self._console.show_cursor(True)
            looks = 0
            while self._runtime.report is None:
                if looks % LOOKS_PER_FRAME == 0 or self._runtime.ladder.started:
                    self._draw(live)
                    await self._sent()
                looks += 1
                with trio.move_on_after(LOOK_SECS):
                    await self._runtime.stopped()
        except Exception as error:
            log.warning("The live view ended", error=f"{type(error).__name__}: {error}")
        finally:
            self._end(live)

    async def _sent(self) -> None:
        if self._terminal is not None:
            await self._terminal.drain()
            if self._terminal.dead:
                raise OSError("the terminal is gone")

    def _draw(self, live: Live) -> None:
        while self._tail.errors:
            lines = self._tail.errors.popleft().splitlines()
            self._console.print(Text("\n".join(map(plain, lines)), style="red"), soft_wrap=True)
        live.update(self._frame(), refresh=True)

    def _frame(self) -> Frame:
        model = snapshot(self._runtime)
        width, height = self._console.size
        if self._summed_up:  # how it stopped is told by the summary that follows
            return render(attrs.evolve(model, stages=()), (), width, height)
        return render(model, tuple(self._tail.lines), width, height)

    @property
    def _summed_up(self) -> bool:
        """There is a stop to sum up; of a start that failed, the error says all."""
        return self._runtime.report is not None and self._runtime.start_error is None

    def _end(self, live: Live) -> None:
        """Draw the last frame and the summary, and give the terminal back. Never raises."""
        if not self._on:
            return
        self._on = False
        try:
            self._draw(live)
            live.stop()
            report = self._runtime.report
            if report is not None and self._summed_up:
                self._console.print(summary(report, self._runtime.report_path), crop=False)
        except Exception as error:
            log.warning("The live view could not draw its end", error=str(error))
        finally:
            sys.stdout, sys.stderr = self._streams
            if self._terminal is not None:
                self._terminal.finish()
            self._tail.let_through()

    def restore(self) -> None:
        """Make the terminal whole and let the logs through, at once. For a forced exit.

        A plain call, also from a signal handler in the middle of a frame; a second one does
        nothing.
        """
        if not self._on:
            return
        self._on = False
        sys.stdout, sys.stderr = self._streams
        if self._terminal is not None:
            self._terminal.send_at_once(RESTORED)
        self._tail.let_through()
