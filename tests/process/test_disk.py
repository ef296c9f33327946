"""A disk that is full or may not be written: the runtime halts, cancels, stops in order and exits
with 3; nothing is corrupted, and when there is room again the next start finds all.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.process import judge
from tests.process.support import BUDGET_SECS, NOISE_SECS, Run, World, command, share, strategy
from tests.process.test_second_signal import BUSY

pytestmark = pytest.mark.process

SMALL = 6 << 20
"""What there is room for: more than the write-ahead log of the venue, which is bounded."""

ROOMY = 256 << 20

STAGES = {
    "halt": {"ok"},
    "cancel": {"ok"},
    "protect": {"ok", "failed", "timed_out"},  # a stop-loss needs an intent in the journal
    "flush": {"failed"},
    "close": {"ok"},
    "verify": {"failed"},
}
"""What may become of each of them when nothing can be recorded any more."""


class Limit:
    """No file may grow beyond a size: what every user can do."""

    def __init__(self, folder: Path) -> None:
        self.how: dict[str, Any] = {"preexec_fn": self._limit}
        self.error = "the store failed: "

    @staticmethod
    def _limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL))

    def make_room(self) -> None:
        self.how = {}


class Tmpfs:
    """A file system of its own for the journal: it takes the right to mount one."""

    def __init__(self, folder: Path) -> None:
        self.how: dict[str, Any] = {}
        self.error = "the disk is full; make room"
        self._folder = folder
        self._mount(f"size={SMALL}")

    def _mount(self, options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._folder)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.decode().strip()}")

    def make_room(self) -> None:
        self._mount(f"remount,size={ROOMY}")

    def gone(self) -> None:
        subprocess.run(["umount", str(self._folder)], check=True)


DISKS: dict[str, Callable[[Path], Limit | Tmpfs]] = {"limit": Limit, "tmpfs": Tmpfs}


@pytest.fixture(params=DISKS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Limit | Tmpfs]:
    """A small disk at `state/disk`."""
    if request.param == "tmpfs" and os.geteuid():
        pytest.skip("only root may mount")
    folder = tmp_path / "state" / "disk"
    folder.mkdir(parents=True)
    disk = DISKS[request.param](folder)
    yield disk
    if isinstance(disk, Tmpfs):
        disk.gone()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A trader's folder whose journal is on that disk."""
    world = World(tmp_path)
    world.journal = world.data_dir / "disk" / "journal.sqlite"
    world.configure(
        strategy("hoarding", "Hoarding", every=2, own_stops=False),
        market=BUSY,
        store={"url": "sqlite:///disk/journal.sqlite"},
    )
    return world


@pytest.mark.parametrize("turn", range(share(1, 20)))
def test_full_while_trading(world: World, disk: Limit | Tmpfs, turn: int) -> None:
    """Exit 3 within the ladder, no entry is left, the report is true; with room, all goes on."""
    with world.run(**disk.how) as run:
        assert 3 == run.end(), run
    check_stopped(run, disk.error)
    disk.make_room()
    found = judge.check_crash(world, run)
    check_told(found, run)
    with world.run() as run:
        before = len(found.fills)
        run.until(lambda: len(world.live("SELECT 1 FROM fills")) > before + 5, "more fills")
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    judge.check_clean(world, run)


def check_stopped(run: Run, error: str) -> None:
    """Check the stop of a runtime whose store failed by itself."""
    report = run.report()
    assert ("incomplete", 3) == (report["outcome"], report["exit_code"]), run
    assert error in report["reason"], run
    assert report["duration_secs"] < BUDGET_SECS + NOISE_SECS
    assert list(STAGES) == [stage["name"] for stage in report["stages"]]
    for stage in report["stages"]:
        assert stage["outcome"] in STAGES[stage["name"]], run
    assert (False, False) == (report["state"]["flushed"], report["state"]["verified"])
    assert [] == report["orders"]["left_open"] == report["tasks_left"]
    assert [] == report["connections_left"]


def check_told(found: judge.Evidence, run: Run) -> None:
    """Check a report against the venue's record and the journal, of which it may know the end no
    better than the disk does.
    """
    report = run.report()
    assert [] == found.entries()
    assert report["state"]["records"] == len(found.records)
    held = judge.held(found.fills)
    assert held == sum((Decimal(p["quantity"]) for p in report["positions"]), Decimal(0))
    covered = sum(
        (Decimal(found.orders[stop]["quantity"]) - Decimal(found.orders[stop]["filled"]))
        for stop in found.stops()
    )
    for position in report["positions"]:
        assert position["protected"] is (covered >= abs(held)), run


def test_may_not_be_written_at_the_start(tmp_path: Path) -> None:
    """One clear error and exit code; nothing is left."""
    with contextlib.ExitStack() as stack:
        folder = tmp_path / "state"
        folder.mkdir()
        if os.geteuid():
            folder.chmod(0o555)
            stack.callback(folder.chmod, 0o755)
        else:  # root may write whatever the mode says, but not on a disk that is read-only
            how = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
            done = subprocess.run(how, capture_output=True, check=False)
            if done.returncode:
                pytest.skip(f"cannot mount: {done.stderr.decode().strip()}")
            stack.callback(subprocess.run, ["umount", str(folder)], check=True)
        world = World(tmp_path)
        world.configure(strategy("churn", "Churn"))
        with world.run() as run:
            code = run.end()
        checked = command("check", world.config)
        assert [] == list(folder.iterdir())
    errors = [line for line in run.log.splitlines() if line.startswith("error:")]
    assert (2, 1) == (code, len(errors)), run
    assert "data_dir" in errors[0]
    assert "Traceback" not in run.log
    assert 2 == checked.returncode
