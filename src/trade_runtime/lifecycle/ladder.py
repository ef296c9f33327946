"""The ladder: one budget for the whole stop, with an absolute deadline for each stage.

The first stop request fixes every deadline at once. A stage that finishes early gives its time to
the next, since the deadlines do not move. A stage that was held up by code that blocked the loop
(nothing else can make one late) still leaves the next ones half of their own share, within the
total cap: blocking in one place never takes another's chance away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import structlog
import trio

from trade_runtime.settings import ShutdownConfig

log = structlog.get_logger("shutdown")


@attrs.frozen
class Stage:
    """A step of the stop: which layer takes it, and its share of that layer's budget."""

    name: str
    layer: str
    share: float


STAGES = (
    Stage("halt", "strategies", 0.25),
    Stage("cancel", "orders", 0.50),
    Stage("protect", "orders", 0.25),
    Stage("flush", "state", 0.50),
    Stage("close", "prices", 1.00),
    Stage("verify", "state", 0.50),
)
"""The order of a stop. Strategies have no budget of their own: they live within the orders' one."""

FLOOR = 0.5
"""The part of its own share that a stage gets even when an earlier one was blocked past its
time."""


@attrs.define
class StageResult:
    """How a stage went, as the report tells it."""

    name: str
    layer: str
    budget_secs: float
    took_secs: float = 0.0
    outcome: str = "ok"
    detail: str = ""

    def fail(self, detail: str, *, outcome: str = "failed") -> None:
        """Mark it; the first reason stays in front."""
        if self.outcome == "ok" or outcome == "timed_out":
            self.outcome = outcome
        self.detail = f"{self.detail}; {detail}" if self.detail else detail


class Ladder:
    """Holds the deadlines of a stop, and what became of each stage.

    Args:
        config: the budgets.
    """

    def __init__(self, config: ShutdownConfig) -> None:
        self.config = config
        self.results: list[StageResult] = []
        self.current: StageResult | None = None
        self.on_start: Callable[[], None] = lambda: None
        """Called when the stop begins. Set by the runtime."""
        self._started_at: float | None = None
        budgets: Mapping[str, float] = {
            "strategies": config.order_timeout_secs,
            "orders": config.order_timeout_secs,
            "prices": config.price_timeout_secs,
            "state": config.state_timeout_secs,
        }
        self._budget_secs = {s.name: s.share * budgets[s.layer] for s in STAGES}

    @property
    def started(self) -> bool:
        """The stop has begun."""
        return self._started_at is not None

    def start(self) -> bool:
        """Fix every deadline, now; return False where that was done before."""
        if self._started_at is not None:
            return False
        self._started_at = trio.current_time()
        self.on_start()
        return True

    @property
    def took_secs(self) -> float:
        """How long the stop has been under way."""
        return 0.0 if self._started_at is None else trio.current_time() - self._started_at

    def deadline(self, name: str) -> float:
        """Return until when, on trio's clock, a stage may take."""
        assert self._started_at is not None
        due = self._started_at
        for stage in STAGES:
            due += self._budget_secs[stage.name]
            if stage.name == name:
                break
        least = trio.current_time() + FLOOR * self._budget_secs[name]
        return min(max(due, least), self._started_at + self.config.timeout_secs)

    @contextmanager
    def stage(self, name: str) -> Iterator[StageResult]:
        """Run a stage of the stop: shielded, within its deadline, its errors kept.

        A stage that two layers share is entered by both, one after the other, and noted as one.

        What its body raises is logged with its stack and noted; it never keeps the next stage from
        its turn. A body that is late is cancelled, logged as an error, and noted as `timed_out`.
        The body may note a failure itself with `StageResult.fail`.
        """
        self.start()  # a layer that closes without a request (an error) begins the stop itself
        layer = next(stage.layer for stage in STAGES if stage.name == name)
        began = trio.current_time()
        due = self.deadline(name)
        shared = bool(self.results) and self.results[-1].name == name
        if shared:
            result = self.results[-1]
        else:
            result = StageResult(name, layer, round(due - began, 6))
            self.results.append(result)
            log.info("Stop stage begins", stage=name, budget_secs=round(due - began, 3))
        self.current = result
        scope = trio.CancelScope(shield=True, deadline=due)
        try:
            with scope:
                yield result
        except Exception as error:  # also what is left of a group once its cancellations are out
            result.fail(f"{type(error).__name__}: {error}")
            log.error("Stop stage failed", stage=name, exc_info=error)
        result.took_secs = round(result.took_secs + trio.current_time() - began, 6)
        if scope.cancelled_caught:
            result.fail("ran out of time", outcome="timed_out")
            log.error("Stop stage ran out of time", stage=name, took_secs=result.took_secs)
        elif not shared:
            log.info("Stop stage done", **_brief(result))
        self.current = None

    def skip(self, name: str, why: str) -> None:
        """Note a stage that the configuration leaves out."""
        layer = next(stage.layer for stage in STAGES if stage.name == name)
        self.results.append(StageResult(name, layer, 0.0, outcome="skipped", detail=why))

    def stages(self) -> list[StageResult]:
        """Return every stage in order; one whose layer never opened counts as skipped."""
        known = {result.name: result for result in self.results}
        return [
            known.get(s.name)
            or StageResult(s.name, s.layer, 0.0, outcome="skipped", detail="not started")
            for s in STAGES
        ]


def _brief(result: StageResult) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "stage": result.name,
        "outcome": result.outcome,
        "took_secs": round(result.took_secs, 3),
    }
    if result.detail:
        fields["detail"] = result.detail
    return fields
