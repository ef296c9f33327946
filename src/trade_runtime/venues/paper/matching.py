"""How orders meet the market: taking what is displayed, resting, waking, filling, locking funds.

Plain and synchronous; works on one `Book` within one `Turn`. The rules, in full in the reference:

- An order takes the opposite best price up to the size displayed there, each displayed size once.
- A resting limit order is a maker: at its own price, when the opposite quote reaches that price
  (by the size displayed) or when a trade of an opposite aggressor prints at or through it (by the
  size traded). Best price first, then the elder. Where orders queue, those that were displayed
  before it at its price go first.
- A stop wakes when the quote on its side, or a trade, reaches its trigger; a take-profit likewise.
- A fill of one order of a group makes the others smaller by as much.
- Own orders never meet each other.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Trade
from trade_runtime.model.orders import SIDES, ZERO, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper import checks
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.funds import Funds
from trade_runtime.venues.paper.levels import Levels
from trade_runtime.venues.paper.money import affordable, cost, fee_of, minus, plus, rate_of, times
from trade_runtime.venues.paper.orders import PaperOrder
from trade_runtime.venues.paper.queueing import ahead_of, queue_moves, reaches, served_before
from trade_runtime.venues.paper.turn import Turn

NO_FUNDS = "insufficient balance"

RESTING_TIFS = (TimeInForce.GTC, TimeInForce.GTD)


class Matcher:
    """Matches orders against quotes and trades, and keeps the account in step.

    Args:
        account: whose orders these are.
        maker_bps: what the venue takes of the notional of a fill that made liquidity.
        taker_bps: of one that took it.
    """

    def __init__(self, account: Account, maker_bps: Decimal, taker_bps: Decimal) -> None:
        self._account = account
        self._maker, self._taker = rate_of(maker_bps), rate_of(taker_bps)
        self.funds = Funds(account, max(self._maker, self._taker, ZERO))
        """What the live orders have locked."""

    # --- requests

    def enter(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Let an order that has passed every check into the market."""
        self.funds.join(order)
        if order.waits_for_trigger:
            self.funds.lock(turn, book, order)
            book.add(order)
        else:
            self.arrive(turn, book, order, funded=True)

    def close(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str = ""
    ) -> None:
        """Take a waiting order out of the market and give back what it had locked."""
        book.remove(order)
        self._finish(turn, book, order, status, reason)

    def arrive(self, turn: Turn, book: Book, order: PaperOrder, *, funded: bool = False) -> None:
        """Take what is there, then rest, wait or expire. The book does not have the order yet.

        Only what is left over to wait has to be locked for; what is taken is paid at once.

        Args:
            turn: what this is a part of.
            book: of the order's instrument.
            order: what arrives.
            funded: that its funds cover it at the present market is known.
        """
        tif = order.spec.tif
        if tif is TimeInForce.FOK and self._takeable(book, order)[0] < order.quantity:
            self._finish(turn, book, order, ReportStatus.EXPIRED, "not fillable at once, in full")
            return
        funded = self._take(turn, book, order, funded=funded)
        if not order.remaining:
            self._finish(turn, book, order, ReportStatus.FILLED)
        elif not funded:
            self._finish(turn, book, order, ReportStatus.EXPIRED, NO_FUNDS)
        elif tif not in RESTING_TIFS:
            self._finish(
                turn, book, order, ReportStatus.EXPIRED, "the rest was not fillable at once"
            )
        else:
            if book.queued and order.price is not None:
                order.ahead = ahead_of(book, order)
            if not order.locked:
                self.funds.lock(turn, book, order)
            book.add(order)

    def amend(
        self,
        turn: Turn,
        book: Book,
        order: PaperOrder,
        numbers: tuple[Decimal, Decimal | None, Decimal | None],
    ) -> str:
        """Change a live order, or return why not; then nothing is changed."""
        before = order.quantity, order.price, order.trigger_price
        quantity, price, trigger_price = numbers
        if order.triggered or (trigger_price is None and order.trail is not None):
            trigger_price = order.trigger_price
        wanted = replace(order.spec, quantity=quantity, price=price, trigger_price=trigger_price)
        reason = checks.form(wanted, book.instrument) or checks.market(wanted, book)
        if reason:
            return reason
        book.remove(order)
        order.quantity, order.price, order.trigger_price = quantity, price, trigger_price
        reason = checks.trigger(order, book)
        if not reason and not self.funds.covers(book, order):
            reason = NO_FUNDS
        if reason:
            order.quantity, order.price, order.trigger_price = before
            book.add(order)
            return reason
        only_smaller = (price, trigger_price) == before[1:] and quantity <= before[0]
        if not only_smaller:
            order.priority = turn.seq
        self.funds.lock(turn, book, order)
        turn.amend(order, "request")
        if only_smaller or order.waits_for_trigger or order.price is None:
            book.add(order)
        else:
            self.arrive(turn, book, order)
        return ""

    # --- the market

    def meet_quote(self, turn: Turn, book: Book) -> None:
        """Wake, then fill, whatever the book's new quote reaches."""
        bid, ask = book.best(Side.SELL), book.best(Side.BUY)
        for side, takes in ((Side.SELL, bid), (Side.BUY, ask)):
            if takes is None:
                continue
            if book.trailing[side]:
                self._follow(turn, book, side, takes)
            self._wake(turn, book, book.stops[side], side.opposite, takes, "quote")
            self._wake(turn, book, book.profits[side], side, takes, "quote")
        for side in SIDES:
            if book.queued:
                queue_moves(book, side)
            self._feed(turn, book, side)

    def meet_trade(self, turn: Turn, book: Book, trade: Trade) -> None:
        """Fill the resting orders that the trade's aggressor would have hit; then wake others."""
        price = exact(trade.price)
        left = book.instrument.round_quantity(exact(trade.quantity))
        side = trade.aggressor.opposite
        resting = book.resting[side]
        while left > 0 and (order := resting.first()) is not None:
            assert order.price is not None
            if not reaches(price, order.price, side):
                break
            if book.queued and price == order.price:
                self._meet_queue(turn, book, side, price, left)
                break
            quantity = min(left, order.remaining)
            left -= quantity
            self._make(turn, book, order, quantity)
        for one in SIDES:
            self._wake(turn, book, book.stops[one], one.opposite, price, "trade")
            self._wake(turn, book, book.profits[one], one, price, "trade")

    def _meet_queue(
        self, turn: Turn, book: Book, side: Side, price: Decimal, traded: Decimal
    ) -> None:
        """Share out what was traded at a price among others' orders and ours, as they queue."""
        ours = ZERO
        for order in list(book.resting[side]):
            if not order.live:
                continue  # another of its group has ended it
            if order.price != price:
                break
            passing = traded - ours
            served = served_before(order, passing)
            if served:
                turn.touch(order)
            quantity = min(passing - served, order.remaining)
            if quantity > 0:
                ours += quantity
                self._make(turn, book, order, quantity)

    def _follow(self, turn: Turn, book: Book, side: Side, price: Decimal) -> None:
        """Draw the triggers after a market that moved in favour of their orders."""
        for order in list(book.trailing[side].values()):
            assert order.trail is not None
            assert order.trigger_price is not None
            behind = price + side.sign * order.trail
            if reaches(order.trigger_price, behind, side):
                continue  # it stands there already, or nearer
            book.remove(order)
            order.trigger_price = behind
            book.add(order)
            self.funds.lock(turn, book, order)
            turn.trail(order)

    def _wake(
        self, turn: Turn, book: Book, waiting: Levels, like: Side, price: Decimal, by: str
    ) -> None:
        """Wake what waits for the market to be as good as its trigger for an order of `like`."""
        if not waiting:
            return
        woken: list[PaperOrder] = []
        while (order := waiting.first()) is not None:
            assert order.trigger_price is not None
            if not reaches(price, order.trigger_price, like):
                break
            book.remove(order)
            order.wake()
            turn.note("trigger", order.spec.client_order_id, {"by": by, "price": price})
            turn.touch(order)
            woken.append(order)
        for order in woken:
            if order.live and order.remaining > 0:  # another of its group may have ended it
                self.arrive(turn, book, order)

    def _feed(self, turn: Turn, book: Book, side: Side) -> None:
        """Give what is displayed to those who wait for it: orders without a limit first."""
        taking, resting = book.taking[side], book.resting[side]
        while (order := taking.first()) is not None and book.available(side) > 0:
            funded = self._take(turn, book, order)
            if not order.remaining:
                self.close(turn, book, order, ReportStatus.FILLED)
            elif not funded:
                self.close(turn, book, order, ReportStatus.EXPIRED, NO_FUNDS)
            else:
                break
        if not resting:
            return
        best = book.best(side)
        while best is not None and (order := resting.first()) is not None:
            assert order.price is not None
            quantity = min(order.remaining, book.available(side))
            if quantity <= 0 or not reaches(best, order.price, side):
                break
            book.take(side, quantity)
            self._make(turn, book, order, quantity)

    # --- fills

    def _make(self, turn: Turn, book: Book, order: PaperOrder, quantity: Decimal) -> None:
        """Fill a resting order at its own price."""
        assert order.price is not None
        self._fill(turn, book, order, quantity, order.price, maker=True)
        if not order.remaining:
            self.close(turn, book, order, ReportStatus.FILLED)

    def _takeable(
        self, book: Book, order: PaperOrder, *, funded: bool = False
    ) -> tuple[Decimal, Decimal | None]:
        """Return how much `order` could take right now, and how much of it no money is left for."""
        side, limit = order.side, order.price
        best = book.best(side)
        if best is None or (limit is not None and not reaches(best, limit, side)):
            return ZERO, None
        quantity = min(order.quantity - order.filled, book.available(side))
        if funded or limit is not None or side is Side.SELL:
            return quantity, None
        purse = self.funds.purse(book, order)
        if cost(times(quantity, best), self._taker) <= purse:
            return quantity, None
        least = min(quantity, affordable(book.instrument, purse, best, self._taker))
        return least, quantity - least

    def _take(self, turn: Turn, book: Book, order: PaperOrder, *, funded: bool = False) -> bool:
        """Take what is displayed; return False where money, not size, was the bound."""
        quantity, lacking = self._takeable(book, order, funded=funded)
        if quantity > 0:
            best = book.best(order.side)
            assert best is not None
            book.take(order.side, quantity)
            self._fill(turn, book, order, quantity, best, maker=False)
        return not lacking

    def _fill(
        self,
        turn: Turn,
        book: Book,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        *,
        maker: bool,
    ) -> None:
        instrument, account = book.instrument, self._account
        notional = times(quantity, price)
        fee = fee_of(notional, self._maker if maker else self._taker)
        order.filled += quantity
        grouped = order.spec.oco
        if grouped:
            self._make_room(order, quantity)
        if order.side is Side.BUY:
            paid = plus(notional, fee)
            account.move(instrument.quote, paid.copy_negate())
            account.move(instrument.base, quantity)
        else:
            paid = ZERO
            account.move(instrument.base, quantity.copy_negate())
            account.move(instrument.quote, minus(notional, fee))
        self.funds.settle(turn, book, order, paid)
        turn.fill(order, instrument, quantity=quantity, price=price, fee=fee, maker=maker)
        turn.touch(order)
        if grouped:
            self._tell_room(turn, book, order)

    def _make_room(self, order: PaperOrder, quantity: Decimal) -> None:
        """Make the others of an order's group smaller by what it filled."""
        for other in self.funds.members(order):
            if other is not order:
                other.quantity = max(other.quantity - quantity, other.filled)

    def _tell_room(self, turn: Turn, book: Book, order: PaperOrder) -> None:
        """Tell what a fill did to the others of its group, after the fill itself."""
        cause = f"group {order.spec.oco}: order {order.spec.client_order_id} filled in its place"
        for other in list(self.funds.members(order)):
            if other is order:
                continue
            if not other.remaining:
                self._withdraw(turn, book, other, ReportStatus.CANCELLED, cause)
            elif self.funds.outgrown(other):
                self._withdraw(turn, book, other, ReportStatus.EXPIRED, NO_FUNDS)
            else:
                turn.amend(other, cause)

    def _withdraw(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str
    ) -> None:
        """End an order that may have just woken, so that the book does not have it."""
        if order in book:
            book.remove(order)
        self._finish(turn, book, order, status, reason)

    def _finish(
        self, turn: Turn, book: Book, order: PaperOrder, status: ReportStatus, reason: str = ""
    ) -> None:
        self.funds.release(turn, book, order)
        turn.close(order, status, reason)
