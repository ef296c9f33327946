"""The public wire format of Binance USD-M Futures, without any I/O: frames and REST answers in,
model objects out.

What it shares with Spot is in `venues.binance.streams`. Trades are aggregate trades: Binance
documents no other stream of them, and its ids are what the poll tells too.
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


class _Depth(msgspec.Struct):
    time_ms: Ms = msgspec.field(name="T")
    first_id: Id = msgspec.field(name="U")
    last_id: Id = msgspec.field(name="u")
    previous_id: Id = msgspec.field(name="pu")
    bids: Levels = msgspec.field(name="b")
    asks: Levels = msgspec.field(name="a")


class _AggTrade(msgspec.Struct, gc=False):
    trade_id: Id = msgspec.field(name="a")
    price: float = msgspec.field(name="p")
    quantity: float = msgspec.field(name="q")
    time_ms: Ms = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")


class _Snapshot(msgspec.Struct):
    lastUpdateId: Id  # noqa: N815
    bids: Levels
    asks: Levels


class _Ticker(msgspec.Struct):
    symbol: str
    bidPrice: float  # noqa: N815
    bidQty: float  # noqa: N815
    askPrice: float  # noqa: N815
    askQty: float  # noqa: N815
    time: Ms = 0


_depth = msgspec.json.Decoder(_Depth)
_agg_trade = msgspec.json.Decoder(_AggTrade, strict=False)
_agg_trades = msgspec.json.Decoder(list[_AggTrade], strict=False)
_snapshot = msgspec.json.Decoder(_Snapshot)
_tickers = msgspec.json.Decoder(list[_Ticker], strict=False)


def decode_depth(payload: msgspec.Raw, instrument: InstrumentId, _: int) -> DepthEvent:
    """Decode a `depthUpdate`.

    Raises:
        VenueError: it made no sense.
    """
    raw = BINANCE.decode(_depth, payload, "depthUpdate")
    BINANCE.check_levels("depthUpdate", raw.bids)
    BINANCE.check_levels("depthUpdate", raw.asks)
    if raw.first_id > raw.last_id or raw.previous_id >= raw.last_id:
        raise VenueError(
            "Binance sent a depthUpdate whose ids do not grow:"
            f" pu {raw.previous_id}, U {raw.first_id}, u {raw.last_id}"
        )
    return DepthEvent(
        instrument,
        raw.time_ms * NS_PER_MS,
        raw.first_id,
        raw.last_id,
        raw.bids,
        raw.asks,
        raw.previous_id,
    )


def decode_agg_trade(payload: msgspec.Raw, instrument: InstrumentId, _: int) -> Trade:
    """Decode an `aggTrade`.

    Raises:
        VenueError: it made no sense.
    """
    return _trade(BINANCE.decode(_agg_trade, payload, "aggTrade"), instrument)


PUBLIC_STREAMS: Final[Mapping[str, Decode]] = {
    "bookTicker": decode_quote,
    "depth@100ms": decode_depth,
}
"""What is subscribed for each symbol on the route `/public`."""

MARKET_STREAMS: Final[Mapping[str, Decode]] = {"aggTrade": decode_agg_trade}
"""What is subscribed for each symbol on the route `/market`; on the other it would stay silent."""


def decode_snapshot(body: bytes) -> DepthSnapshot:
    """Decode the answer of `/fapi/v1/depth`.

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
    """Decode the answer of `/fapi/v1/ticker/bookTicker`, which tells every symbol there is.

    Quotes of one side only are left out.

    Raises:
        VenueError: it made no sense.
    """
    for raw in BINANCE.decode(_tickers, body, "list of book tickers"):
        instrument = symbols.get(raw.symbol)
        if instrument is None:
            continue
        BINANCE.check_finite("book ticker", raw.bidPrice, raw.askPrice, raw.bidQty, raw.askQty)
        if raw.bidPrice and raw.askPrice:
            ts_ns = raw.time * NS_PER_MS or received_ns
            yield Quote(instrument, ts_ns, raw.bidPrice, raw.askPrice, raw.bidQty, raw.askQty)


def decode_agg_trades(body: bytes, instrument: InstrumentId) -> list[Trade]:
    """Decode the answer of `/fapi/v1/aggTrades`, oldest first.

    Raises:
        VenueError: it made no sense.
    """
    raws = BINANCE.decode(_agg_trades, body, "list of aggregate trades")
    return sorted((_trade(raw, instrument) for raw in raws), key=lambda trade: trade.trade_id)


def _trade(raw: _AggTrade, instrument: InstrumentId) -> Trade:
    BINANCE.check_finite("aggTrade", raw.price, raw.quantity)
    side = Side.SELL if raw.buyer_is_maker else Side.BUY
    return Trade(instrument, raw.time_ms * NS_PER_MS, raw.price, raw.quantity, side, raw.trade_id)
