"""On a terminal: the live view runs, and however the runtime ends the terminal is whole again."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.support import NOISE_SECS, Run, World, grid
from tests.process.test_second_signal import SLOW_MS

pytestmark = pytest.mark.process

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
OTHER_SCREEN, OWN_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


class Screen:
    """The person's end of a terminal: reads all that is written to it."""

    def __init__(self) -> None:
        self.leader, self.follower = pty.openpty()
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.mode = termios.tcgetattr(self.follower)
        self._seen = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.leader, 65536)
            except OSError:
                return
            if not data:
                return
            self._seen += data

    @property
    def text(self) -> str:
        return self._seen.decode(errors="replace")

    def close(self) -> None:
        """Let go of the program's end; all that was written has been read then."""
        self.mode_after = termios.tcgetattr(self.follower)
        os.close(self.follower)
        self._thread.join(NOISE_SECS)
        os.close(self.leader)

    def check_whole(self) -> None:
        """The cursor is shown, the screen is its own, the mode is as it was."""
        assert self.mode == self.mode_after
        assert self.text.rfind(SHOW) >= self.text.rfind(HIDE)
        assert self.text.count(OTHER_SCREEN) == self.text.count(OWN_SCREEN)


@contextmanager
def on_screen(world: World, *args: str) -> Iterator[tuple[Run, Screen]]:
    """Run on a terminal of its own."""
    screen = Screen()
    fd = screen.follower
    env = {**os.environ, "TERM": "xterm-256color"}
    try:
        with world.run(*args, stdin=fd, stdout=fd, stderr=fd, env=env) as run:
            yield run, screen
    finally:
        screen.close()


def test_the_view_and_a_clean_stop(tmp_path: Path) -> None:
    """It shows the instrument and the stop; what stays on the terminal says how it ended."""
    world = World(tmp_path)
    world.configure(grid(20))
    with on_screen(world) as (run, screen):
        world.until_grid(run, 20)
        run.until(lambda: "ETHUSDT" in screen.text, "the instrument on the screen")
        run.send(signal.SIGINT)
        assert run.end() == 0, screen.text[-3000:]
        assert run.took_secs < NOISE_SECS
    screen.check_whole()
    assert HIDE in screen.text, "there was no live view"
    last = screen.text[screen.text.rfind(SHOW) - 3000 :]
    assert "clean" in last
    found = judge.evidence(world)
    assert judge.crimes(found) + judge.unsettled(found) == []


def test_the_view_and_a_forced_exit(tmp_path: Path) -> None:
    """The view is taken down before the stacks are shown."""
    world = World(tmp_path)
    world.configure(grid(20), venue={"latency_ms": SLOW_MS})
    with on_screen(world) as (run, screen):
        world.until_grid(run, 20)
        run.until(lambda: HIDE in screen.text, "the view")
        run.send(signal.SIGINT, signal.SIGINT, gap_secs=0.05)
        assert run.end() == 1, screen.text[-3000:]
        assert run.took_secs < NOISE_SECS
    screen.check_whole()
    stacks = screen.text.find("Forced exit requested", screen.text.rfind(HIDE))
    assert stacks > 0
    assert screen.text.rfind(SHOW) < stacks
    judge.check_crash(world, run)


def test_a_terminal_that_takes_nothing(tmp_path: Path) -> None:
    """Stopped with Ctrl-S, or behind a network that is gone: neither trading nor the stop waits."""
    world = World(tmp_path)
    world.configure(grid(20))
    with on_screen(world) as (run, screen):
        termios.tcflow(screen.follower, termios.TCOOFF)
        world.until_grid(run, 20)
        run.send(signal.SIGTERM)
        code = run.end()
        took_secs = run.took_secs
        termios.tcflow(screen.follower, termios.TCOON)
        assert code == 0
        assert took_secs < 5.0 + NOISE_SECS
    found = judge.evidence(world)
    assert judge.crimes(found) + judge.unsettled(found) == []


@pytest.mark.parametrize("signals", [["INT"], ["TERM", "TERM"], ["KILL"]], ids=str)
def test_the_script_that_tries_a_stop(tmp_path: Path, signals: list[str]) -> None:
    """It shows the report and the venue's record, and ends on a clean state."""
    script = Path(__file__).parents[2] / "scripts" / "try_a_stop.py"
    done = subprocess.run(
        [sys.executable, str(script), *signals, "--after", "1.0", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"outcome": "clean"' in done.stdout
    assert "What rests in the venue's own record" in done.stdout
    assert '"ok": true' in done.stdout
