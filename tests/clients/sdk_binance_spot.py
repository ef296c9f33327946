# venue: binance_spot
# requires: binance-sdk-spot==13.2.0
"""Binance's own client for Spot: REST, the WebSocket API, market streams."""

from __future__ import annotations

import asyncio
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot
from told import API_KEY, API_SECRET, URL, WS_URL, arun, control, expect, run

client = Spot(
    config_rest_api=ConfigurationRestAPI(API_KEY, API_SECRET, base_path=URL, timeout=5_000),
    config_ws_api=ConfigurationWebSocketAPI(
        API_KEY, API_SECRET, stream_url=f"{WS_URL}/ws-api/v3", timeout=5_000
    ),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS_URL),
)
rest = client.rest_api
SYMBOL = "BTCUSDT"


def limit(price: float = 50_000, **more: Any) -> Any:
    return rest.new_order(
        SYMBOL, "BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=price, **more
    ).data()


def market_data() -> None:
    info = rest.exchange_info(symbol=SYMBOL).data()
    expect(info.symbols[0].symbol == SYMBOL)
    expect(rest.time().data().server_time > 0)
    depth = rest.depth(SYMBOL, limit=10).data()
    expect(float(depth.bids[0][0]) < float(depth.asks[0][0]))
    expect(rest.ticker_book_ticker(symbol=SYMBOL).data())
    expect(rest.ticker_price(symbol=SYMBOL).data())
    expect(rest.ticker24hr(symbol=SYMBOL).data())
    expect(rest.get_trades(SYMBOL).data() is not None)
    expect(rest.klines(SYMBOL, "1m").data() is not None)
    rest.avg_price(SYMBOL).data()
    rest.agg_trades(SYMBOL).data()


def place_query_cancel() -> None:
    placed = limit(new_client_order_id="sdk-1")
    expect(placed.status == "NEW", placed)
    known = rest.get_order(SYMBOL, orig_client_order_id="sdk-1").data()
    expect(known.order_id == placed.order_id, known)
    expect(len(rest.get_open_orders(symbol=SYMBOL).data()) == 1)
    ended = rest.delete_order(SYMBOL, order_id=placed.order_id).data()
    expect(ended.status == "CANCELED", ended)
    rest.order_test(SYMBOL, "BUY", "MARKET", quantity=0.01).data()


def cancel_all() -> None:
    for number in range(3):
        limit(50_000 + number)
    expect(len(rest.delete_open_orders(SYMBOL).data()) == 3)
    expect(not control("state")["open_orders"])


def market_order() -> None:
    told = rest.new_order(SYMBOL, "BUY", "MARKET", quantity=0.01).data()
    expect(told.status == "FILLED", told)
    trades = rest.my_trades(SYMBOL).data()
    expect(trades[-1].order_id == told.order_id, trades)
    expect(rest.all_orders(SYMBOL).data())


def stop_orders() -> None:
    for kind, price in (
        ("STOP_LOSS", None),
        ("STOP_LOSS_LIMIT", 54_000),
        ("TAKE_PROFIT", None),
        ("TAKE_PROFIT_LIMIT", 69_000),
    ):
        trigger = 55_000 if kind.startswith("STOP") else 70_000
        more = {"price": price, "time_in_force": "GTC"} if price else {}
        placed = rest.new_order(
            SYMBOL,
            "SELL",
            kind,
            quantity=0.01,
            stop_price=trigger,
            new_order_resp_type="RESULT",
            **more,
        ).data()
        expect(placed.status == "NEW", placed)
    placed = rest.new_order(SYMBOL, "SELL", "STOP_LOSS", quantity=0.01, trailing_delta=500).data()
    expect(len(rest.get_open_orders(symbol=SYMBOL).data()) == 5)
    rest.delete_open_orders(SYMBOL)


def oco() -> None:
    placed = rest.order_list_oco(
        SYMBOL,
        "SELL",
        0.01,
        "LIMIT_MAKER",
        "STOP_LOSS_LIMIT",
        above_price=70_000,
        below_stop_price=55_000,
        below_price=54_500,
        below_time_in_force="GTC",
    ).data()
    expect(len(placed.orders) == 2, placed)
    expect(rest.get_order_list(order_list_id=placed.order_list_id).data())
    expect(len(rest.open_order_list().data()) == 1)
    ended = rest.delete_order_list(SYMBOL, order_list_id=placed.order_list_id).data()
    expect(ended.list_order_status == "ALL_DONE", ended)
    old = rest.order_oco(SYMBOL, "SELL", 0.01, 70_000, 55_000).data()
    expect(len(old.orders) == 2, old)
    rest.delete_open_orders(SYMBOL)


def replace_and_amend() -> None:
    first = limit()
    told = rest.order_cancel_replace(
        SYMBOL,
        "BUY",
        "LIMIT",
        "STOP_ON_FAILURE",
        cancel_order_id=first.order_id,
        time_in_force="GTC",
        quantity=0.02,
        price=49_000,
    ).data()
    number = told.new_order_response.order_id
    expect(number, told)
    changed = rest.order_amend_keep_priority(SYMBOL, 0.01, order_id=number).data()
    expect(changed.amended_order.order_id == number, changed)
    rest.delete_open_orders(SYMBOL)


def account() -> None:
    held = rest.get_account(omit_zero_balances=True).data()
    expect({one.asset for one in held.balances} >= {"BTC", "USDT"}, held)
    expect(rest.account_commission(SYMBOL).data())
    expect(rest.rate_limit_order().data())


def refusals() -> None:
    for what, act in {
        "-2013": lambda: rest.get_order(SYMBOL, order_id=1),
        "-2011": lambda: rest.delete_order(SYMBOL, order_id=1),
        "-1013": lambda: limit(50_000.001),
        "-2010": lambda: rest.new_order(SYMBOL, "BUY", "LIMIT_MAKER", quantity=0.01, price=70_000),
    }.items():
        try:
            act()
        except Exception as error:
            text = f"{error} {getattr(error, 'error_code', '')} {vars(error)}"
            expect(type(error).__name__ == "BadRequestError", (what, text))
        else:
            expect(False, what)


async def websocket_api() -> None:
    connection = await client.websocket_api.create_connection()
    try:
        await connection.ping()
        placed = await connection.order_place(
            SYMBOL, "BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=50_000
        )
        number = placed.data().result.order_id
        status = await connection.order_status(SYMBOL, order_id=number)
        expect(status.data().result.status == "NEW", status)
        opened = await connection.open_orders_status(symbol=SYMBOL)
        expect(len(opened.data().result) == 1, opened)
        ended = await connection.order_cancel(SYMBOL, order_id=number)
        expect(ended.data().result.status == "CANCELED", ended)
        await connection.account_status()
        await connection.depth(SYMBOL)
    finally:
        await connection.close_connection(close_session=True)


async def private_stream() -> None:
    connection = await client.websocket_api.create_connection()
    try:
        told = await connection.user_data_stream_subscribe_signature()
        events: list[Any] = []
        told.stream.on("message", events.append)
        await asyncio.to_thread(limit, 50_000)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if len(events) >= 2:
                break
        expect(len(events) >= 2, events)
        await asyncio.to_thread(rest.delete_open_orders, SYMBOL)
        await connection.user_data_stream_unsubscribe(subscription_id=0)
    finally:
        await connection.close_connection(close_session=True)


async def market_streams() -> None:
    connection = await client.websocket_streams.create_connection()
    try:
        seen: list[Any] = []
        for stream in (
            await connection.book_ticker(symbol=SYMBOL),
            await connection.diff_book_depth(symbol=SYMBOL, update_speed="100ms"),
            await connection.trade(symbol=SYMBOL),
        ):
            stream.on("message", seen.append)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if len({type(one) for one in seen}) == 3:
                break
        expect(len({type(one) for one in seen}) == 3, {type(one) for one in seen})
    finally:
        await connection.close_connection(close_session=True)


run(
    {
        "market data": market_data,
        "place, query, cancel": place_query_cancel,
        "cancel all": cancel_all,
        "market order and fills": market_order,
        "stop orders": stop_orders,
        "order lists (OCO)": oco,
        "cancel-replace and amend": replace_and_amend,
        "balances, fees, limits": account,
        "refusals": refusals,
    }
)
asyncio.run(
    arun(
        {
            "WebSocket API": websocket_api,
            "private stream": private_stream,
            "market streams, depth": market_streams,
        }
    )
)
