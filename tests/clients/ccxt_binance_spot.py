# venue: binance_spot
# requires: ccxt==4.5.90
"""ccxt on Binance Spot: REST, and ccxt.pro's streams."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.pro
from told import API_KEY, API_SECRET, URL, WS_URL, arun, control, expect, run

SYMBOL = "BTC/USDT"
CONFIG = {
    "apiKey": API_KEY,
    "secret": API_SECRET,
    "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
}


def pointed(exchange: Any) -> Any:
    """Change the URL, and nothing else."""
    exchange.urls["api"] = pointed_at(exchange.urls["api"])
    return exchange


def pointed_at(urls: Any) -> Any:
    if isinstance(urls, dict):
        return {name: pointed_at(one) for name, one in urls.items()}
    scheme, rest = str(urls).split("://", 1)
    path = rest.partition("/")[2]
    return (WS_URL if scheme == "wss" else URL) + (f"/{path}" if path else "")


client = pointed(ccxt.binance(CONFIG))


def market_data() -> None:
    expect(SYMBOL in client.load_markets())
    expect(client.fetch_ticker(SYMBOL)["last"])
    book = client.fetch_order_book(SYMBOL, 10)
    expect(book["bids"][0][0] < book["asks"][0][0])
    client.fetch_trades(SYMBOL)
    client.fetch_ohlcv(SYMBOL, "1m")
    expect(client.fetch_time())


def place_query_cancel() -> None:
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, {"clientOrderId": "ccxt-1"})
    expect(placed["status"] == "open", placed)
    known = client.fetch_order(placed["id"], SYMBOL)
    expect(known["clientOrderId"] == "ccxt-1", known)
    expect(len(client.fetch_open_orders(SYMBOL)) == 1)
    ended = client.cancel_order(placed["id"], SYMBOL)
    expect(ended["status"] == "canceled", ended)


def cancel_all() -> None:
    for number in range(3):
        client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000 + number)
    client.cancel_all_orders(SYMBOL)
    expect(not control("state")["open_orders"])


def market_order() -> None:
    told = client.create_order(SYMBOL, "market", "buy", 0.01)
    expect(told["status"] == "closed", told)
    expect(client.fetch_my_trades(SYMBOL)[-1]["order"] == told["id"])
    expect(client.fetch_orders(SYMBOL))


def stop_orders() -> None:
    client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 55_000})
    client.create_order(SYMBOL, "limit", "sell", 0.01, 54_000, {"stopLossPrice": 55_000})
    client.create_order(SYMBOL, "market", "sell", 0.01, None, {"takeProfitPrice": 70_000})
    found = client.fetch_open_orders(SYMBOL)
    expect(len(found) == 3 and all(one["triggerPrice"] for one in found), found)
    client.cancel_all_orders(SYMBOL)


def oco() -> None:
    """It has no call of its own for that, but the venue's."""
    placed = client.private_post_orderlist_oco(
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": "0.01",
            "aboveType": "LIMIT_MAKER",
            "abovePrice": "70000",
            "belowType": "STOP_LOSS",
            "belowStopPrice": "55000",
        }
    )
    expect(len(placed["orders"]) == 2, placed)
    client.cancel_all_orders(SYMBOL)
    expect(not control("state")["open_orders"])


def edit() -> None:
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    changed = client.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, 49_000)
    expect(changed["amount"] == 0.02, changed)
    client.cancel_all_orders(SYMBOL)


def balances() -> None:
    held = client.fetch_balance()
    expect(held["BTC"]["total"] > 0 and held["USDT"]["free"] > 0)
    client.fetch_trading_fee(SYMBOL)


def refusals() -> None:
    for wanted, act in (
        (ccxt.OrderNotFound, lambda: client.fetch_order("1", SYMBOL)),
        (ccxt.OrderNotFound, lambda: client.cancel_order("1", SYMBOL)),
        (ccxt.InsufficientFunds, lambda: client.create_order(SYMBOL, "limit", "buy", 150, 50_000)),
        (
            ccxt.OrderImmediatelyFillable,
            lambda: client.create_order(SYMBOL, "limit", "buy", 0.01, 70_000, {"postOnly": True}),
        ),
    ):
        try:
            act()
        except wanted:
            continue
        expect(False, wanted)


async def streams() -> None:
    pro = pointed(ccxt.pro.binance(CONFIG))
    try:
        book = await pro.watch_order_book(SYMBOL)
        for _ in range(5):
            book = await pro.watch_order_book(SYMBOL)
        expect(book["bids"][0][0] < book["asks"][0][0])
        await pro.watch_trades(SYMBOL)
        await pro.watch_bids_asks([SYMBOL])
    finally:
        await pro.close()


async def private_stream() -> None:
    pro = pointed(ccxt.pro.binance(CONFIG))
    try:
        await pro.load_markets()
        waiting = asyncio.create_task(pro.watch_orders(SYMBOL))
        await asyncio.sleep(1)
        await asyncio.to_thread(client.create_order, SYMBOL, "limit", "buy", 0.01, 50_000)
        told = await asyncio.wait_for(waiting, 10)
        expect(told[-1]["status"] == "open", told)
        waiting = asyncio.create_task(pro.watch_my_trades(SYMBOL))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(client.create_order, SYMBOL, "market", "buy", 0.01)
        expect((await asyncio.wait_for(waiting, 10))[-1]["amount"] == 0.01)
        waiting = asyncio.create_task(pro.watch_balance())
        await asyncio.sleep(0.5)
        await asyncio.to_thread(client.create_order, SYMBOL, "market", "buy", 0.01)
        expect((await asyncio.wait_for(waiting, 10))["BTC"]["total"] > 0)
    finally:
        await pro.close()
        client.cancel_all_orders(SYMBOL)


async def orders_by_socket() -> None:
    pro = pointed(ccxt.pro.binance(CONFIG))
    try:
        placed = await pro.create_order_ws(SYMBOL, "limit", "buy", 0.01, 50_000)
        expect(placed["status"] == "open", placed)
        await pro.cancel_order_ws(placed["id"], SYMBOL)
    finally:
        await pro.close()


run(
    {
        "market data": market_data,
        "place, query, cancel": place_query_cancel,
        "cancel all": cancel_all,
        "market order and fills": market_order,
        "stop orders": stop_orders,
        "order lists (OCO)": oco,
        "edit": edit,
        "balances, fees": balances,
        "refusals": refusals,
    }
)
asyncio.run(
    arun(
        {
            "market streams, depth": streams,
            "private stream": private_stream,
            "orders by WebSocket": orders_by_socket,
        }
    )
)
