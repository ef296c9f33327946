"""The demo: within seconds there is something to see, and it goes on from where it was stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio
import trio.testing

from trade_runtime.demo import demo_settings
from trade_runtime.demo.strategies import Averages
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.runtime import Runtime, open_runtime


@asynccontextmanager
async def demo(folder: Path, seed: int = 5) -> AsyncIterator[Runtime]:
    """The demo, on a market that is the same in every test."""
    settings = demo_settings(folder)
    settings = attrs.evolve(settings, runtime=attrs.evolve(settings.runtime, seed=seed))
    async with open_runtime(settings, clock=TrioClock()) as runtime:
        yield runtime


def test_settings_alone_create_nothing(tmp_path: Path) -> None:
    """A folder appears with the first start, not before; a relative one is below the current."""
    assert tmp_path / "state" == demo_settings(tmp_path / "state").runtime.data_dir
    assert (
        Path.cwd() / "trade_runtime_demo"
        == demo_settings(Path("trade_runtime_demo")).runtime.data_dir
    )
    assert [] == list(tmp_path.iterdir())


async def test_within_seconds_there_is_something_to_see(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Fills, partial fills, cancels, and positions of which every one is covered; a clean stop."""
    partial: set[str] = set()
    async with demo(tmp_path) as runtime:
        assert runtime.trading is not None
        trading = runtime.trading.orders.trading
        for _ in range(40):
            await trio.sleep(0.25)
            partial |= {o.id for o in trading.live() if 0 < o.filled < o.quantity}
        assert trading.fills >= 5
        assert trading.intents >= 30
        assert len(partial) >= 1
        # The last fill may be younger than the second in which it is to be covered.
        with trio.fail_after(10):
            while not all(p["protected"] for p in runtime.positions()):  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert {"running"} == {host.outcome for host in runtime.hosts}
    assert runtime.report is not None
    assert ("clean", 0) == (runtime.report.outcome, runtime.report.exit_code)


async def test_every_strategy_trades(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A minute, and each of the three has bought and sold."""
    async with demo(tmp_path) as runtime:
        await trio.sleep(60)
        assert runtime.trading is not None
        positions = {p.strategy: p for p in runtime.trading.orders.trading.ledger}
    assert {"maker", "trend", "scalper"} == set(positions)
    assert all(position.realised for position in positions.values())
    assert runtime.report is not None
    assert 0 == runtime.report.exit_code


def _by_strategy(positions: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {position["strategy"]: position for position in positions}


async def test_a_second_demo_goes_on_from_the_first(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Its positions and their stops are there from the start; no entry of the first is left."""
    async with demo(tmp_path) as first:
        await trio.sleep(20)
    assert first.report is not None
    async with demo(tmp_path, seed=6) as second:
        assert second.trading is not None
        trading = second.trading.orders.trading
        assert _by_strategy(first.report.positions) == _by_strategy(second.positions())
        assert [] == trading.entries()
        before = trading.fills
        await trio.sleep(20)
        assert trading.fills > before
    assert second.report is not None
    assert 0 == second.report.exit_code


def test_averages_tell_a_trend_once_they_know_enough() -> None:
    """Nothing for as many prices as the slow one is long; then up, then down."""
    averages = Averages(2, 5)
    assert [0] * 4 == [averages.add(100 + i) for i in range(4)]
    assert 1 == averages.add(110)
    assert -1 == [averages.add(price) for price in (90, 80, 70)][-1]
