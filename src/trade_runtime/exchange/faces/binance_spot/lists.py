"""Order lists of Binance Spot: a pair of which one ends the other, by the new request and the old.

`POST /api/v3/orderList/oco` names an order above the market and one below; the deprecated
`POST /api/v3/order/oco` a limit price and a stop price.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any, Final

import attrs

from trade_runtime.exchange.faces.binance.errors import Rejected, filtered, missing
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_spot.listing import (
    MAX_NUM_ORDER_LISTS,
    check_room,
    listed,
)
from trade_runtime.exchange.faces.binance_spot.order_list import OrderList
from trade_runtime.exchange.faces.binance_spot.orders import Orders
from trade_runtime.exchange.faces.binance_spot.requests import Leg, generated_id, read_order
from trade_runtime.exchange.faces.binance_spot.words import placed_answer, refusal
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.views import NewOrder, Order, Refused

MAX_LISTS: Final = 10_000
"""Order lists that can be asked for; beyond these the oldest are forgotten."""

ABOVE, BELOW = Leg("above"), Leg("below")


class Lists:
    """Order lists.

    Args:
        floor: where.
        orders: by which their orders are cancelled.
    """

    def __init__(self, floor: Floor, orders: Orders) -> None:
        self._floor = floor
        self._exchange = floor.exchange
        self._orders = orders
        self._lists: deque[OrderList] = deque(maxlen=MAX_LISTS)
        self._ids = count(1)

    def place(self, params: Params) -> dict[str, Any]:
        """Place a pair: one above the market, one below."""
        kept = self._begin(params)
        legs = [read_order(self._floor, params, leg, note=kept) for leg in (ABOVE, BELOW)]
        return self._enter(params, kept["of"], legs)

    def place_old(self, params: Params) -> dict[str, Any]:
        """Place a pair as it used to be asked for: `price` and `stopPrice`."""
        kept = self._begin(params)
        limit = "stopLimitPrice" in params
        names = {"symbol", "side", "quantity"}
        common = {name: params.needed(name) for name in names}
        maker = {"type": "LIMIT_MAKER", "price": params.needed("price")}
        stop = {"type": "STOP_LOSS", "stopPrice": params.needed("stopPrice")}
        if limit:
            stop["type"] = "STOP_LOSS_LIMIT"
            stop["price"] = params.needed("stopLimitPrice")
            stop["timeInForce"] = params.needed("stopLimitTimeInForce")
        for leg, name in ((maker, "limitClientOrderId"), (stop, "stopClientOrderId")):
            if name in params:
                leg["newClientOrderId"] = params.client_id(name)
        legs = [
            read_order(self._floor, Params({**common, **leg}), note=kept) for leg in (maker, stop)
        ]
        return self._enter(params, kept["of"], legs)

    def _begin(self, params: Params) -> dict[str, Any]:
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        check_room(self._floor, symbol, waits=True, orders=2)
        live = [
            one for one in self._lists if one.symbol == symbol and one.executing(self._exchange)
        ]
        if len(live) >= MAX_NUM_ORDER_LISTS:
            raise filtered("MAX_NUM_ORDER_LISTS")
        client_id = params.client_id("listClientOrderId") or generated_id()
        if any(one.client_id == client_id for one in live):
            raise Rejected(-2010, "Duplicate order sent.")
        number = next(self._ids)
        one = OrderList(number, client_id, symbol, self._exchange.clock.now_ns())
        return {"of": one, "list": number}

    def _enter(self, params: Params, one: OrderList, legs: list[NewOrder]) -> dict[str, Any]:
        """Place both orders, or none."""
        reason = self._floor.faults.refusal()
        placed: list[Order] = []
        for leg in legs:
            try:
                new = _in_group(leg, one)
                placed.append(self._exchange.place(new, refuse=reason))
            except Refused as refused:
                for order in placed:
                    if order.open:
                        self._exchange.cancel(order, reason="the other was refused", expires=True)
                raise refusal(refused) from None
            one.order_ids.append(placed[-1].order_id)
        self._lists.append(one)
        kind = params.text("newOrderRespType", "RESULT")
        reports = [placed_answer(each, (), kind) for each in one.orders(self._exchange)]
        return {**one.answer(self._exchange), "orderReports": reports}

    def cancel(self, params: Params) -> dict[str, Any]:
        """Cancel a list."""
        one = self._find(params, "listClientOrderId", -2011, "Unknown order list sent.")
        live = [order for order in one.orders(self._exchange) if order.open]
        if not live or one.symbol != params.needed("symbol"):
            raise Rejected(-2011, "Unknown order list sent.")
        cancel_id = params.client_id("newClientOrderId") or generated_id()
        for order in live:
            order.asked.note["cancel_id"] = cancel_id
        self._exchange.cancel(live[0])
        return self._orders.list_ended(one)

    def query(self, params: Params) -> dict[str, Any]:
        """Tell how a list stands."""
        one = self._find(params, "origClientOrderId", -2018, "Order list does not exist.")
        return one.answer(self._exchange)

    def _find(self, params: Params, id_name: str, code: int, text: str) -> OrderList:
        if "orderListId" in params:
            number = params.whole("orderListId")
            found = [one for one in self._lists if one.list_id == number]
        elif id_name in params:
            client_id = params.client_id(id_name)
            found = [one for one in self._lists if one.client_id == client_id]
        else:
            raise missing("orderListId")
        if not found:
            raise Rejected(code, text)
        return found[-1]

    def open(self, _: Params) -> list[dict[str, Any]]:
        """List the lists that have an open order."""
        live = (one for one in self._lists if one.executing(self._exchange))
        return [one.answer(self._exchange) for one in live]

    def all(self, params: Params) -> list[dict[str, Any]]:
        """List the newest lists."""
        limit = min(params.whole("limit", 500), 1_000)
        return [one.answer(self._exchange) for one in list(self._lists)[-limit:]]


def _in_group(leg: NewOrder, one: OrderList) -> NewOrder:
    return attrs.evolve(leg, group=f"list-{one.list_id}")
