"""Risk that acts: a breaker trips, entries go, stops stay, and it lasts until somebody resumes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.values import BTC, ETH
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import ConfigError, OrderRefused
from trade_runtime.model.market import Quote
from trade_runtime.model.records import LatchCleared, LatchSet, TradingMode

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}
LOSS: dict[str, Any] = {"max_daily_loss": {"USDT": "10"}}


async def hold(hand: Hand, quantity: str = "1") -> None:
    """Be long, with a stop at 80 and a bid at 70."""
    hand.trader.market(ETH, "buy", quantity)
    await until(lambda: hand.quantity == Decimal(quantity))
    hand.stop(quantity, "80")
    hand.buy("1", "70")
    hand.sell(quantity, "150")
    await until(lambda: all(o.state == "open" for o in hand.trader.open_orders()))


def latches(world: World) -> list[Any]:
    return [e for e in world.journal() if isinstance(e, LatchSet | LatchCleared)]


class TestTripped:
    """What a breach does."""

    @virtual
    async def test_a_loss_on_quotes_alone_halts(self, tmp_path: Path) -> None:
        """Entries are cancelled at the venue, the stop rests, the journal and the report say why;
        the stop is clean.
        """
        world, hand = World(tmp_path), Hand()
        with capture_logs() as logs:
            async with world.open(hand, risk=LOSS, prices=QUIET):
                await hold(hand)
                world.market.quote(90.1)
                await settle()
                assert 3 == len(world.resting())
                world.market.quote(90.0)
                await until(lambda: not world.resting(protective=False))
                assert 1 == len(world.resting(protective=True))
                with pytest.raises(OrderRefused, match="halted: trading is halted: lost 10"):
                    hand.buy()
                (latch,) = latches(world)
                assert (TradingMode.HALTED, "risk") == (latch.mode, latch.by)
        (line,) = [line for line in logs if line["event"].startswith("Trading is restricted")]
        assert "error" == line["log_level"]
        assert "python -m trade_runtime resume CONFIG" in line["mend"]
        assert "max_daily_loss 10" in line["reason"]
        assert (0, "clean") == (world.report.exit_code, world.report.outcome)
        assert world.report.latch == {"mode": "halted", "reason": latch.reason, "by": "risk"}

    @virtual
    async def test_the_strategy_that_sees_the_quote_is_halted_before_it_sees_it(
        self, tmp_path: Path
    ) -> None:
        """It cannot answer the quote that tripped the breaker with one more order."""

        class Stubborn(Hand):
            refused = ""

            def on_quote(self, quote: Quote) -> None:
                if quote.bid == 80.5:
                    try:
                        self.buy()
                    except OrderRefused as refused:
                        self.refused = refused.reason

        world, hand = World(tmp_path), Stubborn()
        async with world.open(hand, risk=LOSS, prices=QUIET):
            await hold(hand)
            world.market.quote(80.5)
            await settle()
            assert "halted" == hand.refused

    @virtual
    async def test_reduce_only_keeps_what_closes(self, tmp_path: Path) -> None:
        """The bid goes, the take-profit rests; closing is let out. When the position is gone by
        another way, the take-profit would open a short one, and goes too.
        """
        world, hand = World(tmp_path), Hand()
        risk = {**LOSS, "breaker_action": "reduce_only"}
        async with world.open(hand, risk=risk, prices=QUIET):
            await hold(hand)
            world.market.quote(89.0)
            await until(lambda: len(world.resting(protective=False)) == 1)
            (left,) = [o for o in hand.trader.open_orders() if not o.spec.protective]
            assert Decimal(150) == left.price
            with pytest.raises(OrderRefused, match="reduce_only: an order may only make"):
                hand.buy()
            world.market.quote(79.0)  # the stop fires
            await until(lambda: hand.quantity == 0)
            await until(lambda: not world.resting())

    @virtual
    async def test_a_streak_of_losses(self, tmp_path: Path) -> None:
        """The second round trip that lost halts."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, risk={"max_loss_streak": 2}, prices=QUIET):
            for _ in range(2):
                hand.trader.market(ETH, "buy", "1")
                await until(lambda: hand.quantity == 1)
                hand.trader.market(ETH, "sell", "1")
                await until(lambda: hand.quantity == 0)
            with pytest.raises(OrderRefused, match="2 round trips in a row lost"):
                hand.buy()

    @virtual
    async def test_a_storm_of_rejects(self, tmp_path: Path) -> None:
        """What the venue does not want is not sent for ever."""
        world, hand = World(tmp_path), Hand()
        no = {"kind": "reject", "on": "submit", "after_secs": 0.0, "for_secs": 1_000.0}
        risk = {"max_rejects": 3, "rejects_window_secs": 30.0}
        async with world.open(hand, risk=risk, prices=QUIET, paper={"faults": [no]}):
            for price in ("90", "91", "92"):
                hand.buy("1", price)
                await trio.sleep(1)
            with pytest.raises(OrderRefused, match="venues rejected 3 orders within 30 s"):
                hand.buy()

    @virtual
    async def test_a_limit_in_a_currency_that_is_not_there(self, tmp_path: Path) -> None:
        """It would never act: the start is refused."""
        world = World(tmp_path)
        with pytest.raises(ConfigError, match=r"risk.max_daily_loss: .* quoted in 'USD'; .*USDT"):
            async with world.open(Hand(), risk={"max_daily_loss": {"USD": "10"}}):
                pass


class TestTheLatchLasts:
    """Over restarts, until somebody resumes."""

    @virtual
    async def test_a_restart_stays_halted(self, tmp_path: Path) -> None:
        """Data flow, stops are guarded, nothing is sent; said in the log and the report; exit 0."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, risk=LOSS, prices=QUIET):
            await hold(hand)
            world.market.quote(85.0)
            await settle()
        submitted = world.history("submit")

        class Eager(Hand):
            async def run(self) -> None:
                self.buy()

        again = Eager()
        with capture_logs() as logs:
            async with world.open(again, risk=LOSS, prices=QUIET):
                world.market.quote(100.0)
                await trio.sleep(5)
                assert again.trader.quote(ETH) is not None
                assert 1 == len(world.resting(protective=True))
        assert submitted == world.history("submit")
        (line,) = [line for line in logs if line["event"] == "Trading is still restricted"]
        assert "resume CONFIG" in line["mend"]
        assert (0, "clean") == (world.report.exit_code, world.report.outcome)
        assert world.report.latch is not None
        assert "halted" == world.report.latch["mode"]
        assert ["stopped"] == [one["outcome"] for one in world.report.strategies]

    @virtual
    async def test_entries_that_a_dead_process_left_are_cancelled(self, tmp_path: Path) -> None:
        """The latch was written, and the process died before it sent the cancels."""
        world, hand = World(tmp_path), Hand()
        stays = {"cancel_orders": False}
        async with world.open(hand, prices=QUIET, shutdown=stays) as runtime:
            await hold(hand)
            assert runtime.state is not None
            runtime.state.record(LatchSet(TradingMode.HALTED, "died", "risk"), urgent=True)
        assert 2 == len(world.resting(protective=False))
        async with world.open(Hand(), prices=QUIET, shutdown=stays):
            await until(lambda: not world.resting(protective=False))
        assert 1 == len(world.resting(protective=True))

    @virtual
    async def test_an_operator_halts_and_resumes_in_place(self, tmp_path: Path) -> None:
        """Losses count from the resume; the report no longer knows a latch."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, risk=LOSS, prices=QUIET) as runtime:
            await hold(hand)
            world.market.quote(85.0)
            await settle()
            runtime.halt("also by hand")  # no stricter than what holds
            runtime.resume("looked at it")
            hand.buy()
            world.market.quote(81.0)
            await settle()
            hand.buy("1", "65")
            assert [LatchSet, LatchCleared] == [type(e) for e in latches(world)]
            assert LatchCleared("operator", "looked at it") == latches(world)[1]
            runtime.resume("twice")
            await settle()
            assert 2 == len(latches(world))
        assert world.report.latch is None

    @virtual
    async def test_a_strategy_halts_everybody(self, tmp_path: Path) -> None:
        """From reduce-only to halted, and never back by itself."""
        world, hand, other = World(tmp_path), Hand(), Hand("other")
        async with world.open(hand, other, prices=QUIET):
            hand.trader.reduce_only("strange market")
            with pytest.raises(OrderRefused, match=r"reduce_only: .*strange market"):
                other.buy()
            hand.trader.halt("stranger still")
            hand.trader.reduce_only("changes nothing")
            with pytest.raises(OrderRefused, match=r"halted: .*stranger still"):
                other.buy()
            await settle()
            assert ["strategy hand"] * 2 == [e.by for e in latches(world)]


class TestTheGateInTheRuntime:
    """Limits whose facts come from the layers around the gate."""

    @virtual
    async def test_the_age_of_a_quote(self, tmp_path: Path) -> None:
        """Since it came, by trio's clock; a handler that answers a quote has a fresh one."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, risk={"max_quote_age_secs": 2.0}, prices=QUIET):
            hand.buy("1", "90")
            await trio.sleep(3)
            with pytest.raises(OrderRefused, match=r"stale: .* is 3.000 s old"):
                hand.buy("1", "91")
            world.market.quote(100.0)
            await settle()
            hand.buy("1", "91")

    @virtual
    async def test_exposure_over_two_instruments(self, tmp_path: Path) -> None:
        """The order of one instrument is refused for what is held of the other."""
        world, hand = World(tmp_path), Hand(instruments=(ETH, BTC))
        async with world.open(hand, risk={"max_exposure": {"USDT": "250"}}, prices=QUIET):
            world.market.quote(100.0, symbol="BTCUSDT")
            await settle()
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity == 1)
            hand.trader.limit(BTC, "buy", "1", "90")
            with pytest.raises(OrderRefused, match=r"exposure in USDT could reach 300\.3"):
                hand.trader.limit(BTC, "buy", "1", "90")

    @virtual
    async def test_cancels_take_their_part_of_the_pace(self, tmp_path: Path) -> None:
        """Two orders and a cancel in a second: the fourth waits, and a further cancel does not."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, risk={"max_orders_per_sec": 3}, prices=QUIET):
            first, second = hand.buy("1", "90"), hand.buy("1", "91")
            hand.trader.cancel(first)
            with pytest.raises(OrderRefused, match="max_orders_per_sec 3"):
                hand.buy("1", "92")
            hand.trader.cancel(second)
            await trio.sleep(1)
            hand.buy("1", "92")
