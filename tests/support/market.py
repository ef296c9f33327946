"""A market whose every event a test says."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal

import attrs
import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.protocols import Environment, MarketSession, MarketSink, VenuePlugin

SYMBOLS = ("ETHUSDT", "BTCUSDT")

Event = Callable[["ScriptedSession"], None]


class ScriptedMarket:
    """A `MarketData` that streams what a test says, and breaks when a test says so."""

    def __init__(self) -> None:
        self.listed = list(SYMBOLS)
        self.reachable = True
        """Whether a stream can be opened."""
        self.answers = True
        """Whether polls and instruments are answered."""
        self.pongs = True
        """Whether pings are."""
        self.connects = 0
        self.polls = 0
        self.open_sessions = 0
        self.polled: dict[str, Quote] = {}
        """What a poll tells, by symbol."""
        self.polled_trades: list[Trade] = []
        self._events: deque[Event] = deque()
        self._said = trio.Event()
        self._ids = 0

    # --- what a test says -----------------------------------------------------------------------

    def quote(
        self,
        bid: float,
        ask: float | None = None,
        *,
        size: float = 100.0,
        symbol: str = "ETHUSDT",
        update_id: int | None = None,
    ) -> None:
        """A new best bid and ask; the ask is a tenth above where it is not said."""
        self._ids += 1
        number = self._ids if update_id is None else update_id
        best_ask = round(bid + 0.1, 2) if ask is None else ask
        self._say(
            lambda session: session.sink.on_quote(
                Quote(session.symbols[symbol], 0, bid, best_ask, size, size, number)
            )
        )

    def trade(
        self, price: float, quantity: float = 1.0, *, trade_id: int | None = None, ts_ns: int = 0
    ) -> None:
        """A trade between others."""
        self._ids += 1
        number = self._ids if trade_id is None else trade_id
        self._say(
            lambda session: session.sink.on_trade(
                Trade(session.symbols["ETHUSDT"], ts_ns, price, quantity, Side.BUY, number)
            )
        )

    def book(self, update_id: int, *, snapshot: bool = False, bid: str = "99") -> None:
        """The book, or a change of it: a bid, and an ask at 101."""
        bids, asks = ((Decimal(bid), Decimal(1)),), ((Decimal(101), Decimal(1)),)
        self._say(
            lambda session: session.sink.on_book(
                BookLevels(session.symbols["ETHUSDT"], 0, update_id, bids, asks, snapshot)
            )
        )

    def lose_book(self) -> None:
        """A change was missed."""
        self._say(lambda session: session.sink.on_book_lost(session.symbols["ETHUSDT"]))

    def drop(self, why: str = "connection reset") -> None:
        """The stream ends with an error."""

        def fail(session: ScriptedSession) -> None:
            raise VenueError(why)

        self._say(fail)

    def finish(self) -> None:
        """The stream ends without one."""

        def end(session: ScriptedSession) -> None:
            session.over = True

        self._say(end)

    def _say(self, event: Event) -> None:
        self._events.append(event)
        self._said.set()

    # --- the port -------------------------------------------------------------------------------

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        await trio.lowlevel.checkpoint()
        if not self.answers:
            raise VenueError("scripted: does not answer")
        return {
            symbol: Instrument(
                InstrumentId(f"{symbol}.sim"),
                Currency(symbol.removesuffix("USDT")),
                Currency("USDT"),
                tick=Decimal("0.01"),
                lot=Decimal("0.0001"),
                min_notional=Decimal(5),
            )
            for symbol in symbols
            if symbol in self.listed
        }

    def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AbstractAsyncContextManager[MarketSession]:
        return self._connect(symbols, sink)

    @asynccontextmanager
    async def _connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[MarketSession]:
        await trio.lowlevel.checkpoint()
        if not self.reachable:
            raise VenueError("scripted: connection refused")
        self.connects += 1
        self.open_sessions += 1
        try:
            yield ScriptedSession(self, symbols, sink)
        finally:
            self.open_sessions -= 1

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        await trio.lowlevel.checkpoint()
        self.polls += 1
        if not self.answers:
            raise VenueError("scripted: does not answer")
        for symbol, instrument in symbols.items():
            if symbol in self.polled:
                sink.on_quote(_renamed(self.polled[symbol], instrument))
            for trade in self.polled_trades:
                sink.on_trade(_renamed_trade(trade, instrument))

    async def next_event(self) -> Event:
        """Wait for what is said next."""
        while not self._events:
            self._said = trio.Event()
            await self._said.wait()
        return self._events.popleft()


class ScriptedSession:
    """One stream of a `ScriptedMarket`."""

    def __init__(
        self, market: ScriptedMarket, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> None:
        self.symbols = symbols
        self.sink = sink
        self.over = False
        self._market = market

    async def run(self) -> None:
        while not self.over:
            event = await self._market.next_event()
            event(self)

    async def ping(self) -> None:
        if not self._market.pongs:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()


def _renamed(quote: Quote, instrument: InstrumentId) -> Quote:
    return Quote(instrument, quote.ts_ns, quote.bid, quote.ask, quote.bid_size, quote.ask_size, 0)


def _renamed_trade(trade: Trade, instrument: InstrumentId) -> Trade:
    return Trade(
        instrument, trade.ts_ns, trade.price, trade.quantity, trade.aggressor, trade.trade_id
    )


@attrs.frozen
class NoSettings:
    """A scripted market has none."""


def plugin_of(market: ScriptedMarket) -> VenuePlugin:
    """The plug-in that opens this one market."""

    @asynccontextmanager
    async def opened(
        name: str, settings: NoSettings, env: Environment
    ) -> AsyncIterator[ScriptedMarket]:
        yield market

    return VenuePlugin(settings=NoSettings, open=opened, trades=False, streams=True)
