"""Signals when nobody thinks of them: before anything is open, after all is closed; a process
started without a terminal, without streams, with signals ignored; a reader or a terminal that goes
away.
"""

from __future__ import annotations

import os
import pty
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import (
    BUDGET_SECS,
    NOISE_SECS,
    SEED,
    World,
    grid,
    share,
    strategy,
    until_age,
)

pytestmark = pytest.mark.process


def watch_world(folder: Path) -> World:
    """A world where nothing is traded."""
    world = World(folder)
    world.configure(strategy("watch", "Watch"))
    return world


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_during_the_start(tmp_path: Path, number: signal.Signals) -> None:
    """One signal at any moment of the start: it ends at once, and what is there is consistent."""
    rng = random.Random(f"{SEED} {number}")
    world = watch_world(tmp_path)
    for _ in range(share(4, 40)):
        with world.run() as run:
            until_age(run, rng.uniform(0.0, 0.8))
            run.send(number)
            code = run.end_of_start(number)
            assert run.took_secs < NOISE_SECS, run
        if not run.unborn:
            assert code == 0, run
            assert run.report()["outcome"] == "clean"
            run.check_log()
        assert world.leftovers() == []
        world.verify()


def test_while_a_strategy_is_imported(tmp_path: Path) -> None:
    """A strategy's file that takes its time is still in its import: the second signal ends it."""
    world = watch_world(tmp_path)
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import pathlib, time\n"
        "from trade_runtime import Strategy\n"
        f"pathlib.Path({str(tmp_path / 'imported')!r}).touch()\n"
        "time.sleep(1000)\n"
        "class Slow(Strategy): pass\n"
    )
    world.configure({"name": "slow", "class": "slow.py:Slow", "instruments": ["ETHUSDT.paper"]})
    with world.run() as run:
        run.until((tmp_path / "imported").exists, "the import")
        run.send(signal.SIGINT, signal.SIGINT, gap_secs=0.2)
        assert run.end() == 1, run
        assert run.took_secs < NOISE_SECS
    assert run.log.count("Forced exit requested") == 1
    assert "slow.py" in run.log
    assert not world.data_dir.exists()


def test_after_the_stop(tmp_path: Path) -> None:
    """Signals that come when all is done change neither the outcome nor the exit code."""
    world = World(tmp_path)
    world.configure(grid(5))
    for gap_secs in [0.0, 0.005, 0.015]:
        with world.run() as run:
            world.until_grid(run, 5)
            run.send(signal.SIGTERM)
            run.until_log("Shutdown complete")
            until = run.age_secs + gap_secs
            while run.process.poll() is None and run.age_secs < until:
                pass
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                if run.process.poll() is None:
                    run.process.send_signal(number)
            assert run.end() == 0, run
        judge.check_clean(world, run)


def test_a_thread_that_a_strategy_left(tmp_path: Path) -> None:
    """Python would wait for it for ever; the process ends all the same, and says so."""
    world = World(tmp_path)
    world.configure(grid(5), strategy("threaded", "Threaded"))
    with world.run() as run:
        world.until_grid(run, 5)
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
        assert run.took_secs < NOISE_SECS
    judge.check_clean(world, run)
    assert "never-ends" in run.log


def test_sigterm_and_sigint_ignored_from_the_start(tmp_path: Path) -> None:
    """As a shell starts what runs in its background, and as the first process of a container is
    started, for whom no signal has an effect unless it listens itself.
    """

    def ignore() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    for number in (signal.SIGTERM, signal.SIGINT):
        world = watch_world(tmp_path / number.name)
        with world.run(preexec_fn=ignore) as run:
            run.until_log("Market data flows")
            run.send(number)
            assert run.end() == 0, run
        judge.check_clean(world, run)


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="needs Linux namespaces")
def test_as_the_first_process_of_a_container(tmp_path: Path) -> None:
    """As PID 1, which the kernel shields from every signal that it does not handle."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    try:
        probe = subprocess.run([*unshare, "true"], capture_output=True, timeout=10, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if probe.returncode:
        pytest.skip("namespaces are not allowed here")
    world = World(tmp_path)
    world.configure(grid(5))
    script = tmp_path / "inside.sh"
    script.write_text(f'exec {sys.executable} -m trade_runtime run "$@"\n')
    err = tmp_path / "inside.err"
    with err.open("wb") as stderr:
        process = subprocess.Popen(
            [*unshare, "sh", str(script), str(world.config), "--report", str(tmp_path / "r.json")],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        run = _Outside(world, process, err)
        run.until_grid(5)
        run.send_to_child(signal.SIGTERM)
        assert process.wait(20) == 0, err.read_text()
    finally:
        process.kill()
        process.wait()
    found = judge.evidence(world)
    assert judge.crimes(found) + judge.unsettled(found) == []


class _Outside:
    """A runtime behind another process that waits for it."""

    def __init__(self, world: World, process: subprocess.Popen[bytes], err: Path) -> None:
        self.world, self.process, self.err = world, process, err

    def until_grid(self, n: int) -> None:
        import time  # noqa: PLC0415

        end = time.monotonic() + 30
        while self.world.entries_open() < n or not self.world.stops_open():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < end, self.err.read_text()
            time.sleep(0.02)

    def send_to_child(self, number: signal.Signals) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split():
            os.kill(int(child), number)


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_started_without_streams(tmp_path: Path, closed: list[int]) -> None:
    """No file of the runtime gets the number of a standard stream, and is written to as one."""
    world = World(tmp_path)
    world.configure(grid(5))

    def close() -> None:
        for fd in closed:
            os.close(fd)

    with world.run(preexec_fn=close) as run:
        world.until_grid(run, 5)
        for path in (world.journal, world.venue):
            holders = [
                int(link.name)
                for link in Path(f"/proc/{run.pid}/fd").iterdir()
                if os.readlink(link).startswith(str(path))
            ]
            assert holders
            assert min(holders) > 2
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    if 2 in closed:
        found = judge.evidence(world)
        assert judge.crimes(found) + judge.unsettled(found) == []
        assert run.log == ""
    else:
        judge.check_clean(world, run)


@pytest.mark.parametrize("forced", [False, True], ids=["clean", "forced"])
def test_nobody_reads_any_more(tmp_path: Path, forced: bool) -> None:
    """Stdout and stderr are a pipe whose reader is gone, as under `| head`: the log falls silent,
    the runtime does not.
    """
    world = World(tmp_path)
    world.configure(grid(5))
    reading, writing = os.pipe()
    with world.run(stdout=writing, stderr=writing) as run:
        os.close(writing)
        world.until_grid(run, 5)
        os.close(reading)
        run.send(*([signal.SIGTERM, signal.SIGTERM] if forced else [signal.SIGTERM]))
        assert run.end() == (1 if forced else 0), run
        assert run.took_secs < NOISE_SECS
    assert run.report()["outcome"] == ("forced" if forced else "clean")
    found = judge.evidence(world)
    assert judge.crimes(found) == []
    if not forced:
        assert judge.unsettled(found) == []


@pytest.mark.parametrize("forced", [False, True], ids=["clean", "forced"])
def test_the_reader_does_not_read(tmp_path: Path, forced: bool) -> None:
    """Stderr is a pipe that is full: neither the stop nor the forced exit waits for its reader."""
    world = World(tmp_path)
    world.configure(grid(5))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with world.run(stderr=writing) as run:
        world.until_grid(run, 5)
        try:
            while os.write(writing, b"\n" * 4096):
                pass
        except BlockingIOError:
            pass
        os.set_blocking(writing, True)
        run.send(*([signal.SIGTERM, signal.SIGTERM] if forced else [signal.SIGTERM]))
        assert run.end() == (1 if forced else 0), run
        assert run.took_secs < BUDGET_SECS + NOISE_SECS
    os.close(reading)
    os.close(writing)
    found = judge.evidence(world)
    assert judge.crimes(found) == []


def on_terminal(leader: int) -> Callable[[], None]:
    """Return what makes a child the leader of a session whose terminal is its stdin."""

    def become() -> None:
        import fcntl  # noqa: PLC0415
        import termios  # noqa: PLC0415

        os.close(leader)
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    return become


def test_the_terminal_is_gone(tmp_path: Path) -> None:
    """A lost connection closes the terminal: the kernel says so with SIGHUP, and the runtime stops
    in order.
    """
    world = World(tmp_path)
    world.configure(grid(20))
    leader, follower = pty.openpty()
    with world.run(
        "--log-format",
        "text",
        stdin=follower,
        start_new_session=False,
        preexec_fn=on_terminal(leader),
    ) as run:
        os.close(follower)
        world.until_grid(run, 20)
        os.close(leader)
        assert run.end() == 0, run
    judge.check_clean(world, run)
    assert run.report()["reason"] == "SIGHUP"


def test_a_hangup_beside_a_signal_forces_nothing(tmp_path: Path) -> None:
    """A shell tells its jobs what the kernel told them already, and systemd sends SIGHUP after
    SIGTERM where it is asked to: that is one wish, not two.
    """
    world = World(tmp_path)
    world.configure(grid(20), venue={"latency_ms": 100})
    with world.run() as run:
        world.until_grid(run, 20)
        run.send(signal.SIGTERM, signal.SIGHUP, signal.SIGHUP)
        assert run.end() == 0, run
    judge.check_clean(world, run)


def test_nohup(tmp_path: Path) -> None:
    """Started with SIGHUP ignored, it goes on without its terminal."""
    world = watch_world(tmp_path)

    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with world.run(preexec_fn=nohup) as run:
        run.until_log("Market data flows")
        run.send(signal.SIGHUP)
        until_age(run, run.age_secs + 0.3)
        assert "Shutdown started" not in run.log
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    judge.check_clean(world, run)
