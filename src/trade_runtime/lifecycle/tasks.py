"""Small shapes of concurrency that several layers need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio


async def first_of(*functions: Callable[[], Awaitable[None]]) -> None:
    """Run functions side by side until the first returns or raises; cancel the others.

    Raises:
        BaseException: what the first one raised, bare, not in a group. Where several failed in the
            same step, one of them.
    """
    failure: list[BaseException] = []

    async def run(function: Callable[[], Awaitable[None]]) -> None:
        try:
            await function()
        except trio.Cancelled:
            raise
        except BaseException as error:
            failure.append(error)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for function in functions:
            nursery.start_soon(run, function)
    if failure:
        raise failure[0]
