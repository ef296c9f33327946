"""Works of one connection beside each other: the first that fails ends them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from trade_runtime.errors import RuntimeFault


async def first_failure(*works: Callable[[], Awaitable[None]]) -> Exception:
    """Run these until one of them raises, end the others, and return what it raised."""
    failed: list[Exception] = []

    async def guarded(work: Callable[[], Awaitable[None]]) -> None:
        # A nursery would wrap the error into a group; the caller is to raise the thing itself.
        try:
            await work()
            failed.append(RuntimeFault("a connection ended without a reason"))
        except Exception as error:
            failed.append(error)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for work in works:
            nursery.start_soon(guarded, work)
    return failed[0] if failed else RuntimeFault("a connection ended without a reason")
