"""The oracle: judges a world from outside, by the promises of the runtime.

It reads the exchange's own history, the disk and what was seen on the wire, never the runtime's
memory; the stop report is what is judged, not what is believed. Each finding is a sentence. The
numbers are those of the invariants in `docs/explanation/proof.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from trade_runtime.errors import StoreDamaged
from trade_runtime.machines.journal import check_chain
from trade_runtime.machines.order import InvalidTransition, Order
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, InstrumentId
from trade_runtime.model.orders import ZERO, Side
from trade_runtime.model.records import CancelRequested, OrderSent, TradingHalted
from trade_runtime.testing.evidence import Evidence, Key, Venue, decode
from trade_runtime.testing.reports import judge_stop
from trade_runtime.testing.spells import Spells
from trade_runtime.testing.states import judge_states
from trade_runtime.testing.world import World


def judge(world: World) -> list[str]:
    """Judge a world whose last life has ended.

    What is promised at every moment is judged over all lives; what is promised of a stop, of the
    last one, unless it was killed.

    Returns:
        what is wrong, a sentence each, in a fixed order.
    """
    evidence = Evidence.of(world)
    found: list[str] = []
    if evidence.damage:
        return [f"7: the journal is damaged: {evidence.damage}"]
    found += _journal(evidence)
    found += _wire(evidence)
    found += _changes(evidence)
    found += _history(evidence)
    found += _halts(evidence)
    found += _cancels_of_stops(evidence)
    found += judge_states(evidence)
    if world.lives and not world.lives[-1].killed:
        found += _fills(evidence)
        found += judge_stop(evidence)
    return list(dict.fromkeys(found))


# --- 7: the journal -----------------------------------------------------------------------------


def _journal(evidence: Evidence) -> list[str]:
    """What is on the disk adds up, and always to the same."""
    records = evidence.world.disk.ever
    hashes = []
    state = TradingState()
    for _ in range(2):
        state = TradingState()
        try:
            for record in check_chain(records):
                state.apply(decode(record))
        except (StoreDamaged, InvalidTransition) as error:
            return [f"7: the journal cannot be folded: {error}"]
        hashes.append(state.hash())
    found = []
    if hashes[0] != hashes[1]:
        found.append("7: two replays of one journal give two states")
    folded = {(p.strategy, p.instrument): p.quantity for p in state.ledger if p.quantity}
    summed = {key: quantity for key, quantity in evidence.positions.items() if quantity}
    if folded != summed:
        found.append(f"5: positions {_text(folded)} are not the sum of fills {_text(summed)}")
    return found


# --- 1, 2, 9: what left -------------------------------------------------------------------------


def _wire(evidence: Evidence) -> list[str]:
    """Every order that left, or that the exchange saw, has one durable earlier intent."""
    world = evidence.world
    found = []
    left: dict[ClientOrderId, int] = {}
    for note in world.notes:
        if note.what != "submit":
            continue
        left[note.order_id] = left.get(note.order_id, 0) + 1
        if evidence.intent_seq.get(note.order_id, note.durable + 1) > note.durable:
            found.append(f"1: order {note.order_id} left before its intent was durable")
    found += [f"2: order {one} left {count} times" for one, count in left.items() if count > 1]
    seen: dict[ClientOrderId, int] = {}
    for row in world.record.history:
        if row.event == "submit":
            seen[row.client_order_id] = seen.get(row.client_order_id, 0) + 1
    for one, count in seen.items():
        if one not in evidence.intents:
            found.append(f"1: the exchange saw order {one}, which has no durable intent")
        if count > 1:
            found.append(f"2: the exchange saw order {one} {count} times")
    for one, spec in evidence.intents.items():
        if not spec.protective and one not in world.asked:
            found.append(f"9: order {one} was intended, but no strategy asked for it")
    return found


def _changes(evidence: Evidence) -> list[str]:
    """Every change of an order that left was asked for by one durable earlier record."""
    found = []
    left: dict[ClientOrderId, int] = {}
    for note in evidence.world.notes:
        if note.what == "amend":
            number = left[note.order_id] = left.get(note.order_id, 0) + 1
            asked = sum(seq <= note.durable for seq in evidence.changes.get(note.order_id, ()))
            if asked < number:
                found.append(f"1: change {number} of order {note.order_id} left before its record")
    return found


# --- 6, 10, 11: at every moment -----------------------------------------------------------------


def _history(evidence: Evidence) -> list[str]:
    """Along the exchange's history: limits hold, and nothing is wrong for longer than its bound."""
    world = evidence.world
    settings = world.scenario.settings(world.seed, 0)
    limits = settings.risk.max_position
    watched: list[Spells[Any]] = [
        Spells(world, world.scenario.bare_secs, _bare, _tell_bare),
        Spells(world, world.scenario.exit_secs, _too_large, _tell_too_large),
    ]
    venue = evidence.venue()
    found = []
    for row in world.record.history:
        for spells in watched:
            spells.until(row.ts_ns, venue)
        order = venue.apply(row)
        if order is None:
            continue
        for spells in watched:
            spells.look(row.ts_ns, venue)
        limit = limits.get(order.instrument)
        if limit is not None and row.event in ("accept", "fill"):
            found += _over_limit(venue, order.instrument, limit)
    for spells in watched:
        spells.finish(venue)
        found += spells.found
    return found


def _bare(venue: Venue) -> Iterator[Key]:
    return (key for key in venue.positions if venue.is_bare(key))


def _tell_bare(key: Key, secs: float) -> str:
    return f"6: the position of {key[0]} in {key[1]} was bare for {secs:.2f} s"


def _too_large(venue: Venue) -> Iterator[ClientOrderId]:
    return (order.id for order in venue.live.values() if order.remaining > venue.entitled(order))


def _tell_too_large(order_id: ClientOrderId, secs: float) -> str:
    return f"11: exit {order_id} rested for more than there was to leave for {secs:.2f} s"


def _over_limit(venue: Venue, instrument: InstrumentId, limit: Decimal) -> list[str]:
    return [
        f"10: {instrument} could reach {venue.reach(instrument, side)} on the {side} side:"
        f" the limit is {limit}"
        for side in Side
        if venue.reach(instrument, side) > limit
    ]


_GOES = {"submit": "order", "amend": "a change of order"}

# --- 10: after the halt -------------------------------------------------------------------------


def _halts(evidence: Evidence) -> list[str]:
    """After a life's halt only cancels and protective orders leave."""
    found = []
    for life in evidence.world.lives:
        halted_ns: int | None = None
        for record, event in evidence.of_life(life.number):
            if isinstance(event, TradingHalted):
                halted_ns = record.ts_ns
            elif (
                halted_ns is not None
                and isinstance(event, OrderSent)
                and not evidence.intents[event.client_order_id].protective
            ):
                found.append(f"10: order {event.client_order_id} was sent after the halt")
        if halted_ns is None:
            continue
        for note in evidence.world.notes:
            if note.life != life.number or note.ts_ns <= halted_ns:
                continue
            spec = evidence.intents.get(note.order_id)
            if note.what in _GOES and spec is not None and not spec.protective:
                found.append(f"10: {_GOES[note.what]} {note.order_id} left after the halt")
    return found


# --- 6: a stop-loss is never taken away ---------------------------------------------------------


def _cancels_of_stops(evidence: Evidence) -> list[str]:
    """Whenever the journal asks to cancel a stop-loss, the position stays covered without it; but
    that of a bracket goes when others have sold all that its entry filled.
    """
    state = TradingState()
    found = []
    filled: dict[str, Decimal] = {}
    for _, event in evidence.events:
        if isinstance(event, Fill):
            spec = evidence.intents.get(event.client_order_id)
            for name in (event.client_order_id, "" if spec is None else spec.oco):
                filled[name] = filled.get(name, ZERO) + event.quantity
        if isinstance(event, CancelRequested):
            order = state.orders.get(event.client_order_id)
            if order is not None and order.spec.protective and order.is_live:
                entered = filled.get(order.spec.parent or "", ZERO)
                if not order.spec.oco or filled.get(order.spec.oco, ZERO) < entered:
                    found += _uncovers(state, order, event)
        state.apply(event)
    return found


def _uncovers(state: TradingState, order: Order, event: CancelRequested) -> list[str]:
    key = order.strategy, order.instrument
    size = state.ledger.position(*key).quantity
    others = sum(
        (
            stop.remaining
            for stop in state.stops(*key)
            if stop.id != order.id and not stop.cancel_requested and stop.side.sign * size < 0
        ),
        ZERO,
    )
    if order.side.sign * size >= 0 or others >= abs(size):
        return []
    what = f"the cancel of stop-loss {order.id} ({event.reason}) leaves {others}"
    return [f"6: {what} to cover {size} of {key[0]} in {key[1]}"]


# --- 4, 5: fills --------------------------------------------------------------------------------


def _fills(evidence: Evidence) -> list[str]:
    """After a stop the journal has each fill of the exchange exactly once, and none besides."""
    found = []
    untold = evidence.untold()
    there = {fill.trade_id: fill for fill in evidence.world.fills()}
    for trade_id, fill in there.items():
        ours = evidence.fills.get(trade_id, [])
        if not ours:
            if trade_id not in untold:
                found.append(
                    f"4: fill {trade_id} of order {fill.client_order_id} is not in the journal"
                )
        elif len(ours) > 1:
            found.append(f"4: fill {trade_id} is in the journal {len(ours)} times")
        elif ours[0] != fill:
            found.append(f"4: fill {trade_id} in the journal is not what the exchange did")
    found += [
        f"4: the journal has fill {trade_id}, which the exchange does not know"
        for trade_id in evidence.fills
        if trade_id not in there
    ]
    vague = evidence.vague()
    known = evidence.venue_now().positions
    theirs = {k: q for k, q in known.items() if q and k not in vague}
    ours_now = {k: q for k, q in evidence.positions.items() if q and k not in vague}
    if not found and theirs != ours_now:
        found.append(f"5: positions are {_text(ours_now)}, at the exchange {_text(theirs)}")
    return found


def _text(positions: dict[Key, Decimal]) -> str:
    parts = (f"{s} {q:f} {i}" for (s, i), q in sorted(positions.items()))
    return ", ".join(parts) or "none"
