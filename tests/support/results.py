"""A backtest's result without a backtest: a random walk, and fills booked through the ledger."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from trade_runtime.backtest.result import BookedFill, Result, Sample, StrategyResult
from trade_runtime.machines.ledger import Ledger
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, StrategyName, TradeId
from trade_runtime.model.orders import ZERO, OrderType, Side

START_NS = 1_722_470_400 * 10**9  # 2024-08-01, midnight
DAY_NS = 86_400 * 10**9
ETH, BTC = InstrumentId("ETHUSDT.sim"), InstrumentId("BTCUSDT.sim")
USDT = Currency("USDT")
FEE_RATE = Decimal("0.00075")


def random_result(
    fills: int,
    *,
    days: float = 40,
    samples: int = 1_000,
    strategies: tuple[str, ...] = ("maker", "trend"),
    start: Mapping[str, str] | None = None,
    seed: int = 1,
    **changes: Any,
) -> Result:
    """What a backtest over two instruments might have come to.

    Args:
        fills: how many, spread over the history.
        days: of the history.
        samples: how many.
        strategies: their names; each takes its turn.
        start: balances at first.
        seed: of the walk.
        changes: fields of the result to set otherwise.
    """
    rng = random.Random(seed)
    span_ns = int(days * DAY_NS)
    prices = {ETH: Decimal("2500.00"), BTC: Decimal("60000.0")}
    ledger, booked, taken = Ledger(), list[BookedFill](), list[Sample]()
    moments = sorted(
        [(START_NS + span_ns * (n + 1) // (fills + 1), 0) for n in range(fills)]
        + [(START_NS + span_ns * n // max(samples - 1, 1), 1) for n in range(samples)]
    )
    for ts_ns, is_sample in moments:
        for one, tick in ((ETH, "0.01"), (BTC, "0.1")):
            step = Decimal(str(rng.gauss(0, 2e-4)))
            prices[one] = (prices[one] * (1 + step)).quantize(Decimal(tick))
        if is_sample:
            taken.append(_sample(ts_ns, ledger, prices))
        else:
            booked.append(_booked(len(booked), ts_ns, ledger, prices, rng, strategies))
    return _result(ledger, booked, taken, prices, span_ns, strategies, start, changes)


def _booked(
    number: int,
    ts_ns: int,
    ledger: Ledger,
    prices: Mapping[InstrumentId, Decimal],
    rng: random.Random,
    strategies: tuple[str, ...],
) -> BookedFill:
    strategy = StrategyName(strategies[number % len(strategies)])
    instrument = ETH if rng.random() < 0.6 else BTC
    position = ledger.position(strategy, instrument)
    held, before = position.quantity, position.realised
    lean = 0.5 if not held else 0.25 if held > 0 else 0.75
    side = Side.BUY if rng.random() < lean else Side.SELL
    closing = held and (held > 0) != (side is Side.BUY) and rng.random() < 0.6
    quantity = abs(held) if closing else Decimal(rng.randint(1, 50)) / 1_000
    price = prices[instrument]
    fill = Fill(
        client_order_id=ClientOrderId(f"t-{number}"),
        instrument=instrument,
        trade_id=TradeId(str(number)),
        side=side,
        quantity=quantity,
        price=price,
        fee=quantity * price * FEE_RATE,
        fee_currency=USDT,
        maker=rng.random() < 0.7,
        ts_ns=ts_ns,
    )
    position.apply(fill)
    return BookedFill(
        fill,
        strategy,
        OrderType.LIMIT if fill.maker else OrderType.MARKET,
        position.realised - before,
        position.quantity,
        position.average_price,
    )


def _sample(ts_ns: int, ledger: Ledger, prices: Mapping[InstrumentId, Decimal]) -> Sample:
    pnl, held = 0.0, dict.fromkeys(prices, 0.0)
    for position in ledger:
        gain = position.realised + position.unrealised(prices[position.instrument])
        pnl += float(gain - position.fees.get(USDT, ZERO))
        held[position.instrument] += float(position.quantity)
    return Sample(ts_ns, {USDT: pnl}, held, {one: float(p) for one, p in prices.items()})


def _result(
    ledger: Ledger,
    booked: list[BookedFill],
    taken: list[Sample],
    prices: Mapping[InstrumentId, Decimal],
    span_ns: int,
    strategies: tuple[str, ...],
    start: Mapping[str, str] | None,
    changes: Mapping[str, Any],
) -> Result:
    positions = dict.fromkeys(prices, ZERO)
    for position in ledger:
        positions[position.instrument] += position.quantity
    begun = {Currency(n): Decimal(v) for n, v in (start or {"USDT": "10000"}).items()}
    realised = sum((position.realised for position in ledger), ZERO)
    fees = sum((position.fees.get(USDT, ZERO) for position in ledger), ZERO)
    made = Result(
        runtime="walk",
        outcome="complete",
        reason="the history ended",
        started_ns=START_NS,
        ended_ns=START_NS + span_ns,
        events=12_345_678,
        orders=len(booked) * 2,
        refused=3,
        rejected=1,
        fills=booked,
        engine_secs=31.4,
        loading_secs=2.5,
        positions=positions,
        realised_pnl={USDT: realised},
        unrealised_pnl={
            USDT: sum((one.unrealised(prices[one.instrument]) for one in ledger), ZERO)
        },
        fees={USDT: fees} if booked else {},
        balances={USDT: begun.get(USDT, ZERO) + realised - fees},
        start_balances=begun,
        samples=taken,
        strategies=[StrategyResult(StrategyName(name), "stopped", "") for name in strategies],
        quotes=dict.fromkeys(prices, USDT),
    )
    return attrs.evolve(made, **changes)
