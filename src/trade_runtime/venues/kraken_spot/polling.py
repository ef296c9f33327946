"""What Kraken's public REST API says of a market, without any I/O: tickers and trades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.kraken_spot.codec import KRAKEN
from trade_runtime.venues.kraken_spot.times import ns_of_secs
from trade_runtime.venues.wire.payload import excerpt


class _Ticker(msgspec.Struct):
    a: tuple[float, float, float]
    b: tuple[float, float, float]


class _Trade(msgspec.Struct, array_like=True, gc=False):
    price: float
    quantity: float
    time: Decimal
    side: str
    type: str
    misc: str
    trade_id: int


_tickers = msgspec.json.Decoder(dict[str, _Ticker], strict=False)
_named = msgspec.json.Decoder(dict[str, msgspec.Raw])
_trades = msgspec.json.Decoder(list[_Trade], strict=False)


def decode_tickers(
    body: msgspec.Raw, keys: Mapping[str, InstrumentId], received_ns: int
) -> Iterator[Quote]:
    """Decode the result of `/0/public/Ticker`; quotes of one side only are left out.

    Raises:
        VenueError: it made no sense.
    """
    for key, raw in KRAKEN.decode(_tickers, body, "list of tickers").items():
        instrument = keys.get(key)
        (ask, _, ask_size), (bid, _, bid_size) = raw.a, raw.b
        KRAKEN.check_finite("ticker", bid, ask, bid_size, ask_size)
        if instrument is not None and bid and ask:
            yield Quote(instrument, received_ns, bid, ask, bid_size, ask_size)


def decode_trades(body: msgspec.Raw, instrument: InstrumentId) -> list[Trade]:
    """Decode the result of `/0/public/Trades` for one pair, oldest first.

    Raises:
        VenueError: it made no sense.
    """
    trades: list[Trade] = []
    for key, rows in KRAKEN.decode(_named, body, "list of trades").items():
        if key == "last":
            continue
        for raw in KRAKEN.decode(_trades, rows, "list of trades"):
            KRAKEN.check_finite("trade", raw.price, raw.quantity, raw.trade_id)
            if raw.side not in ("b", "s"):
                raise VenueError(f"Kraken sent a side that is none: {excerpt(raw.side)!r}")
            side = Side.BUY if raw.side == "b" else Side.SELL
            at_ns = ns_of_secs(raw.time)
            trades.append(Trade(instrument, at_ns, raw.price, raw.quantity, side, raw.trade_id))
    return sorted(trades, key=lambda trade: trade.trade_id)
