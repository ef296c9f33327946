"""Judges the states that strategies saved: they know exactly the fills that stand before them.

A part of the oracle. A strategy whose state is a mapping with the whole number `fills` says how
many fills it was ever told of, and is judged by that; other states are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trade_runtime.machines.state_codec import unpack
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import StrategyName
from trade_runtime.model.orders import OrderSpec
from trade_runtime.model.records import (
    JournalEvent,
    StateFormat,
    StrategySaved,
    StrategyStopped,
    TradingHalted,
)
from trade_runtime.testing.evidence import Evidence

COUNT = "fills"
"""The key of a state under which it counts the fills that its strategy was told of."""


def judge_states(evidence: Evidence) -> Iterator[str]:
    """Give what is wrong, a sentence each."""
    yield from _counts(evidence)
    for life in evidence.world.lives:
        if life.killed:
            yield from _left_behind(evidence, [event for _, event in evidence.of_life(life.number)])


def _counts(evidence: Evidence) -> Iterator[str]:
    """Each state counts the fills before it, whatever was killed in between."""
    booked: dict[StrategyName, int] = {}
    for record, event in evidence.events:
        if isinstance(event, Fill):
            strategy = _whose(evidence, event)
            booked[strategy] = booked.get(strategy, 0) + 1
        elif isinstance(event, StrategySaved):
            told = _count(event)
            there = booked.get(event.strategy, 0)
            if told is not None and told != there:
                yield (
                    f"12: the state of {event.strategy} at record {record.seq} counts {told} fills,"
                    f" the journal has {there} before it"
                )


def _left_behind(evidence: Evidence, events: list[JournalEvent]) -> Iterator[str]:
    """What a kill left has no fill that was told to a strategy without the state that knows it.

    A fill was told where the strategy had placed an order in this life before, and trading was not
    halted yet.
    """
    counting = {
        event.strategy
        for _, event in evidence.events
        if isinstance(event, StrategySaved) and _count(event) is not None
    }
    running: set[StrategyName] = set()
    unknown: dict[StrategyName, Fill] = {}
    halted = False
    for event in events:
        if isinstance(event, OrderSpec) and not event.protective:
            running.add(event.strategy)
        elif isinstance(event, TradingHalted):
            halted = True
        elif isinstance(event, StrategyStopped):
            running.discard(event.strategy)
        elif isinstance(event, StrategySaved):
            unknown.pop(event.strategy, None)
        elif isinstance(event, Fill):
            strategy = _whose(evidence, event)
            if strategy in running & counting and not halted:
                unknown.setdefault(strategy, event)
    for strategy, fill in unknown.items():
        yield f"12: fill {fill.trade_id} of {strategy} is durable without the state that knows it"


def _whose(evidence: Evidence, fill: Fill) -> StrategyName:
    intent = evidence.intents.get(fill.client_order_id)
    return StrategyName("?") if intent is None else intent.strategy


def _count(event: StrategySaved) -> int | None:
    if event.format is not StateFormat.MAPPING:
        return None
    state: Any = unpack(event)
    count = state.get(COUNT)
    return count if isinstance(count, int) else None
