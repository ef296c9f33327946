"""Order entry of Binance Spot: place, query, cancel, replace, amend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.faces.binance.errors import Rejected, missing
from trade_runtime.exchange.faces.binance.params import Params, text8
from trade_runtime.exchange.faces.binance_spot.listing import check_room, check_size, listed
from trade_runtime.exchange.faces.binance_spot.order_list import OrderList
from trade_runtime.exchange.faces.binance_spot.requests import (
    answer_kind,
    generated_id,
    read_order,
)
from trade_runtime.exchange.faces.binance_spot.words import (
    cancelled_answer,
    order_answer,
    placed_answer,
    refusal,
    trade_answer,
)
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.views import Order, Refused

DEFAULT_PAGE: Final = 500
MAX_PAGE: Final = 1_000
"""Orders or trades of one answer; Binance's own."""

MAX_SPAN_MS: Final = 86_400_000
"""Between startTime and endTime; Binance's own."""


class Orders:
    """Order entry.

    Args:
        floor: where.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._exchange = floor.exchange

    def place(self, params: Params) -> dict[str, Any]:
        """Place an order."""
        new = read_order(self._floor, params)
        kind = answer_kind(params, new.note["type"])
        check_room(self._floor, new.symbol, waits=new.type.waits)
        try:
            order = self._exchange.place(new, refuse=self._floor.faults.refusal())
        except Refused as refused:
            raise refusal(refused) from None
        return placed_answer(order, self._exchange.fills_of(order), kind)

    def test(self, params: Params) -> dict[str, Any]:
        """Check a request for an order, and do nothing."""
        new = read_order(self._floor, params)
        answer_kind(params, new.note["type"])
        return {}

    def query(self, params: Params) -> dict[str, Any]:
        """Tell how an order stands."""
        order = self.find(params, "origClientOrderId")
        if order is None or not self._floor.shows(order):
            raise Rejected(-2013, "Order does not exist.")
        return order_answer(order)

    def find(self, params: Params, id_name: str) -> Order | None:
        """Return the order that a request names, or None where there is none such.

        Raises:
            Rejected: it names none.
        """
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        client_id = params.client_id(id_name)
        if "orderId" in params:
            order = self._exchange.order(params.whole("orderId"))
            if order is not None and client_id and order.client_id != client_id:
                order = None
        elif client_id:
            order = self._exchange.by_client_id(client_id)
        else:
            text = f"Param '{id_name}' or 'orderId' must be sent, but both were empty/null!"
            raise Rejected(-1102, text)
        return order if order is not None and order.symbol == symbol else None

    def cancel(self, params: Params) -> dict[str, Any]:
        """Cancel an order; one of a list ends the list."""
        order = self.find(params, "origClientOrderId")
        if order is None or not order.open:
            raise Rejected(-2011, "Unknown order sent.")
        _check_restriction(params, order)
        one: OrderList | None = order.asked.note.get("of")
        ended = self._end(order, params.client_id("newClientOrderId"))
        if one is None:
            return ended
        return self.list_ended(one)

    def list_ended(self, one: OrderList) -> dict[str, Any]:
        """Return what is told of an order list that was cancelled."""
        reports = [
            cancelled_answer(each, str(each.asked.note.get("cancel_id", "")) or generated_id())
            for each in one.orders(self._exchange)
        ]
        return {**one.answer(self._exchange), "orderReports": reports}

    def _end(self, order: Order, cancel_id: str) -> dict[str, Any]:
        order.asked.note["cancel_id"] = cancel_id or generated_id()
        try:
            ended = self._exchange.cancel(order)
        except Refused as refused:
            raise refusal(refused) from None
        return cancelled_answer(ended, ended.asked.note["cancel_id"])

    def cancel_all(self, params: Params) -> list[dict[str, Any]]:
        """Cancel every open order of a symbol, order lists too."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        live = self._exchange.open_orders(symbol)
        if not live:
            raise Rejected(-2011, "Unknown order sent.")
        told, lists = [], []
        for order in live:
            now = self._exchange.order(order.order_id)
            if now is None or not now.open:
                continue  # of a list that is ended already
            answer = self._end(now, "")
            one: OrderList | None = now.asked.note.get("of")
            if one is None:
                told.append(answer)
            else:
                lists.append(self.list_ended(one))
        return told + lists

    def open(self, params: Params) -> list[dict[str, Any]]:
        """List the open orders."""
        symbol = params.text("symbol") or None
        if symbol is not None:
            listed(self._floor, symbol)
        found = self._exchange.open_orders(symbol)
        return [order_answer(one) for one in found if self._floor.shows(one)]

    def all(self, params: Params) -> list[dict[str, Any]]:
        """List all orders of a symbol, from an id or within a time."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        found = [one for one in self._exchange.orders(symbol) if self._floor.shows(one)]
        found = _page(
            params, found, "orderId", lambda one: one.order_id, lambda one: one.created_ns
        )
        return [order_answer(one) for one in found]

    def trades(self, params: Params) -> list[dict[str, Any]]:
        """List the account's fills in a symbol, from an id, within a time, or of an order."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        found = self._exchange.fills(symbol)
        if "orderId" in params:
            wanted = params.whole("orderId")
            found = [one for one in found if one.order_id == wanted]
        found = _page(params, found, "fromId", lambda one: one.trade_id, lambda one: one.ts_ns)
        return [trade_answer(one) for one in found]

    def amend(self, params: Params) -> dict[str, Any]:
        """Make an order smaller; it keeps its place in the book."""
        order = self.find(params, "origClientOrderId")
        if order is None or not order.open:
            raise Rejected(-2038, "Order amend (quantity increase) is not supported.", 400)
        quantity = params.needed_number("newQty")
        if not order.filled < quantity < order.quantity:
            raise Rejected(-2038, "Order amend (quantity increase) is not supported.")
        check_size(self._floor, order.symbol, quantity, order.price or order.trigger_price)
        try:
            changed = self._exchange.amend(order, quantity=quantity)
        except Refused as refused:
            raise refusal(refused) from None
        return {
            "transactTime": changed.updated_ns // NS_PER_MS,
            "executionId": changed.order_id * 10,
            "amendedOrder": {
                **order_answer(changed),
                "origClientOrderId": changed.client_id,
                "preventedQty": text8(changed.filled * 0),
                "qty": text8(changed.quantity),
            },
        }

    def replace(self, params: Params) -> dict[str, Any]:
        """Cancel an order and place another: both, or what `cancelReplaceMode` says."""
        mode = params.choice("cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"), -1145)
        cancelled = self._try(lambda: self._cancel_for_replace(params))
        if isinstance(cancelled, Rejected) and mode == "STOP_ON_FAILURE":
            data = _both("FAILURE", "NOT_ATTEMPTED", cancelled.body(), None)
            raise Rejected(-2022, "Order cancel-replace failed.", 400, data)
        placed = self._try(lambda: self.place(params))
        words = [
            "FAILURE" if isinstance(one, Rejected) else "SUCCESS" for one in (cancelled, placed)
        ]
        bodies = [one.body() if isinstance(one, Rejected) else one for one in (cancelled, placed)]
        told = _both(*words, *bodies)
        if words == ["SUCCESS", "SUCCESS"]:
            return told
        if "SUCCESS" in words:
            raise Rejected(-2021, "Order cancel-replace partially failed.", 409, told)
        raise Rejected(-2022, "Order cancel-replace failed.", 400, told)

    def _cancel_for_replace(self, params: Params) -> dict[str, Any]:
        if "cancelOrderId" in params:
            order = self._exchange.order(params.whole("cancelOrderId"))
        elif "cancelOrigClientOrderId" in params:
            order = self._exchange.by_client_id(params.client_id("cancelOrigClientOrderId"))
        else:
            raise missing("cancelOrderId")
        if order is None or not order.open or order.symbol != params.text("symbol"):
            raise Rejected(-2011, "Unknown order sent.")
        return self._end(order, params.client_id("cancelNewClientOrderId"))

    @staticmethod
    def _try(act: Callable[[], dict[str, Any]]) -> dict[str, Any] | Rejected:
        try:
            return act()
        except Rejected as error:
            return error


def _check_restriction(params: Params, order: Order) -> None:
    wanted = params.text("cancelRestrictions")
    if wanted and (wanted == "ONLY_NEW") != (order.filled == 0):
        raise Rejected(-2011, "Order was not canceled due to cancel restrictions.")


def _both(cancel: str, new: str, cancelled: Any, placed: Any) -> dict[str, Any]:
    return {
        "cancelResult": cancel,
        "newOrderResult": new,
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }


def _page(
    params: Params,
    found: list[Any],
    id_name: str,
    id_of: Callable[[Any], int],
    ns_of: Callable[[Any], int],
) -> list[Any]:
    """Return one page: from an id on, or within a time, oldest first; else the newest."""
    limit = params.whole("limit", DEFAULT_PAGE)
    if not 1 <= limit <= MAX_PAGE:
        raise Rejected(-1130, "Data sent for parameter 'limit' is not valid.")
    start, end = params.whole("startTime", 0), params.whole("endTime", 0)
    if start and end and not 0 <= end - start <= MAX_SPAN_MS:
        raise Rejected(-1127, "More than 24 hours between startTime and endTime.")
    if id_name in params:
        least = params.whole(id_name)
        return [one for one in found if id_of(one) >= least][:limit]
    if start or end:
        end_ns = (end + 1) * NS_PER_MS if end else 1 << 63
        return [one for one in found if start * NS_PER_MS <= ns_of(one) < end_ns][:limit]
    return found[-limit:]
