"""For how long something is wrong at the exchange, along its history.

Time counts while a runtime lives: a dead one can do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from trade_runtime.testing.evidence import Venue
from trade_runtime.testing.snapshots import Life
from trade_runtime.testing.world import World

K = TypeVar("K")


class Spells(Generic[K]):
    """Measures how long each thing is wrong without a break.

    Args:
        world: with its lives.
        bound_secs: how long a thing may be wrong.
        wrong: names what is wrong at an exchange.
        tell: says what was wrong for so many seconds.

    Attributes:
        found: a sentence for each that was wrong for longer.
    """

    def __init__(
        self,
        world: World,
        bound_secs: float,
        wrong: Callable[[Venue], Iterable[K]],
        tell: Callable[[K, float], str],
    ) -> None:
        self.found: list[str] = []
        self._bound_ns = round(bound_secs * 1e9)
        self._wrong = wrong
        self._tell = tell
        self._since: dict[K, int] = {}
        self._lives = list(world.lives)
        self._living: Life | None = None

    def until(self, ts_ns: int, venue: Venue) -> None:
        """Let time pass up to a moment."""
        while True:
            if self._living is not None and self._living.ended_ns <= ts_ns:
                for key in self._since:
                    self._check(key, self._living.ended_ns)
                self._living = None
            elif self._living is None and self._lives and self._lives[0].began_ns <= ts_ns:
                self._living = self._lives.pop(0)
                self._since = dict.fromkeys(self._wrong(venue), self._living.began_ns)
            else:
                return

    def look(self, ts_ns: int, venue: Venue) -> None:
        """Note what is wrong now."""
        now = dict.fromkeys(self._wrong(venue), ts_ns)
        for key in self._since:
            if key not in now:
                self._check(key, ts_ns)
        self._since = {key: self._since.get(key, since) for key, since in now.items()}

    def finish(self, venue: Venue) -> None:
        """Let time pass up to the end of the last life."""
        while self._lives or self._living is not None:
            ends = (self._living or self._lives[0]).ended_ns
            self.until(max(ends, self._lives[0].began_ns if self._lives else 0), venue)

    def _check(self, key: K, ts_ns: int) -> None:
        if self._living is not None and ts_ns - self._since[key] > self._bound_ns:
            self.found.append(self._tell(key, (ts_ns - self._since[key]) / 1e9))
