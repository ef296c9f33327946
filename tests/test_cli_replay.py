"""`replay`: one line when it listens, every mistake one line, and an end on request."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli_world import command
from tests.replay_world import small_recording
from trade_runtime.cli.replay import replay_command


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return small_recording(tmp_path / "small.jsonl", 20)


@contextmanager
def served(*args: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the line that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trade_runtime", "replay", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_ends_when_told(recording: Path, number: int) -> None:
    """The line names both addresses; REST answers there; a signal ends it with exit code 0."""
    with served(recording, "--port", "0", "--speed", "max", "--at-end", "loop") as (process, line):
        match = re.fullmatch(
            rf"{re.escape(str(recording))} is served at"
            r" ws://127\.0\.0\.1:(\d+) and http://127\.0\.0\.1:\1\n",
            line,
        )
        assert match is not None, line
        url = f"http://127.0.0.1:{match[1]}/api/v3/exchangeInfo?symbol=ETHUSDT"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert ["ETHUSDT"] == [entry["symbol"] for entry in json.load(answer)["symbols"]]
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
        assert (0, "", "") == (process.returncode, rest, errors)


@pytest.mark.process
def test_a_port_that_is_taken_is_told(recording: Path) -> None:
    """Two servers on one port: the second says so and ends with 2."""
    with served(recording, "--port", "0") as (_, line):
        port = line.rstrip().rpartition(":")[2]
        result = command("replay", recording, "--port", port)
    assert (2, "") == (result.returncode, result.stdout)
    assert re.fullmatch(
        rf"error: port {port} of 127\.0\.0\.1 cannot be opened: .*\n", result.stderr
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--speed", "0"], "error: speed '0': must be real, max, or a multiple"),
        (["--speed", "fast"], "error: speed 'fast': must be real, max, or a multiple"),
        (["--fault", "explode"], "error: fault 'explode': the kind must be one of drop, silent"),
        (["--fault", "drop"], "error: fault 'drop': drop needs at= as in drop:at=1000"),
        (["--port", "70000"], "error: port 70000: must be from 0"),
    ],
)
def test_a_mistake_is_one_line(recording: Path, args: list[str], says: str) -> None:
    """Exit code 2, and the line says what would be right."""
    result = CliRunner().invoke(replay_command, [str(recording), "--port", "0", *args])
    (line,) = result.stderr.splitlines()
    assert line.startswith(says)
    assert (2, "") == (result.exit_code, result.stdout)


@pytest.mark.process
def test_a_recording_that_is_not_there_is_told(tmp_path: Path) -> None:
    """One line with its path."""
    result = command("replay", tmp_path / "nothing.gz", "--port", "0")
    assert (2, f"error: {tmp_path}/nothing.gz: there is no such file\n") == (
        result.returncode,
        result.stderr,
    )
