"""The replay server: a recording served over the real wire, on loopback.

One port speaks HTTP and WebSocket, as Binance's two hosts do together. Every WebSocket gets the
recording from its beginning, the streams that it asked for and no others; REST answers fit what
the newest of these clients has been sent. `docs/reference/replay.md` is the full account.

It holds no more of the recording than one line for each client, and the book and newest trades of
each symbol. Cancelling it cuts every connection and leaves nothing behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote

import trio

from trade_runtime.errors import ConfigError
from trade_runtime.protocols import Log
from trade_runtime.replay.facts import Facts, read_facts
from trade_runtime.replay.faults import Fault, FaultPlan
from trade_runtime.replay.feed import AtEnd, Dropped, Feed
from trade_runtime.replay.position import Position
from trade_runtime.replay.rest import Answer as Body
from trade_runtime.replay.rest import Answers, refusal
from trade_runtime.serving import Answer, Gone, Request, Wire, serve_connection
from trade_runtime.venues.binance_spot.recording import Recording

HOST: Final = "127.0.0.1"
MAX_PORT: Final = 65_535
MAX_CONNECTIONS: Final = 256
"""Beyond these a connection is closed at once."""

SEND_BUFFER_BYTES: Final = 2**15
"""What the system may hold of a client's stream on our side. Left to itself it holds megabytes, and
the server would be at the end of the recording while the client reads its beginning."""

Speed = Literal["real", "max"] | float
_SPEED_HELP: Final = "must be real, max, or a multiple of the recorded pace above 0, as in 10"


def parse_speed(word: str | float) -> float:
    """Return the multiple of the recorded pace that a word means; `max` is infinity.

    Raises:
        ConfigError: it means none.
    """
    if word == "real":
        return 1.0
    if word == "max":
        return math.inf
    try:
        speed = float(word)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise ConfigError(f"speed {word!r}: {_SPEED_HELP}")
    return speed


class _Server:
    def __init__(
        self,
        recording: Recording,
        facts: Facts,
        plan: FaultPlan,
        speed: float,
        at_end: AtEnd,
        log: Log | None,
    ) -> None:
        self._recording = recording
        self._facts = facts
        self._plan = plan
        self._speed = speed
        self._at_end: AtEnd = at_end
        self._log = log
        self._answers = Answers(facts)
        self._position = Position(facts)
        self._furthest = self._position
        self._connections = 0
        self._refused_until = -math.inf
        self._rest_began: dict[int, float] = {}
        self._stale_left = {i: fault.count for i, fault in plan.of_kind("stale_snapshot")}

    async def serve(self, stream: trio.SocketStream) -> None:
        if self._connections >= MAX_CONNECTIONS:
            await trio.aclose_forcefully(stream)
            return
        self._connections += 1
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        try:
            await serve_connection(stream, self)
        except ConfigError as error:
            if self._log is not None:
                self._log.error("the recording can no longer be read", error=str(error))
        finally:
            self._connections -= 1

    async def answer(self, request: Request) -> Answer:
        """Answer a request for market data."""
        if request.method != "GET":
            return _answer(refusal(405, -1000, "The replay server knows GET alone."))
        return _answer(await self._answer(request.path, request.query))

    async def socket(self, request: Request, wire: Wire) -> Answer | None:
        """Serve a WebSocket to its end, or refuse it."""
        refused = await self._stream(wire, request.path, request.query)
        return None if refused is None else _answer(refused)

    async def _stream(self, wire: Wire, path: str, query: str) -> Body | None:
        """Serve a WebSocket to its end; return what it is refused with where it is."""
        bare = path == "/ws" or path.startswith("/ws/")
        if not bare and path != "/stream":
            return refusal(404, -1000, "Streams are at /stream?streams=NAME/NAME and /ws/NAME.")
        if trio.current_time() < self._refused_until:
            return refusal(503, -1001, "Streams are refused for a while, as was asked for.")
        names = path[4:] if bare else dict(parse_qsl(query)).get("streams", "")
        streams = [name for name in unquote(names).split("/") if name]
        await wire.accept()
        feed = Feed(
            wire,
            self._recording,
            self._facts,
            self._plan,
            streams=streams,
            bare=bare,
            speed=self._speed,
            at_end=self._at_end,
        )
        self._furthest = self._latest()
        self._position = feed.position
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, wire, nursery.cancel_scope)
            try:
                await feed.run()
            except Dropped as dropped:
                self._refused_until = trio.current_time() + dropped.secs
            except Gone:
                pass
            except ConfigError as error:
                if self._log is not None:
                    self._log.error("the recording can no longer be read", error=str(error))
            nursery.cancel_scope.cancel()
        return None

    async def _answer(self, path: str, query: str) -> Body:
        for _, fault in self._active("slow_rest"):
            await trio.sleep(fault.ms / 1000)
        if self._active("rest_down"):
            return refusal(503, -1001, "REST is down for a while, as was asked for.")
        params = dict(parse_qsl(query, keep_blank_values=True))
        if path == "/api/v3/depth":
            for index, _ in self._active("stale_snapshot"):
                if self._stale_left[index] > 0:
                    self._stale_left[index] -= 1
                    return self._answers.stale_depth(params)
        # A client that comes back begins anew, but the market that it asks about has not gone back.
        # A book is what its own stream can go on from.
        book = path == "/api/v3/depth"
        position = self._position if book else self._latest()
        return self._answers.answer(path, params, position)

    def _latest(self) -> Position:
        return max(self._furthest, self._position, key=lambda position: position.line)

    def _active(self, kind: str) -> list[tuple[int, Fault]]:
        """Return the faults of REST that hold now; the first request starts the time of each."""
        now = trio.current_time()
        active = []
        for index, fault in self._plan.of_kind(kind):
            if self._position.line >= fault.at:
                began = self._rest_began.setdefault(index, now)
                if fault.secs is None or now < began + fault.secs:
                    active.append((index, fault))
        return active


async def _until_gone(wire: Wire, scope: trio.CancelScope) -> None:
    await wire.receive()
    scope.cancel()


def _answer(told: Body) -> Answer:
    status, body = told
    return Answer(status, body)


async def serve_replay(
    recording: Path,
    *,
    port: int,
    speed: Speed = "real",
    at_end: AtEnd = "hold",
    faults: Sequence[Fault] = (),
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    log: Log | None = None,
) -> None:
    """Serve a recording on 127.0.0.1 until cancelled.

    The recording is read once before the port is opened, which takes some seconds for each
    gigabyte: then every line is known to make sense.

    Args:
        recording: the file; see `recording` for the formats.
        port: where; 0 takes a free one.
        speed: `real` keeps the recorded gaps, a number is a multiple, `max` is as fast as each
            client reads.
        at_end: `hold` keeps the connection open and silent, `close` closes it, `loop` begins again
            with ids and times that go on growing.
        faults: made as `faults.parse_fault` reads them.
        task_status: told the port, once the server listens.
        log: told what is served.

    Raises:
        ConfigError: the recording cannot be read, or the port is taken.
    """
    pace = parse_speed(speed)
    if at_end not in ("hold", "close", "loop"):
        raise ConfigError(f"at-end {at_end!r}: must be hold, close or loop")
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"port {port}: must be from 0, for a free one, to {MAX_PORT}")
    source = Recording(recording)
    facts = await read_facts(source)
    server = _Server(source, facts, FaultPlan(faults), pace, at_end, log)
    try:
        listeners = await trio.open_tcp_listeners(port, host=HOST)
    except OSError as error:
        raise ConfigError(
            f"port {port} of {HOST} cannot be opened: {error.strerror or error}"
        ) from None
    bound: int = listeners[0].socket.getsockname()[1]
    if log is not None:
        if source.end_line is not None:
            log.warning("the last line is cut short and left out", line=source.end_line)
        log.info(
            "replay is served",
            url=f"ws://{HOST}:{bound}",
            frames=facts.rows,
            symbols=sorted(facts.symbols),
        )
    task_status.started(bound)
    await trio.serve_listeners(partial(_Server.serve, server), listeners)
