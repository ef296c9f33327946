"""What the local Kraken lists, under every name that Kraken has for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from trade_runtime.exchange.kinds import spot
from trade_runtime.model.instrument import Instrument, text

LOT: Final = Decimal("0.00000001")
MIN_QUANTITY: Final = Decimal("0.0001")
MIN_COST: Final = Decimal("0.5")

QUOTES: Final = ("USD", "EUR", "USDT", "USDC", "BTC")
"""What is paid with."""

_OLD: Final = {"BTC": "XBT", "DOGE": "XDG"}
_CRYPTO: Final = frozenset({"XBT", "ETH", "LTC", "XRP", "XDG", "XLM", "ETC", "XMR", "ZEC"})
_FIAT: Final = frozenset({"USD", "EUR", "GBP", "CAD", "JPY"})
_FEES_TAKER: Final = ((0, 0.4), (10000, 0.35), (50000, 0.24))
_FEES_MAKER: Final = ((0, 0.25), (10000, 0.2), (50000, 0.14))


def instrument_of(symbol: str) -> Instrument | None:
    """Return what a symbol such as `BTC/USD` is, or None where it does not read as one."""
    base, slash, quote = symbol.partition("/")
    if not slash or quote not in QUOTES or not base.isalnum() or base == quote:
        return None
    found = spot(symbol, base, quote)
    return attrs.evolve(found, lot=LOT, min_quantity=MIN_QUANTITY, min_notional=MIN_COST)


def old_name(currency: str) -> str:
    """Return a currency as Kraken's older names have it: `XBT`."""
    return _OLD.get(currency, currency)


def asset_name(currency: str) -> str:
    """Return a currency as REST calls it: `XXBT`, `ZUSD`, `SOL`."""
    name = old_name(currency)
    if name in _CRYPTO:
        return f"X{name}"
    return f"Z{name}" if name in _FIAT else name


def places_of(step: Decimal) -> int:
    """Return the decimal places of a tick or lot."""
    exponent = step.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


@attrs.frozen
class Pair:
    """A symbol under all its names.

    Attributes:
        symbol: as the WebSocket v2 has it: `BTC/USD`.
        instrument: what it is.
        altname: `XBTUSD`.
        key: `XXBTZUSD`.
        wsname: `XBT/USD`.
    """

    symbol: str
    instrument: Instrument
    altname: str
    key: str
    wsname: str

    @property
    def price_places(self) -> int:
        """Decimal places of its prices."""
        return places_of(self.instrument.tick)

    @property
    def quantity_places(self) -> int:
        """Decimal places of its quantities."""
        return places_of(self.instrument.lot)

    def price(self, value: Decimal) -> str:
        """Return a price with all its places."""
        return f"{value:.{self.price_places}f}"

    def quantity(self, value: Decimal) -> str:
        """Return a quantity with all its places."""
        return f"{value:.{self.quantity_places}f}"

    def described(self) -> dict[str, Any]:
        """Return the pair as `AssetPairs` has it."""
        one = self.instrument
        return {
            "altname": self.altname,
            "wsname": self.wsname,
            "aclass_base": "currency",
            "base": asset_name(one.base),
            "aclass_quote": "currency",
            "quote": asset_name(one.quote),
            "lot": "unit",
            "cost_decimals": 5,
            "pair_decimals": self.price_places,
            "lot_decimals": self.quantity_places,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [list(one) for one in _FEES_TAKER],
            "fees_maker": [list(one) for one in _FEES_MAKER],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": text(one.min_quantity),
            "costmin": text(one.min_notional),
            "tick_size": text(one.tick),
            "status": "online",
        }


class Listing:
    """All pairs.

    Args:
        instruments: what is traded, by symbol.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self.pairs = {symbol: _pair(symbol, one) for symbol, one in instruments.items()}
        self._names = {
            name: pair
            for pair in self.pairs.values()
            for name in (pair.symbol, pair.altname, pair.key, pair.wsname)
        }

    def named(self, name: str) -> Pair | None:
        """Return the pair of any of its names."""
        return self._names.get(name)

    def assets(self) -> dict[str, dict[str, Any]]:
        """Return the currencies as `Assets` has them."""
        found = {c for pair in self.pairs.values() for c in _currencies(pair)}
        return {
            asset_name(one): {
                "aclass": "currency",
                "altname": old_name(one),
                "decimals": 4 if old_name(one) in _FIAT else 10,
                "display_decimals": 2 if old_name(one) in _FIAT else 5,
                "status": "enabled",
            }
            for one in sorted(found)
        }

    def currencies(self) -> list[str]:
        """Return all currencies by their usual names."""
        return sorted({c for pair in self.pairs.values() for c in _currencies(pair)})


def _currencies(pair: Pair) -> Iterable[str]:
    return str(pair.instrument.base), str(pair.instrument.quote)


def _pair(symbol: str, instrument: Instrument) -> Pair:
    base, quote = old_name(instrument.base), old_name(instrument.quote)
    altname = f"{base}{quote}"
    named = asset_name(instrument.base), asset_name(instrument.quote)
    long = named[0] != base and named[1] != quote
    key = "".join(named) if long else altname
    return Pair(symbol, instrument, altname, key, f"{base}/{quote}")
