"""The trader: what a strategy acts through. Each strategy has its own, and sees only its own
orders.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import structlog

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.machines.warmup import WarmUp
from trade_runtime.managers.order_calls import OrderCalls
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.readers import OrderEventReader, QuoteReader, Readers
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote
from trade_runtime.model.records import TradingMode
from trade_runtime.protocols import Clock


class Trader(OrderCalls):
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
        warmup: WarmUp | None = None,
    ) -> None:
        super().__init__(strategy, instruments, orders, warmup or WarmUp())
        self.log: Any = structlog.get_logger("strategy").bind(strategy=strategy)
        self.quote_readers: dict[InstrumentId, Readers[QuoteReader]] = {
            i: Readers() for i in instruments
        }
        self.order_readers: Readers[OrderEventReader] = Readers()
        self._clock = clock

    @property
    def warming_up(self) -> bool:
        """Whether the strategy still lacks some of its `warmup_bars`. Until it has them, orders are
        refused as `warmup`; protective and reduce-only ones and cancels are not.
        """
        return self._warmup.active

    def position(self, instrument: str) -> Position:
        """Return the strategy's position; its quantity is 0 where it holds none."""
        return self._orders.trading.ledger.position(self.strategy, InstrumentId(instrument))

    def closable(self, instrument: str) -> Decimal:
        """Return how much of the position an order can close: whole lots, signed; 0 for less.

        A venue that takes its fee out of what was bought leaves a rest below the lot, which can be
        neither sold nor protected.
        """
        return self._orders.closable(self.position(instrument))

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
        self._orders.restrict(TradingMode.HALTED, reason, f"strategy {self.strategy}")

    def reduce_only(self, reason: str) -> None:
        """Let every strategy only make positions smaller until an operator resumes trading.

        Entry orders that could open or enlarge a position are cancelled. It lasts over restarts,
        and changes nothing where trading is halted.
        """
        self._orders.restrict(TradingMode.REDUCE_ONLY, reason, f"strategy {self.strategy}")

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
        self._orders.flatten(reason, strategy=self.strategy, instrument=own)
