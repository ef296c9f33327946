"""Order entry at Binance Spot over REST: each request once, and what Binance itself said of it.

The rules of sending (order, limits, what an outcome means) are `venues.wire.sending`'s; this is the
half that knows Binance. A refusal counts only where it is certain (`venues.binance.answers`).

What Binance Spot has and this does not use, and why:

- `order/amend/keepPriority` only makes an order smaller, and `order/cancelReplace` is a cancel and
  a new order that can each fail alone. Neither is a change of one order to given numbers, so the
  capability `amend` is absent, and the runtime cancels and places anew where it has to.
- `orderList/oco` places both orders in one request, and the first part that fills of one ends the
  other. A bracket's stop-loss must rest from the first fill of the entry on, before its target is
  due, and go on covering what is left when a part of the target has filled; so groups are the
  runtime's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trade_runtime.errors import VenueRefused
from trade_runtime.model.events import VenueEvent
from trade_runtime.model.ids import InstrumentId, symbol_of
from trade_runtime.model.orders import OrderSpec
from trade_runtime.protocols import Placed
from trade_runtime.venues.binance import limits
from trade_runtime.venues.binance.answers import order_entry
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance_spot.order_codec import (
    decode_all_cancelled,
    decode_cancelled,
    decode_placed,
    encode_order,
    named,
)
from trade_runtime.venues.wire.sending import Numbers, Request

ORDER: Final = "/api/v3/order"
OPEN_ORDERS: Final = "/api/v3/openOrders"


class SpotDesk:
    """Sends orders; a `Desk`.

    Args:
        rest: with an account.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def cost(self, request: Request) -> Mapping[str, float]:
        """Return what a request takes of Binance's limits: weight 1, and a new order counts one."""
        return limits.costs(self._rest.budget, 1, 1 if request.what == "submit" else 0)

    async def place(self, order: OrderSpec) -> Sequence[VenueEvent]:
        """Send a new order. Errors as `Desk` has them."""
        params = encode_order(order)
        with order_entry():
            body = await self._rest.send("POST", ORDER, params, auth="signed")
        return decode_placed(body, order)

    async def cancel(self, order: Placed) -> Sequence[VenueEvent]:
        """Send a cancel. Errors as `Desk` has them.

        "Unknown order" (-2011) may mean that it has filled: it is a refusal, and the runtime asks.
        """
        with order_entry():
            body = await self._rest.send("DELETE", ORDER, named(order), auth="signed")
        return decode_cancelled(body, order)

    async def amend(self, order: Placed, numbers: Numbers) -> Sequence[VenueEvent]:
        """Refuse: see above. The runtime never asks where the capability is absent."""
        raise VenueRefused("Binance Spot cannot change an order: cancel it and place another")

    async def cancel_all(self, instrument: InstrumentId) -> Sequence[VenueEvent]:
        """Send the cancel of all that rests in an instrument. Errors as `Desk` has them."""
        params = {"symbol": symbol_of(instrument)}
        with order_entry():
            body = await self._rest.send("DELETE", OPEN_ORDERS, params, auth="signed")
        return decode_all_cancelled(body)
