"""How a history reaches the simulated venue and the strategies.

Quotes and trades go the way of a live stream: the venue matches against them, then the strategies
see them. Where an instrument's history has no quotes, what it has stands for them: a trade is a
market of its price and size; a bar is one of its open, its extremes (the low first where it rose)
and its close in turn, each with a quarter of its volume. The venue alone sees those.

Every trade of a history is told, whatever its id: a live feed leaves out what is not newer than the
last, since a source may repeat itself, but two files of one instrument may each count from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from trade_runtime.errors import DataError
from trade_runtime.managers.prices import Prices
from trade_runtime.managers.view import NO_TRADE, InstrumentView
from trade_runtime.model.ids import InstrumentId, VenueName, venue_of
from trade_runtime.model.market import Bar, BookLevels, Quote, Trade
from trade_runtime.protocols import MarketEvent, Matching
from trade_runtime.settings.problems import child
from trade_runtime.spelling import did_you_mean


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
        self._prices = prices
        self._kinds = kinds

    def listen(self, drivens: Mapping[VenueName, Matching]) -> None:
        """See to it that no venue meets a trade twice: as itself, and as the market it stands
        for.
        """
        for instrument, kinds in self._kinds.items():
            driven = drivens.get(venue_of(instrument))
            if driven is not None and "quotes" not in kinds:
                self._prices.views[instrument].trade_taps.remove(driven.on_trade)

    def routes(self) -> dict[type, Callable[..., None]]:
        """Return who takes an event, by its type: plain calls, once for each event."""
        feeds = list(self._prices.feeds.values())
        if len(feeds) == 1 and all("quotes" in kinds for kinds in self._kinds.values()):
            feed, views = feeds[0], self._prices.views

            def on_trade(trade: Trade) -> None:
                views[trade.instrument].trade_id = NO_TRADE
                feed.on_trade(trade)

            return {
                Quote: feed.on_quote,
                Trade: on_trade,
                BookLevels: feed.on_book,
                Bar: self._on_bar,
            }
        return {
            Quote: lambda quote: self._prices.feeds[venue_of(quote.instrument)].on_quote(quote),
            Trade: self._on_trade,
            BookLevels: lambda book: self._prices.feeds[venue_of(book.instrument)].on_book(book),
            Bar: self._on_bar,
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

    def _on_trade(self, trade: Trade) -> None:
        feed = self._prices.feeds[venue_of(trade.instrument)]
        view = self._prices.views[trade.instrument]
        view.trade_id = NO_TRADE
        if "quotes" not in self._kinds[trade.instrument]:
            self._show(view, trade.ts_ns, [trade.price], trade.quantity)
        feed.on_trade(trade)

    def _on_bar(self, bar: Bar) -> None:
        if self._kinds[bar.instrument] == {"bars"}:
            near, far = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
            prices = [bar.open, near, far, bar.close]
            self._show(self._prices.views[bar.instrument], bar.ts_ns, prices, bar.volume / 4)
        for tap in self.bar_taps[bar.instrument]:
            tap(bar)

    def _show(self, view: InstrumentView, ts_ns: int, prices: Iterable[float], size: float) -> None:
        """Let the venue match against a market of these prices, and have it priced by the last."""
        self._prices.feeds[venue_of(view.instrument)].down = False
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
