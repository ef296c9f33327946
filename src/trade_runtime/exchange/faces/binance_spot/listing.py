"""What Binance Spot says of its symbols: their filters, and what refuses an order by them.

Source: https://developers.binance.com/docs/binance-spot-api-docs/filters
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from trade_runtime.exchange.faces.binance.errors import BAD_SYMBOL, Rejected, filtered
from trade_runtime.exchange.faces.binance.params import text8
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.kinds import spot
from trade_runtime.exchange.views import Order
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import OrderType
from trade_runtime.venues.synthetic.source import split

MAX_NUM_ORDERS: Final = 200
"""Open orders of a symbol; Binance's own, as are all below."""

MAX_NUM_ALGO_ORDERS: Final = 5
"""Open orders of a symbol that wait for a trigger."""

MAX_NUM_ORDER_LISTS: Final = 20
"""Open order lists of a symbol."""

MAX_TRAILING_BIPS: Final = 2_000
MIN_TRAILING_BIPS: Final = 10
_UP, _DOWN = Decimal(5), Decimal("0.2")
_MAX_NOTIONAL: Final = Decimal(9_000_000)

ORDER_TYPES: Final = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP_MARKET,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT_LIMIT,
}
"""The core's type of each of Binance's."""


def instrument_of(symbol: str) -> Instrument | None:
    """Return what is traded under a symbol, or None where it is not spelled as one."""
    currencies = split(symbol)
    return None if currencies is None else spot(symbol, *currencies)


def symbol_info(one: Instrument, symbol: str) -> dict[str, Any]:
    """Return what `exchangeInfo` says of a symbol."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": str(one.base),
        "baseAssetPrecision": 8,
        "quoteAsset": str(one.quote),
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(one),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(one: Instrument) -> list[dict[str, Any]]:
    lots = {
        "minQty": text8(one.min_quantity),
        "maxQty": text8(one.max_quantity or Decimal(9_000)),
        "stepSize": text8(one.lot),
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text8(one.tick),
            "maxPrice": text8(one.max_price or Decimal(1_000_000)),
            "tickSize": text8(one.tick),
        },
        {"filterType": "LOT_SIZE", **lots},
        {
            "filterType": "MARKET_LOT_SIZE",
            **lots,
            "minQty": text8(Decimal(0)),
            "stepSize": "0.00000000",
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": MIN_TRAILING_BIPS,
            "maxTrailingAboveDelta": MAX_TRAILING_BIPS,
            "minTrailingBelowDelta": MIN_TRAILING_BIPS,
            "maxTrailingBelowDelta": MAX_TRAILING_BIPS,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": str(_UP),
            "bidMultiplierDown": str(_DOWN),
            "askMultiplierUp": str(_UP),
            "askMultiplierDown": str(_DOWN),
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text8(one.min_notional),
            "applyMinToMarket": True,
            "maxNotional": text8(_MAX_NOTIONAL),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_NUM_ORDERS},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": MAX_NUM_ORDER_LISTS},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_NUM_ALGO_ORDERS},
    ]


def listed(floor: Floor, symbol: str) -> Instrument:
    """Return what is traded under a symbol.

    Raises:
        Rejected: there is none.
    """
    one = floor.exchange.instruments.get(symbol)
    if one is None:
        raise Rejected(-1121, BAD_SYMBOL)
    return one


def check_price(floor: Floor, symbol: str, price: Decimal) -> None:
    """Refuse a price that a filter does not let pass.

    Raises:
        Rejected: a filter refuses it.
    """
    one = listed(floor, symbol)
    if price % one.tick or (one.max_price is not None and price > one.max_price):
        raise filtered("PRICE_FILTER")
    last = floor.market.tapes[symbol].last_price
    if last and not last * _DOWN <= price <= last * _UP:
        raise filtered("PERCENT_PRICE_BY_SIDE")


def check_size(floor: Floor, symbol: str, quantity: Decimal, price: Decimal | None) -> None:
    """Refuse a quantity that a filter does not let pass, at `price` or that of the market.

    Raises:
        Rejected: a filter refuses it.
    """
    one = listed(floor, symbol)
    too_large = one.max_quantity is not None and quantity > one.max_quantity
    if quantity % one.lot or quantity < one.min_quantity or too_large:
        raise filtered("LOT_SIZE")
    notional = quantity * (price or floor.market.tapes[symbol].last_price)
    if notional < one.min_notional or (price is not None and notional > _MAX_NOTIONAL):
        raise filtered("NOTIONAL")


def check_room(floor: Floor, symbol: str, *, waits: bool, orders: int = 1) -> None:
    """Refuse orders beyond the number that a symbol may have open.

    Raises:
        Rejected: there are too many.
    """
    live = floor.exchange.open_orders(symbol)
    if len(live) + orders > MAX_NUM_ORDERS:
        raise filtered("MAX_NUM_ORDERS")
    if waits and sum(1 for one in live if _waits(one)) >= MAX_NUM_ALGO_ORDERS:
        raise filtered("MAX_NUM_ALGO_ORDERS")


def _waits(order: Order) -> bool:
    return order.asked.type.waits and not order.triggered
