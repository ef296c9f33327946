"""Realism that is asked for: fees of makers and takers, a place at the back, fewer order types."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.paper_world import BALANCES, World
from trade_runtime.model.orders import OrderType, Side
from trade_runtime.venues.paper import PaperSettings


def settings(**more: object) -> PaperSettings:
    return PaperSettings(balances=BALANCES, **more)  # type: ignore[arg-type]


class TestFees:
    def test_makers_and_takers_pay_their_own(self) -> None:
        world = World(settings=settings(maker_fee_bps=2, taker_fee_bps=5))
        world.sees(99, 100)
        world.buy("taker", "1")
        world.buy("maker", "1", "98")
        world.trades(98, 1, Side.SELL)
        assert [fill.fee for fill in world.exchange.fills(0)] == [
            Decimal("0.05"),
            Decimal("0.0196"),
        ]

    def test_a_rebate_is_paid_out_and_never_counted_on(self) -> None:
        """What a buy locks is its cost as a taker: it may yet take."""
        world = World(settings=settings(maker_fee_bps=-1, taker_fee_bps=5))
        world.sees(99, 100)
        world.buy("a", "100", "99.5")
        assert 10_000 - world.free("USDT") == 100 * Decimal("99.5") * Decimal("1.0005")
        world.trades(99, 100, Side.SELL)
        assert world.usdt == Decimal(10_000) - 9950 + Decimal("0.995")
        assert world.free("USDT") == world.usdt

    def test_the_one_fee_is_for_both_unless_told_otherwise(self) -> None:
        assert settings(fee_bps=7).fees_bps == (Decimal(7), Decimal(7))
        assert settings(fee_bps=7, maker_fee_bps=0).fees_bps == (Decimal(0), Decimal(7))


class TestBackOfTheQueue:
    @pytest.fixture
    def world(self) -> World:
        """A market of 99 x 3 to 100 x 3, where an order waits behind what is displayed."""
        world = World(settings=settings(queue="back"))
        world.sees(99, 100, 3, 3)
        return world

    def test_trades_serve_those_before_it_first(self, world: World) -> None:
        world.buy("a", "1", "99")
        assert world.trades(99, 2, Side.SELL) == ""
        assert world.trades(99, 1.5, Side.SELL) == "a made 0.5 @ 99"
        assert world.trades(99, 1.5, Side.SELL) == "a made 0.5 @ 99; a filled 1"

    def test_our_orders_share_one_queue(self, world: World) -> None:
        """Three are before the first and, since two came between, five before the second."""
        world.buy("first", "1", "99")
        world.sees(99, 100, 5, 3)
        world.buy("second", "1", "99")
        assert world.trades(99, 3.5, Side.SELL) == "first made 0.5 @ 99"
        assert world.trades(99, 3, Side.SELL) == (
            "first made 0.5 @ 99; first filled 1; second made 0.5 @ 99"
        )

    def test_a_better_price_waits_for_nobody(self, world: World) -> None:
        world.buy("a", "1", "99.5")
        assert world.trades(99.5, 0.4, Side.SELL) == "a made 0.4 @ 99.5"

    def test_a_smaller_display_shortens_the_queue_and_a_larger_does_not(self, world: World) -> None:
        """Those who came later stand behind it."""
        world.buy("a", "1", "99")
        world.sees(99, 100, 8, 3)
        world.sees(99, 100, 0.5, 3)
        world.sees(99, 100, 9, 3)
        assert world.trades(99, 1, Side.SELL) == "a made 0.5 @ 99"

    def test_a_trade_through_its_price_fills_it_at_once(self, world: World) -> None:
        world.buy("a", "1", "99")
        assert world.trades(98.99, 0.7, Side.SELL) == "a made 0.7 @ 99"

    def test_a_quote_that_reaches_it_fills_it_at_once(self, world: World) -> None:
        world.buy("a", "1", "99")
        assert world.sees(98, 99, 1, 0.7) == "a made 0.7 @ 99"

    def test_behind_the_best_price_the_queue_is_counted_when_its_turn_comes(
        self, world: World
    ) -> None:
        world.buy("a", "1", "98")
        assert world.trades(98, 50, Side.SELL) == ""
        world.sees(98, 100, 2, 3)
        assert world.trades(98, 2, Side.SELL) == ""
        assert world.trades(98, 1, Side.SELL) == "a made 1 @ 98; a filled 1"

    def test_once_the_best_price_is_below_nobody_is_before_it(self, world: World) -> None:
        world.buy("a", "1", "99")
        world.sees(98, 100, 2, 3)
        assert world.trades(99, 1, Side.SELL) == "a made 1 @ 99; a filled 1"

    def test_asking_for_less_keeps_the_place_in_the_queue(self, world: World) -> None:
        world.buy("a", "2", "99")
        world.trades(99, 3, Side.SELL)
        world.amend("a", "1", "99")
        assert world.trades(99, 1, Side.SELL) == "a made 1 @ 99; a filled 1"

    def test_asking_for_more_goes_to_the_back(self, world: World) -> None:
        world.buy("a", "1", "99")
        world.trades(99, 3, Side.SELL)
        world.amend("a", "2", "99")
        assert world.trades(99, 3, Side.SELL) == ""

    def test_sells_mirror_buys(self, world: World) -> None:
        world.sell("a", "1", "100")
        assert world.trades(100, 3, Side.BUY) == ""
        assert world.sees(99, 101, 3, 3) == ""
        assert world.trades(100, 1, Side.BUY) == "a made 1 @ 100; a filled 1"

    def test_quotes_above_its_price_are_not_looked_at(self, world: World) -> None:
        world.buy("a", "1", "98")
        [book] = world.exchange._books.values()
        assert book.bid_low == 98 < 99


def test_a_venue_may_be_told_to_hold_less() -> None:
    """So that a backtest, or a test, meets what the venue of tomorrow offers."""
    world = World(settings=settings(order_types=["market", "limit"]))
    world.sees(99, 100)
    assert world.sell("a", "1", trigger="95") == "a rejected (stop_market orders are not offered)"
    assert world.exchange.capabilities.types == {OrderType.MARKET, OrderType.LIMIT}
