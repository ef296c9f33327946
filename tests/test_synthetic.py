"""The synthetic market: repeatable, consistent with itself, and polite to the loop."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.paper_world import Notes
from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.protocols import Environment, MarketData
from trade_runtime.settings import structure
from trade_runtime.venues.synthetic import SyntheticData, SyntheticSettings, plugin

ETH, BTC = InstrumentId("ETHUSDT.paper"), InstrumentId("BTCUSDT.paper")


@attrs.define
class Sink:
    """What came, in order; and the book that follows from it."""

    quotes: list[Quote] = attrs.field(factory=list)
    trades: list[Trade] = attrs.field(factory=list)
    books: list[BookLevels] = attrs.field(factory=list)
    events: int = 0
    bids: dict[Decimal, Decimal] = attrs.field(factory=dict)
    asks: dict[Decimal, Decimal] = attrs.field(factory=dict)

    def on_quote(self, quote: Quote) -> None:
        self.events += 1
        self.quotes.append(quote)

    def on_trade(self, trade: Trade) -> None:
        self.events += 1
        self.trades.append(trade)

    def on_book(self, levels: BookLevels) -> None:
        self.events += 1
        self.books.append(levels)
        for side, changes in ((self.bids, levels.bids), (self.asks, levels.asks)):
            if levels.snapshot:
                side.clear()
            for price, quantity in changes:
                side[price] = quantity
                if not quantity:
                    del side[price]

    def on_book_lost(self, instrument: InstrumentId) -> None:
        raise AssertionError("no change is ever missed here")


def source(seed: int = 7, env_seed: int = 1, **options: Any) -> SyntheticData:
    env = Environment(TrioClock(), random.Random(env_seed), Path("nowhere"), Notes())
    return SyntheticData(VenueName("made_up"), SyntheticSettings(seed=seed, **options), env)


async def stream(
    data: SyntheticData, sink: Sink, secs: float, symbols: dict[str, InstrumentId] | None = None
) -> Sink:
    with trio.move_on_after(secs):
        async with data.connect(symbols or {"ETHUSDT": ETH}, sink) as session:
            await session.run()
    return sink


async def test_is_what_the_contract_asks_for(autojump_clock: MockClock) -> None:
    port: MarketData = source()
    assert (plugin.streams, plugin.trades) == (True, False)
    assert await port.instruments([]) == {}


async def test_has_every_symbol_that_ends_in_a_known_currency(autojump_clock: MockClock) -> None:
    found = await source().instruments(["ETHUSDT", "SOLBTC", "ethusdt", "USDT", "NONSENSE"])
    assert list(found) == ["ETHUSDT", "SOLBTC"]
    one = found["ETHUSDT"]
    assert (one.id, one.base, one.quote) == ("ETHUSDT.made_up", "ETH", "USDT")
    assert (one.tick, one.lot) == (Decimal("0.01"), Decimal("0.0001"))


async def test_the_same_seed_makes_the_same_market(autojump_clock: MockClock) -> None:
    """Each symbol's own, whatever else is streamed beside it; another seed makes another."""
    alone = await stream(source(), Sink(), 10)
    beside = await stream(source(), Sink(), 10, {"BTCUSDT": BTC, "ETHUSDT": ETH})
    other = await stream(source(seed=8), Sink(), 10)
    prices = [(quote.bid, quote.ask, quote.bid_size, quote.update_id) for quote in alone.quotes]
    again = [
        (quote.bid, quote.ask, quote.bid_size, quote.update_id)
        for quote in beside.quotes
        if quote.instrument == ETH
    ]
    assert prices == again
    assert prices != [(q.bid, q.ask, q.bid_size, q.update_id) for q in other.quotes]


async def test_without_a_seed_the_runtimes_own_stream_decides(autojump_clock: MockClock) -> None:
    first, same, other = [
        (await stream(source(seed=0, env_seed=env_seed), Sink(), 1)).quotes
        for env_seed in (1, 1, 2)
    ]
    assert [q.bid for q in first] == [q.bid for q in same] != [q.bid for q in other]


async def test_keeps_to_its_pace(autojump_clock: MockClock) -> None:
    """20 quotes a second; and 1,000 a second in a hundred wakes."""
    assert len((await stream(source(), Sink(), 9.99)).quotes) == 200
    assert len((await stream(source(quotes_per_sec=1_000), Sink(), 0.995)).quotes) == 1_000


async def test_prices_are_on_the_grid_and_do_not_cross(autojump_clock: MockClock) -> None:
    data = source(quotes_per_sec=1_000, volatility_bps=50)
    sink = await stream(data, Sink(), 10)
    one = (await data.instruments(["ETHUSDT"]))["ETHUSDT"]
    assert len(sink.quotes) > 9_000
    for quote in sink.quotes:
        assert one.price(quote.bid) < one.price(quote.ask)
        assert one.quantity(quote.bid_size) > 0
        assert one.quantity(quote.ask_size) > 0
    assert len({quote.bid for quote in sink.quotes}) > 100


async def test_moves_as_much_as_it_was_told_to(autojump_clock: MockClock) -> None:
    """Over 2,000 seconds the typical one-second move is within a fifth of the setting."""
    data = source(quotes_per_sec=10, volatility_bps=20, trade_probability=0, book_every=0)
    sink = await stream(data, Sink(), 2_000)
    mids = [quote.mid for quote in sink.quotes[::10]]
    moves = [later / earlier - 1 for earlier, later in pairwise(mids)]
    typical = (sum(move * move for move in moves) / len(moves)) ** 0.5
    assert typical * 10_000 == pytest.approx(20, rel=0.2)


async def test_trades_print_at_the_quote_and_within_its_size(autojump_clock: MockClock) -> None:
    sink = Sink()
    await stream(source(trade_probability=1.0), sink, 10)
    assert len(sink.trades) == len(sink.quotes)
    for quote, trade in zip(sink.quotes, sink.trades, strict=True):
        buys = trade.aggressor.value == "buy"
        assert trade.price == (quote.ask if buys else quote.bid)
        assert 0 < trade.quantity <= (quote.ask_size if buys else quote.bid_size)
    assert [trade.trade_id for trade in sink.trades] == list(range(1, len(sink.trades) + 1))


async def test_the_book_begins_whole_and_agrees_with_the_quotes(
    autojump_clock: MockClock,
) -> None:
    """Its best prices and sizes are those of the quote with the same update id."""
    agreed = 0

    class Checking(Sink):
        def on_book(self, levels: BookLevels) -> None:
            nonlocal agreed
            super().on_book(levels)
            assert levels.snapshot is (len(self.books) == 1)
            assert len(self.bids) == len(self.asks) == 5
            bid, ask = max(self.bids), min(self.asks)
            assert bid < ask
            if self.quotes and self.quotes[-1].update_id == levels.update_id:
                quote = self.quotes[-1]
                assert (bid, self.bids[bid]) == (exact(quote.bid), exact(quote.bid_size))
                assert (ask, self.asks[ask]) == (exact(quote.ask), exact(quote.ask_size))
                agreed += 1

    await stream(source(), Checking(), 60)
    assert agreed == 240


async def test_a_reconnect_goes_on_where_the_market_was(autojump_clock: MockClock) -> None:
    """Ids only grow, and each stream begins with a snapshot."""
    data, sink = source(), Sink()
    await stream(data, sink, 5)
    await stream(data, sink, 5)
    ids = [quote.update_id for quote in sink.quotes]
    assert ids == sorted(set(ids))
    assert [book.snapshot for book in sink.books].count(True) == 2


async def test_polling_does_not_move_the_market(autojump_clock: MockClock) -> None:
    data, sink = source(), Sink()
    await stream(data, sink, 1)
    last = sink.quotes[-1]
    await data.poll({"ETHUSDT": ETH}, sink)
    polled = sink.quotes[-1]
    assert (polled.bid, polled.update_id) == (last.bid, last.update_id)


async def test_a_symbol_that_does_not_exist_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(VenueError, match="no such symbol: NONSENSE"):
        async with source().connect({"NONSENSE": ETH}, Sink()):
            pass


async def test_falls_silent_at_its_limit_and_still_answers_pings(
    autojump_clock: MockClock,
) -> None:
    """The snapshot with which a stream begins does not count."""
    sink, data = Sink(), source(limit=1_000, speed="max")
    async with data.connect({"ETHUSDT": ETH}, sink) as session, trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await trio.sleep(3_600)
        assert sink.events == 1_001
        await session.ping()
        nursery.cancel_scope.cancel()


async def test_at_full_speed_others_still_get_their_turn() -> None:
    """Between two turns of another task there are never much more than a hundred events."""
    sink, data = Sink(), source(limit=20_000, speed="max")
    most = 0
    async with data.connect({"ETHUSDT": ETH}, sink) as session, trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        while sink.events < 20_000:
            before = sink.events
            await trio.lowlevel.checkpoint()
            most = max(most, sink.events - before)
        nursery.cancel_scope.cancel()
    assert 0 < most <= 210


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"quotes_per_sec": 0}, "quotes_per_sec: must be a number from 0.001"),
        ({"prices": {"ETHUSDT": "2500.001"}}, "ETHUSDT must be a multiple of 0.01"),
        ({"prices": {"ETHUSDT": "0.5"}}, "from 1 to 1000000, got 0.5"),
        ({"speed": "fast"}, "speed"),
        ({"seed": -1}, "seed: must be a whole number at least 0"),
        ({"volatilty_bps": 1}, 'did you mean "volatility_bps"?'),
    ],
)
def test_a_mistake_is_told_with_its_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        structure(SyntheticSettings, table, "venues.made_up")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


async def test_begins_at_the_price_it_was_told(autojump_clock: MockClock) -> None:
    sink = Sink()
    data = source(prices={"ETHUSDT": Decimal(3000)}, volatility_bps=1)
    await data.poll({"ETHUSDT": ETH, "BTCUSDT": BTC}, sink)
    assert sink.quotes[0].mid == pytest.approx(3000, rel=0.001)
    assert sink.quotes[1].mid == pytest.approx(60_000, rel=0.001)
