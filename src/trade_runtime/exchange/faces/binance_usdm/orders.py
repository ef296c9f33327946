"""Order entry of Binance USD-M Futures, in its two services: ordinary orders, conditional ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_usdm.listing import check_price, check_room, listed
from trade_runtime.exchange.faces.binance_usdm.requests import (
    SIDES,
    read_conditional,
    read_ordinary,
)
from trade_runtime.exchange.faces.binance_usdm.words import (
    ALGO_BASE,
    TRIGGERED_PREFIX,
    algo_answer,
    order_answer,
    refusal,
    trade_answer,
    waits,
)
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.views import Order, Refused
from trade_runtime.model.orders import OrderType

DEFAULT_PAGE: Final = 500
MAX_PAGE: Final = 1_000
"""Rows of one answer; Binance's own."""

MAX_SPAN_MS: Final = 7 * 86_400_000
"""Between startTime and endTime; Binance's own."""

_DONE: Final = {"code": 200, "msg": "The operation of cancel all open order is done."}
_UNKNOWN: Final = "Unknown order sent."


class Orders:
    """The ordinary orders. Those that wait for a trigger are not seen here.

    Args:
        floor: where.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._exchange = floor.exchange

    def place(self, params: Params) -> dict[str, Any]:
        """Place an order."""
        new = read_ordinary(self._floor, params)
        bare = params.text("newOrderRespType", "ACK") != "RESULT"
        check_room(self._floor, new.symbol, conditional=False)
        try:
            order = self._exchange.place(new, refuse=self._floor.faults.refusal())
        except Refused as refused:
            raise refusal(refused) from None
        return order_answer(order, bare=bare)

    def test(self, params: Params) -> dict[str, Any]:
        """Check a request for an order, and do nothing."""
        read_ordinary(self._floor, params)
        return {}

    def find(self, params: Params) -> Order | None:
        """Return the ordinary order that a request names, or None where there is none such.

        Raises:
            Rejected: it names none.
        """
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        if "orderId" in params:
            order = self._exchange.order(params.whole("orderId"))
        else:
            name = params.client_id("origClientOrderId")
            if not name:
                raise Rejected(
                    -1102,
                    "Either 'origClientOrderId' or 'orderId' must be sent, but both were"
                    " empty/null!",
                )
            number = name.removeprefix(TRIGGERED_PREFIX)
            if name != number and number.isdecimal() and len(number) < MAX_ID_DIGITS:
                order = self._exchange.order(int(number))
            else:
                order = self._exchange.by_client_id(name)
                if order is not None and order.triggered:
                    order = None  # its ordinary order has a name of its own
        if order is None or order.symbol != symbol or order.asked.type.waits > order.triggered:
            return None
        return order

    def query(self, params: Params) -> dict[str, Any]:
        """Tell how an order stands."""
        order = self.find(params)
        if order is None:
            raise Rejected(-2013, "Order does not exist.")
        return order_answer(order)

    def query_open(self, params: Params) -> dict[str, Any]:
        """Tell how an open order stands."""
        order = self.find(params)
        if order is None or not order.open:
            raise Rejected(-2013, "Order does not exist.")
        return order_answer(order)

    def cancel(self, params: Params) -> dict[str, Any]:
        """Cancel an order."""
        order = self.find(params)
        if order is None or not order.open:
            raise Rejected(-2011, _UNKNOWN)
        return order_answer(_end(self._floor, order))

    def cancel_all(self, params: Params) -> dict[str, Any]:
        """Cancel every open order of a contract."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        for order in self._exchange.open_orders(symbol):
            if not waits(order):
                _end(self._floor, order)
        return dict(_DONE)

    def amend(self, params: Params) -> dict[str, Any]:
        """Change an order's price and quantity; at or below what is filled it ends."""
        order = self.find(params)
        if order is None or not order.open:
            raise Rejected(-2011, _UNKNOWN)
        if order.asked.type is not OrderType.LIMIT:
            raise Rejected(-4120, "Only limit orders can be modified.")
        if SIDES[params.choice("side", tuple(SIDES), -1117)] is not order.asked.side:
            raise Rejected(-1117, "Invalid side.")
        quantity, price = params.needed_number("quantity"), params.needed_number("price")
        check_price(self._floor, order.symbol, price, near=True)
        if quantity % listed(self._floor, order.symbol).lot:
            raise Rejected(-1111, "Precision is over the maximum defined for this asset.")
        if quantity == order.quantity and price == order.price:
            raise Rejected(-5027, "No need to modify the order.")
        if quantity <= order.filled:
            return order_answer(_end(self._floor, order))
        try:
            changed = self._exchange.amend(order, quantity=quantity, price=price)
        except Refused as refused:
            raise refusal(refused) from None
        return order_answer(changed)

    def open(self, params: Params) -> list[dict[str, Any]]:
        """List the open orders."""
        symbol = _symbol(self._floor, params)
        live = self._exchange.open_orders(symbol)
        return [order_answer(one) for one in live if not waits(one)]

    def all(self, params: Params) -> list[dict[str, Any]]:
        """List all orders of a contract, from an id or within a time."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        found = [
            one
            for one in self._exchange.orders(symbol)
            if not one.asked.type.waits or one.triggered
        ]
        found = page(params, found, "orderId", lambda one: one.order_id, lambda one: one.created_ns)
        return [order_answer(one) for one in found]

    def trades(self, params: Params) -> list[dict[str, Any]]:
        """List the account's fills in a contract, from an id, within a time, or of an order."""
        symbol = params.needed("symbol")
        margin = str(listed(self._floor, symbol).quote)
        found = self._exchange.fills(symbol)
        if "orderId" in params:
            wanted = params.whole("orderId")
            found = [one for one in found if one.order_id == wanted]
        found = page(params, found, "fromId", lambda one: one.trade_id, lambda one: one.ts_ns)
        return [trade_answer(one, margin) for one in found]


MAX_ID_DIGITS: Final = 16
"""Of an order's number."""


class Algos:
    """The Algo service: orders that wait for a trigger, and what became of them.

    Args:
        floor: where.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._exchange = floor.exchange

    def place(self, params: Params) -> dict[str, Any]:
        """Place a conditional order."""
        new = read_conditional(self._floor, params)
        check_room(self._floor, new.symbol, conditional=True)
        try:
            order = self._exchange.place(new, refuse=self._floor.faults.refusal())
        except Refused as refused:
            raise refusal(refused) from None
        return algo_answer(order)

    def find(self, params: Params) -> Order | None:
        """Return the conditional order that a request names, or None where there is none such.

        Raises:
            Rejected: it names none.
        """
        if "algoId" in params:
            order = self._exchange.order(params.whole("algoId") - ALGO_BASE)
        else:
            name = params.client_id("clientAlgoId")
            if not name:
                raise Rejected(
                    -1102, "Either 'clientAlgoId' or 'algoId' must be sent, but both were empty!"
                )
            order = self._exchange.by_client_id(name)
        return order if order is not None and order.asked.type.waits else None

    def query(self, params: Params) -> dict[str, Any]:
        """Tell how a conditional order stands, and what it became."""
        order = self.find(params)
        if order is None:
            raise Rejected(-2013, "Order does not exist.")
        return algo_answer(order)

    def cancel(self, params: Params) -> dict[str, Any]:
        """Cancel a conditional order; one that has triggered is none any more."""
        order = self.find(params)
        if order is None or not waits(order) or not order.open:
            raise Rejected(-2011, _UNKNOWN)
        _end(self._floor, order)
        return {
            "algoId": ALGO_BASE + order.order_id,
            "clientAlgoId": order.client_id,
            "code": "200",
            "msg": "success",
        }

    def cancel_all(self, params: Params) -> dict[str, Any]:
        """Cancel every conditional order of a contract."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        for order in self._exchange.open_orders(symbol):
            if waits(order):
                _end(self._floor, order)
        return dict(_DONE)

    def open(self, params: Params) -> list[dict[str, Any]]:
        """List the conditional orders that wait."""
        symbol = _symbol(self._floor, params)
        return [algo_answer(one) for one in self._exchange.open_orders(symbol) if waits(one)]

    def all(self, params: Params) -> list[dict[str, Any]]:
        """List all conditional orders of a contract, from an id or within a time."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        found = [one for one in self._exchange.orders(symbol) if one.asked.type.waits]
        found = page(
            params,
            found,
            "algoId",
            lambda one: one.order_id + ALGO_BASE,
            lambda one: one.created_ns,
        )
        return [algo_answer(one) for one in found]


def _symbol(floor: Floor, params: Params) -> str | None:
    symbol = params.text("symbol") or None
    if symbol is not None:
        listed(floor, symbol)
    return symbol


def _end(floor: Floor, order: Order) -> Order:
    try:
        return floor.exchange.cancel(order)
    except Refused as refused:
        raise refusal(refused) from None


def page(
    params: Params,
    found: list[Any],
    id_name: str,
    id_of: Callable[[Any], int],
    ns_of: Callable[[Any], int],
) -> list[Any]:
    """Return one page: from an id on, or within a time, oldest first; else the newest.

    Raises:
        Rejected: the page, or the time, is larger than Binance allows.
    """
    limit = params.whole("limit", DEFAULT_PAGE)
    if not 1 <= limit <= MAX_PAGE:
        raise Rejected(-1130, "Data sent for parameter 'limit' is not valid.")
    start, end = params.whole("startTime", 0), params.whole("endTime", 0)
    if id_name in params:
        if start or end:
            raise Rejected(-1106, f"Parameter '{id_name}' sent when not required.")
        least = params.whole(id_name)
        return [one for one in found if id_of(one) >= least][:limit]
    if start and end and not 0 <= end - start <= MAX_SPAN_MS:
        raise Rejected(-4144, "Invalid time interval: more than 7 days.")
    if start or end:
        end_ns = ((end or start + MAX_SPAN_MS) + 1) * NS_PER_MS
        start_ns = (start or end - MAX_SPAN_MS) * NS_PER_MS
        return [one for one in found if start_ns <= ns_of(one) < end_ns][:limit]
    return found[-limit:]
