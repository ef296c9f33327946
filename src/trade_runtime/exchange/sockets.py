"""One client's WebSocket under the faults of the floor: what every face's streams are made of.

Frames wait in a bounded queue and go out by one task. Events of a private stream pass the faults
`delay_events`, `duplicate_events` and `reorder_events`; answers do not. The server pings, ends the
socket after its life, and cuts a client that does not read or does not pong.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Final

import msgspec
import trio

from trade_runtime.exchange.faults import SOON_SECS
from trade_runtime.exchange.floor import PONG_SECS, Floor
from trade_runtime.exchange.record import without_secrets
from trade_runtime.serving import Cut, Gone, Request, Wire, text_frame

MAX_QUEUED_FRAMES: Final = 20_000
"""Frames that wait for a client that does not read; beyond it the socket is cut."""

MAX_UNDER_WAY: Final = 256
"""Messages of a client that wait for their answer; beyond it no more are read."""

BATCH_FRAMES: Final = 64
"""Frames that go out in one send, at most."""

_decode = msgspec.json.Decoder().decode

OnMessage = Callable[[bytes], Awaitable[None]]


class Socket:
    """A WebSocket of a client.

    Args:
        wire: not yet accepted.
        floor: what it is served on.
        request: what it was opened with.
        pings: the server pings.
        farewell: makes the event that says that the server is about to end.
    """

    def __init__(
        self,
        wire: Wire,
        floor: Floor,
        request: Request,
        *,
        pings: bool = True,
        farewell: Callable[[], bytes] | None = None,
    ) -> None:
        self._wire = wire
        self._floor = floor
        self._request = request
        self._pings = pings
        self._farewell = farewell
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held: bytes | None = None
        self._held_until = math.inf
        self._more = trio.Event()
        self._scope = trio.CancelScope()
        self._room = trio.Semaphore(MAX_UNDER_WAY)
        self._goodbye: tuple[int, str] | None = None
        self._leaving = trio.Event()
        self._sent = trio.Event()

    def tell(self, message: bytes, *, private: bool = False) -> None:
        """Have an event sent. A private one passes the faults of events.

        Args:
            message: JSON.
            private: it is of a private stream.
        """
        frame = text_frame(message)
        if not private:
            self._put(frame)
            return
        faults = self._floor.faults
        delay = faults.strikes("delay_events")
        secs = (delay.value or 0) / 1000 if delay else 0.0
        if self._held is None and faults.strikes("reorder_events"):
            self._held, self._held_until = frame, trio.current_time() + SOON_SECS
            self._more.set()
            return
        self._put(frame, secs)
        if faults.strikes("duplicate_events"):
            self._put(frame, secs)
        self._release(secs)

    def reply(self, message: bytes) -> None:
        """Have an answer sent."""
        self._put(text_frame(message))

    def warn(self) -> None:
        """Tell the client that the server is about to end, where the venue has a word for it."""
        if self._farewell is not None:
            self._put(text_frame(self._farewell()))

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Have the socket closed politely, once what waits is sent."""
        self._goodbye = (code, reason)
        self._leaving.set()
        self._more.set()

    def cut(self) -> None:
        """End it at once, without a goodbye."""
        self._scope.cancel()

    async def run(self, on_message: OnMessage) -> None:
        """Accept it and serve it to its end.

        Args:
            on_message: called with each message of the client. Calls begin in the order in which
                messages come; one that waits, as for a slow answer, holds up no other and no ping.

        Raises:
            Gone: the client is gone, or the socket was cut.
            Cut: `on_message` raised it.
        """
        await self._wire.accept()
        floor = self._floor
        floor.sockets.add(self)
        floor.record.write("socket_opened", path=self._request.path)
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send)
                    nursery.start_soon(self._live)
                    nursery.start_soon(self._fall_silent)
                    if self._pings:
                        nursery.start_soon(self._ping)
                    await self._receive(on_message, nursery)
                    nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # One of the tasks found the client gone; the others ended with it.
            cut, rest = group.split((Gone, Cut))
            if rest is not None:
                raise
            raise Gone from cut
        finally:
            floor.sockets.discard(self)
            floor.record.write("socket_closed", path=self._request.path)
        raise Gone

    async def _receive(self, on_message: OnMessage, nursery: trio.Nursery) -> None:
        # Closed at once where `on_message` raises, as a fault that cuts the connection does.
        async with aclosing(self._wire.messages()) as messages:
            async for message in messages:
                with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
                    self._floor.record.write("message", body=without_secrets(_decode(message)))
                # This yields, so that the call before has begun: of tasks that begin together trio
                # does not say which comes first.
                await self._room.acquire()
                nursery.start_soon(self._handle, on_message, message)

    async def _handle(self, on_message: OnMessage, message: bytes) -> None:
        try:
            await on_message(message)
        finally:
            self._room.release()

    def _put(self, frame: bytes, secs: float = 0.0) -> None:
        if len(self._queue) >= MAX_QUEUED_FRAMES:
            self.cut()
            return
        self._queue.append((trio.current_time() + secs, frame))
        self._more.set()

    def _release(self, secs: float = 0.0) -> None:
        if self._held is not None:
            self._put(self._held, secs)
            self._held, self._held_until = None, math.inf

    async def _send(self) -> None:
        while True:
            if self._held_until <= trio.current_time():
                self._release()
            if not self._queue:
                self._more = trio.Event()
                if self._leaving.is_set():
                    self._sent.set()
                with trio.move_on_at(self._held_until):
                    await self._more.wait()
                continue
            # What waits is sent in its order: a delay holds up what comes after it, too.
            await trio.sleep_until(self._queue[0][0])
            now = trio.current_time()
            frames: list[bytes] = []
            while self._queue and self._queue[0][0] <= now and len(frames) < BATCH_FRAMES:
                frames.append(self._queue.popleft()[1])
            await self._wire.send(b"".join(frames))

    async def _live(self) -> None:
        """Close it when it was told to, or when its life is over."""
        with trio.move_on_after(self._floor.socket_life_secs):
            await self._leaving.wait()
        self._leaving.set()
        self._more.set()
        await self._sent.wait()
        code, reason = self._goodbye or (1000, "its life is over")
        await self._wire.close(code, reason)
        raise Gone

    async def _ping(self) -> None:
        wire, unanswered = self._wire, 0.0
        while True:
            pongs = wire.pongs
            await wire.ping(str(self._floor.clock.now_ms()).encode())
            await trio.sleep(self._floor.ping_secs)
            unanswered = 0.0 if wire.pongs > pongs else unanswered + self._floor.ping_secs
            if unanswered >= max(PONG_SECS, self._floor.ping_secs) and not wire.silent:
                raise Gone

    async def _fall_silent(self) -> None:
        faults = self._floor.faults
        while True:
            self._wire.silent = faults.holding("silent_socket") is not None
            changed = faults.changed
            until = faults.until("silent_socket")
            with trio.move_on_at(math.inf if until is None else until):
                await changed.wait()
