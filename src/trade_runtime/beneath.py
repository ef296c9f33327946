"""What lies beneath the nest of layers where a configuration asks for it: the asyncio loop of
plug-ins, and the cache.

Both outlive every layer, and the cancellation of a stop does not reach them: the loop turns while
connections close, and the cache is told last how the stop went. Stands between the runtime, of
which it reads what a verdict reads, and the layers. Without a cache nothing of one is imported.
"""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from trade_runtime.lifecycle.asyncio_loop import asyncio_loop
from trade_runtime.lifecycle.report import OUTCOMES
from trade_runtime.model.records import TradingMode
from trade_runtime.plugins import Plugins
from trade_runtime.verdict import Stopping, exit_code
from trade_runtime.version import __version__

if TYPE_CHECKING:
    from trade_runtime.managers.cache import CacheManager


class Shown(Stopping, Protocol):
    """A runtime, as far as the cache shows it."""

    @property
    def phase(self) -> str:
        """`starting`, `running` or `stopping`."""


@asynccontextmanager
async def beneath(runtime: Shown, plugins: Plugins) -> AsyncIterator[CacheManager | None]:
    """Open what the layers of a runtime stand on; give its cache, or None where there is none.

    Raises:
        ConfigError: a plug-in, its URL or its library is at fault. Nothing was opened.
    """
    settings = runtime.settings
    connect = plugins.connect_cache(settings)
    async with asyncio_loop(plugins.need_asyncio(settings)):
        if connect is None:
            yield None
            return
        from trade_runtime.managers.cache import open_cache  # noqa: PLC0415 - few have one

        async with open_cache(
            settings.cache,
            connect,
            lambda over: status(runtime, "stopped" if over else runtime.phase),
            runtime.ladder,
            runtime.clock,
            flush=settings.shutdown.flush_cache,
        ) as cache:
            yield cache


@asynccontextmanager
async def fed(runtime: Shown) -> AsyncIterator[None]:
    """Keep the quotes and balances of a runtime's cache up to date, where it has one."""
    if runtime.cache is None:
        yield
        return
    from trade_runtime.managers.cache_feed import feeding  # noqa: PLC0415 - few have one

    assert runtime.prices is not None
    assert runtime.venues is not None
    every_secs = runtime.settings.cache.quote_secs
    async with feeding(runtime.cache, runtime.prices, runtime.venues, runtime.clock, every_secs):
        yield


def status(runtime: Stopping, phase: str) -> Mapping[str, str]:
    """Return how a runtime is, as the cache shows it.

    Args:
        runtime: to look at.
        phase: `starting`, `running`, `stopping` or `stopped`.
    """
    shown = {
        "state": phase,
        "runtime": runtime.settings.runtime.name,
        "version": __version__,
        "host": platform.node(),
        "pid": str(os.getpid()),
        "started_at": runtime.started_at,
        "strategies": " ".join(host.name for host in runtime.hosts),
        "trading": "",
        "restricted": "",
        "stop_reason": runtime.stop_reason or "",
        "outcome": "",
        "exit_code": "",
    }
    if runtime.trading is not None:
        gate = runtime.trading.orders.gate
        shown["trading"] = str(gate.mode if gate.halted is None else TradingMode.HALTED)
        shown["restricted"] = gate.halted or gate.mode_reason
    if phase == "stopped":
        code = exit_code(runtime)
        shown |= {"outcome": OUTCOMES[code], "exit_code": str(code)}
    return shown
