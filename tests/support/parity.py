"""One history, one configuration and one strategy for a backtest and for the live runtime, and the
comparison of the two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from trade_runtime import (
    Bar,
    Fill,
    Order,
    OrderBook,
    OrderRefused,
    OrderUpdate,
    Quote,
    Settings,
    Strategy,
    Trade,
)
from trade_runtime.backtest.run import Backtest
from trade_runtime.model.ids import InstrumentId, venue_of
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import BookLevels
from trade_runtime.model.orders import Side
from trade_runtime.protocols import MarketEvent
from trade_runtime.testing.history import Played, play

ETH = InstrumentId("ETHUSDT.sim")
BTC = InstrumentId("BTCUSDT.sim")
BTC_ELSEWHERE = InstrumentId("BTCUSDT.other")
START_NS = 1_700_000_000_000_000_000
STEPS_NS = (0, 1, 1_000, 7_000_000, 20_000_000, 250_000_000)
BOOK_DEPTH = 3
RULES = {"tick": "0.01", "lot": "0.001", "quote": "USDT"}


def settings(
    folder: Path,
    latency_ms: float,
    venue: dict[str, Any] | None = None,
    *,
    bars: dict[str, Any] | None = None,
    **sections: dict[str, Any],
) -> Settings:
    """One file for both.

    Args:
        folder: where its paths begin.
        latency_ms: of the venue.
        venue: over its other keys.
        bars: those of the strategy.
        sections: others, or over those there are.
    """
    mapping: dict[str, Any] = {
        "runtime": {"name": "parity", "data_dir": str(folder), "seed": 7},
        "store": {"url": "memory:///journal"},
        "prices": {"stale_after_secs": 10_000.0},
        "protection": {"required": "off"},
        "venues": {
            "sim": {
                "kind": "paper",
                "latency_ms": latency_ms,
                "fee_bps": "7.5",
                "maker_fee_bps": "-1",
                "balances": {"USDT": "1000000", "ETH": "100", "BTC": "100"},
                **(venue or {}),
            }
        },
        "instruments": {ETH: {**RULES, "base": "ETH"}, BTC: {**RULES, "base": "BTC"}},
        "strategies": [
            {"name": "anything", "class": "none.py:None", "instruments": [ETH], **(bars or {})}
        ],
    }
    for name, table in sections.items():
        mapping[name] = {**mapping.get(name, {}), **table}
    return Settings.from_mapping(mapping, folder)


def market(seed: int, count: int = 600, other: InstrumentId = BTC) -> list[MarketEvent]:
    """Two markets, quotes and trades, several of one nanosecond now and then."""
    rng = random.Random(seed)
    middle = {ETH: 200_000, other: 300_000}
    ts_ns, events = START_NS, list[MarketEvent]()
    for number in range(count):
        ts_ns += rng.choice(STEPS_NS)
        one = rng.choice((ETH, other))
        middle[one] += rng.randint(-40, 40)
        bid, ask = middle[one] / 100, (middle[one] + rng.randint(1, 9)) / 100
        if rng.random() < 0.7:
            sizes = rng.randint(1, 3000) / 1000, rng.randint(1, 3000) / 1000
            events.append(Quote(one, ts_ns, bid, ask, *sizes))
        else:
            side = rng.choice((Side.BUY, Side.SELL))
            price = ask if side is Side.BUY else bid
            events.append(Trade(one, ts_ns, price, rng.randint(1, 2000) / 1000, side, number))
    return events


def with_books(events: list[MarketEvent], seed: int) -> list[MarketEvent]:
    """The same with a book of each market: a snapshot with its first quote, changes later."""
    rng = random.Random(seed)
    seen: dict[InstrumentId, int] = {}
    mixed = list[MarketEvent]()
    for event in events:
        mixed.append(event)
        one = event.instrument
        if isinstance(event, Quote) and (one not in seen or rng.random() < 0.5):
            whole = one not in seen or rng.random() < 0.4
            seen[one] = seen.get(one, 0) + rng.randint(1, 3)
            bids, asks = levels(event, rng)
            mixed.append(BookLevels(one, event.ts_ns, seen[one], bids, asks, whole))
    return mixed


def levels(quote: Quote, rng: random.Random) -> Iterator[tuple[tuple[Decimal, Decimal], ...]]:
    """Bids and asks around a quote: some of a quantity of 0, which removes, some that cross."""
    for price, step in ((quote.bid, -1), (quote.ask, 1)):
        yield tuple(
            (exact(price) + step * Decimal(depth) / 100, Decimal(rng.randint(0, 3)))
            for depth in range(BOOK_DEPTH)
        )


class Anything(Strategy):
    """Does whatever can be done, by its own dice, and notes all that it is told."""

    def __init__(self, seed: int, other: InstrumentId = BTC) -> None:
        super().__init__("anything", [ETH, other])
        self.rng = random.Random(seed)
        self.told: list[tuple[object, ...]] = []
        self.orders: list[Order] = []

    def on_quote(self, quote: Quote) -> None:
        self.told.append(("quote", self.trader.now_ns(), quote))
        for _ in range(self.rng.choice((0, 0, 0, 1, 2))):
            try:
                self.act(quote)
            except OrderRefused as refused:
                self.told.append(("refused", refused.reason))

    def act(self, quote: Quote) -> None:
        rng, trader, one = self.rng, self.trader, quote.instrument
        rules = trader.instrument(one)
        side = rng.choice((Side.BUY, Side.SELL))
        quantity = Decimal(rng.randint(5, 1500)) / 1000
        away = Decimal(rng.randint(-30, 300)) / 100
        price = rules.round_price(quote.mid - float(side.sign * away), up=False)
        beyond = rules.round_price(quote.mid + float(side.sign * abs(away)), up=False)
        live = [order for order in self.orders if order.is_live]
        match rng.randrange(11):
            case 0 | 1:
                self.orders.append(trader.market(one, side, quantity))
            case 2 | 3:
                self.orders.append(trader.limit(one, side, quantity, price))
            case 4:
                self.orders.append(trader.limit(one, side, quantity, price, post_only=True))
            case 5:
                tif = rng.choice(("ioc", "fok"))
                self.orders.append(trader.limit(one, side, quantity, price, tif=tif))
            case 6:
                ends = trader.now_ns() + rng.choice((1, 30_000_000, 2_000_000_000))
                limit = trader.limit(one, side, quantity, price, tif="gtd", expire_ns=ends)
                self.orders.append(limit)
            case 7:
                self.orders.append(trader.stop(one, side, quantity, beyond))
            case 8 if live:
                trader.cancel(rng.choice(live))
            case 9 if live:
                order = rng.choice(live)
                more = order.quantity + Decimal(rng.randint(-400, 400)) / 1000
                trader.amend(order, quantity=max(more, order.filled + Decimal("0.001")))
            case 10:
                stop, target = price - side.sign * 2, price + side.sign * 2
                made = trader.bracket(one, side, quantity, price=price, stop=stop, target=target)
                self.orders += [made.entry, made.stop, *filter(None, [made.target])]

    def on_trade(self, trade: Trade) -> None:
        self.told.append(("trade", self.trader.now_ns(), trade))

    def on_bar(self, bar: Bar) -> None:
        self.told.append(("bar", self.trader.now_ns(), bar))
        if self.rng.random() < 0.3:
            try:
                side = Side.BUY if bar.close > bar.open else Side.SELL
                self.orders.append(self.trader.market(bar.instrument, side, "0.1"))
            except OrderRefused as refused:
                self.told.append(("refused", refused.reason))

    def on_book(self, book: OrderBook) -> None:
        self.told.append(
            ("book", self.trader.now_ns(), book.ts_ns, book.update_id, book.bids(), book.asks())
        )
        best = book.best_bid
        if best is not None and self.rng.random() < 0.1:
            try:
                self.orders.append(self.trader.limit(book.instrument, "buy", "0.2", best[0]))
            except OrderRefused as refused:
                self.told.append(("refused", refused.reason))

    def on_order(self, event: OrderUpdate) -> None:
        order = event.order
        self.told.append(
            ("order", self.trader.now_ns(), event.kind, event.reason, event.ts_ns, repr(order))
        )

    def on_fill(self, fill: Fill) -> None:
        position = self.trader.position(fill.instrument)
        self.told.append(("fill", self.trader.now_ns(), fill, repr(position), position.realised))
        if self.rng.random() < 0.3:
            try:
                self.orders.append(
                    self.trader.market(fill.instrument, fill.side.opposite, fill.quantity)
                )
            except OrderRefused as refused:
                self.told.append(("refused", refused.reason))


def live(setup: Settings, strategy: Strategy, events: list[MarketEvent]) -> Played:
    """What the live runtime makes of it."""
    return trio.run(play, setup, [strategy], events, clock=MockClock(autojump_threshold=0))


def ledger(trading: Any) -> list[tuple[object, ...]]:
    """Every position, to the last digit."""
    return [
        (repr(p), p.realised, sorted(p.fees.items()), p.opened_ns)
        for p in sorted(trading.ledger, key=lambda p: p.instrument)
        if p.fees
    ]


class Waiting(Anything):
    """Places, alone, what waits for a trigger or ends by a date, and changes all its numbers."""

    def act(self, quote: Quote) -> None:
        rng, trader, one = self.rng, self.trader, quote.instrument
        rules = trader.instrument(one)
        side = rng.choice((Side.BUY, Side.SELL))
        quantity = Decimal(rng.randint(5, 1500)) / 1000
        away = Decimal(rng.randint(1, 150)) / 100
        worse = rules.round_price(exact(quote.mid) + side.sign * away, up=False)
        better = rules.round_price(exact(quote.mid) - side.sign * away, up=False)
        near = rng.choice((Decimal("-0.05"), Decimal(0), Decimal("0.3")))
        ends = trader.now_ns() + rng.choice((1, 30_000_000, 400_000_000, 3_000_000_000))
        ends += len(self.orders)  # no two dates are one: of two venues, either might be first then
        live = [order for order in self.orders if order.is_live]
        match rng.randrange(10):
            case 0:
                self.orders.append(trader.stop(one, side, quantity, worse, price=worse + near))
            case 1:
                self.orders.append(
                    trader.stop(
                        one, side, quantity, worse, price=worse + near, tif="gtd", expire_ns=ends
                    )
                )
            case 2:
                dated = trader.stop(one, side, quantity, worse, tif="gtd", expire_ns=ends)
                self.orders.append(dated)
            case 3:
                self.orders.append(
                    trader.take_profit(one, side, quantity, better, reduce_only=False)
                )
            case 4:
                self.orders.append(
                    trader.take_profit(
                        one, side, quantity, better, price=better + near, reduce_only=False
                    )
                )
            case 5:
                dated = trader.limit(one, side, quantity, better, tif="gtd", expire_ns=ends)
                self.orders.append(dated)
            case 6:
                self.orders.append(trader.stop_loss(one, side, quantity, trail=away))
            case 7:
                self.orders.append(trader.market(one, side, quantity))
            case _ if live:
                self.change(rng.choice(live), away)

    def change(self, order: Order, by: Decimal) -> None:
        """Amend the limit, the trigger or the quantity, or some of them at once."""
        spec, rng = order.spec, self.rng
        by *= rng.choice((-1, 1))
        chosen: dict[str, Decimal] = {}
        if spec.price is not None and rng.random() < 0.7:
            chosen["price"] = spec.price + by
        if spec.trigger_price is not None and spec.trail is None and rng.random() < 0.7:
            chosen["trigger_price"] = spec.trigger_price + by
        if not chosen or rng.random() < 0.3:
            chosen["quantity"] = order.filled + Decimal(rng.randint(1, 900)) / 1000
        self.trader.amend(order, **chosen)


def agree(
    setup: Settings,
    events: list[MarketEvent],
    make: Callable[[], Anything],
) -> Anything:
    """Run both, compare, and return the strategy with all that it was told."""
    fast, slow = make(), make()
    backtest = Backtest(setup, strategies=[fast], history=[events])
    result = backtest.run()
    played = live(setup, slow, events)
    assert len(result.fills) > 20
    assert slow.told == fast.told[: len(slow.told)]
    fills = [fill.fill for fill in result.fills]
    for venue in setup.venues:
        assert of_venue(venue, fills) == of_venue(venue, played.fills)
    assert len(fills) == len(played.fills)
    assert ledger(played.trading) == ledger(backtest.journal.trading)
    assert dict(result.balances) == dict(played.balances)
    assert played.trading.intents == result.orders
    return slow


def of_venue(venue: str, fills: Sequence[Fill]) -> list[Fill]:
    """The fills of one venue: each has a record of its own."""
    return [fill for fill in fills if venue_of(fill.instrument) == venue]
