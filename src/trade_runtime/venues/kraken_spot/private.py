"""One connection to Kraken's private WebSocket: requests and their answers, and what happens to the
account's orders.

Guarantees that an answer goes to the request it belongs to, by its number; that a request without
an answer in `REPLY_SECS`, or whose connection ended, is of unknown outcome, whether or not a byte
of it left; and that events are told in their sequence, each once, while one that stays away ends
the connection, so that what was missed is asked for. Nothing here shields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

import msgspec
import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.events import VenueEvent
from trade_runtime.protocols import Environment
from trade_runtime.venues.kraken_spot.codec import Ack, Envelope, ack_of, read_envelope
from trade_runtime.venues.kraken_spot.executions import Executions
from trade_runtime.venues.kraken_spot.orders import request
from trade_runtime.venues.kraken_spot.purse import Purse
from trade_runtime.venues.kraken_spot.rest import failure
from trade_runtime.venues.kraken_spot.session import ACK_SECS, Silence
from trade_runtime.venues.wire.link import Link
from trade_runtime.venues.wire.together import first_failure

REPLY_SECS: Final = 5.0
"""For Kraken to answer a request; what it answers later, the events tell."""

GAP_SECS: Final = 1.0
"""How long events wait for one before them that has not come; then it was missed."""

MAX_EARLY: Final = 1_000
"""Events that wait so."""

_SESSION_OVER: Final = ("ESession:", "EAPI:Invalid token", "EAuth:")


class _Waiting:
    """A request that has no answer yet."""

    __slots__ = ("ack", "answered")

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.ack: Ack | None = None


class PrivateLink:
    """An open connection. `run` may be called once.

    Args:
        link: the connection.
        token: what it is let in by.
        executions: makes events of rows.
        tell: takes the events.
        env: the clock and a log.
    """

    def __init__(
        self,
        link: Link,
        token: str,
        executions: Executions,
        tell: Callable[[VenueEvent], None],
        env: Environment,
    ) -> None:
        self.ahead_ns = 0
        """How far Kraken's clock is ahead of ours."""
        self.purse = Purse()
        """What the account holds, as it was told."""
        self._link = link
        self._token = token
        self._executions = executions
        self._tell = tell
        self._env = env
        self._silence = Silence("Kraken (private)")
        self._requests = count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._sequence: int | None = None
        self._early: dict[int, Envelope] = {}
        self._gap_since = 0.0
        self._over: str | None = None
        self._ended = trio.Event()

    async def run(self, connected: Callable[[], None]) -> None:
        """Subscribe, call `connected`, and tell what happens until the connection ends.

        Raises:
            VenueError: it ended, whoever ended it.
        """

        async def subscribe() -> None:
            params = {"channel": "executions", "snap_orders": True, "snap_trades": True}
            with trio.move_on_after(ACK_SECS) as scope:
                await self.ask("subscribe", params)
                await self.ask("subscribe", {"channel": "balances"})
            if scope.cancelled_caught:
                raise VenueError(f"Kraken did not confirm its channels within {ACK_SECS:g} s")
            connected()
            await trio.sleep_forever()

        over = "the connection was left"
        self._executions.begin()
        try:
            failed = await first_failure(
                self._pump, subscribe, self._silence.watch, self._watch, self._watch_gaps
            )
            over = str(failed)
            raise failed
        finally:
            self._over = over
            self._executions.begin()
            for waiting in self._waiting.values():
                waiting.answered.set()
            if self._executions.ignored:
                self._env.log.debug("rows ignored", rows=self._executions.ignored)

    async def ask(self, method: str, params: Mapping[str, Any]) -> Ack:
        """Send a request once and return Kraken's answer.

        Raises:
            VenueRefused: Kraken said no, for certain.
            VenueError: no answer came; what was asked for may be done.
        """
        if self._over is not None:
            raise VenueError(f"Kraken: {self._over}")
        req_id = next(self._requests)
        waiting = self._waiting[req_id] = _Waiting()
        try:
            try:
                if method == "subscribe":
                    params = {**params, "token": self._token}
                    message = {"method": method, "params": params, "req_id": req_id}
                    await self._link.send(msgspec.json.encode(message).decode())
                else:
                    await self._link.send(request(method, params, self._token, req_id))
            except VenueError as error:
                # A part of it may have left, so this is not the certain word that VenueDown is.
                raise VenueError(f"Kraken: {method} may have left: {error}") from None
            with trio.move_on_after(REPLY_SECS):
                await waiting.answered.wait()
        finally:
            del self._waiting[req_id]
        if waiting.ack is None:
            raise VenueError(f"Kraken: {method} has no outcome: {self._why_unanswered()}")
        if waiting.ack.error:
            if waiting.ack.error.startswith(_SESSION_OVER):
                self._over = waiting.ack.error
                self._ended.set()
            raise failure(waiting.ack.error)
        return waiting.ack

    def _why_unanswered(self) -> str:
        return self._over or f"no answer within {REPLY_SECS:g} s"

    async def _watch(self) -> None:
        await self._ended.wait()
        raise VenueError(f"Kraken ended the session: {self._over}")

    async def _pump(self) -> None:
        while True:
            envelope = read_envelope(await self._link.receive())
            self._silence.heard()
            if envelope.channel == "executions":
                for one in self._in_order(envelope):
                    snapshot = one.type == "snapshot"
                    for event in self._executions.decode(one.data, snapshot=snapshot):
                        self._tell(event)
            elif envelope.channel == "balances":
                self.purse.take(envelope.data, snapshot=envelope.type == "snapshot")
            elif envelope.method or envelope.error:
                self._on_ack(ack_of(envelope))

    def _in_order(self, envelope: Envelope) -> list[Envelope]:
        """Return the frames that may be read now; one that came early waits for those before it."""
        sequence, last = envelope.sequence, self._sequence
        if sequence is None:
            return [envelope]
        if last is not None and sequence <= last:
            return []  # it came twice
        if last is not None and sequence > last + 1:
            if not self._early:
                self._gap_since = trio.current_time()
            self._early[sequence] = envelope
            self._executions.behind = True
            if len(self._early) > MAX_EARLY:
                raise VenueError(f"Kraken's events after {last} were missed")
            return []
        found = [envelope]
        while sequence + 1 in self._early:
            sequence += 1
            found.append(self._early.pop(sequence))
        self._sequence = sequence
        self._executions.behind = bool(self._early)
        self._gap_since = trio.current_time()
        return found

    async def _watch_gaps(self) -> None:
        while True:
            await trio.sleep(GAP_SECS / 4)
            if self._early and trio.current_time() > self._gap_since + GAP_SECS:
                raise VenueError(
                    f"Kraken's events went from {self._sequence} to {min(self._early)}:"
                    " some were missed"
                )

    def _on_ack(self, ack: Ack) -> None:
        if ack.server_ns:
            self.ahead_ns = ack.server_ns - self._env.clock.now_ns()
        waiting = self._waiting.get(ack.req_id)
        if waiting is not None and waiting.ack is None:
            waiting.ack = ack
            waiting.answered.set()
