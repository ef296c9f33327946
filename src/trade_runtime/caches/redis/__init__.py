"""The cache in Redis, or in Valkey: hashes of the latest values, and a stream of what happened.

A plug-in beside the core: it imports `protocols` and `errors` alone. What it guarantees: a batch is
there whole or not at all; a record is in the stream once, however often it is written; a run that
was replaced by a later one of its name writes no more; no password is in what it raises. It is
installed with the extra `redis`. `docs/reference/cache.md` has the keys.
"""

from __future__ import annotations

from trade_runtime.errors import ConfigError
from trade_runtime.protocols import CachePlugin, OpenCache

__all__ = ["plugin"]

MISSING = "cache.url: needs libraries that are not installed: pip install 'trade-runtime[redis]'"


def _prepare(url: str, *, space: str, entries: int) -> OpenCache:
    try:
        import redis.asyncio  # noqa: F401, PLC0415 - for those alone who have a cache
        import trio_asyncio  # noqa: F401, PLC0415
    except ImportError:
        raise ConfigError(MISSING) from None
    from trade_runtime.caches.redis.cache import Server  # noqa: PLC0415

    return Server(url, space, entries).connect


plugin = CachePlugin(prepare=_prepare, asyncio=True)
