"""The control endpoints, under `/_control/`: the faults, the market, the state, as JSON.

They are for tests and for the person at the terminal: loopback only, as the whole server, and not
for a web page, so that a request with an `Origin` is refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.exchange.faults import KINDS, parse_fault
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.kinds import Source
from trade_runtime.exchange.record import without_secrets
from trade_runtime.exchange.views import Execution, Order
from trade_runtime.model.instrument import text
from trade_runtime.serving import Answer, Request

PREFIX: Final = "/_control/"

MAX_LISTED: Final = 10_000
"""Orders and fills of an answer, the newest; the record has them all."""

_encode = msgspec.json.Encoder(decimal_format="string").encode


class _FaultRequest(msgspec.Struct):
    fault: str


class _MarketRequest(msgspec.Struct):
    symbol: str = ""
    price: Decimal | None = None
    paused: bool | None = None


_faults = msgspec.json.Decoder(_FaultRequest)
_markets = msgspec.json.Decoder(_MarketRequest)


class Control:
    """Answers the control endpoints.

    Args:
        floor: what is looked at and changed.
        source: what moves the market.
    """

    def __init__(self, floor: Floor, source: Source) -> None:
        self._floor = floor
        self._source = source

    def answer(self, request: Request) -> Answer:
        """Answer a request; one that makes no sense gets 400 with the reason."""
        if "origin" in request.headers:
            return _answer({"error": "not for web pages"}, 403)
        what = request.path.removeprefix(PREFIX)
        try:
            if (request.method, what) == ("GET", "state"):
                return _answer(self._state())
            if what == "faults":
                return self._change_faults(request)
            if (request.method, what) == ("POST", "market"):
                return self._change_market(request)
        except (ConfigError, VenueError, msgspec.MsgspecError, ValueError) as error:
            return _answer({"error": str(error)}, 400)
        known = "GET state; GET, POST, DELETE faults; POST market"
        return _answer({"error": f"under {PREFIX} there are {known}"}, 404)

    def _change_faults(self, request: Request) -> Answer:
        faults = self._floor.faults
        if request.method == "POST":
            faults.add(parse_fault(_faults.decode(request.body).fault))
        elif request.method == "DELETE":
            faults.clear(dict(parse_qsl(request.query)).get("name", ""))
        return _answer({"faults": faults.listed(), "kinds": KINDS})

    def _change_market(self, request: Request) -> Answer:
        asked = _markets.decode(request.body)
        if asked.paused is not None:
            self._source.pause(asked.paused)
        if asked.price is not None:
            if asked.symbol not in self._floor.market.tapes:
                raise ConfigError(f"there is no {asked.symbol!r}")
            if not self._source.move(asked.symbol, asked.price):
                raise ConfigError("a recorded market goes its own way")
        return _answer({})

    def _state(self) -> dict[str, Any]:
        floor = self._floor
        exchange = floor.exchange
        return {
            "now_ns": floor.clock.now_ns(),
            "open_orders": [_order(one) for one in exchange.open_orders()],
            "orders": [_order(one) for one in exchange.orders()[-MAX_LISTED:]],
            "fills": [_fill(one) for one in exchange.fills()[-MAX_LISTED:]],
            "balances": {
                name: {"total": text(held.total), "locked": text(held.locked)}
                for name, held in exchange.balances().items()
            },
            "positions": {
                symbol: {"quantity": text(one.quantity), "price": text(one.average_price)}
                for symbol, one in exchange.positions().items()
            },
            "switches": floor.switches.armed(),
            "faults": floor.faults.listed(),
            "sockets": len(floor.sockets),
            "quotes": {
                symbol: {"bid": tape.quote.bid, "ask": tape.quote.ask}
                for symbol, tape in floor.market.tapes.items()
                if tape.quote is not None
            },
        }


def _answer(told: object, status: int = 200) -> Answer:
    return Answer(status, _encode(told))


def _order(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": str(order.asked.side),
        "type": str(order.asked.type),
        "status": str(order.status),
        "quantity": text(order.quantity),
        "filled": text(order.filled),
        "price": _text(order.price),
        "trigger_price": _text(order.trigger_price),
        "triggered": order.triggered,
        "reduce_only": order.asked.reduce_only,
        "group": order.asked.group,
        "reason": order.reason,
        "created_ns": order.created_ns,
        "note": without_secrets({name: str(one) for name, one in order.asked.note.items()}),
    }


def _fill(fill: Execution) -> dict[str, Any]:
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_id": fill.client_id,
        "symbol": fill.symbol,
        "side": str(fill.side),
        "quantity": text(fill.quantity),
        "price": text(fill.price),
        "fee": text(fill.fee),
        "fee_currency": fill.fee_currency,
        "maker": fill.maker,
        "ts_ns": fill.ts_ns,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else text(number)
