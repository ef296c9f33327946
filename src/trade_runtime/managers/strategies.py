"""The strategies, the innermost layer: the first to be stopped.

A `StrategyHost` stands between a strategy and the runtime: what the strategy raises stops that one
alone. Handlers are called straight from the feed, by plain calls, and only those that the strategy
overrides. Closing is the stage `halt`: the gate closes, `on_stop` is called, tasks are cancelled.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
import trio

from trade_runtime.errors import ConfigError, OrderRefused, StrategyBlocked
from trade_runtime.lifecycle.ladder import Ladder, StageResult
from trade_runtime.lifecycle.layer import Layer, open_layer
from trade_runtime.machines.order import Order, OrderUpdate
from trade_runtime.managers.bars import StrategyBars
from trade_runtime.managers.memory import StateKeeper, check_hooks, keeps_state, try_save
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.prices import PriceManager
from trade_runtime.managers.readers import QuoteReader, Readers
from trade_runtime.managers.trader import Trader
from trade_runtime.managers.view import InstrumentView
from trade_runtime.managers.warmup import warm_up
from trade_runtime.model.bars import BarPlan
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import FOREIGN, InstrumentId, StrategyName
from trade_runtime.model.market import Quote
from trade_runtime.protocols import Clock
from trade_runtime.strategy import Strategy

log = structlog.get_logger("strategies")

STRATEGY_FAILURES = (Exception, SystemExit, StrategyBlocked)
"""What a strategy's code may raise without harm to the others."""

PLAIN_HANDLERS = (
    "on_quote",
    "on_trade",
    "on_bar",
    "on_book",
    "on_order",
    "on_fill",
    "on_stale",
    "on_save",
    "on_load",
    "on_migrate",
)
"""Handlers that must not be async: they are called on the way of an event, or of a commit."""


class StrategyHost:
    """Runs one strategy and keeps its failures to itself.

    Making one, and wiring its handlers, takes no running loop: a backtest does the same.

    Args:
        strategy: the trader's own.
        orders: takes its orders, and tells it what becomes of them.
        clock: for `now_ns`.
        bars: what bars it is given.
    """

    def __init__(
        self,
        strategy: Strategy,
        orders: OrderManager,
        clock: Clock,
        bars: BarPlan = BarPlan(),  # noqa: B008 - a frozen value
    ) -> None:
        self.strategy = strategy
        self.name = strategy.name
        self.outcome = "running"
        self.detail = ""
        instruments = tuple(strategy.instruments)
        on_bar = self._guarded(strategy.on_bar) if self._overrides("on_bar") else None
        self.bars = StrategyBars(self.name, instruments, bars, on_bar)
        self.trader = Trader(self.name, instruments, orders, clock, self.bars.warmup)
        strategy.trader = self.trader
        self._orders = orders
        self._active = True
        self._scope = trio.CancelScope()
        self._on_order = self._guarded(strategy.on_order) if self._overrides("on_order") else None
        self._on_fill = self._guarded(strategy.on_fill) if self._overrides("on_fill") else None
        self.on_touched: Callable[[], None] | None = None
        """Called after a fill was told. Set by the keeper of states, where one is kept."""
        self.on_save: Callable[[], None] | None = None
        """Called when the strategy has said goodbye. Likewise; what a backtest does until then."""
        if keeps_state(strategy):
            self.on_save = lambda: self.call(try_save, strategy)
        orders.listeners[self.name] = self

    def subscribe(
        self,
        views: Mapping[InstrumentId, InstrumentView],
        ready_made: Collection[InstrumentId] = (),
    ) -> None:
        """Have the views call the handlers that the strategy overrides.

        Args:
            views: what is known of each market, by instrument.
            ready_made: instruments whose bars come from elsewhere (`bars.feed`): none are made.
        """
        for instrument in self.strategy.instruments:
            view = views[instrument]
            readers = self.trader.quote_readers[instrument]
            view.quote_taps.append(self._quote_tap(readers))
            view.stale_taps.append(self._guarded(self.strategy.on_stale))
            if self._overrides("on_trade"):
                view.trade_taps.append(self._guarded(self.strategy.on_trade))
            if self._overrides("on_book"):
                view.book_taps.append(self._guarded(self.strategy.on_book))
            if self.bars.wanted and instrument not in ready_made:
                self.bars.build(view)

    def _overrides(self, handler: str) -> bool:
        return getattr(type(self.strategy), handler) is not getattr(Strategy, handler)

    def _guarded(self, handler: Callable[[Any], object]) -> Callable[[Any], None]:
        def call(event: Any) -> None:
            if self._active:
                try:
                    handler(event)
                except OrderRefused as refused:
                    self._refused(refused)
                except STRATEGY_FAILURES as error:
                    self.fail(error)

        return call

    def _quote_tap(self, readers: Readers[QuoteReader]) -> Callable[[Quote], None]:
        def to_readers(quote: Quote) -> None:
            for reader in readers.held():
                reader.put(quote)

        if not self._overrides("on_quote"):
            return to_readers
        handler = self.strategy.on_quote

        # Written out, where `_guarded` would do: it is called for every quote, and a call costs.
        def tap(quote: Quote) -> None:
            if self._active:
                try:
                    handler(quote)
                except OrderRefused as refused:
                    self._refused(refused)
                except STRATEGY_FAILURES as error:
                    self.fail(error)
            if readers:
                to_readers(quote)

        return tap

    @property
    def hears_orders(self) -> bool:
        """Whether the strategy wants to know how its orders go."""
        return self._on_order is not None or bool(self.trader.order_readers)

    def on_order(self, update: OrderUpdate) -> None:
        """Tell the strategy how an order goes."""
        if not self._active:
            return
        if self.trader.order_readers:
            try:
                for reader in self.trader.order_readers.held():
                    reader.put(update)
            except STRATEGY_FAILURES as error:
                self.fail(error)
        if self._on_order is not None:
            self._on_order(update)

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Tell the strategy of a fill."""
        if self._on_fill is not None:
            self._on_fill(fill)
        if self.on_touched is not None and self._active:
            self.on_touched()

    def on_owed(self, fill: Fill) -> None:
        """Tell the strategy of a fill that happened without it."""
        if self._on_fill is not None:
            self._on_fill(fill)

    @property
    def active(self) -> bool:
        """Whether the strategy is told of anything: it has neither failed nor ended."""
        return self._active

    def call(self, handler: Callable[..., Any], *args: Any) -> Any:
        """Call a plain handler and return what it does, or None where that failed the strategy."""
        try:
            return handler(*args)
        except STRATEGY_FAILURES as error:
            self.fail(error)
            return None

    def _refused(self, refused: OrderRefused) -> None:
        # A refusal that the strategy did not catch ends this call, not the strategy: limits, a halt
        # or stale data are part of trading, not a defect. While it warms up it is not even news.
        if refused.reason == "warmup":
            self.trader.log.debug("Order refused", reason=refused.reason, detail=refused.detail)
            return
        self.trader.log.warning("Order refused", reason=refused.reason, detail=refused.detail)

    def fail(self, error: BaseException) -> None:
        """Stop this strategy alone: cancel its entries, keep its positions protected."""
        detail = f"{type(error).__name__}: {error}"
        if not self._active:
            log.error("Strategy failed after its end", strategy=self.name, exc_info=error)
            if self.outcome == "stopped":
                self.outcome, self.detail = "failed", detail
            return
        self._active = False
        self.outcome, self.detail = "failed", detail
        log.error("Strategy failed; the others go on", strategy=self.name, exc_info=error)
        self._orders.stop_strategy(self.name, "failed", self.detail)
        self._scope.cancel()

    async def start(self) -> None:
        """Call `on_start`."""
        if self._active:
            await self._call(self.strategy.on_start)

    async def _call(self, handler: Callable[..., Awaitable[None] | None], *args: Any) -> None:
        try:
            result = handler(*args)
            if inspect.isawaitable(result):
                await result
        except OrderRefused as refused:
            self._refused(refused)
        except BaseException as error:
            self._keep(error)

    def _keep(self, error: BaseException) -> None:
        """Take what is the strategy's own affair of what it raised; let the rest go on.

        A nursery of its own may raise both in one group: a cancellation and an error.
        """
        own: BaseException | None
        rest: BaseException | None
        if isinstance(error, BaseExceptionGroup):
            own, rest = error.split(STRATEGY_FAILURES)
        else:
            own, rest = (error, None) if isinstance(error, STRATEGY_FAILURES) else (None, error)
        if own is not None:
            self.fail(own)
        if rest is not None:
            raise rest

    async def run(self) -> None:
        """Run the strategy's own task, if it has one, until it ends or the strategy fails."""
        run: Callable[[], Awaitable[None]] = getattr(self.strategy, "run")  # noqa: B009
        with self._scope:
            try:
                await run()
            except OrderRefused as refused:
                if self._orders.gate.restricted:
                    self._refused(refused)
                else:
                    self.fail(refused)
            except BaseException as error:
                self._keep(error)

    async def stop(self, reason: str, result: StageResult) -> None:
        """Call `on_stop`, in the time of the stage."""
        if not self._active:
            return
        done = False
        try:
            await self.finish(reason)
            done = True
        finally:
            if not done and self.active and self.on_save is not None:
                self.on_save()
            self._active = False
            if not done:
                self.outcome, self.detail = "timed_out", "on_stop did not end in time"
                result.detail += f"{self.name}: on_stop did not end in time; "
            elif self.outcome == "failed":
                result.fail(f"{self.name}: {self.detail}")

    async def finish(self, reason: str) -> None:
        """Call `on_stop`; after it the strategy hears of nothing more."""
        if self._active:
            await self._call(self.strategy.on_stop, reason)
            if self.on_save is not None and self._active:
                self.on_save()
            self._active = False
            if self.outcome != "failed":
                self.outcome = "stopped"


def check_strategies(strategies: Sequence[Strategy]) -> None:
    """Refuse strategies that could not be run.

    Raises:
        ConfigError: two of one name, a name that is taken, a plain handler that is async, or one
            that saves what it never loads.
    """
    names: set[StrategyName] = set()
    for strategy in strategies:
        if strategy.name in names:
            raise ConfigError(f"two strategies are named {strategy.name!r}: give each its own name")
        if strategy.name == FOREIGN:
            raise ConfigError(f"no strategy is named {FOREIGN!r}: it owns orders of others")
        names.add(strategy.name)
        for handler in PLAIN_HANDLERS:
            if inspect.iscoroutinefunction(getattr(strategy, handler)):
                raise ConfigError(
                    f"strategy {strategy.name}: {handler} must be a plain function, not async;"
                    " use async def run(self) for what has to wait"
                )
        check_hooks(strategy)


@asynccontextmanager
async def open_strategies(
    strategies: Sequence[Strategy],
    bars: Mapping[StrategyName, BarPlan],
    prices: PriceManager,
    orders: OrderManager,
    keeper: StateKeeper,
    ladder: Ladder,
    clock: Clock,
    nursery: trio.Nursery,
    reason: Callable[[], str],
) -> AsyncIterator[list[StrategyHost]]:
    """Open the strategies layer: `on_start` was called, bars from before trading were handed on,
    `run` tasks run, market data may flow.

    Leaving is the stage `halt`.

    Args:
        strategies: in the order of the configuration.
        bars: what bars each strategy is given; those of a minute where it is not named.
        prices: outlives this layer; its feeds begin to flow when everyone listens.
        orders: outlives this layer.
        keeper: of the strategies' own states.
        ladder: of the stop.
        clock: for `now_ns`.
        nursery: the outermost one, for the strategies' tasks. Their code is not ours: one that
            refuses to end must not keep the layers below from stopping.
        reason: why the runtime stops, once it does.

    Raises:
        ConfigError: a strategy cannot go on from the state that it saved.
    """
    hosts = [
        StrategyHost(strategy, orders, clock, bars.get(strategy.name, BarPlan()))
        for strategy in strategies
    ]
    keeper.restore(hosts)

    async def close() -> None:
        orders.halt(reason())
        with ladder.stage("halt") as result:
            async with trio.open_nursery() as stopping:
                for host in hosts:
                    stopping.start_soon(host.stop, reason(), result)
            layer.cancel_tasks()
            await layer.ended()
        layer.cancel_tasks()
        if layer.tasks:
            log.error("Tasks of strategies do not end", tasks=layer.tasks)

    layer: Layer
    async with open_layer("strategies", close, nursery) as layer:
        if not keeper.idle:
            layer.start_soon(keeper.run, name="strategy-states")
        for host in hosts:
            await host.start()
        await warm_up([host.bars for host in hosts if host.outcome != "failed"], prices, layer)
        for host in hosts:
            host.subscribe(prices.views)
            if host.outcome != "failed" and hasattr(host.strategy, "run"):
                layer.start_soon(host.run, name=f"run-{host.name}")
        _retire_strangers(hosts, orders)
        prices.flow()
        yield hosts


def _retire_strangers(hosts: Sequence[StrategyHost], orders: OrderManager) -> None:
    """Cancel what rests of strategies that the configuration no longer names."""
    names = {host.name for host in hosts}
    for order in orders.trading.entries():
        if order.strategy not in names:
            orders.stop_strategy(order.strategy, "stopped", "no longer in the configuration")
