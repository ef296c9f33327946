"""Kraken's books: every checksum of a real recording holds, and no damage gets through."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kraken_world import BTC, book_frame, crc
from tests.recorded import recorded
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.market import BookLevels
from trade_runtime.venues.kraken_spot.book import BookEvent, BookLost, BookSync, checksum
from trade_runtime.venues.kraken_spot.codec import StreamDecoder

RECORDING = "kraken_spot/recorded/python-kraken-sdk_book_v2_BTCUSD_first250.json"
SYMBOLS = {"BTC/USD": BTC}


def frames_of_the_recording() -> list[bytes]:
    parts = msgspec.json.decode(recorded(RECORDING).read_bytes(), type=dict[str, msgspec.Raw])
    updates = msgspec.json.decode(parts["updates"], type=list[msgspec.Raw])
    return [bytes(parts["init"]), *(bytes(update) for update in updates)]


class Watcher:
    """A reader of the stream: the book that a strategy would see, held to the true one."""

    def __init__(self, depth: int = 10, places: tuple[int, int] = (1, 8)) -> None:
        self.sync = BookSync(BTC, depth, *places)
        self.book = OrderBook(BTC)
        self.lost = 0
        self.told: list[BookLevels] = []
        self._decoder = StreamDecoder(SYMBOLS)

    def play(self, frames: Sequence[bytes | str]) -> None:
        for frame in frames:
            for event in self._decoder.decode(frame, 0):
                assert isinstance(event, BookEvent)
                output = self.sync.on_event(event, len(self.told) + 1)
                if isinstance(output, BookLost):
                    self.lost += 1
                    self.book.invalidate()
                elif output is not None:
                    self.told.append(output)
                    assert self.book.apply(output)
                    # What is shown is what Kraken vouched for, each and every time.
                    levels = self.book.asks() + self.book.bids()
                    assert checksum(levels, 1, 8) == event.checksum
                    assert len(self.book.bids(5000)) <= 10


@pytest.mark.recorded
@pytest.mark.parametrize("places", [(1, 8), (0, 0)], ids=["listed", "learned"])
def test_every_checksum_of_the_recording_holds(places: tuple[int, int]) -> None:
    """Also where nothing is known of the instrument: the places are learned from the numbers."""
    watcher = Watcher(places=places)
    watcher.play(frames_of_the_recording())
    assert (watcher.sync.verified, watcher.lost, len(watcher.told)) == (251, 0, 251)


@pytest.mark.recorded
def test_a_missing_line_shows_no_wrong_book() -> None:
    """A book is lost, or what came after it made up for what was missed: the checksum tells."""
    frames = frames_of_the_recording()
    lost = 0
    for missing in range(1, len(frames)):
        watcher = Watcher()
        watcher.play(frames[:missing] + frames[missing + 1 :])
        lost += watcher.lost
    assert lost > 150


@pytest.mark.recorded
def test_a_doubled_line_is_told_once() -> None:
    """It changes nothing, is told to nobody, and is counted."""
    frames = frames_of_the_recording()
    for doubled in range(1, len(frames)):
        watcher = Watcher()
        watcher.play(frames[: doubled + 1] + frames[doubled:])
        assert (watcher.lost, len(watcher.told), watcher.sync.duplicates) == (0, 251, 1)


@pytest.mark.recorded
def test_a_stale_snapshot_is_followed_by_a_loss() -> None:
    """A snapshot that an update does not follow on is found out by that update."""
    frames = frames_of_the_recording()
    watcher = Watcher()
    watcher.play([frames[0], *frames[100:]])
    assert watcher.lost == 1
    assert len(watcher.told) == 1


@pytest.mark.recorded
def test_a_flipped_digit_is_caught() -> None:
    """In every line, in a price or a quantity: never shown to anyone, unless it changes nothing."""
    frames = [frame.decode() for frame in frames_of_the_recording()]
    caught = 0
    for number in range(len(frames)):
        for field in ('"price":', '"qty":'):
            frame = frames[number]
            at = frame.find(field)
            if at < 0:
                continue
            # Its last digit: also of a level that is to be deleted, where that level is there.
            end = at + len(field)
            while frame[end] in " .0123456789":
                end += 1
            if frame[end - 1] == "0":
                continue  # of a quantity of 0, or a place that an instrument does not have
            flipped = str((int(frame[end - 1]) + 1) % 10)
            watcher = Watcher()
            watcher.play([*frames[:number], frame[: end - 1] + flipped + frame[end:]])
            caught += len(watcher.told) == number and not watcher.sync.valid
    assert caught > 200


def test_tiny_quantities_are_exact() -> None:
    """0.00000001 is eight places, not an exponent."""
    asks, bids = [("50000.1", "0.00000001")], [("50000.0", "0.10000000"), ("0.1", "1000.00000000")]
    watcher = Watcher()
    watcher.play([book_frame("snapshot", asks, bids, crc(asks, bids))])
    assert watcher.told[0].asks == ((Decimal("50000.1"), Decimal("0.00000001")),)
    watcher.play([book_frame("update", [("50000.1", "1e-8")], [], crc(asks, bids), second=1)])
    assert len(watcher.told) == 2
    watcher.play([book_frame("update", [("50000.1", "0.00000002")], [], crc(asks, bids), second=2)])
    assert watcher.lost == 1


def test_what_falls_out_of_the_depth_is_told_as_gone() -> None:
    """Who keeps a book by what is told has no level that is not there any more."""
    bids = [(f"{100 - i}.0", "1.00000000") for i in range(10)]
    asks = [(f"{101 + i}.0", "1.00000000") for i in range(10)]
    watcher = Watcher()
    watcher.play([book_frame("snapshot", asks, bids, crc(asks, bids))])
    better = [("100.5", "2.00000000"), *bids]
    watcher.play([book_frame("update", [], [better[0]], crc(asks, better), second=1)])
    assert set(watcher.told[1].bids) == {
        (Decimal("100.5"), Decimal(2)),
        (Decimal("91.0"), Decimal(0)),
    }
    assert watcher.book.bids(20)[-1] == (Decimal(92), Decimal(1))


def test_updates_before_the_snapshot_are_ignored() -> None:
    """After a loss too: they belong to the subscription before."""
    asks, bids = [("2.0", "1.00000000")], [("1.0", "1.00000000")]
    update = book_frame("update", asks, [], 1)
    watcher = Watcher()
    watcher.play([update])
    snapshot = book_frame("snapshot", asks, bids, crc(asks, bids))
    watcher.play([snapshot, update, update, snapshot])
    assert (watcher.lost, len(watcher.told)) == (1, 2)


def test_a_snapshot_with_a_wrong_checksum_is_no_book() -> None:
    """It tells nothing, and nothing is learned from it; a right one later is a book."""
    bids, asks = [("1.0", "1.00000000")], [("2.0", "1.00000000")]
    watcher = Watcher(places=(0, 0))
    wrong = book_frame("snapshot", [("2.00001", "1.0000000000")], bids, 17)
    watcher.play([wrong, wrong])
    assert (watcher.told, watcher.sync.lost) == ([], 2)
    watcher.play([book_frame("snapshot", asks, bids, crc(asks, bids))])
    assert watcher.sync.valid
    assert watcher.sync.lost == 0


def test_a_crossed_book_is_no_book() -> None:
    """Whatever its checksum says."""
    asks, bids = [("1.0", "1.00000000")], [("1.0", "1.00000000")]
    watcher = Watcher()
    watcher.play([book_frame("snapshot", asks, bids, crc(asks, bids))])
    assert watcher.told == []


prices = st.integers(1, 60).map(lambda n: Decimal(n) / 10)
sizes = st.sampled_from([Decimal(0), Decimal("0.00000001"), Decimal(1), Decimal("12.34567890")])
updates = st.lists(st.tuples(st.booleans(), prices, sizes), max_size=8)


@given(st.lists(updates, min_size=1, max_size=12), st.sampled_from([10, 25]))
def test_it_keeps_the_book_that_a_plain_one_would(
    changes: list[list[tuple[bool, Decimal, Decimal]]], depth: int
) -> None:
    """Against a book of two dicts, sorted anew each time, that checks nothing."""
    sync, shown = BookSync(BTC, depth, 1, 8), OrderBook(BTC)
    plain: list[dict[Decimal, Decimal]] = [{}, {}]
    for number, change in enumerate(changes):
        sides: list[list[tuple[Decimal, Decimal]]] = [[], []]
        for is_ask, base, quantity in change:
            price = base + 10 if is_ask else base
            sides[is_ask].append((price, quantity))
            plain[is_ask][price] = quantity
        for is_ask in (False, True):
            live = sorted((p for p, q in plain[is_ask].items() if q), reverse=not is_ask)[:depth]
            plain[is_ask] = {p: plain[is_ask][p] for p in live}
        text = [[(f"{p:.1f}", f"{q:.8f}") for p, q in plain[side].items()] for side in (1, 0)]
        event = BookEvent(
            BTC, number, tuple(sides[0]), tuple(sides[1]), crc(*text), snapshot=number == 0
        )
        told = sync.on_event(event, number + 1)
        assert isinstance(told, BookLevels)
        shown.apply(told)
        assert shown.bids(99) == list(plain[0].items())
        assert shown.asks(99) == list(plain[1].items())
