"""History before trading: a strategy is given its bars first, and they join without a gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from tests.support.market import ScriptedMarket
from tests.support.schedule import virtual
from tests.support.values import BTC, ETH
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import OrderRefused, VenueError
from trade_runtime.managers import warmup
from trade_runtime.managers.strategies import StrategyHost
from trade_runtime.managers.view import InstrumentView
from trade_runtime.model.bars import BarPlan
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar, Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.settings import Settings
from trade_runtime.settings.sections import StrategySettings

MINUTE = 60 * 10**9


def bar(instrument: InstrumentId, minute: int, close: float = 100.0, *, minutes: int = 1) -> Bar:
    return Bar(
        instrument, (minute + minutes) * MINUTE, minute * MINUTE, close, close, close, close, 1.0, 9
    )


class Historic(ScriptedMarket):
    """A market with minutes from before: those up to `ended`, unless a test says otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = 10
        self.asked: list[tuple[list[str], float, int]] = []
        self.failing: Iterator[object] = iter(())
        """One of it is used up by each question, which then fails."""
        self.silent = False
        self.minutes = 1
        """The length of the bars it has."""

    async def bars(
        self, symbols: Mapping[str, InstrumentId], length_secs: float, count: int
    ) -> Sequence[Bar]:
        await trio.lowlevel.checkpoint()
        self.asked.append((list(symbols), length_secs, count))
        if self.silent:
            await trio.sleep_forever()
        if next(self.failing, None) is not None:
            raise VenueError("scripted: no klines today")
        step = self.minutes
        first = max(self.ended - round(count * length_secs / 60), 0)
        return [
            bar(instrument, minute, 100.0 + minute, minutes=step)
            for instrument in symbols.values()
            for minute in range(first, self.ended - step + 1, step)
        ]


class WarmWorld(World):
    """A world in which the strategy `hand` asks for bars.

    Args:
        data_dir: where reports go.
        how: keys of its `[[strategies]]` table.
    """

    def __init__(self, data_dir: Path, **how: Any) -> None:
        super().__init__(data_dir)
        self.how: dict[str, Any] = {"warmup_bars": 3, **how}
        self.historic = Historic()
        self.market = self.historic

    def settings(self, sections: Mapping[str, Any]) -> Settings:
        mine = StrategySettings("hand", "unused.py:Unused", (ETH,), **self.how)
        return attrs.evolve(super().settings(sections), strategies=[mine])

    def trade_at(self, minute: float, price: float = 50.0) -> None:
        self.market.trade(price, ts_ns=round(minute * MINUTE))


class Barred(Hand):
    """Remembers its bars, and whether it was warming up when it was given each."""

    def __init__(self, instruments: tuple[str, ...] = (ETH,)) -> None:
        super().__init__("hand", instruments)
        self.bars: list[Bar] = []
        self.warming: list[bool] = []

    def on_bar(self, bar: Bar) -> None:
        self.bars.append(bar)
        self.warming.append(self.trader.warming_up)

    @property
    def minutes(self) -> list[int]:
        return [b.open_ns // MINUTE for b in self.bars]


@virtual
async def test_history_is_handed_on_before_the_market_flows(tmp_path: Path) -> None:
    """All of it while warming up; from then on the strategy may trade."""
    world, hand = WarmWorld(tmp_path), Barred()
    async with world.open(hand):
        assert [(["ETHUSDT"], 60.0, 3)] == world.historic.asked
        assert [bar(ETH, m, 100.0 + m) for m in (7, 8, 9)] == hand.bars
        assert [True, True, True] == hand.warming
        assert not hand.trader.warming_up
        assert hand.buy().is_live
    assert 0 == world.report.exit_code


@virtual
async def test_history_and_live_bars_join_without_a_gap_or_a_repeat(tmp_path: Path) -> None:
    """The stream begins within minute 11. The venue is asked for 10 and 11 when they have ended,
    and what the stream knows of 11 is thrown away: it is not all of it.
    """
    world, hand = WarmWorld(tmp_path), Barred()
    async with world.open(hand):
        for minute in (11.5, 11.9):
            world.trade_at(minute)
        await settle()
        assert [7, 8, 9] == hand.minutes
        world.historic.ended = 12
        for minute in (12.1, 13.0, 14.2):
            world.trade_at(minute)
        await settle()
        assert [7, 8, 9, 10, 11, 12, 13] == hand.minutes
        assert [110.0, 111.0, 50.0, 50.0] == [b.close for b in hand.bars[3:]]
        assert 2 == len(world.historic.asked)


@virtual
async def test_a_venue_that_has_the_last_bar_a_moment_later_is_asked_again(tmp_path: Path) -> None:
    """Live bars wait meanwhile."""
    world, hand = WarmWorld(tmp_path), Barred()
    async with world.open(hand):
        for minute in (10.5, 11.5, 12.5):
            world.trade_at(minute)
        await settle()
        assert [7, 8, 9] == hand.minutes
        world.historic.ended = 12
        await trio.sleep(warmup.FILL_RETRY_SECS)
        await settle()
        assert [7, 8, 9, 10, 11] == hand.minutes


@virtual
async def test_what_cannot_be_fetched_at_the_join_is_given_up_and_said(tmp_path: Path) -> None:
    """Better a gap that the log tells of than no bars at all."""
    world, hand = WarmWorld(tmp_path), Barred()
    with capture_logs() as logs:
        async with world.open(hand):
            world.historic.failing = iter(range(warmup.FILL_TRIES))
            for minute in (10.5, 11.5, 12.5):
                world.trade_at(minute)
            await until(lambda: len(hand.bars) == 4)
            assert [7, 8, 9, 11] == hand.minutes
    (line,) = [e for e in logs if e["event"] == "Bars between history and live data are missing"]
    assert (ETH, "scripted: no klines today") == (line["instrument"], line["reason"])


@pytest.mark.parametrize("why", ["no history", "an error", "no answer"])
@virtual
async def test_without_history_live_bars_warm_up(tmp_path: Path, why: str) -> None:
    """The log says so, orders are refused until the bars are there, and nothing else changes."""
    world, hand = WarmWorld(tmp_path), Barred()
    if why == "no history":
        world.market = ScriptedMarket()
    world.historic.failing = iter([1])
    world.historic.silent = why == "no answer"
    with capture_logs() as logs:
        async with world.open(hand):
            with pytest.raises(OrderRefused, match=f"of 3 bars .* given 0 of {ETH}") as refused:
                hand.buy()
            assert "warmup" == refused.value.reason
            for minute in (0.5, 1.5, 2.5):
                world.trade_at(minute)
            await settle()
            assert ([0, 1], True) == (hand.minutes, hand.trader.warming_up)
            world.trade_at(3.5)
            await settle()
            assert ([True] * 3, False) == (hand.warming, hand.trader.warming_up)
            assert hand.buy().is_live
    warned = [line["event"] for line in logs if line["log_level"] == "warning"]
    assert ["live data" in line for line in warned] == [True], warned


@virtual
async def test_a_history_that_is_too_short_leaves_the_rest_to_live_bars(tmp_path: Path) -> None:
    """A symbol that was listed today."""
    world, hand = WarmWorld(tmp_path), Barred()
    world.historic.ended = 2
    async with world.open(hand):
        assert ([0, 1], True) == (hand.minutes, hand.trader.warming_up)
        world.historic.ended = 3
        for minute in (2.5, 3.5):
            world.trade_at(minute)
        await settle()
        assert ([0, 1, 2], False) == (hand.minutes, hand.trader.warming_up)


@virtual
async def test_protection_and_closing_pass_while_it_warms_up(tmp_path: Path) -> None:
    """A position of an earlier run may be protected and closed; an entry may be cancelled."""
    world, before, after = WarmWorld(tmp_path, bar_trades=9), Barred(), Barred()
    world.how["warmup_bars"] = 0
    async with world.open(before, shutdown={"cancel_orders": False}):
        before.trader.market(ETH, "buy", "2")
        entry = before.buy()
        await until(lambda: len(world.resting()) == 2)
    world.how["warmup_bars"] = 1
    async with world.open(after):
        assert after.trader.warming_up
        for side in ("buy", "sell"):
            with pytest.raises(OrderRefused, match="warmup: "):
                after.trader.market(ETH, side, "1")
        assert after.stop("2").is_live
        assert after.trader.market(ETH, "sell", "1", reduce_only=True).is_live
        (left,) = [o for o in after.trader.open_orders() if o.id == entry.id]
        after.trader.cancel(left)
        await until(lambda: left.ended and after.quantity == 1)
    assert 0 == world.report.exit_code


@pytest.mark.parametrize("how", [{"bar_trades": 2}, {"bar_volume": 2.0}])
@virtual
async def test_bars_that_no_venue_keeps_warm_up_live(tmp_path: Path, how: dict[str, Any]) -> None:
    """Nothing is asked for."""
    world, hand = WarmWorld(tmp_path, **{**how, "warmup_bars": 2}), Barred()
    async with world.open(hand):
        for minute in range(4):
            world.trade_at(minute)
        await settle()
        assert ([True, True], False) == (hand.warming, hand.trader.warming_up)
    assert [] == world.historic.asked


@virtual
async def test_a_length_that_the_venue_lacks_is_put_together(tmp_path: Path) -> None:
    """Bars of five minutes out of a history of minutes; what does not fit is no history."""
    world, hand = WarmWorld(tmp_path, bar_secs=300.0, warmup_bars=2), Barred()
    async with world.open(hand):
        assert [0, 5] == hand.minutes
        assert [104.0, 109.0] == [b.close for b in hand.bars]
        assert not hand.trader.warming_up
    world, hand = WarmWorld(tmp_path, bar_secs=90.0, warmup_bars=2), Barred()
    with capture_logs() as logs:
        async with world.open(hand):
            assert [] == hand.minutes
    assert any("90 s is no multiple of the 60 s" in line.get("error", "") for line in logs)


@virtual
async def test_two_instruments_are_told_in_the_order_of_time(tmp_path: Path) -> None:
    """As they would be live; trading waits for both."""
    world, hand = WarmWorld(tmp_path), Barred((ETH, BTC))
    async with world.open(hand):
        assert [7, 7, 8, 8, 9, 9] == hand.minutes
        assert [ETH, BTC] * 3 == [b.instrument for b in hand.bars]
        assert ([True] * 6, False) == (hand.warming, hand.trader.warming_up)


@virtual
async def test_a_strategy_without_on_bar_warms_up_too(tmp_path: Path) -> None:
    """The key means what it says."""
    world, hand = WarmWorld(tmp_path), Hand("hand")
    world.market = ScriptedMarket()
    async with world.open(hand):
        assert hand.trader.warming_up
        for minute in range(4):
            world.trade_at(minute)
        await settle()
        assert not hand.trader.warming_up


@virtual
async def test_a_refusal_while_warming_up_fills_no_log(tmp_path: Path) -> None:
    """A strategy that would order at every bar is no news before it may."""

    class Eager(Barred):
        def on_bar(self, bar: Bar) -> None:
            super().on_bar(bar)
            self.buy()

    world, eager = WarmWorld(tmp_path), Eager()
    with capture_logs() as logs:
        async with world.open(eager):
            assert [7, 8, 9] == eager.minutes
    refused = [line for line in logs if line["event"] == "Order refused"]
    assert {("warmup", "debug")} == {(line["reason"], line["log_level"]) for line in refused}
    assert {"hand": "stopped"} == {s["name"]: s["outcome"] for s in world.report.strategies}


@virtual
async def test_history_that_a_strategy_fails_on_stops_it_alone(tmp_path: Path) -> None:
    """As any bar would."""

    class Wrong(Barred):
        def on_bar(self, bar: Bar) -> None:
            raise ValueError("oops")

    world, other = WarmWorld(tmp_path), Hand("other")
    async with world.open(Wrong(), other):
        assert other.buy().is_live
    assert {"hand": "failed", "other": "stopped"} == {
        s["name"]: s["outcome"] for s in world.report.strategies
    }


@virtual
async def test_a_stop_does_not_wait_for_history(tmp_path: Path) -> None:
    """Asked for at the start or at the join, a question under way is cancelled."""
    world = WarmWorld(tmp_path)
    world.historic.silent = True
    with capture_logs() as logs, trio.move_on_after(1):
        async with world.open(Barred()):
            raise AssertionError("it started without its history")
    (line,) = [line for line in logs if line["event"] == "Shutdown complete"]
    assert ("clean", True) == (line["outcome"], line["duration_secs"] < 1)
    world = WarmWorld(tmp_path)
    async with world.open(Barred()):
        world.historic.silent = True
        world.trade_at(10.5)
        world.trade_at(11.5)
        await settle()
        began = trio.current_time()
    assert (0, True) == (world.report.exit_code, trio.current_time() - began < 1)


class NoOrders:
    """Stands where an order manager would, for a host that places none."""

    def __init__(self) -> None:
        self.listeners: dict[str, object] = {}


def test_a_host_is_made_and_wired_without_a_loop() -> None:
    """A backtest does it so: no Trio runs here. Its bars may be made of quotes, or ready-made."""
    hand, view = Barred(), InstrumentView(ETH)
    plan = BarPlan("trades", 2, "quotes", warmup=1)
    host = StrategyHost(hand, NoOrders(), None, plan)  # type: ignore[arg-type]
    host.subscribe({ETH: view})
    for second in range(3):
        for tap in view.quote_taps:
            tap(Quote(ETH, second, 99.0, 101.0, 1.0, 1.0))
    assert [Bar(ETH, 1, 0, 100.0, 100.0, 100.0, 100.0, 0.0, 2)] == hand.bars
    assert ([True], False) == (hand.warming, hand.trader.warming_up)


def test_ready_made_bars_take_the_place_of_made_ones() -> None:
    """An instrument whose history has bars is told of those alone."""
    hand, view = Barred(), InstrumentView(ETH)
    host = StrategyHost(hand, NoOrders(), None)  # type: ignore[arg-type]
    host.subscribe({ETH: view}, ready_made=[ETH])
    for minute in range(3):
        for tap in view.trade_taps:
            tap(Trade(ETH, minute * MINUTE, 100.0, 1.0, Side.BUY, minute))
    host.bars.feed(ETH).on_bar(bar(ETH, 1))
    assert [1] == hand.minutes
