"""What a layer does for a venue with work of its own: it runs beside the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def alongside(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run `work` beside the body; leaving cancels it.

    An error of the body leaves as itself, never inside an exception group; one of `work`, which is
    a defect, cancels the body.
    """
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        try:
            yield
        except Exception as error:  # held: the nursery would wrap it into a group
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
