"""The clocks, and fresh seeds. The only file of the runtime that reads the machine's clock or its
entropy: everything else is given a clock and a seeded source of randomness.
"""

from __future__ import annotations

import secrets
import time

import trio

VIRTUAL_EPOCH_NS = 1_700_000_000_000_000_000
"""Where virtual time begins: 2023-11-14T22:13:20Z. Any fixed moment would do."""


class SystemClock:
    """The machine's clock. It may jump when the machine is set; deadlines use trio's clock."""

    def now_ns(self) -> int:
        """Return the machine's time of day."""
        return time.time_ns()


class TrioClock:
    """Time of day that follows trio's clock, so that under a mock clock it is virtual too."""

    def now_ns(self) -> int:
        """Return the virtual time of day."""
        return VIRTUAL_EPOCH_NS + round(trio.current_time() * 1e9)


def fresh_seed() -> int:
    """Return a seed from the machine's entropy, for a run that need not be repeatable."""
    return secrets.randbits(64)
