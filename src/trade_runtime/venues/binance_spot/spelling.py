"""How Binance Spot spells what an order is, both ways. Sans-I/O.

A word that we do not know has no meaning here: who reads it decides what that is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trade_runtime.model.orders import OrderType, ReportStatus, Side, TimeInForce

TYPES: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP_MARKET: "STOP_LOSS",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
    OrderType.TAKE_PROFIT: "TAKE_PROFIT",
    OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
}
"""What Binance Spot holds. Its trailing stop follows by a share of the price, in basis points, and
not at a distance: ours has no spelling there."""

LIMIT_MAKER: Final = "LIMIT_MAKER"
"""A limit order that is refused rather than let take."""

TIFS: Final[Mapping[TimeInForce, str]] = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
}

SIDES: Final[Mapping[Side, str]] = {Side.BUY: "BUY", Side.SELL: "SELL"}

SIDE_OF: Final[Mapping[str, Side]] = {text: side for side, text in SIDES.items()}

TYPE_OF: Final[Mapping[str, OrderType]] = {
    LIMIT_MAKER: OrderType.LIMIT,
    **{text: kind for kind, text in TYPES.items()},
}

STATUS_OF: Final[Mapping[str, ReportStatus]] = {
    "NEW": ReportStatus.OPEN,
    "PENDING_NEW": ReportStatus.OPEN,
    "PARTIALLY_FILLED": ReportStatus.OPEN,
    "PENDING_CANCEL": ReportStatus.OPEN,
    "FILLED": ReportStatus.FILLED,
    "CANCELED": ReportStatus.CANCELLED,
    "REJECTED": ReportStatus.REJECTED,
    "EXPIRED": ReportStatus.EXPIRED,
    "EXPIRED_IN_MATCH": ReportStatus.EXPIRED,
}
