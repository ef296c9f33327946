"""HTTP over httpx: one bounded request at a time, and an honest word on whether it may have left.

Guarantees that an answer is never larger than `MAX_ANSWER_BYTES` and never later than
`REQUEST_TIMEOUT_SECS`, that nothing is ever sent twice, and that a request which failed raises
`VenueDown` only where no byte of it can have reached the exchange.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import attrs
import httpx
import trio

from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.venues.wire.payload import excerpt

CONNECT_TIMEOUT_SECS: Final = 3.0
REQUEST_TIMEOUT_SECS: Final = 10.0
"""For a whole request, from the connection to the last byte."""

MAX_ANSWER_BYTES: Final = 8 * 2**20
"""A depth snapshot of 5,000 levels a side has 0.4 MB; nothing we ask for comes near this."""

MAX_CONNECTIONS: Final = 8

_NOTHING_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@attrs.frozen
class Answer:
    """What came back, whatever its status.

    Attributes:
        status: of HTTP.
        headers: by name; looking one up takes no account of case.
        body: whole.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Sends requests to one host.

    Args:
        base_url: with or without a closing slash.
        client: the pool of connections.
    """

    def __init__(self, base_url: str, client: httpx.AsyncClient) -> None:
        self.host = urlsplit(base_url).netloc
        self._base_url = base_url.rstrip("/")
        self._client = client

    async def send(
        self,
        method: str,
        path: str,
        query: str = "",
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, once, and return the answer.

        Cancellation closes the connection that the request was on.

        Args:
            method: `GET`, `POST`, `PUT` or `DELETE`.
            path: from the base URL on.
            query: percent-encoded, as it is to be sent; errors do not repeat it.
            body: sent as it is.
            headers: beside those that every request has.

        Raises:
            VenueDown: no byte of it has left.
            VenueError: it may have arrived, but no answer came, or one that was too large.
        """
        url = f"{self._base_url}{path}" + (f"?{query}" if query else "")
        try:
            with trio.fail_after(REQUEST_TIMEOUT_SECS):
                return await self._send(method, path, url, body, headers)
        except trio.TooSlowError:
            raise VenueError(
                f"{self.host}{path}: no answer within {REQUEST_TIMEOUT_SECS:g} s"
            ) from None
        except _NOTHING_LEFT as error:
            raise VenueDown(self._failed(path, error)) from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise VenueError(self._failed(path, error)) from None

    def _failed(self, path: str, error: Exception) -> str:
        return f"{self.host}{path}: {excerpt(str(error)) or type(error).__name__}"

    async def _send(
        self,
        method: str,
        path: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        async with self._client.stream(method, url, content=body, headers=headers) as answer:
            whole = bytearray()
            # Read to its end even where it is too large: to break off would leave httpx's nested
            # generators to the garbage collector. The time limit holds all the same.
            async for chunk in answer.aiter_bytes():
                whole += chunk[: MAX_ANSWER_BYTES + 1 - len(whole)]
        if len(whole) > MAX_ANSWER_BYTES:
            raise VenueError(f"{self.host}{path}: the answer is over {MAX_ANSWER_BYTES} bytes")
        return Answer(answer.status_code, answer.headers, bytes(whole))


def tls_for(*urls: str) -> ssl.SSLContext | None:
    """Return what checks certificates, or None where no URL needs it.

    It is the system's trust store; SSL_CERT_FILE names another.
    """
    secure = any(url.startswith(("wss:", "https:")) for url in urls)
    return ssl.create_default_context() if secure else None


@asynccontextmanager
async def open_http(base_url: str, tls: ssl.SSLContext | None) -> AsyncIterator[Http]:
    """Open a pool of connections; nothing is sent until asked for. Leaving closes them."""
    async with httpx.AsyncClient(
        # Proxies and netrc of the surroundings are left out: the stream would not pass them.
        trust_env=False,
        verify=tls if tls is not None else False,
        timeout=httpx.Timeout(REQUEST_TIMEOUT_SECS, connect=CONNECT_TIMEOUT_SECS),
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
        headers={"User-Agent": "trade_runtime"},
        follow_redirects=False,
    ) as client:
        yield Http(base_url, client)
