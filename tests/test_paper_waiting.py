"""Orders of the paper exchange that wait: take-profits, trailing stops, and orders with a date."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.paper_world import World, order_id, spec
from trade_runtime.model.orders import OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper import MemoryRecord


@pytest.fixture
def world() -> World:
    """An exchange with 10,000 USDT and 5 ETH, whose market is 99 x 1 to 100 x 1."""
    world = World()
    world.sees(99, 100)
    return world


class TestTakeProfits:
    def test_a_sell_wakes_when_the_bid_rises_to_it(self, world: World) -> None:
        world.sell("a", "1", trigger="105", profit=True)
        assert world.sees(104.99, 106) == ""
        assert world.sees(105, 106) == "a took 1 @ 105; a filled 1"

    def test_a_buy_wakes_when_the_ask_falls_to_it(self, world: World) -> None:
        world.buy("a", "1", trigger="95", profit=True)
        assert world.sees(95, 95.01) == ""
        assert world.sees(94, 95) == "a took 1 @ 95; a filled 1"

    def test_a_trade_in_favour_wakes_it_and_one_against_does_not(self, world: World) -> None:
        world.sell("a", "1", trigger="105", profit=True)
        assert world.trades(90, 1, Side.SELL) == ""
        assert world.trades(105, 1, Side.BUY) == "a took 1 @ 99; a filled 1"

    def test_one_with_a_limit_wakes_into_a_limit_order(self, world: World) -> None:
        """It asks for no less than its limit, though the market has fallen back by then."""
        world.sell("a", "1", "104", trigger="105", profit=True)
        assert world.trades(105, 1, Side.BUY) == ""
        assert world.sees(103.99, 106) == ""
        assert world.sees(104, 106) == "a made 1 @ 104; a filled 1"

    @pytest.mark.parametrize(("side", "trigger"), [(Side.SELL, "99"), (Side.BUY, "100")])
    def test_refused_where_the_profit_is_there_already(
        self, world: World, side: Side, trigger: str
    ) -> None:
        send = world.sell if side is Side.SELL else world.buy
        told = send("a", "1", trigger=trigger, profit=True)
        assert told == "a rejected (order would trigger immediately)"

    def test_the_nearest_wakes_first(self, world: World) -> None:
        world.sell("far", "0.5", trigger="106", profit=True)
        world.sell("near", "0.5", trigger="105", profit=True)
        assert world.sees(107, 108) == (
            "near took 0.5 @ 107; near filled 0.5; far took 0.5 @ 107; far filled 0.5"
        )


class TestTrailingStops:
    def test_a_sell_follows_the_best_bid_and_never_goes_back(self, world: World) -> None:
        world.sell("a", "1", trigger="97", trail="2")
        for bid, trigger in ((99.5, "97.5"), (99, "97.5"), (103, "101"), (102, "101")):
            assert world.sees(bid, bid + 1) == ""
            assert world.trigger("a") == Decimal(trigger)
        assert world.sees(101, 102) == "a took 1 @ 101; a filled 1"

    def test_a_buy_follows_the_best_ask_down(self, world: World) -> None:
        world.buy("a", "1", trigger="102", trail="2")
        for ask, trigger in ((100, "102"), (95, "97"), (96, "97")):
            assert world.sees(ask - 1, ask) == ""
            assert world.trigger("a") == Decimal(trigger)
        assert world.sees(96, 97) == "a took 1 @ 97; a filled 1"

    def test_without_a_trigger_it_begins_behind_the_market(self, world: World) -> None:
        assert world.sell("s", "1", trail="2") == "s accepted"
        assert world.buy("b", "1", trail="2") == "b accepted"
        assert (world.trigger("s"), world.trigger("b")) == (Decimal(97), Decimal(102))

    def test_needs_a_market_or_a_trigger(self) -> None:
        world = World()
        assert world.sell("a", "1", trail="2") == "a rejected (no market yet)"
        assert world.sell("b", "1", trigger="97", trail="2") == "b accepted"

    def test_a_trail_longer_than_the_price_leads_nowhere(self, world: World) -> None:
        reason = "the trail leads to no price above 0"
        assert world.sell("a", "1", trail="99") == f"a rejected ({reason})"

    def test_trades_do_not_move_it_but_wake_it(self, world: World) -> None:
        world.sell("a", "1", trigger="97", trail="2")
        assert world.trades(110, 1, Side.BUY) == ""
        assert world.trigger("a") == 97
        assert world.trades(97, 1, Side.SELL) == "a took 1 @ 99; a filled 1"

    def test_a_trail_off_the_tick_or_on_another_type_is_refused(self, world: World) -> None:
        assert "not a positive multiple of 0.01" in world.sell("a", "1", trail="0.001")
        assert "without a trail" in world.told_of(
            spec("b", Side.SELL, "1", trigger="95"), type=OrderType.TRAILING_STOP
        )
        assert "with a trail" in world.told_of(
            spec("c", Side.SELL, "1", trail="2", trigger="95"), type=OrderType.STOP_MARKET
        )

    def test_where_it_stands_survives_a_restart(self, world: World) -> None:
        """It does not begin again from its first trigger, nor follow a lower market back."""
        world.sell("a", "1", trigger="97", trail="2")
        world.sees(103, 104)
        world.reopen()
        assert world.trigger("a") == 101
        assert world.sees(102, 103) == ""
        assert world.sees(101, 102) == "a took 1 @ 101; a filled 1"

    def test_the_history_tells_how_it_moved(self, world: World) -> None:
        world.sell("a", "1", trigger="97", trail="2")
        world.sees(103, 104)
        world.sees(102, 103)
        assert isinstance(world.record, MemoryRecord)
        assert [row.detail for row in world.record.history if row.event == "trail"] == [
            {"trigger_price": "101"}
        ]

    def test_a_buy_gives_back_what_a_lower_trigger_does_not_need(self, world: World) -> None:
        world.buy("a", "10", trigger="110", trail="10")
        world.sees(79, 80)
        assert world.free("USDT") == Decimal(10000) - Decimal("900.9")

    def test_nothing_is_done_while_the_market_stays_behind_its_best(self, world: World) -> None:
        """No quote between the trigger and the next tick in favour is looked at twice."""
        world.sell("a", "1", trail="2")
        book = world.exchange._books[spec("x", Side.BUY, "1").instrument]
        assert (book.bid_low, book.bid_high) == (97, 99.01)


class TestDates:
    def test_an_order_ends_at_its_date_and_not_before(self, world: World) -> None:
        world.buy("a", "1", "98", expires=2_000)
        assert world.exchange.next_expiry_ns == 2_000
        assert world.at(1_999) == ""
        assert world.at(2_000) == "a expired 0 (its date has come)"
        assert world.exchange.next_expiry_ns is None

    def test_they_end_by_date_and_give_their_funds_back(self, world: World) -> None:
        world.buy("late", "1", "98", expires=3_000)
        world.buy("soon", "1", "98", expires=2_000)
        assert world.at(5_000) == (
            "soon expired 0 (its date has come); late expired 0 (its date has come)"
        )
        assert world.free("USDT") == 10_000

    def test_a_market_that_comes_after_the_date_finds_it_ended(self, world: World) -> None:
        """Even where nobody has asked the exchange to look at its dates since."""
        world.buy("a", "1", "98", expires=2_000)
        world.clock.now = 2_000
        assert world.sees(97, 98) == "a expired 0 (its date has come)"

    def test_so_does_a_cancel(self, world: World) -> None:
        world.buy("a", "1", "98", expires=2_000)
        world.clock.now = 2_500
        assert world.cancel("a") == (
            "a expired 0 (its date has come); a cancel rejected (order is expired)"
        )

    def test_one_that_ends_sooner_is_forgotten(self, world: World) -> None:
        world.buy("a", "1", "98", expires=2_000)
        world.buy("b", "1", "98", expires=3_000)
        world.cancel("a")
        assert world.exchange.next_expiry_ns == 3_000
        world.trades(97, 5, Side.SELL)
        assert world.exchange.next_expiry_ns is None

    def test_a_date_that_has_come_is_refused(self, world: World) -> None:
        assert world.buy("a", "1", "98", expires=1_000) == "a rejected (its date has come already)"

    def test_date_and_gtd_go_together(self, world: World) -> None:
        order = spec("a", Side.BUY, "1", "98")
        assert "gtd order without a date" in world.told_of(order, tif=TimeInForce.GTD)
        other = spec("b", Side.BUY, "1", "98")
        assert "gtc order with a date" in world.told_of(other, expire_ns=2_000)

    def test_what_is_overdue_after_a_restart_ends_at_once(self, world: World) -> None:
        world.buy("a", "1", "98", expires=2_000)
        world.clock.now = 9_000
        world.reopen()
        assert world.exchange.next_expiry_ns == 2_000
        assert world.sees(97, 98) == "a expired 0 (its date has come)"

    def test_a_waiting_market_order_ends_with_what_it_has(self, world: World) -> None:
        world.buy("a", "2", expires=2_000)
        assert world.at(2_000) == "a expired 1 (its date has come)"

    def test_post_only_goes_with_a_date(self, world: World) -> None:
        assert world.buy("a", "1", "98", expires=2_000, post_only=True) == "a accepted"

    def test_a_failed_step_keeps_the_date(self, world: World) -> None:
        """What is read back from the record has its date as well."""
        world.buy("a", "1", "98", expires=2_000)
        world.exchange._restore()
        assert world.at(2_000) == "a expired 0 (its date has come)"
        report = world.exchange.order(order_id("a"))
        assert report is not None
        assert report.status is ReportStatus.EXPIRED
