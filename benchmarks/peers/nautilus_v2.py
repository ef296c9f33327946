"""Runs the benchmark's strategy in NautilusTrader 2: `python nautilus_v2.py TICKS EVERY`.

Runs inside an environment of its own that has nautilus_trader 2.x and pyarrow; prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal

import pyarrow.parquet as pq
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
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    Symbol,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy, StrategyConfig

INSTRUMENT = InstrumentId.from_str("BTCUSDT.SIM")
FILLS: list[tuple[object, ...]] = []


class Cross(Strategy):
    """Two averages of the mid, and a market order every so many quotes, in turn buy and sell."""

    def setup(self, every: int) -> None:
        self.every, self.n, self.fast, self.slow = every, 0, 0.0, 0.0
        self.size = Quantity.from_str("0.010000")
        self.buys = True

    def on_start(self) -> None:
        self.subscribe_quotes(INSTRUMENT)

    def on_quote(self, quote: QuoteTick) -> None:
        mid = (quote.bid_price.as_double() + quote.ask_price.as_double()) * 0.5
        if not self.n:
            self.fast = self.slow = mid
        self.fast += (mid - self.fast) * 0.18
        self.slow += (mid - self.slow) * 0.06
        self.n += 1
        if self.every and self.n % self.every == 0:
            side = OrderSide.BUY if self.buys else OrderSide.SELL
            self.buys = not self.buys
            self.submit_order(self.order_factory.market(INSTRUMENT, side, self.size))

    def on_order_filled(self, event: object) -> None:
        FILLS.append(
            (
                event.ts_event,
                event.order_side.name.lower(),
                str(event.last_qty),
                str(event.last_px),
                str(event.commission),
            )
        )


def main() -> None:
    path, every = sys.argv[1], int(sys.argv[2])
    table = pq.read_table(path)
    columns = [table[name].to_pylist() for name in ("ts_ns", "bid", "ask", "bid_size", "ask_size")]
    quotes = [
        QuoteTick(INSTRUMENT, Price(b, 2), Price(a, 2), Quantity(bs, 6), Quantity(sz, 6), ts, ts)
        for ts, b, a, bs, sz in zip(*columns, strict=True)
    ]
    usdt, btc = Currency.from_str("USDT"), Currency.from_str("BTC")
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig.from_spec("stdout=Off"),
            bypass_logging=True,
            run_analysis=False,
            # Its own default lets 100 orders a second pass, and drops the others.
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
        )
    )
    engine.add_venue(
        venue=Venue("SIM"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(10_000_000.0, usdt), Money(100.0, btc)],
        fee_model=MakerTakerFeeModel(Decimal("0.001"), Decimal("0.001")),
    )
    engine.add_instrument(
        CurrencyPair(
            INSTRUMENT,
            Symbol("BTCUSDT"),
            btc,
            usdt,
            2,
            6,
            Price.from_str("0.01"),
            Quantity.from_str("0.000001"),
            0,
            0,
        )
    )
    engine.add_data(quotes)
    strategy = Cross(StrategyConfig(log_events=False, log_commands=False))
    strategy.setup(every)
    engine.add_strategy(strategy)
    begun, cpu = time.perf_counter(), time.process_time()
    engine.run()
    secs, cpu_secs = time.perf_counter() - begun, time.process_time() - cpu
    print(
        json.dumps(
            {"engine_secs": secs, "cpu_secs": cpu_secs, "quotes": len(quotes), "fills": FILLS}
        )
    )


main()
