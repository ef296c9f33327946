"""What a plug-in must be: a source of market data, a venue, a store, a cache. No defaults, no
helpers.

A plug-in is found by an entry point: `trade_runtime.venues` by the `kind` of a `[venues.NAME]`
table, `trade_runtime.stores` by the scheme of `[store] url`, `trade_runtime.caches` by that of
`[cache] url`. The entry point names a `VenuePlugin`, a `StorePlugin` or a `CachePlugin`. Plug-ins
import this module, `model` and `errors`, and nothing else of the core.

Rules for every plug-in:

- Errors that leave it are of `trade_runtime.errors`; a foreign error never leaks.
- It never shields: the layer that calls it owns the one shield and the deadline, and an inner
  shield would hide that deadline. Cancellation leaves no task, socket or file behind.
- It reads no clock, makes no randomness and no ids of its own: `Environment` brings them.
"""

from __future__ import annotations

from trade_runtime.protocols.cache import (
    Cache,
    CacheBatch,
    CacheEntry,
    CachePlugin,
    OpenCache,
)
from trade_runtime.protocols.history import (
    HistoryPlugin,
    HistoryQuery,
    MarketEvent,
    ReadHistory,
)
from trade_runtime.protocols.market import (
    MarketData,
    MarketDriven,
    MarketHistory,
    MarketSession,
    MarketSink,
    Matching,
)
from trade_runtime.protocols.store import (
    OpenStore,
    Owner,
    Ownership,
    Record,
    Snapshot,
    Store,
    StorePlugin,
)
from trade_runtime.protocols.venue import (
    CancelsAll,
    Capabilities,
    DeadMansSwitch,
    FillsBySymbol,
    OrderEntry,
    Placed,
    Serves,
    Simulated,
    TellsPositions,
    Venue,
    VenuePlugin,
    VenueSink,
)
from trade_runtime.protocols.world import (
    Clock,
    Environment,
    Log,
)

__all__ = [
    "Cache",
    "CacheBatch",
    "CacheEntry",
    "CachePlugin",
    "CancelsAll",
    "Capabilities",
    "Clock",
    "DeadMansSwitch",
    "Environment",
    "FillsBySymbol",
    "HistoryPlugin",
    "HistoryQuery",
    "Log",
    "MarketData",
    "MarketDriven",
    "MarketEvent",
    "MarketHistory",
    "MarketSession",
    "MarketSink",
    "Matching",
    "OpenCache",
    "OpenStore",
    "OrderEntry",
    "Owner",
    "Ownership",
    "Placed",
    "ReadHistory",
    "Record",
    "Serves",
    "Simulated",
    "Snapshot",
    "Store",
    "StorePlugin",
    "TellsPositions",
    "Venue",
    "VenuePlugin",
    "VenueSink",
]
