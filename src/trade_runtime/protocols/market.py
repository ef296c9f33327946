"""What a source of market data must be, and what takes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Bar, BookLevels, Quote, Trade


class MarketSink(Protocol):
    """Where market data goes. Plain calls: they return when every strategy has seen the event."""

    def on_quote(self, quote: Quote) -> None:
        """Take a new best bid and ask."""

    def on_trade(self, trade: Trade) -> None:
        """Take a trade. Each trade id is to come once; the price layer drops what comes again."""

    def on_book(self, levels: BookLevels) -> None:
        """Take a snapshot, or the next change in sequence after it."""

    def on_book_lost(self, instrument: InstrumentId) -> None:
        """Learn that a change was missed: the book is worth nothing until the next snapshot."""


class MarketSession(Protocol):
    """One connection to a stream of market data."""

    async def run(self) -> None:
        """Hand events to the sink until the connection ends.

        Raises:
            VenueError: the connection ended, whoever ended it, or what came made no sense.
        """

    async def ping(self) -> None:
        """Send a keep-alive ping and return when its pong is here. The caller sets the deadline."""


class MarketData(Protocol):
    """A source of market data: streams, and polling where a stream is down."""

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return what the venue says of those of `symbols` that it has.

        The ids carry the venue's own name; a venue that trades on this data gives its own.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """

    def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AbstractAsyncContextManager[MarketSession]:
        """Open a stream of `symbols`; events carry the instrument id that each symbol maps to.

        Entering raises VenueError where no connection comes about. Leaving closes the socket,
        politely if the deadline of the caller's scope allows, else at once.
        """

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Ask once, without the stream, for the quotes and latest trades of `symbols`.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """


@runtime_checkable
class MarketHistory(Protocol):
    """A source of market data that has bars from before now. Optional: one without it has none."""

    async def bars(
        self, symbols: Mapping[str, InstrumentId], length_secs: float, count: int
    ) -> Sequence[Bar]:
        """Return the last `count` bars of each of `symbols` that have ended, oldest first.

        Bars are of `length_secs`, aligned to the epoch; or of one shorter length that divides it,
        as many as make `count`, from the beginning of the first to the end of the last. A stretch
        without trades has no bar, and a symbol that is younger has fewer. Each carries the
        instrument id that its symbol maps to.

        Raises:
            VenueError: it cannot be reached, its answer made no sense, or it has no bars that
                `length_secs` can be made of.
        """


class Matching(Protocol):
    """What matches orders against market data that others bring."""

    def on_quote(self, quote: Quote) -> None:
        """Match against a new best bid and ask. Called before the strategies see it."""

    def on_trade(self, trade: Trade) -> None:
        """Match against a trade. Called before the strategies see it."""

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Learn the instruments it is to trade, under ids of its own."""


@runtime_checkable
class MarketDriven(Matching, Protocol):
    """A venue that does so: the paper venue."""

    @property
    def market_data(self) -> VenueName | None:
        """The `[venues.NAME]` table whose data drives it."""
