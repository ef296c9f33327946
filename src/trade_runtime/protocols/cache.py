"""What a cache must be: it shows others the latest values and a stream of what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs


@attrs.frozen
class CacheEntry:
    """An entry of the stream.

    Attributes:
        seq: the number of the journal's record that it shows; they rise, with gaps.
        fields: its names and values.
    """

    seq: int
    fields: Mapping[str, str | bytes]


@attrs.frozen
class CacheBatch:
    """What is written at once: others see all of it or nothing.

    Attributes:
        run: the number of the run that writes: higher for one that took the state over later.
        tables: by name (`orders`, `status`, ...): fields and values. A value of None takes the
            field away.
        entries: of the stream, in order. One that is there already, by its number, stays as it is.
        reset: take away all that the tables held before.
        expiry_secs: how long the tables stay if nothing is written any more.
    """

    run: int
    tables: Mapping[str, Mapping[str, str | bytes | None]]
    entries: Sequence[CacheEntry]
    reset: bool
    expiry_secs: float


class Cache(Protocol):
    """One connection to a cache."""

    async def write(self, batch: CacheBatch) -> None:
        """Write a batch; on return it is there.

        A cancellation may come between the question and the answer, so after one, as after an
        error, this connection is not used again.

        Raises:
            CacheTaken: a later run of the same name writes there; nothing was written.
            CacheError: it was not written, or nobody knows.
        """


class OpenCache(Protocol):
    """What `CachePlugin.prepare` gives: called once for each connection."""

    def __call__(self) -> AbstractAsyncContextManager[Cache]:
        """Connect. Entering raises CacheError where that fails; leaving drops the connection."""


class PrepareCache(Protocol):
    """The call signature of `CachePlugin.prepare`."""

    def __call__(self, url: str, *, space: str, entries: int) -> OpenCache:
        """Read the URL; nothing is connected yet."""


@attrs.frozen
class CachePlugin:
    """What an entry point of `trade_runtime.caches` names.

    Attributes:
        prepare: reads the whole URL and says how to connect. `space` is what every name there
            begins with, and `entries` how many the stream keeps, about. Raises ConfigError where
            the URL, or a library, is at fault.
        asyncio: it needs an asyncio loop, as `StorePlugin.asyncio` says.
    """

    prepare: PrepareCache
    asyncio: bool = False
