"""The trader: what a strategy acts through. Each strategy has its own, and sees only its own
orders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, TypeVar
from weakref import ref

import structlog
import trio

from trade_runtime.errors import OrderRefused, StrategyError
from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import Order, OrderUpdate
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.managers.orders import OrderManager
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import OrderType, Side, TimeInForce
from trade_runtime.model.records import TradingMode
from trade_runtime.protocols import Clock

MAX_ORDER_EVENTS = 10_000
"""Order events that may wait for an `order_events` reader. They are never dropped: a reader that
falls behind further than this fails its strategy."""

Number = Decimal | float | int | str
"""What an order call takes for a price or a quantity. A float is taken by its shortest text."""


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


class Trader:
    """Places and cancels orders, and tells what is.

    Order calls are plain calls. Each returns the order at once, as an intent: it is sent when the
    intent is durable, and the object then follows what becomes of it. After a crash it is found
    again by `open_orders`.
    """

    def __init__(
        self,
        strategy: StrategyName,
        instruments: tuple[InstrumentId, ...],
        orders: OrderManager,
        clock: Clock,
    ) -> None:
        self.strategy = strategy
        self.log: Any = structlog.get_logger("strategy").bind(strategy=strategy)
        self.quote_readers: dict[InstrumentId, Readers[QuoteReader]] = {
            i: Readers() for i in instruments
        }
        self.order_readers: Readers[OrderEventReader] = Readers()
        self._orders = orders
        self._clock = clock

    def limit(
        self,
        instrument: str,
        side: Side | str,
        quantity: Number,
        price: Number,
        *,
        tif: TimeInForce | str = "gtc",
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> Order:
        """Buy or sell at `price` or better.

        Args:
            instrument: one of the strategy's own.
            side: `buy` or `sell`.
            quantity: in the base currency; a multiple of the lot.
            price: in the quote currency; on the tick.
            tif: `gtc` rests until cancelled, `ioc` takes what is there and cancels the rest, `fok`
                takes all or nothing.
            post_only: be refused by the venue rather than take liquidity.
            reduce_only: refuse it unless it only makes the position smaller, as the position is
                now. One that rests while the position shrinks by other orders may go beyond it: a
                spot account, such as the paper venue's, knows no positions and cannot hold it.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        return self._place(
            instrument,
            side,
            OrderType.LIMIT,
            quantity,
            price=price,
            tif=tif,
            post_only=post_only,
            reduce_only=reduce_only,
        )

    def market(
        self, instrument: str, side: Side | str, quantity: Number, *, reduce_only: bool = False
    ) -> Order:
        """Buy or sell at what the market gives. Arguments and errors as for `limit`."""
        return self._place(instrument, side, OrderType.MARKET, quantity, reduce_only=reduce_only)

    def stop_loss(
        self, instrument: str, side: Side | str, quantity: Number, trigger_price: Number
    ) -> Order:
        """Place a protective stop at the venue: a market order once `trigger_price` is reached.

        It rests at the venue, so it works when this process is dead. A stop of the runtime never
        cancels it while its position is open; where it goes missing it is placed again.

        Args:
            instrument: one of the strategy's own.
            side: `sell` protects a long position.
            quantity: in the base currency; a multiple of the lot.
            trigger_price: in the quote currency; on the tick.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        return self._place(
            instrument,
            side,
            OrderType.STOP_MARKET,
            quantity,
            trigger_price=trigger_price,
            reduce_only=True,
            protective=True,
        )

    def _place(
        self, instrument: str, side: Side | str, order_type: OrderType, quantity: Number, **how: Any
    ) -> Order:
        own = self._own(instrument)
        return self._orders.place(self.strategy, own, side, order_type, quantity, **how)

    def _own(self, instrument: str) -> InstrumentId:
        own = InstrumentId(instrument)
        if own not in self.quote_readers:
            known = ", ".join(self.quote_readers)
            raise OrderRefused(
                "instrument", f"{instrument!r} is not one of this strategy's: {known}"
            )
        return own

    def cancel(self, order: Order) -> None:
        """Ask for a cancel. It is repeated until the venue proves the order gone."""
        self._orders.cancel(order, "asked for by the strategy")

    def cancel_all(self, instrument: str | None = None) -> None:
        """Cancel the strategy's entry orders; its protective stops stay."""
        for order in self.open_orders(instrument):
            if not order.spec.protective:
                self.cancel(order)

    def position(self, instrument: str) -> Position:
        """Return the strategy's position; its quantity is 0 where it holds none."""
        return self._orders.trading.ledger.position(self.strategy, InstrumentId(instrument))

    def open_orders(self, instrument: str | None = None) -> list[Order]:
        """Return the strategy's live orders, protective ones too, those of an earlier process
        too.
        """
        return [
            order
            for order in self._orders.trading.live_of(self.strategy)
            if instrument in (None, order.instrument)
        ]

    def instrument(self, instrument: str) -> Instrument:
        """Return the tick, the lot and the other rules of an instrument.

        Raises:
            OrderRefused: the configuration names no strategy that trades it.
        """
        return self._orders.instrument(InstrumentId(instrument))

    def quote(self, instrument: str) -> Quote | None:
        """Return the last quote, or None before the first and while the data is stale."""
        own = InstrumentId(instrument)
        fresh = own in self._orders.prices.views and self._orders.prices.is_fresh(own)
        return self._orders.prices.views[own].quote if fresh else None

    def book(self, instrument: str) -> OrderBook | None:
        """Return the order book, or None while it is not whole and in sequence."""
        view = self._orders.prices.views.get(InstrumentId(instrument))
        return view.book if view is not None and view.book.valid else None

    def now_ns(self) -> int:
        """Return the time, in nanoseconds since the Unix epoch; virtual under a mock clock."""
        return self._clock.now_ns()

    def quotes(self, instrument: str) -> QuoteReader:
        """Return an async iterator over quotes: a slow reader sees the newest, never a queue.

        Raises:
            OrderRefused: it is not one of the strategy's instruments.
        """
        return self.quote_readers[self._own(instrument)].add(QuoteReader())

    def order_events(self) -> OrderEventReader:
        """Return an async iterator over the strategy's order events, from now on; none is lost."""
        return self.order_readers.add(OrderEventReader())

    def halt(self, reason: str) -> None:
        """Halt all trading, of every strategy, until an operator resumes it; over restarts too.

        Every entry order is cancelled; from here only cancels and stop-losses leave.
        """
        self._orders.latch.restrict(TradingMode.HALTED, reason, f"strategy {self.strategy}")

    def reduce_only(self, reason: str) -> None:
        """Let every strategy only make positions smaller until an operator resumes trading.

        Entry orders that could open or enlarge a position are cancelled. It lasts over restarts,
        and changes nothing where trading is halted.
        """
        self._orders.latch.restrict(TradingMode.REDUCE_ONLY, reason, f"strategy {self.strategy}")

    def flatten(self, instrument: str | None = None, reason: str = "") -> None:
        """Cancel the strategy's entry orders and close its positions at the market.

        It returns at once; `on_order` and `on_fill` tell how it goes. On a spot account the stop of
        a position is cancelled first, since it locks what the closing order needs; while that goes
        on nothing else may be placed there. A position that could not be closed gets its stop
        back, and is not tried again.

        Args:
            instrument: one of the strategy's own; None for all of them.
            reason: in words, for the journal and the log.

        Raises:
            OrderRefused: trading is halted; or the instrument is not one of the strategy's.
        """
        own = None if instrument is None else self._own(instrument)
        gate = self._orders.gate
        if gate.halted is not None or gate.mode is TradingMode.HALTED:
            raise OrderRefused("halted", f"trading is halted: {gate.halted or gate.mode_reason}")
        self._orders.latch.flatten(reason, strategy=self.strategy, instrument=own)
