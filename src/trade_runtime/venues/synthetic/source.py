"""The synthetic source of market data: symbols that do not exist, streamed without a network.

It stands where a real venue's streams stand and keeps their rules: a snapshot of the book first,
then its changes, trade ids and update ids that only grow, also over reconnects. One seed gives one
market for each symbol, whatever other symbols are asked for.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal

import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.protocols import Clock, Environment, MarketSink
from trade_runtime.venues.synthetic.market import SyntheticMarket
from trade_runtime.venues.synthetic.settings import LOT, TICK, SyntheticSettings

QUOTE_CURRENCIES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "BTC", "ETH")
"""By these a symbol is split; one that ends in none of them does not exist here."""

FIRST_PRICES = {
    "BTC": Decimal(60_000),
    "ETH": Decimal(2_500),
    "BNB": Decimal(500),
    "SOL": Decimal(150),
    "LTC": Decimal(70),
}
FIRST_PRICE = Decimal(100)

MAX_SYMBOLS = 1_000
MAX_PRICE = Decimal(100_000_000)
MAX_QUANTITY = Decimal(100_000_000)

CHECKPOINT_EVENTS = 100
"""At speed `max` other tasks get their turn after this many events."""

MAX_WAKES_PER_SEC = 100
"""A faster market sends several quotes each time it wakes."""


def split(symbol: str) -> tuple[Currency, Currency] | None:
    """Return base and quote currency of `symbol`, or None where it does not exist here."""
    for quote in QUOTE_CURRENCIES:
        base = symbol.removesuffix(quote)
        if base and base != symbol and base.isalnum() and base.isascii() and base.isupper():
            return Currency(base), Currency(quote)
    return None


class SyntheticData:
    """A `MarketData` that makes up what it streams.

    Args:
        name: of the venue; instruments are `SYMBOL.name`.
        settings: how the market behaves.
        env: the clock and, where no seed is set, the randomness.
    """

    def __init__(self, name: VenueName, settings: SyntheticSettings, env: Environment) -> None:
        self._name = name
        self._settings = settings
        self._clock = env.clock
        self._seed = settings.seed or env.rng.getrandbits(64)
        self._markets: dict[str, SyntheticMarket] = {}

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return those of `symbols` that end in a known quote currency."""
        await trio.lowlevel.checkpoint()
        found: dict[str, Instrument] = {}
        for symbol in symbols:
            currencies = split(symbol)
            if currencies is not None:
                found[symbol] = Instrument(
                    InstrumentId(f"{symbol}.{self._name}"),
                    *currencies,
                    tick=TICK,
                    lot=LOT,
                    min_quantity=LOT,
                    max_quantity=MAX_QUANTITY,
                    max_price=MAX_PRICE,
                )
        return found

    def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AbstractAsyncContextManager[SyntheticSession]:
        """Open a stream of `symbols`.

        Raises:
            VenueError: on entering, where one of them does not exist here.
        """
        return self._connect(symbols, sink)

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Hand over the present quote of each of `symbols`; the market does not move.

        Raises:
            VenueError: one of them does not exist here.
        """
        await trio.lowlevel.checkpoint()
        for symbol, instrument in symbols.items():
            sink.on_quote(self._market(symbol).quote(instrument, self._clock.now_ns()))

    def jump(self, symbol: str, price: Decimal) -> None:
        """Let the market of a symbol go on from another price.

        Raises:
            VenueError: it does not exist here.
        """
        self._market(symbol).jump(price)

    def tell(self, symbol: str, instrument: InstrumentId, sink: MarketSink) -> None:
        """Hand over the present quote and the whole book of a symbol; the market does not move.

        Raises:
            VenueError: it does not exist here.
        """
        market, now_ns = self._market(symbol), self._clock.now_ns()
        sink.on_quote(market.quote(instrument, now_ns))
        sink.on_book(market.book(instrument, now_ns, snapshot=True))

    @asynccontextmanager
    async def _connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AsyncIterator[SyntheticSession]:
        await trio.lowlevel.checkpoint()
        markets = [(instrument, self._market(symbol)) for symbol, instrument in symbols.items()]
        yield SyntheticSession(markets, sink, self._settings, self._clock)

    def _market(self, symbol: str) -> SyntheticMarket:
        market = self._markets.get(symbol)
        if market is None:
            currencies = split(symbol)
            if currencies is None:
                raise VenueError(f"{self._name}: no such symbol: {symbol}")
            if len(self._markets) >= MAX_SYMBOLS:
                raise VenueError(f"{self._name}: {MAX_SYMBOLS} symbols at most")
            default = FIRST_PRICES.get(currencies[0], FIRST_PRICE)
            market = self._markets[symbol] = SyntheticMarket(
                self._settings.prices.get(symbol, default),
                self._settings,
                random.Random(f"{self._seed} {symbol}"),
            )
        return market


class SyntheticSession:
    """One stream. It ends only by cancellation.

    Args:
        markets: what to stream, and under which ids.
        sink: where to.
        settings: how fast, and how much.
        clock: the time of the events.
    """

    def __init__(
        self,
        markets: list[tuple[InstrumentId, SyntheticMarket]],
        sink: MarketSink,
        settings: SyntheticSettings,
        clock: Clock,
    ) -> None:
        self._markets = markets
        self._sink = sink
        self._settings = settings
        self._clock = clock
        self._sent = 0
        self._rounds = 0

    async def run(self) -> None:
        """Hand events to the sink; past the configured limit, keep silent. Never returns."""
        await trio.lowlevel.checkpoint()
        if self._settings.book_every:
            for instrument, market in self._markets:
                self._sink.on_book(market.book(instrument, self._clock.now_ns(), snapshot=True))
        if self._settings.speed == "max":
            await self._at_full_speed()
        else:
            await self._in_real_time()
        await trio.sleep_forever()

    async def ping(self) -> None:
        """Return at once: there is no wire that could be dead."""
        await trio.lowlevel.checkpoint()

    async def _at_full_speed(self) -> None:
        yielded = 0
        while not self._done and self._markets:
            self._round()
            if self._sent - yielded >= CHECKPOINT_EVENTS:
                yielded = self._sent
                await trio.lowlevel.checkpoint()

    async def _in_real_time(self) -> None:
        rate = self._settings.quotes_per_sec
        wakes = min(rate, MAX_WAKES_PER_SEC)
        due, owed = trio.current_time(), 0.0
        while not self._done:
            owed += rate / wakes
            while owed >= 1:
                owed -= 1
                self._round()
            # A loop that was held up does not make up for it with a flood.
            due = max(due + 1 / wakes, trio.current_time())
            await trio.sleep_until(due)

    @property
    def _done(self) -> bool:
        return 0 < self._settings.limit <= self._sent

    def _round(self) -> None:
        """Let every market move once."""
        sink, now_ns, every = self._sink, self._clock.now_ns, self._settings.book_every
        self._rounds += 1
        with_book = every > 0 and self._rounds % every == 0
        for instrument, market in self._markets:
            if self._done:
                return
            sink.on_quote(market.move(instrument, now_ns()))
            self._sent += 1
            trade = market.trade(instrument, now_ns())
            if trade is not None and not self._done:
                sink.on_trade(trade)
                self._sent += 1
            if with_book and not self._done:
                sink.on_book(market.book(instrument, now_ns(), snapshot=False))
                self._sent += 1
