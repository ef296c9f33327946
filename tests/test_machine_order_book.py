"""The order book against the plainest model there is: two dicts."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import ETH
from trade_runtime.machines.order_book import Level, OrderBook
from trade_runtime.model.market import BookLevels

LEVELS = st.lists(
    st.tuples(st.integers(95, 105).map(Decimal), st.integers(0, 3).map(Decimal)), max_size=6
).map(tuple)


def levels(
    bids: tuple[Level, ...] = (),
    asks: tuple[Level, ...] = (),
    update_id: int = 1,
    *,
    snapshot: bool = False,
) -> BookLevels:
    """A change, or a whole book."""
    return BookLevels(ETH, update_id, update_id, bids, asks, snapshot)


def level(price: str, quantity: str) -> Level:
    return Decimal(price), Decimal(quantity)


def whole() -> OrderBook:
    """A book of two levels a side."""
    book = OrderBook(ETH)
    bids = (level("99", "1"), level("98", "2"))
    asks = (level("101", "3"), level("102", "4"))
    assert book.apply(levels(bids, asks, 7, snapshot=True))
    return book


def test_before_the_first_snapshot_nothing_is_shown() -> None:
    """Changes without a book to change are ignored."""
    book = OrderBook(ETH)
    assert not book.apply(levels((level("99", "1"),)))
    assert (None, None, False, 0) == (book.best_bid, book.best_ask, book.valid, book.update_id)


def test_best_first() -> None:
    """Both sides are given from the best price on, as deep as asked for."""
    book = whole()
    assert (level("99", "1"), level("101", "3")) == (book.best_bid, book.best_ask)
    assert [level("99", "1"), level("98", "2")] == book.bids()
    assert [level("101", "3")] == book.asks(1)
    assert (Decimal(4), Decimal(2), Decimal(0)) == tuple(
        book.quantity_at(Decimal(p)) for p in (102, 98, 100)
    )


def test_quantity_zero_removes_a_level() -> None:
    """Also one that was not there."""
    book = whole()
    assert book.apply(levels((level("99", "0"), level("50", "0")), (), 8))
    assert (level("98", "2"), 8, 8) == (book.best_bid, book.update_id, book.ts_ns)


def test_a_crossed_book_is_not_shown_but_kept() -> None:
    """A bid at the ask hides the book until the change that takes one of them away."""
    book = whole()
    assert not book.apply(levels((level("101", "1"),), (), 8))
    assert book.crossed
    assert book.apply(levels((), (level("101", "0"),), 9))
    assert (level("101", "1"), level("102", "4")) == (book.best_bid, book.best_ask)


def test_after_a_gap_only_a_snapshot_mends() -> None:
    """What was there before the gap does not leak into the mended book."""
    book = whole()
    book.invalidate()
    assert not book.apply(levels((level("100", "1"),), (), 9))
    assert book.apply(levels((level("90", "1"),), (level("91", "1"),), 20, snapshot=True))
    assert [level("90", "1")] == book.bids()
    assert (True, 20) == (book.valid, book.update_id)


@given(st.lists(st.tuples(LEVELS, LEVELS, st.sampled_from([False, False, True])), max_size=12))
def test_the_book_is_its_changes(
    changes: list[tuple[tuple[Level, ...], tuple[Level, ...], bool]],
) -> None:
    """After any snapshots and changes the book is what two dicts say, and hides iff crossed."""
    book = OrderBook(ETH)
    book.apply(levels(snapshot=True))
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    for number, (new_bids, new_asks, snapshot) in enumerate(changes, start=1):
        if snapshot:
            bids, asks = {}, {}
        bids = {p: q for p, q in {**bids, **dict(new_bids)}.items() if q}
        asks = {p: q for p, q in {**asks, **dict(new_asks)}.items() if q}
        shown = book.apply(levels(new_bids, new_asks, number, snapshot=snapshot))
        assert sorted(bids.items(), reverse=True) == book.bids(100)
        assert sorted(asks.items()) == book.asks(100)
        crossed = bool(bids and asks) and max(bids) >= min(asks)
        assert (crossed, not crossed) == (book.crossed, shown)
