"""The live orders of one instrument, ready to be met by the market, and the market's present quote.

Plain and synchronous. It keeps each kind of order sorted by how soon the market can reach it, and
from the nearest of each kind four float bounds: a quote or trade that lies between them touches
nothing and costs a few comparisons. Comparing as floats is exact here, since instruments allow no
number that a float could not carry.

It also keeps how much of the displayed size own orders have taken: a size shown once is taken once.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf

from trade_runtime.model.instrument import Instrument, exact
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import SIDES, ZERO, Side
from trade_runtime.venues.paper.levels import Levels
from trade_runtime.venues.paper.orders import PaperOrder


class Book:
    """Own orders of one instrument against the market's quote.

    Attributes:
        instrument: its ticks, lots and currencies.
        quote: the market's present best bid and ask, or None before the first.
        taking: orders without a limit that wait for more size, by side, by arrival.
        resting: limit orders, by side.
        stops: orders that wake when the market moves against them, by side.
        profits: orders that wake when it moves in their favour, by side.
        linear: it is a contract.
        reducers: of a contract, the live orders that may only make its position smaller.
        trailing: those of the stops whose trigger follows the market, by side.
        queued: a resting order waits behind what is displayed at its price.
        touched: own orders have taken of what is displayed.
        bid_low: a quote whose bid is at or below this does something to a sell.
        bid_high: a quote whose bid is at or above this does.
        ask_low: a quote whose ask is at or below this does something to a buy.
        ask_high: a quote whose ask is at or above this does.
        trade_low: a trade at or below this meets or wakes an order.
        trade_high: a trade at or above this does.
    """

    __slots__ = (
        "_best",
        "_priced",
        "_shown",
        "ask_high",
        "ask_low",
        "bid_high",
        "bid_low",
        "changed",
        "instrument",
        "linear",
        "profits",
        "queued",
        "quote",
        "reducers",
        "resting",
        "stops",
        "taken",
        "taking",
        "touched",
        "trade_high",
        "trade_low",
        "trailing",
    )

    def __init__(self, instrument: Instrument, *, queued: bool = False) -> None:
        self.instrument = instrument
        self.linear = instrument.kind == "linear"
        self.reducers: dict[int, PaperOrder] = {}
        self.queued = queued
        self.quote: Quote | None = None
        # The quote's prices and sizes as exact numbers, made when first asked for.
        self._priced: Quote | None = None
        self._best: dict[Side, Decimal | None] = {}
        self._shown: dict[Side, Decimal] = {}
        self.changed = True
        """An order came or went since the bounds were worked out."""
        self.taken = dict.fromkeys(SIDES, ZERO)
        self.touched = False
        self.taking = {side: Levels(high_first=False) for side in SIDES}
        self.resting = {side: Levels(high_first=side is Side.BUY) for side in SIDES}
        self.stops = {side: Levels(high_first=side is Side.SELL) for side in SIDES}
        self.profits = {side: Levels(high_first=side is Side.BUY) for side in SIDES}
        self.trailing: dict[Side, dict[int, PaperOrder]] = {side: {} for side in SIDES}
        self.refresh()

    def __contains__(self, order: PaperOrder) -> bool:
        return order in self._place(order)[0]

    def add(self, order: PaperOrder) -> None:
        """Let `order` wait for the market. Call `refresh` once the step is over."""
        levels, price = self._place(order)
        levels.add(price, order)
        self.changed = True
        if order.trail is not None:
            self.trailing[order.side][order.seq] = order

    def remove(self, order: PaperOrder) -> None:
        """Take `order` out. Call it before the order's way of waiting changes."""
        levels, price = self._place(order)
        levels.remove(price, order)
        self.changed = True
        self.trailing[order.side].pop(order.seq, None)

    def see(self, quote: Quote) -> None:
        """Take the market's new quote. A side that did not change shows no new size."""
        old, self.quote = self.quote, quote
        if old is None or not self.touched:
            return
        if quote.ask != old.ask or quote.ask_size != old.ask_size:
            self.taken[Side.BUY] = ZERO
        if quote.bid != old.bid or quote.bid_size != old.bid_size:
            self.taken[Side.SELL] = ZERO
        self.touched = bool(self.taken[Side.BUY] or self.taken[Side.SELL])

    def best(self, side: Side) -> Decimal | None:
        """Return the price at which an order of `side` would take, or None where none is shown."""
        quote = self.quote
        if self._priced is not quote:
            self._priced, self._best, self._shown = quote, {}, {}
        elif side in self._best:
            return self._best[side]
        price = 0.0 if quote is None else quote.ask if side is Side.BUY else quote.bid
        best = self._best[side] = exact(price) if 0 < price < inf else None
        return best

    def shown(self, side: Side) -> Decimal:
        """Return the size displayed for an order of `side` to take, in whole lots."""
        if self.best(side) is None or self.quote is None:
            return ZERO
        if side not in self._shown:
            size = self.quote.ask_size if side is Side.BUY else self.quote.bid_size
            fits = 0 < size < inf
            self._shown[side] = self.instrument.round_quantity(size) if fits else ZERO
        return self._shown[side]

    def available(self, side: Side) -> Decimal:
        """Return the size an order of `side` can still take at the best price, in whole lots."""
        shown = self._shown.get(side) if self._priced is self.quote else None
        if shown is None:
            shown = self.shown(side)
        return max(ZERO, shown - self.taken[side]) if self.touched else shown

    def take(self, side: Side, quantity: Decimal) -> None:
        """Count `quantity` of the displayed size as taken."""
        self.taken[side] += quantity
        self.touched = True

    def refresh(self) -> None:
        """Work out the bounds again, if an order came or went."""
        if not self.changed:
            return
        self.changed = False
        buy, sell = Side.BUY, Side.SELL
        if self.taking[buy] or self.taking[sell]:
            # Every quote has to be looked at, for new size.
            self.bid_low, self.bid_high, self.ask_low, self.ask_high = inf, -inf, inf, -inf
        else:
            self.bid_low = self.stops[sell].edge(-inf)
            self.bid_high = min(self.resting[sell].edge(inf), self.profits[sell].edge(inf))
            self.ask_low = max(self.resting[buy].edge(-inf), self.profits[buy].edge(-inf))
            self.ask_high = self.stops[buy].edge(inf)
            for order in self.trailing[sell].values():
                self.bid_high = min(self.bid_high, self._follows_at(order))
            for order in self.trailing[buy].values():
                self.ask_low = max(self.ask_low, self._follows_at(order))
            if self.queued:  # what is displayed at an order's own price, or no more, is its queue
                self.bid_low = max(self.bid_low, self.resting[buy].edge(-inf))
                self.ask_high = min(self.ask_high, self.resting[sell].edge(inf))
        self.trade_low = max(
            self.resting[buy].edge(-inf),
            self.stops[sell].edge(-inf),
            self.profits[buy].edge(-inf),
        )
        self.trade_high = min(
            self.resting[sell].edge(inf),
            self.stops[buy].edge(inf),
            self.profits[sell].edge(inf),
        )

    def _follows_at(self, order: PaperOrder) -> float:
        """Return the price from which on, or down to which, a trigger would follow."""
        assert order.trail is not None
        assert order.trigger_price is not None
        step = order.trail + self.instrument.tick
        return float(order.trigger_price - order.side.sign * step)

    def _place(self, order: PaperOrder) -> tuple[Levels, Decimal]:
        if order.waits_for_trigger:
            assert order.trigger_price is not None
            waiting = self.profits if order.takes_profit else self.stops
            return waiting[order.side], order.trigger_price
        if order.price is None:
            return self.taking[order.side], ZERO
        return self.resting[order.side], order.price
