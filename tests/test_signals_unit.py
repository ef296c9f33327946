"""Signals, without sending any: what each one, in which order, asks for."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.world import Hand, World, until
from trade_runtime.cli import signals
from trade_runtime.cli.signals import BLOCKED_SECS, SignalGuard, handle_signals
from trade_runtime.errors import StrategyBlocked

posix = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no such signals here")


class Exited(BaseException):
    """The process would be gone now."""


@attrs.define
class Process:
    """What the guard does to its process, noted instead of done."""

    timers: list[float] = attrs.field(factory=list)
    dumps: list[float] = attrs.field(factory=list)
    exits: list[int] = attrs.field(factory=list)

    def exit(self, status: int) -> None:
        self.exits.append(status)
        raise Exited

    def setitimer(self, which: int, secs: float, interval: float = 0.0) -> None:
        self.timers.append(secs)

    def dump_later(self, secs: float, *, exit: bool, file: object) -> None:  # noqa: A002
        assert exit
        self.dumps.append(secs)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """No signal, timer or exit of these tests is real."""
    noted = Process()
    monkeypatch.setattr(os, "_exit", noted.exit)
    monkeypatch.setattr(signal, "setitimer", noted.setitimer, raising=False)
    fake = SimpleNamespace(
        dump_traceback_later=noted.dump_later,
        cancel_dump_traceback_later=lambda: noted.dumps.append(0.0),
    )
    monkeypatch.setattr(signals, "faulthandler", fake)
    return noted


@virtual
async def test_the_first_signal_asks_for_the_ordered_stop(tmp_path: Path, process: Process) -> None:
    """With its name as the reason, and the clock of the total cap started outside the loop."""
    world, guard = World(tmp_path), SignalGuard()
    async with world.open(Hand()) as runtime:
        guard.bind(runtime)
        guard._on_signal(signal.SIGTERM, None)
        assert ([signals.TICK_SECS], [31.0]) == (process.timers, process.dumps)
        await runtime.stopped()
        guard.release()
    assert ("SIGTERM", 0) == (world.report.reason, world.report.exit_code)
    assert (0.0, 0.0) == (process.timers[-1], process.dumps[-1])
    assert [] == process.exits


@virtual
async def test_a_second_signal_forces_the_exit(tmp_path: Path, process: Process) -> None:
    """Before anything of the stop is done: logged with every stack, reported, status 1."""
    world, guard = World(tmp_path), SignalGuard()
    guard.report_path = tmp_path / "wanted.json"
    whole: list[str] = []
    guard.before_exit = lambda: whole.append("terminal")
    async with world.open(Hand()) as runtime:
        order = Hand.buy(runtime.hosts[0].strategy)  # type: ignore[arg-type]
        await until(world.resting)
        guard.bind(runtime)
        guard._on_signal(signal.SIGINT, None)
        with capture_logs() as logs, pytest.raises(Exited):
            guard._on_signal(signal.SIGINT, None)
    (line,) = [line for line in logs if line["event"] == "Forced exit requested"]
    assert ("critical", "second signal (SIGINT)") == (line["log_level"], line["reason"])
    assert "--- task orders/alarms" in line["stack"]
    assert "--- thread" in line["stack"]
    assert ([1], ["terminal"]) == (process.exits, whole)
    report = json.loads(guard.report_path.read_text(encoding="utf-8"))
    assert ("forced", 1, [order.id]) == (
        report["outcome"],
        report["exit_code"],
        report["orders"]["left_open"],
    )
    assert "SIGINT; forced: second signal (SIGINT)" == report["reason"]


def test_a_third_signal_while_forcing_waits_for_nothing(process: Process) -> None:
    """Whatever the second one is still writing."""
    guard = SignalGuard()
    guard._forced = 1
    with capture_logs() as logs, pytest.raises(Exited):
        guard.force_exit("third", None)
    assert ([1], []) == (process.exits, logs)


def test_what_fails_on_the_way_out_keeps_nobody_in(process: Process) -> None:
    """A broken terminal, a full disk: status 1 all the same, with a watch on it."""
    guard = SignalGuard()

    def broken() -> None:
        raise OSError("no terminal")

    guard.before_exit = broken
    with pytest.raises(Exited):
        guard.force_exit("second signal", None)
    assert ([1], [signals.FORCED_EXIT_SECS]) == (process.exits, process.dumps)


@posix
def test_a_terminal_that_goes_away_twice_forces_nothing(process: Process) -> None:
    """The kernel may say it more than once: it is one stop; a SIGTERM after it does force."""
    guard = SignalGuard()
    hangup = signals.HANGUP
    assert hangup is not None
    guard._on_signal(hangup, None)
    guard._on_signal(hangup, None)
    assert [] == process.exits
    with pytest.raises(Exited):
        guard._on_signal(signal.SIGTERM, None)


@virtual
async def test_a_signal_before_there_is_a_runtime_is_passed_on(
    tmp_path: Path, process: Process
) -> None:
    """It came while modules were imported: the runtime stops as soon as there is one."""
    world, guard = World(tmp_path), SignalGuard()
    guard._on_signal(signal.SIGINT, None)
    async with world.open(Hand()) as runtime:
        guard.bind(runtime)
        await runtime.stopped()
    assert ("SIGINT", [31.0]) == (world.report.reason, process.dumps)


@virtual
async def test_a_signal_cancels_what_is_done_before_the_runtime(process: Process) -> None:
    """Checks that take long: left at once, whether the signal came before or during them."""
    early, late = SignalGuard(), SignalGuard()
    early._on_signal(signal.SIGTERM, None)
    with trio.CancelScope() as scope:
        early.prepare(scope)
        await trio.sleep(100)
    assert scope.cancelled_caught
    with trio.CancelScope() as scope:
        late.prepare(scope)
        late._on_signal(signal.SIGTERM, None)
        await trio.sleep(100)
    assert scope.cancelled_caught
    assert 0 == trio.current_time()


@virtual
async def test_after_the_stop_nothing_is_forced(tmp_path: Path, process: Process) -> None:
    """Signals that come while the process says goodbye change nothing any more."""
    world, guard = World(tmp_path), SignalGuard()
    async with world.open(Hand()) as runtime:
        guard.bind(runtime)
        guard._on_signal(signal.SIGINT, None)
        await runtime.stopped()
        guard.release()
        guard._on_signal(signal.SIGINT, None)
        guard._on_alarm(14, None)
    assert [] == process.exits


@virtual
async def test_past_the_total_cap_the_exit_is_forced(tmp_path: Path, process: Process) -> None:
    """By an alarm from outside the loop; before the cap it does nothing."""
    world, guard = World(tmp_path), SignalGuard()
    async with world.open(Hand(), shutdown={"timeout_secs": 6.0}) as runtime:
        guard.bind(runtime)
        guard._on_alarm(14, None)
        runtime.ladder.start()
        await trio.sleep(5.9)
        guard._on_alarm(14, None)
        assert [] == process.exits
        await trio.sleep(0.2)
        with capture_logs() as logs, pytest.raises(Exited):
            guard._on_alarm(14, None)
    assert "longer than shutdown.timeout_secs = 6.0" in logs[0]["reason"]


def frame_of(*modules: str) -> FrameType:
    """The innermost of frames of these modules, outermost first."""
    frames: list[Any] = [None]
    for module in modules:
        frames.append(SimpleNamespace(f_globals={"__name__": module}, f_back=frames[-1]))
    made: FrameType = frames[-1]
    return made


HOST = signals.STRATEGY_HOST


@pytest.mark.parametrize(
    ("modules", "inside"),
    [
        (("trio", HOST, "my_strategy"), True),
        (("trio", HOST, "my_strategy", "numpy.core"), True),
        (("trio", HOST, "trade_runtime.demo.strategies"), True),
        (("trio", HOST), False),
        (("trio", HOST, "my_strategy", "trade_runtime.managers.orders"), False),
        (("trio", "my_program"), False),
        ((), False),
    ],
)
@virtual
async def test_who_blocks_the_stop_is_interrupted(
    process: Process, modules: tuple[str, ...], inside: bool
) -> None:
    """A strategy's own code that spins is; code of ours, left half way, would be worse."""
    guard = SignalGuard()
    runtime: Any = SimpleNamespace(
        turned_at=0.0, settings=SimpleNamespace(shutdown=SimpleNamespace(timeout_secs=30.0))
    )
    guard._runtime = runtime
    guard.arm_cap()
    await trio.sleep(BLOCKED_SECS - 0.1)
    frame = frame_of(*modules) if modules else None
    guard._on_alarm(14, frame)
    await trio.sleep(0.2)
    if inside:
        with pytest.raises(StrategyBlocked):
            guard._on_alarm(14, frame)
    else:
        guard._on_alarm(14, frame)
    runtime.turned_at = trio.current_time()
    guard._on_alarm(14, frame)


@posix
@virtual
async def test_an_embedding_program_gets_its_handlers_back(
    tmp_path: Path, process: Process
) -> None:
    """`handle_signals` takes them for its block only, and a signal in it stops the runtime."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGALRM]
    before = [signal.getsignal(number) for number in numbers]
    world = World(tmp_path)
    async with world.open(Hand()) as runtime:
        with handle_signals(runtime) as guard:
            assert before != [signal.getsignal(number) for number in numbers]
            os.kill(os.getpid(), signal.SIGTERM)
            await runtime.stopped()
            assert ["SIGTERM"] == guard.received
    assert before == [signal.getsignal(number) for number in numbers]
    assert ("SIGTERM", 0) == (world.report.reason, world.report.exit_code)
