"""Runs the benchmark's strategy in NautilusTrader 1: `python nautilus_v1.py TICKS EVERY`.

Runs inside an environment of its own that has nautilus_trader 1.x and pyarrow; prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal

import pyarrow.parquet as pq
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import MakerTakerFeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

INSTRUMENT = InstrumentId.from_str("BTCUSDT.SIM")
FILLS: list[tuple[object, ...]] = []


class Cross(Strategy):
    """Two averages of the mid, and a market order every so many quotes, in turn buy and sell."""

    def setup(self, every: int) -> None:
        self.every, self.n, self.fast, self.slow = every, 0, 0.0, 0.0
        self.size = Quantity.from_str("0.010000")
        self.buys = True

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT)

    def on_quote_tick(self, quote: QuoteTick) -> None:
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
                "buy" if event.order_side == OrderSide.BUY else "sell",
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
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            run_analysis=False,
            # Its own default lets 100 orders a second pass, and drops the others.
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
        )
    )
    engine.add_venue(
        venue=Venue("SIM"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(10_000_000, USDT), Money(100, BTC)],
        fee_model=MakerTakerFeeModel(),
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
            maker_fee=Decimal("0.001"),
            taker_fee=Decimal("0.001"),
        )
    )
    engine.add_data(quotes)
    strategy = Cross()
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
