"""The exchange itself: one account, its orders, and one matching core under whichever face.

The matching is the paper exchange's. This gives it what real venues have and it has not: numbered
orders, client order ids that are unique among the open orders only, so that an order sent twice may
really become two, groups in which one order ends the others, and a private stream of changes.

Plain calls, no trio. What a call returns is in the record already, and was told to the listeners.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Final

import attrs

from trade_runtime.exchange.clock import ExchangeClock
from trade_runtime.exchange.ledger import Ledger
from trade_runtime.exchange.record import Record
from trade_runtime.exchange.steps import History, why_of
from trade_runtime.exchange.views import (
    Execution,
    NewOrder,
    Order,
    Refused,
    Update,
    What,
    Why,
)
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderSpec, ReportStatus
from trade_runtime.venues.paper import PaperExchange, PaperSettings
from trade_runtime.venues.paper.orders import Position
from trade_runtime.venues.paper.record import Holding, Step

NAME: Final = VenueName("exchange")
MAX_KEPT_ORDERS: Final = 200_000
"""Orders that can be asked for; of those that have ended the oldest are forgotten."""

MAX_KEPT_FILLS: Final = 200_000
"""Fills that can be asked for; beyond these the oldest are forgotten."""

Listener = Callable[[Update], None]


class Exchange:
    """One account at one venue.

    Args:
        instruments: what is traded, by symbol.
        settings: what the account holds at first, its fees and its leverage.
        clock: the exchange's time.
        record: where everything is written.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        settings: PaperSettings,
        clock: ExchangeClock,
        record: Record,
    ) -> None:
        self.clock = clock
        self.record = record
        self.instruments: dict[str, Instrument] = {}
        """What is traded, by symbol."""
        self._ids = count(1_000_001)
        self._orders: dict[int, Order] = {}
        self._open_ids: dict[str, int] = {}
        self._last_ids: dict[str, int] = {}
        self._ended: deque[int] = deque()
        self._fills: deque[Execution] = deque(maxlen=MAX_KEPT_FILLS)
        self._fills_of: dict[int, list[Execution]] = {}
        self._listeners: dict[int, Listener] = {}
        self._listener_ids = count()
        self._untold: list[Update] = []
        self._telling = False
        self._history = History(self._orders, clock)
        self._ledger = Ledger(self._on_step)
        self._paper = PaperExchange(NAME, self._ledger, clock.base, settings)
        self.adopt(instruments)

    def adopt(self, instruments: Mapping[str, Instrument]) -> None:
        """Trade `instruments` from now on."""
        for symbol, one in instruments.items():
            self.instruments[symbol] = attrs.evolve(one, id=InstrumentId(f"{symbol}.{NAME}"))
        self._paper.adopt(list(self.instruments.values()))

    # --- requests ------------------------------------------------------------------------------

    def place(self, new: NewOrder, *, refuse: str = "") -> Order:
        """Take an order, and return it as it stands after that: it may be filled already.

        Args:
            new: the order.
            refuse: refuse it with this reason, whatever it is.

        Raises:
            Refused: it was not taken.
        """
        if new.symbol not in self.instruments:
            raise self._unborn(new, Why.UNKNOWN_SYMBOL)
        if new.client_id in self._open_ids:
            raise self._unborn(new, Why.DUPLICATE)
        order_id = next(self._ids)
        now_ns = self.clock.now_ns()
        self._orders[order_id] = Order(
            order_id,
            new,
            ReportStatus.OPEN,
            new.quantity,
            new.price,
            new.trigger_price,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        self._open_ids[new.client_id] = self._last_ids[new.client_id] = order_id
        spec = _spec(order_id, new, self.instruments[new.symbol].id, self.clock.skew_ns)
        self._paper.submit(spec, refuse=refuse)
        self._tell()
        order = self._orders[order_id]
        if order.status is ReportStatus.REJECTED:
            raise Refused(Why.ASKED if refuse else why_of(order.reason), order.reason)
        return order

    def cancel(
        self, order: Order, *, reason: str = "", expires: bool = False, refuse: str = ""
    ) -> Order:
        """Cancel an open order, and return it as it ended.

        Args:
            order: which.
            reason: why, where nobody asked for it.
            expires: it is said to have expired.
            refuse: refuse with this reason, whatever it is.

        Raises:
            Refused: it is not open.
        """
        live = self._live(order)
        if refuse:
            raise Refused(Why.ASKED, refuse)
        self._history.ending[live.order_id] = (reason, expires)
        self._paper.cancel(_name(live.order_id))
        self._tell()
        return self._orders[live.order_id]

    def cancel_all(self, symbol: str | None = None, *, reason: str = "") -> list[Order]:
        """Cancel every open order, of one symbol or of all; return them as they ended."""
        ended = []
        for order in self.open_orders(symbol):
            if self._orders[order.order_id].open:  # one of a group may have ended another
                self.cancel(order, reason=reason)
            ended.append(self._orders[order.order_id])
        return ended

    def amend(
        self,
        order: Order,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        refuse: str = "",
    ) -> Order:
        """Change an open order's numbers; what is None stays. Return it as it stands after that.

        Raises:
            Refused: it is not open, or may not be changed so.
        """
        live = self._live(order)
        if refuse:
            raise Refused(Why.ASKED, refuse)
        events = self._paper.amend(
            _name(live.order_id),
            quantity=live.quantity if quantity is None else quantity,
            price=live.price if price is None else price,
            trigger_price=live.trigger_price if trigger_price is None else trigger_price,
        )
        self._tell()
        for event in events:
            reason = getattr(event, "reason", "")
            if type(event).__name__ == "AmendRejected":
                raise Refused(why_of(reason), reason)
        return self._orders[live.order_id]

    # --- the market ----------------------------------------------------------------------------

    def on_quote(self, symbol: str, quote: Quote) -> None:
        """Match against a new best bid and ask."""
        self._paper.on_quote(quote)
        self._tell()

    def on_trade(self, symbol: str, trade: Trade) -> None:
        """Match against a trade between others."""
        self._paper.on_trade(trade)
        self._tell()

    @property
    def next_expiry_ns(self) -> int | None:
        """When the next order with a date ends; None where none has one."""
        return self._paper.next_expiry_ns

    def expire(self) -> None:
        """End every order whose date has come."""
        self._paper.expire(self.clock.base.now_ns())
        self._tell()

    # --- queries -------------------------------------------------------------------------------

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the open orders, eldest first."""
        found = (self._orders[order_id] for order_id in self._open_ids.values())
        return sorted(
            (one for one in found if symbol is None or one.symbol == symbol),
            key=lambda one: one.order_id,
        )

    def order(self, order_id: int) -> Order | None:
        """Return an order by the exchange's id, open or ended."""
        return self._orders.get(order_id)

    def by_client_id(self, client_id: str) -> Order | None:
        """Return the order of a client's id: the open one, else the newest of them."""
        order_id = self._open_ids.get(client_id, self._last_ids.get(client_id, 0))
        return self._orders.get(order_id)

    def orders(self, symbol: str | None = None, *, since_ns: int = 0) -> list[Order]:
        """Return all orders that were taken and not forgotten, eldest first."""
        return [
            one
            for one in self._orders.values()
            if (symbol is None or one.symbol == symbol)
            and one.created_ns >= since_ns
            and one.status is not ReportStatus.REJECTED
        ]

    def fills_of(self, order: Order) -> list[Execution]:
        """Return the fills of an order, oldest first."""
        return list(self._fills_of.get(order.order_id, ()))

    def fills(self, symbol: str | None = None, *, since_ns: int = 0) -> list[Execution]:
        """Return the fills from `since_ns` on, oldest first."""
        return [
            one
            for one in self._fills
            if (symbol is None or one.symbol == symbol) and one.ts_ns >= since_ns
        ]

    def balances(self) -> dict[str, Holding]:
        """Return what the account holds of each currency, and how much of it is locked."""
        return {str(name): held for name, held in self._ledger.balances.items()}

    def positions(self) -> dict[str, Position]:
        """Return what the account holds of each contract that it has traded, by symbol."""
        return {
            str(one).removesuffix(f".{NAME}"): held for one, held in self._paper.positions().items()
        }

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Have `listener` called with each update, in order, before the request that caused it is
        answered. It must not raise.
        """
        key = next(self._listener_ids)
        self._listeners[key] = listener
        try:
            yield
        finally:
            del self._listeners[key]

    # --- inside --------------------------------------------------------------------------------

    def _live(self, order: Order) -> Order:
        live = self._orders.get(order.order_id)
        if live is None or not live.open:
            self.record.write(
                "refuse", order_id=order.order_id, client_id=order.client_id, why="UNKNOWN_ORDER"
            )
            raise Refused(Why.UNKNOWN_ORDER)
        return live

    def _unborn(self, new: NewOrder, why: Why) -> Refused:
        self.record.write("refuse", client_id=new.client_id, symbol=new.symbol, why=why.name)
        return Refused(why)

    def _on_step(self, step: Step) -> None:
        """Learn what the core did, and write it down. Nobody is told yet: the core is at work."""
        update, lines = self._history.read(step)
        for line in lines:
            self.record.write(**line)
        for currency, held in update.balances.items():
            self.record.write("balance", currency=currency, total=held.total, locked=held.locked)
        for symbol, position in update.positions.items():
            self.record.write("position", symbol=symbol, quantity=position.quantity)
        for change in update.changes:
            order = change.order
            if change.execution is not None:
                self._fills.append(change.execution)
                self._fills_of.setdefault(order.order_id, []).append(change.execution)
            if not order.open and self._open_ids.get(order.client_id) == order.order_id:
                del self._open_ids[order.client_id]
                self._forget(order.order_id)
        if update.changes or update.balances or update.positions:
            self._untold.append(update)

    def _forget(self, ended: int) -> None:
        self._ended.append(ended)
        while len(self._ended) > MAX_KEPT_ORDERS:
            gone = self._orders.pop(self._ended.popleft())
            self._fills_of.pop(gone.order_id, None)
            if self._last_ids.get(gone.client_id) == gone.order_id:
                del self._last_ids[gone.client_id]

    def _tell(self) -> None:
        if self._telling:
            return  # by a listener, or while a group ends: what came of it is told in its turn
        self._telling = True
        try:
            while self._untold:
                update = self._untold.pop(0)
                for listener in list(self._listeners.values()):
                    listener(update)
                for order in self._companions(update):
                    if self._orders[order.order_id].open:
                        self.cancel(order, reason="another of its group", expires=True)
        finally:
            self._telling = False

    def _companions(self, update: Update) -> Collection[Order]:
        """Return the orders that end because another of their group was filled, woke or ended."""
        groups = {
            change.order.asked.group
            for change in update.changes
            if change.what not in (What.ACCEPTED, What.AMENDED, What.REJECTED)
        } - {""}
        if not groups:
            return ()
        acting = {
            change.order.order_id
            for change in update.changes
            if change.what in (What.FILLED, What.TRIGGERED)
        }
        return [
            one
            for one in self.open_orders()
            if one.asked.group in groups and one.order_id not in acting
        ]


def _name(order_id: int) -> ClientOrderId:
    return ClientOrderId(str(order_id))


def _spec(order_id: int, new: NewOrder, instrument: InstrumentId, skew_ns: int) -> OrderSpec:
    return OrderSpec(
        _name(order_id),
        StrategyName(""),
        instrument,
        new.side,
        new.type,
        new.quantity,
        new.price,
        new.trigger_price,
        new.tif,
        new.post_only,
        new.reduce_only,
        expire_ns=new.expire_ns and new.expire_ns - skew_ns,
        trail=new.trail,
        oco=new.group,
    )
