"""What a strategy's own task reads from: the newest quote, and every order event."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TypeVar
from weakref import ref

import trio

from trade_runtime.errors import StrategyError
from trade_runtime.machines.order import OrderUpdate
from trade_runtime.model.market import Quote

MAX_ORDER_EVENTS = 10_000
"""Order events that may wait for an `order_events` reader. They are never dropped: a reader that
falls behind further than this fails its strategy."""


class QuoteReader:
    """Gives the newest quote to each `async for` step; one that is read late is the newest all the
    same, and those in between are gone.
    """

    def __init__(self) -> None:
        self._quote: Quote | None = None
        self._reader = trio.lowlevel.ParkingLot()

    def put(self, quote: Quote) -> None:
        """Take a quote from the feed."""
        self._quote = quote
        self._reader.unpark_all()

    def __aiter__(self) -> AsyncIterator[Quote]:
        return self

    async def __anext__(self) -> Quote:
        await trio.lowlevel.checkpoint()
        while self._quote is None:
            await self._reader.park()
        quote, self._quote = self._quote, None
        return quote


class OrderEventReader:
    """Gives every order event, in order, to each `async for` step."""

    def __init__(self) -> None:
        self._events: deque[OrderUpdate] = deque()
        self._reader = trio.lowlevel.ParkingLot()

    def put(self, update: OrderUpdate) -> None:
        """Take an event.

        Raises:
            StrategyError: the reader is too far behind.
        """
        if len(self._events) >= MAX_ORDER_EVENTS:
            raise StrategyError(f"{MAX_ORDER_EVENTS} order events wait to be read")
        self._events.append(update)
        self._reader.unpark_all()

    def __aiter__(self) -> AsyncIterator[OrderUpdate]:
        return self

    async def __anext__(self) -> OrderUpdate:
        await trio.lowlevel.checkpoint()
        while not self._events:
            await self._reader.park()
        return self._events.popleft()


Reader = TypeVar("Reader", QuoteReader, OrderEventReader)


class Readers(list[ref[Reader]]):
    """The readers that somebody holds; one that was left (a loop that ended) is forgotten."""

    def add(self, reader: Reader) -> Reader:
        """Keep a reader in mind for as long as it is held; return it."""
        self.append(ref(reader, self.remove))
        return reader

    def held(self) -> list[Reader]:
        """Return the readers. A list: one may be forgotten while they are told."""
        return [reader for entry in self if (reader := entry()) is not None]
