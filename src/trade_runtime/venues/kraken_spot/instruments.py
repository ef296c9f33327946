"""Kraken's AssetPairs, without any I/O: its symbols, under every name that it has for them.

The WebSocket calls a symbol `BTC/USD`; so do we. REST calls it `XXBTZUSD`, `XBTUSD` and `XBT/USD`,
and bitcoin `XXBT` or `XBT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import attrs
import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ZERO
from trade_runtime.venues.kraken_spot.codec import KRAKEN, check_digits
from trade_runtime.venues.wire.payload import excerpt

MODERN: Final = {"XBT": "BTC", "XDG": "DOGE"}
"""Two currencies have names at Kraken that nobody else gives them; its WebSocket v2 does not."""


class _Pair(msgspec.Struct):
    altname: str
    base: str
    quote: str
    pair_decimals: int
    lot_decimals: int
    wsname: str = ""
    ordermin: Decimal = ZERO
    costmin: Decimal = ZERO
    tick_size: Decimal = ZERO
    status: str = "online"


_pairs = msgspec.json.Decoder(dict[str, _Pair])


@attrs.frozen
class Pair:
    """One symbol.

    Attributes:
        symbol: as the WebSocket spells it: `BTC/USD`.
        key: as REST answers: `XXBTZUSD`.
        altname: as REST orders: `XBTUSD`.
        instrument: what it is; its id carries the venue's name.
        price_places, quantity_places: decimal places of its numbers.
        status: `online`, or why it is not traded.
    """

    symbol: str
    key: str
    altname: str
    instrument: Instrument
    price_places: int
    quantity_places: int
    status: str


class Listing:
    """All that Kraken lists.

    Args:
        pairs: that can be used.
        assets: what each currency is called, by Kraken's name in REST.
        unusable: why others cannot be, by symbol.
    """

    def __init__(
        self, pairs: Iterable[Pair], assets: Mapping[str, Currency], unusable: Mapping[str, str]
    ) -> None:
        self.by_symbol = {pair.symbol: pair for pair in pairs}
        self.unusable = unusable
        self._assets = assets
        self._by_name: dict[str, Pair] = {}
        for pair in self.by_symbol.values():
            for name in (pair.symbol, pair.key, pair.altname):
                self._by_name[name] = pair

    def of_rest(self, name: str) -> Pair | None:
        """Return the symbol that REST calls so."""
        return self._by_name.get(name)

    def currency(self, name: str) -> Currency:
        """Return the currency that REST calls `XXBT`, or `XBT.F` where it is held to earn."""
        asset, dot, held = name.partition(".")
        return Currency(f"{self._assets.get(asset, MODERN.get(asset, asset))}{dot}{held}")


def decode_pairs(body: msgspec.Raw | bytes, venue: VenueName) -> Listing:
    """Decode the result of `/0/public/AssetPairs`.

    Raises:
        VenueError: it made no sense.
    """
    found: list[Pair] = []
    assets: dict[str, Currency] = {}
    unusable: dict[str, str] = {}
    for key, raw in KRAKEN.decode(_pairs, body, "list of pairs").items():
        if raw.wsname.count("/") != 1:
            continue  # a dark pool, which no stream tells of
        base, quote = (MODERN.get(name, name) for name in raw.wsname.split("/"))
        symbol = f"{base}/{quote}"
        assets.setdefault(raw.base, Currency(base))
        assets.setdefault(raw.quote, Currency(quote))
        try:
            found.append(_pair(key, raw, symbol, venue))
        except (ValueError, ArithmeticError, VenueError) as error:
            unusable[symbol] = excerpt(str(error))
    return Listing(found, assets, unusable)


def _pair(key: str, raw: _Pair, symbol: str, venue: VenueName) -> Pair:
    base, _, quote = symbol.partition("/")
    if not (0 <= raw.pair_decimals <= 18 and 0 <= raw.lot_decimals <= 18):
        raise ValueError(f"numbers of {raw.pair_decimals} and {raw.lot_decimals} places")
    check_digits("pair", raw.tick_size, raw.ordermin, raw.costmin)
    instrument = Instrument(
        id=InstrumentId(f"{symbol}.{venue}"),
        base=Currency(base),
        quote=Currency(quote),
        tick=raw.tick_size or Decimal(1).scaleb(-raw.pair_decimals),
        lot=Decimal(1).scaleb(-raw.lot_decimals),
        min_quantity=raw.ordermin,
        min_notional=raw.costmin,
    )
    return Pair(
        symbol,
        key,
        raw.altname,
        instrument,
        raw.pair_decimals,
        raw.lot_decimals,
        excerpt(raw.status),
    )
