"""Marks: what a sweep must have come by, or it proved less than it seems.

Read from a world like the evidence. A scenario names the marks that its sweep must reach, and a
sweep that misses one has failed.
"""

from __future__ import annotations

from trade_runtime.model.events import OrderAccepted
from trade_runtime.model.orders import OrderSpec
from trade_runtime.model.records import (
    OrderDropped,
    OrderUnknown,
    RuntimeStarted,
    StateFormat,
    StrategySaved,
)
from trade_runtime.testing.evidence import Evidence
from trade_runtime.testing.world import World

FILLED_IN_PARTS = "an order filled in parts"
STOP_WOKE = "a stop-loss woke"
STOP_PLACED_FOR_IT = "the runtime placed a stop-loss that no strategy asked for"
CANCEL_CROSSED = "a cancel came too late"
FILL_AFTER_CANCEL = "a fill arrived while a cancel was under way"
UNKNOWN = "an order's outcome was unknown"
UNKNOWN_RESOLVED = "an order of unknown outcome turned out to rest"
NEVER_ARRIVED = "an order never arrived, and was given up"
FILLED_WHILE_DEAD = "an order filled while no runtime lived"
POSITION_AT_STOP = "a stop left a covered position"
TOLD_AGAIN = "a restarted strategy was told of fills that its state lacked"
CANCELLED_TOGETHER = "one request cancelled all of an instrument"
EXIT_FILLED = "an exit of a bracket filled"
EXIT_GREW = "an exit of a bracket grew with its entry"
EXIT_MADE_SMALLER = "an exit was made smaller by what the other filled"
EXIT_REPLACED = "an exit was cancelled because the other filled"
EXIT_CAME_LATE = "an exit came to the venue after the other had filled"


def marks_of(world: World) -> tuple[str, ...]:
    """Return the marks that a world has reached, in a fixed order."""
    evidence = Evidence.of(world)
    reached: dict[str, None] = {}
    _exchange(world, evidence, reached)
    _exits(world, evidence, reached)
    _journal(world, evidence, reached)
    return tuple(sorted(reached))


def _exchange(world: World, evidence: Evidence, reached: dict[str, None]) -> None:
    fills: dict[str, int] = {}
    for row in world.record.history:
        one = row.client_order_id
        if row.event == "trigger":
            reached[STOP_WOKE] = None
        elif row.event == "cancel_reject":
            reached[CANCEL_CROSSED] = None
        elif row.event == "fill":
            fills[one] = fills.get(one, 0) + 1
            if fills[one] == 2:
                reached[FILLED_IN_PARTS] = None
            if all(not life.began_ns <= row.ts_ns <= life.ended_ns for life in world.lives):
                reached[FILLED_WHILE_DEAD] = None
    for note in world.notes:
        if note.what == "cancel_all":
            reached[CANCELLED_TOGETHER] = None
        if note.what == "cancel":
            filled = (f.ts_ns for f in world.fills() if f.client_order_id == note.order_id)
            if any(ts_ns > note.ts_ns for ts_ns in filled):
                reached[FILL_AFTER_CANCEL] = None
    venue = evidence.venue_now()
    if world.lives and not world.lives[-1].killed and any(venue.positions.values()):
        reached[POSITION_AT_STOP] = None


def _exits(world: World, evidence: Evidence, reached: dict[str, None]) -> None:
    venue = evidence.venue()
    for row in world.record.history:
        known = venue.orders.get(row.client_order_id)
        before = None if known is None else known.quantity
        order = venue.apply(row)
        spec = None if order is None else order.spec
        if order is None or spec is None or not spec.oco:
            continue
        others = [one for one in venue.groups[spec.oco] if one is not order]
        sold = any(one.filled for one in others)
        if row.event == "fill":
            reached[EXIT_FILLED] = None
        elif row.event == "submit" and sold:
            reached[EXIT_CAME_LATE] = None
        elif row.event == "cancel" and sold:
            reached[EXIT_REPLACED] = None
        elif row.event == "amend" and before is not None and order.quantity != before:
            reached[EXIT_GREW if order.quantity > before else EXIT_MADE_SMALLER] = None


def _journal(world: World, evidence: Evidence, reached: dict[str, None]) -> None:
    unknown: set[str] = set()
    ordered = True
    for _, event in evidence.events:
        if isinstance(event, OrderUnknown):
            unknown.add(event.client_order_id)
            reached[UNKNOWN] = None
        elif isinstance(event, OrderAccepted) and event.client_order_id in unknown:
            reached[UNKNOWN_RESOLVED] = None
        elif isinstance(event, OrderDropped):
            reached[NEVER_ARRIVED] = None
        elif isinstance(event, RuntimeStarted):
            ordered = False
        elif isinstance(event, OrderSpec):
            ordered = ordered or not event.protective
        elif (
            isinstance(event, StrategySaved) and event.format is not StateFormat.NONE
        ) and not ordered:  # before any strategy could have traded
            reached[TOLD_AGAIN] = None
    if any(spec.protective and one not in world.asked for one, spec in evidence.intents.items()):
        reached[STOP_PLACED_FOR_IT] = None
