"""A backtest and the live runtime in virtual time come to the same, to the last digit.

The same strategy objects, configuration and history; other venue, clock and journal beneath. What
the strategy was told, in which order and when, is compared, and the ledger, the fills, the account.
"""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trade_runtime import Fill, Order, OrderRefused, OrderUpdate, Quote, Settings, Strategy, Trade
from trade_runtime.backtest.run import Backtest
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.orders import Side
from trade_runtime.protocols import MarketEvent
from trade_runtime.testing.history import Played, play

ETH = InstrumentId("ETHUSDT.sim")
BTC = InstrumentId("BTCUSDT.sim")
START_NS = 1_700_000_000_000_000_000


def settings(
    folder: Path,
    latency_ms: float,
    venue: dict[str, Any] | None = None,
    **sections: dict[str, Any],
) -> Settings:
    """One file for both."""
    rules = {"tick": "0.01", "lot": "0.001", "quote": "USDT"}
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
        "instruments": {ETH: {**rules, "base": "ETH"}, BTC: {**rules, "base": "BTC"}},
    }
    for name, table in sections.items():
        mapping[name] = {**mapping.get(name, {}), **table}
    return Settings.from_mapping(mapping, folder)


def market(seed: int, count: int = 600) -> list[MarketEvent]:
    """Two markets, quotes and trades, several of one nanosecond now and then."""
    rng = random.Random(seed)
    middle = {ETH: 200_000, BTC: 300_000}
    ts_ns, events = START_NS, list[MarketEvent]()
    for number in range(count):
        ts_ns += rng.choice((0, 1, 1_000, 7_000_000, 20_000_000, 250_000_000))
        one = rng.choice((ETH, BTC))
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


class Anything(Strategy):
    """Does whatever can be done, by its own dice, and notes all that it is told."""

    def __init__(self, seed: int) -> None:
        super().__init__("anything", [ETH, BTC])
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


@pytest.mark.parametrize("latency_ms", [0, 0.000001, 20])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_backtest_and_the_live_runtime_agree(
    tmp_path: Path, seed: int, latency_ms: float
) -> None:
    """Orders, fills, times, positions, fees, balances: all the same, whatever the strategy does."""
    agree(settings(tmp_path, latency_ms), seed)


PLAIN = ["market", "limit", "stop_market"]


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize(
    ("venue", "sections"),
    [
        ({"queue": "back"}, {}),
        ({"oco": False}, {}),
        ({"amend": False, "oco": False}, {}),
        ({"order_types": ["market", "limit"]}, {}),
        ({"order_types": PLAIN, "oco": False}, {"protection": {"required": "all"}}),
        ({}, {"protection": {"required": "all", "stop_pct": "0.1", "grace_secs": 0.3}}),
        ({}, {"risk": {"max_open_orders": 9, "max_position": {ETH: "2", BTC: "1"}}}),
    ],
    ids=["queue", "no groups", "no amends", "no stops", "protected", "guarded", "limits"],
)
def test_whatever_the_venue_holds(
    tmp_path: Path, venue: dict[str, Any], sections: dict[str, Any], seed: int
) -> None:
    """What the runtime does in the venue's place, and of itself, is the same in both."""
    agree(settings(tmp_path, 15, venue, **sections), seed)


def agree(setup: Settings, seed: int) -> None:
    """Run both, and compare."""
    events = market(seed)
    fast, slow = Anything(seed), Anything(seed)
    backtest = Backtest(setup, strategies=[fast], history=[events])
    result = backtest.run()
    played = live(setup, slow, events)
    assert len(result.fills) > 20
    assert slow.told == fast.told[: len(slow.told)]
    assert [fill.fill for fill in result.fills] == list(played.fills)
    assert ledger(played.trading) == ledger(backtest.journal.trading)
    assert dict(result.balances) == dict(played.balances)
    assert played.trading.intents == result.orders
