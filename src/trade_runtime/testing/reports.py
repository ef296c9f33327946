"""The oracle's second half: what a stop promises, and whether its report tells the truth.

Numbers as in `oracle`: 3 no orphan, 6 protection, 8 the order and the bounds of a stop.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trade_runtime.errors import EXIT_CLEAN
from trade_runtime.lifecycle.ladder import STAGES
from trade_runtime.lifecycle.report import OUTCOMES, StopReport
from trade_runtime.model.orders import ZERO
from trade_runtime.model.records import RuntimeStopped
from trade_runtime.testing.evidence import Evidence, Key, Venue
from trade_runtime.testing.snapshots import Life

START_SECS = 5.0
"""A runtime in a world that answers is ready within this."""


def judge_stop(evidence: Evidence) -> list[str]:
    """Judge the stop of the last life, in a world that answers: it must be clean, and say so."""
    life = evidence.world.lives[-1]
    report = life.report
    if life.error is not None:
        return [f"8: the run ended with {type(life.error).__name__}: {_first(life.error)}"]
    if report is None:
        # It was stopped before it began: then it left nothing either.
        return [] if len(evidence.events) == life.records_before else ["8: there is no report"]
    venue = evidence.venue_now()
    began = len(evidence.events) > life.records_before
    found = _bounds(life, report, evidence)
    if began:
        found += _left(venue, report, evidence.moved())
        found += _leftovers(venue, evidence)
        found += _told(venue, report, evidence)
    found += _order(evidence, life)
    return found


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _bounds(life: Life, report: StopReport, evidence: Evidence) -> list[str]:
    """The stop is within the ladder, its stages in order, and nothing of the runtime is left."""
    world = evidence.world
    config = world.scenario.settings(world.seed, life.number).shutdown
    found = []
    if life.stop_ns is not None and life.ended_ns - life.stop_ns > config.budgets_secs * 1e9 + 1e6:
        secs = (life.ended_ns - life.stop_ns) / 1e9
        found.append(f"8: the stop took {secs:.3f} s: the budgets are {config.budgets_secs} s")
    if life.ready_ns is not None and life.ready_ns - life.began_ns > START_SECS * 1e9:
        found.append(f"8: the start took {(life.ready_ns - life.began_ns) / 1e9:.3f} s")
    names = [stage.name for stage in report.stages]
    if names != [stage.name for stage in STAGES]:
        found.append(f"8: the report tells of stages {names}")
    found += [
        f"8: stage {stage.name} took {stage.took_secs} s of {stage.budget_secs} s"
        for stage in report.stages
        if stage.took_secs > stage.budget_secs + 0.001
    ]
    if report.tasks_left or report.connections_left:
        left = [*report.tasks_left, *report.connections_left]
        found.append(f"8: after the stop there are still {left}")
    if report.exit_code != EXIT_CLEAN:
        told = "; ".join(f"{s.name} {s.outcome}: {s.detail}" for s in report.stages if s.detail)
        found.append(
            f"8: nothing was wrong with the world, but the stop is {report.outcome}"
            f" ({report.error or told})"
        )
    return found


def _left(venue: Venue, report: StopReport, moved: set[Key]) -> list[str]:
    """No entry order is left, every position is covered: or the report says which not."""
    found = []
    entries = sorted(order.id for order in venue.entries())
    if entries and report.outcome == "clean":
        found.append(f"3: the stop is clean, but the exchange still has {entries}")
    if entries != sorted(report.orders["left_open"]):
        found.append(
            f"3: the exchange still has {entries}, the report names {report.orders['left_open']}"
        )
    found += [
        f"3: order {order.id} rests, and no intent of it is durable"
        for order in venue.live.values()
        if order.spec is None
    ]
    found += [
        f"6: after the stop {key[0]} holds {quantity:f} {key[1]}, covered for {venue.cover(key):f}"
        for key, quantity in venue.positions.items()
        if venue.is_bare(key) and key not in moved
    ]
    return found


def _leftovers(venue: Venue, evidence: Evidence) -> list[str]:
    """No stop-loss rests for a position that is closed, unless it closed after the last look."""
    moved = evidence.moved()
    return [
        f"3: stop-loss {order.id} rests, and {order.key[0]} holds no {order.key[1]} that it closes"
        for order in venue.live.values()
        if order.protective
        and order.key not in moved
        and venue.positions.get(order.key, ZERO) * order.side.sign >= 0
    ]


def _told(venue: Venue, report: StopReport, evidence: Evidence) -> list[str]:
    """Positions, protection and the state are as the report tells, and as the journal ends."""
    found = []
    vague = evidence.vague()
    theirs = {k: q for k, q in venue.positions.items() if q and k not in vague}
    positions = {(p["strategy"], p["instrument"]): p for p in report.positions}
    told = {key: position for key, position in positions.items() if key not in vague}
    if {key: Decimal(p["quantity"]) for key, p in told.items()} != theirs:
        found.append(f"8: the report tells of positions {_brief(report.positions)}, not {theirs}")
    for key, position in told.items():
        if position["protected"] is not (not venue.is_bare(key) and theirs.get(key, ZERO) != ZERO):
            found.append(f"6: the report tells the protection of {key[0]} in {key[1]} wrong")
    if report.outcome != OUTCOMES.get(report.exit_code):
        found.append(f"8: outcome {report.outcome} with exit code {report.exit_code}")
    if report.state["records"] != len(evidence.events):
        found.append(
            f"8: the report tells of {report.state['records']} records,"
            f" {len(evidence.events)} are durable"
        )
    if report.outcome == "clean":
        last = evidence.events[-1][1] if evidence.events else None
        if not isinstance(last, RuntimeStopped) or last.outcome != "clean":
            found.append("7: the stop is clean, but the journal does not end with saying so")
        # Where a start was given up before the stage's layer was open, `verify` flushes alone.
        unflushed = [s for s in report.stages if s.name == "flush" and s.outcome != "skipped"]
        if not report.state["verified"] or (unflushed and not report.state["flushed"]):
            found.append("8: the stop is clean without being flushed and verified")
    return found


def _brief(positions: Any) -> str:
    return ", ".join(f"{p['strategy']} {p['quantity']} {p['instrument']}" for p in positions)


def _order(evidence: Evidence, life: Life) -> list[str]:
    """Orders are dealt with while streams and venues are there; the store closes last."""
    rank = {"submit": 0, "amend": 0, "cancel": 0}
    rank |= {"stream closed": 1, "venue closed": 2, "store closed": 3}
    found = []
    reached, by = 0, ""
    for note in evidence.world.notes:
        if note.life != life.number or note.what not in rank:
            continue
        if life.stop_ns is None or note.ts_ns < life.stop_ns:
            continue
        if rank[note.what] < reached:
            found.append(f"8: {note.what} {note.order_id} came after: {by}".replace("  ", " "))
        else:
            reached, by = rank[note.what], note.what
    return found
