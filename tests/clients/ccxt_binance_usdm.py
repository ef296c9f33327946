# venue: binance_usdm
# requires: ccxt==4.5.90
"""ccxt on Binance USD-M Futures: REST, and ccxt.pro's streams."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.pro
from told import API_KEY, API_SECRET, URL, WS_URL, arun, control, expect, run

SYMBOL = "BTC/USDT:USDT"
CONFIG = {
    "apiKey": API_KEY,
    "secret": API_SECRET,
    # Else it loads the markets of Spot and COIN-M too, from hosts of their own.
    "options": {"fetchMarkets": {"types": ["linear"]}},
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


client = pointed(ccxt.binanceusdm(CONFIG))


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
    known = client.fetch_order(told["id"], SYMBOL)
    expect(known["status"] == "closed", known)
    expect(client.fetch_my_trades(SYMBOL)[-1]["order"] == told["id"])
    expect(client.fetch_orders(SYMBOL))
    (held,) = client.fetch_positions([SYMBOL])
    expect(held["contracts"] == 0.01 and held["side"] == "long", held)


def stop_orders() -> None:
    client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 55_000})
    client.create_order(SYMBOL, "limit", "sell", 0.01, 54_000, {"stopLossPrice": 55_000})
    placed = client.create_order(SYMBOL, "market", "sell", 0.01, None, {"takeProfitPrice": 70_000})
    found = client.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
    expect(len(found) == 3 and all(one["triggerPrice"] for one in found), found)
    client.fetch_order(placed["id"], SYMBOL, {"trigger": True})
    client.cancel_order(placed["id"], SYMBOL, {"trigger": True})
    client.cancel_all_orders(SYMBOL, {"trigger": True})
    expect(not control("state")["open_orders"])


def trailing_stop() -> None:
    client.create_trailing_percent_order(SYMBOL, "market", "sell", 0.01, None, 1)
    client.cancel_all_orders(SYMBOL, {"trigger": True})


def edit() -> None:
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    changed = client.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, 49_000)
    expect(changed["amount"] == 0.02, changed)
    client.cancel_all_orders(SYMBOL)


def balances() -> None:
    held = client.fetch_balance()
    expect(held["USDT"]["free"] > 0, held)
    client.fetch_trading_fee(SYMBOL)
    client.set_leverage(10, SYMBOL)


def refusals() -> None:
    for wanted, act in (
        (ccxt.OrderNotFound, lambda: client.fetch_order("1", SYMBOL)),
        (ccxt.OrderNotFound, lambda: client.cancel_order("1", SYMBOL)),
        # It has no class of its own for Futures' code of a margin that is not enough.
        (ccxt.ExchangeError, lambda: client.create_order(SYMBOL, "limit", "buy", 5_000, 50_000)),
        (
            ccxt.InvalidOrder,
            lambda: client.create_order(SYMBOL, "limit", "buy", 0.01, 70_000, {"postOnly": True}),
        ),
    ):
        try:
            act()
        except wanted:
            continue
        expect(False, wanted)


async def streams() -> None:
    pro = pointed(ccxt.pro.binanceusdm(CONFIG))
    try:
        book = await pro.watch_order_book(SYMBOL)
        for _ in range(5):
            book = await pro.watch_order_book(SYMBOL)
        expect(book["bids"][0][0] < book["asks"][0][0])
        await pro.watch_bids_asks([SYMBOL])
    finally:
        await pro.close()


async def trades() -> None:
    pro = pointed(ccxt.pro.binanceusdm(CONFIG))
    try:
        await asyncio.wait_for(pro.watch_trades(SYMBOL), 10)
    finally:
        await pro.close()


async def private_stream() -> None:
    pro = pointed(ccxt.pro.binanceusdm(CONFIG))
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
    finally:
        await pro.close()
        client.cancel_all_orders(SYMBOL)


run(
    {
        "market data": market_data,
        "place, query, cancel": place_query_cancel,
        "cancel all": cancel_all,
        "market order, fills, position": market_order,
        "stop orders": stop_orders,
        "trailing stop": trailing_stop,
        "edit": edit,
        "balances, fees, leverage": balances,
        "refusals": refusals,
    }
)
asyncio.run(
    arun({"market streams, depth": streams, "trades": trades, "private stream": private_stream})
)
