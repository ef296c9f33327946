"""The main job with its journal in PostgreSQL: the same invariants, the same exit codes."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from tests.postgres_world import CuttingProxy, Desk
from tests.process import judge
from tests.process.support import SEED, Run, World, command, grid, share, strategy, until_age
from tests.process.test_second_signal import BUSY
from tests.stores import read_all
from tests.support.postgres import Server, fresh_name, programs
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop

pytestmark = pytest.mark.process

LEASE_SECS = 1.0

SECRET = "a-pass-word"


@pytest.fixture
def world(tmp_path: Path, postgres: Server) -> Iterator[World]:
    """A trader's folder whose journal is in a new database."""
    found = World(tmp_path)
    name = fresh_name()
    admin = [str(programs() / "psql"), "-q", "-d", postgres.url("postgres"), "-c"]
    subprocess.run([*admin, f"CREATE DATABASE {name}"], check=True)
    found.postgres_url = postgres.url(name)
    yield found
    subprocess.run([*admin, f"DROP DATABASE {name} WITH (FORCE)"], check=True)


def tables(world: World) -> dict[str, Any]:
    """The sections that put the journal there; trust needs no password, so any is right."""
    parts = urlsplit(world.postgres_url)
    url = parts._replace(netloc=parts.netloc.replace("@", f":{SECRET}@")).geturl()
    return {"store": {"url": url}, "owner": {"lease_secs": LEASE_SECS}}


def test_a_stop_is_clean_and_shows_no_password(world: World) -> None:
    """SIGTERM under load; the password of the URL is in no log, report or answer."""
    world.configure(grid(50), **tables(world))
    with world.run() as run:
        world.until_grid(run)
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    judge.check_clean(world, run)
    shown = [run.log, run.out, run.report_path.read_text()]
    shown += [command(name, world.config).stdout for name in ("check", "verify", "resume")]
    assert all(shown[3:])
    assert not any(SECRET in text for text in shown)
    assert not world.journal.exists()


def test_killed_again_and_again(world: World) -> None:
    """At random moments, and started again at once: its own dead lease is waited for."""
    rng = random.Random(SEED)
    world.configure(
        strategy("churn", "Churn", every=2, own_stops=False), market=BUSY, **tables(world)
    )
    for _ in range(share(4, 50)):
        with world.run() as run:
            if rng.random() < 0.3:
                moment = rng.uniform(0.0, 2.0)
            else:
                run.until_log("Market data flows")
                moment = rng.uniform(0.0, 1.5)
            until_age(run, run.age_secs + moment)
            run.kill()
        judge.check_crash(world, run)
    with world.run() as run:
        run.until_log("Market data flows")
        run.until(lambda: len(world.live("SELECT 1 FROM fills")) > 20, "fills")
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    judge.check_clean(world, run)


def test_a_second_runtime_is_refused(world: World) -> None:
    """Exit 3 and one message that names the process; the first goes on."""
    world.configure(grid(20), **tables(world))
    with world.run() as first:
        world.until_grid(first, 20)
        with world.run() as second:
            assert 3 == second.end(), second
        (error,) = [line for line in second.log.splitlines() if line.startswith("error:")]
        assert f"held by pid {first.pid} " in error
        assert "stop that runtime first" in error
        first.send(signal.SIGTERM)
        assert 0 == first.end(), first
    judge.check_clean(world, first)


def fills(world: World) -> int:
    """Count those of the venue, while a runtime runs."""
    return len(world.live("SELECT 1 FROM fills"))


def trade_on(world: World, run: Run, before: int) -> None:
    """It trades on, and its stop is clean."""
    run.until(lambda: fills(world) > before + 5, "more fills")
    run.send(signal.SIGTERM)
    assert 0 == run.end(), run
    judge.check_clean(world, run)


@pytest.mark.parametrize("turn", range(share(1, 20)))
def test_a_server_that_crashes_and_comes_back_is_outlasted(
    world: World, postgres: Server, turn: int
) -> None:
    """`stop -m immediate` while trading, a start 3 s later: it trades on, the stop is clean."""
    world.configure(strategy("churn", "Churn", every=2), market=BUSY, **tables(world))
    with world.run() as run:
        run.until(lambda: fills(world) > 5, "fills")
        postgres.stop()
        try:
            time.sleep(3)
        finally:
            postgres.start()
        trade_on(world, run, fills(world))


@pytest.mark.parametrize("turn", range(share(1, 20)))
def test_a_server_that_is_frozen_for_a_while_is_outlasted(
    world: World, postgres: Server, turn: int
) -> None:
    """No answer for longer than a lease, while trading: nobody took the journal, it trades on."""
    world.configure(strategy("churn", "Churn", every=2), market=BUSY, **tables(world))
    with world.run() as run:
        run.until(lambda: fills(world) > 5, "fills")
        postgres.freeze()
        try:
            time.sleep(2 * LEASE_SECS)
        finally:
            postgres.thaw()
        trade_on(world, run, fills(world))


CUT = b'{"client_order_id"'
"""What every record of an order has in it: the connection is cut in the midst of its commit."""


@pytest.mark.parametrize("turn", range(share(1, 20)))
def test_connections_that_are_cut_are_outlasted(world: World, postgres: Server, turn: int) -> None:
    """In the midst of a commit, whose answer is lost, and at any moment: nothing is there twice."""

    def trade(proxy: CuttingProxy) -> None:
        rng = random.Random(f"{SEED} {turn}")
        sections = tables(world)
        sections["store"] = {"url": proxy.url(world.postgres_url)}
        world.configure(strategy("churn", "Churn", every=2), market=BUSY, **sections)
        with world.run() as run:
            for number in range(4):
                before = fills(world)
                run.until(lambda before=before: fills(world) > before + 5, "fills")  # type: ignore[misc]
                time.sleep(rng.uniform(0, 0.3))
                if number % 2:
                    trio.from_thread.run_sync(proxy.cut_all)
                else:
                    proxy.cut_after = CUT
            run.until(lambda: proxy.cuts > 3, "cuts")
            trade_on(world, run, fills(world))

    async def main() -> None:
        async with CuttingProxy(postgres.port).run() as proxy:
            await trio.to_thread.run_sync(trade, proxy)

    trio.run(main)


AWAY = {"frozen": (Server.freeze, Server.thaw), "crashed": (Server.stop, Server.start)}


@pytest.mark.parametrize("how", AWAY)
@pytest.mark.parametrize("turn", range(share(1, 20)))
def test_a_server_that_goes_away_in_the_stop_is_told_truthfully(
    world: World, postgres: Server, how: str, turn: int
) -> None:
    """The stop is over within its ladder, with exit code 3; the next start recovers."""
    world.configure(grid(20), **tables(world))
    harm, heal = AWAY[how]
    with world.run() as run:
        world.until_grid(run, 20)
        harm(postgres)
        run.send(signal.SIGTERM)
        try:
            assert 3 == run.end(), run
            assert run.took_secs < 10
            report = run.report()
        finally:
            heal(postgres)
        assert ("incomplete", False) == (report["outcome"], report["state"]["verified"])
    judge.check_crash(world, run)
    with world.run() as run:
        run.until_log("Market data flows")
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    judge.check_clean(world, run)


def test_an_owner_that_was_replaced_stops_and_says_why(world: World) -> None:
    """Frozen past its lease, another takes the journal; thawed, it sends nothing and exits 3."""
    world.configure(strategy("churn", "Churn", every=2), market=BUSY, **tables(world))

    async def replace(run: Run) -> None:
        async with (
            asyncio_loop(True),
            Desk(world.postgres_url).open(name="world", standby=True) as successor,
        ):
            count = len(await read_all(successor))
            run.send(signal.SIGCONT)
            assert 3 == await trio.to_thread.run_sync(run.end), run
            assert count == len(await read_all(successor))

    with world.run() as run:
        run.until(lambda: len(world.live("SELECT 1 FROM fills")) > 5, "fills")
        run.send(signal.SIGSTOP)
        trio.run(replace, run)
    assert "was taken over" in run.report()["reason"]
    owner = run.report()["owner"]
    assert (True, int) == (owner["lost"], type(owner["token"]))
    judge.check_crash(world, run)
