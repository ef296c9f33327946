"""What a market tells: quotes, trades, bars, changes of the order book.

One such object is made for every event of a feed, so these are `msgspec` structs, not attrs
classes: frozen all the same, and several times cheaper to make (a frozen attrs class pays one
`object.__setattr__` a field). They hold no containers that could form a cycle, so the garbage
collector is told not to track them.

Times are nanoseconds since the Unix epoch by the venue's clock where the venue gives one, else by
ours at receipt. A recorder's or a venue's clock may be ahead of or behind ours: no code may assume
that `ts_ns` lies in the past.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.orders import Side


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask.

    `bid`, `ask` are prices in the quote currency, `bid_size`, `ask_size` quantities in the base
    currency, `update_id` the venue's book update id (0 where it gives none).
    """

    instrument: InstrumentId
    ts_ns: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    update_id: int = 0

    @property
    def mid(self) -> float:
        """The price halfway between bid and ask."""
        return (self.bid + self.ask) / 2


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade between others at the venue; `aggressor` is the side that took liquidity."""

    instrument: InstrumentId
    ts_ns: int
    price: float
    quantity: float
    aggressor: Side
    trade_id: int


class Bar(msgspec.Struct, frozen=True, gc=False):
    """Open, high, low, close and volume of a stretch of trades, or of quotes.

    Attributes:
        ts_ns: when it ended. A bar by time holds what came in `[open_ns, ts_ns)`; one by trades or
            by volume ended with the event at `ts_ns`.
        open_ns: when it began: by time, a whole multiple of its length; else its first event.
        volume: in the base currency; 0 of quotes.
        trades: how many it is made of; of quotes, how many of these.
    """

    instrument: InstrumentId
    ts_ns: int
    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


class BookLevels(msgspec.Struct, frozen=True):
    """A change of an order book, or with `snapshot` a whole one; in sequence, checked by the codec.

    `bids` and `asks` are `(price, quantity)` pairs, exact; a quantity of 0 removes the level.
    `update_id` is the id of the last change in it.
    """

    instrument: InstrumentId
    ts_ns: int
    update_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    snapshot: bool = False
