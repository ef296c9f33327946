"""What Binance Spot can be asked for: paths, methods, weights, parameters.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/rest-api and .../websocket-api
"""

from __future__ import annotations

from typing import Final

from trade_runtime.exchange.faces.binance.calls import Endpoint, Security
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_spot.account import Account
from trade_runtime.exchange.faces.binance_spot.lists import Lists
from trade_runtime.exchange.faces.binance_spot.orders import Orders
from trade_runtime.exchange.faces.binance_spot.public import Public
from trade_runtime.exchange.faults import About


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


ORDER: Final = _set(
    "symbol side type timeInForce quantity quoteOrderQty price newClientOrderId strategyId"
    " strategyType stopPrice trailingDelta newOrderRespType selfTradePreventionMode"
    " computeCommissionRates"
)
CANCEL: Final = _set("symbol orderId origClientOrderId newClientOrderId cancelRestrictions")
LIST: Final = _set(
    "symbol listClientOrderId side quantity newOrderRespType selfTradePreventionMode"
    " aboveType aboveClientOrderId abovePrice aboveStopPrice aboveTrailingDelta aboveTimeInForce"
    " aboveStrategyId aboveStrategyType belowType belowClientOrderId belowPrice belowStopPrice"
    " belowTrailingDelta belowTimeInForce belowStrategyId belowStrategyType"
)
OLD_LIST: Final = _set(
    "symbol listClientOrderId side quantity limitClientOrderId price stopClientOrderId stopPrice"
    " stopLimitPrice stopLimitTimeInForce newOrderRespType selfTradePreventionMode"
)
LIST_ID: Final = _set("symbol orderListId listClientOrderId origClientOrderId newClientOrderId")
PAGE: Final = _set("symbol orderId fromId startTime endTime limit")


def _depth_weight(params: Params) -> int:
    limit = params.whole("limit", 100)
    return next(
        (weight for most, weight in ((100, 5), (500, 25), (1_000, 50)) if limit <= most), 250
    )


def order_endpoints(orders: Orders, lists: Lists) -> list[Endpoint]:
    """Return what orders can be asked for."""
    order, cancel, amend = About.ORDER, About.CANCEL, About.AMEND
    v3 = "/api/v3"
    return [
        Endpoint(orders.place, f"POST {v3}/order", "order.place", order, 1, 1, known=ORDER),
        Endpoint(orders.test, f"POST {v3}/order/test", "order.test", known=ORDER),
        Endpoint(orders.query, f"GET {v3}/order", "order.status", weight=4, known=CANCEL),
        Endpoint(orders.cancel, f"DELETE {v3}/order", "order.cancel", cancel, known=CANCEL),
        Endpoint(
            orders.cancel_all,
            f"DELETE {v3}/openOrders",
            "openOrders.cancelAll",
            cancel,
            known=_set("symbol"),
        ),
        Endpoint(
            orders.open,
            f"GET {v3}/openOrders",
            "openOrders.status",
            weight=lambda params: 6 if "symbol" in params else 80,
            known=_set("symbol"),
        ),
        Endpoint(orders.all, f"GET {v3}/allOrders", "allOrders", weight=20, known=PAGE),
        Endpoint(orders.trades, f"GET {v3}/myTrades", "myTrades", weight=20, known=PAGE),
        Endpoint(
            orders.replace,
            f"POST {v3}/order/cancelReplace",
            "order.cancelReplace",
            order,
            1,
            1,
            known=ORDER
            | _set(
                "cancelReplaceMode cancelNewClientOrderId cancelOrigClientOrderId cancelOrderId"
                " cancelRestrictions orderRateLimitExceededMode"
            ),
        ),
        Endpoint(
            orders.amend,
            f"PUT {v3}/order/amend/keepPriority",
            "order.amend.keepPriority",
            amend,
            4,
            known=CANCEL | _set("newQty"),
        ),
        Endpoint(
            lists.place, f"POST {v3}/orderList/oco", "orderList.place.oco", order, 1, 2, known=LIST
        ),
        Endpoint(
            lists.place_old, f"POST {v3}/order/oco", "orderList.place", order, 1, 2, known=OLD_LIST
        ),
        Endpoint(lists.cancel, f"DELETE {v3}/orderList", "orderList.cancel", cancel, known=LIST_ID),
        Endpoint(lists.query, f"GET {v3}/orderList", "orderList.status", weight=4, known=LIST_ID),
        Endpoint(lists.open, f"GET {v3}/openOrderList", "openOrderLists.status", weight=6),
        Endpoint(lists.all, f"GET {v3}/allOrderList", "allOrderLists", weight=20, known=PAGE),
    ]


def account_endpoints(account: Account) -> list[Endpoint]:
    """Return what of the account can be asked for."""
    v3 = "/api/v3"
    return [
        Endpoint(
            account.account,
            f"GET {v3}/account",
            "account.status",
            weight=20,
            known=_set("omitZeroBalances"),
        ),
        Endpoint(
            account.commission,
            f"GET {v3}/account/commission",
            "account.commission",
            weight=20,
            known=_set("symbol"),
        ),
        Endpoint(
            account.order_limits,
            f"GET {v3}/rateLimit/order",
            "account.rateLimits.orders",
            weight=40,
        ),
        Endpoint(account.restrictions, "GET /sapi/v1/account/apiRestrictions"),
        Endpoint(account.coins, "GET /sapi/v1/capital/config/getall", weight=10),
        Endpoint(account.fees, "GET /sapi/v1/asset/tradeFee", known=_set("symbol")),
        Endpoint(account.no_margin, "GET /sapi/v1/margin/allPairs", security=Security.KEY),
        Endpoint(account.no_margin, "GET /sapi/v1/margin/isolated/allPairs"),
    ]


def public_endpoints(public: Public) -> list[Endpoint]:
    """Return what of the market can be asked for."""
    v3, about, none = "/api/v3", About.PUBLIC, Security.NONE
    return [
        Endpoint(public.ping, f"GET {v3}/ping", "ping", about, 1, security=none),
        Endpoint(public.time, f"GET {v3}/time", "time", about, 1, security=none),
        Endpoint(
            public.exchange_info, f"GET {v3}/exchangeInfo", "exchangeInfo", about, 20, security=none
        ),
        Endpoint(public.depth, f"GET {v3}/depth", "depth", about, _depth_weight, security=none),
        Endpoint(public.trades, f"GET {v3}/trades", "trades.recent", about, 25, security=none),
        Endpoint(
            public.trades,
            f"GET {v3}/historicalTrades",
            "trades.historical",
            about,
            25,
            security=Security.KEY,
        ),
        Endpoint(
            public.agg_trades, f"GET {v3}/aggTrades", "trades.aggregate", about, 4, security=none
        ),
        Endpoint(public.klines, f"GET {v3}/klines", "klines", about, 2, security=none),
        Endpoint(public.klines, f"GET {v3}/uiKlines", "uiKlines", about, 2, security=none),
        Endpoint(public.average_price, f"GET {v3}/avgPrice", "avgPrice", about, 2, security=none),
        Endpoint(public.day, f"GET {v3}/ticker/24hr", "ticker.24hr", about, 2, security=none),
        Endpoint(public.price, f"GET {v3}/ticker/price", "ticker.price", about, 2, security=none),
        Endpoint(
            public.book_ticker,
            f"GET {v3}/ticker/bookTicker",
            "ticker.book",
            about,
            2,
            security=none,
        ),
    ]
