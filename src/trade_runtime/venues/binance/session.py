"""A session on Binance's streams: what comes is decoded, put in sequence and handed on.

Stands between the price layer, whose sink it calls, and the wire: `link` and `rest` do the I/O,
the codec and `book_sync` decide. It may have several links, for USD-M Futures has its streams on
several addresses: when one ends, it ends. Guarantees that quotes and trades never wait for a
snapshot of a book: snapshots are fetched in tasks of their own, which try again within bounds while
the stream goes on. Nothing here shields, and cancelling leaves no task behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.protocols import Environment, MarketSink
from trade_runtime.venues.binance.book_sync import BookSync, DepthEvent, DepthSnapshot, Output
from trade_runtime.venues.binance.streams import StreamDecoder
from trade_runtime.venues.wire.link import Link
from trade_runtime.venues.wire.together import first_failure

MAX_SNAPSHOT_FETCHES: Final = 4
"""Snapshots that a session fetches at the same time."""

MAX_SNAPSHOT_TRIES: Final = 100
"""For one book in a row; then the session ends, and who supervises it connects again."""

FIRST_PAUSE_SECS: Final = 0.1
MAX_PAUSE_SECS: Final = 5.0
"""Between two fetches for one book: doubling from the first to the last, with jitter."""

QUIET_SECS: Final = 1.0
"""So long the first snapshot waits for the first event of its symbol, to be newer than that one."""


class _Book:
    """A symbol's book, and the task that fetches its snapshots."""

    __slots__ = ("begun", "lost", "symbol", "sync")

    def __init__(self, symbol: str, instrument: InstrumentId) -> None:
        self.symbol = symbol
        self.sync = BookSync(instrument)
        self.begun = trio.Event()
        self.lost = trio.Event()


class StreamSession:
    """A `MarketSession` over open links. `run` may be called once.

    Args:
        links: the connections; each symbol has streams on one or several of them.
        decoder: of their frames.
        symbols: whose books are kept.
        sink: takes what comes.
        fetch: asks for a snapshot of a symbol's book.
        env: the time of day, randomness for the pauses, and a log.
    """

    def __init__(
        self,
        links: Sequence[Link],
        decoder: StreamDecoder,
        symbols: Mapping[str, InstrumentId],
        sink: MarketSink,
        fetch: Callable[[str], Awaitable[DepthSnapshot]],
        env: Environment,
    ) -> None:
        self._links = links
        self._sink = sink
        self._fetch = fetch
        self._env = env
        self._decoder = decoder
        self._books = {
            instrument: _Book(symbol, instrument) for symbol, instrument in symbols.items()
        }
        self._fetches = trio.Semaphore(MAX_SNAPSHOT_FETCHES)

    async def run(self) -> None:
        """Hand events to the sink until the connection ends.

        Raises:
            VenueError: the connection ended, whoever ended it; a frame made no sense; the server
                said that it shuts down; or no usable snapshot came in `MAX_SNAPSHOT_TRIES` tries.
        """
        failed = await first_failure(
            *(partial(self._keep_in_step, book) for book in self._books.values()),
            *(partial(self._pump, link) for link in self._links),
        )
        if self._decoder.ignored:
            self._env.log.debug("frames ignored", frames=self._decoder.ignored)
        raise failed

    async def ping(self) -> None:
        """Ping every link and return when all pongs are here. The caller sets the deadline.

        Raises:
            VenueError: the connection ended.
        """
        for link in self._links:
            await link.ping()

    async def _pump(self, link: Link) -> None:
        receive, decode, now_ns = link.receive, self._decoder.decode, self._env.clock.now_ns
        on_quote, on_trade = self._sink.on_quote, self._sink.on_trade
        while True:
            event = decode(await receive(), now_ns())
            if type(event) is Quote:
                on_quote(event)
            elif type(event) is Trade:
                on_trade(event)
            elif type(event) is DepthEvent:
                book = self._books[event.instrument]
                book.begun.set()
                if self._hand_on(book.sync.on_event(event)):
                    book.lost.set()

    def _hand_on(self, told: Iterable[Output]) -> bool:
        """Tell the sink; return whether a book was lost."""
        lost = False
        for output in told:
            if type(output) is BookLevels:
                self._sink.on_book(output)
            else:
                lost = True
                self._sink.on_book_lost(output.instrument)
        return lost

    async def _keep_in_step(self, book: _Book) -> None:
        with trio.move_on_after(QUIET_SECS):
            await book.begun.wait()
        while True:
            await self._get_in_step(book)
            await book.lost.wait()
            book.lost = trio.Event()

    async def _get_in_step(self, book: _Book) -> None:
        pause_secs = FIRST_PAUSE_SECS
        for _ in range(MAX_SNAPSHOT_TRIES):
            try:
                async with self._fetches:
                    snapshot = await self._fetch(book.symbol)
            except VenueError as error:
                why = str(error)
            else:
                self._hand_on(book.sync.on_snapshot(snapshot, self._env.clock.now_ns()))
                if not book.sync.wants_snapshot:
                    return
                why = "the snapshot does not reach the events that wait for it"
            # Full jitter would now and then not pause at all; half of it is enough to spread.
            wait_secs = pause_secs * (1 + self._env.rng.random()) / 2
            self._env.log.info(
                "no book yet, trying again",
                symbol=book.symbol,
                why=why,
                in_secs=round(wait_secs, 3),
            )
            await trio.sleep(wait_secs)
            pause_secs = min(pause_secs * 2, MAX_PAUSE_SECS)
        raise VenueError(
            f"{book.symbol}: no usable snapshot of the book in {MAX_SNAPSHOT_TRIES} tries"
        )
