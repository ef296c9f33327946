"""One life of a runtime in a simulated world: begin, trade, stop, and perhaps a fault at a step.

The host is what a user's own program would be: it holds the runtime in a block, inside a cancel
scope that is its own, with signals handled where the fault is a signal.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from types import FrameType
from typing import Any

import attrs
import trio

from trade_runtime.lifecycle.quiet import quiet
from trade_runtime.lifecycle.report import StopReport
from trade_runtime.machines.order import Order
from trade_runtime.runtime import Runtime, run_runtime
from trade_runtime.testing.runner import OnStep, Run, run_deterministically
from trade_runtime.testing.snapshots import Life
from trade_runtime.testing.world import World

Signals = Callable[[Runtime], AbstractContextManager[object]]
"""What lets SIGTERM stop a runtime: `handle_signals` of the command line, or the plain one here."""


class FilelessRuntime(Runtime):
    """A runtime that leaves no file: thousands of lives write no report to a disk."""

    def write_report(self, report: StopReport) -> None:
        """Leave the report where it is."""


@attrs.define
class Host:
    """The program around a runtime, as a fault sees it.

    Attributes:
        scope: its own cancel scope.
        handling: a handler for signals is in place.
    """

    scope: trio.CancelScope
    handling: bool = False


Act = Callable[[Host], bool]
"""Something done to the program; it returns whether it could be done."""


def cancel(host: Host) -> bool:
    """Cancel the host's own scope, and with it the runtime's block."""
    host.scope.cancel()
    return True


def sigterm(host: Host) -> bool:
    """Send the process a real SIGTERM, once a handler is there: else it would end the process."""
    if host.handling:
        signal.raise_signal(signal.SIGTERM)
    return host.handling


ACTS: dict[str, Act] = {"cancel": cancel, "sigterm": sigterm}
"""Faults that are something done to the program, by name. A kill is not: it is that nothing more is
done."""


@contextmanager
def plain_signals(runtime: Runtime) -> Iterator[None]:
    """Let SIGTERM ask a runtime to stop: the least that a host would do."""
    token = trio.lowlevel.current_trio_token()

    def handler(number: int, frame: FrameType | None) -> None:
        token.run_sync_soon(runtime.request_stop, signal.Signals(number).name)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _unharmed() -> Iterator[None]:
    """Keep a plain handler beneath all others, so that a signal that comes late ends nothing."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_life(
    world: World,
    secs: float,
    *,
    act: Act | None = None,
    at_step: int = 0,
    on_step: OnStep | None = None,
    signals: Signals | None = None,
    patch: Callable[[], AbstractContextManager[Any]] = nullcontext,
    traced: bool = False,
) -> Run[None]:
    """Run a runtime in a world, for so many virtual seconds, to the end of its stop.

    Args:
        world: where; its last life is this one then.
        secs: for how long it trades once it runs.
        act: the fault.
        at_step: before which scheduling step it strikes.
        on_step: told of each step too.
        signals: handles them; None: signals are not handled.
        patch: what is broken on purpose for the length of the run.
        traced: whether to make a trace.
    """
    life = world.begin_life()
    host = Host(trio.CancelScope())

    def step(number: int) -> None:
        if on_step is not None:
            on_step(number)
        if act is not None and number == at_step and act(host) and life.stop_ns is None:
            life.stop_ns = world.clock.now_ns()

    async def main() -> None:
        world.clock.follow()
        try:
            async with trio.open_nursery() as outside:
                outside.start_soon(world.deliver_late)
                with host.scope:
                    await _host(world, life, host, secs, signals)
                outside.cancel_scope.cancel()
        finally:
            life.ended_ns = world.clock.now_ns()

    with ExitStack() as stack:
        stack.enter_context(quiet())
        stack.enter_context(patch())
        if signals is not None:
            stack.enter_context(_unharmed())
        run = run_deterministically(
            main, seed=world.seed, on_step=step if act or on_step else None, traced=traced
        )
    life.error = run.error
    world.clock.stand_still(life.ended_ns)
    return run


async def _host(world: World, life: Life, host: Host, secs: float, signals: Signals | None) -> None:
    def asked(order: Order) -> None:
        world.asked[order.id] = None

    scenario = world.scenario
    runtime = FilelessRuntime(
        scenario.settings(world.seed, life.number),
        scenario.strategies(asked),
        world.plugins(),
        world.clock,
    )
    try:
        with nullcontext() if signals is None else signals(runtime):
            host.handling = signals is not None
            try:
                async with run_runtime(runtime):
                    life.ready_ns = world.clock.now_ns()
                    with trio.move_on_after(secs):
                        await runtime.stopped()
                    if life.stop_ns is None:
                        life.stop_ns = world.clock.now_ns()
            finally:
                host.handling = False
    finally:
        life.report = runtime.report
