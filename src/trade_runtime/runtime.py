"""The runtime: the five layers nested in the one order, and the handle to it.

Who lives longer stands further out, so the order in which they open, and in reverse the order in
which they stop, is the `async with` of `_nest`. A stop is a cancellation of what the nest's body
does, whoever asked for it: each layer then closes shielded, within the ladder. The host's own
cancellation never reaches the nest; it arrives as a stop request, so there is one way to stop and
no other.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import trio

from trade_runtime.beneath import beneath, fed
from trade_runtime.errors import StoreError, TradeRuntimeError
from trade_runtime.lifecycle.clock import SystemClock, fresh_seed
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.lifecycle.report import OUTCOMES, StopReport, file_name, iso
from trade_runtime.lifecycle.tasks import first_of, leaves
from trade_runtime.loading import load_strategies
from trade_runtime.managers.memory import StateKeeper
from trade_runtime.managers.prices import PriceManager, open_prices, watched
from trade_runtime.managers.state import StateManager, flushed, open_state
from trade_runtime.managers.strategies import StrategyHost, check_strategies, open_strategies
from trade_runtime.managers.trading import Trading, open_orders
from trade_runtime.managers.venues import VenueManager, open_venues
from trade_runtime.model.ids import StrategyName
from trade_runtime.model.records import RuntimeStopped
from trade_runtime.operator import OperatorCalls
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Clock, Environment
from trade_runtime.settings import Settings
from trade_runtime.strategy import Strategy
from trade_runtime.verdict import exit_code, make_report, positions

if TYPE_CHECKING:
    from trade_runtime.managers.cache import CacheManager

log = structlog.get_logger("runtime")
stop_log = structlog.get_logger("shutdown")
"""The steps of the stop: they have a level of their own, `shutdown.log_level`."""

TURN_SECS = 0.1
"""How often, during a stop, the loop shows that it turns."""


class Runtime(OperatorCalls):
    """A handle to a running runtime: look at it, ask it to stop, wait for its report.

    Made by `open_runtime`. The attributes named after layers are None until that layer is open, and
    stay after it closed.
    """

    def __init__(
        self, settings: Settings, strategies: Sequence[Strategy], plugins: Plugins, clock: Clock
    ) -> None:
        self.settings = settings
        self.ladder = Ladder(settings.shutdown)
        self.clock = clock
        self.report: StopReport | None = None
        """Of the stop; None until it is over."""
        self.report_path: Path | None = None
        """Where the report was written; None where it was not."""
        self.stop_reason: str | None = None
        """Why the runtime stops; None while it runs."""
        self.error: Exception | None = None
        """What made it stop by itself, if something failed."""
        self.cache: CacheManager | None = None
        self.venues: VenueManager | None = None
        self.state: StateManager | None = None
        self.prices: PriceManager | None = None
        self.trading: Trading | None = None
        self.hosts: list[StrategyHost] = []
        self.started_at = iso(clock.now_ns())
        self._strategies = strategies
        self._plugins = plugins
        self._seed = settings.runtime.seed
        if self._seed is None:
            self._seed = fresh_seed()
        self.turned_at = 0.0
        """When, on trio's clock, the loop last turned during the stop."""
        self.on_stop_begins: Callable[[], None] = lambda: None
        """Called when the stop begins. Who enforces the total cap from outside the loop sets it."""
        self.ladder.on_start = self._stop_begins
        self.task: trio.lowlevel.Task | None = None
        """The task of `serve`; every other task of the runtime is below it."""
        self._stopping = trio.Event()
        self._scope = trio.CancelScope()
        self._running = trio.Event()
        self._stopped = trio.Event()

    @property
    def start_error(self) -> Exception | None:
        """Why it never ran; None once it ran, or when it was told to stop before."""
        failed = self._stopped.is_set() and not self._running.is_set()
        return self.error if failed else None

    @property
    def stop_requested(self) -> bool:
        """Whether a stop was asked for, by anyone, or a failure asked for it."""
        return self.stop_reason is not None

    def request_stop(self, reason: str) -> None:
        """Ask for the ordered stop; a repeated request changes nothing. Never blocks.

        Args:
            reason: in words, for the report and the log.
        """
        if self.stop_reason is None:
            self.stop_reason = reason
            self.ladder.start()
            stop_log.info("Shutdown started", reason=reason)
            self._scope.cancel()

    @property
    def phase(self) -> str:
        """How far it is: `starting`, `running` or `stopping`."""
        if self.stop_requested or self.ladder.started:
            return "stopping"
        return "running" if self._running.is_set() else "starting"

    @property
    def over(self) -> bool:
        """Whether the stop is over."""
        return self._stopped.is_set()

    def positions(self) -> list[dict[str, Any]]:
        """Return every open position and its protection, in the words of the report."""
        return positions(self)

    async def running(self) -> None:
        """Return when every layer is open, or when the runtime has stopped without getting
        there.
        """
        await first_of(self._running.wait, self._stopped.wait)

    async def stopped(self) -> None:
        """Return when the runtime has stopped and `report` is there."""
        await self._stopped.wait()

    def environment(self, name: str) -> Environment:
        """Return what a part of this name is given of the world: randomness of its own stream."""
        return Environment(
            self.clock,
            random.Random(f"{self._seed}:{name}"),
            self.settings.runtime.data_dir,
            structlog.get_logger(name),
        )

    def _stop_begins(self) -> None:
        self._stopping.set()
        self.on_stop_begins()

    async def _turn(self) -> None:
        await self._stopping.wait()
        while True:
            self.turned_at = trio.current_time()
            await trio.sleep(TURN_SECS)

    async def serve(self) -> None:
        """Run from opening the first layer to the report, whatever the host cancels meanwhile."""
        self.task = trio.lowlevel.current_task()
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._turn, name="trade_runtime/turning")
                fatal = None
                try:
                    async with beneath(self, self._plugins) as self.cache:
                        try:
                            with self._scope:
                                await self._nest()
                        except BaseException as error:
                            fatal = self._failed(error)
                except BaseException as error:
                    fatal = fatal or self._failed(error)
                nursery.cancel_scope.cancel()
            self._finish()
        if fatal is not None:
            raise fatal

    async def _nest(self) -> None:
        settings, ladder = self.settings, self.ladder
        store = self._plugins.named_store(
            settings, self.environment("store"), read_only=False, standby=settings.owner.standby
        )
        env = self.environment("runtime")
        traded = [i for strategy in self._strategies for i in strategy.instruments]
        async with (
            trio.open_nursery() as outermost,
            open_state(
                settings.runtime.name,
                store,
                settings.store,
                ladder,
                self.clock,
                env.rng,
                self._final,
                self.cache,
            ) as self.state,
            open_venues(
                settings, self._plugins.venues, ladder, self.environment, self.state, traded
            ) as self.venues,
            open_prices(
                watched(traded, self.state.trading, self.venues),
                settings.prices,
                settings.supervision,
                self.venues,
                ladder,
                env.rng,
            ) as self.prices,
            fed(self),
            flushed(self.state, ladder),
            open_orders(
                settings, self.venues, self.prices, self.state, ladder, env
            ) as self.trading,
            open_strategies(
                self._strategies,
                {StrategyName(s.name): s.bar_plan for s in settings.strategies},
                self.prices,
                self.trading.orders,
                StateKeeper(self.state, settings.store.save_secs),
                ladder,
                self.clock,
                outermost,
                lambda: self.stop_reason or "a part of the runtime failed",
            ) as self.hosts,
        ):
            self.state.on_failed = self._store_failed
            self._running.set()
            log.info(
                "Running", runtime=settings.runtime.name, strategies=[h.name for h in self.hosts]
            )
            await trio.sleep_forever()

    def _store_failed(self, error: StoreError) -> None:
        self.error = self.error or error
        self.request_stop(f"the store failed: {error}")

    def _failed(self, error: BaseException) -> BaseException | None:
        """Take what came out of the nest; return it where it is not ours to keep.

        A KeyboardInterrupt and its like go on to the host, once the stop is over and reported.
        """
        found = leaves(error)
        errors = [e for e in found if isinstance(e, Exception)]
        foreign = [e for e in found if not isinstance(e, Exception)]
        if errors:
            self.error = self.error or next(
                (e for e in errors if isinstance(e, TradeRuntimeError)), errors[0]
            )
        if self.stop_reason is None:
            self.stop_reason = type(foreign[0]).__name__ if foreign else f"failed: {self.error}"
        if errors and not foreign and all(isinstance(e, TradeRuntimeError) for e in errors):
            log.error("A part of the runtime failed", error=str(self.error))
        else:  # a defect: show where
            log.error("A part of the runtime failed", exc_info=error)
        return error if foreign else None

    def _final(self) -> RuntimeStopped:
        return RuntimeStopped(self.stop_reason or "failed", OUTCOMES[exit_code(self)])

    def _finish(self) -> None:
        self._stopped.set()
        self.report = make_report(self)
        self.write_report(self.report)
        stop_log.info(
            "Shutdown complete",
            outcome=self.report.outcome,
            exit_code=self.report.exit_code,
            duration_secs=self.report.duration_secs,
            verified=self.report.state["verified"],
            orders_left=len(self.report.orders["left_open"]),
            tasks_left=list(self.report.tasks_left),
            connections_left=list(self.report.connections_left),
        )

    def write_report(self, report: StopReport) -> None:
        """Leave a report with the others of this runtime; a failure to is logged, never raised."""
        if self.state is None:
            return  # it never owned the state: it leaves nothing there
        path = self.settings.runtime.data_dir / "reports" / file_name(self.clock.now_ns())
        try:
            report.write(path)
            self.report_path = path
        except OSError as error:
            log.error("The stop report could not be written", path=str(path), error=str(error))


def create_runtime(
    settings: Settings,
    *,
    strategies: Sequence[Strategy] | None = None,
    plugins: Plugins | None = None,
    clock: Clock | None = None,
) -> Runtime:
    """Make a runtime that has not begun yet: nothing is opened, read or written.

    Arguments and ConfigError as for `open_runtime`.
    """
    own = load_strategies(settings) if strategies is None else list(strategies)
    check_strategies(own)
    return Runtime(settings, own, plugins or Plugins(), clock or SystemClock())


@asynccontextmanager
async def run_runtime(runtime: Runtime) -> AsyncIterator[Runtime]:
    """Begin a runtime; the block and its errors are those of `open_runtime`."""
    error: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runtime.serve, name="trade_runtime")
        try:
            await runtime.running()
            if runtime.start_error is None:
                yield runtime
        except Exception as raised:
            error = raised  # it leaves the block as it is, not in the nursery's group
        finally:
            runtime.request_stop("the block was left or cancelled")
            with trio.CancelScope(shield=True):
                await runtime.stopped()
    if error is None:
        error = runtime.start_error
    if error is not None:
        raise error


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    strategies: Sequence[Strategy] | None = None,
    plugins: Plugins | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Runtime]:
    """Run a runtime inside your own Trio program.

    The block begins when every layer is open: the journal and the venues agree, positions are
    protected, strategies have started. Leaving the block is the ordered stop; so is a cancellation
    of the block, at any moment, and `Runtime.request_stop`. A runtime that stops by itself does not
    cancel the block: wait for `Runtime.stopped`. It installs no signal handlers and keeps no
    globals; within the ladder's budgets it delays a cancellation for as long as its stop takes.

    Args:
        settings: the configuration.
        strategies: to run instead of those that the settings name.
        plugins: to find venues and stores instead of the installed ones.
        clock: the time of day instead of the machine's.

    Raises:
        ConfigError: the configuration cannot be run.
        StoreError: the state is held by another, or damaged.
        VenueError: a venue could not be reached, or does not agree with the journal.
    """
    runtime = create_runtime(settings, strategies=strategies, plugins=plugins, clock=clock)
    async with run_runtime(runtime):
        yield runtime


async def serve(
    settings: Settings,
    *,
    strategies: Sequence[Strategy] | None = None,
    shutdown_trigger: Callable[[], Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[Runtime] = trio.TASK_STATUS_IGNORED,
) -> StopReport:
    """Run a runtime until it stops, and return its report.

    Args:
        settings: the configuration.
        strategies: to run instead of those that the settings name.
        shutdown_trigger: when it returns, the runtime stops.
        task_status: given the `Runtime` once it runs, for `nursery.start`.

    Raises:
        ConfigError: the configuration cannot be run.
        StoreError: the state is held by another, or damaged.
        VenueError: a venue could not be reached, or does not agree with the journal.
    """
    async with open_runtime(settings, strategies=strategies) as runtime:
        task_status.started(runtime)
        if shutdown_trigger is not None:
            await first_of(shutdown_trigger, runtime.stopped)
            runtime.request_stop("the shutdown trigger fired")
        await runtime.stopped()
    assert runtime.report is not None
    return runtime.report
