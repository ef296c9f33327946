"""An order book, kept exact by applying changes in sequence.

The codec of the venue vouches for the sequence; the book vouches for itself: one whose best bid
reaches its best ask is not given out.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels
from trade_runtime.model.orders import ZERO

Level = tuple[Decimal, Decimal]
"""A price and the quantity there."""


class _Side:
    """One side: quantities by price, and the prices sorted from low to high."""

    __slots__ = ("prices", "quantities")

    def __init__(self) -> None:
        self.quantities: dict[Decimal, Decimal] = {}
        self.prices: list[Decimal] = []

    def apply(self, levels: tuple[Level, ...]) -> None:
        for price, quantity in levels:
            if quantity:
                if price not in self.quantities:
                    insort(self.prices, price)
                self.quantities[price] = quantity
            elif self.quantities.pop(price, None) is not None:
                del self.prices[bisect_left(self.prices, price)]


class OrderBook:
    """The resting orders of a market by price. A strategy reads it within its handler's call."""

    __slots__ = ("_asks", "_bids", "instrument", "ts_ns", "update_id", "valid")

    def __init__(self, instrument: InstrumentId) -> None:
        self.instrument = instrument
        self.update_id = 0
        """The venue's id of the last change in it."""
        self.ts_ns = 0
        self.valid = False
        """It is whole and in sequence. False before the first snapshot and after a gap."""
        self._bids = _Side()
        self._asks = _Side()

    def apply(self, levels: BookLevels) -> bool:
        """Take a snapshot or the next change; return whether the book may be shown.

        A change that comes while the book is not valid is ignored: only a snapshot mends it.
        """
        if levels.snapshot:
            self._bids, self._asks = _Side(), _Side()
            self.valid = True
        elif not self.valid:
            return False
        self._bids.apply(levels.bids)
        self._asks.apply(levels.asks)
        self.update_id = levels.update_id
        self.ts_ns = levels.ts_ns
        return not self.crossed

    def invalidate(self) -> None:
        """A change was missed: the book is worth nothing until the next snapshot."""
        self.valid = False

    @property
    def crossed(self) -> bool:
        """The best bid is at or above the best ask: a state no real market rests in."""
        return bool(
            self._bids.prices
            and self._asks.prices
            and self._bids.prices[-1] >= self._asks.prices[0]
        )

    @property
    def best_bid(self) -> Level | None:
        """The highest bid, or None where there is none."""
        prices = self._bids.prices
        return (prices[-1], self._bids.quantities[prices[-1]]) if prices else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask, or None where there is none."""
        prices = self._asks.prices
        return (prices[0], self._asks.quantities[prices[0]]) if prices else None

    def bids(self, depth: int = 10) -> list[Level]:
        """Return up to `depth` levels, best first."""
        side = self._bids
        return [(p, side.quantities[p]) for p in reversed(side.prices[-depth:])]

    def asks(self, depth: int = 10) -> list[Level]:
        """Return up to `depth` levels, best first."""
        side = self._asks
        return [(p, side.quantities[p]) for p in side.prices[:depth]]

    def quantity_at(self, price: Decimal) -> Decimal:
        """Return what rests at a price on either side, 0 where nothing does."""
        return self._bids.quantities.get(price) or self._asks.quantities.get(price) or ZERO
