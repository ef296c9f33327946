"""The asyncio loop that some plug-ins need, run by Trio as one more part of it.

It outlives everything that uses it, so whoever opens it does so outermost, and only when a plug-in
says that it needs one (`StorePlugin.asyncio`): a second loop costs every run time and libraries.
Guarantees that it turns until the block is left, whatever is cancelled around it meanwhile, and
that an error of the block leaves it bare.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from trade_runtime.errors import ConfigError

log = structlog.get_logger("asyncio")

MISSING = (
    "this configuration needs trio-asyncio, which is not installed:"
    " pip install 'trade-runtime[postgresql]'"
)


@asynccontextmanager
async def asyncio_loop(needed: bool) -> AsyncIterator[None]:
    """Run an asyncio loop beneath the block, if one is needed.

    What is cancelled inside the block leaves the loop alone: plug-ins close their connections on
    it, shielded by their layers. So open it outside of the scope that a stop cancels.

    Args:
        needed: whether to; otherwise nothing is imported, and this does nothing.

    Raises:
        ConfigError: it is needed, and its library is not installed.
    """
    if not needed:
        yield
        return
    try:
        import trio_asyncio  # noqa: PLC0415 - for those alone who need it
    except ImportError:
        raise ConfigError(MISSING) from None
    failed: Exception | None = None
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(_note)
        try:
            yield
        except Exception as error:
            failed = error  # it leaves the block as it is, not in the loop's group
    if failed is not None:
        raise failed


def _note(loop: object, context: dict[str, Any]) -> None:
    """Log what a library left behind on the loop; trio-asyncio's own way is to end the program.

    What matters comes out of the call that failed. What comes here is a callback's error after
    nobody waited for it any more, most often of a connection that is gone.
    """
    error = context.get("exception")
    log.debug("Left behind on the loop", what=context.get("message"), error=type(error).__name__)
