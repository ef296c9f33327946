"""A real exchange, as far as the core can tell: market data, orders, keys, and `live`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from tests.support.market import ScriptedMarket
from tests.support.wrapped import WrappedVenue
from trade_runtime.model.ids import VenueName
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import Environment, VenuePlugin
from trade_runtime.venues.paper import MemoryRecord, PaperSettings, PaperVenue, make_exchange


@attrs.frozen
class ExchangeSettings:
    """What an adapter's settings have, in short."""

    api_key: Secret | None = None
    api_secret: Secret | None = None
    live: bool = False
    testnet: bool = False
    dead_mans_switch_secs: float = 0.0


class Exchange:
    """Market data that a test says, and order entry at a paper exchange: what outlives a runtime.

    Args:
        market: what it streams.
    """

    def __init__(self, market: ScriptedMarket) -> None:
        self.market = market
        self.record = MemoryRecord()
        self.opened: list[ExchangeSettings] = []
        """The settings of each time that it was opened."""
        self.venue: PaperVenue | None = None
        self.wrap: Callable[[PaperVenue], Any] = lambda venue: venue

    @property
    def plugin(self) -> VenuePlugin:
        """The plug-in that leads to it."""
        return VenuePlugin(
            ExchangeSettings, self._open, trades=True, streams=True, live=lambda s: s.live
        )

    @asynccontextmanager
    async def _open(
        self, name: VenueName, settings: ExchangeSettings, env: Environment
    ) -> AsyncIterator[Any]:
        self.opened.append(settings)
        paper = PaperSettings(market_data=name, fee_bps=0, balances={"USDT": 1_000_000, "ETH": 10})
        self.venue = PaperVenue(make_exchange(name, paper, self.record, env), paper, env)
        try:
            yield _Both(self.market, self.wrap(self.venue))
        finally:
            self.venue.land_all()


class _Both(WrappedVenue):
    """One object that is both: what the venue lacks, the market has."""

    def __init__(self, market: ScriptedMarket, venue: Any) -> None:
        super().__init__(venue)
        self._market = market

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._venue, name, None)
        return getattr(self._market, name) if found is None else found
