"""Every decoder of the adapters as a function of bytes, to be fed with what nobody meant to send.

A target takes bytes and returns what it makes of them; `VenueError` is the only error it may raise,
and what it returns has to be `sane`: a fill of nothing, a price without end or a time that no
journal could keep would be a wrong booking. `SEEDS` has answers that are right, to be spoiled.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final

import msgspec
import trio

from tests.exchange_world import Quiet
from tests.recorded import DATA
from tests.test_binance_orders import order_body, reply, spec
from tests.test_binance_user_events import event as execution_report
from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill, OrderAmended, OrderClosed
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, VenueName
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderReport, OrderType
from trade_runtime.venues.binance import limits
from trade_runtime.venues.binance import streams as binance_streams
from trade_runtime.venues.binance.answers import decode_error
from trade_runtime.venues.binance.book_sync import DepthEvent
from trade_runtime.venues.binance_spot import account_codec, codec, instruments, order_codec
from trade_runtime.venues.binance_spot.user_codec import UserDecoder
from trade_runtime.venues.binance_usdm import codec as usdm_codec
from trade_runtime.venues.binance_usdm import instruments as usdm_instruments
from trade_runtime.venues.binance_usdm import orders as usdm_orders
from trade_runtime.venues.binance_usdm.account import UsdmAccount
from trade_runtime.venues.binance_usdm.events import PrivateDecoder
from trade_runtime.venues.binance_usdm.twins import Twins
from trade_runtime.venues.kraken_spot import account as kraken_account
from trade_runtime.venues.kraken_spot import codec as kraken_codec
from trade_runtime.venues.kraken_spot.executions import Executions
from trade_runtime.venues.kraken_spot.instruments import Listing, decode_pairs
from trade_runtime.venues.kraken_spot.rest import decode_answer
from trade_runtime.venues.wire.budget import Budget
from trade_runtime.venues.wire.http import Answer

VENUE: Final = VenueName("venue")
BTC: Final = InstrumentId("BTCUSDT.venue")
NAME: Final = ClientOrderId("abc123-1")
MOST: Final = Decimal("1e40")
LATEST_NS: Final = 2**63

Target = Callable[[bytes], Iterable[object]]


def one(decode: Callable[[bytes], object]) -> Target:
    """A target of a decoder that returns one thing, or None."""

    def target(body: bytes) -> Iterable[object]:
        found = decode(body)
        return [] if found is None else [found]

    return target


def many(decode: Callable[[bytes], Iterable[object]]) -> Target:
    """A target of a decoder that returns several."""
    return lambda body: list(decode(body))


def _user(body: bytes) -> Iterable[object]:
    told = UserDecoder(VENUE, {}, lambda what: None).decode(body)
    return told if isinstance(told, list) else [told]


def _learn(body: bytes) -> Iterable[object]:
    budget = Budget()
    limits.learn(budget, body)
    return list(budget.limits.values())


def _usdm_private(body: bytes) -> Iterable[object]:
    return PrivateDecoder(VENUE, Twins(), lambda symbol: Currency("USDT"), Quiet()).decode(body)


class _Says:
    """A REST API that answers every question with the same."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def send(self, *_: object, **__: object) -> bytes:
        return self._body

    async def now_ms(self) -> int:
        return 10**12


def _usdm_asked(
    question: Callable[[UsdmAccount], Awaitable[Any]], *, alone: bool = False
) -> Target:
    """A target of what the account at USD-M is asked; `alone`: for one thing, or none."""

    def target(body: bytes) -> Iterable[object]:
        said: Any = _Says(body)

        async def main() -> Any:
            account = UsdmAccount(said, Twins(), VENUE, lambda: {"BTCUSDT"})
            return await question(account)

        found = trio.run(main)
        if isinstance(found, Mapping):
            return list(found.values())
        return [one for one in ([found] if alone else found) if one is not None]

    return target


def _executions(body: bytes) -> Iterable[object]:
    known = Executions(lambda symbol: InstrumentId(f"{symbol}.venue"), lambda: 0.0)
    return known.decode(msgspec.Raw(body))


def _kraken(decode: Callable[..., Any], *args: object) -> Target:
    """A target of a decoder of a result of Kraken's REST, with the envelope around it."""

    def target(body: bytes) -> Iterable[object]:
        found = decode(decode_answer(Answer(200, {}, body), "/0/private/X"), *args)
        if isinstance(found, dict):
            return list(found.values())
        return found if isinstance(found, list) else [found]

    return target


@cache
def _listing() -> Listing:
    return Listing([], {}, {})


STREAMS: Final = {"BTCUSDT": BTC}
_USDM_STOP: Final = msgspec.structs.replace(
    spec(), type=OrderType.STOP_MARKET, trigger_price=Decimal(1)
)

TARGETS: Final[Mapping[str, Target]] = {
    # --- Binance, both markets
    "binance.error": one(decode_error),
    "binance.limits": _learn,
    # --- Binance Spot
    "spot.frame": one(
        lambda body: binance_streams.StreamDecoder(codec.STREAMS, STREAMS).decode(body, 0)
    ),
    "spot.snapshot": one(codec.decode_snapshot),
    "spot.tickers": many(lambda body: codec.decode_tickers(body, STREAMS, 0)),
    "spot.trades": many(lambda body: codec.decode_trades(body, BTC)),
    "spot.instruments": many(lambda body: instruments.decode_instruments(body, VENUE).values()),
    "spot.traits": many(lambda body: instruments.decode_traits(body).values()),
    "spot.placed": many(lambda body: order_codec.decode_placed(body, spec())),
    "spot.cancelled": many(lambda body: order_codec.decode_cancelled(body, spec())),
    "spot.all_cancelled": many(order_codec.decode_all_cancelled),
    "spot.order": one(lambda body: order_codec.decode_order(body, spec(), VENUE)),
    "spot.orders": many(lambda body: order_codec.decode_orders(body, VENUE, lambda what: None)),
    "spot.names": many(lambda body: order_codec.decode_names(body).values()),
    "spot.own_trades": many(
        lambda body: [
            trade.fill(NAME, BTC) for trade in account_codec.decode_own_trades(body, "BTCUSDT")
        ]
    ),
    "spot.balances": many(lambda body: account_codec.decode_balances(body).values()),
    "spot.rights": one(account_codec.decode_withdraws),
    "spot.user": _user,
    # --- Binance USD-M
    "usdm.frame": one(
        lambda body: binance_streams.StreamDecoder(
            {**usdm_codec.PUBLIC_STREAMS, **usdm_codec.MARKET_STREAMS}, STREAMS
        ).decode(body, 0)
    ),
    "usdm.private": _usdm_private,
    "usdm.placed": many(partial(usdm_orders.placed, NAME)),
    "usdm.algo_placed": many(lambda body: usdm_orders.algo_placed(NAME, body, 0)),
    "usdm.cancelled": many(partial(usdm_orders.cancelled, NAME)),
    "usdm.snapshot": one(usdm_codec.decode_snapshot),
    "usdm.tickers": many(lambda body: usdm_codec.decode_tickers(body, STREAMS, 0)),
    "usdm.agg_trades": many(lambda body: usdm_codec.decode_agg_trades(body, BTC)),
    "usdm.instruments": many(
        lambda body: usdm_instruments.decode_instruments(body, STREAMS, VENUE).values()
    ),
    "usdm.max_stops": one(lambda body: usdm_instruments.decode_max_stops(body, STREAMS)),
    "usdm.open_orders": _usdm_asked(lambda account: account.open_orders()),
    "usdm.algo_order": _usdm_asked(lambda account: account.order(_USDM_STOP), alone=True),
    "usdm.fills": _usdm_asked(lambda account: account.fills(0)),
    "usdm.balances": _usdm_asked(lambda account: account.balances()),
    "usdm.positions": _usdm_asked(lambda account: account.positions()),
    # --- Kraken Spot
    "kraken.frame": many(
        lambda body: kraken_codec.StreamDecoder({"BTC/USD": InstrumentId("BTC/USD.venue")}).decode(
            body, 0
        )
    ),
    "kraken.executions": _executions,
    "kraken.pairs": _kraken(decode_pairs, VENUE),
    "kraken.open": _kraken(kraken_account.decode_open, _listing(), VENUE),
    "kraken.closed": _kraken(kraken_account.decode_closed, _listing(), VENUE),
    "kraken.trades": _kraken(kraken_account.decode_trades),
    "kraken.balances": _kraken(kraken_account.decode_balances, _listing()),
    "kraken.token": _kraken(kraken_account.decode_token),
}
"""By name: the venue, a dot, and what is decoded. Another adapter puts its own here."""


def _example(path: str) -> list[bytes]:
    file = DATA / path
    return [file.read_bytes()] if file.exists() else []


def _frame(stream: str, **data: object) -> bytes:
    return json.dumps({"stream": f"btcusdt@{stream}", "data": data}).encode()


_LEVELS: Final = {"b": [["100.5", "1"]], "a": [["101", "0"]]}
_TICKER: Final = {"u": 5, "b": "100", "B": "1", "a": "101", "A": "2"}
_TRADE: Final = {"t": 7, "p": "100", "q": "0.5", "T": 1_700_000_000_000, "m": True}
_DEPTH: Final = {"E": 1_700_000_000_000, "U": 5, "u": 6, **_LEVELS}
_CANCELLED: Final = {
    "symbol": "BTCUSDT",
    "origClientOrderId": NAME,
    "status": "CANCELED",
    "executedQty": "0.5",
    "transactTime": 1_700_000_000_000,
}
_OWN: Final = (
    b'[{"symbol":"BTCUSDT","id":5,"orderId":1,"price":"3","qty":"2","commission":"0.1",'
    b'"commissionAsset":"BNB","time":1,"isBuyer":true,"isMaker":true}]'
)
_INFO: Final = {
    "rateLimits": [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50}
    ],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "orderTypes": ["LIMIT", "STOP_LOSS"],
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01", "maxPrice": "1000000"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "9"},
                {"filterType": "NOTIONAL", "minNotional": "5"},
                {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            ],
        }
    ],
}
_USDM_ORDER: Final = (
    b'{"symbol":"BTCUSDT","orderId":1,"clientOrderId":"abc123-1","side":"BUY","type":"LIMIT",'
    b'"status":"NEW","origQty":"1","executedQty":"0","price":"1","updateTime":5}'
)
_USDM_ALGO: Final = (
    b'{"algoId":3,"clientAlgoId":"abc123-1","symbol":"BTCUSDT","side":"SELL","quantity":"1",'
    b'"algoStatus":"NEW","orderType":"STOP_MARKET","triggerPrice":"9","price":"0","updateTime":5}'
)
_USDM: Final = "binance_usdm/doc_examples/nautilus_integration"
_KRAKEN: Final = "kraken_spot/doc_examples/nautilus"

SEEDS: Final[Mapping[str, list[bytes]]] = {
    "binance.error": [b'{"code":-1121,"msg":"Invalid symbol."}'],
    "binance.limits": [json.dumps(_INFO).encode()],
    "spot.frame": [
        _frame("bookTicker", **_TICKER),
        _frame("trade", **_TRADE),
        _frame("depth@100ms", **_DEPTH),
        b'{"e":"serverShutdown","E":1}',
    ],
    "spot.snapshot": [
        json.dumps({"lastUpdateId": 5, "bids": [["1", "2"]], "asks": [["3", "4"]]}).encode()
    ],
    "spot.tickers": [
        b'[{"symbol":"BTCUSDT","bidPrice":"1","bidQty":"2","askPrice":"3","askQty":"4"}]'
    ],
    "spot.trades": [b'[{"id":1,"price":"2","qty":"3","time":4,"isBuyerMaker":true}]'],
    "spot.instruments": [json.dumps(_INFO).encode()],
    "spot.traits": [json.dumps(_INFO).encode()],
    "spot.placed": [reply(), reply(status="NEW", executedQty="0", fills=[])],
    "spot.cancelled": [json.dumps(_CANCELLED).encode()],
    "spot.all_cancelled": [json.dumps([_CANCELLED, {"orderReports": [_CANCELLED]}]).encode()],
    "spot.order": [order_body()],
    "spot.orders": [b"[" + order_body() + b"]"],
    "spot.names": [order_body(), b"[" + order_body() + b"]"],
    "spot.own_trades": [_OWN],
    "spot.balances": [b'{"balances":[{"asset":"BTC","free":"1","locked":"2"}]}'],
    "spot.rights": [b'{"enableWithdrawals":true}'],
    "spot.user": [
        json.dumps({"subscriptionId": 0, "event": execution_report(**changes)}).encode()
        for changes in (
            {},
            {"X": "FILLED", "z": "1"},
            {"x": "NEW", "X": "NEW"},
            {"x": "REPLACED", "X": "NEW"},
        )
    ],
    "usdm.frame": [
        _frame("bookTicker", E=1, T=1, **_TICKER),
        _frame("depth@100ms", T=1, pu=4, **_DEPTH),
    ],
    "usdm.private": [
        *_example(f"{_USDM}/ws_futures_order_update_trade_reduce_only_qty.json"),
        *_example(f"{_USDM}/ws_futures_order_update_adl_filled.json"),
        *_example(f"{_USDM}/ws_futures_algo_update_triggered.json"),
    ],
    "usdm.placed": [_USDM_ORDER],
    "usdm.algo_placed": [
        b'{"algoId":3,"clientAlgoId":"abc123-1","symbol":"BTCUSDT","side":"SELL","updateTime":5}'
    ],
    "usdm.cancelled": [_USDM_ORDER.replace(b'"NEW"', b'"CANCELED"')],
    "usdm.snapshot": [b'{"lastUpdateId":5,"E":1,"T":1,"bids":[["1","2"]],"asks":[["3","4"]]}'],
    "usdm.tickers": [
        b'[{"symbol":"BTCUSDT","bidPrice":"1","bidQty":"2","askPrice":"3","askQty":"4","time":5}]'
    ],
    "usdm.agg_trades": [b'[{"a":7,"p":"100","q":"0.5","f":7,"l":7,"T":5,"m":true}]'],
    "usdm.instruments": [json.dumps(_INFO).encode()],
    "usdm.max_stops": [
        (
            b'{"symbols":[{"symbol":"BTCUSDT","baseAsset":"BTC","quoteAsset":"USDT",'
            b'"filters":[{"filterType":"MAX_NUM_ALGO_ORDERS","limit":10}]}]}'
        )
    ],
    "usdm.open_orders": [b"[" + _USDM_ORDER[:-1] + b"," + _USDM_ALGO[1:] + b"]"],
    "usdm.algo_order": [_USDM_ALGO],
    "usdm.fills": [
        (
            b'[{"symbol":"BTCUSDT","id":5,"orderId":1,"clientOrderId":"a","side":"BUY",'
            b'"type":"LIMIT","status":"NEW","algoId":3,"clientAlgoId":"b","price":"3","qty":"2",'
            b'"commission":"0.1","commissionAsset":"BNB","time":5,"maker":true}]'
        )
    ],
    "usdm.balances": [b'[{"asset":"USDT","balance":"1.5"}]'],
    "usdm.positions": [b'[{"symbol":"BTCUSDT","positionAmt":"-0.5","positionSide":"BOTH"}]'],
    "kraken.executions": [
        (
            b'[{"order_id":"O-1","exec_type":"trade","timestamp":"2026-01-01T00:00:00.5Z",'
            b'"cl_ord_id":"abc123-1","symbol":"BTC/USD","side":"buy","order_type":"limit",'
            b'"order_qty":1,"cum_qty":0.5,"limit_price":100,"exec_id":"T-1","last_qty":0.5,'
            b'"last_price":99.5,"fees":[{"asset":"USD","qty":0.1}],"liquidity_ind":"m"}]'
        )
    ],
    "kraken.token": [b'{"error":[],"result":{"token":"abc","expires":900}}'],
    "kraken.frame": [
        *_example(f"{_KRAKEN}/ws_book_update.json"),
        *_example(f"{_KRAKEN}/ws_trade_update.json"),
        *_example(f"{_KRAKEN}/ws_ticker_snapshot.json"),
    ],
    "kraken.pairs": _example(f"{_KRAKEN}/http_asset_pairs.json"),
    "kraken.open": _example(f"{_KRAKEN}/http_open_orders.json"),
    "kraken.closed": _example(f"{_KRAKEN}/http_closed_orders.json"),
    "kraken.trades": _example(f"{_KRAKEN}/http_trades_history.json"),
    "kraken.balances": [b'{"error":[],"result":{"XXBT":{"balance":"1.5","hold_trade":"0.5"}}}'],
}

JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    5e-324,
    2**31,
    2**63,
    2**64,
    10**40,
    "",
    "0",
    "-0.00000001",
    "0.00000001",
    "1e400",
    "1e-400",
    "1e9999999999",
    "NaN",
    "sNaN",
    "-Infinity",
    "\uff19",  # a digit, and none of ours
    "1_000",
    " 1",
    "\x00",
    "x" * 5000,
    [],
    {},
    [[]],
    ["1"],
    {"e": "executionReport"},
)
"""What stands where something else was meant."""

PAGES: Final = (
    b"",
    b"null",
    b"<html><body>502 Bad Gateway</body></html>",
    b"\xff\xfe\x00",
    b'{"a":"\xc3\x28"}',
    b'"\\ud800"',
    b"[" * 100_000,
    b'{"event":' * 10_000,
    b'{"code":-1007,"msg":"Timeout"}',
    b'{"e":"executionReport","event":{}}',
    b"1" * 5000,
)
"""Whole answers that are none."""


def feed(name: str, body: bytes) -> list[object]:
    """Decode bytes as a target does; return what came of it, none where it was refused.

    Raises:
        AssertionError: something that cannot be was told.
    """
    try:
        told = list(TARGETS[name](body))
    except VenueError:
        return []
    for thing in told:
        assert sane(thing), f"{name} made {thing!r} of {body[:500]!r}"
    return told


def sane(thing: object) -> bool:
    """Whether what was decoded can be booked, shown and kept."""
    if isinstance(thing, Fill):
        return (
            0 < thing.quantity < MOST
            and 0 < thing.price < MOST
            and abs(thing.fee) < MOST
            and 0 <= thing.ts_ns < LATEST_NS
            and bool(thing.trade_id)
        )
    if isinstance(thing, OrderClosed):
        return 0 <= thing.filled < MOST and 0 <= thing.ts_ns < LATEST_NS
    if isinstance(thing, OrderAmended):
        return 0 < thing.quantity < MOST and thing.price != 0 and thing.trigger_price != 0
    if isinstance(thing, OrderReport):
        prices = [price for price in (thing.price, thing.trigger_price) if price is not None]
        return (
            0 <= thing.filled < MOST and 0 <= thing.quantity < MOST and min(prices, default=1) > 0
        )
    if isinstance(thing, Quote):
        return min(thing.bid, thing.ask) > 0
    if isinstance(thing, Trade):
        return thing.price >= 0 and thing.quantity >= 0
    if isinstance(thing, DepthEvent):
        levels = [*thing.bids, *thing.asks]
        return all(0 < price < MOST and 0 <= quantity < MOST for price, quantity in levels)
    return not isinstance(thing, Decimal) or abs(thing) < MOST


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value in a JSON document, the whole of it first."""
    found = [path]
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


def put(value: Any, path: tuple[Any, ...], junk: Any, *, drop: bool = False) -> Any:
    """Return a document with another thing at a place, or with nothing there."""
    if not path:
        return junk
    copied = dict(value) if isinstance(value, dict) else list(value)
    if len(path) > 1:
        copied[path[0]] = put(copied[path[0]], path[1:], junk, drop=drop)
    elif drop:
        del copied[path[0]]
    else:
        copied[path[0]] = junk
    return copied
