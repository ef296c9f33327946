"""Why a paper exchange refuses an order: each reason in the exchange's own words."""

from __future__ import annotations

from trade_runtime.model.instrument import FLOAT_DIGITS, Instrument, OffGrid
from trade_runtime.model.orders import OrderSpec, OrderType, TimeInForce
from trade_runtime.venues.paper.account import Account
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.matching import NO_FUNDS, Matcher, funds_currency, reaches
from trade_runtime.venues.paper.money import times
from trade_runtime.venues.paper.orders import STOPS, PaperOrder

UNKNOWN_INSTRUMENT = "unknown instrument"
DUPLICATE = "duplicate client order id"
NO_MARKET = "no market yet"
WOULD_TAKE = "post-only order would take liquidity"
WOULD_TRIGGER = "order would trigger immediately"
TOO_MANY = "too many open orders"


def form(order: OrderSpec, instrument: Instrument) -> str | None:
    """Return what is wrong with the order as it is written, or None."""
    wants_price = order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    if (order.price is not None) is not wants_price:
        return f"{order.type} order {'without a' if wants_price else 'with a limit'} price"
    if (order.trigger_price is not None) is not (order.type in STOPS):
        return f"{order.type} order {'without' if order.type in STOPS else 'with'} a trigger price"
    if order.post_only and (order.type, order.tif) != (OrderType.LIMIT, TimeInForce.GTC):
        return "post-only is for limit orders that rest"
    try:
        quantity = instrument.quantity(order.quantity)
        prices = [instrument.price(p) for p in (order.price, order.trigger_price) if p is not None]
    except (OffGrid, ValueError) as error:
        return str(error)
    for number in (quantity, *prices):
        if len(number.normalize().as_tuple().digits) > FLOAT_DIGITS:
            return f"{number} has more than {FLOAT_DIGITS} digits"
    if instrument.max_price is not None and max(prices, default=0) > instrument.max_price:
        return f"price {max(prices)} is above {instrument.max_price}"
    if prices and times(prices[0], quantity) < instrument.min_notional:
        return f"notional {times(prices[0], quantity)} is below {instrument.min_notional}"
    return None


def market(order: OrderSpec, book: Book) -> str | None:
    """Return what the present market has against the order, or None."""
    takes = book.best(order.side)
    must_know = (
        order.type is OrderType.MARKET
        or order.post_only
        or (order.type is OrderType.LIMIT and order.tif is not TimeInForce.GTC)
    )
    if takes is None and must_know:
        return NO_MARKET
    if order.type is OrderType.MARKET and takes is not None:
        notional = times(takes, order.quantity)
        if notional < book.instrument.min_notional:
            return f"notional {notional} is below {book.instrument.min_notional}"
    if takes is None:
        return None
    if order.post_only and order.price is not None and reaches(takes, order.price, order.side):
        return WOULD_TAKE
    # A buy stop watches the ask that it would pay, a sell stop the bid that it would get.
    trigger = order.trigger_price
    if trigger is not None and reaches(takes, trigger, order.side.opposite):
        return WOULD_TRIGGER
    return None


def funds(order: PaperOrder, book: Book, account: Account, matcher: Matcher) -> str | None:
    """Return NO_FUNDS where the account's free balance does not cover the order."""
    free = account.free(funds_currency(book, order.side))
    return NO_FUNDS if matcher.funds_needed(book, order) > free else None
