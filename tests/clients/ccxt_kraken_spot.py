# venue: kraken_spot
# requires: ccxt==4.5.90
"""ccxt on Kraken Spot: REST, and ccxt.pro's streams."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ccxt
import ccxt.pro
from told import API_KEY, API_SECRET, URL, WS_URL, NotOffered, arun, control, expect, run

SYMBOL = "BTC/USD"
CONFIG = {"apiKey": API_KEY, "secret": API_SECRET, "enableRateLimit": False}


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


client = pointed(ccxt.kraken(CONFIG))


def market_data() -> None:
    expect(SYMBOL in client.load_markets())
    expect(client.fetch_status()["status"] == "ok")
    expect(client.fetch_ticker(SYMBOL)["last"])
    book = client.fetch_order_book(SYMBOL, 10)
    expect(book["bids"][0][0] < book["asks"][0][0])
    client.fetch_trades(SYMBOL)
    client.fetch_ohlcv(SYMBOL, "1m")
    expect(client.fetch_time())


def place_query_cancel() -> None:
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, {"clientOrderId": "ccxt-1"})
    known = client.fetch_order(placed["id"], SYMBOL)
    expect(known["status"] == "open" and known["clientOrderId"] == "ccxt-1", known)
    expect(len(client.fetch_open_orders(SYMBOL)) == 1)
    client.cancel_order(placed["id"], SYMBOL)
    expect(client.fetch_order(placed["id"], SYMBOL)["status"] == "canceled")
    expect(client.fetch_closed_orders(SYMBOL)[-1]["id"] == placed["id"])


def cancel_all() -> None:
    placed = [
        client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000 + number)["id"]
        for number in range(4)
    ]
    client.cancel_orders(placed[:2], SYMBOL)
    client.cancel_all_orders()
    expect(not control("state")["open_orders"])


def market_order() -> None:
    told = client.create_order(SYMBOL, "market", "buy", 0.01)
    known = client.fetch_order(told["id"], SYMBOL)
    expect(known["status"] == "closed" and known["filled"] == 0.01, known)
    last = client.fetch_my_trades(SYMBOL)[-1]
    expect(last["order"] == told["id"] and last["fee"]["cost"] > 0, last)


def stop_orders() -> None:
    client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 55_000})
    client.create_order(SYMBOL, "limit", "sell", 0.01, 54_000, {"stopLossPrice": 55_000})
    client.create_order(SYMBOL, "market", "sell", 0.01, None, {"takeProfitPrice": 70_000})
    client.create_order(SYMBOL, "market", "sell", 0.01, None, {"trailingAmount": 1_000})
    found = client.fetch_open_orders(SYMBOL)
    expect(len(found) == 4, found)
    client.cancel_all_orders()


def edit() -> None:
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    client.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, 49_000)
    expect(client.fetch_order(placed["id"], SYMBOL)["amount"] == 0.02)
    client.cancel_all_orders()


def switch() -> None:
    client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    client.cancel_all_orders_after(1_000)
    time.sleep(1.6)
    expect(not control("state")["open_orders"])


def balances() -> None:
    held = client.fetch_balance()
    expect(held["BTC"]["total"] > 0 and held["USD"]["free"] > 0)


def refusals() -> None:
    for wanted, act in (
        (ccxt.OrderNotFound, lambda: client.cancel_order("O00000-00000-000000", SYMBOL)),
        (ccxt.InsufficientFunds, lambda: client.create_order(SYMBOL, "limit", "buy", 150, 50_000)),
        (
            ccxt.ExchangeError,  # it has no class for this one
            lambda: client.create_order(SYMBOL, "limit", "buy", 0.01, 70_000, {"postOnly": True}),
        ),
    ):
        try:
            act()
        except wanted:
            continue
        expect(False, wanted)


async def streams() -> None:
    pro = pointed(ccxt.pro.kraken(CONFIG))
    try:
        book = await pro.watch_order_book(SYMBOL, 10)
        for _ in range(10):
            book = await pro.watch_order_book(SYMBOL, 10)
        expect(book["bids"][0][0] < book["asks"][0][0])
        expect((await pro.watch_ticker(SYMBOL))["bid"])
        await pro.watch_trades(SYMBOL)
    finally:
        await pro.close()


async def private_stream() -> None:
    pro = pointed(ccxt.pro.kraken(CONFIG))
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
        expect((await asyncio.wait_for(waiting, 10))[-1]["amount"] > 0)
        waiting = asyncio.create_task(pro.watch_balance())
        expect((await asyncio.wait_for(waiting, 10))["BTC"]["total"] > 0)
    finally:
        await pro.close()
        client.cancel_all_orders()


async def orders_by_socket() -> None:
    pro = pointed(ccxt.pro.kraken(CONFIG))
    try:
        placed = await pro.create_order_ws(SYMBOL, "limit", "buy", 0.01, 50_000)
        expect(placed["id"], placed)
        await pro.cancel_order_ws(placed["id"])
        await pro.cancel_all_orders_ws()
    finally:
        await pro.close()


def reduce_only() -> None:
    raise NotOffered("Kraken has it for margin positions alone")


run(
    {
        "market data": market_data,
        "place, query, cancel": place_query_cancel,
        "cancel all, cancel a batch": cancel_all,
        "market order and fills": market_order,
        "stop orders": stop_orders,
        "edit": edit,
        "dead-man's switch": switch,
        "balances": balances,
        "refusals": refusals,
        "reduce-only": reduce_only,
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
