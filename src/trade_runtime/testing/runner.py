"""The deterministic runner: one seed gives one schedule, step by step, in virtual time.

The one file that touches trio's privates. Trio's only choice of its own is the order in which tasks
that are runnable together take their turns: its scheduler draws that from a generator, and sorts
the tasks first where it was told that a test wants to be repeated. Here both are set for the
length of a run and put back after it. The clock is a `MockClock` that jumps whenever every task
waits.

What a run can still see of the machine is its business: wall clocks, threads, entropy, ids in
output and the order of sets of strings break the promise. `tests/test_determinism.py` guards it.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import attrs
import trio
import trio.testing

T = TypeVar("T")

OnStep = Callable[[int], None]
"""Called before each scheduling step with its number, from 1 on. It may look and act (cancel a
scope, raise a signal), and must not block."""


@attrs.frozen
class Run(Generic[T]):
    """What became of a run.

    Attributes:
        value: what the function returned; None where it raised.
        error: what it raised, or what `on_step` raised first.
        steps: how many scheduling steps it took.
        trace: a digest over each step's number, task name and virtual time; the same for the same
            seed, on every machine with the same versions of Python and trio. Empty unless asked
            for.
    """

    value: T | None
    error: BaseException | None
    steps: int
    trace: str


class _Steps(trio.abc.Instrument):
    """Counts steps. Trio drops an instrument that raises, so this one keeps the error."""

    def __init__(self, on_step: OnStep | None, *, traced: bool) -> None:
        self.count = 0
        self.error: BaseException | None = None
        self.digest = blake2b(digest_size=16)
        self._on_step = on_step
        self._traced = traced

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1
        if self._traced:
            line = f"{self.count} {task.name} {trio.current_time()!r}\n"
            self.digest.update(line.encode())
        if self._on_step is not None and self.error is None:
            try:
                self._on_step(self.count)
            except BaseException as error:
                self.error = error


@contextmanager
def _scheduled_by(seed: int) -> Iterator[None]:
    scheduler: Any = trio._core._run  # noqa: SLF001
    flag, state = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()  # noqa: SLF001
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001
    scheduler._r.seed(seed)  # noqa: SLF001
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = flag  # noqa: SLF001
        scheduler._r.setstate(state)  # noqa: SLF001


@contextmanager
def _no_collection() -> Iterator[None]:
    # A collection runs finalizers in the middle of whatever is running, at a moment that depends on
    # what else the process has done.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def run_deterministically(
    function: Callable[[], Awaitable[T]],
    *,
    seed: int,
    on_step: OnStep | None = None,
    traced: bool = False,
) -> Run[T]:
    """Run an async function under trio, in virtual time that begins at 0, scheduled by a seed.

    Not inside another trio run. Errors are returned, not raised, so that what came before them can
    be looked at; KeyboardInterrupt is raised.

    Args:
        function: what to run.
        seed: of the schedule.
        on_step: called before each step; an error of it is kept, and it is not called again.
        traced: whether to make the trace, which costs a few microseconds a step.
    """
    steps = _Steps(on_step, traced=traced)
    value: T | None = None
    error: BaseException | None = None
    with _scheduled_by(seed), _no_collection():
        try:
            value = trio.run(
                function,
                clock=trio.testing.MockClock(autojump_threshold=0),
                instruments=[steps],
            )
        except KeyboardInterrupt:
            raise
        except BaseException as caught:
            error = caught
    trace = steps.digest.hexdigest() if traced else ""
    return Run(value, steps.error or error, steps.count, trace)
