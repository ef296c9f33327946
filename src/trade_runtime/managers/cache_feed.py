"""What the cache must ask for itself: the latest quotes, and what the accounts hold.

Stands just inside the prices, which outlive it. Quotes are looked at from time to time, so the way
of a quote to the strategies is as long with a cache as without. Balances are asked of the venues
from time to time, and soon after a fill; a venue that does not answer is asked again later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
import trio

from trade_runtime.errors import VenueError
from trade_runtime.lifecycle.layer import open_layer
from trade_runtime.machines.cache_values import Balance
from trade_runtime.managers.cache import CacheManager
from trade_runtime.managers.prices import PriceManager
from trade_runtime.managers.venues import VenueManager
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.market import Quote
from trade_runtime.protocols import Clock, Venue

log = structlog.get_logger("cache")

BALANCE_SECS = 10.0
"""How often balances are asked for when nothing fills."""

BALANCE_GAP_SECS = 1.0
"""The least time between two of these questions, however much fills."""

BALANCE_TIMEOUT_SECS = 5.0
"""One question; then it is asked again later."""


async def _follow_quotes(cache: CacheManager, prices: PriceManager, every_secs: float) -> None:
    shown: dict[InstrumentId, Quote] = {}
    while True:
        for instrument, view in prices.views.items():
            quote = view.quote
            if quote is not None and shown.get(instrument) is not quote:
                shown[instrument] = quote
                cache.put("quotes", instrument, quote)
        await trio.sleep(every_secs)


async def _follow_balances(
    cache: CacheManager, name: VenueName, venue: Venue, clock: Clock
) -> None:
    while True:
        fills = cache.fills
        try:
            with trio.move_on_after(BALANCE_TIMEOUT_SECS):
                for currency, total in (await venue.balances()).items():
                    balance = Balance(total, clock.now_ns())
                    cache.put("balances", f"{name}:{currency}", balance)
        except VenueError as error:
            log.debug("Balances are not told", venue=name, error=str(error))
        await trio.sleep(BALANCE_GAP_SECS)
        if cache.fills == fills:
            with trio.move_on_after(BALANCE_SECS - BALANCE_GAP_SECS):
                await cache.filled.park()


@asynccontextmanager
async def feeding(
    cache: CacheManager,
    prices: PriceManager,
    venues: VenueManager,
    clock: Clock,
    quote_secs: float,
) -> AsyncIterator[None]:
    """Keep the quotes and the balances of the cache up to date.

    Args:
        cache: outlives this.
        prices: outlives this.
        venues: outlives this.
        clock: to say when a venue was asked.
        quote_secs: between two values of one instrument's quote.
    """

    async def close() -> None:
        """Nothing is left to do: the last values are written by the cache's own layer."""

    async with open_layer("cache-feed", close) as layer:
        layer.start_soon(partial(_follow_quotes, cache, prices, quote_secs), name="quotes")
        for name, venue in venues.trading.items():
            task = partial(_follow_balances, cache, name, venue, clock)
            layer.start_soon(task, name=f"balances-{name}")
        yield
