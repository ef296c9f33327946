"""What the live view shows is what the runtime is: in every phase, before anything is drawn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import attrs
import trio
import trio.testing

from trade_runtime.cli.view_model import ViewModel
from trade_runtime.cli.view_snapshot import MAX_ORDERS, snapshot
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.lifecycle.ladder import STAGES
from trade_runtime.model.ids import InstrumentId
from trade_runtime.runtime import Runtime, create_runtime, open_runtime
from trade_runtime.settings import Settings
from trade_runtime.strategy import Strategy

ETH = InstrumentId("ETHUSDT.paper")


class Quiet(Strategy):
    """Does nothing by itself: the test trades through it."""


def settings(folder: Path, **sections: dict[str, object]) -> Settings:
    return Settings.from_mapping(
        {
            "runtime": {"name": "seen", "data_dir": str(folder), "seed": 1},
            "venues": {
                "sim": {"kind": "synthetic", "seed": 3},
                "paper": {
                    "kind": "paper",
                    "market_data": "sim",
                    "balances": {"USDT": "100000", "ETH": "50"},
                },
            },
            "protection": {"stop_pct": 5.0},
            **sections,
        }
    )


@asynccontextmanager
async def running(
    folder: Path, **sections: dict[str, object]
) -> AsyncIterator[tuple[Runtime, Quiet]]:
    """A runtime with one strategy, a second after its start."""
    strategy = Quiet("quiet", [ETH])
    made = settings(folder, **sections)
    async with open_runtime(made, strategies=[strategy], clock=TrioClock()) as runtime:
        await trio.sleep(1)
        yield runtime, strategy


async def test_before_the_first_layer_is_open(tmp_path: Path) -> None:
    """A runtime that has not begun is shown as starting, and nothing else is claimed."""
    runtime = create_runtime(
        settings(tmp_path), strategies=[Quiet("quiet", [ETH])], clock=TrioClock()
    )
    assert ViewModel(
        runtime="seen", mode="", state="starting", uptime_secs=0.0, cap_secs=30.0
    ) == attrs.evolve(snapshot(runtime), uptime_secs=0.0)


async def test_while_it_trades(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Feed, position with its profit and its stop, orders entries first, journal."""
    async with running(tmp_path) as (runtime, strategy):
        strategy.trader.market(ETH, "buy", "0.5")
        strategy.trader.limit(ETH, "buy", "0.25", "2000")
        await trio.sleep(3)
        model = snapshot(runtime)
        assert ("seen", "paper", "running", "") == (
            model.runtime,
            model.mode,
            model.state,
            model.reason,
        )
        assert 4.0 <= model.uptime_secs < 4.5
        (feed,) = model.feeds
        assert (ETH, "live", 2) == (feed.instrument, feed.health, feed.places)
        assert feed.quotes >= 60
        assert feed.bid is not None
        assert feed.ask is not None
        assert feed.bid < feed.ask
        (position,) = model.positions
        assert ("quiet", Decimal("0.5"), "yes", 1) == (
            position.strategy,
            position.quantity,
            position.protection,
            len(position.triggers),
        )
        assert position.mark == Decimal(str(feed.bid))
        assert position.unrealised == (position.mark - position.average_price) * Decimal("0.5")
        assert model.net == (
            ("USDT", position.unrealised + position.realised - dict(position.fees)["USDT"]),
        )
        assert [("limit", False, "open"), ("stop_market", True, "open")] == [
            (order.type, order.protective, order.state) for order in model.orders
        ]
        assert (2, ()) == (model.orders_total, model.stages)
        assert runtime.state is not None
        assert model.records == runtime.state.seq > 5
        assert [("quiet", "running")] == [(s.name, s.outcome) for s in model.strategies]


async def test_a_position_is_called_protected_only_when_all_of_it_is(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """None, then a part, then all of it at the venue; flat, there is nothing to protect."""
    async with running(tmp_path, protection={"stop_pct": 5.0, "grace_secs": 5.0}) as (
        runtime,
        strategy,
    ):
        strategy.trader.market(ETH, "buy", "1")
        await trio.sleep(1)
        assert ["no"] == [p.protection for p in snapshot(runtime).positions]
        strategy.trader.stop_loss(ETH, "sell", "0.4", "2300")
        await trio.sleep(1)
        assert ["partly"] == [p.protection for p in snapshot(runtime).positions]
        await trio.sleep(6)
        assert ["yes"] == [p.protection for p in snapshot(runtime).positions]
        strategy.trader.market(ETH, "sell", "1", reduce_only=True)
        await trio.sleep(3)
        (position,) = snapshot(runtime).positions
        assert (Decimal(0), "", ()) == (
            position.quantity,
            position.protection,
            position.triggers,
        )
        assert position.realised


async def test_protection_that_is_off_is_not_called_missing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """What nobody asked for is no alarm."""
    async with running(tmp_path, protection={"required": "off"}) as (runtime, strategy):
        strategy.trader.market(ETH, "buy", "1")
        await trio.sleep(2)
        assert ["not required"] == [p.protection for p in snapshot(runtime).positions]


async def test_many_orders_are_counted_and_the_first_named(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """However many rest, a frame costs the same."""
    async with running(tmp_path) as (runtime, strategy):
        for number in range(MAX_ORDERS + 20):
            strategy.trader.limit(ETH, "buy", "0.01", 1000 + number)
        await trio.sleep(1)
        model = snapshot(runtime)
        assert (MAX_ORDERS, MAX_ORDERS + 20) == (len(model.orders), model.orders_total)


async def test_a_feed_is_live_polled_or_stale(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A stream that falls silent is replaced by polling; without that either, it is stale."""
    venues = {
        "sim": {"kind": "synthetic", "seed": 3, "limit": 100},
        "paper": {"kind": "paper", "market_data": "sim"},
    }
    async with running(tmp_path, venues=venues) as (runtime, _):
        assert ["live"] == [feed.health for feed in snapshot(runtime).feeds]
        await trio.sleep(30)
        assert runtime.prices is not None
        runtime.prices.views[ETH].streamed = False
        runtime.prices.views[ETH].polled_at = trio.current_time()
        (line,) = snapshot(runtime).feeds
        assert "polling" == line.health
        assert line.rest_polls > 0
        assert line.reconnects > 0
        runtime.prices.views[ETH].polled_at = None
        assert ["stale"] == [feed.health for feed in snapshot(runtime).feeds]


async def test_a_halt_is_shown_with_its_reason(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Trading can be halted without a stop."""
    async with running(tmp_path) as (runtime, _):
        assert runtime.trading is not None
        runtime.trading.orders.halt("by hand")
        model = snapshot(runtime)
        assert ("halted", "by hand") == (model.state, model.reason)


async def test_the_stop_as_it_proceeds(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Stage after stage goes from pending over running to its outcome, and never back."""
    order = ["pending", "running", "ok"]
    seen: dict[str, list[str]] = {stage.name: [] for stage in STAGES}
    took: list[float] = []

    def look(runtime: Runtime) -> ViewModel:
        model = snapshot(runtime)
        for stage in model.stages:
            if seen[stage.name][-1:] != [stage.outcome]:
                seen[stage.name].append(stage.outcome)
            if (stage.name, stage.outcome) == ("cancel", "running"):
                took.append(stage.took_secs)
        return model

    async def watch(runtime: Runtime) -> None:
        while runtime.report is None:
            model = look(runtime)
            assert model.state == ("stopping" if model.stages else "running")
            await trio.sleep(0.005)

    async with trio.open_nursery() as nursery, running(tmp_path) as (runtime, strategy):
        strategy.trader.limit(ETH, "buy", "0.25", "2000")
        await trio.sleep(1)
        nursery.start_soon(watch, runtime)
        await trio.sleep(0.1)
        runtime.request_stop("enough")
        await runtime.stopped()
    model = look(runtime)
    assert ("stopped", "enough") == (model.state, model.reason)
    assert ["ok"] * len(STAGES) == [stage.outcome for stage in model.stages]
    assert order == seen["protect"]
    assert all(outcomes == sorted(outcomes, key=order.index) for outcomes in seen.values())
    assert took == sorted(took)
    assert took[-1] > took[0] >= 0
