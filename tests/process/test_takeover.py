"""Two whole runtimes, one journal in PostgreSQL, one exchange that both can reach: one trades.

The exchange's own record is the judge: whoever was frozen past its lease sends nothing more.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.exchange_world import SPOT, ExchangeWorld
from tests.process.support import PATIENCE_SECS
from tests.process.test_exchange import GRID, N, until_grid
from tests.process.test_postgresql import tables
from tests.process.test_standby import WAITS
from tests.support.postgres import Server, fresh_name, programs

pytestmark = pytest.mark.process


@pytest.fixture
def world(tmp_path: Path, postgres: Server) -> Iterator[ExchangeWorld]:
    """A trader's folder at an exchange, whose journal is in a new database."""
    found = ExchangeWorld(tmp_path, SPOT)
    name = fresh_name()
    admin = [str(programs() / "psql"), "-q", "-d", postgres.url("postgres"), "-c"]
    subprocess.run([*admin, f"CREATE DATABASE {name}"], check=True)
    found.postgres_url = postgres.url(name)
    yield found
    subprocess.run([*admin, f"DROP DATABASE {name} WITH (FORCE)"], check=True)


def test_the_owner_is_frozen_past_its_lease(world: ExchangeWorld) -> None:
    """The standby takes over and trades; thawed, the old owner sends no order and no cancel, stops,
    and its report says why.
    """
    with world.exchange() as exchange:
        world.trade(exchange, GRID, **tables(world))
        with world.run() as first:
            until_grid(exchange, first)
            with world.run("--standby") as second:
                second.until_log(WAITS)
                first.process.send_signal(signal.SIGSTOP)
                second.until_log("Market data flows")
                resting = {order["order_id"] for order in exchange.open_orders()}
                first.process.send_signal(signal.SIGCONT)
                assert first.end() == 3, first
                owner = first.report()["owner"]
                assert owner["lost"] is True
                assert {order["order_id"] for order in exchange.open_orders()} == resting
                assert len(resting) == N + 1
                second.send(signal.SIGTERM)
                assert second.end() == 0, second
        judge.check_clean(world, second, world.evidence())


def test_started_together(world: ExchangeWorld) -> None:
    """One trades, the other refuses to start and says who holds it."""
    with world.exchange() as exchange:
        world.trade(exchange, GRID, **tables(world))
        with world.run() as first, world.run() as second:
            both = (first, second)
            until = time.monotonic() + PATIENCE_SECS
            while all(run.process.poll() is None for run in both) and time.monotonic() < until:
                time.sleep(0.02)
            loser, winner = sorted(both, key=lambda run: run.process.poll() is None)
            assert loser.end() == 3, loser
            assert "pid" in loser.log, loser
            until_grid(exchange, winner)
            winner.send(signal.SIGTERM)
            assert winner.end() == 0, winner
        judge.check_clean(world, winner, world.evidence())
