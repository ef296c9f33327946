"""Opens the journal of a runtime as its start does, in a process of its own: says what that took.

What comes before, Python and what it imports, is the same with every journal and left out of the
time; it is in the memory, from which that of an empty journal tells it.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import structlog
import trio

from trade_runtime.lifecycle.asyncio_loop import asyncio_loop
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.managers.state import StateManager
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Environment, Owner
from trade_runtime.settings import StoreSettings

NAME = "bench"


async def start(url: str, folder: Path) -> dict[str, Any]:
    """Open a store and its state, then close it; return what each took, in seconds."""
    plugin, location = Plugins().store(url)
    clock = SystemClock()
    env = Environment(clock, random.Random(1), folder, structlog.get_logger("store"))
    async with asyncio_loop(plugin.asyncio):
        began = perf_counter()
        async with plugin.open(
            location, folder, owner=Owner(NAME), durability="process", read_only=False, env=env
        ) as store:
            opened = perf_counter()
            state = StateManager(store, StoreSettings(url=url), clock)
            await state.load()
            loaded = perf_counter()
        closed = perf_counter()
    return {
        "records": state.seq,
        "open_secs": opened - began,
        "load_secs": loaded - opened,
        "start_secs": loaded - began,
        "close_secs": closed - loaded,
    }


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    print(json.dumps(trio.run(start, sys.argv[1], Path(sys.argv[2]))))
