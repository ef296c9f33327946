"""The server's own book of a symbol: what the venue's would be at a point of the recording.

It is kept apart from the client's rule on purpose (`venues.binance.book_sync`), so that one
can be judged by the other. Where the recording itself misses a change the book is not known, until
a recorded snapshot reaches across the gap.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from trade_runtime.replay.shapes import Depth, Snapshot, Texts

MAX_WAITING: Final = 10_000
"""Changes after a gap that wait for a recorded snapshot; beyond it the oldest are dropped."""


class Book:
    """A book, by the texts of the recording.

    Args:
        opening: what it begins with.
    """

    def __init__(self, opening: Snapshot) -> None:
        self.known = True
        self.last_id = 0
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._waiting: deque[Depth] = deque(maxlen=MAX_WAITING)
        self.reset(opening)

    def reset(self, snapshot: Snapshot) -> None:
        """Begin anew with a snapshot."""
        self._bids = dict(snapshot.bids)
        self._asks = dict(snapshot.asks)
        self.last_id = snapshot.lastUpdateId
        self.known = True

    def apply(self, change: Depth) -> None:
        """Take the next change of the recording."""
        # On futures ids skip, and `pu` names the change before.
        if self.known and (self.last_id + 1 >= change.U or change.pu == self.last_id):
            if change.u > self.last_id:
                _apply(self._bids, change.b)
                _apply(self._asks, change.a)
                self.last_id = change.u
            return
        newest = self._waiting[-1].u if self._waiting else 0
        if self.known or (newest + 1 < change.U and change.pu != newest):
            self._waiting.clear()
        self.known = False
        self._waiting.append(change)

    def offer(self, snapshot: Snapshot) -> None:
        """Take a recorded snapshot, which mends a book that is not known if it reaches it."""
        if self.known or (self._waiting and snapshot.lastUpdateId + 1 < self._waiting[0].U):
            return
        self.reset(snapshot)
        waiting = list(self._waiting)
        self._waiting.clear()
        for change in waiting:
            self.apply(change)

    def snapshot(self) -> Snapshot:
        """Return the whole book, best prices first."""
        bids = sorted(self._bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(self._asks.items(), key=lambda level: float(level[0]))
        return Snapshot(self.last_id, tuple(bids), tuple(asks))

    def change_to(self, target: Snapshot) -> tuple[Texts, Texts]:
        """Return the bids and asks of one change that makes this book into `target`."""
        return _difference(self._bids, target.bids), _difference(self._asks, target.asks)


def _apply(side: dict[str, str], levels: Texts) -> None:
    for price, quantity in levels:
        if quantity.strip("0."):
            side[price] = quantity
        else:
            side.pop(price, None)


def _difference(side: dict[str, str], target: Texts) -> Texts:
    wanted = dict(target)
    gone = tuple((price, "0.00000000") for price in side if price not in wanted)
    return gone + tuple((price, q) for price, q in target if side.get(price) != q)
