"""Kraken's rule for keeping an order book, without any I/O.

One `BookSync` serves one symbol on one subscription. Snapshots and updates go in by plain calls;
what is to be told comes out: a `BookLevels`, or `BookLost`, or nothing. Guarantees, whatever comes
in and in whatever order:

- The first `BookLevels`, and the first after each `BookLost`, is a snapshot.
- After every `BookLevels` the first ten levels of each side have the checksum that Kraken sent.
- What is told makes the very book that is kept: levels that fell out of its depth are told as gone.
- An update that came twice is told once.

Numbers on the wire are JSON numbers; a library in between may have eaten trailing zeros, and the
checksum is over the text with all of them. So each number is written with as many places as the
instrument has, or as any number of the book had so far that its checksum has vouched for.

Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v2 and its checksum guide.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from typing import Final
from zlib import crc32

import msgspec

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels
from trade_runtime.model.orders import ZERO

CHECKED_LEVELS: Final = 10
"""Levels a side that the checksum covers."""

MAX_PLACES: Final = 18
"""Decimal places of a number; one with more cannot be Kraken's."""

Levels = tuple[tuple[Decimal, Decimal], ...]


class BookEvent(msgspec.Struct, frozen=True):
    """A snapshot or an update as it came."""

    instrument: InstrumentId
    ts_ns: int
    bids: Levels
    asks: Levels
    checksum: int
    snapshot: bool


class BookLost(msgspec.Struct, frozen=True):
    """A change was missed: the book is worth nothing until the next snapshot."""

    instrument: InstrumentId


class _Side:
    """One side: quantities by price, and the prices sorted so that the best is last."""

    __slots__ = ("_key", "keys", "quantities")

    def __init__(self, sign: int) -> None:
        self._key = Decimal(sign)
        self.keys: list[Decimal] = []
        self.quantities: dict[Decimal, Decimal] = {}

    def apply(self, levels: Levels, depth: int) -> Levels:
        """Take changes, keep `depth` levels, and return what is different now."""
        changed: dict[Decimal, Decimal] = {}
        for price, quantity in levels:
            key = price * self._key
            if quantity:
                if key not in self.quantities:
                    insort(self.keys, key)
                self.quantities[key] = quantity
            elif self.quantities.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            changed[price] = quantity
        excess = len(self.keys) - depth
        if excess > 0:
            for key in self.keys[:excess]:
                del self.quantities[key]
                changed[key * self._key] = ZERO
            del self.keys[:excess]
        return tuple(changed.items())

    def top(self) -> list[tuple[Decimal, Decimal]]:
        """The levels that the checksum covers, best first."""
        return [
            (key * self._key, self.quantities[key]) for key in reversed(self.keys[-CHECKED_LEVELS:])
        ]


class BookSync:
    """Keeps one symbol's book, and holds it against Kraken's checksums.

    Args:
        instrument: whose book it is; what comes out carries it.
        depth: levels a side, as subscribed.
        price_places: decimal places of its prices, where they are known.
        quantity_places: and of its quantities.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_depth",
        "_last",
        "_places",
        "duplicates",
        "instrument",
        "lost",
        "valid",
        "verified",
    )

    def __init__(
        self, instrument: InstrumentId, depth: int, price_places: int = 0, quantity_places: int = 0
    ) -> None:
        self.instrument = instrument
        self.valid = False
        """There is a book, and its checksum is right."""
        self.lost = 0
        """How often the book was lost, or a snapshot was no good, since a checksum was right."""
        self.verified = 0
        """Checksums that were right."""
        self.duplicates = 0
        """Updates that came twice."""
        self._depth = depth
        self._places = (price_places, quantity_places)
        self._last: BookEvent | None = None
        self._bids = _Side(1)
        self._asks = _Side(-1)

    def on_event(self, event: BookEvent, update_id: int) -> BookLevels | BookLost | None:
        """Take what came next and return what is to be told; it carries `update_id`.

        An update while there is no book is ignored: it is from before the snapshot.
        """
        if event.snapshot:
            self._bids, self._asks = _Side(1), _Side(-1)
        elif not self.valid:
            return None
        elif event == self._last:
            self.duplicates += 1
            return None
        bids = self._bids.apply(event.bids, self._depth)
        asks = self._asks.apply(event.asks, self._depth)
        if not self._matches(event):
            return self._lose()
        self.valid, self.lost, self._last = True, 0, event
        self.verified += 1
        if event.snapshot:
            bids = tuple(level for level in bids if level[1])
            asks = tuple(level for level in asks if level[1])
        return BookLevels(self.instrument, event.ts_ns, update_id, bids, asks, event.snapshot)

    def lose(self) -> BookLost | None:
        """Give the book up, for a reason from outside."""
        return self._lose()

    def _lose(self) -> BookLost | None:
        had_one, self.valid, self._last = self.valid, False, None
        self.lost += 1
        return BookLost(self.instrument) if had_one else None

    def _matches(self, event: BookEvent) -> bool:
        asks, bids = self._asks.top(), self._bids.top()
        if asks and bids and bids[0][0] >= asks[0][0]:
            return False
        levels = asks + bids
        price_places, quantity_places = self._places
        price_places = max([price_places, *(_places(price) for price, _ in levels)])
        quantity_places = max([quantity_places, *(_places(quantity) for _, quantity in levels)])
        if max(price_places, quantity_places) > MAX_PLACES:
            return False
        if checksum(levels, price_places, quantity_places) != event.checksum:
            return False
        self._places = price_places, quantity_places
        return True


def checksum(levels: list[tuple[Decimal, Decimal]], price_places: int, quantity_places: int) -> int:
    """Return the CRC32 of levels: the asks from low to high, then the bids from high to low."""
    parts = []
    for price, quantity in levels:
        # An exact whole number has neither a point nor zeros in front: the text that is asked for.
        parts.append(str(int(price.scaleb(price_places))))
        parts.append(str(int(quantity.scaleb(quantity_places))))
    return crc32("".join(parts).encode())


def _places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
