"""The exchangeInfo of Binance USD-M Futures, without any I/O: what it says of a contract."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ZERO
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import plain


class _Filter(msgspec.Struct):
    filterType: str  # noqa: N815
    tickSize: Decimal = ZERO  # noqa: N815
    maxPrice: Decimal = ZERO  # noqa: N815
    stepSize: Decimal = ZERO  # noqa: N815
    minQty: Decimal = ZERO  # noqa: N815
    maxQty: Decimal = ZERO  # noqa: N815
    notional: Decimal = ZERO
    limit: int = 0


class _Symbol(msgspec.Struct):
    symbol: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    marginAsset: str = ""  # noqa: N815
    pricePrecision: int = 8  # noqa: N815
    quantityPrecision: int = 8  # noqa: N815
    filters: list[_Filter] = []


class _Name(msgspec.Struct):
    symbol: str


class _Info(msgspec.Struct):
    symbols: list[msgspec.Raw]


_info = msgspec.json.Decoder(_Info)
_name = msgspec.json.Decoder(_Name)
_symbol = msgspec.json.Decoder(_Symbol)


def decode_instruments(
    body: bytes, symbols: Collection[str], venue: VenueName
) -> dict[str, Instrument]:
    """Decode the answer of `/fapi/v1/exchangeInfo`, which tells all contracts, into those of
    `symbols`.

    Raises:
        VenueError: it made no sense, or market data could not carry a contract's numbers exactly.
    """
    found: dict[str, Instrument] = {}
    for entry in BINANCE.decode(_info, body, "exchangeInfo").symbols:
        name = BINANCE.decode(_name, entry, "contract").symbol
        if name in symbols:
            found[name] = _instrument(BINANCE.decode(_symbol, entry, "contract"), venue)
    return found


def decode_max_stops(body: bytes, symbols: Collection[str]) -> int | None:
    """Decode, of the answer of `/fapi/v1/exchangeInfo`, how many conditional orders may rest in
    each of `symbols`; None where it does not say.

    Raises:
        VenueError: it made no sense.
    """
    told: list[int] = []
    for entry in BINANCE.decode(_info, body, "exchangeInfo").symbols:
        if BINANCE.decode(_name, entry, "contract").symbol in symbols:
            filters = BINANCE.decode(_symbol, entry, "contract").filters
            told += [one.limit for one in filters if one.filterType == "MAX_NUM_ALGO_ORDERS"]
    return min((limit for limit in told if limit > 0), default=None)


def _instrument(raw: _Symbol, venue: VenueName) -> Instrument:
    if raw.marginAsset and raw.marginAsset != raw.quoteAsset:
        raise VenueError(
            f"{raw.symbol} cannot be used: its margin is in {raw.marginAsset}, its price in"
            f" {raw.quoteAsset}; only contracts whose profit is paid in the quote currency can be"
        )
    filters = {entry.filterType: entry for entry in raw.filters}
    none = _Filter("")
    price = filters.get("PRICE_FILTER", none)
    lot = filters.get("LOT_SIZE", none)
    try:
        # A filter of 0 is one that is off.
        return Instrument(
            id=InstrumentId(f"{raw.symbol}.{venue}"),
            base=Currency(raw.baseAsset),
            quote=Currency(raw.quoteAsset),
            tick=plain(price.tickSize) or Decimal(1).scaleb(-raw.pricePrecision),
            lot=plain(lot.stepSize) or Decimal(1).scaleb(-raw.quantityPrecision),
            min_quantity=plain(lot.minQty),
            max_quantity=plain(lot.maxQty) or None,
            min_notional=plain(filters.get("MIN_NOTIONAL", none).notional),
            max_price=plain(price.maxPrice) or None,
            kind="linear",
        )
    except (ValueError, ArithmeticError) as error:
        raise VenueError(f"{raw.symbol} cannot be used: {error}") from None
