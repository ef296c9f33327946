"""The events of the account in the shapes of Binance USD-M Futures.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from typing import Any, Final

from trade_runtime.exchange.clock import NS_PER_MS
from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.faces.binance_usdm.words import (
    ALGO_BASE,
    algo_status_of,
    client_id_of,
    status_of,
    word_of,
)
from trade_runtime.exchange.views import Change, Order, Update, What
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO

_EXECUTIONS: Final = {
    What.ACCEPTED: "NEW",
    What.TRIGGERED: "NEW",
    What.FILLED: "TRADE",
    What.AMENDED: "AMENDMENT",
    What.CANCELLED: "CANCELED",
    What.EXPIRED: "EXPIRED",
}

Event = dict[str, Any]


def events_of(exchange: Exchange, update: Update) -> list[Event]:
    """Return the events that tell an update, in the order in which they are sent."""
    now_ms = exchange.clock.now_ms()
    told: list[Event] = []
    for change in update.changes:
        told += _of_change(change, now_ms)
    if update.balances or update.positions:
        told.append(_account(exchange, update, now_ms))
    return told


def _of_change(change: Change, now_ms: int) -> list[Event]:
    order = change.order
    if change.what is What.REJECTED:
        return []  # the answer alone tells it
    if not order.asked.type.waits:
        return _of_order(change, now_ms)
    if not order.triggered:
        return [_algo(change, now_ms, algo_status_of(order), None)]
    told: list[Event] = []
    if change.what is What.TRIGGERED:
        told.append(_algo(change, now_ms, "TRIGGERING", None))
        told.append(_algo(change, now_ms, "TRIGGERED", order))
    told += _of_order(change, now_ms)
    if not order.open:
        told.append(_algo(change, now_ms, "FINISHED", order))
    return told


def _of_order(change: Change, now_ms: int) -> list[Event]:
    told = [order_update(change, now_ms)]
    return [_lite(change, now_ms), *told] if change.execution is not None else told


def order_update(change: Change, now_ms: int) -> Event:
    """Return the event of one thing that happened to an ordinary order."""
    order, fill = change.order, change.execution
    note, at_ms = order.asked.note, change.ts_ns // NS_PER_MS
    body: Event = {
        "s": order.symbol,
        "c": client_id_of(order),
        "S": order.asked.side.upper(),
        "o": word_of(order),
        "f": note["tif"],
        "q": text(order.quantity),
        "p": text(order.price or ZERO),
        "ap": text(order.average_price),
        "sp": text(order.trigger_price or ZERO),
        "x": _EXECUTIONS[change.what],
        "X": status_of(order),
        "i": order.order_id,
        "l": text(fill.quantity if fill else ZERO),
        "z": text(order.filled),
        "L": text(fill.price if fill else ZERO),
        "T": at_ms,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": bool(fill and fill.maker),
        "R": order.asked.reduce_only,
        "wt": note["workingType"],
        "ot": str(note["type"]),
        "ps": "BOTH",
        "cp": bool(note.get("close")),
        "rp": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "NONE",
        "pm": "NONE",
        "gtd": order.asked.expire_ns // NS_PER_MS,
    }
    if fill is not None:
        body |= {"N": fill.fee_currency, "n": text(fill.fee)}
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": at_ms, "o": body}


def _lite(change: Change, now_ms: int) -> Event:
    order, fill = change.order, change.execution
    assert fill is not None
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": change.ts_ns // NS_PER_MS,
        "s": order.symbol,
        "q": text(order.quantity),
        "p": text(order.price or ZERO),
        "m": fill.maker,
        "c": client_id_of(order),
        "S": order.asked.side.upper(),
        "L": text(fill.price),
        "l": text(fill.quantity),
        "t": fill.trade_id,
        "i": order.order_id,
    }


def _algo(change: Change, now_ms: int, status: str, actual: Order | None) -> Event:
    order, at_ms = change.order, change.ts_ns // NS_PER_MS
    note = order.asked.note
    body: Event = {
        "caid": order.client_id,
        "aid": ALGO_BASE + order.order_id,
        "at": "CONDITIONAL",
        "o": str(note["type"]),
        "s": order.symbol,
        "S": order.asked.side.upper(),
        "ps": "BOTH",
        "f": note["tif"],
        "q": text(order.quantity),
        "X": status,
        "ai": str(actual.order_id) if actual is not None else "",
        "tp": text(order.trigger_price or ZERO),
        "p": text(order.price or ZERO),
        "V": "NONE",
        "wt": note["workingType"],
        "pm": "NONE",
        "cp": bool(note.get("close")),
        "pP": False,
        "R": order.asked.reduce_only,
        "tt": at_ms if order.triggered else 0,
        "gtd": order.asked.expire_ns // NS_PER_MS,
        "rm": order.reason,
    }
    if actual is not None:
        filled = status == "FINISHED"
        body |= {
            "ap": text(order.average_price if filled else ZERO),
            "aq": text(order.filled if filled else ZERO),
            "act": word_of(order),
        }
    return {"e": "ALGO_UPDATE", "T": at_ms, "E": now_ms, "o": body}


def _account(exchange: Exchange, update: Update, now_ms: int) -> Event:
    positions, held = exchange.positions(), exchange.balances()
    wallets = {one: text(held[one].total) for one in update.balances}
    return {
        "e": "ACCOUNT_UPDATE",
        "E": now_ms,
        "T": update.ts_ns // NS_PER_MS,
        "a": {
            "m": "ORDER",
            "B": [
                {"a": one, "wb": total, "cw": total, "bc": "0"} for one, total in wallets.items()
            ],
            "P": [
                {
                    "s": one,
                    "pa": text(positions[one].quantity),
                    "ep": text(positions[one].average_price or ZERO),
                    "bep": text(positions[one].average_price or ZERO),
                    "cr": "0",
                    "up": "0",
                    "mt": "cross",
                    "iw": "0",
                    "ps": "BOTH",
                }
                for one in update.positions
            ],
        },
    }
