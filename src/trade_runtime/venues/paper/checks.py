"""Why a paper exchange refuses an order: each reason in the exchange's own words."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from trade_runtime.model.instrument import FLOAT_DIGITS, Instrument, OffGrid
from trade_runtime.model.orders import OrderSpec, OrderType, TimeInForce
from trade_runtime.protocols import Capabilities
from trade_runtime.venues.paper.book import Book
from trade_runtime.venues.paper.money import plus, times
from trade_runtime.venues.paper.orders import PaperOrder
from trade_runtime.venues.paper.queueing import reaches

UNKNOWN_INSTRUMENT = "unknown instrument"
DUPLICATE = "duplicate client order id"
NO_MARKET = "no market yet"
WOULD_TAKE = "post-only order would take liquidity"
WOULD_TRIGGER = "order would trigger immediately"
TOO_MANY = "too many open orders"
OTHER_GROUP = "the orders of a group are of one instrument and side"
NOT_WAITING = "a market order cannot be one of a group"
FULL_GROUP = "too many orders in the group"
PAST_DATE = "its date has come already"
NO_TRIGGER = "the trail leads to no price above 0"

MAX_GROUP_ORDERS = 20
"""Live orders of one group: a fill of one changes all the others."""


def held(
    spec: OrderSpec, holds: Capabilities, members: Collection[PaperOrder], now_ns: int
) -> str | None:
    """Return why the exchange does not hold such an order at all, or now, or None.

    Args:
        spec: the order.
        holds: what the exchange holds.
        members: the live orders of its group.
        now_ns: when it arrives.
    """
    if spec.type not in holds.types:
        return f"{spec.type} orders are not offered"
    if spec.tif not in holds.tifs:
        return f"{spec.tif} is not offered"
    if 0 < spec.expire_ns <= now_ns:
        return PAST_DATE
    if not spec.oco:
        return None
    if not holds.oco:
        return "groups are not offered"
    if spec.type is OrderType.MARKET:
        return NOT_WAITING
    if len(members) >= MAX_GROUP_ORDERS:
        return FULL_GROUP
    alike = all((m.instrument, m.side) == (spec.instrument, spec.side) for m in members)
    return None if alike else OTHER_GROUP


def form(order: OrderSpec, instrument: Instrument) -> str | None:
    """Return what is wrong with the order as it is written, or None."""
    kind = order.type
    if (order.price is not None) is not kind.has_price:
        return f"{kind} order {'without a' if kind.has_price else 'with a limit'} price"
    trails = kind is OrderType.TRAILING_STOP
    if (order.trigger_price is not None) is not kind.waits and not trails:
        return f"{kind} order {'without' if kind.waits else 'with'} a trigger price"
    if (order.trail is not None) is not trails:
        return f"{kind} order {'without' if order.trail is None else 'with'} a trail"
    if (order.tif is TimeInForce.GTD) is not bool(order.expire_ns):
        return f"{order.tif} order {'with' if order.expire_ns else 'without'} a date"
    if order.post_only and not (
        kind is OrderType.LIMIT and order.tif in (TimeInForce.GTC, TimeInForce.GTD)
    ):
        return "post-only is for limit orders that rest"
    try:
        quantity = instrument.quantity(order.quantity)
        if _long(quantity, instrument.lot):
            return f"{quantity} has more than {FLOAT_DIGITS} digits"
        if kind is OrderType.MARKET:
            return None
        prices = [
            instrument.price(p)
            for p in (order.price, order.trigger_price, order.trail)
            if p is not None
        ]
    except (OffGrid, ValueError) as error:
        return str(error)
    for price in prices:
        if _long(price, instrument.tick):
            return f"{price} has more than {FLOAT_DIGITS} digits"
    if instrument.max_price is not None and max(prices) > instrument.max_price:
        return f"price {max(prices)} is above {instrument.max_price}"
    first = order.price or order.trigger_price
    return None if first is None else too_small(order, instrument, first)


def too_small(order: OrderSpec, instrument: Instrument, price: Decimal) -> str | None:
    """Return why an order is too small at a price, or None."""
    if not instrument.min_notional:
        return None
    notional = times(times(price, order.quantity), instrument.multiplier)
    if notional >= instrument.min_notional:
        return None
    return f"notional {notional} is below {instrument.min_notional}"


def first_trigger(order: PaperOrder, book: Book) -> str | None:
    """Have a trailing stop that names no trigger stand behind the market; return why it cannot."""
    trail = order.spec.trail
    if trail is None or order.trigger_price is not None:
        return None
    takes = book.best(order.side)
    if takes is None:
        return NO_MARKET
    behind = plus(takes, order.side.sign * trail)
    if behind <= 0:
        return NO_TRIGGER
    order.trigger_price = behind
    return too_small(order.spec, book.instrument, behind)


def _long(number: Decimal, step: Decimal) -> bool:
    """Tell whether a number has more digits than a float carries."""
    # Seldom true, and then looked at closely: so many digits above the step are too many.
    if number.adjusted() - step.adjusted() < FLOAT_DIGITS - 1:
        return False
    return len(number.normalize().as_tuple().digits) > FLOAT_DIGITS


def market(order: OrderSpec, book: Book) -> str | None:
    """Return what the present market has against the order, or None."""
    takes = book.best(order.side)
    if takes is None:
        must_know = (
            order.type is OrderType.MARKET
            or order.post_only
            or (order.type is OrderType.LIMIT and order.tif in (TimeInForce.IOC, TimeInForce.FOK))
        )
        return NO_MARKET if must_know else None
    if order.type is OrderType.MARKET:
        return too_small(order, book.instrument, takes)
    if order.post_only and order.price is not None and reaches(takes, order.price, order.side):
        return WOULD_TAKE
    return None


def trigger(order: PaperOrder, book: Book) -> str | None:
    """Return WOULD_TRIGGER where a waiting order would wake at once.

    A buy watches the ask that it would pay, a sell the bid that it would get.
    """
    takes = book.best(order.side)
    if takes is None or order.trigger_price is None or not order.waits_for_trigger:
        return None
    like = order.side if order.takes_profit else order.side.opposite
    return WOULD_TRIGGER if reaches(takes, order.trigger_price, like) else None
