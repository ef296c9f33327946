"""Binance's REST API: what its answers mean, and its wish to be left alone.

Guarantees that while Binance has told us to wait (429, 418) nothing is sent: going on would turn a
pause of seconds into a ban of up to three days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec
import trio

from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.venues.wire.http import Answer, Http
from trade_runtime.venues.wire.payload import Reader, excerpt

MAX_BACKOFF_SECS: Final = 3600.0
"""However long Binance asks us to wait, after this we try again."""

DEFAULT_BACKOFF_SECS: Final = 10.0
"""For a 429 or 418 that does not say how long."""

TOO_MANY: Final = (429, 418)
SYMBOL_UNKNOWN: Final = (-1121, -1100)
"""Invalid symbol; illegal characters in a parameter, as in a symbol that cannot exist."""

BINANCE: Final = Reader("Binance")
"""Reads what it sends."""


class _Error(msgspec.Struct):
    code: int
    msg: str = ""


_error = msgspec.json.Decoder(_Error)


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
    """Asks the REST API."""

    def __init__(self, http: Http) -> None:
        self._http = http
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
            raise VenueDown(
                f"{self._http.host} told us to send nothing for another {wait_secs:.1f} s"
                " (rate limit)"
            )
        answer = await self._http.send("GET", path, urlencode(params))
        if answer.status == 200:
            return answer.body
        raise self._refused(path, answer)

    def _refused(self, path: str, answer: Answer) -> RestRefused:
        text = f"{self._http.host}{path}: HTTP {answer.status}"
        error = decode_error(answer.body)
        text += f" {error[0]} {error[1]}" if error else f" {excerpt(answer.body)}".rstrip()
        if answer.status in TOO_MANY:
            secs = _retry_after_secs(answer.headers.get("retry-after"))
            self._closed_until = trio.current_time() + secs
            text += f"; nothing is sent for {secs:g} s"
        return RestRefused(text, answer.status, error[0] if error else None)


def decode_error(body: bytes) -> tuple[int, str] | None:
    """Return Binance's own code and message of a refused request, or None where it gives none."""
    try:
        error = _error.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return error.code, excerpt(error.msg)


def _retry_after_secs(header: str | None) -> float:
    if header is None or not header.isascii() or not header.isdigit():
        return DEFAULT_BACKOFF_SECS
    return min(float(header[:9]), MAX_BACKOFF_SECS)
