"""What can be asked of Binance USD-M Futures, what it costs, and the parameters that it knows.

The weights are Binance's own; so is that an order has none, and counts as an order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from trade_runtime.exchange.faces.binance.calls import (
    ORDERS,
    WEIGHT,
    Endpoint,
    Handler,
    Security,
)
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_usdm.account import Account
from trade_runtime.exchange.faces.binance_usdm.listen import ListenKeys
from trade_runtime.exchange.faces.binance_usdm.orders import Algos, Orders
from trade_runtime.exchange.faces.binance_usdm.public import Public
from trade_runtime.exchange.faults import About
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Window

WINDOWS: Final = (Window(WEIGHT, 2_400, 60), Window(ORDERS, 300, 10), Window(ORDERS, 1_200, 60))
"""Binance's own limits."""

Weight = int | Callable[[Params], int]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SYMBOL: Final = _words("symbol")
_ORDER: Final = _words("symbol orderId origClientOrderId")
_PAGE: Final = _words("symbol orderId startTime endTime limit")
_NEW: Final = _words(
    "symbol side positionSide type timeInForce quantity reduceOnly price newClientOrderId stopPrice"
    " closePosition activationPrice callbackRate workingType priceProtect newOrderRespType"
    " priceMatch selfTradePreventionMode goodTillDate"
)
_NEW_ALGO: Final = _words(
    "algoType symbol side positionSide type timeInForce quantity price triggerPrice workingType"
    " priceMatch closePosition priceProtect reduceOnly activatePrice callbackRate clientAlgoId"
    " newOrderRespType selfTradePreventionMode goodTillDate"
)
_AMEND: Final = _words(
    "symbol orderId origClientOrderId side quantity price priceMatch modifyId reduceOnly"
)
_ALGO: Final = _words("symbol algoId clientAlgoId")


def _without_symbol(few: int, many: int) -> Weight:
    def weight(params: Params) -> int:
        return few if "symbol" in params else many

    return weight


def _depth_weight(params: Params) -> int:
    limit = params.whole("limit", 500)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def _seen(path: str, handler: Handler, weight: Weight = 1) -> Endpoint:
    http = f"GET /fapi/{path}"
    return Endpoint(handler, http, about=About.PUBLIC, weight=weight, security=Security.NONE)


def _asked(path: str, handler: Handler, weight: Weight, known: frozenset[str] | None) -> Endpoint:
    return Endpoint(handler, f"GET /fapi/{path}", weight=weight, known=known)


def _done(
    what: str,
    handler: Handler,
    about: About,
    known: frozenset[str] | None,
    *,
    weight: int = 1,
    orders: int = 0,
) -> Endpoint:
    method, _, path = what.partition(" ")
    http = f"{method} /fapi/{path}"
    return Endpoint(handler, http, about=about, weight=weight, orders=orders, known=known)


def endpoints(floor: Floor, keys: ListenKeys) -> Iterable[Endpoint]:
    """Return all that can be asked for."""
    yield from _market(Public(floor, WINDOWS))
    yield from _ordinary(Orders(floor))
    yield from _conditional(Algos(floor))
    yield from _account(Account(floor))
    for method, handler in (("POST", keys.create), ("PUT", keys.refresh), ("DELETE", keys.end)):
        yield Endpoint(handler, f"{method} /fapi/v1/listenKey", security=Security.KEY)


def _market(public: Public) -> Iterable[Endpoint]:
    yield _seen("v1/ping", public.ping)
    yield _seen("v1/time", public.time)
    yield _seen("v1/exchangeInfo", public.info)
    yield _seen("v1/depth", public.depth, _depth_weight)
    yield _seen("v1/trades", public.trades, 5)
    yield _seen("v1/aggTrades", public.agg_trades, 20)
    yield _seen("v1/klines", public.klines, 5)
    yield _seen("v1/premiumIndex", public.mark)
    yield _seen("v1/ticker/24hr", public.day, _without_symbol(1, 40))
    yield _seen("v1/ticker/bookTicker", public.book_ticker, _without_symbol(2, 5))
    for version in ("v1", "v2"):
        yield _seen(f"{version}/ticker/price", public.price, _without_symbol(1, 2))


def _ordinary(orders: Orders) -> Iterable[Endpoint]:
    yield _done("POST v1/order", orders.place, About.ORDER, _NEW, weight=0, orders=1)
    yield _done("POST v1/order/test", orders.test, About.QUERY, _NEW, weight=0)
    yield _done("PUT v1/order", orders.amend, About.AMEND, _AMEND, weight=0, orders=1)
    yield _done("DELETE v1/order", orders.cancel, About.CANCEL, _ORDER)
    yield _done("DELETE v1/allOpenOrders", orders.cancel_all, About.CANCEL, _SYMBOL)
    yield _asked("v1/order", orders.query, 1, _ORDER)
    yield _asked("v1/openOrder", orders.query_open, 1, _ORDER)
    yield _asked("v1/openOrders", orders.open, _without_symbol(1, 40), _SYMBOL)
    yield _asked("v1/allOrders", orders.all, 5, _PAGE)
    yield _asked("v1/userTrades", orders.trades, 5, _PAGE | {"fromId"})


def _conditional(algos: Algos) -> Iterable[Endpoint]:
    yield _done("POST v1/algoOrder", algos.place, About.ORDER, _NEW_ALGO, weight=0, orders=1)
    yield _done("DELETE v1/algoOrder", algos.cancel, About.CANCEL, _ALGO)
    yield _done("DELETE v1/algoOpenOrders", algos.cancel_all, About.CANCEL, _SYMBOL)
    yield _asked("v1/algoOrder", algos.query, 1, _ALGO)
    some = _words("algoType symbol algoId")
    yield _asked("v1/openAlgoOrders", algos.open, _without_symbol(1, 40), some)
    paged = _words("symbol algoId startTime endTime page limit")
    yield _asked("v1/allAlgoOrders", algos.all, 5, paged)


def _account(account: Account) -> Iterable[Endpoint]:
    switch = _words("symbol countdownTime")
    yield _done("POST v1/countdownCancelAll", account.countdown, About.SWITCH, switch, weight=10)
    for version in ("v2", "v3"):
        yield _asked(f"{version}/account", account.account, 5, frozenset())
        yield _asked(f"{version}/balance", account.balances, 5, frozenset())
        yield _asked(f"{version}/positionRisk", account.positions, 5, _SYMBOL)
    yield _asked("v1/positionSide/dual", account.mode, 30, frozenset())
    yield _asked("v1/multiAssetsMargin", account.multi_assets, 30, frozenset())
    yield _asked("v1/commissionRate", account.commission, 20, _SYMBOL)
    yield _asked("v1/leverageBracket", account.brackets, 1, _SYMBOL)
    yield _asked("v1/symbolConfig", account.symbol_config, 5, _SYMBOL)
    yield _asked("v1/income", account.income, 30, None)
    yield Endpoint(account.coins, "GET /sapi/v1/capital/config/getall", weight=10)
    yield Endpoint(account.no_margin, "GET /sapi/v1/margin/allPairs", security=Security.KEY)
    yield Endpoint(account.no_margin, "GET /sapi/v1/margin/isolated/allPairs")
    yield _done("POST v1/positionSide/dual", account.set_mode, About.QUERY, None)
    yield _done("POST v1/leverage", account.set_leverage, About.QUERY, None)
    yield _done("POST v1/marginType", account.set_margin_type, About.QUERY, None)
