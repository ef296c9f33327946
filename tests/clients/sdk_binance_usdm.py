# venue: binance_usdm
# requires: binance-sdk-derivatives-trading-usds-futures==18.1.0
"""Binance's own client for USD-M Futures: REST, market streams, the private stream."""

from __future__ import annotations

import asyncio
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from told import API_KEY, API_SECRET, URL, WS_URL, arun, control, expect, run

client = DerivativesTradingUsdsFutures(
    config_rest_api=ConfigurationRestAPI(API_KEY, API_SECRET, base_path=URL, timeout=5_000),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS_URL),
)
rest = client.rest_api
SYMBOL = "BTCUSDT"


def limit(price: float = 50_000, **more: Any) -> Any:
    return rest.new_order(
        SYMBOL, "BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=price, **more
    ).data()


def market_data() -> None:
    info = rest.exchange_information().data()
    expect(SYMBOL in [one.symbol for one in info.symbols])
    expect(rest.check_server_time().data().server_time > 0)
    depth = rest.order_book(SYMBOL, limit=10).data()
    expect(float(depth.bids[0][0]) < float(depth.asks[0][0]))
    expect(rest.symbol_order_book_ticker(symbol=SYMBOL).data())
    expect(rest.symbol_price_ticker_v2(symbol=SYMBOL).data())
    expect(rest.ticker24hr_price_change_statistics(symbol=SYMBOL).data())
    expect(rest.recent_trades_list(SYMBOL).data() is not None)
    expect(rest.compressed_aggregate_trades_list(SYMBOL).data() is not None)
    expect(rest.kline_candlestick_data(SYMBOL, "1m").data() is not None)
    expect(rest.mark_price(symbol=SYMBOL).data())


def place_query_cancel() -> None:
    placed = limit(new_client_order_id="sdk-1")
    expect(placed.status == "NEW", placed)
    known = rest.query_order(SYMBOL, orig_client_order_id="sdk-1").data()
    expect(known.order_id == placed.order_id, known)
    expect(len(rest.current_all_open_orders(symbol=SYMBOL).data()) == 1)
    expect(rest.query_current_open_order(SYMBOL, order_id=placed.order_id).data())
    ended = rest.cancel_order(SYMBOL, order_id=placed.order_id).data()
    expect(ended.status == "CANCELED", ended)
    rest.test_order(SYMBOL, "BUY", "MARKET", quantity=0.01).data()


def amend() -> None:
    placed = limit()
    changed = rest.modify_order(SYMBOL, "BUY", 0.02, 49_000, order_id=placed.order_id).data()
    expect(float(changed.orig_qty) == 0.02, changed)
    rest.cancel_order(SYMBOL, order_id=placed.order_id)


def cancel_all() -> None:
    for number in range(3):
        limit(50_000 + number)
    expect(rest.cancel_all_open_orders(SYMBOL).data().code == 200)
    expect(not control("state")["open_orders"])


def market_order() -> None:
    told = rest.new_order(
        SYMBOL, "BUY", "MARKET", quantity=0.01, new_order_resp_type="RESULT"
    ).data()
    expect(told.status == "FILLED", told)
    trades = rest.account_trade_list(SYMBOL).data()
    expect(trades[-1].order_id == told.order_id, trades)
    expect(rest.all_orders(SYMBOL).data())
    (held,) = rest.position_information_v3(symbol=SYMBOL).data()
    expect(float(held.position_amt) == 0.01, held)


def conditional_orders() -> None:
    for kind, price in (
        ("STOP_MARKET", None),
        ("STOP", 54_000),
        ("TAKE_PROFIT_MARKET", None),
        ("TAKE_PROFIT", 69_000),
    ):
        trigger = 55_000 if kind.startswith("STOP") else 70_000
        more = {"price": price, "time_in_force": "GTC"} if price else {}
        placed = rest.new_algo_order(
            "CONDITIONAL", SYMBOL, "SELL", kind, quantity=0.01, trigger_price=trigger, **more
        ).data()
        expect(placed.algo_status == "NEW", placed)
        known = rest.query_algo_order(algo_id=placed.algo_id).data()
        expect(known.client_algo_id == placed.client_algo_id, known)
    expect(len(rest.current_all_algo_open_orders(symbol=SYMBOL).data()) == 4)
    ended = rest.cancel_algo_order(algo_id=placed.algo_id).data()
    expect(str(ended.code) == "200", ended)
    expect(rest.cancel_all_algo_open_orders(SYMBOL).data().code == 200)
    expect(rest.query_all_algo_orders(SYMBOL).data())
    expect(not control("state")["open_orders"])


def trailing_stop() -> None:
    placed = rest.new_algo_order(
        "CONDITIONAL", SYMBOL, "SELL", "TRAILING_STOP_MARKET", quantity=0.01, callback_rate=1
    ).data()
    rest.cancel_algo_order(client_algo_id=placed.client_algo_id)


def the_old_endpoint() -> None:
    """It has no parameter for the trigger any more; the type alone tells."""
    try:
        rest.new_order(SYMBOL, "SELL", "STOP_MARKET", quantity=0.01)
    except Exception as error:
        expect("Algo Order API" in str(error), error)
    else:
        expect(False, "it was taken")


def refusals() -> None:
    limit(new_client_order_id="twice")
    for wanted, act in (
        ("duplicated", lambda: limit(new_client_order_id="twice")),
        ("Unknown order", lambda: rest.cancel_order(SYMBOL, order_id=1)),
        ("does not exist", lambda: rest.query_order(SYMBOL, order_id=1)),
        (
            "Post Only",
            lambda: rest.new_order(
                SYMBOL, "BUY", "LIMIT", time_in_force="GTX", quantity=0.01, price=70_000
            ),
        ),
        (
            "Margin is insufficient",
            lambda: rest.new_order(
                SYMBOL, "BUY", "LIMIT", time_in_force="GTC", quantity=5_000, price=50_000
            ),
        ),
    ):
        try:
            act()
        except Exception as error:
            expect(wanted in str(error), error)
        else:
            expect(False, wanted)
    rest.cancel_all_open_orders(SYMBOL)


def balances() -> None:
    held = {one.asset: float(one.balance) for one in rest.futures_account_balance_v3().data()}
    expect(held["USDT"] > 0, held)
    expect(rest.account_information_v3().data().assets)
    expect(rest.get_current_position_mode().data().dual_side_position is False)
    rest.change_initial_leverage(SYMBOL, 10)


def dead_mans_switch() -> None:
    told = rest.auto_cancel_all_open_orders(SYMBOL, 60_000).data()
    expect(told.countdown_time == "60000", told)
    expect(control("state")["switches"])
    rest.auto_cancel_all_open_orders(SYMBOL, 0)
    expect(not control("state")["switches"])


async def market_streams() -> None:
    connection = await client.websocket_streams.create_connection()
    try:
        for subscribe in (
            connection.individual_symbol_book_ticker_streams(symbol=SYMBOL),
            connection.diff_book_depth_streams(symbol=SYMBOL, update_speed="100ms"),
            connection.aggregate_trade_streams(symbol=SYMBOL),
            connection.mark_price_stream(symbol=SYMBOL),
        ):
            seen: list[Any] = []
            stream = await subscribe
            stream.on("message", seen.append)
            for _ in range(100):
                if seen:
                    break
                await asyncio.sleep(0.1)
            expect(seen, stream)
            await stream.unsubscribe()
    finally:
        await connection.close_connection(close_session=True)


async def private_stream() -> None:
    key = (await asyncio.to_thread(rest.start_user_data_stream)).data().listen_key
    connection = await client.websocket_streams.create_connection()
    try:
        seen: list[Any] = []
        stream = await connection.user_data(key)
        stream.on("message", seen.append)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(rest.new_order, SYMBOL, "BUY", "MARKET", quantity=0.01)
        for _ in range(50):
            if len(seen) >= 3:
                break
            await asyncio.sleep(0.1)
        told = " ".join(str(one) for one in seen)
        expect("OrderTradeUpdate" in told or "ORDER_TRADE_UPDATE" in told, told[:300])
        await asyncio.to_thread(rest.keepalive_user_data_stream)
    finally:
        await connection.close_connection(close_session=True)


run(
    {
        "market data": market_data,
        "place, query, cancel": place_query_cancel,
        "amend": amend,
        "cancel all": cancel_all,
        "market order, fills, position": market_order,
        "conditional orders (Algo service)": conditional_orders,
        "trailing stop": trailing_stop,
        "a conditional order on the old endpoint": the_old_endpoint,
        "refusals": refusals,
        "balances, mode, leverage": balances,
        "dead-man's switch": dead_mans_switch,
    }
)
asyncio.run(arun({"market streams, depth": market_streams, "private stream": private_stream}))
