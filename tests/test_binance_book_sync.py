"""Binance's rule for the order book: what is given out is always a snapshot and its successors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels
from trade_runtime.venues.binance.book_sync import (
    BookLost,
    BookSync,
    DepthEvent,
    DepthSnapshot,
    Output,
)

ID = InstrumentId("ETHUSDT.paper")
LEVEL = ((Decimal("1.5"), Decimal(2)),)


def event(first: int, last: int) -> DepthEvent:
    return DepthEvent(ID, last, first, last, LEVEL, ())


def snapshot(last: int) -> DepthSnapshot:
    return DepthSnapshot(last, LEVEL, ())


def ids(told: Iterable[Output]) -> list[int | str]:
    """Shorten what was told: ids of changes, `S` and the id of a snapshot, `lost`."""
    return [
        "lost"
        if isinstance(one, BookLost)
        else f"S{one.update_id}"
        if one.snapshot
        else one.update_id
        for one in told
    ]


def in_step(at: int) -> BookSync:
    sync = BookSync(ID)
    assert ids(sync.on_snapshot(snapshot(at), 0)) == [f"S{at}"]
    return sync


def test_events_wait_for_the_snapshot_and_are_all_given_out_after_it() -> None:
    """What the snapshot holds already is dropped; every later change is an event of its own."""
    sync = BookSync(ID)
    for first, last in ((1, 3), (4, 6), (7, 7), (8, 12)):
        assert sync.on_event(event(first, last)) == []
    assert sync.wants_snapshot
    assert ids(sync.on_snapshot(snapshot(5), 99)) == ["S5", 6, 7, 12]
    assert not sync.wants_snapshot
    assert sync.buffered == 0
    assert ids(sync.on_event(event(13, 13))) == [13]


def test_a_snapshot_carries_the_time_at_which_it_came() -> None:
    """The venue gives it none."""
    (told,) = BookSync(ID).on_snapshot(snapshot(5), 99)
    assert told == BookLevels(ID, 99, 5, LEVEL, (), True)


def test_a_stale_snapshot_is_of_no_use_and_no_loss() -> None:
    """It ends before the first event that waits: another is wanted, the events stay."""
    sync = BookSync(ID)
    sync.on_event(event(10, 12))
    assert sync.on_snapshot(snapshot(8), 0) == []
    assert sync.wants_snapshot
    assert sync.resyncs == 0
    assert ids(sync.on_snapshot(snapshot(9), 0)) == ["S9", 12]


def test_a_gap_is_one_loss_and_the_next_snapshot_mends_it() -> None:
    """Nothing is given out between them, however many events come."""
    sync = in_step(10)
    assert ids(sync.on_event(event(12, 13))) == ["lost"]
    assert sync.on_event(event(14, 15)) == []
    assert ids(sync.on_snapshot(snapshot(14), 0)) == ["S14", 15]
    assert sync.resyncs == 1


def test_what_is_old_is_ignored_and_what_overlaps_is_applied() -> None:
    """Levels are absolute, so a change that reaches back is as good as one that does not."""
    sync = in_step(10)
    assert sync.on_event(event(8, 10)) == []
    assert ids(sync.on_event(event(9, 12))) == [12]
    assert sync.on_event(event(9, 12)) == []


def test_a_gap_among_the_events_that_wait_is_told_once() -> None:
    """The book is given out up to it, then lost; the events behind it wait for a new snapshot."""
    sync = BookSync(ID)
    for first, last in ((1, 2), (3, 4), (6, 7), (8, 9)):
        sync.on_event(event(first, last))
    assert ids(sync.on_snapshot(snapshot(2), 0)) == ["S2", 4, "lost"]
    assert sync.wants_snapshot
    assert ids(sync.on_snapshot(snapshot(7), 0)) == ["S7", 9]
    assert sync.resyncs == 1


def test_a_buffer_that_is_full_is_dropped_and_needs_a_fresh_snapshot() -> None:
    """It never grows past its bound, and what was dropped is never bridged over."""
    sync = BookSync(ID, max_buffered=3)
    for number in range(1, 6):
        sync.on_event(event(number, number))
    assert (sync.overflows, sync.buffered) == (1, 2)
    assert sync.on_snapshot(snapshot(2), 0) == []
    assert ids(sync.on_snapshot(snapshot(3), 0)) == ["S3", 4, 5]


def test_a_snapshot_nobody_asked_for_changes_nothing() -> None:
    """One that comes late, after another, must not set the book back."""
    sync = in_step(10)
    assert sync.on_snapshot(snapshot(5), 0) == []
    assert ids(sync.on_event(event(11, 11))) == [11]


def in_sequence(told: Sequence[Output], covers: dict[int, tuple[int, int]]) -> None:
    """Every change continues the one before it, from a snapshot on, until the book is lost."""
    book: int | None = None
    for one in told:
        if isinstance(one, BookLost):
            assert book is not None, "a book that is not there cannot be lost"
            book = None
        elif one.snapshot:
            assert book is None, "a book that is there needs no snapshot"
            book = one.update_id
        else:
            assert book is not None, "a change came without a snapshot before it"
            first, last = covers[one.update_id]
            assert first <= book + 1 <= last, "a change does not continue the book"
            book = last


@st.composite
def mutilated(draw: st.DrawFn) -> list[DepthEvent | DepthSnapshot]:
    """Return a contiguous stream with snapshots in it, then dropped, doubled and moved about."""
    steps = draw(st.lists(st.integers(1, 4), min_size=1, max_size=25))
    things: list[DepthEvent | DepthSnapshot] = []
    last = draw(st.integers(0, 5))
    for step in steps:
        things.append(event(last + 1, last + step))
        last += step
        if draw(st.integers(0, 3)) == 0:
            things.append(snapshot(draw(st.integers(0, last))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(things) - 1))
        to = draw(st.integers(0, len(things) - 1))
        how = draw(st.sampled_from(("drop", "double", "move")))
        if how == "double":
            things.insert(to, things[at])
        elif len(things) > 1:
            thing = things.pop(at)
            if how == "move":
                things.insert(to, thing)
    return things


@given(mutilated(), st.integers(1, 5) | st.just(100))
def test_no_mutilation_breaks_the_sequence(
    things: list[DepthEvent | DepthSnapshot], max_buffered: int
) -> None:
    """Drop, double or reorder what comes: what is given out is contiguous, losses are counted."""
    sync = BookSync(ID, max_buffered)
    told: list[Output] = []
    for thing in things:
        if isinstance(thing, DepthEvent):
            told += sync.on_event(thing)
        else:
            told += sync.on_snapshot(thing, 0)
        assert sync.buffered <= max_buffered
    covers = {t.last_id: (t.first_id, t.last_id) for t in things if isinstance(t, DepthEvent)}
    in_sequence(told, covers)
    assert sync.resyncs == sum(isinstance(one, BookLost) for one in told)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=25), st.data())
def test_a_whole_stream_is_given_out_whole(steps: list[int], data: st.DataObject) -> None:
    """Without a fault nothing is lost, wherever the snapshot comes and whatever it holds."""
    events = []
    last = 0
    for step in steps:
        events.append(event(last + 1, last + step))
        last += step
    arrives = data.draw(st.integers(1, len(events)))
    holds = data.draw(st.integers(0, events[arrives - 1].last_id))
    sync = BookSync(ID)
    told: list[Output] = []
    for number, one in enumerate(events, start=1):
        told += sync.on_event(one)
        if number == arrives:
            told += sync.on_snapshot(snapshot(holds), 0)
    assert ids(told) == [f"S{holds}", *(e.last_id for e in events if e.last_id > holds)]


@pytest.mark.parametrize(("first", "last"), [(13, 18), (11, 15)])
def test_ids_that_contradict_each_other_lose_the_book(first: int, last: int) -> None:
    """An event that ended far too late hides those that follow: the first of them tells."""
    sync = BookSync(ID)
    sync.on_event(event(10, 10))
    sync.on_snapshot(snapshot(10), 0)
    assert len(sync.on_event(event(11, 99))) == 1  # it was to be 12
    assert sync.on_event(event(11, 99)) == []  # twice is no harm
    assert sync.on_event(event(9, 10)) == []  # nor is an old one
    assert sync.on_event(event(first, last)) == [BookLost(ID)]
    assert sync.wants_snapshot
