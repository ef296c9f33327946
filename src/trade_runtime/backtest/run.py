"""A backtest put together: what the configuration names, over the history that it names.

The strategies, the order manager, the risk gate, the protection guard and what is held are those of
a live run. Another state, venue, market and clock stand beneath them.
"""

from __future__ import annotations

import inspect
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import structlog

from trade_runtime.backtest.clock import LEAD_NS, HistoryClock
from trade_runtime.backtest.engine import Engine, Stopped
from trade_runtime.backtest.histories import open_histories
from trade_runtime.backtest.journal import MemoryJournal
from trade_runtime.backtest.market import Market
from trade_runtime.backtest.result import Result, StrategyResult
from trade_runtime.backtest.samples import Sampler
from trade_runtime.backtest.venue import SimulatedVenue, Wire
from trade_runtime.errors import ConfigError, DataError
from trade_runtime.lifecycle.clock import fresh_seed
from trade_runtime.loading import load_strategies
from trade_runtime.machines.order_ids import new_tag
from trade_runtime.managers.closing import Closer
from trade_runtime.managers.held import HeldOrders
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.prices import Prices
from trade_runtime.managers.protect import ProtectionGuard
from trade_runtime.managers.risk_watch import RiskWatch
from trade_runtime.managers.strategies import StrategyHost, check_strategies
from trade_runtime.managers.venue_tables import read_venue
from trade_runtime.managers.venues import Venues
from trade_runtime.model.bars import BarPlan
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName, VenueName, venue_of
from trade_runtime.model.instrument import Instrument, exact
from trade_runtime.model.orders import ZERO
from trade_runtime.model.records import RuntimeStarted
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import MarketEvent
from trade_runtime.settings import Settings
from trade_runtime.settings.problems import Problem, child, raise_problems
from trade_runtime.strategy import Strategy
from trade_runtime.version import __version__

log = structlog.get_logger("backtest")

THE_END = "the history ended"


class Backtest:
    """One run over a history. Make it, `run` it once; `stop` it from anywhere, a signal's handler
    too.

    Args:
        settings: the configuration; its `[backtest]` names the history.
        strategies: to run instead of those that the settings name.
        plugins: to find venues and formats instead of the installed ones.
        history: events to run over instead of what the settings name, in chunks and in order; all
            of them, whatever `[backtest]` says of a start and an end.

    Raises:
        ConfigError: the configuration cannot be run over a history.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        strategies: Sequence[Strategy] | None = None,
        plugins: Plugins | None = None,
        history: Iterable[Sequence[MarketEvent]] | None = None,
    ) -> None:
        self._settings = settings
        self._plugins = plugins or Plugins()
        self._history = history
        own = load_strategies(settings) if strategies is None else list(strategies)
        if not own:
            text = "there are none, so nothing would be tested; write [[strategies]]"
            raise_problems(
                [Problem("strategies", f"{text} with name, class and instruments")], settings.source
            )
        check_strategies(own)
        _check_plain(own)
        seed = settings.runtime.seed
        rng = random.Random(f"{fresh_seed() if seed is None else seed}:runtime")
        self.clock = HistoryClock()
        self._wire = Wire()
        self.journal = MemoryJournal(
            RuntimeStarted(settings.runtime.name, new_tag(rng), __version__, "", 0)
        )
        self._venues = Venues()
        self.prices = Prices(settings.prices, self.clock.seconds)
        self._simulated: dict[VenueName, SimulatedVenue] = {}
        self.orders = OrderManager(
            settings.orders,
            settings.risk,
            self._venues,
            self.prices,
            self.journal,
            self.clock,
            time=None,
        )
        self.held = HeldOrders(self.orders)
        self.guard = ProtectionGuard(self.orders, settings.protection, settings.risk, self.clock)
        Closer(self.orders)
        self._open_venues(own)
        self._watch = RiskWatch(settings.risk, self.orders, self.prices, self.journal, self.clock)
        kinds = _kinds(settings, self.prices.instruments)
        self._market = Market(self.prices, kinds)
        self._market.listen(self._simulated)
        self._start_balances = self._balances()
        plans = {StrategyName(s.name): s.bar_plan for s in settings.strategies}
        self.hosts = [
            StrategyHost(strategy, self.orders, self.clock, plans.get(strategy.name, BarPlan()))
            for strategy in own
        ]
        self._sampler = Sampler(self.prices, self.journal.trading.ledger, settings.backtest.samples)
        self._engine = Engine(self.clock, self._wire, self.orders, self._market, self._sampler)
        self._has_run = False
        self.on_chunk: Callable[[int, int], None] = lambda events, now_ns: None
        """Told after each chunk of the history how many events are behind, and the time."""

    def stop(self, reason: str) -> None:
        """Ask for the end before the history ends: `run` returns what there is by then."""
        self._engine.stop(reason)

    @property
    def events(self) -> int:
        """How many events were handed on, as of the last chunk."""
        return self._engine.events

    def run(self) -> Result:
        """Run over the whole history, or until it is stopped.

        Raises:
            DataError: the history is not what it should be, or has nothing of the time that is
                wanted.
            ConfigError: a strategy needs what a backtest has not, this backtest has run already, or
                the history it was given is of single events.
            EndlessInstant: a strategy never lets time go on.
        """
        if self._has_run:
            raise ConfigError(
                "this Backtest has run already, and its strategies are where they ended; make"
                " another, with new strategies"
            )
        self._has_run = True
        if self._history is None:
            history: Iterable[Sequence[MarketEvent]] = open_histories(self._settings, self._plugins)
        else:
            history = _chunks(self._history)
        self._engine.run(history, self._begin, self.on_chunk)
        if not self._engine.begun and self._history is None and self._engine.stop_reason is None:
            stretch = self._settings.backtest
            raise DataError(
                f"backtest.data: nothing is told from {stretch.start or 'the beginning'} to"
                f" {stretch.end or 'the end'}; mend backtest.start and backtest.end"
            )
        if not self._engine.begun:  # there was nothing, or it was stopped before that
            with suppress(Stopped):
                self._begin(0)
        self._end()
        return self._result()

    # --- putting together

    def _open_venues(self, strategies: Sequence[Strategy]) -> None:
        settings = self._settings
        rules: dict[VenueName, list[Instrument]] = defaultdict(list)
        traded = (i for strategy in strategies for i in strategy.instruments)
        named = (data.instrument for data in settings.backtest.data)
        for instrument in dict.fromkeys((*traded, *named)):
            rules[venue_of(instrument)].append(_rules(settings, instrument))
        for name, instruments in rules.items():
            table = read_venue(settings, name, self._plugins.venues, live=False)
            paper = table.stand_in or table
            plugin, options = paper.plugin, paper.options
            if plugin.simulate is None:
                raise ConfigError(
                    f'venues.{name}.kind: a "{settings.venues[name].kind}" venue cannot be'
                    ' simulated; write kind = "paper"'
                )
            exchange = plugin.simulate(name, options, self.clock)
            venue = SimulatedVenue(exchange, self.clock, self._wire, self.orders.on_event)
            self._simulated[name] = venue
            self.prices.add(instruments, venue)
        self._venues.trading = self._simulated
        self._venues.connected = dict.fromkeys(self._simulated, True)

    # --- from the first event to the end

    def _begin(self, first_ns: int) -> None:
        self.clock.ns = max(first_ns - LEAD_NS, 0)
        self._watch.begin()
        ready_made = self._market.bar_taps
        for host in self.hosts:
            _drive(host.start(), f"strategy {host.name}: on_start")
            host.subscribe(self.prices.views, ready_made)
            if host.bars.wanted:
                for instrument in ready_made.keys() & set(host.bars.instruments):
                    ready_made[instrument].append(host.bars.feed(instrument).on_bar)
        self._engine.settle(first_ns)

    def _end(self) -> None:
        reason = self._engine.stop_reason or THE_END
        self._engine.run_out()
        self._sampler.take(self.clock.ns)
        self.orders.halt(reason)
        for host in self.hosts:
            _drive(host.finish(reason), f"strategy {host.name}: on_stop")
        for order in self.journal.trading.entries():
            self.orders.cancel(order, reason)
        self._engine.run_out()

    # --- what came of it

    def _balances(self) -> dict[Currency, Decimal]:
        total: dict[Currency, Decimal] = defaultdict(lambda: ZERO)
        for venue in self._simulated.values():
            for currency, amount in venue.exchange.balances().items():
                total[currency] += amount
        return dict(total)

    def _result(self) -> Result:
        trading, engine = self.journal.trading, self._engine
        positions = dict.fromkeys(self.prices.instruments, ZERO)
        realised: dict[Currency, Decimal] = {
            rules.quote: ZERO for rules in self.prices.instruments.values()
        }
        unrealised, fees = dict(realised), dict[Currency, Decimal]()
        for position in trading.ledger:
            rules = self.prices.instruments[position.instrument]
            quote = self.prices.views[position.instrument].quote
            positions[position.instrument] += position.quantity
            realised[rules.quote] += position.realised
            if quote is not None:
                unrealised[rules.quote] += position.unrealised(exact(quote.mid))
            for currency, fee in position.fees.items():
                fees[currency] = fees.get(currency, ZERO) + fee
        return Result(
            runtime=self._settings.runtime.name,
            outcome="complete" if engine.stop_reason is None else "interrupted",
            reason=engine.stop_reason or THE_END,
            started_ns=engine.first_ns,
            ended_ns=self.clock.ns,
            events=engine.events,
            orders=trading.intents,
            refused=self.orders.refused,
            rejected=self.journal.rejected,
            fills=self.journal.fills,
            engine_secs=engine.engine_secs,
            loading_secs=engine.loading_secs,
            positions=positions,
            realised_pnl=realised,
            unrealised_pnl=unrealised,
            fees=fees,
            balances=self._balances(),
            start_balances=self._start_balances,
            samples=self._sampler.samples,
            strategies=[
                StrategyResult(host.name, host.outcome, host.detail) for host in self.hosts
            ],
            quotes={one: rules.quote for one, rules in self.prices.instruments.items()},
            latch="" if trading.latch is None else f"{trading.latch.mode}: {trading.latch.reason}",
        )


def _rules(settings: Settings, instrument: InstrumentId) -> Instrument:
    table = settings.instruments.get(instrument)
    if table is None:
        path = child("instruments", instrument)
        raise ConfigError(
            f"{path}: missing: a backtest asks no venue; write [{path}] with tick, lot, base and"
            " quote"
        )
    return table.describe(instrument)


def _kinds(settings: Settings, instruments: Iterable[InstrumentId]) -> dict[InstrumentId, set[str]]:
    """Return what kinds of events each instrument has; without a table, quotes are expected."""
    kinds: dict[InstrumentId, set[str]] = {one: set() for one in instruments}
    for data in settings.backtest.data:
        kinds[data.instrument].add(data.kind)
    return {one: found or {"quotes"} for one, found in kinds.items()}


def _chunks(history: Iterable[Sequence[MarketEvent]]) -> Iterator[Sequence[MarketEvent]]:
    """Hand chunks on.

    Raises:
        ConfigError: an event stands in the place of one.
    """
    for chunk in history:
        if isinstance(chunk, MarketEvent):
            raise ConfigError(
                "history: it is of chunks, sequences of events, and this one is of single events;"
                " where a list holds them all, pass history=[events]"
            )
        yield chunk


def _check_plain(strategies: Sequence[Strategy]) -> None:
    for strategy in strategies:
        if hasattr(strategy, "run"):
            raise ConfigError(
                f"strategy {strategy.name}: async def run cannot be driven by a backtest, which"
                " waits for nothing; use handlers, or run it in virtual time"
                " (trade_runtime.testing)"
            )
        for handler in ("on_start", "on_stop"):
            if inspect.iscoroutinefunction(getattr(strategy, handler)):
                raise ConfigError(
                    f"strategy {strategy.name}: async def {handler} cannot be driven by a backtest,"
                    " which waits for nothing; make it a plain function"
                )


def _drive(coroutine: Coroutine[Any, Any, object], what: str) -> None:
    """Run what may be a coroutine of a strategy, and must not wait.

    Raises:
        ConfigError: it waits.
    """
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise ConfigError(f"{what} waits for something; in a backtest nothing can be waited for")


def run_backtest(
    settings: Settings,
    *,
    strategies: Sequence[Strategy] | None = None,
    plugins: Plugins | None = None,
    history: Iterable[Sequence[MarketEvent]] | None = None,
) -> Result:
    """Run strategies over a history, and return what came of it.

    A pure function of its arguments where the settings have a `runtime.seed`: it reads the history
    and writes nothing. Arguments and errors as for `Backtest`.
    """
    return Backtest(settings, strategies=strategies, plugins=plugins, history=history).run()
