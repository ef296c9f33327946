"""History before trading: fetched from the source of market data, handed to strategies that ask for
`warmup_bars`, and joined to the live bars without a gap.

Only bars by time, made of trades, can be fetched. What cannot is no error: a strategy then warms up
from live data, which takes as long as its bars take, and the log says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog
import trio

from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.lifecycle.layer import Layer
from trade_runtime.machines.bar_join import BarJoin
from trade_runtime.machines.bars import length_ns
from trade_runtime.managers.bars import StrategyBars
from trade_runtime.managers.prices import PriceManager
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar

log = structlog.get_logger("strategies")

HISTORY_TIMEOUT_SECS = 20.0
"""How long the start waits for the history of all strategies together."""

FILL_TIMEOUT_SECS = 10.0
FILL_TRIES = 5
FILL_RETRY_SECS = 1.0
"""How often, and how soon, bars that ended around the start are asked for again."""

SPARE_BARS = 2
"""Asked for beyond what is missing: others may end while the question is under way."""


async def warm_up(strategies: Sequence[StrategyBars], prices: PriceManager, layer: Layer) -> None:
    """Give each strategy the history that it asks for; before its bars are built and data flows.

    Args:
        strategies: those that are to trade.
        prices: whom to ask.
        layer: where a task waits for the join with the live bars. A cancellation loses nothing.
    """
    with trio.move_on_after(HISTORY_TIMEOUT_SECS) as deadline:
        for bars in strategies:
            if bars.plan.warmup:
                await _give_history(bars, prices, layer)
    if deadline.cancelled_caught:
        log.warning(
            "History did not come in time: strategies warm up from live data",
            secs=HISTORY_TIMEOUT_SECS,
        )


async def _give_history(bars: StrategyBars, prices: PriceManager, layer: Layer) -> None:
    plan = bars.plan
    if plan.kind != "time" or plan.source != "trades":
        log.info("Bars of this kind have no history: live data warms up", strategy=bars.strategy)
        return
    try:
        history = await _fetch(bars, prices, bars.instruments, plan.warmup)
    except (VenueError, ConfigError) as error:
        log.warning(
            "No history: the strategy warms up from live data",
            strategy=bars.strategy,
            error=str(error),
        )
        return
    gaps = len({bar.instrument for bar in history})
    # It stays open: it is told of a gap on the way of a trade, whatever has become of the reader.
    send, receive = trio.open_memory_channel[BarJoin](gaps)
    bars.hand_on(history, send.send_nowait)
    log.info("History was handed on", strategy=bars.strategy, bars=len(history))
    if bars.warmup.active:
        log.warning(
            "History is too short: live data does the rest",
            strategy=bars.strategy,
            detail=bars.warmup.describe(),
        )
    if gaps:
        layer.start_soon(
            partial(_fill_gaps, bars, prices, receive, gaps), name=f"join-{bars.strategy}"
        )


async def _fetch(
    bars: StrategyBars, prices: PriceManager, wanted: Sequence[InstrumentId], count: int
) -> list[Bar]:
    return bars.whole(await prices.history(wanted, bars.plan.size, count))


async def _fill_gaps(
    bars: StrategyBars,
    prices: PriceManager,
    gaps: trio.MemoryReceiveChannel[BarJoin],
    expected: int,
) -> None:
    for _ in range(expected):
        await _fill(await gaps.receive(), bars, prices)


async def _fill(join: BarJoin, bars: StrategyBars, prices: PriceManager) -> None:
    """Ask for what is missing between history and live bars until it is there, or give up."""
    each_ns = length_ns(bars.plan.size)
    why = "the venue does not have it"
    for _ in range(FILL_TRIES):
        missing = (join.missing_ns - join.known_ns) // each_ns + len(join.held) + SPARE_BARS
        try:
            with trio.fail_after(FILL_TIMEOUT_SECS):
                found = await _fetch(bars, prices, [join.instrument], missing)
        except (VenueError, ConfigError, trio.TooSlowError) as error:
            why = str(error) or "too slow"
        else:
            if join.joined or join.fill(found):
                return
        await trio.sleep(FILL_RETRY_SECS)
    log.warning(
        "Bars between history and live data are missing",
        strategy=bars.strategy,
        instrument=join.instrument,
        reason=why,
    )
    join.give_up()
