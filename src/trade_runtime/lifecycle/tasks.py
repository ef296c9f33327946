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
        except BaseException as error:
            # A function with a nursery of its own may come out of it with several cancellations,
            # in a group, and with its own errors among them.
            cancelled, own = _split(error)
            if own is not None:
                failure.append(own)
                nursery.cancel_scope.cancel()
            if cancelled is not None:
                raise cancelled from None
            return
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for function in functions:
            nursery.start_soon(run, function)
    if failure:
        raise failure[0]


def leaves(error: BaseException) -> list[BaseException]:
    """Return what a group is made of, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def _split(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Part an error into what is cancellation, and what is not."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)
    return (error, None) if isinstance(error, trio.Cancelled) else (None, error)
