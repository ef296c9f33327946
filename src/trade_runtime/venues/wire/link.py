"""One WebSocket connection over trio-websocket, with its time limits; every failure a `VenueError`.

`open_link` differs from trio-websocket's own opener in three ways that matter to a runtime that
must stop on time: the TLS handshake is done first, so that a bad certificate is named and not
waited out; an error of the body leaves as itself, never inside an exception group; and closing is
polite for at most `CLOSE_SECS`, then hard.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.venues.wire.payload import excerpt

CONNECT_TIMEOUT_SECS: Final = 3.0
"""For the name, TCP, TLS and the WebSocket handshake together; trio-websocket's own is 60."""

CLOSE_SECS: Final = 1.0
"""For the peer to answer our close frame."""

MAX_MESSAGE_BYTES: Final = 2**20
MESSAGE_QUEUE: Final = 256
"""Frames read ahead: fewer task switches in a burst. TCP holds back the rest."""

RECEIVE_BYTES: Final = 2**16


_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Link:
    """An open connection."""

    def __init__(self, ws: WebSocketConnection, host: str) -> None:
        self._ws = ws
        self._host = host
        self._pings = 0

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            VenueError: the connection ended, and everything that came before has been returned.
        """
        try:
            return await self._ws.get_message()
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def send(self, message: str) -> None:
        """Send a message of text.

        Raises:
            VenueError: the connection ended; the message may or may not have left.
        """
        try:
            await self._ws.send_message(message)
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def ping(self) -> None:
        """Send a ping and return when its pong is here.

        Raises:
            VenueError: the connection ended.
        """
        self._pings += 1
        try:
            await self._ws.ping(self._pings.to_bytes(8, "big"))
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    def _ended(self, closed: ConnectionClosed) -> VenueDown:
        reason = closed.reason
        if reason is None or reason.code == 1006:
            return VenueDown(f"{self._host}: the connection was lost")
        why = f" {excerpt(reason.reason)}" if reason.reason else ""
        return VenueDown(f"{self._host}: the stream was closed ({reason.code} {reason.name}{why})")


@asynccontextmanager
async def open_link(url: str, tls: ssl.SSLContext | None) -> AsyncIterator[Link]:
    """Connect to `url`; leaving closes the socket, at the latest `CLOSE_SECS` later.

    A cancelled scope closes it at once, without waiting for the peer.

    Raises:
        VenueError: no connection came about.
    """
    parts = urlsplit(url)
    deadline = trio.current_time() + CONNECT_TIMEOUT_SECS
    stream = await _open_stream(url, tls, deadline)
    failed: Exception | None = None
    left = False
    try:
        async with trio.open_nursery() as nursery:
            try:
                with trio.fail_at(deadline):
                    ws = await wrap_client_stream(
                        nursery,
                        stream,
                        parts.netloc,
                        f"{parts.path or '/'}?{parts.query}",
                        message_queue_size=MESSAGE_QUEUE,
                        max_message_size=MAX_MESSAGE_BYTES,
                        receive_buffer_size=RECEIVE_BYTES,
                    )
            except trio.TooSlowError:
                failed = _too_slow(parts.netloc)
            else:
                try:
                    yield Link(ws, parts.netloc)
                except Exception as error:  # held: the nursery would wrap it into a group
                    failed = error
                finally:
                    left = True
                    with trio.move_on_after(CLOSE_SECS):
                        await ws.aclose()
            nursery.cancel_scope.cancel()
    except* Exception as broken:
        # The reader of trio-websocket; it fails, too, where a ping comes while we are closing.
        if not left:
            failed = _broken(parts.netloc, broken)
    finally:
        await trio.aclose_forcefully(stream)
    if failed is not None:
        raise failed


async def _open_stream(url: str, tls: ssl.SSLContext | None, deadline: float) -> _Stream:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        with trio.fail_at(deadline):
            if parts.scheme == "ws":
                return await trio.open_tcp_stream(host, parts.port or 80)
            secure = await trio.open_ssl_over_tcp_stream(
                host, parts.port or 443, ssl_context=tls, https_compatible=True
            )
            try:
                await secure.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(secure)
                raise
            return secure
    except trio.TooSlowError:
        raise _too_slow(parts.netloc) from None
    except trio.BrokenResourceError as error:
        cause = error.__cause__ or error
        raise VenueDown(f"{parts.netloc}: {excerpt(str(cause))}") from None
    except OSError as error:
        raise VenueDown(f"{parts.netloc}: {excerpt(str(error))}") from None


def _too_slow(host: str) -> VenueDown:
    return VenueDown(f"{host}: no connection within {CONNECT_TIMEOUT_SECS:g} s")


def _broken(host: str, group: BaseExceptionGroup[Exception]) -> VenueError:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, ConnectionRejected):
        body = excerpt(first.body or b"")
        return VenueError(f"{host}: refused the stream: HTTP {first.status_code} {body}".rstrip())
    return VenueDown(f"{host}: the stream broke: {excerpt(str(first)) or type(first).__name__}")
