"""The symbols of a recording of Binance's streams, with the steps that its numbers keep to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs
import msgspec

from trade_runtime.errors import ConfigError
from trade_runtime.model.instrument import Instrument
from trade_runtime.venues.binance_spot.recording import Recording

SAMPLE_ROWS: Final = 20_000
"""Of a recording that are looked at for its symbols."""

MAX_PLACES: Final = 8
"""Decimals of a number in a recording; more are beyond every venue's."""


class _Numbers(msgspec.Struct):
    b: str | list[tuple[str, str]] = ""
    B: str = ""
    a: str | list[tuple[str, str]] | int = ""
    p: str = ""
    q: str = ""


class _Frame(msgspec.Struct):
    data: _Numbers


_decode = msgspec.json.Decoder(_Frame).decode


def recorded_symbols(
    path: Path, instrument: Callable[[str], Instrument | None]
) -> dict[str, Instrument]:
    """Return what a recording of Binance's streams has.

    Args:
        path: of the recording.
        instrument: what the venue says of a symbol.

    Raises:
        ConfigError: it cannot be read, or has no symbol that the venue knows.
    """
    places: dict[str, tuple[int, int]] = {}
    for number, row in enumerate(Recording(path).rows()):
        if number >= SAMPLE_ROWS:
            break
        symbol = row.stream.partition("@")[0].upper()
        if not symbol:
            continue
        price, quantity = places.get(symbol, (0, 0))
        try:
            told = _decode(row.body).data
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
        pairs = [(told.p, told.q)]
        pairs += told.b if isinstance(told.b, list) else [(told.b, told.B)]
        pairs += told.a if isinstance(told.a, list) else []
        for one, size in pairs:
            price, quantity = max(price, _places(one)), max(quantity, _places(size))
        places[symbol] = (price, quantity)
    found = {}
    for symbol, (price, quantity) in sorted(places.items()):
        listed = instrument(symbol)
        if listed is not None:
            tick, lot = (Decimal(1).scaleb(-min(n, MAX_PLACES)) for n in (price, quantity))
            found[symbol] = attrs.evolve(
                listed, tick=tick, lot=lot, min_quantity=lot, max_price=10**10 * tick
            )
    if not found:
        raise ConfigError(f"recording {path}: it has no symbol that is known")
    return found


def _places(number: str) -> int:
    return len(number.partition(".")[2].rstrip("0"))
