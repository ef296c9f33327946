"""Orders by Kraken's words, whichever way they came: REST and the WebSocket share this."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Final

import attrs

from trade_runtime.exchange.faces.kraken_spot.listing import Listing, Pair
from trade_runtime.exchange.faces.kraken_spot.rates import Rates
from trade_runtime.exchange.faces.kraken_spot.words import (
    ARGUMENTS,
    NS,
    TYPES,
    Wrong,
    client_name,
    error_of,
    number_named,
)
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.views import NewOrder, Order, Refused
from trade_runtime.model.orders import OrderType, Side, TimeInForce

MAX_CLIENT_ID: Final = 36
"""Characters of a `cl_ord_id`: of a UUID; free text may have 18."""

MAX_FREE_TEXT: Final = 18
MIN_SWITCH_SECS: Final = 0
MAX_SWITCH_SECS: Final = 86_400
MAX_DEADLINE_SECS: Final = 60
MAX_BATCH: Final = 50

_TIFS: Final = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "gtd": TimeInForce.GTD}


@attrs.frozen
class Wanted:
    """An order as REST or the WebSocket asks for it, in one shape.

    Attributes:
        pair: the pair's name, any of them.
        side, type: Kraken's words.
        quantity: in the base currency.
        limit: the limit price.
        trigger: where it wakes; of a trailing stop the distance.
        tif: `gtc`, `ioc` or `gtd`, in either case.
        expire_ns: of a `gtd`.
        post_only: refuse it rather than let it take.
        client_id: the client's, or None.
        userref: the client's number, or None.
        deadline: an RFC 3339 time, or None.
        validate: only look whether it would be taken.
    """

    pair: str
    side: str
    type: str
    quantity: Decimal
    limit: Decimal | None = None
    trigger: Decimal | None = None
    tif: str = "gtc"
    expire_ns: int = 0
    post_only: bool = False
    client_id: str | None = None
    userref: int | None = None
    deadline: str | None = None
    validate: bool = False


def decimal_of(value: object, what: str) -> Decimal | None:
    """Return a number of a request; None where there is none.

    Raises:
        Wrong: it is no number.
    """
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise Wrong(f"{ARGUMENTS}:{what}") from None
    if not found.is_finite() or abs(found.adjusted()) > 20 or len(found.as_tuple().digits) > 24:
        raise Wrong(f"{ARGUMENTS}:{what}")
    return found


def ns_of_stamp(value: object, what: str) -> int:
    """Return an RFC 3339 time in nanoseconds.

    Raises:
        Wrong: it is none.
    """
    try:
        at = datetime.fromisoformat(str(value))
        return int(at.timestamp() * 1_000_000) * 1_000
    except (ValueError, OverflowError):
        raise Wrong(f"{ARGUMENTS}:{what}") from None


class Desk:
    """Places, changes and cancels.

    Args:
        floor: the exchange.
        listing: its pairs.
        rates: what it allows.
    """

    def __init__(self, floor: Floor, listing: Listing, rates: Rates) -> None:
        self._floor = floor
        self._listing = listing
        self._rates = rates
        self._nameless = count(1)

    def pair(self, name: object) -> Pair:
        """Return a pair by any of its names.

        Raises:
            Wrong: there is none.
        """
        found = self._listing.named(str(name))
        if found is None:
            raise Wrong("EQuery:Unknown asset pair")
        return found

    def place(self, wanted: Wanted) -> Order | None:
        """Take an order; None where it was only to be looked at.

        Raises:
            Wrong: it is refused.
        """
        pair = self.pair(wanted.pair)
        self._rates.add(pair.symbol)
        self.check_deadline(wanted.deadline)
        new = self._new(wanted, pair)
        if wanted.validate:
            return None
        try:
            return self._floor.exchange.place(new, refuse=self._floor.faults.refusal())
        except Refused as refused:
            raise Wrong(error_of(refused)) from None

    def _new(self, wanted: Wanted, pair: Pair) -> NewOrder:
        kind, tif = TYPES.get(wanted.type), _TIFS.get(wanted.tif.lower())
        if kind is None or wanted.side not in ("buy", "sell"):
            raise Wrong(f"{ARGUMENTS}:{'ordertype' if kind is None else 'type'}")
        if tif is None:
            raise Wrong(f"{ARGUMENTS}:timeinforce")
        if (kind.has_price and wanted.limit is None) or (kind.waits and wanted.trigger is None):
            raise Wrong(f"{ARGUMENTS}:price")
        if wanted.post_only and kind is not OrderType.LIMIT:
            raise Wrong(f"{ARGUMENTS}:oflags")
        if tif is TimeInForce.GTD and not wanted.expire_ns:
            raise Wrong(f"{ARGUMENTS}:expiretm")
        self._check_client_id(wanted.client_id)
        trigger, trail = wanted.trigger, None
        side = Side(wanted.side)
        if kind is OrderType.TRAILING_STOP:
            assert trigger is not None
            trail = abs(trigger)
            trigger = self._stands_at(pair, side, trail)
        return NewOrder(
            pair.symbol,
            side,
            kind,
            wanted.quantity,
            wanted.client_id or f"nameless-{next(self._nameless)}",
            price=wanted.limit if kind.has_price else None,
            trigger_price=trigger if kind.waits else None,
            tif=TimeInForce.IOC if kind is OrderType.MARKET else tif,
            post_only=wanted.post_only,
            expire_ns=wanted.expire_ns if tif is TimeInForce.GTD else 0,
            trail=trail,
            note={
                "cl_ord_id": wanted.client_id,
                "userref": wanted.userref,
                "tif": wanted.tif.upper(),
            },
        )

    def _stands_at(self, pair: Pair, side: Side, trail: Decimal) -> Decimal:
        last = self._floor.market.tapes[pair.symbol].last_price
        price = last + trail * side.sign
        if price <= 0:
            raise Wrong(f"{ARGUMENTS}:price")
        return pair.instrument.round_price(price, up=side is Side.BUY)

    def _check_client_id(self, name: str | None) -> None:
        if name is None:
            return
        plain = name.replace("-", "")
        is_uuid = len(plain) == 32 and set(plain.lower()) <= set("0123456789abcdef")
        if len(name) > MAX_CLIENT_ID or not (
            is_uuid or (0 < len(name) <= MAX_FREE_TEXT and name.isascii() and name.isprintable())
        ):
            raise Wrong(f"{ARGUMENTS}:cl_ord_id")

    def check_deadline(self, deadline: str | None) -> None:
        """Refuse what comes too late.

        Raises:
            Wrong: it does.
        """
        if deadline is None:
            return
        at_ns, now_ns = ns_of_stamp(deadline, "deadline"), self._floor.clock.now_ns()
        if at_ns > now_ns + MAX_DEADLINE_SECS * NS:
            raise Wrong(f"{ARGUMENTS}:deadline")
        if at_ns < now_ns:
            raise Wrong("EService:Deadline elapsed")

    def find(self, order_id: object = None, client_id: object = None) -> Order:
        """Return an open order by either id.

        Raises:
            Wrong: there is none.
        """
        found = self.look(order_id, client_id)
        if found is None or not found.open:
            raise Wrong("EOrder:Unknown order")
        return found

    def look(self, order_id: object = None, client_id: object = None) -> Order | None:
        """Return an order by either id, open or ended."""
        exchange = self._floor.exchange
        if order_id:
            number = number_named(str(order_id))
            return None if number is None else exchange.order(number)
        found = exchange.by_client_id(str(client_id)) if client_id else None
        return found if found is not None and client_name(found) == client_id else None

    def cancel(self, orders: Iterable[Order]) -> list[Order]:
        """Cancel open orders.

        Raises:
            Wrong: one of them is not open.
        """
        ended = []
        for order in orders:
            self._rates.cancel(order.symbol, self._age_secs(order))
            try:
                ended.append(self._floor.exchange.cancel(order, reason="User requested"))
            except Refused as refused:
                raise Wrong(error_of(refused)) from None
        return ended

    def cancel_all(self) -> list[Order]:
        """Cancel all there is on the account."""
        found = self._floor.exchange.open_orders()
        for order in found:
            self._rates.cancel(order.symbol, self._age_secs(order))
        return self._floor.exchange.cancel_all(reason="User requested")

    def amend(
        self,
        order: Order,
        *,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger: Decimal | None,
        deadline: str | None,
    ) -> Order:
        """Change an open order.

        Raises:
            Wrong: it is refused.
        """
        self._rates.amend(order.symbol, self._age_secs(order))
        self.check_deadline(deadline)
        try:
            return self._floor.exchange.amend(
                order, quantity=quantity, price=price, trigger_price=trigger
            )
        except Refused as refused:
            raise Wrong(error_of(refused)) from None

    def switch(self, secs: object) -> tuple[int, int]:
        """Start or stop the countdown of the account; return now and when it fires, or 0.

        Raises:
            Wrong: it is no such time.
        """
        found = decimal_of(secs, "timeout")
        if found is None or not MIN_SWITCH_SECS <= found <= MAX_SWITCH_SECS:
            raise Wrong(f"{ARGUMENTS}:timeout")
        self._floor.switches.arm(None, float(found))
        now_ns = self._floor.clock.now_ns()
        return now_ns, now_ns + int(found * NS) if found else 0

    def _age_secs(self, order: Order) -> float:
        return (self._floor.clock.now_ns() - order.created_ns) / NS
