"""One request at a time about an order at Binance USD-M Futures, and what the answer means.

The adapter's half of `wire.sending`, which decides when each leaves. Conditional orders go to the
Algo service; one that has triggered is an ordinary order by then, and is cancelled as that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trade_runtime.errors import VenueError, VenueRefused
from trade_runtime.model.events import OrderAmended, OrderClosed, VenueEvent
from trade_runtime.model.ids import InstrumentId, symbol_of
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO, OrderSpec, OrderType, ReportStatus
from trade_runtime.protocols import Environment, Placed
from trade_runtime.venues.binance import limits
from trade_runtime.venues.binance.answers import BINANCE, RestRefused, order_entry
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance.streams import NS_PER_MS
from trade_runtime.venues.binance_usdm import orders
from trade_runtime.venues.binance_usdm.twins import Twins
from trade_runtime.venues.wire.sending import Numbers, Request

ORDER, ALGO_ORDER = "/fapi/v1/order", "/fapi/v1/algoOrder"


class UsdmDesk:
    """A `Desk`.

    Args:
        rest: signs and sends.
        twins: the ordinary orders that were conditional ones.
        trigger_by: `contract` or `mark`: the price that conditional orders watch.
        env: the time of day.
    """

    def __init__(self, rest: Rest, twins: Twins, trigger_by: str, env: Environment) -> None:
        self._rest = rest
        self._twins = twins
        self._trigger_by = trigger_by
        self._env = env

    def cost(self, request: Request) -> Mapping[str, float]:
        """Return what a request takes of the limits.

        New orders and amends count as orders and have no weight; cancels the other way about.
        """
        if request.what in ("submit", "amend"):
            return limits.costs(self._rest.budget, 0, orders=1)
        two = request.what == "cancel_all" or request.order.type.waits
        return limits.costs(self._rest.budget, 2 if two else 1)

    async def place(self, order: OrderSpec) -> Sequence[VenueEvent]:
        """Send a new order. As `Desk.place`.

        That its id is taken refuses nothing: an order of that name is there, and is asked after.
        """
        path, params = orders.place(order, self._trigger_by)
        try:
            body = await self._send("POST", path, params)
        except RestRefused as refused:
            if refused.certain and refused.code != orders.UsdmCode.DUPLICATE_ID:
                raise VenueRefused(str(refused)) from None
            raise
        if path == ALGO_ORDER:
            return orders.algo_placed(order.client_order_id, body, self._env.clock.now_ns())
        return orders.placed(order.client_order_id, body)

    async def cancel(self, order: Placed) -> Sequence[VenueEvent]:
        """Send a cancel; of a conditional order that has triggered, of what it became."""
        name = order.client_order_id
        if not order.type.waits:
            return await self._cancel_actual(order, {"origClientOrderId": name})
        actual = self._twins.actual_of(name)
        if actual is not None:
            return await self._cancel_actual(order, {"orderId": str(actual)})
        with order_entry():
            body = await self._send("DELETE", ALGO_ORDER, {"clientAlgoId": name})
        orders.check_done(body, "the cancel of a conditional order")
        return [OrderClosed(name, ReportStatus.CANCELLED, ZERO, self._env.clock.now_ns())]

    async def _cancel_actual(self, order: Placed, which: Mapping[str, str]) -> Sequence[VenueEvent]:
        with order_entry():
            body = await self._send(
                "DELETE", ORDER, {"symbol": symbol_of(order.instrument), **which}
            )
        return orders.cancelled(order.client_order_id, body)

    async def amend(self, order: Placed, numbers: Numbers) -> Sequence[VenueEvent]:
        """Send new numbers. Binance changes limit orders alone."""
        name = order.client_order_id
        if order.type is not OrderType.LIMIT or numbers.price is None:
            raise VenueRefused("Binance changes limit orders alone: cancel it and place another")
        params = {
            "symbol": symbol_of(order.instrument),
            "side": order.side.upper(),
            "origClientOrderId": name,
            "quantity": text(numbers.quantity),
            "price": text(numbers.price),
        }
        with order_entry():
            body = await self._send("PUT", ORDER, params)
        raw = BINANCE.decode(orders.order, body, "answer to an amend")
        ts_ns = raw.updateTime * NS_PER_MS
        status = orders.status_of(raw.status)
        if status is not ReportStatus.OPEN:
            return [OrderClosed(name, status, orders.checked(raw.executedQty), ts_ns)]
        quantity, price = orders.positive(raw.origQty), orders.positive(raw.price)
        return [OrderAmended(name, quantity, price, None, ts_ns)]

    async def cancel_all(self, instrument: InstrumentId) -> Sequence[VenueEvent]:
        """Cancel all that rests in an instrument: two requests, for there are two services.

        Both are sent, whatever becomes of the first. Each order's end comes by the private stream.
        """
        failed: VenueError | None = None
        for path in ("/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders"):
            try:
                with order_entry():
                    body = await self._send("DELETE", path, {"symbol": symbol_of(instrument)})
                orders.check_done(body, "a cancel of all")
            except VenueError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return []

    async def _send(self, method: str, path: str, params: Mapping[str, str]) -> bytes:
        return await self._rest.send(method, path, params, auth="signed")
