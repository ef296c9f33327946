"""The live orders of one instrument, ready to be met by the market, and the market's present quote.

Plain and synchronous. It keeps each kind of order sorted by how soon the market can reach it, and
from the nearest of each kind four float bounds: a quote or trade that lies between them touches
nothing and costs a few comparisons. Comparing as floats is exact here, since instruments allow no
number that a float could not carry.

It also keeps how much of the displayed size own orders have taken: a size shown once is taken once.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from math import inf

from trade_runtime.model.instrument import Instrument, exact
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import ZERO, Side
from trade_runtime.venues.paper.orders import PaperOrder


class Levels:
    """Orders by price, then by arrival.

    Args:
        high_first: the highest price is the nearest to the market, else the lowest is.
    """

    __slots__ = ("_high_first", "_keys", "_orders")

    def __init__(self, *, high_first: bool) -> None:
        self._high_first = high_first
        self._keys: list[tuple[Decimal, int]] = []
        self._orders: dict[int, PaperOrder] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, price: Decimal, order: PaperOrder) -> None:
        """Put `order` in its place."""
        insort(self._keys, self._key(price, order))
        self._orders[order.seq] = order

    def remove(self, price: Decimal, order: PaperOrder) -> None:
        """Take `order` out."""
        del self._keys[bisect_left(self._keys, self._key(price, order))]
        del self._orders[order.seq]

    def first(self) -> PaperOrder | None:
        """Return the order nearest to the market, the eldest of its price."""
        return self._orders[self._keys[0][1]] if self._keys else None

    def edge(self, default: float) -> float:
        """Return the price nearest to the market, or `default` where there is none."""
        return abs(float(self._keys[0][0])) if self._keys else default

    def _key(self, price: Decimal, order: PaperOrder) -> tuple[Decimal, int]:
        return (price.copy_negate() if self._high_first else price, order.seq)


class Book:
    """Own orders of one instrument against the market's quote.

    Attributes:
        instrument: its ticks, lots and currencies.
        quote: the market's present best bid and ask, or None before the first.
        taking: orders without a limit that wait for more size, by side, by arrival.
        resting: limit orders, by side.
        stops: stops that have not woken, by side.
        bid_low: a quote whose bid is at or below this wakes a sell stop.
        bid_high: a quote whose bid is at or above this meets a sell.
        ask_low: a quote whose ask is at or below this meets a buy.
        ask_high: a quote whose ask is at or above this wakes a buy stop.
        trade_low: a trade at or below this meets a buy or wakes a sell stop.
        trade_high: a trade at or above this meets a sell or wakes a buy stop.
    """

    __slots__ = (
        "_best",
        "_priced",
        "ask_high",
        "ask_low",
        "bid_high",
        "bid_low",
        "instrument",
        "quote",
        "resting",
        "stops",
        "taken",
        "taking",
        "trade_high",
        "trade_low",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.quote: Quote | None = None
        # The quote's prices as exact numbers, made when first asked for.
        self._priced: Quote | None = None
        self._best: dict[Side, Decimal | None] = dict.fromkeys(Side)
        self.taken = {Side.BUY: ZERO, Side.SELL: ZERO}
        self.taking = {side: Levels(high_first=False) for side in Side}
        self.resting = {side: Levels(high_first=side is Side.BUY) for side in Side}
        self.stops = {side: Levels(high_first=side is Side.SELL) for side in Side}
        self.refresh()

    def add(self, order: PaperOrder) -> None:
        """Let `order` wait for the market. Call `refresh` once the step is over."""
        levels, price = self._place(order)
        levels.add(price, order)

    def remove(self, order: PaperOrder) -> None:
        """Take `order` out. Call it before the order's type of waiting changes."""
        levels, price = self._place(order)
        levels.remove(price, order)

    def see(self, quote: Quote) -> None:
        """Take the market's new quote. A side that did not change shows no new size."""
        old, self.quote = self.quote, quote
        if old is None:
            return
        if quote.ask != old.ask or quote.ask_size != old.ask_size:
            self.taken[Side.BUY] = ZERO
        if quote.bid != old.bid or quote.bid_size != old.bid_size:
            self.taken[Side.SELL] = ZERO

    def best(self, side: Side) -> Decimal | None:
        """Return the price at which an order of `side` would take, or None where none is shown."""
        if self._priced is not self.quote:
            self._priced = self.quote
            for one in Side:
                self._best[one] = self._shown(one)
        return self._best[side]

    def available(self, side: Side) -> Decimal:
        """Return the size an order of `side` can still take at the best price, in whole lots."""
        if self.quote is None or self.best(side) is None:
            return ZERO
        size = self.quote.ask_size if side is Side.BUY else self.quote.bid_size
        if not 0 < size < inf:
            return ZERO
        return max(ZERO, self.instrument.round_quantity(exact(size)) - self.taken[side])

    def take(self, side: Side, quantity: Decimal) -> None:
        """Count `quantity` of the displayed size as taken."""
        self.taken[side] += quantity

    def refresh(self) -> None:
        """Work out the bounds again, after any change of the orders or of what is taken."""
        buys, sells = self.resting[Side.BUY].edge(-inf), self.resting[Side.SELL].edge(inf)
        buy_stops, sell_stops = self.stops[Side.BUY].edge(inf), self.stops[Side.SELL].edge(-inf)
        self.trade_low, self.trade_high = max(buys, sell_stops), min(sells, buy_stops)
        if any(self.taken.values()) or any(map(len, self.taking.values())):
            # Every quote has to be looked at: for new size, or to see that it is the same size.
            self.bid_low, self.bid_high, self.ask_low, self.ask_high = inf, -inf, inf, -inf
        else:
            self.bid_low, self.bid_high = sell_stops, sells
            self.ask_low, self.ask_high = buys, buy_stops

    def _shown(self, side: Side) -> Decimal | None:
        if self.quote is None:
            return None
        price = self.quote.ask if side is Side.BUY else self.quote.bid
        return exact(price) if 0 < price < inf else None

    def _place(self, order: PaperOrder) -> tuple[Levels, Decimal]:
        if order.waits_for_trigger:
            assert order.trigger_price is not None
            return self.stops[order.side], order.trigger_price
        if order.price is None:
            return self.taking[order.side], ZERO
        return self.resting[order.side], order.price
