"""The wires of the venues, each in front of the same floor, by the kind of its venue.

A face is a package of its own with a `KIND`; it is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.kinds import Kind
from trade_runtime.spelling import suggest

FACES: Final[dict[str, str]] = {
    "binance_spot": "trade_runtime.exchange.faces.binance_spot",
    "binance_usdm": "trade_runtime.exchange.faces.binance_usdm",
    "kraken_spot": "trade_runtime.exchange.faces.kraken_spot",
}
"""The module of each kind; it has a `KIND`."""

ALIASES: Final = {"kraken": "kraken_spot"}
"""Other names on the command line."""


def kind_of(name: str) -> Kind:
    """Return the kind of a venue's name.

    Raises:
        ConfigError: there is no face of that name.
    """
    known = ALIASES.get(name, name)
    if known not in FACES:
        raise ConfigError(f"venue {name!r}: there is no such exchange{suggest(name, FACES)}")
    kind: Kind = import_module(FACES[known]).KIND
    return kind
