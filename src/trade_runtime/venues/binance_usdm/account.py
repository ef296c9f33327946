"""What the account at Binance USD-M Futures holds, and what became of its orders: questions over
REST, which change nothing.

Guarantees that a conditional order and the ordinary one that it became are told as one, also after
a crash: which is which is asked where it is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    TradeId,
    VenueName,
    symbol_of,
)
from trade_runtime.model.orders import OrderReport
from trade_runtime.protocols import Placed
from trade_runtime.venues.binance.answers import BINANCE, Code, RestRefused
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance.streams import NS_PER_MS
from trade_runtime.venues.binance_usdm import orders
from trade_runtime.venues.binance_usdm.twins import Twins

MAX_ROWS: Final = 1000
"""What Binance gives at most in one answer."""

MAX_PAGES: Final = 200
"""Answers that are asked for at most for one symbol: 200,000 fills."""

MAX_NAMES: Final = 20_000
"""Client ids of orders that are kept, so that a fill's order is not asked for again."""

WINDOW_MS: Final = 7 * 86_400_000
"""How far back Binance looks by time; what is older is read page by page from the first."""


WHOLE_SECS: Final = 60.0
"""How old the last look at the whole account may be; Binance takes a lot of weight for it."""

WHOLE_WEIGHT: Final = 40
"""That weight, for each of the two services; a look at one symbol has 1."""


class _Trade(msgspec.Struct):
    symbol: str
    id: Id
    orderId: Id  # noqa: N815
    side: str
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str  # noqa: N815
    time: Ms
    maker: bool = False


class _Balance(msgspec.Struct):
    asset: str
    balance: Decimal


class _Position(msgspec.Struct):
    symbol: str
    positionAmt: Decimal  # noqa: N815
    positionSide: str = "BOTH"  # noqa: N815


class _Mode(msgspec.Struct):
    dualSidePosition: bool  # noqa: N815


_trades = msgspec.json.Decoder(list[_Trade])
_balances = msgspec.json.Decoder(list[_Balance])
_positions = msgspec.json.Decoder(list[_Position])
_mode = msgspec.json.Decoder(_Mode)


class UsdmAccount:
    """Asks about an account.

    Args:
        rest: signs and sends.
        twins: the ordinary orders that were conditional ones; what is learned is kept there.
        venue: whose instruments are named.
        symbols: returns those that are traded.
    """

    def __init__(
        self, rest: Rest, twins: Twins, venue: VenueName, symbols: Callable[[], Collection[str]]
    ) -> None:
        self._rest = rest
        self._twins = twins
        self._venue = venue
        self._symbols = symbols
        self._names: dict[int, ClientOrderId] = {}
        self._one_way = False
        self._whole_at = -math.inf
        self._elsewhere: set[str] = set()
        """Symbols beside those that are traded in which something rests, as of then."""

    async def check_one_way(self) -> None:
        """See that a symbol has one position, and not a long and a short one (hedge mode).

        Once it was seen it is not asked for again: Binance changes it for an empty account alone.

        Raises:
            VenueError: it has two, or no answer came.
        """
        if self._one_way:
            return
        body = await self._ask("/fapi/v1/positionSide/dual", {}, 30)
        if BINANCE.decode(_mode, body, "position mode").dualSidePosition:
            raise VenueError(
                "the account is in hedge mode, where a symbol has a long and a short position:"
                " switch it to one-way mode at Binance (Preferences, Position Mode)"
            )
        self._one_way = True

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return all that rests on the account, of both services.

        To ask for the whole account costs forty times as much as to ask for one symbol. So it is
        asked for as a whole at first and once in `WHOLE_SECS`; between, the symbols that are traded
        are looked at, and those in which something else rested.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        symbols = sorted({*self._symbols(), *self._elsewhere})
        now = trio.current_time()
        if now >= self._whole_at + WHOLE_SECS or len(symbols) >= WHOLE_WEIGHT:
            waiting, resting = await self._resting("")
            self._whole_at = now
            told = {raw.symbol for raw in waiting} | {raw.symbol for raw in resting}
            self._elsewhere = told.difference(self._symbols())
        else:
            waiting, resting = [], []
            for symbol in symbols:
                some, others = await self._resting(symbol)
                waiting += some
                resting += others
        woken = {
            raw.symbol
            for raw in resting
            if orders.type_of(raw.origType or raw.type).waits and not self._twins.knows(raw.orderId)
        }
        for symbol in sorted(woken):
            await self._learn_twins(symbol)
        found = {
            report.client_order_id: report
            for report in (orders.algo_report(raw, None, self._venue) for raw in waiting)
        }
        for raw in resting:
            report = orders.report(raw, self._twins, self._venue)
            found[report.client_order_id] = report
        return list(found.values())

    async def _resting(self, symbol: str) -> tuple[list[orders.Algo], list[orders.Order]]:
        """Return what rests in a symbol, or in all where it is empty, of both services."""
        params, weight = ({"symbol": symbol}, 1) if symbol else ({}, WHOLE_WEIGHT)
        # The conditional ones first: one that triggers between the two is told twice, never not.
        body = await self._ask("/fapi/v1/openAlgoOrders", params, weight)
        waiting = BINANCE.decode(orders.algos, body, "list of orders")
        body = await self._ask("/fapi/v1/openOrders", params, weight)
        return waiting, BINANCE.decode(orders.orders, body, "list of orders")

    async def order(self, order: Placed) -> OrderReport | None:
        """Return what Binance knows of an order, or None where it says that it knows none.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        if order.type.waits:
            return await self._algo(order)
        params = {
            "symbol": symbol_of(order.instrument),
            "origClientOrderId": order.client_order_id,
        }
        raw = await self._order(params)
        return None if raw is None else orders.report(raw, self._twins, self._venue)

    async def _algo(self, order: Placed) -> OrderReport | None:
        try:
            body = await self._ask("/fapi/v1/algoOrder", {"clientAlgoId": order.client_order_id}, 1)
        except RestRefused as refused:
            if _no_such_order(refused):
                return None
            raise
        raw = BINANCE.decode(orders.algo, body, "conditional order")
        actual = None
        if raw.actual_id is not None:
            self._twins.learn(raw.actual_id, raw.clientAlgoId)
            actual = await self._order({"symbol": raw.symbol, "orderId": str(raw.actual_id)})
        return orders.algo_report(raw, actual, self._venue)

    async def _order(self, params: Mapping[str, str]) -> orders.Order | None:
        try:
            body = await self._ask("/fapi/v1/order", params, 1)
        except RestRefused as refused:
            if _no_such_order(refused):
                return None
            raise
        return BINANCE.decode(orders.order, body, "order")

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return the fills of the symbols that are traded, from a time on, oldest first.

        Raises:
            VenueError: no answer, one that made no sense, or more fills than `MAX_PAGES` hold.
        """
        found: list[_Trade] = []
        for symbol in sorted(self._symbols()):
            trades = await self._trades(symbol, since_ns // NS_PER_MS)
            await self._learn_names(symbol, {trade.orderId for trade in trades})
            found += trades
        found.sort(key=lambda trade: (trade.time, trade.symbol, trade.id))
        return [fill for trade in found if (fill := self._fill(trade)).ts_ns >= since_ns]

    async def _trades(self, symbol: str, since_ms: int) -> list[_Trade]:
        recent = since_ms > await self._rest.now_ms() - WINDOW_MS
        where = {"startTime": str(since_ms)} if recent else {"fromId": "0"}
        found: list[_Trade] = []
        for _ in range(MAX_PAGES):
            params = {"symbol": symbol, "limit": str(MAX_ROWS), **where}
            body = await self._ask("/fapi/v1/userTrades", params, 5)
            page = BINANCE.decode(_trades, body, "list of fills")
            found += page
            if len(page) < MAX_ROWS:
                return found
            where = {"fromId": str(max(trade.id for trade in page) + 1)}
        raise VenueError(f"{symbol}: more than {MAX_PAGES * MAX_ROWS} fills; ask from later on")

    async def _learn_names(self, symbol: str, wanted: set[int]) -> None:
        """Ask for the client ids of orders that are not known by their numbers."""
        unknown = {one for one in wanted if one not in self._names and not self._twins.knows(one)}
        if not unknown:
            return
        await self._learn_twins(symbol)
        first = min(unknown)
        for _ in range(MAX_PAGES):
            params = {"symbol": symbol, "orderId": str(first), "limit": str(MAX_ROWS)}
            body = await self._ask("/fapi/v1/allOrders", params, 5)
            page = BINANCE.decode(orders.orders, body, "list of orders")
            for raw in page:
                self._keep_name(raw)
            last = max((raw.orderId for raw in page), default=0)
            if len(page) < MAX_ROWS or last >= max(unknown):
                return
            first = last + 1

    def _keep_name(self, raw: orders.Order) -> None:
        if len(self._names) >= MAX_NAMES:
            del self._names[next(iter(self._names))]
        self._names[raw.orderId] = ClientOrderId(raw.clientOrderId)

    async def _learn_twins(self, symbol: str) -> None:
        params = {"symbol": symbol, "limit": str(MAX_ROWS)}
        body = await self._ask("/fapi/v1/allAlgoOrders", params, 5)
        for raw in BINANCE.decode(orders.algos, body, "list of orders"):
            if raw.actual_id is not None:
                self._twins.learn(raw.actual_id, raw.clientAlgoId)

    def _fill(self, raw: _Trade) -> Fill:
        if not raw.commission.is_finite():
            raise VenueError("Binance sent a fill with a fee that is none")
        orders.checked(raw.commission.copy_abs())
        told = self._names.get(raw.orderId, ClientOrderId(str(raw.orderId)))
        return Fill(
            self._twins.name_of(raw.orderId, told),
            orders.instrument_of(raw.symbol, self._venue),
            TradeId(str(raw.id)),
            orders.side_of(raw.side),
            orders.positive(raw.qty),
            orders.positive(raw.price),
            raw.commission,
            Currency(raw.commissionAsset),
            raw.maker,
            raw.time * NS_PER_MS,
        )

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Return the wallet of each asset, without what open positions have won or lost so far.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        body = await self._ask("/fapi/v3/balance", {}, 5)
        rows = BINANCE.decode(_balances, body, "list of balances")
        return {Currency(row.asset): _signed(row.balance) for row in rows if row.balance}

    async def positions(self) -> Mapping[InstrumentId, Decimal]:
        """Return the signed size of each position.

        Raises:
            VenueError: no answer, one that made no sense, or a position of hedge mode.
        """
        body = await self._ask("/fapi/v3/positionRisk", {}, 5)
        held: dict[InstrumentId, Decimal] = {}
        for row in BINANCE.decode(_positions, body, "list of positions"):
            amount = _signed(row.positionAmt)
            if row.positionSide == "BOTH":
                held[orders.instrument_of(row.symbol, self._venue)] = amount
            elif amount:
                raise VenueError(
                    f"{row.symbol} has a position of hedge mode ({row.positionSide}): close it and"
                    " switch the account to one-way mode"
                )
        return held

    async def _ask(self, path: str, params: Mapping[str, str], weight: float) -> bytes:
        return await self._rest.send("GET", path, params, auth="signed", weight=weight, urgent=True)


def _no_such_order(refused: RestRefused) -> bool:
    return refused.certain and refused.code in (Code.NO_SUCH_ORDER, Code.ARCHIVED)


def _signed(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise VenueError("Binance sent a balance or a position that is none")
    orders.checked(value.copy_abs())
    return value
