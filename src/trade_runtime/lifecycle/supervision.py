"""Supervision: a task that fails is started again, alone, within a bound.

Failing means raising a `VenueError`: the world outside let us down, and may be back. Anything else
is a defect and ends the layer at once. The waits grow from `backoff_secs` by doubling up to
`max_backoff_secs`, each shortened by up to half by seeded jitter, so that many tasks do not come
back in step. A run that did its work, or lasted `healthy_secs`, clears the count.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import structlog
import trio

from trade_runtime.errors import RuntimeFault, VenueError
from trade_runtime.settings import SupervisionSettings

log = structlog.get_logger("supervision")


class Backoff:
    """Counts failures in a row and says how long to wait after each.

    Args:
        settings: the bound and the waits.
        rng: for the jitter.
    """

    def __init__(self, settings: SupervisionSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self.failures = 0

    def healthy(self) -> None:
        """Forget the failures: the last run was good."""
        self.failures = 0

    def failed(self) -> float | None:
        """Count a failure; return the seconds to wait, or None past the bound."""
        self.failures += 1
        s = self._settings
        if self.failures > s.max_restarts:
            return None
        doublings = min(self.failures - 1, 32)
        wait = min(s.backoff_secs * 2.0**doublings, s.max_backoff_secs)
        return wait * (1 - self._rng.random() / 2)


async def supervise(
    task: Callable[[], Awaitable[None]],
    *,
    name: str,
    settings: SupervisionSettings,
    rng: random.Random,
    failed: Callable[[VenueError], None] | None = None,
    worked: Callable[[], bool] | None = None,
) -> None:
    """Run `task` for ever; start it again when it raises a VenueError or returns.

    Args:
        task: makes one attempt.
        name: for the log.
        settings: the bound and the waits.
        rng: for the jitter.
        failed: told of each failure before the wait.
        worked: asked after a failure whether that run had done its work before.

    Raises:
        RuntimeFault: it failed more than `max_restarts` times in a row. The layer then ends, and
            with it the runtime, in order, with exit code 4.
    """
    backoff = Backoff(settings, rng)
    while True:
        began = trio.current_time()
        try:
            await task()
            error = VenueError("it ended")
        except VenueError as caught:
            error = caught
        if failed is not None:
            failed(error)
        lasted = trio.current_time() - began >= settings.healthy_secs
        if lasted or (worked is not None and worked()):
            backoff.healthy()
        wait = backoff.failed()
        if wait is None:
            raise RuntimeFault(
                f"{name} failed {backoff.failures} times in a row, the last time with: {error}"
            )
        log.warning(
            "Task failed; it is started again",
            task=name,
            error=str(error),
            failures=backoff.failures,
            wait_secs=round(wait, 3),
        )
        await trio.sleep(wait)
