# venue: binance_spot
# requires: binance-sdk-spot==13.2.0
# key: ed25519
"""Binance's own client for Spot with an Ed25519 key: signed requests, a session logged on."""

from __future__ import annotations

import asyncio

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI
from binance_sdk_spot.spot import Spot
from told import API_KEY, API_SECRET, URL, WS_URL, arun, expect, run

client = Spot(
    config_rest_api=ConfigurationRestAPI(
        API_KEY, private_key=API_SECRET, base_path=URL, timeout=5_000
    ),
    config_ws_api=ConfigurationWebSocketAPI(
        API_KEY, private_key=API_SECRET, stream_url=f"{WS_URL}/ws-api/v3", timeout=5_000
    ),
)
SYMBOL = "BTCUSDT"


def by_rest() -> None:
    rest = client.rest_api
    placed = rest.new_order(
        SYMBOL, "BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=50_000
    ).data()
    expect(placed.status == "NEW", placed)
    expect(rest.get_account(omit_zero_balances=True).data().balances)
    rest.delete_open_orders(SYMBOL)


async def by_session() -> None:
    connection = await client.websocket_api.create_connection()
    try:
        told = (await connection.session_logon()).data()
        expect(told.result.api_key == API_KEY, told)
        stream = await connection.user_data_stream_subscribe()
        events: list[object] = []
        stream.stream.on("message", events.append)
        placed = await connection.order_place(
            SYMBOL, "BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=50_000
        )
        expect(placed.data().result.status == "NEW", placed)
        await connection.open_orders_cancel_all(SYMBOL)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if len(events) >= 4:
                break
        expect(len(events) >= 4, events)
    finally:
        await connection.close_connection(close_session=True)


run({"signed requests": by_rest})
asyncio.run(arun({"logged on: orders and private stream": by_session}))
