"""What a paper exchange does with each type of order, and why it refuses some."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from msgspec.structs import replace

from tests.paper_world import ETHUSDT, World, order_id, spec, trade
from trade_runtime.errors import VenueError
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.orders import OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper import MemoryRecord
from trade_runtime.venues.paper import exchange as exchange_module


@pytest.fixture
def world() -> World:
    """An exchange with 10,000 USDT and 5 ETH, whose market is 99 x 1 to 100 x 1."""
    world = World()
    world.sees(99, 100)
    return world


class TestMarketOrders:
    def test_takes_the_best_price_and_pays_the_fee(self, world: World) -> None:
        """0.5 ETH at 100 costs 50 USDT and ten hundredths of a percent of it."""
        assert world.buy("a", "0.5") == "a accepted; a took 0.5 @ 100; a filled 0.5"
        assert (world.usdt, world.eth) == (Decimal("9949.95"), Decimal("5.5"))

    def test_sells_at_the_bid_and_the_fee_comes_out_of_the_proceeds(self, world: World) -> None:
        assert world.sell("a", "1") == "a accepted; a took 1 @ 99; a filled 1"
        assert (world.usdt, world.eth) == (Decimal("10098.901"), Decimal(4))

    def test_what_the_displayed_size_does_not_cover_waits_for_the_next(self, world: World) -> None:
        """It takes what each new quote shows, at that quote's price, until it is filled."""
        assert world.buy("a", "2.5") == "a accepted; a took 1 @ 100"
        assert world.sees(99, 101, 1, 1.2) == "a took 1.2 @ 101"
        assert world.sees(99, 100.5, 1, 9) == "a took 0.3 @ 100.5; a filled 2.5"

    def test_a_size_shown_once_is_taken_once(self, world: World) -> None:
        """A quote that only repeats the ask, while the bid moves, brings nothing new to take."""
        world.buy("a", "0.7")
        assert world.buy("b", "0.7") == "b accepted; b took 0.3 @ 100"
        assert world.sees(98, 100) == ""
        assert world.sees(98, 100) == ""
        assert world.sees(98, 100, 1, 0.9) == "b took 0.4 @ 100; b filled 0.7"

    def test_ioc_expires_with_what_it_could_not_take(self, world: World) -> None:
        told = world.buy("a", "1.5", tif=TimeInForce.IOC)
        assert told == (
            "a accepted; a took 1 @ 100; a expired 1 (the rest was not fillable at once)"
        )
        assert world.resting == []

    def test_fok_takes_all_or_nothing(self, world: World) -> None:
        told = world.buy("a", "1.5", tif=TimeInForce.FOK)
        assert told == "a accepted; a expired 0 (not fillable at once, in full)"
        assert world.buy("b", "1", tif=TimeInForce.FOK).endswith("b filled 1")

    def test_ends_where_the_money_ends(self, world: World) -> None:
        """The price runs away from a waiting buy; it buys whole lots while it can, then expires."""
        world.buy("a", "90")
        told = world.sees(500, 1000, 100, 100)
        assert told == "a took 9.89 @ 1000; a expired 10.89 (insufficient balance)"
        assert Decimal(0) <= world.usdt < Decimal("0.11")

    def test_can_be_cancelled_while_it_waits(self, world: World) -> None:
        world.buy("a", "2")
        assert world.cancel("a") == "a cancelled 1"
        assert world.sees(99, 101, 5, 5) == ""


class TestLimitOrders:
    def test_takes_what_is_there_and_rests_with_the_remainder(self, world: World) -> None:
        """It pays the displayed price while it takes and its own price once it makes."""
        assert world.buy("a", "3", "101") == "a accepted; a took 1 @ 100"
        assert world.resting == ["a"]
        assert world.sees(99, 100.5, 1, 0.5) == "a made 0.5 @ 101"

    def test_rests_until_the_opposite_quote_reaches_its_price(self, world: World) -> None:
        world.buy("a", "1", "98")
        assert world.sees(97, 98.01) == ""
        assert world.sees(97, 98, 1, 0.4) == "a made 0.4 @ 98"
        assert world.sees(96, 97.5, 1, 9) == "a made 0.6 @ 98; a filled 1"

    def test_a_trade_that_hits_it_is_shared_by_price_then_arrival(self, world: World) -> None:
        world.buy("late", "1", "98")
        world.buy("later", "1", "98")
        world.buy("better", "1", "98.5")
        assert world.trades(98, 1.5, Side.SELL) == (
            "better made 1 @ 98.5; better filled 1; late made 0.5 @ 98"
        )
        assert world.trades(97, 2, Side.SELL) == (
            "late made 0.5 @ 98; late filled 1; later made 1 @ 98; later filled 1"
        )

    def test_a_trade_above_a_buy_does_not_reach_it(self, world: World) -> None:
        world.buy("a", "1", "98")
        assert world.trades(98.01, 5, Side.SELL) == ""

    def test_a_trade_that_took_the_displayed_ask_does_not_fill_a_buy(self, world: World) -> None:
        """The displayed ask was counted when its quote came; its trade is the same size again."""
        world.buy("a", "3", "100")
        assert world.trades(100, 1, Side.BUY) == ""

    def test_sells_mirror_buys(self, world: World) -> None:
        world.sell("a", "1", "101")
        assert world.trades(101, 0.25, Side.BUY) == "a made 0.25 @ 101"
        assert world.sees(101.5, 102) == "a made 0.75 @ 101; a filled 1"

    def test_own_orders_never_meet_each_other(self, world: World) -> None:
        world.sell("a", "1", "99.5")
        assert world.buy("b", "1", "99.5") == "b accepted"
        assert world.resting == ["a", "b"]

    def test_resting_orders_share_one_displayed_size(self, world: World) -> None:
        world.buy("a", "0.6", "98")
        world.buy("b", "0.6", "98")
        assert world.sees(97, 98) == "a made 0.6 @ 98; a filled 0.6; b made 0.4 @ 98"

    def test_a_waiting_order_without_a_limit_goes_before_those_with_one(self, world: World) -> None:
        world.buy("limit", "1", "98")
        world.buy("market", "1.5")
        assert world.sees(97, 98) == (
            "market took 0.5 @ 98; market filled 1.5; limit made 0.5 @ 98"
        )

    def test_post_only_is_refused_where_it_would_take(self, world: World) -> None:
        reason = "post-only order would take liquidity"
        assert world.buy("a", "1", "100", post_only=True) == f"a rejected ({reason})"
        assert world.sell("b", "1", "99", post_only=True) == f"b rejected ({reason})"
        assert world.buy("c", "1", "99.99", post_only=True) == "c accepted"

    def test_ioc_never_rests(self, world: World) -> None:
        told = world.buy("a", "2", "100", tif=TimeInForce.IOC)
        assert told.endswith("a took 1 @ 100; a expired 1 (the rest was not fillable at once)")

    def test_fok_looks_at_price_and_size(self, world: World) -> None:
        assert "expired 0" in world.buy("a", "1", "99.99", tif=TimeInForce.FOK)
        assert "expired 0" in world.buy("b", "2", "100", tif=TimeInForce.FOK)
        assert world.buy("c", "1", "100", tif=TimeInForce.FOK).endswith("c filled 1")

    def test_rests_before_the_market_is_known(self) -> None:
        world = World()
        assert world.buy("a", "1", "100") == "a accepted"
        assert world.sees(98, 99) == "a made 1 @ 100; a filled 1"

    def test_a_missing_side_of_the_quote_meets_nothing(self, world: World) -> None:
        """Sources that know no ask say 0; a buy at any price is not filled there."""
        world.buy("a", "1", "98")
        world.sell("stop", "1", trigger="90")
        assert world.sees(0, 0, 0, 0) == ""
        assert world.buy("b", "1") == "b rejected (no market yet)"


class TestStops:
    def test_a_sell_stop_wakes_when_the_bid_falls_to_it_and_takes(self, world: World) -> None:
        assert world.sell("a", "1.5", trigger="95") == "a accepted"
        assert world.sees(95.01, 96) == ""
        assert world.sees(95, 96) == "a took 1 @ 95"
        assert world.sees(94, 95) == "a took 0.5 @ 94; a filled 1.5"

    def test_a_buy_stop_wakes_when_the_ask_rises_to_it(self, world: World) -> None:
        world.buy("a", "1", trigger="105")
        assert world.sees(104, 105) == "a took 1 @ 105; a filled 1"

    def test_a_trade_through_the_trigger_wakes_it_too(self, world: World) -> None:
        """It then takes at the present quote, not at the trade's price."""
        world.sell("a", "1", trigger="95")
        assert world.trades(95.01, 1, Side.SELL) == ""
        assert world.trades(94, 1, Side.SELL) == "a took 1 @ 99; a filled 1"

    def test_a_stop_limit_wakes_into_a_limit_order(self, world: World) -> None:
        world.sell("a", "1", "94.5", trigger="95")
        assert world.sees(94, 96) == ""
        assert world.resting == ["a"]
        assert world.sees(94.5, 96) == "a made 1 @ 94.5; a filled 1"

    def test_stops_wake_nearest_first(self, world: World) -> None:
        world.sell("far", "0.5", trigger="94")
        world.sell("near", "0.5", trigger="95")
        assert (
            world.sees(93, 94)
            == "near took 0.5 @ 93; near filled 0.5; far took 0.5 @ 93; far filled 0.5"
        )

    @pytest.mark.parametrize(("side", "trigger"), [(Side.SELL, "99"), (Side.BUY, "100")])
    def test_refused_where_it_would_trigger_at_once(
        self, world: World, side: Side, trigger: str
    ) -> None:
        send = world.sell if side is Side.SELL else world.buy
        assert send("a", "1", trigger=trigger) == "a rejected (order would trigger immediately)"

    def test_taken_before_the_market_is_known(self) -> None:
        """A restarted runtime can protect its positions before the first quote has come."""
        world = World()
        assert world.sell("a", "1", trigger="95") == "a accepted"
        assert world.sees(94, 96) == "a took 1 @ 94; a filled 1"


class TestRefusals:
    @pytest.mark.parametrize(
        ("quantity", "price", "reason"),
        [
            ("1", "98.001", "price 98.001 of ETHUSDT.paper is not a positive multiple of 0.01"),
            ("1", "-98", "price -98 of ETHUSDT.paper is not a positive multiple of 0.01"),
            ("0.00005", "98", "is not a positive multiple of 0.0001"),
            ("0", "98", "is not a positive multiple of 0.0001"),
            ("0.05", "98", "notional 4.90 is below 5"),
            ("200", "98", "insufficient balance"),
            ("0.1234", "98765432109876.55", "has more than 15 digits"),
        ],
    )
    def test_off_the_grid_too_small_or_too_dear(
        self, world: World, quantity: str, price: str, reason: str
    ) -> None:
        assert reason in world.buy("a", quantity, price)
        assert world.resting == []
        report = world.exchange.order(order_id("a"))
        assert report is not None
        assert report.status is ReportStatus.REJECTED

    def test_an_unknown_instrument(self, world: World) -> None:
        instrument = InstrumentId("DOGEUSDT.paper")
        assert world.buy("a", "1", instrument=instrument) == "a rejected (unknown instrument)"

    def test_no_market_to_take_from(self) -> None:
        world = World()
        assert world.buy("a", "1") == "a rejected (no market yet)"
        assert world.buy("b", "1", "99", post_only=True) == "b rejected (no market yet)"
        assert world.buy("c", "1", "99", tif=TimeInForce.IOC) == "c rejected (no market yet)"

    def test_a_market_order_of_too_small_notional(self, world: World) -> None:
        assert world.buy("a", "0.01") == "a rejected (notional 1.00 is below 5)"

    @pytest.mark.parametrize(
        ("kind", "price", "trigger", "reason"),
        [
            (OrderType.LIMIT, None, None, "limit order without a price"),
            (OrderType.MARKET, "99", None, "market order with a limit price"),
            (OrderType.STOP_MARKET, None, None, "stop_market order without a trigger price"),
            (OrderType.LIMIT, "99", "98", "limit order with a trigger price"),
        ],
    )
    def test_prices_that_do_not_go_with_the_type(
        self, world: World, kind: OrderType, price: str | None, trigger: str | None, reason: str
    ) -> None:
        order = replace(spec("a", Side.BUY, "1", price, trigger=trigger), type=kind)
        [event] = world.exchange.submit(order)
        assert getattr(event, "reason", "") == reason

    def test_post_only_goes_with_orders_that_rest(self, world: World) -> None:
        reason = "rejected (post-only is for limit orders that rest)"
        assert reason in world.buy("a", "1", post_only=True)
        assert reason in world.buy("b", "1", "98", post_only=True, tif=TimeInForce.IOC)
        assert reason in world.sell("c", "1", "94", trigger="95", post_only=True)

    def test_resting_orders_lock_their_funds(self, world: World) -> None:
        """A limit buy locks notional and fee, a sell and a stop the base currency."""
        assert world.buy("a", "100", "99.90") == "a accepted"
        assert world.buy("b", "0.1", "99") == "b rejected (insufficient balance)"
        world.sell("c", "3", "110")
        assert world.sell("d", "2", trigger="90") == "d accepted"
        assert world.sell("e", "0.1", "120") == "e rejected (insufficient balance)"
        world.cancel("c")
        assert world.sell("f", "3", "120") == "f accepted"

    def test_one_order_too_many(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exchange_module, "MAX_OPEN_ORDERS", 1)
        world.buy("a", "1", "90")
        assert world.buy("b", "1", "90") == "b rejected (too many open orders)"


class TestOneIntentOneOrder:
    def test_a_second_arrival_makes_no_second_order(self, world: World) -> None:
        """The history says that it came; what is told is how its one order stands."""
        world.buy("a", "1", "98")
        assert world.buy("a", "1", "98") == "a accepted"
        assert world.resting == ["a"]
        assert isinstance(world.record, MemoryRecord)
        assert [row.event for row in world.record.history[-2:]] == ["submit", "reject"]
        assert world.record.history[-1].detail["reason"] == "duplicate client order id"

    def test_nor_does_one_after_the_order_is_over(self, world: World) -> None:
        world.buy("a", "1")
        assert world.buy("a", "1") == "a filled 1"
        world.buy("b", "1", "98")
        world.cancel("b")
        assert world.buy("b", "1", "98") == "b cancelled 0"
        world.buy("c", "1000")
        assert world.buy("c", "1", "98") == "c rejected (insufficient balance)"
        assert (world.eth, world.resting) == (Decimal(6), [])

    def test_nor_does_one_after_a_restart(self, world: World) -> None:
        world.buy("a", "1")
        world.reopen()
        assert world.buy("a", "1") == "a filled 1"
        assert world.eth == Decimal(6)


class TestCancels:
    def test_says_why_not(self, world: World) -> None:
        world.buy("a", "1")
        assert world.cancel("a") == "a cancel rejected (order is filled)"
        assert world.cancel("b") == "b cancel rejected (unknown order)"

    def test_of_a_stop_gives_back_what_it_locked(self, world: World) -> None:
        world.sell("a", "5", trigger="90")
        assert world.cancel("a") == "a cancelled 0"
        assert world.sell("b", "5", trigger="90") == "b accepted"


class TestHistory:
    def test_tells_everything_in_order(self, world: World) -> None:
        """From outside one can see what was sent, and in which order things happened."""
        world.buy("a", "1", "98")
        world.sell("s", "1", trigger="95")
        world.cancel("a")
        world.cancel("a")
        world.sees(94, 95)
        assert isinstance(world.record, MemoryRecord)
        assert [(row.event, row.client_order_id) for row in world.record.history] == [
            ("deposit", ""),
            ("submit", "a"),
            ("accept", "a"),
            ("submit", "s"),
            ("accept", "s"),
            ("cancel_request", "a"),
            ("cancel", "a"),
            ("cancel_request", "a"),
            ("cancel_reject", "a"),
            ("trigger", "s"),
            ("fill", "s"),
        ]
        assert [row.seq for row in world.record.history] == list(range(1, 12))

    def test_exchange_time_never_goes_back(self, world: World) -> None:
        """The clock is set back by an hour; fills asked for by time are still all found."""
        world.clock.now = 5_000
        world.buy("a", "1")
        world.clock.now = 10
        world.sell("b", "1")
        assert [fill.client_order_id for fill in world.exchange.fills(5_000)] == ["a", "b"]
        assert world.exchange.fills(5_001) == []


class TestInstruments:
    def test_get_ids_of_this_venue(self, world: World) -> None:
        assert isinstance(world.record, MemoryRecord)
        assert list(world.record.instruments) == ["ETHUSDT.paper"]

    def test_may_change_their_tick_but_not_their_currencies(self, world: World) -> None:
        world.exchange.adopt([attrs.evolve(ETHUSDT, tick=Decimal("0.001"))])
        assert world.buy("a", "1", "98.001") == "a accepted"
        with pytest.raises(VenueError, match="ETH/USDT in the record"):
            world.exchange.adopt([attrs.evolve(ETHUSDT, quote=Currency("USDC"))])

    def test_events_of_other_markets_are_no_business_of_ours(self, world: World) -> None:
        other = trade(1.0, 1.0, Side.SELL)
        assert (
            list(
                world.exchange.on_trade(type(other)(InstrumentId("X.y"), 0, 1.0, 1.0, Side.SELL, 1))
            )
            == []
        )
