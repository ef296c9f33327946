"""The rules of the order book on every recording of Binance Spot, whole and with a line spoiled.

What the book really was is worked out here from the lines themselves, by Binance's own rule and
without the code that is tested. Whatever is done to the lines, no book that a strategy would be
shown may differ from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import attrs
import pytest

from tests.recorded import ETHUSDT, FOUR_SYMBOLS, recorded
from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels
from trade_runtime.venues.binance.book_sync import BookLost, BookSync, DepthEvent, DepthSnapshot
from trade_runtime.venues.binance.streams import StreamDecoder
from trade_runtime.venues.binance_spot.codec import STREAMS, decode_snapshot
from trade_runtime.venues.binance_spot.recording import Recording

pytestmark = pytest.mark.recorded

Book = dict[str, dict[Decimal, Decimal]]
Frames = list[dict[str, Any]]

SYMBOLS = [
    (ETHUSDT, "ETHUSDT", 3_432),
    (FOUR_SYMBOLS, "NKNUSDT", None),
    (FOUR_SYMBOLS, "BLZETH", None),
    (FOUR_SYMBOLS, "LRCBTC", None),
    (FOUR_SYMBOLS, "RUNEEUR", None),
]
EVERY = pytest.mark.parametrize(("path", "symbol", "changes"), SYMBOLS)


@attrs.frozen
class Tape:
    """A symbol's depth events and its snapshot."""

    frames: Frames
    snapshot: dict[str, Any]


LINES = 400
"""Of a long recording, as many are spoiled one after the other: the whole is played elsewhere."""


@cache
def short(path: str, symbol: str) -> Tape:
    """The beginning of a symbol's part of a recording."""
    one = tape(path, symbol)
    return Tape(one.frames[:LINES], one.snapshot)


@cache
def tape(path: str, symbol: str) -> Tape:
    """Read a symbol's part of a recording."""
    frames: Frames = []
    snapshots: list[dict[str, Any]] = []
    for row in Recording(recorded(path)).rows():
        if row.stream == f"{symbol.lower()}@depth@100ms":
            frames.append(json.loads(row.body))
        elif not row.stream and row.symbol in ("", symbol):
            snapshots.append(json.loads(row.body))
    return Tape(frames, snapshots[0])


def apply(book: Book, data: dict[str, Any]) -> None:
    """Put an event's levels into a book: a quantity of 0 takes a level away."""
    for side, key in (("bids", "b"), ("asks", "a")):
        for price, quantity in data[key]:
            if Decimal(quantity):
                book[side][Decimal(price)] = Decimal(quantity)
            else:
                book[side].pop(Decimal(price), None)


def opened(snapshot: dict[str, Any]) -> Book:
    return {
        side: {Decimal(price): Decimal(quantity) for price, quantity in snapshot[side]}
        for side in ("bids", "asks")
    }


def truth(one: Tape) -> Iterator[tuple[int, Book]]:
    """The real book at its snapshot and after each event, by update id; one book, changed."""
    book, at = opened(one.snapshot), int(one.snapshot["lastUpdateId"])
    yield at, book
    for frame in one.frames:
        data = frame["data"]
        if data["u"] > at:
            assert data["U"] <= at + 1, "the recording itself has a gap"
            apply(book, data)
            at = data["u"]
            yield at, book


@attrs.define
class Shown:
    """What a strategy would have been shown."""

    book: Book = attrs.field(factory=lambda: {"bids": {}, "asks": {}})
    at: int | None = None
    changes: int = 0
    snapshots: int = 0
    lost: int = 0

    def take(self, told: BookLevels | BookLost) -> None:
        if isinstance(told, BookLost):
            self.lost += 1
            self.at = None
            return
        if told.snapshot:
            self.snapshots += 1
            self.book = {"bids": {}, "asks": {}}
        else:
            assert self.at is not None, "a change came without a book"
            self.changes += 1
        for side, levels in (("bids", told.bids), ("asks", told.asks)):
            for price, quantity in levels:
                if quantity:
                    self.book[side][price] = quantity
                else:
                    self.book[side].pop(price, None)
        self.at = told.update_id


def play(
    one: Tape, symbol: str, frames: Frames, *, stale: int = 0, spoiled: int | None = None
) -> Shown:
    """Play frames as the session does; whenever a book is shown it is held against the real one.

    A snapshot is had whenever one is wanted: the real book as of the last event that was played, or
    `stale` times one from before everything. A `spoiled` frame has a wrong id: at it the book
    cannot be compared.
    """
    books = truth(one)
    at, real = next(books)
    shown, sync = Shown(), BookSync(InstrumentId("X.spot"))
    decoder = StreamDecoder(STREAMS, {symbol: InstrumentId("X.spot")})
    for index, frame in enumerate(frames):
        event = decoder.decode(json.dumps(frame), 0)
        assert isinstance(event, DepthEvent)
        told = sync.on_event(event)
        # The exchange goes its way, whatever reaches us.
        while at < event.last_id and index != spoiled:
            following = next(books, None)
            if following is None:
                break
            at, real = following
        for output in told:
            shown.take(output)
        if sync.wants_snapshot and sync.buffered:
            if stale:
                stale -= 1
                old = DepthSnapshot(event.first_id - 1000, (), ())
                assert sync.on_snapshot(old, 0) == [], "a stale snapshot was taken"
            else:
                for output in sync.on_snapshot(_snapshot(real, at), 0):
                    shown.take(output)
        if shown.at == at and index != spoiled:
            assert shown.book == real, f"a wrong book was shown at {at}"
    return shown


def _snapshot(real: Book, at: int) -> DepthSnapshot:
    sides = {side: [[str(p), str(q)] for p, q in levels.items()] for side, levels in real.items()}
    return decode_snapshot(json.dumps({"lastUpdateId": at, **sides}).encode())


def kept(one: Tape) -> int:
    """The index of the first event that the snapshot does not hold."""
    at = one.snapshot["lastUpdateId"]
    return next(i for i, frame in enumerate(one.frames) if frame["data"]["u"] > at)


def spots(one: Tape) -> list[int]:
    """Where lines are spoiled: soon after the first that counts, and on the way."""
    first, last = kept(one) + 1, len(one.frames) - 2
    wanted = {first, (2 * first + last) // 3, (first + last) // 2, last}
    return sorted(spot for spot in wanted if first <= spot <= last)


@EVERY
def test_a_whole_recording_has_no_gap(path: str, symbol: str, changes: int | None) -> None:
    """Every change is given out once, and the book is right after each."""
    one = tape(path, symbol)
    sync, shown = BookSync(InstrumentId("X.spot")), Shown()
    decoder = StreamDecoder(STREAMS, {symbol: InstrumentId("X.spot")})
    events = [decoder.decode(json.dumps(frame), 0) for frame in one.frames]
    first = kept(one)
    for event in events[: first + 1]:
        assert isinstance(event, DepthEvent)
        assert sync.on_event(event) == []
    for output in sync.on_snapshot(decode_snapshot(json.dumps(one.snapshot).encode()), 0):
        shown.take(output)
    for event in events[first + 1 :]:
        assert isinstance(event, DepthEvent)
        for output in sync.on_event(event):
            shown.take(output)
    assert (shown.lost, shown.snapshots) == (0, 1)
    assert shown.changes == len(one.frames) - first
    assert changes in (None, shown.changes)
    *_, (_, real) = truth(one)
    assert shown.book == real


@EVERY
def test_a_missing_line_loses_the_book_once(path: str, symbol: str, changes: int | None) -> None:
    """And it comes back right."""
    one = short(path, symbol)
    for spot in spots(one):
        shown = play(one, symbol, one.frames[:spot] + one.frames[spot + 1 :])
        assert (shown.lost, shown.snapshots) == (1, 2)


@EVERY
def test_a_line_that_comes_twice_changes_nothing(
    path: str, symbol: str, changes: int | None
) -> None:
    """At once, or a few lines later."""
    one = short(path, symbol)
    for spot in spots(one):
        for later in (1, 3):
            frames = [*one.frames[: spot + later], one.frames[spot], *one.frames[spot + later :]]
            shown = play(one, symbol, frames)
            assert (shown.lost, shown.snapshots) == (0, 1)


@EVERY
def test_lines_that_change_places_cost_one_resync(
    path: str, symbol: str, changes: int | None
) -> None:
    """The earlier one is missing when the later comes."""
    one = short(path, symbol)
    for spot in spots(one):
        frames = list(one.frames)
        frames[spot], frames[spot + 1] = frames[spot + 1], frames[spot]
        assert play(one, symbol, frames).lost == 1


@EVERY
def test_stale_snapshots_are_never_shown(path: str, symbol: str, changes: int | None) -> None:
    """They are fetched again until one reaches the events that wait."""
    one = short(path, symbol)
    shown = play(one, symbol, one.frames, stale=min(3, len(one.frames) - 1))
    assert (shown.lost, shown.snapshots) == (0, 1)


Spoil = Callable[[dict[str, Any]], None]


def digit(key: str, place: int, by: int) -> Spoil:
    """Add to one digit of an id."""

    def spoil(data: dict[str, Any]) -> None:
        data[key] += by * 10**place

    return spoil


@EVERY
@pytest.mark.parametrize("key", ["U", "u"])
@pytest.mark.parametrize(("place", "by"), [(0, 1), (0, -1), (2, 1), (5, 1), (5, -1), (8, 3)])
def test_a_flipped_digit_of_an_id_shows_no_wrong_book(
    path: str, symbol: str, changes: int | None, key: str, place: int, by: int
) -> None:
    """Where the ids do not fit each other any more the frame is an error or the book is lost; where
    they do, because the next event holds what is missing, the levels are right all the same.
    """
    one = short(path, symbol)
    for spot in spots(one):
        frames = [
            json.loads(json.dumps(frame)) if i == spot else frame
            for i, frame in enumerate(one.frames)
        ]
        digit(key, place, by)(frames[spot]["data"])
        spoiled = frames[spot]["data"]
        if spoiled["U"] > spoiled["u"]:
            with pytest.raises(VenueError, match="above u"):
                play(one, symbol, frames, spoiled=spot)
            continue
        shown = play(one, symbol, frames, spoiled=spot)
        if place > 2 and (key == "u" or by > 0):
            assert shown.lost == 1, f"{key} of line {spot} went unseen"


@EVERY
@pytest.mark.parametrize(
    ("price", "quantity"),
    [("0", "1"), ("-1", "1"), ("1", "-0.00000001"), ("NaN", "1"), ("1", "1e400"), ("x", "1")],
)
def test_a_level_that_cannot_be_ends_the_session(
    path: str, symbol: str, changes: int | None, price: str, quantity: str
) -> None:
    """A price of nothing, a quantity below it, and what is no number."""
    one = short(path, symbol)
    frame = json.loads(json.dumps(one.frames[-1]))
    frame["data"]["b"] = [[price, quantity]]
    with pytest.raises(VenueError):
        play(one, symbol, [*one.frames[:-1], frame])


@EVERY
def test_the_smallest_quantity_is_a_level(path: str, symbol: str, changes: int | None) -> None:
    """0.00000001 is not 0, and comes as it is."""
    one = short(path, symbol)
    frames = [json.loads(json.dumps(frame)) for frame in one.frames]
    for frame in frames:
        data = frame["data"]
        for key in ("b", "a"):
            data[key] = [[p, "0.00000001" if Decimal(q) else q] for p, q in data[key]]
    shown = play(Tape(frames, one.snapshot), symbol, frames)
    assert (shown.lost, shown.snapshots) == (0, 1)
    smallest = Decimal("0.00000001")
    assert any(smallest in levels.values() for levels in shown.book.values())
