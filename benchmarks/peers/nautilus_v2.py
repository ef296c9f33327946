"""Runs the benchmark's strategy in NautilusTrader 2; `runner.py` says what it is given.

Runs inside an environment of its own that has nautilus_trader 2.x and pyarrow; prints JSON.
"""

from __future__ import annotations

import gc
from decimal import Decimal

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    OmsType,
    OrderFilled,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    Symbol,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy, StrategyConfig
from runner import Task, answer, number, timed

INSTRUMENT = InstrumentId.from_str("BTCUSDT.SIM")
VENUE = Venue("SIM")
USDT, BTC = Currency.from_str("USDT"), Currency.from_str("BTC")


class Cross(Strategy):
    """Two averages of the mid, and an order every so many quotes; sizes come in turn."""

    def setup(self, task: Task) -> None:
        self.every, self.n, self.fast, self.slow = task.every, 0, 0.0, 0.0
        self.away, self.alone, self.waits = task.away * 0.01, task.alone, False
        self.turns = [
            (OrderSide.SELL if sells else OrderSide.BUY, Quantity(float(size), 6))
            for sells, size in task.sizes
        ]

    def on_start(self) -> None:
        self.subscribe_quotes(INSTRUMENT)

    def on_quote(self, quote: QuoteTick) -> None:
        mid = (quote.bid_price.as_double() + quote.ask_price.as_double()) * 0.5
        if not self.n:
            self.fast = self.slow = mid
        self.fast += (mid - self.fast) * 0.18
        self.slow += (mid - self.slow) * 0.06
        self.n += 1
        if self.every and self.n % self.every == 0 and not (self.alone and self.waits):
            side, size = self.turns[self.n // self.every % len(self.turns) - 1]
            if not self.away:
                self.submit_order(self.order_factory.market(INSTRUMENT, side, size))
                return
            buys = side == OrderSide.BUY
            near, far = (quote.bid_price, -self.away) if buys else (quote.ask_price, self.away)
            price = Price(near.as_double() + far, 2)
            self.waits = True
            self.submit_order(self.order_factory.limit(INSTRUMENT, side, size, price))

    def on_order_filled(self, event: OrderFilled) -> None:
        self.waits = False


def engine_with(quotes: list[QuoteTick], strategy: Strategy) -> BacktestEngine:
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig.from_spec("stdout=Off"),
            bypass_logging=True,
            run_analysis=False,
            # By default it lets 100 orders a second pass, and denies the others.
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
        )
    )
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(10_000_000.0, USDT), Money(100.0, BTC)],
        fee_model=MakerTakerFeeModel(Decimal("0.0002"), Decimal("0.001")),
    )
    engine.add_instrument(
        CurrencyPair(
            INSTRUMENT,
            Symbol("BTCUSDT"),
            BTC,
            USDT,
            2,
            6,
            Price.from_str("0.01"),
            Quantity.from_str("0.000001"),
            0,
            0,
        )
    )
    engine.add_data(quotes)
    engine.add_strategy(strategy)
    return engine


def main() -> None:
    task = Task()
    quotes = [
        QuoteTick(INSTRUMENT, Price(b, 2), Price(a, 2), Quantity(bs, 6), Quantity(sz, 6), ts, ts)
        for ts, b, a, bs, sz in task.rows()
    ]
    strategy = Cross(StrategyConfig(log_events=False, log_commands=False))
    strategy.setup(task)
    engine = engine_with(quotes, strategy)
    gc.collect()
    gc.freeze()  # what was loaded is not looked through while the time runs
    secs = timed(engine.run)
    events = [e for o in engine.cache.orders() for e in o.events() if isinstance(e, OrderFilled)]
    balances = engine.cache.account_for_venue(VENUE).balances_total()
    answer(
        secs,
        quotes=len(quotes),
        fills=[
            (
                e.ts_event,
                "buy" if e.order_side == OrderSide.BUY else "sell",
                str(e.last_qty),
                str(e.last_px),
                number(e.commission),
            )
            for e in sorted(events, key=lambda event: event.ts_event)
        ],
        position=str(engine.portfolio.net_position(INSTRUMENT)),
        net_pnl=number(engine.portfolio.realized_pnl(INSTRUMENT) or 0),
        balances={currency.code: number(money) for currency, money in balances.items()},
    )


main()
