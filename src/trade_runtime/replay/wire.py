"""The server's end of one WebSocket, made for many small frames.

wsproto does the handshake and reads what the client sends. Text frames are written by hand, for
their header is at most ten bytes (RFC 6455, 5.2: a server does not mask), and many go out in one
send. Pings are answered, unless a fault made the connection silent.
"""

from __future__ import annotations

from typing import Final

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    Request,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

CLOSE_SECS: Final = 1.0
"""For the client to answer our close frame."""

READ_BYTES: Final = 2**16

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
    """An accepted WebSocket.

    Args:
        stream: the connection.
        head: the bytes of the client's upgrade request, already read from it.
    """

    def __init__(self, stream: trio.abc.Stream, head: bytes) -> None:
        self.silent = False
        """Send nothing, answer nothing."""
        self._stream = stream
        self._head = head
        self._ws = WSConnection(ConnectionType.SERVER)
        self._sending = trio.Lock()
        self._closed = trio.Event()

    async def accept(self) -> None:
        """Finish the handshake.

        Raises:
            Gone: the client is gone or made no sense.
        """
        try:
            self._ws.receive_data(self._head)
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
        async with self._sending:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise Gone from None

    async def receive(self) -> None:
        """Read what the client sends, and answer its pings, until it is gone."""
        while True:
            try:
                data = bytes(await self._stream.receive_some(READ_BYTES))
                self._ws.receive_data(data or None)
                for event in self._ws.events():
                    await self._take(event)
            except (
                Gone,
                RemoteProtocolError,
                trio.BrokenResourceError,
                trio.ClosedResourceError,
            ):
                data = b""
            if not data or self._closed.is_set():
                self._closed.set()
                return

    async def _take(self, event: Event) -> None:
        if self.silent:
            pass
        elif isinstance(event, Ping):
            await self._send_event(event.response())
        elif isinstance(event, CloseConnection):
            if self._ws.state is ConnectionState.REMOTE_CLOSING:
                await self._send_event(event.response())
            self._closed.set()

    async def close(self) -> None:
        """Say goodbye and wait a moment for the answer, which `receive` reads.

        Raises:
            Gone: the client is gone.
        """
        await self._send_event(CloseConnection(code=1000, reason="end of the recording"))
        with trio.move_on_after(CLOSE_SECS):
            await self._closed.wait()

    async def _send_event(self, event: Event) -> None:
        try:
            data = self._ws.send(event)
        except LocalProtocolError:
            raise Gone from None
        await self.send(data)
