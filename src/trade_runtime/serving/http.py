"""One connection of a client: HTTP/1.1 requests one after another, until one becomes a WebSocket.

Everything that a client may send is bounded: the head, the body, the time between two requests.
What breaks a bound is answered with 413 where the head could be read, and else is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, Protocol
from urllib.parse import urlsplit

import attrs
import h11
import trio

from trade_runtime.serving.wire import Gone, Wire

MAX_HEAD_BYTES: Final = 2**16
"""Of a request: a URL with the 1,024 streams that Binance allows has 25 kB."""

MAX_BODY_BYTES: Final = 2**20
"""Of a request."""

IDLE_SECS: Final = 60.0
"""For the next request on a connection."""

READ_BYTES: Final = 2**16

JSON: Final = "application/json;charset=UTF-8"


class Cut(Exception):
    """The connection is to be cut without an answer."""


@attrs.frozen
class Request:
    """What a client asks for.

    Attributes:
        method: in capitals.
        target: the path and query as they were sent.
        headers: by name in lower case; of several of one name the last.
        body: whole.
    """

    method: str
    target: str
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, as it was sent."""
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        """What follows the question mark, as it was sent: percent-encoded."""
        return urlsplit(self.target).query

    @property
    def upgrades(self) -> bool:
        """It asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


@attrs.frozen
class Answer:
    """What it is told.

    Attributes:
        status: of HTTP.
        body: whole.
        headers: beside Content-Type and Content-Length.
        kind: the Content-Type.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = JSON


class Served(Protocol):
    """What answers the requests of a connection."""

    async def answer(self, request: Request) -> Answer:
        """Answer a request.

        Raises:
            Cut: close the connection instead.
        """

    async def socket(self, request: Request, wire: Wire) -> Answer | None:
        """Serve a WebSocket to its end, `wire.accept()` first; or refuse it with an answer.

        Raises:
            Gone: the client went; Cut: close the connection.
        """


async def serve_connection(
    stream: trio.abc.Stream,
    served: Served,
    *,
    max_body_bytes: int = MAX_BODY_BYTES,
    idle_secs: float = IDLE_SECS,
) -> None:
    """Serve a client to the end of its connection, and close it.

    A client that is gone or speaks no HTTP ends it without an error; what `served` raises beside
    `Gone` and `Cut` goes to the caller. Cancelling cuts the connection.

    Args:
        stream: the connection.
        served: what answers.
        max_body_bytes: the largest body of a request.
        idle_secs: for the next request.
    """
    try:
        async with aclosing(stream):
            await _Connection(stream, served, max_body_bytes, idle_secs).run()
    except (Gone, Cut, h11.ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client is gone, spoke no HTTP, or was to be cut


class _Connection:
    def __init__(
        self, stream: trio.abc.Stream, served: Served, max_body_bytes: int, idle_secs: float
    ) -> None:
        self._stream = stream
        self._served = served
        self._max_body = max_body_bytes
        self._idle = idle_secs
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def run(self) -> None:
        http = self._http
        while True:
            head = request = None
            with trio.move_on_after(self._idle):
                head, request = await self._next_request()
            if head is None:
                return
            if request is None:
                await self._reply(Answer(413, b'{"msg":"the body is too large"}'))
                return
            if request.upgrades:
                wire = Wire(self._stream, head, http.trailing_data[0])
                refused = await self._served.socket(request, wire)
                if refused is None:
                    return
                await self._reply(refused)
            else:
                await self._reply(await self._served.answer(request))
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _next_request(self) -> tuple[h11.Request | None, Request | None]:
        """Read a request to its end; None where the client closed, or where the body is too large
        (then there is a head all the same).
        """
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    await self._stream.send_all(self._http.send(go_on) or b"")
                self._http.receive_data(bytes(await self._stream.receive_some(READ_BYTES)))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._max_body:
                    return head, None
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return head, _request(head, bytes(body)) if head is not None else None
            elif isinstance(event, h11.ConnectionClosed):
                return None, None

    async def _reply(self, answer: Answer) -> None:
        headers = [
            ("Content-Type", answer.kind),
            ("Content-Length", str(len(answer.body))),
            *answer.headers,
        ]
        http = self._http
        data = http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
        data += http.send(h11.Data(data=answer.body)) or b""
        await self._stream.send_all(data + (http.send(h11.EndOfMessage()) or b""))


def _request(head: h11.Request, body: bytes) -> Request:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers
    }
    target = head.target.decode("ascii", errors="replace")
    return Request(head.method.decode("ascii"), target, headers, body)
