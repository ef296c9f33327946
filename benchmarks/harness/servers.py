"""A PostgreSQL server to measure on, and databases of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from harness.report import progress

ROOT = Path(__file__).resolve().parents[2]


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a server."""
    parser.add_argument(
        "--postgres",
        metavar="URL",
        help="a database of a server whose user may create databases;"
        " else a server is started, where its programs are installed",
    )


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    """Give the URL of a database of a server: `url`, or one of a server that runs for as long as
    the block; None, and a line that says so, where there is neither.
    """
    if url is not None:
        yield url
        return
    sys.path.append(str(ROOT))  # the server is the one of the tests
    from tests.support.postgres import can_run, running  # noqa: PLC0415 - found from here on

    if not can_run():
        progress("PostgreSQL is left out: no server is installed, and --postgres names none")
        yield None
        return
    with running() as server:
        yield server.url("postgres")


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Give the URL of a new database of a server, dropped afterwards."""
    name = f"bench{uuid.uuid4().hex[:16]}"
    ask(url, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        ask(url, f"DROP DATABASE {name} WITH (FORCE)")


def ask(url: str, statement: str, *args: Any) -> list[Any]:
    """Run a statement on a connection of its own; return its rows. Not to be called from Trio."""

    async def asked() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(statement, *args))
        finally:
            await connection.close()

    return asyncio.run(asked())
