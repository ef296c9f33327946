"""A paper exchange: requests and market events in by plain calls, events out as they return.

It stands below the `Venue` port (`venue.py`) and above its record. It knows no runtime: no journal,
no strategies, no halts, and no trio. It guarantees:

- What a call returns is already in the record; a call that raises changed nothing, there or here.
- A client order id is accepted once in the whole life of the record, so that however often an
  intent arrives it makes one order.
- No balance goes below zero, no order is filled beyond its quantity, no displayed size is taken
  twice, and the same calls at the same times give the same record.
- Memory holds live orders only, at most `MAX_OPEN_ORDERS`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import attrs

from trade_runtime.errors import StoreError, VenueError
from trade_runtime.model.events import CancelRejected, Fill, OrderRejected, VenueEvent
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, VenueName, symbol_of
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderReport, OrderSpec, ReportStatus
from trade_runtime.protocols import Clock
from trade_runtime.venues.paper import checks
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.matching import Matcher, funds_currency
from trade_runtime.venues.paper.orders import OrderRow, PaperOrder, detail_of
from trade_runtime.venues.paper.record import ExchangeRecord, Holding, Step
from trade_runtime.venues.paper.turn import Turn, standing

MAX_OPEN_ORDERS = 10_000
"""Live orders of the account, over all instruments; one more is rejected."""

MAX_INSTRUMENTS = 10_000

_NOTHING: Sequence[VenueEvent] = ()


class PaperExchange:
    """The matching core of one venue, going on from where its record ends.

    Args:
        name: the venue's name; its instruments are `SYMBOL.name`.
        record: where everything is written before it is told.
        clock: tells the time of day; exchange time follows it but never goes back.
        balances: what the account holds at first; a record that exists wins over it.
        fee_bps: what is taken of each fill's notional, in the quote currency.

    Raises:
        StoreError: the record cannot be read or written.
    """

    def __init__(
        self,
        name: VenueName,
        record: ExchangeRecord,
        clock: Clock,
        *,
        balances: Mapping[Currency, Decimal],
        fee_bps: Decimal,
    ) -> None:
        self.name = name
        self._record = record
        self._clock = clock
        self._fee_bps = fee_bps
        self._seq = self._ts_ns = 0
        self._books: dict[InstrumentId, Book] = {}
        self._live: dict[ClientOrderId, PaperOrder] = {}
        self._account = Account({})
        self._matcher = Matcher(self._account, fee_bps)
        if not record.load().seq:
            turn = Turn(0, clock.now_ns())
            turn.note("deposit", ClientOrderId(""), **{k: f"{v:f}" for k, v in balances.items()})
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
        fresh: list[Instrument] = []
        for given in instruments:
            one = attrs.evolve(given, id=InstrumentId(f"{symbol_of(given.id)}.{self.name}"))
            old = known.get(one.id)
            if old is not None and (old.base, old.quote) != (one.base, one.quote):
                raise VenueError(
                    f"{one.id} is {one.base}/{one.quote}, but {old.base}/{old.quote} in the record"
                )
            if old != one:
                fresh.append(one)
        if len(known.keys() | {one.id for one in fresh}) > MAX_INSTRUMENTS:
            raise VenueError(f"{self.name} trades {MAX_INSTRUMENTS} instruments at most")
        if fresh:
            self._record.write(Step(instruments=fresh))
        for one in fresh:
            book = self._books.get(one.id)
            if book is None:
                self._books[one.id] = Book(one)
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
        seen = self._known(spec.client_order_id)
        turn = self._turn()
        seq = turn.note("submit", spec.client_order_id, **detail_of(spec))
        if seen is not None:
            turn.note("reject", spec.client_order_id, reason=checks.DUPLICATE)
            turn.events.append(standing(seen, turn.ts_ns))
            return self._commit(turn)
        order = PaperOrder.arriving(spec, seq, turn.ts_ns)
        book = self._books.get(spec.instrument)
        reason = refuse or self._objection(spec, order, book)
        if reason or book is None:
            order.status, order.reason = ReportStatus.REJECTED, reason
            turn.touch(order)
            turn.note("reject", spec.client_order_id, reason=reason)
            turn.events.append(OrderRejected(spec.client_order_id, reason, turn.ts_ns))
            return self._commit(turn)
        turn.accept(order)
        self._live[order.client_order_id] = order
        self._matcher.enter(turn, book, order)
        return self._commit(turn, book)

    def cancel(self, client_order_id: ClientOrderId, *, refuse: str = "") -> Sequence[VenueEvent]:
        """Cancel a live order, or say why not.

        Args:
            client_order_id: which.
            refuse: reject the cancel with this reason, whatever it is.

        Raises:
            StoreError: the record failed; nothing was done.
        """
        order = self._live.get(client_order_id)
        turn = self._turn()
        turn.note("cancel_request", client_order_id)
        if order is None or refuse:
            past = self._known(client_order_id)
            reason = refuse or (f"order is {past.status}" if past else "unknown order")
            turn.note("cancel_reject", client_order_id, reason=reason)
            turn.events.append(CancelRejected(client_order_id, reason, turn.ts_ns))
            return self._commit(turn)
        book = self._books[order.instrument]
        self._matcher.close(turn, book, order, ReportStatus.CANCELLED)
        return self._commit(turn, book)

    # --- the market ----------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> Sequence[VenueEvent]:
        """Match against a new best bid and ask.

        Raises:
            StoreError: the record failed; the quote is known, but nothing was matched.
        """
        book = self._books.get(quote.instrument)
        if book is None:
            return _NOTHING
        if book.bid_low < quote.bid < book.bid_high and book.ask_low < quote.ask < book.ask_high:
            book.quote = quote
            return _NOTHING
        turn = self._turn()
        book.see(quote)
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

    # --- inside --------------------------------------------------------------------------------

    def _known(self, client_order_id: ClientOrderId) -> PaperOrder | OrderRow | None:
        return self._live.get(client_order_id) or self._record.order(client_order_id)

    def _objection(self, spec: OrderSpec, order: PaperOrder, book: Book | None) -> str:
        if book is None:
            return checks.UNKNOWN_INSTRUMENT
        if len(self._live) >= MAX_OPEN_ORDERS:
            return checks.TOO_MANY
        return (
            checks.form(spec, book.instrument)
            or checks.market(spec, book)
            or checks.funds(order, book, self._account, self._matcher)
            or ""
        )

    def _turn(self) -> Turn:
        return Turn(self._seq, max(self._ts_ns, self._clock.now_ns()))

    def _commit(self, turn: Turn, book: Book | None = None) -> Sequence[VenueEvent]:
        if turn.seq != self._seq:
            try:
                self._record.write(turn.step(self._account))
            except StoreError:
                self._restore()
                raise
            self._seq, self._ts_ns = turn.seq, turn.ts_ns
            for order in turn.orders.values():
                if not order.live:
                    self._live.pop(order.client_order_id, None)
        if book is not None:
            book.refresh()
        return turn.events

    def _restore(self) -> None:
        """Make memory equal to the record; the market's present quotes are kept."""
        saved = self._record.load()
        self._seq, self._ts_ns = saved.seq, saved.ts_ns
        self._account = Account(saved.balances)
        self._matcher = Matcher(self._account, self._fee_bps)
        self._live = {}
        before = self._books
        self._books = {one.id: Book(one) for one in saved.instruments}
        for one_id, book in self._books.items():
            if one_id in before:
                book.quote, book.taken = before[one_id].quote, before[one_id].taken
        for row in saved.live:
            order = PaperOrder.restored(row)
            book = self._books[order.instrument]
            book.add(order)
            self._account.lock(funds_currency(book, order.side), order.locked)
            self._live[order.client_order_id] = order
        for book in self._books.values():
            book.refresh()
