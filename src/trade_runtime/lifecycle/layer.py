"""The layer: a nursery whose tasks outlive the body that uses them. The heart of the stop.

A plain nursery cancels its tasks together with its body, and nested plain nurseries are torn down
in an order that nobody chose: the connection dies while the strategy that needs it is still
cancelling its orders. A layer's tasks do not see a cancellation from outside. When the body has
left, however it left, the layer's `close` runs while its tasks still serve; only then are they
cancelled. So layers that are nested in each other stop strictly from the inside out.

Prior art: tricycle's service nursery; trio issues 147 and 1521.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio


class Layer:
    """The tasks of one layer. Made by `open_layer`."""

    def __init__(self, name: str, nursery: trio.Nursery) -> None:
        self.name = name
        self._nursery = nursery
        self._scopes: dict[trio.CancelScope, str] = {}
        self._closed = False
        self._empty = trio.Event()

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks that run now."""
        return list(self._scopes.values())

    def start_soon(self, function: Callable[..., Awaitable[Any]], *args: Any, name: str) -> None:
        """Start a task that lives until the layer has closed.

        An error that it raises ends the body (it is cancelled), then closes the layer as any stop
        does, and comes out of the layer. A task that may fail and come back is started under
        `supervise`.

        Args:
            function: the task; it needs no shield, and must not make one.
            args: for the function.
            name: shown in the task tree and in the stacks of a forced exit, after the layer's.
        """
        full_name = f"{self.name}/{name}"
        self._nursery.start_soon(self._run, function, args, full_name, name=full_name)

    async def _run(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], name: str
    ) -> None:
        if self._closed:  # started, but not yet run, when the layer closed
            return
        # The shield keeps a cancellation from outside away; the layer cancels the scope itself.
        with trio.CancelScope(shield=True) as scope:
            self._scopes[scope] = name
            try:
                await function(*args)
            finally:
                del self._scopes[scope]
                if not self._scopes:
                    self._empty.set()

    def cancel_tasks(self) -> None:
        """Cancel every task of the layer, and let none begin that has not begun yet."""
        self._closed = True
        for scope in list(self._scopes):
            scope.cancel()

    async def ended(self) -> None:
        """Return when no task of the layer runs; call it after `cancel_tasks`."""
        while self._scopes:
            self._empty = trio.Event()
            await self._empty.wait()


@asynccontextmanager
async def open_layer(
    name: str, close: Callable[[], Awaitable[None]], nursery: trio.Nursery | None = None
) -> AsyncIterator[Layer]:
    """Open a layer.

    Args:
        name: of the layer.
        close: what to do when the body has left and the tasks still run. It must bound and shield
            itself with `Ladder.stage`, since the body may have left because it was cancelled.
        nursery: where the tasks run; one of the layer's own where None. Tasks whose code is not
            ours run further out: leaving the layer then cancels them but does not wait for them, so
            that one that refuses to end keeps nothing else from stopping.

    On leaving: `close` runs, then the layer's tasks are cancelled and waited for. Both happen
    whether the body returned, raised or was cancelled, and if `close` raises as well.
    """
    if nursery is None:
        async with trio.open_nursery() as own, open_layer(name, close, own) as layer:
            yield layer
        return
    layer = Layer(name, nursery)
    try:
        yield layer
    finally:
        try:
            await close()
        finally:
            layer.cancel_tasks()
