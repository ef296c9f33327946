"""The synthetic market: data for the demo, for tests and for benchmarks, without a network.

A plug-in of the runtime: below it `protocols`, `model` and `errors` alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trade_runtime.model.ids import VenueName
from trade_runtime.protocols import Environment, VenuePlugin
from trade_runtime.venues.synthetic.settings import SyntheticSettings
from trade_runtime.venues.synthetic.source import SyntheticData, SyntheticSession


@asynccontextmanager
async def open_synthetic(
    name: VenueName, settings: SyntheticSettings, env: Environment
) -> AsyncIterator[SyntheticData]:
    """Open the synthetic market `name`. It holds nothing that would have to be closed."""
    yield SyntheticData(name, settings, env)


plugin = VenuePlugin(settings=SyntheticSettings, open=open_synthetic, trades=False, streams=True)

__all__ = ["SyntheticData", "SyntheticSession", "SyntheticSettings", "open_synthetic", "plugin"]
