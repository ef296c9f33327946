"""What Binance USD-M Futures says of its contracts: their filters, and what refuses an order by
them.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from trade_runtime.exchange.faces.binance.errors import BAD_SYMBOL, Rejected
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.kinds import linear
from trade_runtime.exchange.views import Order
from trade_runtime.model.instrument import Instrument, text
from trade_runtime.venues.synthetic.source import split

MAX_NUM_ORDERS: Final = 200
"""Open ordinary orders of a contract; Binance's own, as are all below."""

MAX_NUM_ALGO_ORDERS: Final = 10
"""Open conditional orders of a contract."""

_UP, _DOWN = Decimal(5), Decimal("0.2")

TYPES: Final = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)


def instrument_of(symbol: str) -> Instrument | None:
    """Return what is traded under a symbol, or None where it is not spelled as one."""
    currencies = split(symbol)
    return None if currencies is None else linear(symbol, *currencies)


def listed(floor: Floor, symbol: str) -> Instrument:
    """Return what is traded under a symbol.

    Raises:
        Rejected: there is none.
    """
    one = floor.exchange.instruments.get(symbol)
    if one is None:
        raise Rejected(-1121, BAD_SYMBOL)
    return one


def symbol_info(one: Instrument, symbol: str) -> dict[str, Any]:
    """Return what `exchangeInfo` says of a contract."""
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": str(one.base),
        "quoteAsset": str(one.quote),
        "marginAsset": str(one.quote),
        "pricePrecision": _places(one.tick),
        "quantityPrecision": _places(one.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(one),
        "orderTypes": list(TYPES),
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": [],
    }


def _places(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _filters(one: Instrument) -> list[dict[str, Any]]:
    lots = {
        "minQty": text(one.min_quantity or one.lot),
        "maxQty": text(one.max_quantity or Decimal(1_000)),
        "stepSize": text(one.lot),
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(one.tick),
            "maxPrice": text(one.max_price or Decimal(1_000_000)),
            "tickSize": text(one.tick),
        },
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {"filterType": "MAX_NUM_ORDERS", "limit": MAX_NUM_ORDERS},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": MAX_NUM_ALGO_ORDERS},
        {"filterType": "MIN_NOTIONAL", "notional": text(one.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": str(_UP),
            "multiplierDown": str(_DOWN),
            "multiplierDecimal": "4",
        },
    ]


def check_price(floor: Floor, symbol: str, price: Decimal, *, near: bool) -> None:
    """Refuse a price that a filter does not let pass.

    Args:
        floor: whose market.
        symbol: of the contract.
        price: of an order, or of its trigger.
        near: it must not lie far from the market.

    Raises:
        Rejected: a filter refuses it.
    """
    one = listed(floor, symbol)
    if price % one.tick:
        raise Rejected(-4014, "Price not increased by tick size.")
    if one.max_price is not None and price > one.max_price:
        raise Rejected(-4002, "Price greater than max price.")
    last = floor.market.tapes[symbol].last_price
    if near and last and not last * _DOWN <= price <= last * _UP:
        raise Rejected(
            -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter."
        )


def check_size(
    floor: Floor, symbol: str, quantity: Decimal, price: Decimal | None, *, reduces: bool
) -> None:
    """Refuse a quantity that a filter does not let pass, at `price` or that of the market.

    Raises:
        Rejected: a filter refuses it.
    """
    one = listed(floor, symbol)
    if quantity % one.lot:
        raise Rejected(-1111, "Precision is over the maximum defined for this asset.")
    if quantity < one.min_quantity:
        raise Rejected(-4003, "Quantity less than or equal to zero.")
    if one.max_quantity is not None and quantity > one.max_quantity:
        raise Rejected(-4005, "Quantity greater than max quantity.")
    notional = quantity * (price or floor.market.tapes[symbol].last_price)
    if notional < one.min_notional and not reduces:
        raise Rejected(
            -4164,
            f"Order's notional must be no smaller than {text(one.min_notional)}"
            " (unless you choose reduce only).",
        )


def waits(order: Order) -> bool:
    """Tell whether an order is one of the Algo service: it waits for its trigger."""
    return order.asked.type.waits and not order.triggered


def check_room(floor: Floor, symbol: str, *, conditional: bool) -> None:
    """Refuse an order beyond the number that a contract may have open in its service.

    Raises:
        Rejected: there are too many.
    """
    there = sum(1 for one in floor.exchange.open_orders(symbol) if waits(one) is conditional)
    if there >= (MAX_NUM_ALGO_ORDERS if conditional else MAX_NUM_ORDERS):
        raise (
            Rejected(-4045, "Reach max stop order limit.")
            if conditional
            else Rejected(-2025, "Reach max open order limit.")
        )
