"""The stop report: what the runtime was asked, what it did, and what is left. It tells the truth.

It is written as JSON under `data_dir/reports/` at every stop, and where `--report` says. A forced
exit writes one too where it can, from what is known at that moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from trade_runtime.errors import EXIT_CLEAN, EXIT_FAILED_PART, EXIT_FORCED, EXIT_UNCLEAN
from trade_runtime.lifecycle.ladder import StageResult

SCHEMA = 1
"""Of the report; raised when a key changes its meaning."""

OUTCOMES = {
    EXIT_CLEAN: "clean",
    EXIT_FORCED: "forced",
    EXIT_UNCLEAN: "incomplete",
    EXIT_FAILED_PART: "failed",
}


@attrs.frozen
class StopReport:
    """What is known when the runtime has stopped.

    Attributes:
        runtime: its name.
        reason: why it stopped, in words.
        outcome: `clean`, `incomplete`, `forced` or `failed`.
        exit_code: of the process, 0 to 4.
        started_at, stopped_at: ISO 8601, UTC.
        duration_secs: of the stop, from its request to its end.
        stages: every stage in order: name, layer, budget_secs, took_secs, outcome, detail.
        orders: of the entry orders that were live when the stop began, how many there were
            (`open_at_stop`), how many were `cancelled` and `filled` since; and the ids of those
            that may still rest (`left_open`).
        positions: each open one: strategy, instrument, quantity, protected, stop_order.
        state: `flushed`, `verified`, `records`.
        market_data: by instrument: quotes, trades, book_updates, resyncs, reconnects, rest_polls.
        strategies: name, outcome (`stopped`, `failed`, `timed_out`), detail.
        tasks_left: tasks that still ran when all was over.
        connections_left: connections that were still open.
        error: what failed, where a part of the runtime did.
        cache: where one is configured: `flushed`, `spooled`, `error`; or None.
        latch: what restricts trading until somebody resumes it: mode, reason, by; or None.
        owner: of the journal: `token`, `lost`; or None where it was never opened.
        switch: by venue that has a dead-man's switch in use: `armed`, `fired` (how often),
            `disarmed`.
    """

    runtime: str
    reason: str
    outcome: str
    exit_code: int
    started_at: str
    stopped_at: str
    duration_secs: float
    stages: Sequence[StageResult]
    orders: Mapping[str, Any]
    positions: Sequence[Mapping[str, Any]]
    state: Mapping[str, Any]
    market_data: Mapping[str, Mapping[str, int]]
    strategies: Sequence[Mapping[str, str]]
    tasks_left: Sequence[str]
    connections_left: Sequence[str]
    error: str = ""
    latch: Mapping[str, str] | None = None
    cache: Mapping[str, Any] | None = None
    owner: Mapping[str, Any] | None = None
    switch: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, `schema` first."""
        return {"schema": SCHEMA, **attrs.asdict(self)}

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all, readable by its owner only.

        Raises:
            OSError: it could not be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.as_dict(), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def iso(ts_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the millisecond."""
    return _moment(ts_ns).isoformat(timespec="milliseconds")


def file_name(ts_ns: int) -> str:
    """Return the name of the report of a stop that ended then; names sort by time."""
    return f"stop-{_moment(ts_ns):%Y%m%dT%H%M%S}-{ts_ns % 10**9:09d}.json"


def _moment(ts_ns: int) -> datetime:
    # Not by a float: it would round the last microsecond of a second up into the next.
    seconds, rest_ns = divmod(ts_ns, 10**9)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
