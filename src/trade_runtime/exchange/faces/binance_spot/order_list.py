"""An order list of Binance Spot: a pair of orders of which one ends the other (OCO)."""

from __future__ import annotations

from typing import Any

import attrs

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.views import Order


@attrs.define
class OrderList:
    """An order list.

    Attributes:
        list_id: the exchange's id.
        client_id: the client's.
        symbol: where.
        created_ns: when, by the exchange's clock.
        order_ids: its orders; they are added as they are placed.
    """

    list_id: int
    client_id: str
    symbol: str
    created_ns: int
    order_ids: list[int] = attrs.field(factory=list)

    def orders(self, exchange: Exchange) -> list[Order]:
        """Return its orders as they stand."""
        found = (exchange.order(one) for one in self.order_ids)
        return [one for one in found if one is not None]

    def executing(self, exchange: Exchange) -> bool:
        """Tell whether one of its orders is open."""
        return any(one.open for one in self.orders(exchange))

    def answer(self, exchange: Exchange) -> dict[str, Any]:
        """Return it as a query tells it."""
        executing = self.executing(exchange)
        return {
            "orderListId": self.list_id,
            "contingencyType": "OCO",
            "listStatusType": "EXEC_STARTED" if executing else "ALL_DONE",
            "listOrderStatus": "EXECUTING" if executing else "ALL_DONE",
            "listClientOrderId": self.client_id,
            "transactionTime": self.created_ns // NS_PER_MS,
            "symbol": self.symbol,
            "orders": [
                {"symbol": one.symbol, "orderId": one.order_id, "clientOrderId": one.client_id}
                for one in self.orders(exchange)
            ],
        }
