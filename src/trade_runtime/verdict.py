"""What a stop comes to: its exit code and its report, from what the layers know.

Plain and quick functions: a forced exit calls them from a signal's handler, in the middle of
anything. Stands just below `runtime`, of which it only reads what `Stopping` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs
import trio

from trade_runtime.errors import (
    EXIT_CLEAN,
    EXIT_FAILED_PART,
    EXIT_FORCED,
    EXIT_UNCLEAN,
    ConfigError,
    StoreError,
)
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.lifecycle.report import OUTCOMES, StopReport, iso
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.prices import PriceManager
from trade_runtime.managers.state import StateManager
from trade_runtime.managers.strategies import StrategyHost
from trade_runtime.managers.trading import Trading
from trade_runtime.managers.venues import VenueManager
from trade_runtime.model.instrument import text
from trade_runtime.protocols import Clock
from trade_runtime.settings import Settings

if TYPE_CHECKING:
    from trade_runtime.managers.cache import CacheManager


class Stopping(Protocol):
    """A runtime, as far as a verdict on its stop needs to know it."""

    settings: Settings
    ladder: Ladder
    clock: Clock
    started_at: str
    stop_reason: str | None
    error: Exception | None
    task: trio.lowlevel.Task | None
    cache: CacheManager | None
    state: StateManager | None
    venues: VenueManager | None
    prices: PriceManager | None
    trading: Trading | None
    hosts: list[StrategyHost]

    @property
    def over(self) -> bool:
        """Whether the stop is over."""


NO_ORDERS: Final = {
    "open_at_stop": 0,
    "cancelled": 0,
    "filled": 0,
    "left_open": [],
    "foreign": {"claimed": 0, "cancelled": 0, "left": []},
}


def exit_code(runtime: Stopping, *, forced: bool = False) -> int:
    """Return the exit code that says how the stop went, as far as it went."""
    if forced:
        return EXIT_FORCED
    if isinstance(runtime.error, ConfigError):
        return runtime.error.exit_code
    # What strategies did in `halt` is their own affair: no order, position or record hangs on it.
    results = (stage for stage in runtime.ladder.results if stage.name != "halt")
    unclean = any(stage.outcome in ("failed", "timed_out") for stage in results)
    over = runtime.over and (connections_left(runtime) or tasks_left(runtime))
    if unclean or over or isinstance(runtime.error, StoreError):
        return EXIT_UNCLEAN
    return EXIT_CLEAN if runtime.error is None else EXIT_FAILED_PART


def make_report(runtime: Stopping, *, forced: bool = False) -> StopReport:
    """Return the report of the stop, as far as it went."""
    code = exit_code(runtime, forced=forced)
    trading, state, prices = runtime.trading, runtime.state, runtime.prices
    return StopReport(
        runtime=runtime.settings.runtime.name,
        reason=runtime.stop_reason or "",
        outcome=OUTCOMES.get(code, "failed"),
        exit_code=code,
        started_at=runtime.started_at,
        stopped_at=iso(runtime.clock.now_ns()),
        duration_secs=round(runtime.ladder.took_secs, 6),
        stages=[attrs.evolve(stage) for stage in runtime.ladder.stages()],
        orders=NO_ORDERS if trading is None else trading.orders_report(),
        positions=positions(runtime),
        state={
            "flushed": state is not None and state.flushed,
            "verified": state is not None and state.verified,
            "records": 0 if state is None else state.durable_seq,
        },
        market_data={
            instrument: attrs.asdict(view.stats)
            for instrument, view in (prices.views if prices is not None else {}).items()
        },
        strategies=[
            {"name": host.name, "outcome": host.outcome, "detail": host.detail}
            for host in runtime.hosts
        ],
        tasks_left=tasks_left(runtime),
        connections_left=connections_left(runtime),
        error="" if runtime.error is None else f"{type(runtime.error).__name__}: {runtime.error}",
        latch=latch(runtime),
        switch={} if trading is None else {n: s.report() for n, s in trading.switches.items()},
        cache=None if runtime.cache is None else runtime.cache.report(),
        owner=None if state is None else attrs.asdict(state.ownership),
    )


def latch(runtime: Stopping) -> dict[str, str] | None:
    """Return what restricts trading until somebody resumes it, as the report tells it."""
    found = None if runtime.state is None else runtime.state.trading.latch
    if found is None:
        return None
    return {"mode": str(found.mode), "reason": found.reason, "by": found.by}


def positions(runtime: Stopping) -> list[dict[str, Any]]:
    """Return every open position and its protection, as the report tells it."""
    if runtime.trading is None:
        return [] if runtime.state is None else known_positions(runtime.state.trading)
    return [
        {
            "strategy": cover.position.strategy,
            "instrument": cover.position.instrument,
            "quantity": text(cover.position.quantity),
            "protected": cover.plan.resting >= cover.size,
            "stop_order": cover.stop_order,
        }
        for cover in runtime.trading.guard.covers()
    ]


def known_positions(state: TradingState) -> list[dict[str, Any]]:
    """Return what the journal alone knows, where a start failed before the venues agreed: of a
    stop-loss it knows that it rested, and nobody knows whether it still does.
    """
    told = []
    for position in state.ledger.open():
        stops = state.stops(position.strategy, position.instrument)
        told.append(
            {
                "strategy": position.strategy,
                "instrument": position.instrument,
                "quantity": text(position.quantity),
                "protected": None,
                "stop_order": stops[-1].id if stops else None,
            }
        )
    return told


def connections_left(runtime: Stopping) -> list[str]:
    """Return the names of the connections that are open: streams, private ones, the store."""
    left: list[str] = []
    if runtime.venues is not None:
        left += runtime.venues.open_connections
    if runtime.prices is not None:
        left += runtime.prices.open_connections
    if runtime.state is not None and not runtime.state.closed:
        left.append("store")
    return left


def tasks_left(runtime: Stopping) -> list[str]:
    """Return the names of the tasks of the runtime that still run."""
    waiting = [] if runtime.task is None else list(runtime.task.child_nurseries)
    left: list[str] = []
    while waiting:
        for task in waiting.pop().child_tasks:
            left.append(task.name)
            waiting += task.child_nurseries
    return sorted(left)
