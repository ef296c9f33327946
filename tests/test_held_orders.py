"""Orders that hang together, and orders that the runtime holds in the venue's place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.managers.order_calls import Bracket
from trade_runtime.protocols import Capabilities
from trade_runtime.venues.paper import PaperVenue

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}
ONE = Decimal(1)
LEFT: dict[str, Any] = {"cancel_orders": False}
"""A stop that leaves entries where they are, as a crash would."""

NO_GROUPS: dict[str, Any] = {"oco": False}
NO_CHANGES: dict[str, Any] = {"oco": False, "amend": False}
PLAIN: dict[str, Any] = {"order_types": ["market", "limit"]}
"""A venue that holds nothing that waits for a trigger."""


def resting(world: World) -> dict[str, Decimal]:
    """What rests at the venue, by its own record: how much of each order is left."""
    rows = [world.record.orders[order_id] for order_id in world.resting()]
    return {row.client_order_id: row.quantity - row.filled for row in rows}


async def said(world: World, bid: float, ask: float | None = None, size: float = 100.0) -> None:
    """A quote, and time for all that follows from it."""
    world.market.quote(bid, ask, size=size)
    await trio.sleep(0.2)


async def entered(hand: Hand, quantity: str = "1") -> Bracket:
    """A bracket that rests below the market: in at 99.50, out at 97 or at 103."""
    made = hand.trader.bracket(ETH, "buy", quantity, price="99.50", stop="97", target="103")
    await trio.sleep(0.1)
    return made


def exits(made: Bracket) -> tuple[Order, Order]:
    assert made.target is not None
    return made.stop, made.target


class TestBrackets:
    """An entry, a stop-loss and a target."""

    @virtual
    async def test_exits_wait_for_the_entry(self, tmp_path: Path) -> None:
        """Before it fills they are held here: the venue knows the entry alone."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            made = await entered(hand)
            assert [OrderState.HELD] * 2 == [order.state for order in exits(made)]
            assert {made.entry.id: ONE} == resting(world)

    @virtual
    @pytest.mark.parametrize("venue", [{}, NO_GROUPS], ids=["groups", "no groups"])
    async def test_the_stop_follows_each_partial_fill(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """0.4, then 0.7, then all: the stop and the target rest for just as much, each time."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=venue):
            made = await entered(hand)
            stop, target = exits(made)
            for size, held in ((0.4, "0.4"), (0.3, "0.7"), (5.0, "1.0")):
                await said(world, 99.3, 99.4, size=size)
                assert Decimal(held) == hand.quantity
                assert {stop.id: hand.quantity, target.id: hand.quantity} == {
                    order_id: left
                    for order_id, left in resting(world).items()
                    if order_id != made.entry.id
                }

    @virtual
    async def test_a_venue_that_cannot_amend(self, tmp_path: Path) -> None:
        """The stop rests for the first part at once; the guard covers what fills later. The target
        waits for the whole of the entry, or its end.
        """
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=NO_CHANGES):
            made = await entered(hand)
            stop, target = exits(made)
            await said(world, 99.3, 99.4, size=0.4)
            assert (OrderState.OPEN, OrderState.HELD) == (stop.state, target.state)
            assert Decimal("0.4") == resting(world)[stop.id]
            await said(world, 99.3, 99.4, size=0.3)
            await trio.sleep(2)
            covered = sum(resting(world)[one] for one in world.resting(protective=True))
            assert Decimal("0.7") == hand.quantity == covered
            hand.trader.cancel(made.entry)
            await trio.sleep(0.2)
            assert Decimal("0.7") == resting(world)[target.id]

    @virtual
    async def test_a_venue_that_amends_limit_orders_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The target follows each part; of the stop nothing is asked that would be refused."""
        holds = Capabilities(oco=False, amend_waiting=False)
        monkeypatch.setattr(PaperVenue, "capabilities", property(lambda _: holds))
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper={"oco": False}):
            made = await entered(hand)
            stop, target = exits(made)
            await said(world, 99.3, 99.4, size=0.4)
            await said(world, 99.3, 99.4, size=0.3)
            await trio.sleep(2)
            assert Decimal("0.7") == resting(world)[target.id]
            assert Decimal("0.4") == resting(world)[stop.id]
            covered = sum(resting(world)[one] for one in world.resting(protective=True))
            assert Decimal("0.7") == hand.quantity == covered
            with pytest.raises(OrderRefused, match="cannot amend"):
                hand.trader.amend(stop, trigger_price=98)

    @virtual
    @pytest.mark.parametrize(
        "venue", [{}, NO_GROUPS, NO_CHANGES], ids=["groups", "no groups", "no amends"]
    )
    async def test_the_target_takes_the_place_of_the_stop(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """When the target has filled no stop is left, whoever saw to it, and no position."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=venue):
            await entered(hand)
            await said(world, 99.3, 99.4)
            assert ONE == hand.quantity
            await said(world, 103.2)
            assert 0 == hand.quantity
            assert {} == resting(world)

    @virtual
    @pytest.mark.parametrize("venue", [{}, NO_GROUPS], ids=["groups", "no groups"])
    async def test_a_part_of_the_target_makes_the_stop_smaller(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """By what it filled: what is still held stays protected, and no more than that."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=venue):
            made = await entered(hand)
            stop, target = exits(made)
            await said(world, 99.3, 99.4)
            await said(world, 103.2, size=0.4)
            assert Decimal("0.6") == hand.quantity
            assert {stop.id: hand.quantity, target.id: hand.quantity} == resting(world)

    @virtual
    @pytest.mark.parametrize(
        "venue", [{}, NO_GROUPS, NO_CHANGES], ids=["groups", "no groups", "no amends"]
    )
    async def test_the_stop_takes_the_place_of_the_target(
        self, tmp_path: Path, venue: dict[str, Any]
    ) -> None:
        """When the stop has filled no target is left."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=venue):
            await entered(hand)
            await said(world, 99.3, 99.4)
            await said(world, 96.8)
            assert 0 == hand.quantity
            assert {} == resting(world)

    @virtual
    async def test_an_entry_that_ends_unfilled_takes_its_exits_with_it(
        self, tmp_path: Path
    ) -> None:
        """They are dropped: nothing of them ever reaches the venue."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            made = await entered(hand)
            hand.trader.cancel(made.entry)
            await trio.sleep(0.2)
            assert [OrderState.DROPPED] * 2 == [order.state for order in exits(made)]
            assert {} == resting(world)
        assert [made.entry.id] == world.history("submit")

    @virtual
    async def test_exits_that_are_refused_take_the_entry_with_them(self, tmp_path: Path) -> None:
        """A bracket is taken whole, or nothing of it leaves."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            with pytest.raises(OrderRefused, match="tick"):
                hand.trader.bracket(ETH, "buy", "1", stop="97.001")
            await trio.sleep(0.2)
            assert [] == world.history("submit")
            assert [] == hand.trader.open_orders()

    @virtual
    async def test_an_ordered_stop_leaves_the_stop_loss_alone(self, tmp_path: Path) -> None:
        """The target is an entry order to a stop and goes; the stop-loss stays for what is open."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            made = await entered(hand)
            await said(world, 99.3, 99.4)
        assert 0 == world.report.exit_code
        assert [made.stop.id] == world.resting()
        assert [True] == [position["protected"] for position in world.report.positions]


class TestTrailing:
    """A stop-loss that follows the market."""

    @virtual
    async def test_it_follows_and_never_goes_back(self, tmp_path: Path) -> None:
        """Two behind the bid: up with it to 103, and there it waits while the bid falls."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity)
            stop = hand.trader.stop_loss(ETH, "sell", "1", trail="2")
            await trio.sleep(0.1)
            for bid, trigger in ((100.0, 98), (105.0, 103), (103.5, 103)):
                await said(world, bid)
                row = world.record.orders[stop.id]
                assert Decimal(trigger) == row.trigger_price
            await said(world, 102.9)
            assert 0 == hand.quantity

    @virtual
    async def test_in_the_venues_place_it_follows_just_so(self, tmp_path: Path) -> None:
        """Where the venue does not know the type, the runtime watches it, and sells the same."""
        world, hand = World(tmp_path), Hand()
        async with world.open(
            hand, prices=QUIET, paper={"order_types": ["market", "limit", "stop_market"]}
        ):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity)
            stop = hand.trader.stop_loss(ETH, "sell", "1", trail="2")
            for bid in (105.0, 103.5):
                await said(world, bid)
                assert OrderState.HELD is stop.state
            await said(world, 102.9)
            assert 0 == hand.quantity
            assert stop.state == "filled"

    @virtual
    async def test_in_the_venues_place_it_has_the_stop_of_the_guard_make_way(
        self, tmp_path: Path
    ) -> None:
        """The guard's stop, which rests meanwhile, locks all that a spot account has: it goes
        first, and what the strategy asked for sells.
        """
        world, hand = World(tmp_path), Hand()
        venue = {
            "order_types": ["market", "limit", "stop_market"],
            "balances": {"USDT": "1000", "ETH": "0"},
        }
        async with world.open(hand, prices=QUIET, paper=venue):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity)
            hand.trader.stop_loss(ETH, "sell", "1", trail="2")
            await trio.sleep(3)
            assert 1 == len(world.resting(protective=True))
            for bid in (105.0, 102.9, 102.8):
                await said(world, bid)
            assert 0 == hand.quantity
            assert {} == resting(world)


class TestInTheVenuesPlace:
    """Types that the venue cannot hold: the runtime waits for their triggers."""

    @virtual
    async def test_it_says_so(self, tmp_path: Path) -> None:
        """At once, as a warning, and in the order itself."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN):
            with capture_logs() as logs:
                order = hand.trader.stop(ETH, "buy", "1", "101")
            assert order.spec.emulated
            assert any("only as long as it runs" in line["event"] for line in logs)
            await said(world, 100.5)
            assert [] == world.history("submit")
            await said(world, 101.0)
            assert ONE == hand.quantity

    @virtual
    async def test_the_venue_knows_nothing_of_its_trigger(self, tmp_path: Path) -> None:
        """Once it rests as what it became, asking the venue how it stands changes nothing of it."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN, orders={"reconcile_secs": 5}):
            order = hand.trader.stop(ETH, "buy", "1", "101", price="101.50")
            await said(world, 102.0)
            told = list(hand.told)
            await trio.sleep(12)
            assert OrderState.OPEN is order.state
            assert Decimal(101) == order.trigger_price
            assert told == hand.told

    @virtual
    async def test_such_a_stop_is_never_counted_as_protection(self, tmp_path: Path) -> None:
        """At a stop of the runtime the position is reported bare, and the exit code is 3."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN, protection={"stop_pct": None}):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity)
            stop = hand.stop("1", "95")
            await trio.sleep(5)
            assert (OrderState.HELD, True) == (stop.state, stop.spec.emulated)
        assert 3 == world.report.exit_code
        assert [False] == [position["protected"] for position in world.report.positions]
        assert "failed" == world.stages["protect"]

    @virtual
    async def test_nor_once_it_was_changed(self, tmp_path: Path) -> None:
        """Moving its trigger makes no protection of it, and moves what is watched."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN, protection={"stop_pct": None}):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity)
            stop = hand.stop("1", "95")
            hand.trader.amend(stop, trigger_price="98")
            await trio.sleep(1)
            (cover,) = world.trading.guard.covers()
            assert (ONE, False) == (cover.plan.place, cover.plan.covered)
            await said(world, 97.9)
            assert 0 == hand.quantity

    @virtual
    async def test_the_guard_places_no_stop_that_would_not_rest(self, tmp_path: Path) -> None:
        """It says once that it cannot, and does not pile up what protects nothing."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity)
            with capture_logs() as logs:
                await trio.sleep(30)
            assert [] == hand.trader.open_orders()
            told = [line for line in logs if line["event"] == "Position is not protected"]
            assert 1 == len(told)
        assert 3 == world.report.exit_code
        assert 1 == len(world.intents())

    @virtual
    async def test_it_does_nothing_while_the_runtime_is_gone(self, tmp_path: Path) -> None:
        """The market goes through the trigger and back; the next start waits for it anew."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN, shutdown=LEFT):
            order = hand.trader.stop(ETH, "buy", "1", "101")
            await trio.sleep(0.1)
        again = Hand()
        async with world.open(again, prices=QUIET, paper=PLAIN, shutdown=LEFT):
            (found,) = again.trader.open_orders()
            assert (order.id, OrderState.HELD) == (found.id, found.state)
            assert [] == world.history("submit")
            await said(world, 101.0)
            assert ONE == again.quantity

    @virtual
    async def test_one_that_cannot_follow_an_entry_is_refused(self, tmp_path: Path) -> None:
        """A bracket that promises a stop-loss which would not rest is not taken."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN):
            with pytest.raises(OrderRefused, match="does not hold stop_market"):
                hand.trader.bracket(ETH, "buy", "1", stop="97")
            await trio.sleep(0.2)
            assert [] == world.history("submit")


class TestDates:
    """Orders that end by themselves."""

    @virtual
    async def test_the_venue_ends_it(self, tmp_path: Path) -> None:
        """At its date, not before; what nobody filled by then is gone."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            ends = hand.trader.now_ns() + 2_000_000_000
            order = hand.trader.limit(ETH, "buy", "1", "90", tif="gtd", expire_ns=ends)
            await trio.sleep(1.9)
            assert {order.id: ONE} == resting(world)
            await trio.sleep(0.2)
            assert {} == resting(world)
            assert OrderState.EXPIRED is order.state

    @virtual
    async def test_the_runtime_ends_what_it_holds_itself(self, tmp_path: Path) -> None:
        """A trigger that is watched here has its date kept here."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=PLAIN):
            ends = hand.trader.now_ns() + 2_000_000_000
            order = hand.trader.stop(ETH, "buy", "1", "101", tif="gtd", expire_ns=ends)
            await trio.sleep(2.1)
            assert OrderState.DROPPED is order.state
            await said(world, 101.5)
            assert 0 == hand.quantity

    @virtual
    async def test_a_date_in_the_past_is_refused(self, tmp_path: Path) -> None:
        """As is a date without gtd, and gtd without one."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            now = hand.trader.now_ns()
            for tif, ends in (("gtd", now), ("gtd", 0), ("gtc", now + 10**9)):
                with pytest.raises(OrderRefused, match="date in the future"):
                    hand.trader.limit(ETH, "buy", "1", "90", tif=tif, expire_ns=ends)


class TestAmends:
    """Changes to orders that rest."""

    @virtual
    async def test_it_shows_when_the_venue_has_taken_it(self, tmp_path: Path) -> None:
        """Not before: till then the order is as the venue holds it, and risk counts the larger."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET):
            order = hand.buy("1", "90")
            await trio.sleep(0.1)
            hand.trader.amend(order, quantity="3", price="91")
            await settle()
            assert (ONE, Decimal(90), Decimal(3)) == (
                order.quantity,
                order.price,
                order.worst_quantity,
            )
            with pytest.raises(OrderRefused, match="being changed already"):
                hand.trader.amend(order, price="92")
            await trio.sleep(0.1)
            assert (Decimal(3), Decimal(91)) == (order.quantity, order.price)
            assert {order.id: Decimal(3)} == resting(world)
            assert ["1 accepted", "1 amended"] == hand.told

    @virtual
    async def test_one_whose_answer_is_lost_is_asked_after(self, tmp_path: Path) -> None:
        """The change was made and nobody told: the venue is asked, and the order shows it."""
        world, hand = World(tmp_path), Hand()
        lost = {"kind": "drop", "on": "event", "after_secs": 1.0, "for_secs": 1.0}
        async with world.open(
            hand, prices=QUIET, paper={"faults": [lost]}, orders={"ack_timeout_secs": 0.5}
        ):
            order = hand.buy("1", "90")
            await trio.sleep(1.1)
            hand.trader.amend(order, quantity="2")
            await trio.sleep(0.1)
            assert (ONE, True) == (order.quantity, order.amending is not None)
            await trio.sleep(2)
            assert (Decimal(2), None) == (order.quantity, order.amending)
            assert {order.id: Decimal(2)} == resting(world)

    @virtual
    async def test_one_that_never_arrived_is_given_up(self, tmp_path: Path) -> None:
        """The venue holds the order as it was: so the order says, and may be changed again."""
        world, hand = World(tmp_path), Hand()
        lost = {"kind": "drop", "on": "amend", "after_secs": 1.0, "for_secs": 1.0}
        async with world.open(
            hand, prices=QUIET, paper={"faults": [lost]}, orders={"ack_timeout_secs": 0.5}
        ):
            order = hand.buy("1", "90")
            await trio.sleep(1.1)
            hand.trader.amend(order, quantity="2")
            await trio.sleep(2)
            assert (ONE, None) == (order.quantity, order.amending)
            hand.trader.amend(order, quantity="2")
            await trio.sleep(0.1)
            assert {order.id: Decimal(2)} == resting(world)

    @virtual
    async def test_one_that_has_not_left_at_the_halt_never_leaves(self, tmp_path: Path) -> None:
        """It is an entry order: after the halt only its cancel leaves. A stop-loss may be moved."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, protection={"required": "off"}, shutdown=LEFT):
            order = hand.buy("1", "90")
            stop = hand.stop("1", "95")
            await trio.sleep(0.1)
            hand.trader.amend(order, price="99")
            hand.trader.amend(stop, trigger_price="96")
            world.trading.orders.halt("a test")
            await trio.sleep(0.1)
            assert [stop.id] == world.history("amend")
            assert (Decimal(90), None) == (order.price, order.amending)

    @virtual
    async def test_a_venue_that_cannot_says_so_at_once(self, tmp_path: Path) -> None:
        """Nothing is cancelled and placed anew behind the strategy's back."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, paper=NO_CHANGES):
            order = hand.buy("1", "90")
            await trio.sleep(0.1)
            with pytest.raises(OrderRefused, match="cannot amend"):
                hand.trader.amend(order, price="91")
            assert {order.id: ONE} == resting(world)


class TestRestart:
    """The journal brings back what was held."""

    @virtual
    async def test_exits_still_wait_for_their_entry(self, tmp_path: Path) -> None:
        """The next process releases them when it fills."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, shutdown=LEFT):
            made = await entered(hand)
        again = Hand()
        async with world.open(again, prices=QUIET, shutdown=LEFT):
            held = {order.id: order.state for order in again.trader.open_orders()}
            stop, target = (order.id for order in exits(made))
            assert [OrderState.HELD] * 2 == [held[stop], held[target]]
            await said(world, 99.3, 99.4, size=0.4)
            assert {stop: again.quantity, target: again.quantity} == {
                order_id: left
                for order_id, left in resting(world).items()
                if order_id != made.entry.id
            }

    @virtual
    async def test_an_entry_that_filled_while_nothing_ran(self, tmp_path: Path) -> None:
        """Its stop-loss is released at the start, before a strategy runs; its target, which needs
        a market, with the first quote.
        """
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, prices=QUIET, shutdown=LEFT):
            made = await entered(hand)
            stop, target = exits(made)
            world.disk.kill()  # the process is gone, the exchange is not
            await said(world, 99.3, 99.4)
        again = Hand()
        async with world.open(again, prices=QUIET, shutdown=LEFT):
            await trio.sleep(0.3)
            assert ONE == again.quantity
            assert {stop.id: ONE, target.id: ONE} == resting(world)
