"""Binance's public REST API over httpx: one bounded GET at a time, every failure a `VenueError`.

Guarantees that an answer is never larger than `MAX_ANSWER_BYTES`, never later than
`REQUEST_TIMEOUT_SECS`, and that while Binance has told us to wait (429, 418) nothing is sent:
going on would turn a pause of seconds into a ban of up to three days.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx
import trio

from trade_runtime.errors import VenueError
from trade_runtime.venues.binance.codec import decode_error, excerpt

CONNECT_TIMEOUT_SECS: Final = 3.0
REQUEST_TIMEOUT_SECS: Final = 10.0
"""For a whole request, from the connection to the last byte."""

MAX_ANSWER_BYTES: Final = 8 * 2**20
"""A depth snapshot of 5,000 levels a side has 0.4 MB; nothing we ask for comes near this."""

MAX_CONNECTIONS: Final = 8

MAX_BACKOFF_SECS: Final = 3600.0
"""However long Binance asks us to wait, after this we try again."""

DEFAULT_BACKOFF_SECS: Final = 10.0
"""For a 429 or 418 that does not say how long."""

TOO_MANY: Final = (429, 418)
SYMBOL_UNKNOWN: Final = (-1121, -1100)
"""Invalid symbol; illegal characters in a parameter, as in a symbol that cannot exist."""


class RestRefused(VenueError):
    """Binance answered with an error.

    Attributes:
        status: of HTTP.
        code: Binance's own, or None.
    """

    def __init__(self, text: str, status: int, code: int | None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code

    @property
    def symbol_unknown(self) -> bool:
        """It refused because there is no such symbol."""
        return self.status == 400 and self.code in SYMBOL_UNKNOWN


class Rest:
    """Asks the public REST API."""

    def __init__(self, base_url: str, client: httpx.AsyncClient) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).netloc
        self._client = client
        self._closed_until = 0.0

    async def get(self, path: str, params: Mapping[str, str]) -> bytes:
        """Return the body of the answer to a GET.

        Cancellation closes the connection that the request was on.

        Raises:
            RestRefused: Binance answered with an error.
            VenueError: no answer came, or one that was too large.
        """
        wait_secs = self._closed_until - trio.current_time()
        if wait_secs > 0:
            raise VenueError(
                f"{self._host} told us to send nothing for another {wait_secs:.1f} s (rate limit)"
            )
        try:
            with trio.fail_after(REQUEST_TIMEOUT_SECS):
                return await self._get(path, params)
        except trio.TooSlowError:
            raise VenueError(
                f"{self._host}{path}: no answer within {REQUEST_TIMEOUT_SECS:g} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise VenueError(
                f"{self._host}{path}: {excerpt(str(error)) or type(error).__name__}"
            ) from None

    async def _get(self, path: str, params: Mapping[str, str]) -> bytes:
        url = self._base_url + path
        async with self._client.stream("GET", url, params=dict(params)) as answer:
            body = bytearray()
            # Read to its end even where it is too large: to break off would leave httpx's nested
            # generators to the garbage collector. The time limit holds all the same.
            async for chunk in answer.aiter_bytes():
                body += chunk[: MAX_ANSWER_BYTES + 1 - len(body)]
        if len(body) > MAX_ANSWER_BYTES:
            raise VenueError(f"{self._host}{path}: the answer is over {MAX_ANSWER_BYTES} bytes")
        if answer.status_code == 200:
            return bytes(body)
        raise self._refused(path, answer, bytes(body))

    def _refused(self, path: str, answer: httpx.Response, body: bytes) -> RestRefused:
        status = answer.status_code
        text = f"{self._host}{path}: HTTP {status}"
        error = decode_error(body)
        text += f" {error[0]} {error[1]}" if error else f" {excerpt(body)}".rstrip()
        if status in TOO_MANY:
            secs = _retry_after_secs(answer.headers.get("retry-after"))
            self._closed_until = trio.current_time() + secs
            text += f"; nothing is sent for {secs:g} s"
        return RestRefused(text, status, error[0] if error else None)


def _retry_after_secs(header: str | None) -> float:
    if header is None or not header.isascii() or not header.isdigit():
        return DEFAULT_BACKOFF_SECS
    return min(float(header[:9]), MAX_BACKOFF_SECS)


@asynccontextmanager
async def open_rest(base_url: str, tls: ssl.SSLContext | None) -> AsyncIterator[Rest]:
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
        yield Rest(base_url, client)
