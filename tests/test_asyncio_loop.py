"""The asyncio loop is there for plug-ins that need it, and outlives the stop's cancellation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio_asyncio

from tests.support.world import World
from trade_runtime.errors import ConfigError, StoreBusy
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop
from trade_runtime.protocols import StorePlugin
from trade_runtime.runtime import open_runtime


async def _slept() -> str:
    await asyncio.sleep(0.01)
    return "slept"


async def test_a_block_may_call_asyncio_even_after_a_cancellation() -> None:
    """A scope inside is cancelled; what closes shielded there still gets its answers."""
    answers = []
    async with asyncio_loop(True):
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            finally:
                with trio.CancelScope(shield=True):
                    answers.append(await trio_asyncio.aio_as_trio(_slept)())
    assert ["slept"] == answers


@pytest.mark.parametrize("needed", [True, False])
async def test_an_error_leaves_the_block_bare(needed: bool) -> None:
    """Not in a group: those who catch a StoreBusy need not know of the loop."""
    with pytest.raises(StoreBusy, match="held by another"):
        async with asyncio_loop(needed):
            raise StoreBusy("held by another")


async def test_what_a_library_leaves_behind_ends_nothing() -> None:
    """An error in a callback of asyncio is nobody's, and is not the runtime's end."""
    async with asyncio_loop(True):

        async def leave() -> None:
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)

        await trio_asyncio.aio_as_trio(leave)()
        await trio.sleep(0.01)


async def test_a_missing_library_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default install does without; who needs it is told what to install."""
    monkeypatch.setitem(sys.modules, "trio_asyncio", None)
    with pytest.raises(ConfigError, match=r"pip install 'trade-runtime\[postgresql\]'"):
        async with asyncio_loop(True):
            pass


async def test_a_store_may_use_asyncio_from_its_opening_to_its_closing(tmp_path: Path) -> None:
    """The stop has cancelled the nest by then, and the store still closes on the loop."""
    world = World(tmp_path)
    said = []

    @asynccontextmanager
    async def opened(location: str, data_dir: Path, **how: Any) -> AsyncIterator[Any]:
        said.append(await trio_asyncio.aio_as_trio(_slept)())
        async with world.disk.store(read_only=how["read_only"]) as store:
            yield store
        said.append(await trio_asyncio.aio_as_trio(_slept)())

    plugins = attrs.evolve(world.plugins, stores={"memory": StorePlugin(opened, asyncio=True)})
    async with open_runtime(world.settings({}), strategies=(), plugins=plugins) as runtime:
        pass
    assert runtime.report is not None
    assert (0, ["slept", "slept"]) == (runtime.report.exit_code, said)
