"""Strategies' own states: saved with their fills, given back at the start.

It stands beside the strategies layer and writes to the journal. Before each commit every strategy
that was told of a fill since the last one is asked for its state, and the fill, all that the
strategy did about it and the state are committed in one transaction. So after a crash a state knows
exactly the fills that the journal has before it; those behind it are told again at the start,
together with those that happened meanwhile, before anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
import trio

from trade_runtime.errors import ConfigError, StrategyError
from trade_runtime.machines.memories import MAX_OWED_FILLS, Memories, Memory
from trade_runtime.machines.state_codec import pack, unpack
from trade_runtime.managers.state import StateManager
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import StrategyName
from trade_runtime.model.records import StateFormat, StrategySaved
from trade_runtime.strategy import Strategy

log = structlog.get_logger("strategies")


def _overrides(strategy: Strategy, handler: str) -> bool:
    return getattr(type(strategy), handler) is not getattr(Strategy, handler)


def keeps_state(strategy: Strategy) -> bool:
    """Whether a strategy has a state of its own to be kept."""
    return _overrides(strategy, "on_save")


def check_hooks(strategy: Strategy) -> None:
    """Refuse a strategy that saves what it never loads, or loads what it never saves.

    Raises:
        ConfigError: it is one.
    """
    if keeps_state(strategy) is not _overrides(strategy, "on_load"):
        has, lacks = "on_save", "on_load"
        if not keeps_state(strategy):
            has, lacks = lacks, has
        raise ConfigError(f"strategy {strategy.name}: overrides {has}, not {lacks}; write both")


def check_memories(strategies: Sequence[Strategy], memories: Memories) -> None:
    """Refuse strategies that could not go on from the state that the journal has of them.

    Raises:
        ConfigError: a line for each.
    """
    lines = []
    for strategy in strategies:
        memory = memories.get(strategy.name)
        if memory is None or not keeps_state(strategy):
            continue
        saved = memory.saved.version
        if saved != strategy.state_version and not (
            memory.empty or _overrides(strategy, "on_migrate")
        ):
            lines.append(
                f"strategy {strategy.name}: its saved state is of version {saved}, the class's"
                f" state_version is {strategy.state_version}; write on_migrate, run the version"
                " that saved it, or give the strategy another name to begin anew"
            )
        if memory.behind > len(memory.owed):
            lines.append(
                f"strategy {strategy.name}: its saved state lacks {memory.behind} fills, more than"
                f" the {MAX_OWED_FILLS} that can be told to it; give it another name to begin anew"
            )
    if lines:
        raise ConfigError("\n".join(lines))


class Host(Protocol):
    """Who runs a strategy, and keeps its failures to itself."""

    strategy: Strategy
    name: StrategyName
    on_touched: Callable[[], None] | None
    """Called after the strategy was told of a fill."""
    on_save: Callable[[], None] | None
    """Called when the strategy has said goodbye."""

    @property
    def active(self) -> bool:
        """Whether it is told of anything."""

    def call(self, handler: Callable[..., Any], *args: Any) -> Any:
        """Call a plain handler; what it raises stops the strategy, and None is returned."""

    def on_owed(self, fill: Fill) -> None:
        """Tell the strategy of a fill that happened without it."""


class StateKeeper:
    """Keeps the states of one runtime's strategies.

    Args:
        state: the journal.
        save_secs: how often states are saved, besides with fills.
    """

    def __init__(self, state: StateManager, save_secs: float) -> None:
        self._state = state
        self._save_secs = save_secs
        self._kept: dict[StrategyName, Host] = {}
        self._touched: dict[StrategyName, Host] = {}
        self._first = 0
        """The first fill that no state knows; 0 where there is none."""

    def restore(self, hosts: Sequence[Host]) -> None:
        """Give every strategy its state back, and tell it the fills that the state lacks.

        No event may come between the making of the hosts and this call.

        Raises:
            ConfigError: a state cannot be gone on from. Nothing was called.
        """
        memories = self._state.trading.memories
        check_memories([host.strategy for host in hosts], memories)
        for host in hosts:
            if keeps_state(host.strategy):
                self._keep(host)
                self._restore(host, memories.get(host.name))
        for name in memories:
            if name not in self._kept:
                log.info("A state stays in the journal: nothing here loads it", strategy=name)
        if self._kept:
            self._state.before_commit = self.save_touched
            memories.on_owed = self._owed

    def _keep(self, host: Host) -> None:
        def touched() -> None:
            self._touched[host.name] = host
            if self._state.crowded:  # what is committed together stays small
                self.save_touched()

        self._kept[host.name] = host
        host.on_touched = touched
        host.on_save = lambda: self._save_changed(host)

    def _restore(self, host: Host, memory: Memory | None) -> None:
        strategy = host.strategy
        if memory is None:
            # From here its fills are owed to it, though it may be killed before it saved anything.
            self._state.record(
                StrategySaved(host.name, strategy.state_version, StateFormat.NONE, "")
            )
            return
        first = self._state.seq + 1
        if not memory.empty:
            state = unpack(memory.saved)
            if memory.saved.version != strategy.state_version:
                state = host.call(strategy.on_migrate, state, memory.saved.version)
            if host.active:
                host.call(strategy.on_load, state)
        for fill in memory.owed:
            host.on_owed(fill)
        if memory.owed and host.active:
            log.info("Fills told that came without it", strategy=host.name, fills=len(memory.owed))
            self._save(host)
            self._state.join(first)

    def _owed(self, strategy: StrategyName) -> None:
        host = self._kept.get(strategy)
        if host is not None and host.active and not self._first:
            self._first = self._state.seq + 1

    def save_touched(self) -> None:
        """Record the states of the strategies that were told of fills."""
        if self._touched:
            touched, self._touched = self._touched, {}
            first, self._first = self._first, 0
            for host in touched.values():
                self._save(host)
            if first:
                self._state.join(first)

    def _save_changed(self, host: Host) -> None:
        if host.name in self._touched:
            self.save_touched()
        else:
            self._save(host, only_if_changed=True)

    def _save(self, host: Host, *, only_if_changed: bool = False) -> None:
        if not host.active:
            return
        event = host.call(_packed, host.strategy)
        if event is None:
            return
        memory = self._state.trading.memories.get(host.name)
        if memory is None or memory.saved != event or not only_if_changed:
            self._state.record(event)

    async def run(self) -> None:
        """Save what has changed from time to time, for ever."""
        while True:
            await trio.sleep(self._save_secs)
            for host in self._kept.values():
                self._save_changed(host)

    @property
    def idle(self) -> bool:
        """Whether no strategy keeps a state."""
        return not self._kept


def _packed(strategy: Strategy) -> StrategySaved:
    version = strategy.state_version
    if type(version) is not int:
        raise StrategyError(f"state_version is {version!r}; write a whole number")
    return StrategySaved(strategy.name, version, *pack(strategy.on_save()))


def try_save(strategy: Strategy) -> None:
    """Ask a strategy for its state, which goes nowhere: a backtest does, so that it is exercised.

    Raises:
        StrategyError: the state could not be kept.
    """
    _packed(strategy)
