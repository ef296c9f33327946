"""What rests on the account, over REST, at the least cost.

Of the whole account it costs as much as of thirteen symbols (80 of the request weight, and 6). A
stop asks several times a second, so between looks at the whole only the symbols are asked about
that are traded here, and those in which something else rested when the whole was last seen.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import VenueName, symbol_of
from trade_runtime.model.orders import OrderReport
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance_spot.order_codec import Strange, decode_orders

PATH: Final = "/api/v3/openOrders"

WHOLE_SECS: Final = 60.0
"""How old the last look at the whole account may be."""

WHOLE_WEIGHT: Final = 80
SYMBOL_WEIGHT: Final = 6


class Resting:
    """Asks what rests.

    Args:
        rest: with an account.
        venue: the name that instruments carry.
        strange: told of what is passed over.
    """

    def __init__(self, rest: Rest, venue: VenueName, strange: Strange) -> None:
        self._rest = rest
        self._venue = venue
        self._strange = strange
        self._whole_at = -math.inf
        self._elsewhere: set[str] = set()

    async def all(self, traded: Collection[str]) -> list[OrderReport]:
        """Return every order that rests, whoever placed it.

        What somebody else places in a symbol that is not `traded` is seen up to `WHOLE_SECS` later.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        now, symbols = trio.current_time(), sorted({*traded, *self._elsewhere})
        fresh = now - self._whole_at < WHOLE_SECS
        if fresh and len(symbols) * SYMBOL_WEIGHT < WHOLE_WEIGHT:
            return await self._of(symbols)
        reports = await self._ask({}, WHOLE_WEIGHT)
        self._whole_at = now
        self._elsewhere = {symbol_of(one.instrument) for one in reports} - set(traded)
        return reports

    async def _of(self, symbols: Collection[str]) -> list[OrderReport]:
        found: list[OrderReport] = []
        failed: list[VenueError] = []

        async def ask(symbol: str) -> None:
            try:
                found.extend(await self._ask({"symbol": symbol}, SYMBOL_WEIGHT))
            except VenueError as error:  # a nursery would wrap it into a group
                failed.append(error)

        async with trio.open_nursery() as nursery:
            for symbol in symbols:
                nursery.start_soon(ask, symbol)
        if failed:
            raise failed[0]
        return found

    async def _ask(self, params: dict[str, str], weight: float) -> list[OrderReport]:
        body = await self._rest.send("GET", PATH, params, auth="signed", weight=weight, urgent=True)
        return decode_orders(body, self._venue, self._strange)
