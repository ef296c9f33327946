"""What a plug-in is given of the world: time, randomness, a folder, a log."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Protocol

import attrs


class Clock(Protocol):
    """Tells the time of day. Deadlines use trio's clock, never this one."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""


class Log(Protocol):
    """A structlog logger: an event in words, and key-value pairs."""

    def debug(self, event: str, **fields: object) -> None: ...  # noqa: D102
    def info(self, event: str, **fields: object) -> None: ...  # noqa: D102
    def warning(self, event: str, **fields: object) -> None: ...  # noqa: D102
    def error(self, event: str, **fields: object) -> None: ...  # noqa: D102


@attrs.frozen
class Environment:
    """What a plug-in is given of the world.

    Attributes:
        clock: the time of day; under a mock clock it is virtual.
        rng: seeded randomness, for jitter, simulated markets and faults; the plug-in's own stream.
        data_dir: where it may keep files of its own; it exists once the state layer is open.
        log: bound to the plug-in's name.
    """

    clock: Clock
    rng: random.Random
    data_dir: Path
    log: Log
