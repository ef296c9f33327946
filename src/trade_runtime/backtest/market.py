"""How a history reaches the simulated venue and the strategies.

Quotes and trades go the way of a live stream: the venue matches against them, then the strategies
see them. Where an instrument's history has no quotes, what it has stands for them: a trade is a
market of its price and size; a bar is one of its open, its extremes (the low first where it rose)
and its close in turn, each with a quarter of its volume. The venue alone sees those.

Every event of a history is told, whatever its id: a live feed leaves out what is not newer than the
last, since a source may repeat itself, but two files of one instrument may each count from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from trade_runtime.errors import DataError
from trade_runtime.managers.prices import Prices
from trade_runtime.managers.view import InstrumentView
from trade_runtime.model.ids import InstrumentId, VenueName, venue_of
from trade_runtime.model.market import Bar, BookLevels, Quote, Trade
from trade_runtime.protocols import MarketEvent, Matching
from trade_runtime.settings.problems import child
from trade_runtime.spelling import did_you_mean

Routes = Mapping[type, Mapping[InstrumentId, Callable[[Any], None]]]
"""Who takes an event, by its type and its instrument."""


class Market:
    """Hands the events of a history on.

    Args:
        prices: the markets as whoever trades sees them.
        kinds: by instrument, the kinds of events that its histories have.
    """

    def __init__(self, prices: Prices, kinds: dict[InstrumentId, set[str]]) -> None:
        self.bar_taps: dict[InstrumentId, list[Callable[[Bar], None]]] = {
            one: [] for one, found in kinds.items() if "bars" in found
        }
        """Who is given the bars of the instruments whose history has them ready-made."""
        self._views = prices.views
        self._kinds = kinds
        for view in self._views.values():
            view.streamed = True

    def listen(self, drivens: Mapping[VenueName, Matching]) -> None:
        """See to it that no venue meets a trade twice: as itself, and as the market it stands
        for.
        """
        for instrument, kinds in self._kinds.items():
            driven = drivens.get(venue_of(instrument))
            if driven is not None and "quotes" not in kinds:
                self._views[instrument].trade_taps.remove(driven.on_trade)

    def routes(self) -> Routes:
        """Return who takes an event, by its type and instrument: one plain call for each event."""
        views = self._views
        quoted = {one for one in views if "quotes" in self._kinds[one]}
        barred = {one for one in views if self._kinds[one] == {"bars"}}
        return {
            Quote: {one: view.on_quote for one, view in views.items()},
            Trade: {
                one: view.on_trade if one in quoted else partial(self._show_trade, view)
                for one, view in views.items()
            },
            BookLevels: {one: view.on_book for one, view in views.items()},
            Bar: {
                one: partial(self._show_bar, views[one]) if one in barred else self._on_bar
                for one in self.bar_taps
            },
        }

    def fault_of(self, event: MarketEvent) -> DataError | None:
        """Return why nobody takes an event; None if that is not so.

        It is asked when one was not taken: to ask before each would cost too much.
        """
        one, kinds = event.instrument, self._kinds
        if one not in kinds:
            return DataError(
                f'the history tells of "{one}", which the configuration does not know'
                f"{did_you_mean(one, kinds) or '.'} Write it into a strategy's instruments, or"
                f" write [[backtest.data]] for it, and its rules into [{child('instruments', one)}]"
            )
        if isinstance(event, Bar) and "bars" not in kinds[one]:
            return DataError(
                f'the history tells bars of "{one}", and no [[backtest.data]] says so; write one'
                ' with kind = "bars"'
            )
        return None

    def _show_trade(self, view: InstrumentView, trade: Trade) -> None:
        self._show(view, trade.ts_ns, [trade.price], trade.quantity)
        view.on_trade(trade)

    def _show_bar(self, view: InstrumentView, bar: Bar) -> None:
        near, far = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        self._show(view, bar.ts_ns, [bar.open, near, far, bar.close], bar.volume / 4)
        self._on_bar(bar)

    def _on_bar(self, bar: Bar) -> None:
        for tap in self.bar_taps[bar.instrument]:
            tap(bar)

    def _show(self, view: InstrumentView, ts_ns: int, prices: Iterable[float], size: float) -> None:
        """Let the venue match against a market of these prices, and have it priced by the last."""
        for price in prices:
            old = view.quote
            if old is not None and old.bid == price and old.bid_size == size:
                # A venue takes a quote like the last for the same size, which may be taken already.
                self._quote(view, Quote(view.instrument, ts_ns, price, price, 0.0, 0.0))
            self._quote(view, Quote(view.instrument, ts_ns, price, price, size, size))

    def _quote(self, view: InstrumentView, quote: Quote) -> None:
        view.quote = quote
        for tap in view.market_taps:
            tap(quote)
