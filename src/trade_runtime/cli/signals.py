"""Signals: the first asks for the ordered stop, the second forces the exit, an alarm enforces the
cap.

A terminal that goes away (SIGHUP) asks for the stop too, and never forces: it is often told twice,
by the kernel and by the shell. Where it is ignored from the start, as under `nohup`, it stays so.

Plain `signal.signal` handlers, since trio's receiver joins two signals of a kind into one. A
handler runs between two bytecodes of the main thread, so also while a strategy blocks the loop;
code that does not return to the interpreter at all is ended by `faulthandler`'s own thread, which
needs none of it. A forced exit is safe because every intent is durable before it is sent, and every
start is a recovery.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import structlog
import trio

from trade_runtime.errors import EXIT_FORCED, StrategyBlocked
from trade_runtime.managers.strategies import StrategyHost
from trade_runtime.runtime import Runtime
from trade_runtime.verdict import make_report

log = structlog.get_logger("signals")

STRATEGY_HOST = StrategyHost.__module__

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What people and supervisors send to end a process."""

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""What the kernel sends when the terminal is gone; Windows has none."""

TICK_SECS = 0.1
"""How often, during a stop, an alarm looks at the loop from outside."""

BLOCKED_SECS = 0.4
"""How long the loop may stand still during a stop; then who blocks it is interrupted."""

FORCED_EXIT_SECS = 2.0
"""How long a forced exit may take to log its stacks and write its report."""

WEDGED_SECS = 1.0
"""How long past the total cap the interpreter may take to run the alarm's handler."""


class SignalGuard:
    """Counts signals for the whole life of a process.

    Install it before anything else, bind a runtime when there is one. A signal that came before is
    passed on then.
    """

    def __init__(self) -> None:
        self.received: list[str] = []
        """The names of the signals that came, in order."""
        self.report_path: Path | None = None
        """Where a forced exit leaves a copy of its report."""
        self.before_exit: Callable[[], None] = lambda: None
        """Called first by a forced exit: makes the terminal whole again."""
        self.on_first: Callable[[str], None] = lambda name: None
        """Called with the name of the first signal, by who has no runtime to bind: a backtest."""
        self._runtime: Runtime | None = None
        self._preparing: trio.CancelScope | None = None
        self._released = False
        self._token: trio.lowlevel.TrioToken | None = None
        self._root: trio.lowlevel.Task | None = None
        self._forced = 0
        self._cap_at: float | None = None
        self._armed_at = 0.0

    def install(self) -> dict[int, signal._HANDLER]:
        """Take SIGINT, SIGTERM, and SIGHUP and SIGALRM where there are such; return the handlers
        before.
        """
        before: dict[int, signal._HANDLER] = {}
        for number in SIGNALS:
            before[number] = signal.signal(number, self._on_signal)
        if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
            before[HANGUP] = signal.signal(HANGUP, self._on_signal)
        if hasattr(signal, "SIGALRM"):
            before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)
        return before

    def prepare(self, scope: trio.CancelScope) -> None:
        """Have a signal cancel what is done before there is a runtime to bind."""
        self._enter()
        self._preparing = scope
        if self.received:
            scope.cancel()

    def _enter(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._root = trio.lowlevel.current_root_task()

    def bind(self, runtime: Runtime) -> None:
        """Pass signals on to a runtime. Call it within trio, in the main thread."""
        self._enter()
        self._runtime = runtime
        runtime.on_stop_begins = self.arm_cap
        if self.received:
            runtime.request_stop(self.received[0])

    def release(self) -> None:
        """The stop is over: no alarm may ring any more, and no signal forces anything."""
        self._released = True
        self._runtime = None
        faulthandler.cancel_dump_traceback_later()
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)

    def arm_cap(self) -> None:
        """Start the clock of the total cap, outside the loop; once it runs it is not set again."""
        if self._runtime is None or self._cap_at is not None:
            return
        cap = self._runtime.settings.shutdown.timeout_secs
        self._armed_at = trio.current_time()
        self._cap_at = self._armed_at + cap
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, TICK_SECS, TICK_SECS)
        faulthandler.dump_traceback_later(cap + WEDGED_SECS, exit=True, file=_stderr_fd())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self.received.append(name)
        if self._released:
            return
        if len(self.received) > 1:
            if number != HANGUP:
                self.force_exit(f"second signal ({name})", frame)
            return
        self.on_first(name)
        self.arm_cap()
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._pass_on, name)

    def _pass_on(self, name: str) -> None:
        if self._runtime is not None:
            self._runtime.request_stop(name)
        elif self._preparing is not None:
            self._preparing.cancel()

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        runtime = self._runtime
        if runtime is None or self._cap_at is None:
            return
        now = trio.current_time()
        if now >= self._cap_at:
            cap = runtime.settings.shutdown.timeout_secs
            self.force_exit(f"the stop took longer than shutdown.timeout_secs = {cap}", frame)
        silent_since = max(runtime.turned_at, self._armed_at)
        if now - silent_since >= BLOCKED_SECS and _in_strategy(frame):
            raise StrategyBlocked(f"it blocked the loop for {BLOCKED_SECS} s during a stop")

    def force_exit(self, why: str, frame: FrameType | None) -> None:
        """Log every stack, leave a report, flush, and end the process with status 1."""
        self._forced += 1
        if self._forced > 1:
            os._exit(EXIT_FORCED)
        # Whatever of the following hangs (a full pipe, a dead disk), this ends the process all the
        # same.
        faulthandler.dump_traceback_later(FORCED_EXIT_SECS, exit=True, file=_stderr_fd())
        with contextlib.suppress(Exception):
            self.before_exit()
        with contextlib.suppress(Exception):
            log.critical("Forced exit requested", reason=why, stack=self._stacks(frame))
        with contextlib.suppress(Exception):
            self._leave_report(why)
        for handler in logging.getLogger().handlers:
            with contextlib.suppress(Exception):
                handler.flush()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(EXIT_FORCED)

    def _leave_report(self, why: str) -> None:
        runtime = self._runtime
        if runtime is None:
            return
        reason = runtime.stop_reason or self.received[0]
        runtime.stop_reason = f"{reason}; forced: {why}"
        report = make_report(runtime, forced=True)
        if self.report_path is not None:
            report.write(self.report_path)
        runtime.write_report(report)

    def _stacks(self, frame: FrameType | None) -> str:
        parts = []
        for thread_id, innermost in sys._current_frames().items():  # noqa: SLF001 - documented
            # The handler's own frames are of no interest: begin where it interrupted.
            mine = frame is not None and _is_within(innermost, frame)
            stack = traceback.format_stack(frame if mine else innermost)
            parts.append(f"--- thread {thread_id}\n" + "".join(stack))
        for task in _tasks(self._root):
            # Where the scheduler itself waits says nothing: show how the task came there.
            frames = [f for f in task.iter_await_frames() if not _is_trio(f[0])]
            lines = "".join(traceback.StackSummary.extract(iter(frames)).format())
            parts.append(f"--- task {task.name}\n{lines}".rstrip("\n"))
        return "\n".join(parts)


def _is_within(innermost: FrameType | None, frame: FrameType) -> bool:
    while innermost is not None:
        if innermost is frame:
            return True
        innermost = innermost.f_back
    return False


def _in_strategy(frame: FrameType | None) -> bool:
    """Whether a strategy's own code is what runs, called by its host with nothing of ours between.

    Only there is it safe to raise: code of ours would be left in the middle of a change.
    """
    depth = 0
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module == STRATEGY_HOST:
            return depth > 0
        if module.startswith("trade_runtime.") and not module.startswith("trade_runtime.demo"):
            return False
        frame, depth = frame.f_back, depth + 1
    return False


def _is_trio(frame: FrameType) -> bool:
    module: str = frame.f_globals.get("__name__", "")
    return module.partition(".")[0] == "trio"


def _tasks(task: trio.lowlevel.Task | None) -> Iterator[trio.lowlevel.Task]:
    if task is None:
        return
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _tasks(child)


def _stderr_fd() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return 2


@contextlib.contextmanager
def handle_signals(runtime: Runtime) -> Iterator[SignalGuard]:
    """Let SIGINT and SIGTERM stop a runtime, as the command line does.

    The first signal asks for the ordered stop, as SIGHUP does; a second one, or the total cap, ends
    the process with status 1 after logging `Forced exit requested` with every stack. For programs
    that embed a runtime and want the same; on leaving, the handlers from before are put back.

    Use it in the main thread, since it takes SIGALRM too, inside the runtime's block, and wait for
    `Runtime.stopped` in it: a stop that begins after it was left has no second signal and no cap.

    Args:
        runtime: to stop.
    """
    guard = SignalGuard()
    before = guard.install()
    guard.bind(runtime)
    try:
        yield guard
    finally:
        guard.release()
        for number, handler in before.items():
            signal.signal(number, handler)
