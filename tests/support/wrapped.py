"""A venue around another: everything is the inner one's but for what a test overrides."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trade_runtime.model.ids import VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade


class WrappedVenue:
    """Hands everything on.

    What makes a venue one that market data drives is named in full: since Python 3.12 a check
    against a protocol does not see what `__getattr__` would give.
    """

    def __init__(self, venue: Any) -> None:
        self._venue = venue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    @property
    def market_data(self) -> VenueName | None:
        """What drives it."""
        driver: VenueName | None = self._venue.market_data
        return driver

    def on_quote(self, quote: Quote) -> None:
        """Match against a quote."""
        self._venue.on_quote(quote)

    def on_trade(self, trade: Trade) -> None:
        """Match against a trade."""
        self._venue.on_trade(trade)

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Learn the instruments."""
        self._venue.adopt(instruments)
