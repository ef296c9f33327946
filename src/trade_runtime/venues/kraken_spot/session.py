"""One connection to Kraken's public WebSocket: subscribed, decoded, checked, and handed on.

Stands between the price layer, whose sink it calls, and the wire: `link` does the I/O, `codec` and
`book` decide. Guarantees that every subscription is confirmed by Kraken within `ACK_SECS`, that a
connection without a word for `SILENT_SECS` is over (a heartbeat comes each second), and that no one
is told a book whose checksum is wrong. Nothing here shields, and cancelling leaves no task behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Final

import trio

from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote, Trade
from trade_runtime.protocols import Environment, MarketSink
from trade_runtime.venues.kraken_spot.book import BookEvent, BookSync
from trade_runtime.venues.kraken_spot.codec import (
    CHANNELS,
    Ack,
    Event,
    Status,
    StreamDecoder,
    ping,
    subscribe,
)
from trade_runtime.venues.wire.link import Link
from trade_runtime.venues.wire.together import first_failure

ACK_SECS: Final = 5.0
"""For Kraken to confirm every subscription, after which the connection is given up."""

SILENT_SECS: Final = 5.0
"""A connection without a word for so long is dead: a heartbeat comes each second."""

MAX_RESYNCS: Final = 5
"""Snapshots of one book in a row without a right checksum; then the connection is opened anew."""


class Silence:
    """Tells a dead connection by how long nothing came."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._heard = 0

    def heard(self) -> None:
        """Something came."""
        self._heard += 1

    async def watch(self) -> None:
        """Return never.

        Raises:
            VenueDown: nothing came for `SILENT_SECS`.
        """
        seen, quiet_since = -1, trio.current_time()
        while True:
            if self._heard != seen:
                seen, quiet_since = self._heard, trio.current_time()
            elif trio.current_time() >= quiet_since + SILENT_SECS:
                raise VenueDown(f"{self._host}: silent for {SILENT_SECS:g} s")
            await trio.sleep(SILENT_SECS / 10)


class StreamSession:
    """A `MarketSession` over an open link. `run` may be called once.

    Args:
        link: the connection.
        symbols: the instrument that each symbol maps to.
        sink: takes the events.
        books: by instrument, empty.
        depth: levels a side.
        ids: of what is told of books; they only grow, over connections too.
        env: the clock and a log.
    """

    def __init__(
        self,
        link: Link,
        symbols: Mapping[str, InstrumentId],
        sink: MarketSink,
        books: Mapping[InstrumentId, BookSync],
        depth: int,
        ids: count[int],
        env: Environment,
    ) -> None:
        self._link = link
        self._symbols = symbols
        self._sink = sink
        self._books = books
        self._depth = depth
        self._ids = ids
        self._env = env
        self._spelled = {instrument: symbol for symbol, instrument in symbols.items()}
        self._decoder = StreamDecoder(symbols)
        self._silence = Silence("Kraken")
        self._requests = count(1)
        self._waiting = {(channel, symbol) for channel in CHANNELS for symbol in symbols}
        self._confirmed = trio.Event()
        self._pongs: dict[int, trio.Event] = {}
        self._broken: set[InstrumentId] = set()
        self._to_mend = trio.Event()

    async def run(self) -> None:
        """Hand events to the sink until the connection ends.

        Raises:
            VenueError: the connection ended, whoever ended it, or fell silent; a frame made no
                sense; a subscription was refused or not confirmed; or `MAX_RESYNCS` snapshots of a
                book in a row were no good.
        """
        failed = await first_failure(self._pump, self._subscribe, self._silence.watch, self._mend)
        if self._decoder.ignored:
            self._env.log.debug("frames ignored", frames=self._decoder.ignored)
        raise failed

    async def ping(self) -> None:
        """Send a keep-alive ping and return when its pong is here. The caller sets the deadline.

        Raises:
            VenueError: the connection ended.
        """
        req_id = next(self._requests)
        pong = self._pongs[req_id] = trio.Event()
        try:
            await self._link.send(ping(req_id))
            await pong.wait()
        finally:
            del self._pongs[req_id]

    async def _subscribe(self) -> None:
        symbols = list(self._symbols)
        for channel in CHANNELS:
            request = subscribe(channel, symbols, next(self._requests), self._depth)
            await self._link.send(request)
        with trio.move_on_after(ACK_SECS) as scope:
            await self._confirmed.wait()
        if scope.cancelled_caught:
            channel, symbol = min(self._waiting)
            raise VenueError(
                f"Kraken did not confirm {len(self._waiting)} subscriptions within {ACK_SECS:g} s:"
                f" {channel} of {symbol} first"
            )
        await trio.sleep_forever()

    async def _pump(self) -> None:
        receive, decode, now_ns = self._link.receive, self._decoder.decode, self._env.clock.now_ns
        while True:
            frame = await receive()
            self._silence.heard()
            for event in decode(frame, now_ns()):
                self._hand_on(event)

    def _hand_on(self, event: Event) -> None:
        if type(event) is Quote:
            self._sink.on_quote(event)
        elif type(event) is Trade:
            self._sink.on_trade(event)
        elif type(event) is BookEvent:
            self._on_book(event)
        elif type(event) is Ack:
            self._on_ack(event)
        elif type(event) is Status and event.system != "online":
            self._env.log.warning("Kraken is not open as usual", status=event.system)

    def _on_book(self, event: BookEvent) -> None:
        book = self._books[event.instrument]
        had_one = book.valid
        told = book.on_event(event, next(self._ids))
        if type(told) is BookLevels:
            self._sink.on_book(told)
        elif told is not None:
            self._sink.on_book_lost(told.instrument)
        if not book.valid and (had_one or event.snapshot):
            if book.lost >= MAX_RESYNCS:
                raise VenueError(
                    f"{book.lost} books of {self._spelled[event.instrument]} in a row did not have"
                    " the checksum that Kraken sent with them"
                )
            self._broken.add(event.instrument)
            self._to_mend.set()

    async def _mend(self) -> None:
        """Ask anew for the books that were lost: the snapshot comes with the subscription."""
        while True:
            await self._to_mend.wait()
            self._to_mend = trio.Event()
            symbols = sorted(self._spelled[instrument] for instrument in self._broken)
            self._broken.clear()
            for method in ("unsubscribe", "subscribe"):
                request = subscribe(
                    "book",
                    symbols,
                    next(self._requests),
                    self._depth,
                    method="subscribe" if method == "subscribe" else "unsubscribe",
                )
                await self._link.send(request)

    def _on_ack(self, ack: Ack) -> None:
        if ack.method == "pong":
            pong = self._pongs.get(ack.req_id)
            if pong is not None:
                pong.set()
            return
        if ack.error:
            raise VenueError(
                f"Kraken refused to {ack.method or 'do it'}: {ack.error}"
                + (f" ({ack.symbol})" if ack.symbol else "")
            )
        if ack.method == "subscribe":
            self._waiting.discard((ack.channel, ack.symbol))
            if not self._waiting:
                self._confirmed.set()
