"""The live view as it is drawn: on any size of terminal, through the stop, and never in the way."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pty
import sys
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from rich.console import Console

from trade_runtime.cli import view as view_module
from trade_runtime.cli.terminal import MAX_PENDING_BYTES, Terminal
from trade_runtime.cli.view import TailHandler, View, snapshot, summary
from trade_runtime.cli.view_lines import Frame
from trade_runtime.cli.view_model import (
    FeedLine,
    OrderLine,
    PositionLine,
    StageLine,
    StrategyLine,
    ViewModel,
)
from trade_runtime.cli.view_render import duration, number, render, share
from trade_runtime.demo import demo_settings
from trade_runtime.errors import ConfigError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.lifecycle.ladder import StageResult
from trade_runtime.lifecycle.report import StopReport
from trade_runtime.runtime import Runtime, create_runtime, run_runtime

POSITION = PositionLine(
    strategy="maker",
    instrument="ETHUSDT.paper",
    quantity=Decimal("1.5000"),
    average_price=Decimal("2500.123456"),
    mark=Decimal("2510.5"),
    unrealised=Decimal("15.56"),
    realised=Decimal("-3.2"),
    fees=(("USDT", Decimal("1.25")),),
    protection="yes",
    triggers=(Decimal(2375), Decimal(2370)),
    places=2,
)
ORDER = OrderLine(
    id="abc-1",
    strategy="maker",
    instrument="ETHUSDT.paper",
    side="buy",
    type="limit",
    filled=Decimal("0.1"),
    quantity=Decimal(1),
    price=Decimal("2499.50"),
    state="open",
    protective=False,
    cancelling=False,
)
STAGES = (
    StageLine("halt", "strategies", "ok", 0.5, 0.01, ""),
    StageLine("cancel", "orders", "timed_out", 1.5, 1.5, "2 orders may rest: a, b"),
    StageLine("protect", "orders", "running", 0.5, 0.2, ""),
    StageLine("flush", "state", "pending", 0.0, 0.0, ""),
    StageLine("close", "prices", "pending", 0.0, 0.0, ""),
    StageLine("verify", "state", "pending", 0.0, 0.0, ""),
)
RUNNING = ViewModel(
    runtime="demo",
    mode="paper",
    state="running",
    uptime_secs=3723.4,
    feeds=tuple(
        FeedLine(f"{name}USDT.paper", health, 2510.5, 2511.0, 1234, 56, 1, 2, 2)
        for name, health in (("ETH", "live"), ("BTC", "polling"), ("SOL", "stale"))
    ),
    positions=(POSITION,),
    net=(("USDT", Decimal("11.11")),),
    orders=(ORDER,) * 20,
    orders_total=120,
    strategies=(StrategyLine("maker", "running", ""),),
    records=12345,
    backlog=7,
    cap_secs=30.0,
)
STOPPING = attrs.evolve(RUNNING, state="stopping", reason="SIGTERM", stages=STAGES, stop_secs=1.7)
LOG = [(logging.INFO, f"2026-01-02T03:04:05.6Z [info     ] line {n}") for n in range(8)]


def lines(frame: Frame, width: int) -> list[str]:
    """What a terminal of this width shows of a frame."""
    console = Console(file=io.StringIO(), width=width, height=200)
    with console.capture() as capture:
        console.print(frame)
    return capture.get().splitlines()


def drawn(model: ViewModel, width: int = 140, height: int = 60) -> str:
    return "\n".join(lines(render(model, LOG, width, height), width))


@pytest.mark.parametrize("model", [RUNNING, STOPPING], ids=["running", "stopping"])
@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140, 250])
@pytest.mark.parametrize("height", [24, 30, 50, 100])
def test_a_frame_fits_the_terminal(model: ViewModel, width: int, height: int) -> None:
    """No line is longer, there are not more of them, and the essential is there at 60 columns."""
    shown = lines(render(model, LOG, width, height), width)
    assert max(map(len, shown)) <= width
    assert len(shown) <= height
    if width >= 60:
        text = "\n".join(shown)
        assert "yes at 2,375.00" in text
        assert "1.5" in text
        assert "stale" in text or "and 1 more" in text
    if model.stages and width >= 40:
        assert "protect" in "\n".join(shown)


def test_everything_is_there_on_a_wide_terminal() -> None:
    """Positions with profit, fees and protection; orders with a count of the rest; feeds; log."""
    text = drawn(RUNNING)
    for part in (
        "trade_runtime  demo  paper  running  up 1:02:03  net +11.11 USDT",
        "maker     ETHUSDT.paper       1.5  2,500.12  2,510.50      +15.56     -3.20",
        "yes at 2,375.00 +1  1.25 USDT",
        "maker  ETHUSDT.paper  buy   limit     0.1         1  2,499.50  open   abc-1",
        "and 100 more",
        "BTCUSDT.paper  polling  2,510.50  2,511.00   1,234      56           1           2",
        "03:04:05 [info     ] line 7",
        "maker running  journal 12,345 records, 7 waiting",
    ):
        assert part in text


def test_the_stop_is_shown_stage_by_stage() -> None:
    """Outcome, time taken and budget of each; how long there is until the forced exit; why."""
    text = drawn(STOPPING)
    for part in (
        "for 1.7 s, forced at 30 s  SIGTERM",
        "halt     strategies  ok         0.01 s  0.50 s",
        "cancel   orders      timed out  1.50 s  1.50 s  2 orders may rest: a, b",
        "protect  orders      running    0.20 s  0.50 s",
        "flush    state       pending",
    ):
        assert part in text


def test_the_running_stage_stays_in_sight_on_a_low_terminal() -> None:
    """Where only two stages fit, one of them is the one that runs."""
    text = drawn(STOPPING, height=20)
    assert "protect  orders  running" in text
    assert "halt" not in text


def test_what_a_terminal_would_obey_is_not_passed_on() -> None:
    """An escape in a log line, a reason or a detail is shown as a question mark."""
    evil = "\x1b[2J\x1b]0;owned\x07\x9b1mtext[bold]x[/bold]"
    model = attrs.evolve(
        STOPPING,
        reason=evil,
        store_error=evil,
        strategies=(StrategyLine("maker", "failed", evil),),
    )
    text = "\n".join(lines(render(model, [(logging.ERROR, evil)], 200, 60), 200))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert 4 == text.count("?[2J?]0;owned??1mtext[bold]x[/bold]")


def test_rows_are_shared_by_weight() -> None:
    """Everyone gets the least first; then the first in order gets all that it wants."""
    assert [6, 3, 2] == share(11, [6, 9, 9])
    assert [2, 2, 1] == share(0, [6, 9, 1])
    assert [1, 2] == share(100, [1, 2])


def test_numbers_are_told_as_people_read_them() -> None:
    """Exact numbers without trailing zeros and without exponents; times with their days."""
    assert ["0.3", "1,000", "0", "0.00001"] == [
        number(Decimal(text)) for text in ("0.3000", "1E+3", "0.0000", "1E-5")
    ]
    assert ["0:00:00", "1:02:03", "2 d 0:00:01"] == [
        duration(secs) for secs in (0.9, 3723.4, 172_801)
    ]


def report(**changes: object) -> StopReport:
    fields: dict[str, object] = {
        "runtime": "demo",
        "reason": "SIGTERM",
        "outcome": "clean",
        "exit_code": 0,
        "started_at": "",
        "stopped_at": "",
        "duration_secs": 0.123,
        "stages": [StageResult("halt", "strategies", 0.5, 0.01)],
        "orders": {"open_at_stop": 3, "cancelled": 2, "filled": 1, "left_open": []},
        "positions": [],
        "state": {"flushed": True, "verified": True, "records": 1200},
        "market_data": {},
        "strategies": [],
        "tasks_left": [],
        "connections_left": [],
    }
    return StopReport(**{**fields, **changes})  # type: ignore[arg-type]


def told(stop_report: StopReport, path: Path | None = None) -> str:
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        console.print(summary(stop_report, path))
    return capture.get()


def test_the_summary_of_a_clean_stop() -> None:
    """Outcome, exit code, how long it took, that nothing is left, and where its report is."""
    text = told(report(), Path("/data/reports/stop.json"))
    for part in (
        "stopped clean, exit code 0, in 0.12 s: SIGTERM",
        "halt     ok in 0.01 s of 0.50 s",
        "3 entry orders were open, 2 cancelled, 1 filled, none left open",
        "none open",
        "1,200 records, flushed, verified",
        "/data/reports/stop.json",
    ):
        assert part in text


def test_the_summary_of_a_stop_that_left_something_names_it() -> None:
    """Orders, an unprotected position, a failed stage, unverified state, and the error."""
    text = told(
        report(
            outcome="incomplete",
            exit_code=3,
            stages=[
                StageResult("cancel", "orders", 1.5, 1.5, "timed_out", "12 orders may rest"),
                StageResult("protect", "orders", 0.5, outcome="skipped", detail="not started"),
            ],
            orders={
                "open_at_stop": 12,
                "cancelled": 0,
                "filled": 0,
                "left_open": [f"x-{n}" for n in range(12)],
            },
            positions=[
                {
                    "strategy": "maker",
                    "instrument": "ETHUSDT.paper",
                    "quantity": "1.5",
                    "protected": False,
                    "stop_order": None,
                },
                {
                    "strategy": "other",
                    "instrument": "ETHUSDT.paper",
                    "quantity": "2",
                    "protected": None,
                    "stop_order": "x-7",
                },
            ],
            strategies=[{"name": "maker", "outcome": "failed", "detail": "ValueError: x"}],
            state={"flushed": True, "verified": False, "records": 5},
            connections_left=["private-paper"],
            error="VenueError: gone",
        )
    )
    for part in (
        "stopped incomplete, exit code 3",
        "cancel   timed out in 1.50 s of 1.50 s: 12 orders may rest",
        "protect  skipped: not started",
        "12 may be left open: x-0, x-1",
        "x-9 and 2 more",
        "maker 1.5 ETHUSDT.paper: NOT PROTECTED",
        "other 2 ETHUSDT.paper: by the journal; its last stop-loss: x-7",
        "maker failed: ValueError: x",
        "flushed, NOT verified",
        "private-paper",
        "VenueError: gone",
    ):
        assert part in text


def make(folder: Path) -> tuple[Runtime, TailHandler, Console]:
    runtime = create_runtime(demo_settings(folder), clock=TrioClock())
    screen = Console(file=io.StringIO(), force_terminal=True, width=120, height=50)
    return runtime, TailHandler(), screen


def output(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_it_draws_to_the_end_and_sums_up(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """From starting over running and stopping to the last frame and the summary."""
    runtime, tail, console = make(tmp_path)
    view = View(runtime, tail, console)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.run)
        async with run_runtime(runtime):
            await trio.sleep(5)
        # Not cancelled: it ends by itself.
    shown = output(console)
    for state in ("starting", "running", "stopping", "stopped"):
        assert state in shown
    assert shown.index("running") < shown.index("stopping") < shown.index("exit code 0")
    (path,) = (tmp_path / "reports").glob("*.json")
    assert str(path) in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


async def test_cancelled_it_still_draws_the_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Who started it cancels it as soon as the runtime has stopped; nothing is lost by that."""
    runtime, tail, console = make(tmp_path)
    streams = sys.stdout, sys.stderr
    async with trio.open_nursery() as nursery:
        nursery.start_soon(View(runtime, tail, console).run)
        async with run_runtime(runtime):
            await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert "exit code 0" in output(console)
    assert streams == (sys.stdout, sys.stderr)


async def test_a_defect_in_drawing_ends_the_view_alone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime goes on, and the logs come through from then on."""
    runtime, tail, console = make(tmp_path)

    def broken(*args: object) -> Frame:
        raise RuntimeError("no frame")

    monkeypatch.setattr(view_module, "render", broken)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(View(runtime, tail, console).run)
        async with run_runtime(runtime):
            await trio.sleep(5)
            assert snapshot(runtime).state == "running"
    assert runtime.report is not None
    assert 0 == runtime.report.exit_code


async def test_errors_are_printed_above_the_view_in_full(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A stack does not fit into a line of the view, and must not vanish with it."""
    runtime, tail, console = make(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(View(runtime, tail, console).run)
        async with run_runtime(runtime):
            await trio.sleep(1)
            tail.emit(record(logging.ERROR, "it failed\nTraceback: line 1\n  line 2\x1b[2J"))
            await trio.sleep(1)
    shown = output(console)
    assert "Traceback: line 1" in shown
    assert "  line 2?[2J" in shown


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("test", level, __file__, 1, text, None, None)


def test_the_tail_is_short_and_lets_everything_through_in_the_end() -> None:
    """The last eight lines; then what was never printed, and all that comes after."""
    reader, writer = os.pipe()
    tail = TailHandler(writer)
    for n in range(20):
        tail.emit(record(logging.INFO, f"line {n}\nmore"))
    assert [f"line {n}" for n in range(12, 20)] == [text for _, text in tail.lines]
    tail.emit(record(logging.ERROR, "bad\nstack"))
    tail.let_through()
    tail.let_through()
    tail.emit(record(logging.INFO, "after"))
    os.close(writer)
    with os.fdopen(reader) as file:
        assert "bad\nstack\nafter\n" == file.read()


def on_terminal(slave: int, runtime: Runtime, tail: TailHandler) -> View:
    """A view of a process whose standard output is that terminal."""
    with open(slave, "w", closefd=False) as file, contextlib.redirect_stdout(file):
        return View(runtime, tail)


def test_a_forced_exit_gets_the_logs_and_the_terminal_back(tmp_path: Path) -> None:
    """`restore` before, and twice: only the first, while the view is on, does anything."""
    master, slave = pty.openpty()
    reader, writer = os.pipe()

    async def main() -> None:
        runtime, _, _ = make(tmp_path)
        tail = TailHandler(writer)
        view = on_terminal(slave, runtime, tail)
        view.restore()
        assert tail.lines.maxlen
        async with trio.open_nursery() as nursery:
            nursery.start_soon(view.run)
            await trio.sleep(0.2)
            view.restore()
            view.restore()
            tail.emit(record(logging.CRITICAL, "Forced exit requested"))
            nursery.cancel_scope.cancel()

    trio.run(main)
    os.close(slave)
    os.close(writer)
    with os.fdopen(reader) as file:
        assert "Forced exit requested" in file.read()
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "starting" in shown
    assert shown.rindex("\x1b[0m") > shown.rindex("starting")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


async def test_a_terminal_that_takes_nothing_holds_nobody_up() -> None:
    """Its other end does not read: what waits is bounded, and only who drains it waits."""
    master, slave = pty.openpty()
    terminal = Terminal(slave)
    for _ in range(40):
        terminal.write("x" * 65_536)
    with trio.move_on_after(0.3) as scope:
        await terminal.drain()
    assert scope.cancelled_caught
    assert not terminal.dead
    assert len(terminal._pending) <= MAX_PENDING_BYTES
    terminal.finish()
    assert terminal.dead
    os.close(slave)
    os.close(master)


async def test_a_terminal_that_is_gone_is_noticed_and_forgotten() -> None:
    """Its window was closed: nothing is raised, and nothing is written any more."""
    master, slave = pty.openpty()
    terminal = Terminal(slave)
    terminal.write("seen")
    await terminal.drain()
    assert b"seen" == os.read(master, 100)
    os.close(master)
    terminal.write("unseen")
    await terminal.drain()
    assert terminal.dead
    terminal.write("x")
    terminal.finish()
    terminal.send_at_once("x")
    os.close(slave)


async def test_the_view_of_a_closed_window_ends_and_the_runtime_does_not(tmp_path: Path) -> None:
    """Closing the terminal is no reason to stop trading."""
    master, slave = pty.openpty()
    runtime, tail, _ = make(tmp_path)
    view = on_terminal(slave, runtime, tail)
    ended = trio.Event()

    async def run() -> None:
        await view.run()
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        async with run_runtime(runtime):
            os.close(master)
            with trio.fail_after(10):
                await ended.wait()
            assert "running" == snapshot(runtime).state
    os.close(slave)
    assert runtime.report is not None
    assert 0 == runtime.report.exit_code


async def test_a_start_that_failed_is_not_summed_up(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Its error is told by who started it; the last log lines stay on the screen beside it."""
    settings = demo_settings(tmp_path)
    wrong = attrs.evolve(settings.venues["sim"], kind="nowhere")
    settings = attrs.evolve(settings, venues={**settings.venues, "sim": wrong})
    runtime = create_runtime(settings, clock=TrioClock())
    _, tail, console = make(tmp_path)
    tail.emit(record(logging.WARNING, "said before"))
    with pytest.RaisesGroup(ConfigError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(View(runtime, tail, console).run)
            async with run_runtime(runtime):
                raise AssertionError("it must not run")
    assert "said before" in output(console)
    assert "exit code" not in output(console)
