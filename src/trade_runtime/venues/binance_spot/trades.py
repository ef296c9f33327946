"""The account's fills since a moment, over REST: pages of trades, and whose orders they were.

Binance pages its trades by id and by day, and names the order of a trade by its own id alone. So
the first trade of a moment is looked for by halving the ids, which takes no more requests for years
than for days; and orders that were not met before are asked for, in pages too. What is asked for is
bounded, and beyond the bound the answer is an error: a part of the fills is never told for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueName
from trade_runtime.venues.binance.answers import Code, RestRefused
from trade_runtime.venues.binance.rest import NS_PER_MS, Rest
from trade_runtime.venues.binance_spot.account_codec import OwnTrade, decode_own_trades
from trade_runtime.venues.binance_spot.order_codec import decode_names

PAGE: Final = 1000
"""Trades or orders that Binance gives at most in one answer."""

MAX_PAGES: Final = 20
"""Pages of one symbol in one answer of ours."""

MAX_SINGLE: Final = 5
"""Unknown orders that are asked for one by one: 4 of the request weight each, a page is 20."""

MAX_NAMES: Final = 20_000
"""Orders whose client order ids are remembered; then the eldest are asked for again."""

TRADES_WEIGHT: Final = 20
ORDERS_WEIGHT: Final = 20
ORDER_WEIGHT: Final = 4


class OwnTrades:
    """Asks for the account's fills.

    Args:
        rest: with an account.
        venue: the name that instruments carry.
    """

    def __init__(self, rest: Rest, venue: VenueName) -> None:
        self._rest = rest
        self._venue = venue
        self._names: dict[tuple[str, int], ClientOrderId] = {}

    def note(self, symbol: str, order_id: int, client_order_id: ClientOrderId) -> None:
        """Remember whose an order is."""
        self._names[symbol, order_id] = client_order_id
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    async def since(self, symbol: str, since_ns: int) -> list[Fill]:
        """Return the fills of a symbol from `since_ns` on, oldest first.

        From 0 on, which is asked for while nothing has filled yet, are the latest `PAGE` alone:
        what the account did before has no place in a journal that is new.

        Raises:
            VenueError: no answer, or one that made no sense; or more than can be asked for.
        """
        latest = await self._trades(symbol, {})
        whole = len(latest) < PAGE or latest[0].time_ms * NS_PER_MS < since_ns
        trades = latest if whole or not since_ns else await self._from(symbol, since_ns, latest)
        trades = [one for one in trades if one.time_ms * NS_PER_MS >= since_ns]
        await self._learn(symbol, {one.order_id for one in trades})
        instrument = InstrumentId(f"{symbol}.{self._venue}")
        return [one.fill(self._names[symbol, one.order_id], instrument) for one in trades]

    async def _from(self, symbol: str, since_ns: int, latest: Sequence[OwnTrade]) -> list[OwnTrade]:
        """Return all trades from a moment on that lies before the latest page."""
        low, high = -1, latest[0].id  # the first trade wanted has an id above low, up to high
        while high - low > 1:
            middle = (low + high) // 2
            page = await self._trades(symbol, {"fromId": str(middle), "limit": "1"})
            if page and page[0].time_ms * NS_PER_MS < since_ns:
                low = max(middle, page[0].id)
            else:
                high = middle
        found: dict[int, OwnTrade] = {}
        start = high
        for _ in range(MAX_PAGES):
            page = await self._trades(symbol, {"fromId": str(start)})
            found |= {one.id: one for one in page}
            if len(page) < PAGE:
                return sorted(found.values(), key=lambda one: one.id)
            start = page[-1].id + 1
        raise VenueError(
            f"{symbol}: more than {MAX_PAGES * PAGE} trades of the account since the last that is"
            " known; see what trades there, and reconcile by hand"
        )

    async def _trades(self, symbol: str, params: Mapping[str, str]) -> list[OwnTrade]:
        wanted = {"symbol": symbol, "limit": str(PAGE), **params}
        body = await self._rest.send(
            "GET", "/api/v3/myTrades", wanted, auth="signed", weight=TRADES_WEIGHT, urgent=True
        )
        return decode_own_trades(body, symbol)

    async def _learn(self, symbol: str, order_ids: set[int]) -> None:
        """See to it that every order's client order id is known."""
        unknown = {one for one in order_ids if (symbol, one) not in self._names}
        if len(unknown) > MAX_SINGLE:
            await self._learn_pages(symbol, unknown)
        for order_id in sorted(unknown):
            if (symbol, order_id) not in self._names:
                await self._learn_one(symbol, order_id)

    async def _learn_pages(self, symbol: str, unknown: set[int]) -> None:
        start = min(unknown)
        for _ in range(MAX_PAGES):
            params = {"symbol": symbol, "orderId": str(start), "limit": str(PAGE)}
            body = await self._rest.send(
                "GET", "/api/v3/allOrders", params, auth="signed", weight=ORDERS_WEIGHT, urgent=True
            )
            names = decode_names(body)
            for order_id in sorted(names):
                self.note(symbol, order_id, names[order_id])
            left = {one for one in unknown if one > max(names, default=start)}
            if len(names) < PAGE or not left:
                return
            start = max(max(names) + 1, min(left))

    async def _learn_one(self, symbol: str, order_id: int) -> None:
        params = {"symbol": symbol, "orderId": str(order_id)}
        try:
            body = await self._rest.send(
                "GET", "/api/v3/order", params, auth="signed", weight=ORDER_WEIGHT, urgent=True
            )
        except RestRefused as refused:
            if refused.code != Code.ARCHIVED:
                raise
            name = ClientOrderId("")  # none of ours is that old and unknown
        else:
            name = decode_names(body).get(order_id, ClientOrderId(""))
        self.note(symbol, order_id, name)
