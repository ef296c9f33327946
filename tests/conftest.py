"""What every test gets: the same examples in every run, and a log that costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests.support.valkey import Valkey, running, shared_url

# Repeatable: the examples depend on the test alone. No deadline: a busy machine is no failure.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")

# The default renderer draws a box around every local variable of a traceback: far too slow here.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.processors.KeyValueRenderer()]
)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, started once a run: tests keep to keys of their own there."""
    with shared_url(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A real server of the test's own, to be harmed."""
    with running(tmp_path / "valkey") as server:
        yield server
