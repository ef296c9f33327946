"""How far a backtest is: one line on a terminal, redrawn in place; nothing elsewhere."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

FRESH_SECS = 0.1
"""How often the line is drawn anew, at the most."""


class Progress:
    """Shows how much of the history's time is behind.

    Args:
        start_ns: where the history begins; None where only the history knows.
        end_ns: where it ends; None where only the history knows: then no share is shown.
    """

    def __init__(self, start_ns: int | None, end_ns: int | None) -> None:
        self._start_ns, self._end_ns = start_ns, end_ns
        self._began = monotonic()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]} events/s"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("loading", total=None, rate="-")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, events: int, now_ns: int) -> None:
        """Show that so many events are behind, the last of them at `now_ns`."""
        if self._start_ns is None:
            self._start_ns = now_ns
        rate = events / max(monotonic() - self._began, 1e-9)
        at = datetime.fromtimestamp(now_ns // 10**9, UTC)
        total = None if self._end_ns is None else self._end_ns - self._start_ns
        self._bar.update(
            self._task,
            description=f"{at:%Y-%m-%d %H:%M}",
            total=total,
            completed=now_ns - self._start_ns,
            rate=f"{rate:,.0f}",
        )
