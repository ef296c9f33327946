"""Where plug-ins come from: entry points, looked up by name when a configuration asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop
from trade_runtime.protocols import (
    CachePlugin,
    Environment,
    HistoryPlugin,
    OpenCache,
    Owner,
    Store,
    StorePlugin,
    VenuePlugin,
)
from trade_runtime.settings import Settings
from trade_runtime.spelling import suggest

T = TypeVar("T")

VENUES = "trade_runtime.venues"
STORES = "trade_runtime.stores"
CACHES = "trade_runtime.caches"
HISTORIES = "trade_runtime.histories"


class EntryPoints(Mapping[str, T]):
    """A mapping from names to plug-ins that imports a plug-in when it is looked up."""

    def __init__(self, group: str, kind: type[T]) -> None:
        self._kind = kind
        self._points: dict[str, EntryPoint] = {p.name: p for p in entry_points(group=group)}

    def __getitem__(self, name: str) -> T:
        point = self._points[name]
        try:
            plugin = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"plug-in {name!r} ({point.value}) cannot be loaded: {error}"
            ) from None
        if not isinstance(plugin, self._kind):
            raise ConfigError(f"plug-in {name!r} ({point.value}) is not a {self._kind.__name__}")
        return plugin

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)


@attrs.frozen
class Plugins:
    """The plug-ins a runtime may use: venues by kind, stores and caches by URL scheme, histories
    by format.
    """

    venues: Mapping[str, VenuePlugin] = attrs.field(
        factory=lambda: EntryPoints(VENUES, VenuePlugin)
    )
    stores: Mapping[str, StorePlugin] = attrs.field(
        factory=lambda: EntryPoints(STORES, StorePlugin)
    )
    caches: Mapping[str, CachePlugin] = attrs.field(
        factory=lambda: EntryPoints(CACHES, CachePlugin)
    )
    histories: Mapping[str, HistoryPlugin] = attrs.field(
        factory=lambda: EntryPoints(HISTORIES, HistoryPlugin)
    )

    def store(self, url: str) -> tuple[StorePlugin, str]:
        """Return the plug-in of a store URL and what it is to be told of the URL.

        Raises:
            ConfigError: no plug-in is of that scheme.
        """
        scheme, found, rest = url.partition("://")
        plugin = self.stores.get(scheme) if found else None
        if plugin is None:
            raise ConfigError(
                f"store.url: no store of scheme {scheme!r}{suggest(scheme, self.stores)}"
            )
        return plugin, url if plugin.whole_url else rest.removeprefix("/")

    def cache(self, url: str) -> CachePlugin:
        """Return the plug-in of a cache URL.

        Raises:
            ConfigError: no plug-in is of that scheme.
        """
        scheme, found, _ = url.partition("://")
        plugin = self.caches.get(scheme) if found else None
        if plugin is None:
            raise ConfigError(
                f"cache.url: no cache of scheme {scheme!r}{suggest(scheme, self.caches)}"
            )
        return plugin

    def connect_cache(self, settings: Settings) -> OpenCache | None:
        """Return what connects to the cache that the settings name; None where they name none.

        Raises:
            ConfigError: there is no such plug-in, or the URL or a library is at fault.
        """
        cache = settings.cache
        if cache.url is None:
            return None
        space = f"{cache.prefix}:{settings.runtime.name}"
        plugin = self.cache(cache.url)
        return plugin.prepare(cache.url, space=space, entries=cache.stream_entries)

    def need_asyncio(self, settings: Settings) -> bool:
        """Tell whether a plug-in that the settings name needs an asyncio loop beneath it.

        Raises:
            ConfigError: there is no such plug-in.
        """
        plugin, _ = self.store(settings.store.url)
        url = settings.cache.url
        return plugin.asyncio or (url is not None and self.cache(url).asyncio)

    def named_store(
        self, settings: Settings, env: Environment, *, read_only: bool, standby: bool
    ) -> AbstractAsyncContextManager[Store]:
        """Return what opens the store that the settings name, where its loop, if any, turns.

        Raises:
            ConfigError: the settings name no store that there could be.
        """
        plugin, location = self.store(settings.store.url)
        return plugin.open(
            location,
            settings.runtime.data_dir,
            owner=Owner(settings.runtime.name, settings.owner.lease_secs, standby),
            durability=settings.store.durability,
            read_only=read_only,
            env=env,
        )

    @asynccontextmanager
    async def open_store(
        self, settings: Settings, env: Environment, *, read_only: bool
    ) -> AsyncIterator[Store]:
        """Open the store that the settings name, outside of a runtime.

        Raises:
            ConfigError: the settings name no store that there could be.
            StoreError: it cannot be opened; StoreBusy and StoreDamaged as `StorePlugin.open` says.
        """
        plugin, _ = self.store(settings.store.url)
        async with (
            asyncio_loop(plugin.asyncio),
            self.named_store(settings, env, read_only=read_only, standby=False) as store,
        ):
            yield store
