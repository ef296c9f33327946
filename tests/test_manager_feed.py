"""Market data: what is new is handed on once, what is lost is told, and polled meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.schedule import virtual
from tests.support.values import BTC, ETH, quote
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import ConfigError, OrderRefused
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.managers.prices import PriceManager
from trade_runtime.managers.view import InstrumentView, MarketStats
from trade_runtime.model.market import Bar, Quote, Trade

NEVER: dict[str, Any] = {"stale_after_secs": 10_000, "ping_secs": 10_000}


class Ear(Hand):
    """Notes everything the market says."""

    def __init__(self, name: str = "ear") -> None:
        super().__init__(name)
        self.heard: list[str] = []

    def on_quote(self, quote: Quote) -> None:
        self.heard.append(f"quote {quote.bid:g}")

    def on_trade(self, trade: Trade) -> None:
        self.heard.append(f"trade {trade.trade_id}")

    def on_bar(self, bar: Bar) -> None:
        self.heard.append(f"bar {bar.trades}")

    def on_book(self, book: OrderBook) -> None:
        self.heard.append(f"book {book.update_id}")

    def on_stale(self, instrument: str) -> None:
        super().on_stale(instrument)
        self.heard.append("stale")


def prices(world: World) -> PriceManager:
    assert world.runtime is not None
    assert world.runtime.prices is not None
    return world.runtime.prices


def view(world: World) -> InstrumentView:
    return prices(world).views[ETH]


class TestOnce:
    """What a strategy sees never goes back in time."""

    @virtual
    async def test_a_quote_that_is_not_newer_is_dropped(self, tmp_path: Path) -> None:
        """By the venue's update id; a source without ids is taken as it comes."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, quote=False):
            for bid, update_id in ((100, 7), (101, 7), (102, 6), (103, 8), (104, 0), (105, 0)):
                world.market.quote(bid, update_id=update_id)
            await settle()
        assert ["quote 100", "quote 103", "quote 104", "quote 105"] == ear.heard
        assert 4 == world.report.market_data[ETH]["quotes"]

    @virtual
    async def test_a_trade_comes_once(self, tmp_path: Path) -> None:
        """Told twice, or again after a reconnect: once."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, quote=False):
            for trade_id in (1, 2, 2, 1, 3):
                world.market.trade(100, trade_id=trade_id)
            world.market.drop()
            await trio.sleep(1)
            for trade_id in (2, 3, 4):
                world.market.trade(100, trade_id=trade_id)
            await settle()
        assert ["trade 1", "trade 2", "trade 3", "stale", "trade 4"] == ear.heard
        assert 4 == world.report.market_data[ETH]["trades"]

    @virtual
    async def test_each_gets_bars_of_the_trades(self, tmp_path: Path) -> None:
        """A bar comes with the first trade past its end."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, quote=False):
            for number, secs in enumerate((0, 59, 60)):
                world.market.trade(100, trade_id=number, ts_ns=secs * 10**9)
            await settle()
        assert ["trade 0", "trade 1", "trade 2", "bar 2"] == ear.heard


class TestBook:
    """Strategies see a book that is whole, or none."""

    @virtual
    async def test_a_lost_book_is_not_shown_until_its_snapshot(self, tmp_path: Path) -> None:
        """One resync is counted, changes meanwhile are not shown."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, quote=False):
            world.market.book(10, snapshot=True)
            world.market.book(11)
            world.market.lose_book()
            world.market.book(13)
            world.market.book(20, snapshot=True)
            world.market.book(21)
            await settle()
        assert ["book 10", "book 11", "book 20", "book 21"] == ear.heard
        assert 1 == world.report.market_data[ETH]["resyncs"]

    @virtual
    async def test_a_crossed_book_is_not_shown(self, tmp_path: Path) -> None:
        """No real market rests so; the next change may mend it."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, quote=False):
            world.market.book(10, snapshot=True)
            world.market.book(11, bid="101")
            await settle()
            assert ear.trader.book(ETH) is not None
            assert view(world).book.crossed
        assert ["book 10"] == ear.heard

    @virtual
    async def test_a_book_from_before_is_not_told(self, tmp_path: Path) -> None:
        """A source that starts again from an earlier point catches up in silence."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, quote=False):
            world.market.book(10, snapshot=True)
            world.market.drop()
            await trio.sleep(1)
            world.market.book(8, snapshot=True)
            world.market.book(9)
            world.market.book(11)
            await settle()
        assert ["book 10", "stale", "book 11"] == ear.heard


class TestLoss:
    """A stream that is lost is told once, polled meanwhile, and opened again."""

    @virtual
    async def test_told_once_however_long_it_lasts(self, tmp_path: Path) -> None:
        """Failing to reconnect is no further loss."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear):
            world.market.reachable = False
            world.market.drop()
            await trio.sleep(30)
            assert [ETH] == ear.stale
            world.market.reachable = True
            await until(lambda: world.market.open_sessions == 1)
            world.market.quote(101)
            await settle()
            world.market.drop()
            await settle()
            assert [ETH, ETH] == ear.stale
            assert prices(world).open_connections == []

    @pytest.mark.parametrize("how", ["drop", "finish"])
    @virtual
    async def test_a_stream_that_ends_is_lost_however_it_ends(
        self, tmp_path: Path, how: str
    ) -> None:
        """With an error or without: nothing fresh comes any more."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear):
            getattr(world.market, how)()
            await settle()
            assert [ETH] == ear.stale
            with pytest.raises(OrderRefused, match="stale"):
                ear.buy()

    @virtual
    async def test_silence_is_loss(self, tmp_path: Path) -> None:
        """The socket is up but nothing comes: lost after `stale_after_secs`, not before."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, prices={"stale_after_secs": 5}):
            began = trio.current_time()
            await until(lambda: ear.stale)
            assert 5 <= trio.current_time() - began <= 5.6

    @virtual
    async def test_a_trickle_is_no_silence(self, tmp_path: Path) -> None:
        """One event every four seconds keeps a bound of five."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, prices={"stale_after_secs": 5}):
            for number in range(10):
                await trio.sleep(4)
                world.market.trade(100, trade_id=number)
            assert [] == ear.stale

    @virtual
    async def test_no_pong_is_loss(self, tmp_path: Path) -> None:
        """Data flows, but the far end does not answer within `pong_secs`: a new connection."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, prices={"ping_secs": 10, "pong_secs": 5}):
            world.market.pongs = False
            began = trio.current_time()
            while not ear.stale:
                world.market.quote(100)
                await trio.sleep(0.5)
            assert 14 <= trio.current_time() - began <= 16
            world.market.pongs = True
            await until(lambda: world.market.open_sessions == 1)
            assert 2 == world.market.connects
        assert 1 == world.report.market_data[ETH]["reconnects"]

    @virtual
    async def test_pongs_in_time_keep_it(self, tmp_path: Path) -> None:
        """For ten minutes, sixty pings."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, prices={"stale_after_secs": 100_000}):
            await trio.sleep(600)
            assert 1 == world.market.connects
            assert [] == ear.stale

    @virtual
    async def test_a_loss_hides_the_book(self, tmp_path: Path) -> None:
        """What was missed meanwhile cannot be known: a snapshot is needed."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear):
            world.market.book(10, snapshot=True)
            world.market.drop()
            await settle()
            assert ear.trader.book(ETH) is None

    @virtual
    async def test_reconnects_that_bring_something_go_on_for_ever(self, tmp_path: Path) -> None:
        """Lost fifty times, each time after a quote: no bound is reached."""
        world, ear = World(tmp_path), Ear()
        supervision = {"max_restarts": 3, "backoff_secs": 0.1, "healthy_secs": 1000}
        async with world.open(ear, supervision=supervision) as runtime:
            for number in range(50):
                world.market.quote(100 + number)
                world.market.drop()
                await trio.sleep(0.5)
            assert not runtime.stop_requested
        assert 50 == world.report.market_data[ETH]["reconnects"]


class TestPolling:
    """REST while the stream is down."""

    @virtual
    async def test_it_begins_at_once_and_ends_with_the_stream(self, tmp_path: Path) -> None:
        """Every `poll_secs`; not once after the stream is back."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear):
            assert 0 == world.market.polls
            world.market.reachable = False
            world.market.drop()
            await settle()
            assert 1 == world.market.polls
            await trio.sleep(4.5)
            assert 5 == world.market.polls
            world.market.reachable = True
            await until(lambda: world.market.open_sessions == 1)
            world.market.quote(101)
            await settle()
            polls = world.market.polls
            await trio.sleep(4)
            assert polls == world.market.polls
        assert polls == world.report.market_data[ETH]["rest_polls"]

    @virtual
    async def test_only_what_is_new_is_an_event(self, tmp_path: Path) -> None:
        """The same quote and trades polled ten times are told once."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, quote=False):
            world.market.trade(100, trade_id=4)
            await settle()
            world.market.polled["ETHUSDT"] = quote(99.0)
            world.market.polled_trades = [_trade(n) for n in (3, 4, 5, 6)]
            world.market.reachable = False
            world.market.drop()
            await trio.sleep(10)
            world.market.polled["ETHUSDT"] = quote(98.0)
            await trio.sleep(2)
        assert ["trade 4", "stale", "quote 99", "trade 5", "trade 6", "quote 98"] == ear.heard

    @virtual
    async def test_polled_quotes_are_traded_on(self, tmp_path: Path) -> None:
        """While they are fresh; when polling fails too, they grow stale."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear, prices={"stale_after_secs": 3}):
            world.market.polled["ETHUSDT"] = quote(99.0)
            world.market.reachable = False
            world.market.drop()
            await trio.sleep(1)
            assert prices(world).is_fresh(ETH)
            assert ear.buy().is_live
            world.market.answers = False
            await trio.sleep(5)
            with pytest.raises(OrderRefused, match=r"market data of ETHUSDT.* is stale"):
                ear.buy()
            assert prices(world).market_price(ETH, ear.buy_side) is None

    @virtual
    async def test_polled_quotes_fill_orders(self, tmp_path: Path) -> None:
        """The paper exchange sees what strategies see."""
        world, ear = World(tmp_path), Ear()
        async with world.open(ear):
            ear.buy("1", "99")
            await until(world.resting)
            world.market.polled["ETHUSDT"] = quote(98.0, 98.5)
            world.market.reachable = False
            world.market.drop()
            await until(lambda: ear.quantity == 1)

    @virtual
    async def test_a_market_that_is_down_from_the_start(self, tmp_path: Path) -> None:
        """Polled from the first failure on; nobody is told of a loss of what never was."""
        world, ear = World(tmp_path), Ear()
        world.market.reachable = False
        world.market.polled["ETHUSDT"] = quote(99.0)
        async with world.open(ear, quote=False):
            await until(lambda: ear.heard)
            assert (["quote 99"], []) == (ear.heard, ear.stale)


def _trade(trade_id: int) -> Trade:
    return Trade(ETH, 0, 100.0, 1.0, Hand.buy_side, trade_id)


@virtual
async def test_orders_without_any_quote_are_refused(tmp_path: Path) -> None:
    """Before the first event there is nothing to price them by."""
    world, ear = World(tmp_path), Ear()
    async with world.open(ear, quote=False):
        with pytest.raises(OrderRefused, match="stale"):
            ear.buy()
        assert prices(world).market_price(ETH, ear.buy_side) is None


@virtual
async def test_an_instrument_nobody_trades_has_no_price(tmp_path: Path) -> None:
    """Only what strategies name is watched."""
    world = World(tmp_path)
    async with world.open(Ear()):
        assert prices(world).market_price(BTC, Hand.buy_side) is None
        assert [ETH] == list(prices(world).views)


@virtual
async def test_a_venue_without_market_data(tmp_path: Path) -> None:
    """A paper venue that names no source cannot be traded on; the error says where to write it."""
    world = World(tmp_path)
    with pytest.raises(ConfigError, match=r"venues\.paper\.market_data: 'tape' brings no market"):
        async with world.open(Ear(), paper={"market_data": "tape"}):
            pytest.fail("it must not begin")


def test_stats_begin_at_nothing() -> None:
    """The report's figures, in its words."""
    assert MarketStats(0, 0, 0, 0, 0, 0) == InstrumentView(ETH).stats
