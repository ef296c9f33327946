"""What a cache shows of an order, a position, a quote: JSON, numbers of money as text.

`docs/reference/cache.md` has the schema; its version is `SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import singledispatch
from typing import Any

import attrs
import msgspec

from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import Order
from trade_runtime.model.instrument import text
from trade_runtime.model.market import Quote

SCHEMA = 1
"""Of the values; raised when a field changes its meaning, not when one is added."""

_encode = msgspec.json.Encoder().encode


@attrs.frozen
class Balance:
    """What an account holds of a currency, free and locked, and when the venue was asked."""

    total: Decimal
    asked_ns: int


def encode(source: object) -> bytes:
    """Return the JSON of an order, a position, a quote or a balance, as it is at this moment."""
    return _encode(_shown(source))


@singledispatch
def _shown(source: object) -> Mapping[str, Any]:
    raise TypeError(type(source).__name__)


@_shown.register
def _order(order: Order) -> Mapping[str, Any]:
    spec = order.spec
    return {
        "id": order.id,
        "venue_order_id": order.venue_order_id,
        "strategy": order.strategy,
        "instrument": order.instrument,
        "side": spec.side,
        "type": spec.type,
        "tif": spec.tif,
        "quantity": text(order.quantity),
        "price": _number(order.price),
        "trigger_price": _number(order.trigger_price),
        "filled": text(order.filled),
        "state": order.state,
        "protective": spec.protective,
        "post_only": spec.post_only,
        "reduce_only": spec.reduce_only,
        "emulated": spec.emulated,
        "parent": spec.parent,
        "oco": spec.oco,
        "cancel_requested": order.cancel_requested,
        "created_ns": spec.created_ns,
    }


@_shown.register
def _position(position: Position) -> Mapping[str, Any]:
    return {
        "strategy": position.strategy,
        "instrument": position.instrument,
        "quantity": text(position.quantity),
        "average_price": text(position.average_price),
        "realised": text(position.realised),
        "fees": {currency: text(fee) for currency, fee in position.fees.items()},
        "opened_ns": position.opened_ns,
    }


@_shown.register
def _quote(quote: Quote) -> Mapping[str, Any]:
    return {
        "instrument": quote.instrument,
        "bid": quote.bid,
        "ask": quote.ask,
        "bid_size": quote.bid_size,
        "ask_size": quote.ask_size,
        "ts_ns": quote.ts_ns,
    }


@_shown.register
def _balance(balance: Balance) -> Mapping[str, Any]:
    return {"total": text(balance.total), "asked_ns": balance.asked_ns}


def _number(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
