# venue: kraken_spot
# requires: python-kraken-sdk==3.5.1
"""python-kraken-sdk on Kraken Spot: REST, the WebSocket v2, and its own order book."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from kraken.base_api import SpotClient
from kraken.exceptions import (
    KrakenInsufficientFundsError,
    KrakenInvalidNonceError,
    KrakenInvalidOrderError,
    KrakenInvalidSignatureError,
    KrakenUnknownOrderError,
)
from kraken.spot import Market, SpotOrderBookClient, SpotWSClient, Trade, User
from told import API_KEY, API_SECRET, URL, WS_URL, arun, control, expect, run

PAIR, SYMBOL = "XBTUSD", "BTC/USD"

SpotClient.URL = URL  # it makes clients of its own, for decimals, that it passes no URL
market = Market(url=URL)
trade = Trade(key=API_KEY, secret=API_SECRET, url=URL)
user = User(key=API_KEY, secret=API_SECRET, url=URL)


def place(price: str = "50000", **more: Any) -> str:
    """Place a limit order and return Kraken's id of it."""
    told = trade.create_order("limit", "buy", PAIR, 0.01, price=price, truncate=True, **more)
    found: str = told["txid"][0]
    return found


def market_data() -> None:
    expect(market.get_system_status()["status"] == "online")
    expect("XXBT" in market.get_assets())
    expect("XXBTZUSD" in market.get_asset_pairs())
    expect(float(market.get_ticker(PAIR)["XXBTZUSD"]["a"][0]) > 0)
    depth = market.get_order_book(PAIR, count=10)["XXBTZUSD"]
    expect(float(depth["bids"][0][0]) < float(depth["asks"][0][0]), depth)
    expect("last" in market.get_recent_trades(PAIR))
    expect("last" in market.get_ohlc(PAIR))


def place_query_cancel() -> None:
    placed = place(cl_ord_id="sdk-1")
    expect(user.get_open_orders()["open"][placed]["cl_ord_id"] == "sdk-1")
    expect(user.get_orders_info(placed)[placed]["status"] == "open")
    expect(trade.amend_order(placed, order_qty="0.02")["amend_id"])
    expect(user.get_orders_info(placed)[placed]["vol"] == "0.02000000")
    expect(trade.cancel_order(placed)["count"] == 1)
    expect(user.get_orders_info(placed)[placed]["status"] == "canceled")
    expect(placed in user.get_closed_orders()["closed"])


def validate() -> None:
    told = trade.create_order("limit", "buy", PAIR, 0.01, price="50000", validate=True)
    expect("txid" not in told, told)


def cancel_all() -> None:
    placed = [place(f"5000{number}") for number in range(4)]
    expect(trade.cancel_order_batch(placed[:2])["count"] == 2)
    expect(trade.cancel_all_orders()["count"] == 2)
    expect(not control("state")["open_orders"])


def market_order() -> None:
    placed = trade.create_order("market", "buy", PAIR, 0.01)["txid"][0]
    trades = user.get_trades_history()["trades"]
    name, last = next(iter(trades.items()))
    expect(last["ordertxid"] == placed, trades)
    expect(user.get_trades_info(name)[name]["vol"] == last["vol"])
    expect(user.get_orders_info(placed)[placed]["status"] == "closed")


def stop_orders() -> None:
    for kind, price, second in (
        ("stop-loss", "55000", None),
        ("stop-loss-limit", "55000", "54000"),
        ("take-profit", "70000", None),
        ("take-profit-limit", "70000", "69000"),
        ("trailing-stop", "+1000", None),
    ):
        more = {} if second is None else {"price2": second}
        trade.create_order(kind, "sell", PAIR, 0.01, price=price, **more)
    found = user.get_open_orders()["open"].values()
    expect(len(found) == 5, found)
    expect(trade.cancel_all_orders()["count"] == 5)


def switch() -> None:
    place()
    expect(trade.cancel_all_orders_after_x(1)["triggerTime"] != "0")
    expect(trade.cancel_all_orders_after_x(0)["triggerTime"] == "0")
    trade.cancel_all_orders_after_x(1)
    time.sleep(1.5)
    expect(not control("state")["open_orders"])


def balances() -> None:
    expect(float(user.get_account_balance()["XXBT"]) > 0)
    expect(float(user.get_balances()["ZUSD"]["balance"]) > 0)
    expect(user.get_balance("XXBT")["balance"] > 0)
    user.get_trade_balance()


def refusals() -> None:
    late = Trade(key=API_KEY, secret=API_SECRET, url=URL)
    late.get_nonce = lambda: "1"
    wrong = Trade(key=API_KEY, secret="b3RoZXI=", url=URL)
    cases: list[tuple[type[Exception], Callable[[], Any]]] = [
        (KrakenUnknownOrderError, lambda: trade.cancel_order("O00000-00000-000000")),
        (
            KrakenInsufficientFundsError,
            lambda: trade.create_order("limit", "buy", PAIR, 150, price="50000"),
        ),
        (KrakenInvalidOrderError, lambda: user.get_orders_info("O00000-00000-000000")),
        (KrakenInvalidNonceError, late.cancel_all_orders),
        (KrakenInvalidSignatureError, wrong.cancel_all_orders),
    ]
    for wanted, act in cases:
        try:
            act()
        except wanted:
            continue
        expect(False, wanted)


class Heard:
    """What a client's socket was told."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    async def until(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Return the first message that is wanted."""
        while True:
            for message in self.messages:
                if wanted(message):
                    return message
            await asyncio.sleep(0.02)

    def rows(self, channel: str) -> list[dict[str, Any]]:
        """Every row of a channel."""
        return [row for m in self.messages if m.get("channel") == channel for row in m["data"]]


def client(heard: Heard, **more: Any) -> SpotWSClient:
    return SpotWSClient(callback=heard, rest_url=URL, ws_url=WS_URL, auth_ws_url=WS_URL, **more)


async def market_streams() -> None:
    heard = Heard()
    async with client(heard) as session:
        for channel in ("ticker", "book", "trade"):
            await session.subscribe(params={"channel": channel, "symbol": [SYMBOL]})
        await session.subscribe(params={"channel": "instrument"})
        for channel in ("status", "heartbeat", "ticker", "book", "trade", "instrument"):
            await heard.until(lambda m, channel=channel: m.get("channel") == channel)
        await session.unsubscribe(params={"channel": "ticker", "symbol": [SYMBOL]})
        await heard.until(lambda m: m.get("method") == "unsubscribe" and m["success"])


async def depth() -> None:
    """The SDK keeps books itself, and holds them to every checksum."""
    updates: list[bool] = []

    class Books(SpotOrderBookClient):
        URL = URL  # its constructor takes no URL
        WS_URL = WS_URL

        async def on_book_update(self, pair: str, message: Any) -> None:
            updates.append(bool(self.get(pair)["valid"]))

    books = Books(depth=10)
    await books.start()
    await books.add_book([SYMBOL])
    while len(updates) < 20:  # noqa: ASYNC110 - its own client waits for no event of ours
        await asyncio.sleep(0.05)
    expect(all(updates), updates)
    await books.close()


async def private_stream() -> None:
    heard = Heard()
    async with client(heard, key=API_KEY, secret=API_SECRET, no_public=True) as session:
        await session.subscribe(params={"channel": "executions", "snap_trades": True})
        await session.subscribe(params={"channel": "balances"})
        await heard.until(lambda m: m.get("channel") == "balances")
        add = {"order_type": "limit", "side": "buy", "order_qty": 0.01, "symbol": SYMBOL}
        await session.send_message(
            {
                "method": "add_order",
                "params": {**add, "limit_price": 50_000, "cl_ord_id": "sdk-ws-1"},
            }
        )
        told = await heard.until(lambda m: m.get("method") == "add_order")
        expect(told["success"], told)
        placed = told["result"]["order_id"]
        await session.send_message(
            {"method": "amend_order", "params": {"order_id": placed, "limit_price": 50_001}}
        )
        expect((await heard.until(lambda m: m.get("method") == "amend_order"))["success"])
        await session.send_message({"method": "cancel_order", "params": {"order_id": [placed]}})
        expect((await heard.until(lambda m: m.get("method") == "cancel_order"))["success"])
        await session.send_message(
            {
                "method": "add_order",
                "params": {**add, "order_type": "market", "cl_ord_id": "sdk-ws-2"},
            }
        )
        await heard.until(
            lambda m: (
                m.get("channel") == "executions"
                and any(row["exec_type"] == "filled" for row in m["data"])
            )
        )
        await session.send_message({"method": "cancel_all_orders_after", "params": {"timeout": 0}})
        expect(
            (await heard.until(lambda m: m.get("method") == "cancel_all_orders_after"))["success"]
        )
        await session.send_message({"method": "cancel_all"})
        expect((await heard.until(lambda m: m.get("method") == "cancel_all"))["success"])
    kinds = [row["exec_type"] for row in heard.rows("executions")]
    for kind in ("pending_new", "new", "amended", "canceled", "trade", "filled"):
        expect(kind in kinds, kinds)


run(
    {
        "market data": market_data,
        "place, query, amend, cancel": place_query_cancel,
        "validate only": validate,
        "cancel all, cancel a batch": cancel_all,
        "market order and fills": market_order,
        "stop orders": stop_orders,
        "dead-man's switch": switch,
        "balances": balances,
        "refusals": refusals,
    }
)
asyncio.run(
    arun(
        {
            "market streams": market_streams,
            "depth, each checksum checked by the client": depth,
            "private streams, orders by WebSocket": private_stream,
        }
    )
)
