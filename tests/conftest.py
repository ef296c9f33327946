"""What every test gets: the same examples in every run, a log that costs nothing, a real server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests.support import valkey as valkeys
from tests.support.postgres import OVERRIDE, Server, can_run, running
from tests.support.valkey import Valkey

# Repeatable: the examples depend on the test alone. No deadline: a busy machine is no failure.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")

# Started in the background by a shell, this process ignores Ctrl-C, and under nohup the end of its
# terminal; so would every process that it starts, from its first moment on. A signal that has a
# handler is not passed on: this process goes on without its terminal, what it starts does not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)

# The default renderer draws a box around every local variable of a traceback: far too slow here.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.processors.KeyValueRenderer()]
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server of this test process alone, which tests may break and must leave running."""
    if not can_run():
        pytest.skip("there is no PostgreSQL in the wheel for this system")
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def any_postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a database: of our own server, or of the one that the environment names."""
    if url := os.environ.get(OVERRIDE):
        return url
    server: Server = request.getfixturevalue("postgres")
    return server.url("postgres")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, started once a run: tests keep to keys of their own there."""
    with valkeys.shared_url(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A real server of the test's own, to be harmed."""
    with valkeys.running(tmp_path / "valkey") as server:
        yield server
