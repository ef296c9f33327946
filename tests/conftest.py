"""What every test gets: the same examples in every run, a log that costs nothing, a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest
import structlog

from tests.support.postgres import OVERRIDE, Server, can_run, running

# Repeatable: the examples depend on the test alone. No deadline: a busy machine is no failure.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")

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
