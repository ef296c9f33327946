"""A made-up market of one symbol: a seeded random walk of the price, with trades and a small book.

Plain and synchronous; a value of the seed and of how often it was asked. Prices are counted in
ticks and sizes in lots, so that every float that leaves is the nearest to an exact number. A book
change carries the update id of the quote it goes with, and its best prices and sizes are that
quote's.
"""

from __future__ import annotations

import math
import random
from decimal import Decimal

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.synthetic.settings import LOT, TICK, SyntheticSettings

TICKS_IN_ONE = int(1 / TICK)
LOTS_IN_ONE = int(1 / LOT)

FARTHEST = 10
"""The price stays between a tenth and ten times of where it began."""

_LOT_DIGITS = -4
_TICK_DIGITS = -2

Depth = dict[int, int]


class SyntheticMarket:
    """The market of one symbol.

    Args:
        start: the first price.
        settings: how it moves.
        rng: the symbol's own seeded randomness.
    """

    def __init__(self, start: Decimal, settings: SyntheticSettings, rng: random.Random) -> None:
        self._random = rng.random
        ticks = float(start / TICK)
        self._middle = ticks
        self._low, self._high = max(ticks / FARTHEST, 50.0), ticks * FARTHEST
        # A uniform step of this width has the standard deviation asked for.
        per_quote = settings.volatility_bps / 10_000 / math.sqrt(settings.quotes_per_sec)
        self._stride = per_quote * math.sqrt(12)
        self._spread = settings.spread_bps / 10_000
        self._mean_lots = max(2, round(settings.size * LOTS_IN_ONE))
        self._trade_probability = settings.trade_probability
        self._levels = settings.book_levels
        self._update_id = 0
        self._trade_id = 0
        self._bids: Depth = {}
        self._asks: Depth = {}
        self._best = (0, 0, 0, 0)
        self._step()

    def move(self, instrument: InstrumentId, ts_ns: int) -> Quote:
        """Let the market move, and return its new quote."""
        self._step()
        return self.quote(instrument, ts_ns)

    def jump(self, price: Decimal) -> None:
        """Go on from another price."""
        self._middle = min(max(float(price / TICK), self._low), self._high)
        self._step()

    def quote(self, instrument: InstrumentId, ts_ns: int) -> Quote:
        """Return the present quote."""
        bid, ask, bid_lots, ask_lots = self._best
        return Quote(
            instrument,
            ts_ns,
            bid / TICKS_IN_ONE,
            ask / TICKS_IN_ONE,
            bid_lots / LOTS_IN_ONE,
            ask_lots / LOTS_IN_ONE,
            self._update_id,
        )

    def trade(self, instrument: InstrumentId, ts_ns: int) -> Trade | None:
        """Return a trade at the present best bid or ask, or None where there is none this time."""
        if self._random() >= self._trade_probability:
            return None
        bid, ask, bid_lots, ask_lots = self._best
        self._trade_id += 1
        buys = self._random() < 0.5
        lots = 1 + int(self._random() * (ask_lots if buys else bid_lots))
        return Trade(
            instrument,
            ts_ns,
            (ask if buys else bid) / TICKS_IN_ONE,
            lots / LOTS_IN_ONE,
            Side.BUY if buys else Side.SELL,
            self._trade_id,
        )

    def book(self, instrument: InstrumentId, ts_ns: int, *, snapshot: bool) -> BookLevels:
        """Return the whole book, or what changed of it since it was last returned."""
        bid, ask, bid_lots, ask_lots = self._best
        bids, asks = {bid: bid_lots}, {ask: ask_lots}
        for depth in range(1, self._levels):
            # Deeper levels are larger and keep their size while their price stays in the book.
            size = self._mean_lots * (depth + 1)
            bids[bid - depth] = self._bids.get(bid - depth) or 1 + int(self._random() * size)
            asks[ask + depth] = self._asks.get(ask + depth) or 1 + int(self._random() * size)
        old_bids, old_asks = ({}, {}) if snapshot else (self._bids, self._asks)
        self._bids, self._asks = bids, asks
        return BookLevels(
            instrument,
            ts_ns,
            self._update_id,
            _changes(old_bids, bids),
            _changes(old_asks, asks),
            snapshot,
        )

    def _step(self) -> None:
        draw = self._random
        middle = self._middle * (1 + (draw() - 0.5) * self._stride)
        middle = self._middle = min(max(middle, self._low), self._high)
        half = middle * self._spread / 2
        bid = int(middle - half)
        ask = max(bid + 1, int(middle + half))
        mean = self._mean_lots
        self._update_id += 1
        self._best = (bid, ask, 1 + int(draw() * mean * 2), 1 + int(draw() * mean * 2))


def _changes(old: Depth, new: Depth) -> tuple[tuple[Decimal, Decimal], ...]:
    changed = {price: 0 for price in old if price not in new}
    changed.update((price, lots) for price, lots in new.items() if old.get(price) != lots)
    return tuple(
        (Decimal(price).scaleb(_TICK_DIGITS), Decimal(lots).scaleb(_LOT_DIGITS))
        for price, lots in changed.items()
    )
