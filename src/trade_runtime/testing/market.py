"""A scripted market: prices and trades as a function of virtual time and a seed.

Stands where a real venue's streams stand. What it tells at a moment does not depend on who listens
or since when, so it goes on unmoved while a runtime is dead, and a runtime that starts again finds
it where it is by then. Prices run up and down fast enough that entries fill, in parts where the
size shown is small, and stop-losses wake, all within a second or two.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal

import attrs
import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.protocols import Clock, MarketSink

TICK = Decimal("0.01")
HALF_SPREAD = 0.0001
NOISE = 0.0004


@attrs.frozen
class Symbol:
    """One symbol of a scripted market.

    Attributes:
        name: as the venue spells it: `ETHUSDT`.
        base: what is bought and sold.
        quote: what it is paid with.
        price: around which it moves.
        swing: how far it moves to each side, as a part of the price.
        period_ticks: how many ticks it takes there and back.
        lot: the smallest step of a quantity; large enough that no part of an order is worth less
            than the venue takes.
        size: the largest quantity displayed.
        traded: the probability of a trade after a quote.
    """

    name: str
    base: str
    quote: str
    price: float
    lot: str
    swing: float = 0.008
    period_ticks: int = 30
    size: float = 0.9
    traded: float = 0.6

    def instrument(self) -> Instrument:
        """Return what the venue says of it."""
        return Instrument(
            InstrumentId(f"{self.name}.scripted"),
            Currency(self.base),
            Currency(self.quote),
            tick=TICK,
            lot=Decimal(self.lot),
            min_quantity=Decimal(self.lot),
            min_notional=Decimal(5),
        )


@attrs.frozen
class Tick:
    """One moment of one symbol: the quote, without instrument and time, and perhaps a trade."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float
    price: float
    quantity: float
    aggressor: Side | None

    def quote(self, instrument: InstrumentId, ts_ns: int, number: int) -> Quote:
        """Return it as a quote."""
        return Quote(
            instrument, ts_ns, self.bid, self.ask, self.bid_size, self.ask_size, number + 1
        )

    def trade(self, instrument: InstrumentId, ts_ns: int, number: int) -> Trade | None:
        """Return its trade, if there was one."""
        if self.aggressor is None:
            return None
        return Trade(instrument, ts_ns, self.price, self.quantity, self.aggressor, number + 1)


class Path:
    """The ticks of one symbol, made as they are asked for and kept."""

    def __init__(self, symbol: Symbol, seed: int) -> None:
        self._symbol = symbol
        self._rng = random.Random(f"{seed} {symbol.name}")
        self._phase = self._rng.random()
        self._ticks: list[Tick] = []

    def tick(self, number: int) -> Tick:
        """Return a tick, numbered from 0."""
        while len(self._ticks) <= number:
            self._ticks.append(self._next(len(self._ticks)))
        return self._ticks[number]

    def _next(self, number: int) -> Tick:
        symbol, rng = self._symbol, self._rng
        turn = (number / symbol.period_ticks + self._phase) % 1.0
        triangle = 4 * abs(turn - 0.5) - 1
        middle = symbol.price * (1 + symbol.swing * triangle + NOISE * (rng.random() - 0.5))
        bid = round(middle * (1 - HALF_SPREAD), 2)
        ask = max(round(middle * (1 + HALF_SPREAD), 2), round(bid + 0.01, 2))
        bid_size, ask_size = (round(symbol.size * (0.1 + 0.9 * rng.random()), 4) for _ in "ba")
        quantity = round(symbol.size * (0.05 + 0.5 * rng.random()), 4)
        draw = rng.random()
        aggressor = None
        if draw < symbol.traded:
            aggressor = Side.BUY if draw < symbol.traded / 2 else Side.SELL
        price = ask if aggressor is Side.BUY else bid
        return Tick(bid, ask, bid_size, ask_size, price, quantity, aggressor)


class Market:
    """A market of several symbols that tick together.

    Args:
        symbols: what it trades.
        seed: of its prices.
        tick_ns: the time between two ticks.
        epoch_ns: the time of the first tick.
    """

    def __init__(
        self, symbols: Sequence[Symbol], seed: int, *, tick_ns: int, epoch_ns: int
    ) -> None:
        self.symbols = {symbol.name: symbol for symbol in symbols}
        self.tick_ns = tick_ns
        self.epoch_ns = epoch_ns
        self._paths = {symbol.name: Path(symbol, seed) for symbol in symbols}

    def number_after(self, ts_ns: int) -> int:
        """Return the number of the first tick after a moment."""
        return max(0, (ts_ns - self.epoch_ns) // self.tick_ns + 1)

    def time_of(self, number: int) -> int:
        """Return when a tick is."""
        return self.epoch_ns + number * self.tick_ns

    def tell(self, number: int, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Hand a tick of `symbols` to a sink: each quote, then its trade."""
        ts_ns = self.time_of(number)
        for name, instrument in symbols.items():
            tick = self._paths[name].tick(number)
            sink.on_quote(tick.quote(instrument, ts_ns, number))
            trade = tick.trade(instrument, ts_ns, number)
            if trade is not None:
                sink.on_trade(trade)

    def quote(self, name: str, instrument: InstrumentId, ts_ns: int) -> Quote:
        """Return the quote of a symbol at a moment."""
        number = max(0, self.number_after(ts_ns) - 1)
        return self._paths[name].tick(number).quote(instrument, ts_ns, number)


class ScriptedData:
    """A `MarketData` that tells what a `Market` does, by a clock.

    Args:
        market: what to tell.
        clock: the time of day.
    """

    def __init__(self, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return those of `symbols` that the market has."""
        await trio.lowlevel.checkpoint()
        known = self._market.symbols
        return {name: known[name].instrument() for name in symbols if name in known}

    def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AbstractAsyncContextManager[ScriptedSession]:
        """Open a stream of `symbols`.

        Raises:
            VenueError: on entering, where one of them is not traded.
        """
        return self._connect(symbols, sink)

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Hand over the present quote of each of `symbols`."""
        await trio.lowlevel.checkpoint()
        now_ns = self._clock.now_ns()
        for name, instrument in symbols.items():
            sink.on_quote(self._market.quote(name, instrument, now_ns))

    @asynccontextmanager
    async def _connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[ScriptedSession]:
        await trio.lowlevel.checkpoint()
        unknown = [name for name in symbols if name not in self._market.symbols]
        if unknown:
            raise VenueError(f"no such symbol: {unknown[0]}")
        yield ScriptedSession(self._market, self._clock, symbols, sink)


class ScriptedSession:
    """One stream of a `ScriptedData`; it ends only by cancellation."""

    def __init__(
        self,
        market: Market,
        clock: Clock,
        symbols: Mapping[str, InstrumentId],
        sink: MarketSink,
    ) -> None:
        self._market = market
        self._clock = clock
        self._symbols = symbols
        self._sink = sink

    async def run(self) -> None:
        """Hand each tick over when it is due. Never returns."""
        market = self._market
        number = market.number_after(self._clock.now_ns())
        while True:
            await trio.sleep(max(0, market.time_of(number) - self._clock.now_ns()) / 1e9)
            market.tell(number, self._symbols, self._sink)
            number += 1

    async def ping(self) -> None:
        """Return at once: there is no wire that could be dead."""
        await trio.lowlevel.checkpoint()
