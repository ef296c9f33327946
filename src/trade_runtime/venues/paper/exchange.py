"""A paper exchange: requests and market events in by plain calls, events out as they return.

It stands below the `Venue` port (`venue.py`) and above its record. It knows no runtime: no journal,
no strategies, no halts, and no trio. It guarantees:

- What a call returns is already in the record; a call that raises changed nothing, there or here.
- A client order id is accepted once in the whole life of the record, so that however often an
  intent arrives it makes one order.
- No balance goes below zero but by losses on contracts, no order is filled beyond its quantity, no
  displayed size is taken twice, and the same calls at the same times give the same record.
- Memory holds live orders only, at most `MAX_OPEN_ORDERS`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import attrs

from trade_runtime.errors import StoreError
from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderReport, OrderSpec, ReportStatus
from trade_runtime.protocols import Clock
from trade_runtime.venues.paper import checks
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.dates import Dates
from trade_runtime.venues.paper.desk import NO_FUNDS, Desk
from trade_runtime.venues.paper.listing import listed
from trade_runtime.venues.paper.matching import Matcher
from trade_runtime.venues.paper.orders import OrderRow, PaperOrder, Position, detail_of
from trade_runtime.venues.paper.record import ExchangeRecord, Holding, Step
from trade_runtime.venues.paper.settings import PaperSettings
from trade_runtime.venues.paper.turn import Turn, standing

MAX_OPEN_ORDERS = 10_000
"""Live orders of the account, over all instruments; one more is rejected."""

_NOTHING: Sequence[VenueEvent] = ()
_NO_DETAIL: Mapping[str, str] = {}


class PaperExchange:
    """The matching core of one venue, going on from where its record ends.

    Args:
        name: the venue's name; its instruments are `SYMBOL.name`.
        record: where everything is written before it is told.
        clock: tells the time of day; exchange time follows it but never goes back.
        settings: what the account holds at first (a record that exists wins over it), fees,
            queueing, and what it holds of orders.

    Raises:
        StoreError: the record cannot be read or written.
    """

    def __init__(
        self,
        name: VenueName,
        record: ExchangeRecord,
        clock: Clock,
        settings: PaperSettings,
    ) -> None:
        self.name = name
        self.capabilities = settings.capabilities
        self.latency_ns = settings.latency_ns
        self._record = record
        self._clock = clock
        self._rules = *settings.fees_bps, settings.leverage, settings.fee_in == "received"
        self._queued = settings.queue == "back"
        self._seq = self._ts_ns = 0
        self._books: dict[InstrumentId, Book] = {}
        self._live: dict[ClientOrderId, PaperOrder] = {}
        self._account = Account({})
        self._desk = Desk(self._account, *self._rules)
        self._matcher = Matcher(self._desk)
        self._dates = Dates()
        if not record.load().seq:
            balances = {Currency(name): held for name, held in settings.balances.items()}
            turn = Turn(0, clock.now_ns(), kept=True)
            turn.note("deposit", ClientOrderId(""), settings.balances)
            held = {name: Holding(total, Decimal(0)) for name, total in balances.items()}
            record.write(attrs.evolve(turn.step(Account({})), balances=held))
        self._restore()

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Trade `instruments` from now on, each under an id of this venue.

        Raises:
            VenueError: one is known with other currencies, or there are too many.
            StoreError: the record cannot be written.
        """
        known = {one_id: book.instrument for one_id, book in self._books.items()}
        fresh = listed(self.name, known, instruments)
        if fresh:
            self._record.write(Step(instruments=fresh))
        for one in fresh:
            book = self._books.get(one.id)
            if book is None:
                self._open(one)
            else:
                book.instrument = one

    # --- requests ------------------------------------------------------------------------------

    def submit(self, spec: OrderSpec, *, refuse: str = "") -> Sequence[VenueEvent]:
        """Take a new order and return what came of it.

        An id that was seen before makes no second order: the history says so, and what is returned
        is how its one order stands, since `OrderRejected` would say that there is none.

        Args:
            spec: the order.
            refuse: reject it with this reason, whatever it is.

        Raises:
            StoreError: the record failed; nothing was done.
        """
        name = spec.client_order_id
        turn = self._turn()
        seen = self._known(name, turn)
        seq = turn.note("submit", name, detail_of(spec) if self._record.keeps else _NO_DETAIL)
        if seen is not None:
            turn.note("reject", name, {"reason": checks.DUPLICATE})
            turn.events.append(standing(seen, turn.ts_ns))
            return self._commit(turn)
        order = PaperOrder(spec, seq, turn.ts_ns)
        book = self._books.get(spec.instrument)
        reason = refuse or self._objection(order, book, turn.ts_ns)
        if reason or book is None:
            order.status, order.reason = ReportStatus.REJECTED, reason
            turn.touch(order)
            turn.note("reject", name, {"reason": order.reason})
            turn.events.append(OrderRejected(name, order.reason, turn.ts_ns))
            return self._commit(turn)
        turn.accept(order)
        self._live[name] = order
        if spec.expire_ns:
            self._dates.add(order)
        self._desk.enter(turn, book, order)
        return self._commit(turn, book)

    def cancel(self, client_order_id: ClientOrderId, *, refuse: str = "") -> Sequence[VenueEvent]:
        """Cancel a live order, or say why not.

        Args:
            client_order_id: which.
            refuse: reject the cancel with this reason, whatever it is.

        Raises:
            StoreError: the record failed; nothing was done.
        """
        turn = self._turn()
        order = self._live.get(client_order_id)
        turn.note("cancel_request", client_order_id, _NO_DETAIL)
        if order is None or refuse:
            reason = refuse or self._past(client_order_id, turn)
            turn.note("cancel_reject", client_order_id, {"reason": reason})
            turn.events.append(CancelRejected(client_order_id, reason, turn.ts_ns))
            return self._commit(turn)
        book = self._books[order.instrument]
        self._desk.close(turn, book, order, ReportStatus.CANCELLED)
        return self._commit(turn, book)

    def amend(
        self,
        client_order_id: ClientOrderId,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
        refuse: str = "",
    ) -> Sequence[VenueEvent]:
        """Change a live order's numbers, or say why not.

        It keeps its place among those of its price only where nothing but its quantity changes, and
        that becomes smaller. A quantity at or below what is filled ends it as cancelled.

        Args:
            client_order_id: which.
            quantity: the whole new quantity.
            price: the new limit price; None for a type without one.
            trigger_price: the new trigger; None for a type without one. One that woke ignores it.
            refuse: reject the amend with this reason, whatever it is.

        Raises:
            StoreError: the record failed; nothing was done.
        """
        turn = self._turn()
        order = self._live.get(client_order_id)
        asked = {"quantity": quantity, "price": price, "trigger_price": trigger_price}
        turn.note("amend_request", client_order_id, asked)
        reason = refuse or ("" if self.capabilities.amend else "amends are not offered")
        if order is None or reason:
            reason = reason or self._past(client_order_id, turn)
        elif quantity <= order.filled:
            book = self._books[order.instrument]
            why = "amended to what is filled"
            self._desk.close(turn, book, order, ReportStatus.CANCELLED, why)
            return self._commit(turn, book)
        else:
            book = self._books[order.instrument]
            reason = self._desk.amend(turn, book, order, (quantity, price, trigger_price))
            if not reason:
                return self._commit(turn, book)
        turn.note("amend_reject", client_order_id, {"reason": reason})
        turn.events.append(AmendRejected(client_order_id, reason, turn.ts_ns))
        return self._commit(turn)

    def expire(self, now_ns: int) -> Sequence[VenueEvent]:
        """End every order whose date has come.

        Raises:
            StoreError: the record failed; nothing was done.
        """
        if self.next_expiry_ns is None or now_ns < self.next_expiry_ns:
            return _NOTHING
        turn = Turn(self._seq, max(self._ts_ns, now_ns), kept=self._record.keeps)
        self._expire(turn)
        return self._commit(turn)

    # --- the market ----------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> Sequence[VenueEvent]:
        """Match against a new best bid and ask.

        Raises:
            StoreError: the record failed; the quote is known, but nothing was matched.
        """
        book = self._books.get(quote.instrument)
        if book is None:
            return _NOTHING
        if book.touched:
            book.see(quote)
        else:
            book.quote = quote
        if book.bid_low < quote.bid < book.bid_high and book.ask_low < quote.ask < book.ask_high:
            return _NOTHING
        turn = self._turn()
        self._matcher.meet_quote(turn, book)
        return self._commit(turn, book)

    def on_trade(self, trade: Trade) -> Sequence[VenueEvent]:
        """Match against a trade between others.

        Raises:
            StoreError: the record failed; nothing was matched.
        """
        book = self._books.get(trade.instrument)
        if book is None or book.trade_low < trade.price < book.trade_high:
            return _NOTHING
        if not (trade.price > 0 and trade.quantity > 0):
            return _NOTHING
        turn = self._turn()
        self._matcher.meet_trade(turn, book, trade)
        return self._commit(turn, book)

    # --- queries -------------------------------------------------------------------------------

    @property
    def next_expiry_ns(self) -> int | None:
        """When the next order with a date ends; None where none has one."""
        return self._dates.next_ns

    def open_orders(self) -> list[OrderReport]:
        """Return every live order, eldest first."""
        return [order.report() for order in self._live.values()]

    def order(self, client_order_id: ClientOrderId) -> OrderReport | None:
        """Return an order, live or past, or None where no such id was ever submitted."""
        known = self._known(client_order_id)
        return known.report() if known is not None else None

    def fills(self, since_ns: int) -> list[Fill]:
        """Return the fills from `since_ns` on, oldest first."""
        return self._record.fills(since_ns)

    def balances(self) -> dict[Currency, Decimal]:
        """Return what the account holds, free and locked."""
        return self._account.totals()

    def positions(self) -> dict[InstrumentId, Position]:
        """Return what the account holds of each contract that it has traded."""
        return dict(self._desk.funds.margin.positions)

    # --- inside --------------------------------------------------------------------------------

    def _open(self, instrument: Instrument) -> None:
        book = self._books[instrument.id] = Book(instrument, queued=self._queued)
        if book.linear:
            self._desk.funds.margin.trade(book)

    def _known(
        self, client_order_id: ClientOrderId, turn: Turn | None = None
    ) -> PaperOrder | OrderRow | None:
        """Return an order that is live, that ended in this turn, or that the record has."""
        return (
            self._live.get(client_order_id)
            or (turn and turn.orders.get(client_order_id))
            or self._record.order(client_order_id)
        )

    def _past(self, client_order_id: ClientOrderId, turn: Turn) -> str:
        """Say why an order that is not live cannot be changed."""
        past = self._known(client_order_id, turn)
        return f"order is {past.status}" if past else "unknown order"

    def _objection(self, order: PaperOrder, book: Book | None, now_ns: int) -> str:
        """Return why an order is refused, or nothing."""
        spec, funds = order.spec, self._desk.funds
        if book is None:
            return checks.UNKNOWN_INSTRUMENT
        if len(self._live) >= MAX_OPEN_ORDERS:
            return checks.TOO_MANY
        reason = (
            checks.held(spec, self.capabilities, funds.members(order) if spec.oco else (), now_ns)
            or checks.form(spec, book.instrument)
            or checks.market(spec, book)
        )
        if not reason and spec.type.waits:
            reason = checks.first_trigger(order, book) or checks.trigger(order, book)
        if not reason and spec.reduce_only:
            reason = self._desk.reduces(book, order)
        if reason:
            return reason
        return "" if funds.covers(book, order) else NO_FUNDS

    def _turn(self) -> Turn:
        """Begin a step: what has a date that has come ends first, whatever the step is."""
        ts_ns = max(self._ts_ns, self._clock.now_ns())
        turn = Turn(self._seq, ts_ns, kept=self._record.keeps)
        expiry_ns = self._dates.next_ns
        if expiry_ns is not None and expiry_ns <= ts_ns:
            self._expire(turn)
        return turn

    def _expire(self, turn: Turn) -> None:
        for order in self._dates.due(turn.ts_ns):
            book = self._books[order.instrument]
            self._desk.close(turn, book, order, ReportStatus.EXPIRED, "its date has come")
            book.refresh()
            del self._live[order.client_order_id]
            self._dates.remove(order)

    def _commit(self, turn: Turn, book: Book | None = None) -> Sequence[VenueEvent]:
        if turn.seq != self._seq or turn.orders:
            if self._record.keeps:
                try:
                    self._record.write(turn.step(self._account))
                except StoreError:
                    self._restore()
                    raise
            self._seq, self._ts_ns = turn.seq, turn.ts_ns
            for name, order in turn.orders.items():
                if not order.live:
                    self._live.pop(name, None)
                    if order.spec.expire_ns:
                        self._dates.remove(order)
        if book is not None:
            book.refresh()
        return turn.events

    def _restore(self) -> None:
        """Make memory equal to the record; the market's present quotes are kept."""
        saved = self._record.load()
        self._seq, self._ts_ns = saved.seq, saved.ts_ns
        self._account = Account(saved.balances)
        self._desk = Desk(self._account, *self._rules)
        self._matcher = Matcher(self._desk)
        self._live, self._dates = {}, Dates()
        before = self._books
        self._books = {}
        for one in saved.instruments:
            self._open(one)
        self._desk.funds.margin.positions.update(saved.positions)
        for one_id, book in self._books.items():
            if one_id in before:
                known = before[one_id]
                book.quote, book.taken, book.touched = known.quote, known.taken, known.touched
        for row in saved.live:
            order = PaperOrder.restored(row)
            book = self._books[order.instrument]
            self._desk.restore(book, order)
            self._live[order.client_order_id] = order
            if order.spec.expire_ns:
                self._dates.add(order)
        for book in self._books.values():
            book.refresh()
