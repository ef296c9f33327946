"""The dead-man's switch: the venue itself cancels orders where this process is not heard any more.

Beside what it serves, the orders layer. Where a venue has one and the configuration sets it, a task
of its own arms it once journal and venue agree, and refreshes it for as long as the runtime is
healthy: the loop turns, the journal takes records, the private connection is up. Of a wedged loop
nothing is heard, so that it fires. Some venues take stop-losses along: so after any firing the
orders are read again, what is missing is placed again, and the report counts it.

It is refreshed during a stop, too, and disarmed when the venue has proven that no entry is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import VenueName
from trade_runtime.protocols import DeadMansSwitch

log = structlog.get_logger("switch")

REFRESHES: Final = 4
"""How often within its countdown it is refreshed: three in a row may fail before it fires."""

ANSWER_SECS: Final = 2.0
"""How long a venue may take to confirm, or a refresh's turn, whichever is shorter."""

RETRY_SECS: Final = 0.25
"""How soon, at a stop, a disarming without an answer is tried again."""


class SwitchKeeper:
    """Keeps the switch of one venue.

    Args:
        name: of the venue.
        venue: has the switch; its `switch_secs` are above 0.
        ready: returns once journal and venue agree.
        unhealthy: says why the runtime is not healthy; empty while it is.
        fired: told after it fired, or must have: reads the orders again and protects what is open.

    Attributes:
        refreshes, failures, fired: how often it was confirmed, was not, and fired.
        armed: its countdown runs, as far as anybody knows.
        disarmed: the venue confirmed, at the stop, that it stands.
    """

    def __init__(
        self,
        name: VenueName,
        venue: DeadMansSwitch,
        *,
        ready: Callable[[], Awaitable[object]],
        unhealthy: Callable[[], str],
        fired: Callable[[], Awaitable[None]],
    ) -> None:
        self.refreshes = self.failures = self.fired = 0
        self.armed = self.disarmed = False
        self.tried = trio.Event()
        """It was asked to be armed once, whatever came of it."""
        self._name = name
        self._venue = venue
        self._ready = ready
        self._unhealthy = unhealthy
        self._after = fired
        self._turn = trio.Lock()
        self._heard_at: float | None = None
        """When the last request that the venue confirmed was sent: not before then did its
        countdown begin."""
        self._told = ""

    @property
    def _secs(self) -> float:
        return self._venue.switch_secs

    def report(self) -> dict[str, Any]:
        """Return what the stop report tells of it."""
        return {"armed": self.armed, "fired": self.fired, "disarmed": self.disarmed}

    async def run(self) -> None:
        """Arm and refresh it, for ever.

        Raises:
            VenueError: what is read after a firing did not come. Who supervises this calls again.
        """
        await self._ready()
        while not self.disarmed:
            # Counted before it is armed anew: a firing that goes unseen leaves positions bare.
            overdue = self._overdue()
            why = self._unhealthy()
            if why != self._told:
                self._told = why
                if why:
                    log.error("Dead-man's switch is not refreshed", venue=self._name, why=why)
            if not why:
                overdue = await self._refresh() or overdue
            self.tried.set()
            if overdue:
                await self._after()
            await trio.sleep(self._secs / REFRESHES)
        await trio.sleep_forever()

    def _overdue(self) -> bool:
        """Note that it has fired where its countdown is over; return whether it did just now."""
        if self._heard_at is None or trio.current_time() - self._heard_at <= self._secs:
            return False
        self._heard_at = None
        self.armed = False
        self.fired += 1
        log.error(
            "Dead-man's switch must have fired: orders are read again, positions protected again",
            venue=self._name,
            after_secs=self._secs,
        )
        return True

    async def _refresh(self) -> bool:
        """Start its countdown anew; return whether it fired before the venue heard of that."""
        error: str = ""
        overdue = False
        async with self._turn:
            if self.disarmed:
                return False
            sent_at = trio.current_time()
            try:
                with trio.fail_after(min(ANSWER_SECS, self._secs / REFRESHES)):
                    await self._venue.arm()
            except VenueError as refusal:
                error = str(refusal)
            except trio.TooSlowError:
                error = "no answer"
            # Of one without an answer the venue may have heard: then it runs, and may fire.
            self.armed = True
            if not error:
                overdue = self._overdue()
                self._heard_at = sent_at
                self.armed = True
        if error:
            self.failures += 1
            log.error("Dead-man's switch: no confirmation", venue=self._name, error=error)
        else:
            if not self.refreshes or overdue:
                log.info("Dead-man's switch is armed", venue=self._name, secs=self._secs)
            self.refreshes += 1
        return overdue

    async def disarm(self) -> None:
        """Stop its countdown, until the venue has confirmed it or the caller's deadline comes.

        Cancelled, it is left armed: then it fires, and cancels what it cancels.
        """
        async with self._turn:
            while self.armed:
                try:
                    with trio.fail_after(ANSWER_SECS):
                        await self._venue.disarm()
                except (VenueError, trio.TooSlowError) as error:
                    self.failures += 1
                    log.error(
                        "Dead-man's switch is not disarmed",
                        venue=self._name,
                        error=str(error) or "no answer",
                    )
                    await trio.sleep(RETRY_SECS)
                    continue
                self.armed, self._heard_at = False, None
            self.disarmed = True
            log.info("Dead-man's switch is disarmed", venue=self._name)
