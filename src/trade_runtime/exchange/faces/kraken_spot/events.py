"""Frames of Kraken's WebSocket v2: rows of its channels, numbers as its JSON has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from zlib import crc32

import msgspec

from trade_runtime.exchange.faces.kraken_spot.listing import Listing, Pair
from trade_runtime.exchange.faces.kraken_spot.words import (
    NAMES,
    client_name,
    order_name,
    stamp,
    stream_status,
    trade_name,
)
from trade_runtime.exchange.market import Levels, Tape
from trade_runtime.exchange.views import Change, Execution, Order, What
from trade_runtime.model.instrument import exact
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderType
from trade_runtime.venues.paper.record import Holding

CHECKED_LEVELS: Final = 10
"""Levels a side that the checksum of a book covers."""

encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def number(text: str) -> msgspec.Raw:
    """Return a number with the digits of its text."""
    return msgspec.Raw(text.encode())


def frame(channel: str, kind: str, data: list[Any] | dict[str, Any], **more: Any) -> bytes:
    """Return a message of a channel."""
    return encode({"channel": channel, "type": kind, "data": data, **more})


def checksum(pair: Pair, bids: Levels, asks: Levels) -> int:
    """Return the CRC32 of a book, as Kraken's guide has it."""
    parts = [
        text.replace(".", "").lstrip("0")
        for price, size in (*asks[:CHECKED_LEVELS], *bids[:CHECKED_LEVELS])
        for text in (pair.price(price), pair.quantity(size))
    ]
    return crc32("".join(parts).encode())


def book_rows(pair: Pair, bids: Levels, asks: Levels, crc: int, ts_ns: int) -> list[Any]:
    """Return the row of a book, or of a change of one."""

    def levels(side: Levels) -> list[dict[str, msgspec.Raw]]:
        return [
            {"price": number(pair.price(price)), "qty": number(pair.quantity(size))}
            for price, size in side
        ]

    return [
        {
            "symbol": pair.symbol,
            "bids": levels(bids),
            "asks": levels(asks),
            "checksum": crc,
            "timestamp": stamp(ts_ns),
        }
    ]


def ticker_rows(pair: Pair, quote: Quote, tape: Tape) -> list[Any]:
    """Return the row of a ticker."""
    last, first = tape.last_price, tape.first_price or tape.last_price
    vwap = tape.turnover / tape.volume if tape.volume else last
    change = (last - first) / first * 100 if first else Decimal(0)
    return [
        {
            "symbol": pair.symbol,
            "bid": number(pair.price(exact(quote.bid))),
            "bid_qty": number(pair.quantity(exact(quote.bid_size))),
            "ask": number(pair.price(exact(quote.ask))),
            "ask_qty": number(pair.quantity(exact(quote.ask_size))),
            "last": number(pair.price(last)),
            "volume": number(pair.quantity(tape.volume)),
            "vwap": number(pair.price(vwap)),
            "low": number(pair.price(tape.low or last)),
            "high": number(pair.price(tape.high or last)),
            "change": number(pair.price(last - first)),
            "change_pct": number(f"{change:.2f}"),
            "timestamp": stamp(quote.ts_ns),
        }
    ]


def trade_row(pair: Pair, trade: Trade) -> dict[str, Any]:
    """Return the row of a trade."""
    return {
        "symbol": pair.symbol,
        "side": trade.aggressor.value,
        "price": number(pair.price(exact(trade.price))),
        "qty": number(pair.quantity(exact(trade.quantity))),
        "ord_type": "market",
        "trade_id": trade.trade_id,
        "timestamp": stamp(trade.ts_ns),
    }


def instruments(listing: Listing) -> dict[str, Any]:
    """Return the data of the `instrument` channel."""
    return {
        "assets": [
            {"id": one, "status": "enabled", "precision": 10, "precision_display": 5}
            for one in listing.currencies()
        ],
        "pairs": [
            {
                "symbol": pair.symbol,
                "base": pair.instrument.base,
                "quote": pair.instrument.quote,
                "status": "online",
                "qty_precision": pair.quantity_places,
                "qty_increment": number(f"{pair.instrument.lot:f}"),
                "price_precision": pair.price_places,
                "price_increment": number(f"{pair.instrument.tick:f}"),
                "cost_precision": 5,
                "marginable": False,
                "has_index": True,
                "cost_min": number(f"{pair.instrument.min_notional:f}"),
                "qty_min": number(f"{pair.instrument.min_quantity:f}"),
            }
            for pair in listing.pairs.values()
        ],
    }


# --- the account


def balance_rows(held: dict[str, Holding]) -> list[Any]:
    """Return the rows of a snapshot of balances."""
    return [
        {
            "asset": name,
            "asset_class": "currency",
            "balance": number(f"{one.total:f}"),
            "wallets": [{"type": "spot", "id": "main", "balance": number(f"{one.total:f}")}],
        }
        for name, one in sorted(held.items())
    ]


def order_row(order: Order, pair: Pair, ts_ns: int, exec_type: str) -> dict[str, Any]:
    """Return the row that tells all of an order."""
    asked = order.asked
    row: dict[str, Any] = {
        "order_id": order_name(order.order_id),
        "symbol": order.symbol,
        "side": asked.side.value,
        "order_type": NAMES[asked.type],
        "order_qty": number(pair.quantity(order.quantity)),
        "cum_qty": number(pair.quantity(order.filled)),
        "cum_cost": number(f"{order.cost:f}"),
        "avg_price": number(pair.price(order.average_price)),
        "exec_type": exec_type,
        "order_status": stream_status(order),
        "time_in_force": asked.note.get("tif", "GTC"),
        "post_only": asked.post_only,
        "reduce_only": False,
        "margin": False,
        "order_userref": asked.note.get("userref") or 0,
        "timestamp": stamp(ts_ns),
    }
    if (name := client_name(order)) is not None:
        row["cl_ord_id"] = name
    if order.price is not None:
        row["limit_price"] = number(pair.price(order.price))
    if order.trigger_price is not None:
        trail = asked.trail if asked.type is OrderType.TRAILING_STOP else None
        row["triggers"] = {
            "reference": "last",
            "price": number(pair.price(order.trigger_price if trail is None else trail)),
            "price_type": "static" if trail is None else "quote",
            "actual_price": number(pair.price(order.trigger_price)),
            "status": "triggered" if order.triggered else "untriggered",
        }
    if order.reason:
        row["reason"] = order.reason
    return row


def short_row(order: Order, pair: Pair, ts_ns: int, exec_type: str) -> dict[str, Any]:
    """Return a row that tells only what an event changed."""
    whole = order_row(order, pair, ts_ns, exec_type)
    kept = ["order_id", "cl_ord_id", "order_userref", "exec_type", "order_status", "timestamp"]
    if exec_type != "new":
        kept += ["cum_qty", "cum_cost", "avg_price", "reason", "symbol", "triggers"]
    return {name: whole[name] for name in kept if name in whole}


def trade_event(order: Order, fill: Execution, pair: Pair, ts_ns: int) -> dict[str, Any]:
    """Return the row of a fill. It says partially_filled whatever is left: `filled` comes after."""
    row = order_row(order, pair, ts_ns, "trade")
    return {
        **row,
        "order_status": "partially_filled",
        "exec_id": trade_name(fill.trade_id),
        "trade_id": fill.trade_id,
        "last_qty": number(pair.quantity(fill.quantity)),
        "last_price": number(pair.price(fill.price)),
        "cost": number(f"{fill.price * fill.quantity:f}"),
        "liquidity_ind": "m" if fill.maker else "t",
        "fees": [{"asset": fill.fee_currency, "qty": number(f"{fill.fee:f}")}],
        "timestamp": stamp(fill.ts_ns),
    }


def rows_of(change: Change, pair: Pair) -> list[dict[str, Any]]:
    """Return the rows that tell a change, each of which is a message of its own."""
    order, ts_ns = change.order, change.ts_ns
    if change.what is What.ACCEPTED:
        return [
            {**order_row(order, pair, ts_ns, "pending_new"), "order_status": "pending_new"},
            short_row(order, pair, ts_ns, "new"),
        ]
    if change.what is What.FILLED and change.execution is not None:
        rows = [trade_event(order, change.execution, pair, ts_ns)]
        if not order.open:
            rows.append(short_row(order, pair, ts_ns, "filled"))
        return rows
    if change.what is What.AMENDED:
        return [{**order_row(order, pair, ts_ns, "amended"), "amended": True}]
    if change.what is What.TRIGGERED:
        return [short_row(order, pair, ts_ns, "status")]
    if change.what is What.CANCELLED:
        return [short_row(order, pair, ts_ns, "canceled")]
    if change.what is What.EXPIRED:
        return [short_row(order, pair, ts_ns, "expired")]
    return []
