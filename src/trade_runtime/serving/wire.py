"""The server's end of one WebSocket, made for many small frames.

wsproto does the handshake and reads what the client sends. Text frames are written by hand, for
their header is at most ten bytes (RFC 6455, 5.2: a server does not mask), and many go out in one
send. Pings are answered, unless a fault made the connection silent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

CLOSE_SECS: Final = 1.0
"""For the client to answer our close frame."""

READ_BYTES: Final = 2**16

MAX_MESSAGE_BYTES: Final = 2**20
"""Of a message of the client; one that is longer ends the connection with the code 1009."""

_TEXT: Final = 0x81


def text_frame(body: bytes) -> bytes:
    """Return the frame of a text message."""
    length = len(body)
    if length < 126:
        return bytes((_TEXT, length)) + body
    if length < 2**16:
        return bytes((_TEXT, 126)) + length.to_bytes(2, "big") + body
    return bytes((_TEXT, 127)) + length.to_bytes(8, "big") + body


class Gone(Exception):
    """The client is gone."""


class Wire:
    """A WebSocket, from the client's request for one on.

    Args:
        stream: the connection.
        head: the client's request, already read from it.
        rest: what was read beyond it.

    Attributes:
        silent: send nothing, answer nothing; what would be sent is lost.
        pongs: how many the client has sent.
    """

    def __init__(self, stream: trio.abc.Stream, head: h11.Request, rest: bytes = b"") -> None:
        self.silent = False
        self.pongs = 0
        self._stream = stream
        self._head = head
        self._rest = rest
        self._ws = WSConnection(ConnectionType.SERVER)
        self._sending = trio.Lock()
        self._closed = trio.Event()
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    async def accept(self) -> None:
        """Finish the handshake.

        Raises:
            Gone: the client is gone or made no sense.
        """
        try:
            self._ws.initiate_upgrade_connection(list(self._head.headers), self._head.target)
            self._ws.receive_data(self._rest or b"")
        except RemoteProtocolError:
            raise Gone from None
        if not any(isinstance(event, Request) for event in self._ws.events()):
            raise Gone
        await self._send_event(AcceptConnection())

    async def send(self, data: bytes) -> None:
        """Send whole frames.

        Raises:
            Gone: the client is gone.
        """
        if self.silent:
            await trio.lowlevel.checkpoint()
            return
        async with self._sending:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise Gone from None

    async def send_text(self, body: bytes) -> None:
        """Send a text message.

        Raises:
            Gone: the client is gone.
        """
        await self.send(text_frame(body))

    async def receive(self) -> None:
        """Read what the client sends, and answer its pings, until it is gone."""
        async for _ in self.messages():
            pass

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Yield the client's messages, answering its pings, until it is gone."""
        while True:
            messages: list[bytes] = []
            try:
                data = bytes(await self._stream.receive_some(READ_BYTES))
                self._ws.receive_data(data or None)
                for event in self._ws.events():
                    message = await self._take(event)
                    if message is not None:
                        messages.append(message)
            except (
                Gone,
                RemoteProtocolError,
                trio.BrokenResourceError,
                trio.ClosedResourceError,
            ):
                data = b""
            for message in messages:
                yield message
            if not data or self._closed.is_set():
                self._closed.set()
                return

    async def _take(self, event: Event) -> bytes | None:
        if isinstance(event, TextMessage | BytesMessage):
            return await self._gather(event)
        if isinstance(event, Pong):
            self.pongs += 1
        elif self.silent:
            pass
        elif isinstance(event, Ping):
            await self._send_event(event.response())
        elif isinstance(event, CloseConnection):
            if self._ws.state is ConnectionState.REMOTE_CLOSING:
                await self._send_event(event.response())
            self._closed.set()
        return None

    async def _gather(self, event: TextMessage | BytesMessage) -> bytes | None:
        part = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
        self._parts_bytes += len(part)
        if self._parts_bytes > MAX_MESSAGE_BYTES:
            await self._send_event(CloseConnection(code=1009, reason="the message is too long"))
            raise Gone
        self._parts.append(part)
        if not event.message_finished:
            return None
        message = b"".join(self._parts)
        self._parts, self._parts_bytes = [], 0
        return message

    async def ping(self, payload: bytes = b"") -> None:
        """Send a ping; `pongs` counts what comes back.

        Raises:
            Gone: the client is gone.
        """
        await self._send_event(Ping(payload=payload))

    async def close(self, code: int = 1000, reason: str = "end of the recording") -> None:
        """Say goodbye and wait a moment for the answer, which `receive` reads.

        Raises:
            Gone: the client is gone.
        """
        await self._send_event(CloseConnection(code=code, reason=reason))
        with trio.move_on_after(CLOSE_SECS):
            await self._closed.wait()

    async def _send_event(self, event: Event) -> None:
        try:
            data = self._ws.send(event)
        except LocalProtocolError:
            raise Gone from None
        await self.send(data)
