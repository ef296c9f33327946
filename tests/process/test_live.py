"""Dry-run and live at a real venue's wire: where orders go, what is said of it, and what of keys is
ever written anywhere.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.process.exchange_world import KEYS, KINDS, SPOT, Exchange, ExchangeWorld, Kind
from tests.process.judge import read_journal
from tests.process.support import FULL, World, command, grid, strategy

pytestmark = pytest.mark.process

N = 4

BY_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])

DRY = {
    "live": False,
    "paper": {"balances": {"USDT": "10000000", "USD": "10000000", "ETH": "1000"}},
}


def asked_for_orders(exchange: Exchange) -> list[dict[str, Any]]:
    """What the exchange was asked for that is about orders."""
    return [line for line in exchange.lines() if line["event"] in ("submit", "cancel", "refuse")]


@BY_KIND
def test_a_dry_run_trades_on_paper_at_the_exchanges_market(tmp_path: Path, kind: Kind) -> None:
    """Without a key, and the exchange sees no order; a later `live` refuses to go on with it."""
    world = ExchangeWorld(tmp_path, kind)
    with world.exchange() as exchange:
        world.trade(exchange, strategy("churn", "Churn", every=3), venue=DRY)
        text = world.config.read_text()
        world.config.write_text(text.replace("env:TEST_API_", "env:NOWHERE_"))
        with world.run() as run:
            run.until(lambda: filled(world) >= 3, "fills on paper")
            run.send(signal.SIGTERM)
            assert run.end() == 0, run
        assert "Dry-run: orders go to paper" in run.log
        assert [] == asked_for_orders(exchange)
        assert (world.folder / "state" / "venue.paper.sqlite").exists()
        world.trade(exchange, strategy("churn", "Churn", every=3))
        with world.run() as run:
            assert run.end() == 2, run
        assert "must not mix" in run.log
        assert [] == asked_for_orders(exchange)


def filled(world: ExchangeWorld) -> int:
    """How many fills the journal has by now."""
    if not world.journal.exists():
        return 0
    return sum(record["kind"] == "fill" for record in read_journal(world))


def test_live_is_said_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `check`, and by `run` before its first connection to the account."""
    world = ExchangeWorld(tmp_path, SPOT)
    with world.exchange() as exchange:
        world.trade(exchange, grid(N), venue={"testnet": True})
        for name, key in KEYS.items():
            monkeypatch.setenv(name, key)
        told = command("check", world.config)
        assert told.returncode == 0, told
        assert "warning: LIVE: orders at venue go to the exchange itself" in told.stderr
        assert "testnet" in told.stderr
        with world.run() as run:
            run.until(lambda: exchange.counts()[0] == N, "entries")
            run.send(signal.SIGTERM)
            assert run.end() == 0, run
        assert -1 < run.log.index("LIVE: orders at venue") < run.log.index("Private connection")
        assert "REAL MONEY" not in run.log


def written(folder: Path) -> dict[Path, bytes]:
    """Everything that a runtime left in its folder; what the exchange wrote is its own."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "exchange" not in path.name
    }


TROUBLE: Mapping[str, str] = {
    "a wrong secret": "",
    "maintenance": "maintenance:1",
    "errors": "error_after_accept:p=1",
    "cuts": "cut_sockets:0.2",
    "a wrong clock": "clock_skew:-100000",
}


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        pytest.param(trouble, kind, id=f"{trouble}-{kind.name}")
        for number, trouble in enumerate(TROUBLE)
        for kind in (KINDS if FULL else KINDS[number % len(KINDS) :][:1])
    ],
)
def test_no_key_is_in_anything_that_is_written(tmp_path: Path, kind: Kind, trouble: str) -> None:
    """Logs at their most talkative, reports, journal, errors, the stacks of a forced exit."""
    world = ExchangeWorld(tmp_path, kind)
    keys = {"TEST_API_KEY": "very-hidden-key", "TEST_API_SECRET": KEYS["TEST_API_SECRET"]}
    if trouble == "a wrong secret":
        keys["TEST_API_SECRET"] = "c2VjcmV0LXRoYXQtaXMtd3Jvbmc0"
    else:
        keys["TEST_API_KEY"] = KEYS["TEST_API_KEY"]
    with world.exchange() as exchange:
        talk = {"level": "DEBUG"}
        world.trade(exchange, grid(N), strategy("churn", "Churn", every=2), log=talk)
        with World.run(world, env={**os.environ, **keys}) as run:
            if TROUBLE[trouble]:
                run.until(lambda: exchange.counts()[0] >= N, "entries")
                exchange.fault(TROUBLE[trouble])
                time.sleep(0.5)
                run.send(signal.SIGTERM, signal.SIGTERM)
            code = run.end(60)
    assert code in ((1, 3) if TROUBLE[trouble] else (3, 4)), run
    for path, data in written(tmp_path).items():
        assert keys["TEST_API_SECRET"].encode() not in data, path
        assert b"very-hidden-key" not in data, path
