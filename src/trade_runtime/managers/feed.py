"""One feed: the market data of one venue's instruments, over a stream or by polling.

A stream that is lost, or silent for `stale_after_secs`, is *down*: strategies are told `on_stale`,
polling begins at once and goes on until the stream brings something new.

What a strategy sees never goes back in time: a quote, a trade or a book that is not newer than the
last is dropped, so a source that starts again from an earlier point repeats nothing. The way of an
event from here to the strategies is in `view`.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
import trio

from trade_runtime.errors import VenueError
from trade_runtime.lifecycle.tasks import first_of
from trade_runtime.managers.view import InstrumentView
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.protocols import MarketData, MarketSession
from trade_runtime.settings import PriceSettings

log = structlog.get_logger("prices")

SILENCE_CHECKS = 10
"""How many times within `stale_after_secs` the feed is looked at."""

CONNECT_TIMEOUT_SECS = 10.0
POLL_TIMEOUT_SECS = 5.0


class Feed:
    """A `MarketSink` for one stream, and the tasks that keep it going.

    Args:
        name: of the venue whose instruments it serves.
        source: where the data comes from.
        symbols: the source's symbols, and the instrument each stands for.
        views: where the events go, by instrument.
        settings: how long silence may last, how often to poll and ping.
    """

    def __init__(
        self,
        name: str,
        source: MarketData,
        symbols: Mapping[str, InstrumentId],
        views: Mapping[InstrumentId, InstrumentView],
        settings: PriceSettings,
    ) -> None:
        self.name = name
        self.connected = False
        self._views = {i: views[i] for i in symbols.values()}
        self._events = 0
        self._source = source
        self._symbols = symbols
        self._settings = settings
        self._poll_sink = _PollSink(self._views)
        self._events_at_start = 0
        self._connects = 0
        self._went_down = trio.Event()

    # --- what the stream brings

    @property
    def down(self) -> bool:
        """No stream serves: the instruments are stale unless polling brings quotes."""
        return not all(view.streamed for view in self._views.values())

    def on_quote(self, quote: Quote) -> None:
        """Take a quote."""
        view = self._views[quote.instrument]
        if quote.update_id:
            if quote.update_id <= view.update_id:
                return
            view.update_id = quote.update_id
        self._events += 1
        if not view.streamed:
            self._restored()
        view.on_quote(quote)

    def on_trade(self, trade: Trade) -> None:
        """Take a trade."""
        view = self._views[trade.instrument]
        if trade.trade_id <= view.trade_id:
            return
        view.trade_id = trade.trade_id
        self._events += 1
        if not view.streamed:
            self._restored()
        view.on_trade(trade)

    def on_book(self, levels: BookLevels) -> None:
        """Take a snapshot or a change of a book."""
        view = self._views[levels.instrument]
        seen = view.book.update_id
        if levels.update_id <= seen:
            # The source is behind what was shown before: catch up without telling.
            view.book.apply(levels)
            view.book.update_id = seen
            return
        self._events += 1
        if not view.streamed:
            self._restored()
        view.on_book(levels)

    def on_book_lost(self, instrument: InstrumentId) -> None:
        """Learn that a change of a book was missed."""
        view = self._views[instrument]
        view.book.invalidate()
        view.stats.resyncs += 1
        log.warning("Order book lost its sequence; it is synced anew", instrument=instrument)

    # --- the tasks

    async def attempt(self) -> None:
        """Connect and serve until the stream ends or falls silent.

        Raises:
            VenueError: always, in the end.
        """
        self._events_at_start = self._events
        try:
            with trio.move_on_after(CONNECT_TIMEOUT_SECS) as connecting:
                async with self._source.connect(self._symbols, self) as session:
                    connecting.deadline = float("inf")
                    self._connected()
                    await first_of(
                        session.run, lambda: self._keep_alive(session), self._watch_silence
                    )
                    raise VenueError("the stream ended")
            if connecting.cancelled_caught:
                raise VenueError(f"no connection within {CONNECT_TIMEOUT_SECS} s")
        except VenueError:
            self._lost()
            raise
        finally:
            self.connected = False

    def worked(self) -> bool:
        """Whether the last attempt brought anything new."""
        return self._events > self._events_at_start

    async def fall_back(self) -> None:
        """Poll while the stream is down, for ever."""
        while True:
            await self._went_down.wait()
            while self.down:
                await self._poll()
                await trio.sleep(self._settings.poll_secs)
            self._went_down = trio.Event()

    async def _poll(self) -> None:
        for view in self._views.values():
            view.stats.rest_polls += 1
        self._poll_sink.begin()
        try:
            with trio.fail_after(POLL_TIMEOUT_SECS):
                await self._source.poll(self._symbols, self._poll_sink)
        except (VenueError, trio.TooSlowError) as error:
            log.warning("Polling failed", feed=self.name, error=str(error) or "too slow")

    async def _keep_alive(self, session: MarketSession) -> None:
        while True:
            await trio.sleep(self._settings.ping_secs)
            with trio.move_on_after(self._settings.pong_secs) as scope:
                await session.ping()
            if scope.cancelled_caught:
                raise VenueError(f"no pong within {self._settings.pong_secs} s")

    async def _watch_silence(self) -> None:
        seen, quiet = self._events, 0
        while quiet < SILENCE_CHECKS:
            await trio.sleep(self._settings.stale_after_secs / SILENCE_CHECKS)
            quiet = quiet + 1 if self._events == seen else 0
            seen = self._events
        raise VenueError(f"silent for {self._settings.stale_after_secs} s")

    def _connected(self) -> None:
        self.connected = True
        self._connects += 1
        if self._connects > 1:
            for view in self._views.values():
                view.stats.reconnects += 1
        log.info("Stream is up", feed=self.name, instruments=len(self._views))

    def _lost(self) -> None:
        self._went_down.set()
        if self.down:
            return
        log.warning("Market data lost: strategies are told, polling begins", feed=self.name)
        for view in self._views.values():
            view.streamed = False
            view.book.invalidate()
            for tap in view.stale_taps:
                tap(view.instrument)

    def _restored(self) -> None:
        for view in self._views.values():
            view.streamed = True
            view.polled_at = None
        log.info("Market data flows", feed=self.name)


class _PollSink:
    """Takes what polling brings: only what is new counts as an event."""

    def __init__(self, views: Mapping[InstrumentId, InstrumentView]) -> None:
        self._views = views
        self._unheard: set[InstrumentId] = set()

    def begin(self) -> None:
        """A poll begins. Trades of an instrument of which none is known are from before the start:
        the poll only tells where its ids stand.
        """
        self._unheard = {i for i, view in self._views.items() if view.trade_id < 0}

    def on_quote(self, quote: Quote) -> None:
        view = self._views[quote.instrument]
        view.polled_at = trio.current_time()
        last = view.quote
        if last is not None and _prices(last) == _prices(quote):
            return
        view.on_quote(quote)

    def on_trade(self, trade: Trade) -> None:
        view = self._views[trade.instrument]
        if trade.trade_id <= view.trade_id:
            return
        view.trade_id = trade.trade_id
        if trade.instrument in self._unheard:
            return
        view.on_trade(trade)

    def on_book(self, levels: BookLevels) -> None:
        """Polling brings no books."""

    def on_book_lost(self, instrument: InstrumentId) -> None:
        """Polling brings no books."""


def _prices(quote: Quote) -> tuple[float, float, float, float]:
    return quote.bid, quote.ask, quote.bid_size, quote.ask_size
