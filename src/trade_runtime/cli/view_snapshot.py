"""Reads what the live view shows off a runtime.

A part of the command line. `snapshot` only reads, keeps nothing, and costs the same however many
orders there ever were; a part of the runtime that is not open yet is simply empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice

import trio

from trade_runtime.cli.view_model import (
    Amount,
    FeedLine,
    OrderLine,
    PositionLine,
    StageLine,
    StrategyLine,
    ViewModel,
)
from trade_runtime.lifecycle.ladder import STAGES
from trade_runtime.managers.cover import Cover
from trade_runtime.managers.prices import PriceManager
from trade_runtime.managers.trading import Trading
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.instrument import exact
from trade_runtime.model.orders import ZERO
from trade_runtime.model.records import TradingMode
from trade_runtime.protocols import MarketDriven
from trade_runtime.runtime import Runtime

MAX_ORDERS = 50
"""Open orders that a snapshot names; the others are counted."""


def snapshot(runtime: Runtime) -> ViewModel:
    """Return what is to be shown of a runtime now. Call it within trio; it changes nothing."""
    started = datetime.fromisoformat(runtime.started_at).timestamp()
    trading, prices, state = runtime.trading, runtime.prices, runtime.state
    shown, reason = _state(runtime)
    positions = () if trading is None or prices is None else _positions(trading, prices)
    return ViewModel(
        runtime=runtime.settings.runtime.name,
        mode=_mode(runtime),
        state=shown,
        uptime_secs=max(0.0, runtime.clock.now_ns() / 1e9 - started),
        reason=reason,
        feeds=() if prices is None else _feeds(prices),
        positions=positions,
        net=() if prices is None else _net(positions, prices),
        orders=() if trading is None else _orders(trading),
        orders_total=0 if trading is None else trading.orders.trading.exposure.live_orders,
        strategies=tuple(StrategyLine(h.name, h.outcome, h.detail) for h in runtime.hosts),
        records=0 if state is None else state.seq,
        backlog=0 if state is None else state.seq - state.durable_seq,
        store_error="" if state is None or state.failed is None else str(state.failed),
        stages=_stages(runtime),
        stop_secs=runtime.ladder.took_secs,
        cap_secs=runtime.settings.shutdown.timeout_secs,
    )


def _state(runtime: Runtime) -> tuple[str, str]:
    if runtime.report is not None:
        return "stopped", runtime.report.reason
    if runtime.stop_reason is not None or runtime.ladder.started:
        return "stopping", runtime.stop_reason or ""
    if runtime.trading is None:
        return "starting", ""
    gate = runtime.trading.orders.gate
    if gate.mode is TradingMode.REDUCE_ONLY:
        return "halted", f"all but what makes positions smaller: {gate.mode_reason}"
    why = gate.halted or gate.mode_reason
    return ("halted", why) if gate.restricted else ("running", "")


def _mode(runtime: Runtime) -> str:
    if runtime.venues is None or not runtime.venues.trading:
        return ""
    driven = all(isinstance(venue, MarketDriven) for venue in runtime.venues.trading.values())
    return "paper" if driven else "live"


def _feeds(prices: PriceManager) -> tuple[FeedLine, ...]:
    lines = []
    for instrument, view in prices.views.items():
        health = "live" if view.streamed else "polling" if prices.is_fresh(instrument) else "stale"
        quote, stats = view.quote, view.stats
        lines.append(
            FeedLine(
                instrument,
                health,
                None if quote is None else quote.bid,
                None if quote is None else quote.ask,
                stats.quotes,
                stats.trades,
                stats.reconnects,
                stats.rest_polls,
                _places(prices, instrument),
            )
        )
    return tuple(lines)


def _positions(trading: Trading, prices: PriceManager) -> tuple[PositionLine, ...]:
    ledger = trading.orders.trading.ledger
    traded = [p for p in ledger if p.quantity or p.realised or p.fees]
    traded.sort(key=lambda p: (p.strategy, p.instrument))
    return tuple(
        _position(trading.guard.cover((p.strategy, p.instrument)), trading, prices) for p in traded
    )


def _position(cover: Cover, trading: Trading, prices: PriceManager) -> PositionLine:
    position = cover.position
    view = prices.views.get(position.instrument)
    mark = None
    if position.quantity and view is not None and view.quote is not None:
        mark = exact(view.quote.bid if position.quantity > 0 else view.quote.ask)
    if not position.quantity:
        protection = ""
    elif cover.plan.resting >= abs(position.quantity):
        protection = "yes"
    elif not cover.plan.needed:
        protection = "not required"
    else:
        protection = "partly" if cover.plan.resting else "no"
    stops = trading.orders.trading.stops(position.strategy, position.instrument)
    return PositionLine(
        position.strategy,
        position.instrument,
        position.quantity,
        position.average_price,
        mark,
        None if mark is None else position.unrealised(mark),
        position.realised,
        tuple(sorted(position.fees.items())),
        protection,
        tuple(s.trigger_price for s in stops if s.trigger_price is not None),
        _places(prices, position.instrument),
    )


def _places(prices: PriceManager, instrument: InstrumentId) -> int:
    rules = prices.instruments.get(instrument)
    return 0 if rules is None else max(0, -int(rules.tick.normalize().as_tuple().exponent))


def _net(positions: Sequence[PositionLine], prices: PriceManager) -> tuple[Amount, ...]:
    sums: dict[str, Decimal] = {}
    for position in positions:
        rules = prices.instruments.get(InstrumentId(position.instrument))
        if rules is not None:
            gain = position.realised + (position.unrealised or ZERO)
            sums[rules.quote] = sums.get(rules.quote, ZERO) + gain
        for currency, fee in position.fees:
            sums[currency] = sums.get(currency, ZERO) - fee
    return tuple(sorted(sums.items()))


def _orders(trading: Trading) -> tuple[OrderLine, ...]:
    live = trading.orders.trading.live
    entries = (order for order in live() if not order.spec.protective)
    stops = (order for order in live() if order.spec.protective)
    chosen = list(islice(entries, MAX_ORDERS))
    chosen += islice(stops, MAX_ORDERS - len(chosen))
    return tuple(
        OrderLine(
            order.id,
            order.strategy,
            order.instrument,
            order.side.value,
            order.type.value,
            order.filled,
            order.quantity,
            order.price if order.price is not None else order.trigger_price,
            order.state.value,
            order.spec.protective,
            order.cancel_requested,
        )
        for order in chosen
    )


def _stages(runtime: Runtime) -> tuple[StageLine, ...]:
    ladder = runtime.ladder
    if not ladder.started:
        return ()
    known = {result.name: result for result in ladder.results}
    lines = []
    for stage in STAGES:
        result = known.get(stage.name)
        if result is None:
            over = runtime.report is not None
            lines.append(
                StageLine(stage.name, stage.layer, "skipped" if over else "pending", 0.0, 0.0, "")
            )
            continue
        running = result is ladder.current
        took = result.took_secs
        if running:
            left = ladder.deadline(stage.name) - trio.current_time()
            took = max(took, result.budget_secs - left, 0.0)
        lines.append(
            StageLine(
                stage.name,
                stage.layer,
                "running" if running else result.outcome,
                result.budget_secs,
                took,
                result.detail,
            )
        )
    return tuple(lines)
