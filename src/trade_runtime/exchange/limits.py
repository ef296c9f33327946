"""The rate limits of a venue as it enforces them: windows of so much, a ban for who goes on.

A face makes the windows that its venue has and asks `Limits.take` once for each request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import trio

BAN_SECS: Final = 120.0
"""The first ban of one who goes on after 429: Binance says from 2 minutes to 3 days."""

BAN_AFTER: Final = 10
"""Requests that are made in spite of 429 until there is a ban."""


@attrs.frozen
class Window:
    """So much in so long, counted from whole multiples of its length as Binance does.

    Attributes:
        name: by which `take` knows what to charge.
        limit: how much.
        secs: of the window.
    """

    name: str
    limit: int
    secs: float


@attrs.frozen
class Exceeded:
    """A request that is over a limit.

    Attributes:
        window: which; None in a ban.
        retry_secs: after which it may be made again.
        banned: it is a ban: HTTP 418, not 429.
    """

    window: Window | None
    retry_secs: float
    banned: bool


class Limits:
    """What one client has used of the windows of its venue.

    Args:
        windows: all of them; several may have one name, as orders per 10 s and per day.
        ban_after: requests in spite of a refusal until there is a ban.
        ban_secs: its length.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        *,
        ban_after: int = BAN_AFTER,
        ban_secs: float = BAN_SECS,
    ) -> None:
        self.windows = tuple(windows)
        self._used: dict[Window, tuple[int, int]] = {}
        self._ban_after = ban_after
        self._ban_secs = ban_secs
        self._ignored = 0
        self._refused_until = 0.0
        self._banned_until = 0.0

    def used(self, window: Window) -> int:
        """Return what is used of a window's present turn."""
        turn, used = self._used.get(window, (0, 0))
        return used if turn == self._turn(window) else 0

    def take(self, charges: Mapping[str, int]) -> Exceeded | None:
        """Charge a request, or return why it is not to be carried out.

        Args:
            charges: how much of the windows of each name.
        """
        now = trio.current_time()
        if now < self._banned_until:
            return Exceeded(None, self._banned_until - now, banned=True)
        for window in self.windows:
            charge = charges.get(window.name, 0)
            if charge and self.used(window) + charge > window.limit:
                return self._refuse(window, now)
        for window in self.windows:
            charge = charges.get(window.name, 0)
            if charge:
                self._used[window] = (self._turn(window), self.used(window) + charge)
        return None

    def _refuse(self, window: Window, now: float) -> Exceeded:
        retry = (self._turn(window) + 1) * window.secs - now
        self._ignored = self._ignored + 1 if now < self._refused_until else 1
        self._refused_until = now + retry
        if self._ignored > self._ban_after:
            self._banned_until = now + self._ban_secs
            return Exceeded(window, self._ban_secs, banned=True)
        return Exceeded(window, retry, banned=False)

    @staticmethod
    def _turn(window: Window) -> int:
        return int(trio.current_time() // window.secs)
