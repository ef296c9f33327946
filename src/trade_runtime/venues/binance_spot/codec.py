"""Binance's public wire format, without any I/O: frames and REST answers in, model objects out.

Fields and streams that we do not know are ignored, as Binance asks of its clients; frames that we
do not know are counted. What cannot be understood raises `VenueError`, whose text names what was
wrong and repeats little of it; no error of the JSON library leaks.

Quotes and trades carry floats, levels of the book `Decimal`, both from the text on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.book_sync import DepthEvent, DepthSnapshot, Levels
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.binance.streams import NS_PER_MS, Decode, decode_quote


class _Trade(msgspec.Struct, gc=False):
    trade_id: Id = msgspec.field(name="t")
    price: float = msgspec.field(name="p")
    quantity: float = msgspec.field(name="q")
    time_ms: Ms = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")


class _Depth(msgspec.Struct):
    time_ms: Ms = msgspec.field(name="E")
    first_id: Id = msgspec.field(name="U")
    last_id: Id = msgspec.field(name="u")
    bids: Levels = msgspec.field(name="b")
    asks: Levels = msgspec.field(name="a")


class _Snapshot(msgspec.Struct):
    lastUpdateId: Id  # noqa: N815
    bids: Levels
    asks: Levels


class _RestTicker(msgspec.Struct):
    symbol: str
    bidPrice: float  # noqa: N815
    bidQty: float  # noqa: N815
    askPrice: float  # noqa: N815
    askQty: float  # noqa: N815


class _RestTrade(msgspec.Struct):
    id: Id
    price: float
    qty: float
    time: Ms
    isBuyerMaker: bool  # noqa: N815


# Binance writes prices and quantities as strings; `strict=False` reads those as floats.
_trade = msgspec.json.Decoder(_Trade, strict=False)
_depth = msgspec.json.Decoder(_Depth)
_snapshot = msgspec.json.Decoder(_Snapshot)
_tickers = msgspec.json.Decoder(list[_RestTicker], strict=False)
_trades = msgspec.json.Decoder(list[_RestTrade], strict=False)


def _decode_trade(payload: msgspec.Raw, instrument: InstrumentId, _: int) -> Trade:
    raw = BINANCE.decode(_trade, payload, "trade")
    BINANCE.check_finite("trade", raw.price, raw.quantity)
    side = Side.SELL if raw.buyer_is_maker else Side.BUY
    return Trade(instrument, raw.time_ms * NS_PER_MS, raw.price, raw.quantity, side, raw.trade_id)


def _decode_depth(payload: msgspec.Raw, instrument: InstrumentId, _: int) -> DepthEvent:
    raw = BINANCE.decode(_depth, payload, "depthUpdate")
    BINANCE.check_levels("depthUpdate", raw.bids)
    BINANCE.check_levels("depthUpdate", raw.asks)
    if raw.first_id > raw.last_id:
        raise VenueError(f"Binance sent a depthUpdate with U {raw.first_id} above u {raw.last_id}")
    return DepthEvent(
        instrument, raw.time_ms * NS_PER_MS, raw.first_id, raw.last_id, raw.bids, raw.asks
    )


STREAMS: Final[Mapping[str, Decode]] = {
    "bookTicker": decode_quote,
    "trade": _decode_trade,
    "depth@100ms": _decode_depth,
}
"""What is subscribed for each symbol: `ethusdt@bookTicker` and so on."""


def decode_snapshot(body: bytes) -> DepthSnapshot:
    """Decode the answer of `/api/v3/depth`.

    Raises:
        VenueError: it made no sense.
    """
    raw = BINANCE.decode(_snapshot, body, "depth snapshot")
    BINANCE.check_levels("depth snapshot", raw.bids)
    BINANCE.check_levels("depth snapshot", raw.asks)
    return DepthSnapshot(raw.lastUpdateId, raw.bids, raw.asks)


def decode_tickers(
    body: bytes, symbols: Mapping[str, InstrumentId], received_ns: int
) -> Iterator[Quote]:
    """Decode the answer of `/api/v3/ticker/bookTicker?symbols=`.

    Quotes of one side only are left out.

    Raises:
        VenueError: it made no sense.
    """
    for raw in BINANCE.decode(_tickers, body, "list of book tickers"):
        BINANCE.check_finite("book ticker", raw.bidPrice, raw.askPrice, raw.bidQty, raw.askQty)
        instrument = symbols.get(raw.symbol)
        if instrument is not None and raw.bidPrice and raw.askPrice:
            yield Quote(instrument, received_ns, raw.bidPrice, raw.askPrice, raw.bidQty, raw.askQty)


def decode_trades(body: bytes, instrument: InstrumentId) -> list[Trade]:
    """Decode the answer of `/api/v3/trades`, oldest first.

    Raises:
        VenueError: it made no sense.
    """
    trades = []
    for raw in BINANCE.decode(_trades, body, "list of trades"):
        BINANCE.check_finite("trade", raw.price, raw.qty)
        side = Side.SELL if raw.isBuyerMaker else Side.BUY
        trades.append(Trade(instrument, raw.time * NS_PER_MS, raw.price, raw.qty, side, raw.id))
    return sorted(trades, key=lambda trade: trade.trade_id)
