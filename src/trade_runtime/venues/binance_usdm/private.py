"""The private stream of Binance USD-M Futures: what `Venue.run` holds.

It is opened under a listen key that is the account's and not ours alone: another program on the
same account gets the same one. So it is kept alive and never deleted. Nothing here shields.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import quote

import msgspec
import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.events import VenueEvent
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance_usdm.events import PrivateDecoder
from trade_runtime.venues.wire.link import Link, open_link
from trade_runtime.venues.wire.together import first_failure

KEEP_ALIVE_SECS: Final = 1800.0
"""Between two refreshes of the listen key, which lives for an hour."""

KEEP_ALIVE_RETRY_SECS: Final = 60.0
"""After a refresh that failed: there is time for many before the key ends."""

PING_SECS: Final = 10.0
"""Between two pings: an account where nothing happens is as silent as a connection that is dead."""

PONG_SECS: Final = 5.0
"""How long one is waited for."""

MAX_KEY_CHARS: Final = 256


class _Key(msgspec.Struct):
    listenKey: str  # noqa: N815


_key = msgspec.json.Decoder(_Key)


class PrivateStream:
    """Holds one connection after another.

    Args:
        url: base URL of the streams, without a route.
        rest: gets the listen key.
        decoder: of the frames.
        tls: what checks certificates, or None where no URL needs it.
    """

    def __init__(
        self, url: str, rest: Rest, decoder: PrivateDecoder, tls: ssl.SSLContext | None
    ) -> None:
        self._url = url
        self._rest = rest
        self._decoder = decoder
        self._tls = tls

    async def run(self, tell: Callable[[VenueEvent], None], connected: Callable[[], None]) -> None:
        """Open the stream, call `connected`, and hand events on until it ends.

        Raises:
            VenueError: it ended, or did not come about.
        """
        body = await self._rest.send("POST", "/fapi/v1/listenKey", {}, auth="key", weight=1)
        key = BINANCE.decode(_key, body, "listen key").listenKey
        if not 0 < len(key) <= MAX_KEY_CHARS:
            raise VenueError("Binance sent a listen key that is none")
        # Without a list of events it tells all of them: one that is spelled wrong would be silence.
        url = f"{self._url}/private/ws?listenKey={quote(key, safe='')}"
        async with open_link(url, self._tls) as link:
            connected()
            raise await first_failure(
                partial(self._pump, link, tell), partial(self._ping, link), self._keep_alive
            )

    async def _pump(self, link: Link, tell: Callable[[VenueEvent], None]) -> None:
        while True:
            for event in self._decoder.decode(await link.receive()):
                tell(event)

    async def _ping(self, link: Link) -> None:
        while True:
            await trio.sleep(PING_SECS)
            with trio.move_on_after(PONG_SECS) as waiting:
                await link.ping()
            if waiting.cancelled_caught:
                raise VenueError(f"{self._url}: the private stream is silent: no pong")

    async def _keep_alive(self) -> None:
        pause_secs = KEEP_ALIVE_SECS
        while True:
            await trio.sleep(pause_secs)
            try:
                await self._rest.send("PUT", "/fapi/v1/listenKey", {}, auth="key", weight=1)
            except VenueError:
                pause_secs = KEEP_ALIVE_RETRY_SECS
            else:
                pause_secs = KEEP_ALIVE_SECS
