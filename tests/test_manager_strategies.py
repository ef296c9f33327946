"""Strategies: what one of them does wrong is its own affair."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.values import BTC, ETH
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import OrderUpdate
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.managers import readers
from trade_runtime.model.events import Fill
from trade_runtime.model.market import Bar, Quote, Trade
from trade_runtime.model.records import StrategyStopped


def outcomes(world: World) -> dict[str, str]:
    """How the report says each strategy ended."""
    return {s["name"]: s["outcome"] for s in world.report.strategies}


class Faulty(Hand):
    """Raises in one handler, once it is armed."""

    def __init__(self, handler: str = "", error: BaseException | None = None) -> None:
        super().__init__("faulty")
        self.handler = handler
        self.error = error or ValueError("oops")
        self.armed = False

    def _raise(self, handler: str) -> None:
        if self.armed and handler == self.handler:
            raise self.error

    def on_quote(self, quote: Quote) -> None:
        self._raise("on_quote")

    def on_trade(self, trade: Trade) -> None:
        self._raise("on_trade")

    def on_bar(self, bar: Bar) -> None:
        self._raise("on_bar")

    def on_book(self, book: OrderBook) -> None:
        self._raise("on_book")

    def on_order(self, event: OrderUpdate) -> None:
        super().on_order(event)
        self._raise("on_order")

    def on_fill(self, fill: Fill) -> None:
        super().on_fill(fill)
        self._raise("on_fill")

    def on_stale(self, instrument: str) -> None:
        self._raise("on_stale")


async def provoke(world: World, faulty: Faulty) -> None:
    """Make every handler be called."""
    faulty.armed = True
    world.market.quote(100.5)
    world.market.trade(100.5, ts_ns=1)
    world.market.trade(100.5, ts_ns=10**12)
    world.market.book(10_000, snapshot=True)
    await settle()
    if faulty.handler in ("on_order", "on_fill"):
        faulty.trader.market(ETH, "buy", "1")
    if faulty.handler == "on_stale":
        world.market.drop()
    await trio.sleep(0.5)


@pytest.mark.parametrize(
    "handler", ["on_quote", "on_trade", "on_bar", "on_book", "on_order", "on_fill", "on_stale"]
)
@virtual
async def test_a_handler_that_raises_stops_its_strategy_alone(tmp_path: Path, handler: str) -> None:
    """Its entries are cancelled, its position stays protected, the other one trades on."""
    world, other, faulty = World(tmp_path), Hand("other"), Faulty(handler)
    async with world.open(other, faulty) as runtime:
        faulty.trader.market(ETH, "buy", "1")
        await until(lambda: len(world.resting(protective=True)) == 1)
        entry, others = faulty.buy(), other.buy()
        await until(lambda: len(world.resting()) == 3)
        with capture_logs() as logs:
            await provoke(world, faulty)
        assert entry.ended
        assert [others.id] == world.resting(protective=False)
        assert 1 <= len(world.resting(protective=True))
        world.market.quote(100.6)
        await until(lambda: runtime.prices is not None and runtime.prices.is_fresh(ETH))
        with pytest.raises(OrderRefused, match="strategy faulty is stopped: ValueError: oops"):
            faulty.buy()
        assert other.buy("1", "89").is_live
        assert not runtime.stop_requested
    assert {"other": "stopped", "faulty": "failed"} == outcomes(world)
    assert (0, True) == (world.report.exit_code, world.report.positions[0]["protected"])
    (line,) = [line for line in logs if line["event"] == "Strategy failed; the others go on"]
    assert ("faulty", faulty.error) == (line["strategy"], line["exc_info"])
    assert [("failed", "ValueError: oops")] == [
        (e.outcome, e.detail) for e in world.journal() if isinstance(e, StrategyStopped)
    ]


@virtual
async def test_leaving_the_process_is_not_a_strategys_to_decide(tmp_path: Path) -> None:
    """`sys.exit` in a handler stops that strategy."""
    world, faulty = World(tmp_path), Faulty("on_quote", SystemExit(3))
    async with world.open(faulty) as runtime:
        await provoke(world, faulty)
        assert not runtime.stop_requested
    assert ({"faulty": "failed"}, 0) == (outcomes(world), world.report.exit_code)


@virtual
async def test_a_refused_order_ends_the_call_not_the_strategy(tmp_path: Path) -> None:
    """Limits are part of trading: an OrderRefused that was not caught is logged, no more."""

    class Bold(Hand):
        def on_quote(self, quote: Quote) -> None:
            self.buy("1", "0.001")

    world, bold = World(tmp_path), Bold()
    with capture_logs() as logs:
        async with world.open(bold):
            world.market.quote(101.0)
            await settle()
            assert bold.buy("1", "90").is_live
    assert {"hand": "stopped"} == outcomes(world)
    refused = [line for line in logs if line["event"] == "Order refused"]
    assert ["tick", "tick"] == [line["reason"] for line in refused]


class TestOnStart:
    """Before the market flows."""

    @pytest.mark.parametrize("style", ["plain", "async"])
    @virtual
    async def test_it_is_called_before_any_data(self, tmp_path: Path, style: str) -> None:
        """In either style; what it prepares is there for the first quote."""
        seen: list[str] = []

        class Plain(Hand):
            def on_start(self) -> None:
                seen.append("start")

            def on_quote(self, quote: Quote) -> None:
                seen.append("quote")

        class Async(Plain):
            async def on_start(self) -> None:  # type: ignore[override]
                await trio.sleep(1)
                seen.append("start")

        world = World(tmp_path)
        world.market.quote(100.0)
        async with world.open(Plain() if style == "plain" else Async(), quote=False):
            await settle()
        assert ["start", "quote"] == seen

    @virtual
    async def test_one_that_fails_stops_that_strategy_alone(self, tmp_path: Path) -> None:
        """The others start, and nothing more is called of the one."""
        seen: list[str] = []

        class Broken(Hand):
            def on_start(self) -> None:
                raise ValueError("no file")

            def on_quote(self, quote: Quote) -> None:
                seen.append("quote")

            async def run(self) -> None:
                seen.append("run")

        world, other = World(tmp_path), Hand("other")
        async with world.open(Broken("broken"), other):
            assert other.buy().is_live
            await settle()
        assert ({"broken": "failed", "other": "stopped"}, []) == (outcomes(world), seen)


class TestOnStop:
    """Saying goodbye, in the time of the stage."""

    @virtual
    async def test_one_that_raises_is_failed_and_nothing_else(self, tmp_path: Path) -> None:
        """Its stage says so; the exit code does not: no order hangs on it."""

        class Broken(Hand):
            def on_stop(self, reason: str) -> None:
                raise ValueError("no goodbye")

        world, other = World(tmp_path), Hand("other")
        async with world.open(Broken("broken"), other):
            other.buy()
            await until(world.resting)
        assert {"broken": "failed", "other": "stopped"} == outcomes(world)
        assert (0, "failed", "ok", []) == (
            world.report.exit_code,
            world.stages["halt"],
            world.stages["cancel"],
            world.resting(),
        )

    @virtual
    async def test_one_that_sleeps_for_ever_is_cut(self, tmp_path: Path) -> None:
        """The others say goodbye in full, and the stop stays within its budget."""

        class Sleepy(Hand):
            async def on_stop(self, reason: str) -> None:  # type: ignore[override]
                await trio.sleep_forever()

        class Polite(Hand):
            async def on_stop(self, reason: str) -> None:  # type: ignore[override]
                await trio.sleep(0.3)
                self.stopped.append(reason)

        world, polite = World(tmp_path), Polite("polite")
        async with world.open(Sleepy("sleepy"), polite):
            polite.buy()
            await until(world.resting)
        assert {"sleepy": "timed_out", "polite": "stopped"} == outcomes(world)
        assert ["the block was left or cancelled"] == polite.stopped
        assert (0, "timed_out") == (world.report.exit_code, world.stages["halt"])
        assert world.report.duration_secs < 5
        assert [] == world.resting()

    @virtual
    async def test_one_that_fails_while_it_is_cut(self, tmp_path: Path) -> None:
        """A nursery of its own raises a cancellation and an error in one: its own affair."""

        class Messy(Hand):
            async def on_stop(self, reason: str) -> None:  # type: ignore[override]
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fail_at_the_end)
                    await trio.sleep_forever()

        world = World(tmp_path)
        async with world.open(Messy("messy"), Hand("other")):
            pass
        assert "stopped" == outcomes(world)["other"]
        assert outcomes(world)["messy"] in ("failed", "timed_out")
        assert (0, "ok") == (world.report.exit_code, world.stages["verify"])


async def fail_at_the_end() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("could not tidy up")


class TestRun:
    """A strategy with a task of its own."""

    @virtual
    async def test_its_error_stops_it_alone(self, tmp_path: Path) -> None:
        """As an error in a handler does."""

        class Broken(Hand):
            async def run(self) -> None:
                await trio.sleep(1)
                raise ValueError("oops")

        world, broken = World(tmp_path), Broken()
        async with world.open(broken) as runtime:
            entry = broken.buy()
            await trio.sleep(2)
            assert "cancelled" == entry.state
            assert not runtime.stop_requested
        assert ({"hand": "failed"}, 0) == (outcomes(world), world.report.exit_code)

    @virtual
    async def test_sys_exit_in_a_nursery_of_its_own_stops_it_alone(self, tmp_path: Path) -> None:
        """It comes in a group, and is the strategy's own all the same."""

        class Leaving(Hand):
            async def run(self) -> None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    await trio.sleep(1)
                    sys.exit(3)

        world = World(tmp_path)
        async with world.open(Leaving()) as runtime:
            await trio.sleep(2)
            assert not runtime.stop_requested
        assert ({"hand": "failed"}, 0) == (outcomes(world), world.report.exit_code)

    @virtual
    async def test_an_error_while_it_is_cancelled_is_its_own_affair(self, tmp_path: Path) -> None:
        """Its task fails in its clean-up, during the stop: said in the report, stopped clean."""

        class Messy(Hand):
            async def run(self) -> None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fail_at_the_end)
                    nursery.start_soon(trio.sleep_forever)

        world = World(tmp_path)
        async with world.open(Messy()):
            pass
        assert ({"hand": "failed"}, 0) == (outcomes(world), world.report.exit_code)
        assert {"ok"} == set(world.stages.values())

    @virtual
    async def test_one_that_ends_by_itself_is_no_failure(self, tmp_path: Path) -> None:
        """Its handlers go on."""

        class Short(Hand):
            async def run(self) -> None:
                await trio.lowlevel.checkpoint()

        world, short = World(tmp_path), Short()
        async with world.open(short):
            await trio.sleep(1)
            assert short.buy().is_live
        assert {"hand": "stopped"} == outcomes(world)

    @virtual
    async def test_one_that_refuses_to_end_keeps_nothing_from_stopping(
        self, tmp_path: Path
    ) -> None:
        """Shielded for 20 s: every layer below has closed long before it ends."""
        world = World(tmp_path)
        closed: list[float] = []

        class Stubborn(Hand):
            async def run(self) -> None:
                with trio.CancelScope(shield=True):
                    await trio.sleep(20)
                closed.append(world.market.open_sessions)

        async with world.open(Stubborn()):
            await trio.sleep(1)
        assert [0] == closed
        assert ("timed_out", "ok", "ok", "ok") == tuple(
            world.stages[name] for name in ("halt", "cancel", "close", "verify")
        )

    @virtual
    async def test_a_slow_reader_sees_the_newest_quote(self, tmp_path: Path) -> None:
        """Quotes that came while it was busy are gone, not queued."""
        seen: list[float] = []

        class Slow(Hand):
            async def run(self) -> None:
                async for quote in self.trader.quotes(ETH):
                    seen.append(quote.bid)
                    await trio.sleep(1)

        world = World(tmp_path)
        async with world.open(Slow()):
            await trio.sleep(0.5)
            for bid in (101.0, 102.0, 103.0):
                world.market.quote(bid)
            await trio.sleep(3)
        assert [100.0, 103.0] == seen

    @virtual
    async def test_a_slow_reader_loses_no_order_event(self, tmp_path: Path) -> None:
        """Every event of every order, in order, however late it is read."""
        seen: list[str] = []

        class Slow(Hand):
            async def run(self) -> None:
                async for event in self.trader.order_events():
                    seen.append(f"{event.order.id.rpartition('-')[2]} {event.kind}")
                    await trio.sleep(0.5)

        world, slow = World(tmp_path), Slow()
        async with world.open(slow):
            await settle()
            for _ in range(3):
                slow.trader.cancel(slow.buy())
                slow.trader.market(ETH, "buy", "1")
                await trio.sleep(0.2)
            told = list(slow.told)
            await trio.sleep(30)
        assert len(told) >= 9
        assert told == seen[: len(told)]

    @virtual
    async def test_a_reader_that_stops_reading_fails_its_strategy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Events are never dropped, so the queue has a bound, and reaching it is a failure."""
        monkeypatch.setattr(readers, "MAX_ORDER_EVENTS", 3)

        class Stuck(Hand):
            async def run(self) -> None:
                async for _ in self.trader.order_events():
                    await trio.sleep_forever()

        world, stuck = World(tmp_path), Stuck()
        async with world.open(stuck) as runtime:
            await settle()
            for _ in range(5):
                stuck.buy()
                await trio.sleep(0.1)
            await trio.sleep(0.2)
            assert [] == world.resting()
            assert not runtime.stop_requested
        assert {"hand": "failed"} == outcomes(world)
        assert "3 order events wait to be read" in world.report.strategies[0]["detail"]

    @virtual
    async def test_a_reader_that_was_left_is_not_served_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Waiting for one event at a time makes a reader each time: the old ones cost nothing."""
        monkeypatch.setattr(readers, "MAX_ORDER_EVENTS", 5)

        class Waiting(Hand):
            async def run(self) -> None:
                while True:
                    async for _ in self.trader.order_events():
                        break

        world, waiting = World(tmp_path), Waiting()
        async with world.open(waiting):
            await settle()
            for _ in range(10):
                waiting.buy("0.1", "90")
                await trio.sleep(0.1)
            assert len(waiting.trader.order_readers) <= 2
        assert {"hand": "stopped"} == outcomes(world)


class TestTrader:
    """What a strategy sees and may do."""

    @virtual
    async def test_only_its_own(self, tmp_path: Path) -> None:
        """Its own instruments, orders and positions."""
        world, one, two = World(tmp_path), Hand("one"), Hand("two", (BTC,))
        async with world.open(one, two):
            world.market.quote(100.0, symbol="BTCUSDT")
            await settle()
            order = one.buy()
            two.trader.limit(BTC, "buy", "1", "90")
            one.trader.market(ETH, "buy", "1")
            await trio.sleep(0.5)
            assert order in one.trader.open_orders()
            assert {"one"} == {o.strategy for o in one.trader.open_orders()}
            assert [] == one.trader.open_orders(BTC)
            assert 0 == two.trader.position(ETH).quantity
            with pytest.raises(OrderRefused, match=r"'BTCUSDT.*' is not one of this strategy"):
                one.trader.limit(BTC, "buy", "1", "90")
            with pytest.raises(OrderRefused, match=r"'DOGE.*' is not traded here"):
                one.trader.instrument("DOGE.paper")

    @virtual
    async def test_cancel_all_leaves_stops_alone(self, tmp_path: Path) -> None:
        """Only entries, only of the instrument that is named."""
        world, hand = World(tmp_path), Hand(instruments=(ETH, BTC))
        async with world.open(hand):
            world.market.quote(100.0, symbol="BTCUSDT")
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: len(hand.fills) == 1)
            stop, entry = hand.stop(), hand.buy()
            elsewhere = hand.trader.limit(BTC, "buy", "1", "90")
            await until(lambda: len(world.resting()) == 3)
            hand.trader.cancel_all(ETH)
            await trio.sleep(0.1)
            assert [stop.id, elsewhere.id] == world.resting()
            assert "cancelled" == entry.state
            hand.trader.cancel_all()
            await trio.sleep(0.1)
            assert [stop.id] == world.resting()

    @virtual
    async def test_what_it_knows_of_the_market(self, tmp_path: Path) -> None:
        """The last quote and the book while they are worth something, else None."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, quote=False):
            assert (None, None) == (hand.trader.quote(ETH), hand.trader.book(ETH))
            world.market.quote(100.0)
            world.market.book(5, snapshot=True)
            await settle()
            quote, book = hand.trader.quote(ETH), hand.trader.book(ETH)
            assert quote is not None
            assert (100.0, 100.05) == (quote.bid, quote.mid)
            assert book is not None
            assert 5 == book.update_id
            world.market.lose_book()
            await settle()
            assert hand.trader.book(ETH) is None
            world.market.drop()
            await settle()
            assert hand.trader.quote(ETH) is None

    @virtual
    async def test_time_is_virtual_under_a_virtual_clock(self, tmp_path: Path) -> None:
        """A second of sleep is a second of its day."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            before = hand.trader.now_ns()
            await trio.sleep(1)
            assert 10**9 == hand.trader.now_ns() - before

    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            ({"price": float("nan")}, "risk"),
            ({"price": 0.1 + 0.2}, "tick"),
            ({"price": "abc"}, "risk"),
            ({"quantity": 1e-9}, "lot"),
            ({"side": "hold"}, "risk"),
            ({"tif": "day"}, "risk"),
        ],
    )
    @virtual
    async def test_senseless_orders_are_refused(
        self, tmp_path: Path, how: dict[str, Any], reason: str
    ) -> None:
        """Whatever is passed for a number or a word: refused with a reason, nothing recorded."""
        world, hand = World(tmp_path), Hand()
        asked: dict[str, Any] = {"side": "buy", "quantity": "1", "price": "90", **how}
        async with world.open(hand):
            with pytest.raises(OrderRefused) as refused:
                hand.trader.limit(ETH, **asked)
            assert reason == refused.value.reason
        assert [] == world.intents()

    @virtual
    async def test_a_float_is_taken_by_its_shortest_text(self, tmp_path: Path) -> None:
        """What a quote carries can be traded at as it is."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            order = hand.trader.limit(ETH, "buy", 0.1, 99.37, post_only=True)
            assert ("0.1", "99.37") == (str(order.quantity), str(order.price))


@virtual
async def test_one_that_the_configuration_no_longer_names(tmp_path: Path) -> None:
    """Removed between two runs: its entries are cancelled, its position stays protected."""
    world, gone, stays = World(tmp_path), Hand("gone"), Hand("stays")
    async with world.open(gone, stays, shutdown={"cancel_orders": False}):
        gone.trader.market(ETH, "buy", "1")
        await until(lambda: len(world.resting(protective=True)) == 1)
        gone.buy()
        kept = stays.buy()
        await until(lambda: len(world.resting()) == 3)
    again = Hand("stays")
    async with world.open(again):
        await trio.sleep(0.5)
        assert [kept.id] == world.resting(protective=False)
        assert [kept.id] == [order.id for order in again.trader.open_orders()]
        assert 1 == len(world.resting(protective=True))
    (position,) = world.report.positions
    assert ("gone", True) == (position["strategy"], position["protected"])
