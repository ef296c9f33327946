"""What a `[venues.NAME]` table of `kind = "synthetic"` may say.

Values only. A validator that refuses raises ConfigError in one sentence that names the field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, get_args

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.instrument import exact

Speed = Literal["real", "max"]

TICK = Decimal("0.01")
LOT = Decimal("0.0001")

LEAST_START = Decimal(1)
MOST_START = Decimal(1_000_000)
MOST_QUOTES_PER_SEC = 100_000
MOST_LEVELS = 100


def _between(low: float, high: float) -> Any:
    def check(_: object, field: attrs.Attribute[Any], value: float) -> None:
        if not (math.isfinite(value) and low <= value <= high):
            raise ConfigError(f"{field.name}: must be a number from {low} to {high}, got {value}")

    return check


def _whole(low: int, high: float = math.inf) -> Any:
    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            bound = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise ConfigError(f"{field.name}: must be a whole number {bound}, got {value}")

    return check


def _exact_prices(prices: Mapping[str, Any]) -> Mapping[str, Decimal]:
    return {str(symbol): exact(price) for symbol, price in prices.items()}


@attrs.frozen
class SyntheticSettings:
    """The settings of a synthetic market.

    Attributes:
        seed: of the market; the same seed gives the same prices. 0 takes the runtime's own stream.
        prices: the first price of a symbol; one that is not named here begins at a default.
        quotes_per_sec: new quotes a second, of each symbol.
        volatility_bps: how far a price typically moves in a second, in hundredths of a percent.
        spread_bps: the distance from bid to ask, at least one tick.
        size: the typical quantity displayed at the best price, in the base currency.
        trade_probability: of a trade after a quote.
        book_every: a change of the book with every so many quotes; 0 sends no books.
        book_levels: prices on each side of the book.
        speed: `real` keeps to `quotes_per_sec`; `max` goes as fast as the strategies take it.
        limit: fall silent after so many events; 0 never does.
    """

    seed: int = attrs.field(default=0, validator=_whole(0))
    prices: Mapping[str, Decimal] = attrs.field(factory=dict, converter=_exact_prices)
    quotes_per_sec: float = attrs.field(
        default=20.0, validator=_between(0.001, MOST_QUOTES_PER_SEC)
    )
    volatility_bps: float = attrs.field(default=3.0, validator=_between(0, 1000))
    spread_bps: float = attrs.field(default=2.0, validator=_between(0, 1000))
    size: float = attrs.field(default=2.0, validator=_between(0.001, 1_000_000))
    trade_probability: float = attrs.field(default=0.3, validator=_between(0, 1))
    book_every: int = attrs.field(default=5, validator=_whole(0))
    book_levels: int = attrs.field(default=5, validator=_whole(1, MOST_LEVELS))
    speed: Speed = attrs.field(default="real")
    limit: int = attrs.field(default=0, validator=_whole(0))

    @prices.validator
    def _on_tick(self, _: object, prices: Mapping[str, Decimal]) -> None:
        for symbol, price in prices.items():
            if not LEAST_START <= price <= MOST_START or price % TICK:
                raise ConfigError(
                    f"prices: {symbol} must be a multiple of {TICK} from {LEAST_START} to"
                    f" {MOST_START}, got {price}"
                )

    @speed.validator
    def _known(self, _: object, speed: object) -> None:
        if speed not in get_args(Speed):
            raise ConfigError(f"speed: must be 'real' or 'max', got {speed!r}")
