"""Binance's exchangeInfo, without any I/O: what it says of a symbol, as an `Instrument`."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs
import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ZERO, OrderType
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import plain
from trade_runtime.venues.binance_spot.spelling import TYPES

MAX_PLACES: Final = 8
"""Binance counts in steps of 10^-8; that is the step where a filter names none."""


@attrs.frozen
class Traits:
    """What may rest in a symbol.

    Attributes:
        types: of orders.
        max_stops: orders that wait for a trigger; None where Binance names no bound.
    """

    types: frozenset[OrderType]
    max_stops: int | None


class _Filter(msgspec.Struct):
    filterType: str  # noqa: N815
    tickSize: Decimal = ZERO  # noqa: N815
    maxPrice: Decimal = ZERO  # noqa: N815
    stepSize: Decimal = ZERO  # noqa: N815
    minQty: Decimal = ZERO  # noqa: N815
    maxQty: Decimal = ZERO  # noqa: N815
    minNotional: Decimal = ZERO  # noqa: N815
    maxNumAlgoOrders: int = 0  # noqa: N815


class _Symbol(msgspec.Struct):
    symbol: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    baseAssetPrecision: int = MAX_PLACES  # noqa: N815
    quoteAssetPrecision: int = MAX_PLACES  # noqa: N815
    filters: list[_Filter] = []
    orderTypes: list[str] = []  # noqa: N815


class _Info(msgspec.Struct):
    symbols: list[_Symbol]


_info = msgspec.json.Decoder(_Info)


def decode_instruments(body: bytes, venue: VenueName) -> dict[str, Instrument]:
    """Decode the answer of `/api/v3/exchangeInfo` into instruments by symbol.

    Raises:
        VenueError: it made no sense, or market data could not carry a symbol's numbers exactly.
    """
    return {
        raw.symbol: _instrument(raw, venue)
        for raw in BINANCE.decode(_info, body, "exchangeInfo").symbols
    }


def decode_traits(body: bytes) -> dict[str, Traits]:
    """Decode the answer of `/api/v3/exchangeInfo` into what may rest in each symbol.

    Raises:
        VenueError: it made no sense.
    """
    found = {}
    for raw in BINANCE.decode(_info, body, "exchangeInfo").symbols:
        most = [one.maxNumAlgoOrders for one in raw.filters if one.maxNumAlgoOrders > 0]
        kinds = frozenset(kind for kind, text in TYPES.items() if text in raw.orderTypes)
        found[raw.symbol] = Traits(kinds, min(most, default=None))
    return found


def _instrument(raw: _Symbol, venue: VenueName) -> Instrument:
    filters = {entry.filterType: entry for entry in raw.filters}
    none = _Filter("")
    price = filters.get("PRICE_FILTER", none)
    lot = filters.get("LOT_SIZE", none)
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL", none)
    try:
        # A filter of 0 is one that is off.
        return Instrument(
            id=InstrumentId(f"{raw.symbol}.{venue}"),
            base=Currency(raw.baseAsset),
            quote=Currency(raw.quoteAsset),
            tick=plain(price.tickSize) or Decimal(1).scaleb(-raw.quoteAssetPrecision),
            lot=plain(lot.stepSize) or Decimal(1).scaleb(-raw.baseAssetPrecision),
            min_quantity=plain(lot.minQty),
            max_quantity=plain(lot.maxQty) or None,
            min_notional=plain(notional.minNotional),
            max_price=plain(price.maxPrice) or None,
        )
    except (ValueError, ArithmeticError) as error:
        raise VenueError(f"{raw.symbol} cannot be used: {error}") from None
