"""The private connection of Binance Spot: the account's events over the WebSocket API.

It subscribes by a signature (`userDataStream.subscribe.signature`), which takes every kind of key;
the listenKey of former years is gone. It ends, with an error that says why, when Binance ends it,
when a ping goes unanswered, and in good time before the 24 hours that Binance gives a connection:
whoever supervises it connects again, and asks for what was missed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Final

import trio

from trade_runtime.errors import VenueError
from trade_runtime.model.events import VenueEvent
from trade_runtime.venues.binance.answers import TOO_MANY, Code
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance.signing import Signer
from trade_runtime.venues.binance_spot.user_codec import Response, UserDecoder, encode_request
from trade_runtime.venues.wire.link import Link, open_link
from trade_runtime.venues.wire.together import first_failure

SUBSCRIBE_SECS: Final = 5.0
"""For the answer to the subscription."""

PING_SECS: Final = 15.0
PONG_SECS: Final = 10.0
"""Between two pings of ours, and for the answer to one: a silent socket is noticed in 25 s."""

LIFETIME_SECS: Final = 23.5 * 3600
"""Binance cuts a connection after 24 hours; we go before it, when it suits us."""

SUBSCRIBE: Final = "userDataStream.subscribe.signature"
"""The request, and the id by which its answer is known."""


class UserStream:
    """Holds the private connection.

    Args:
        url: of the WebSocket API.
        tls: what checks certificates.
        rest: knows Binance's time of day.
        signer: of the account.
        recv_window_ms: for how long a request may be under way.
        decoder: of frames.
    """

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext | None,
        rest: Rest,
        signer: Signer,
        recv_window_ms: int,
        decoder: UserDecoder,
    ) -> None:
        self._url = url
        self._tls = tls
        self._rest = rest
        self._signer = signer
        self._recv_window_ms = recv_window_ms
        self._decoder = decoder

    async def run(self, tell: Callable[[VenueEvent], None], connected: Callable[[], None]) -> None:
        """Connect and subscribe, call `connected`, and hand on events until the connection ends.

        Cancellation closes the socket at once.

        Raises:
            VenueError: no connection came about, or it ended.
        """
        self._rest.forget_time()  # clocks drift: each connection asks anew
        await self._rest.now_ms()  # nor is a connection tried while Binance wants to be left alone
        async with open_link(self._url, self._tls) as link:
            early = await self._subscribe(link)
            connected()
            for event in early:
                tell(event)
            await self._hold(link, tell)

    async def _subscribe(self, link: Link) -> list[VenueEvent]:
        """Subscribe; return what came before the answer did."""
        params: Mapping[str, str | int] = {
            "timestamp": await self._rest.now_ms(),
            "recvWindow": self._recv_window_ms,
        }
        await link.send(encode_request(SUBSCRIBE, SUBSCRIBE, self._signer.signed_params(params)))
        early: list[VenueEvent] = []
        with trio.move_on_after(SUBSCRIBE_SECS):
            while True:
                told = self._decoder.decode(await link.receive())
                if not isinstance(told, Response):
                    early += told
                elif told.id == SUBSCRIBE:
                    await self._check(told)
                    return early
        raise VenueError(f"Binance did not answer the subscription within {SUBSCRIBE_SECS:g} s")

    async def _check(self, answer: Response) -> None:
        if answer.status == 200:
            return
        if answer.code == Code.CLOCK:
            self._rest.forget_time()
        if answer.status in TOO_MANY:
            left_ms = answer.retry_ms - await self._rest.now_ms()
            self._rest.be_silent(left_ms / 1000 if answer.retry_ms else None)
        raise VenueError(
            f"Binance refused the subscription to the account's events: {answer.status}"
            f" {answer.code} {answer.text}"
        )

    async def _hold(self, link: Link, tell: Callable[[VenueEvent], None]) -> None:
        async def pump() -> None:
            while True:
                told = self._decoder.decode(await link.receive())
                if not isinstance(told, Response):
                    for event in told:
                        tell(event)

        async def watch() -> None:
            until = trio.current_time() + LIFETIME_SECS
            while trio.current_time() < until:
                await trio.sleep(PING_SECS)
                with trio.move_on_after(PONG_SECS) as scope:
                    await link.ping()
                if scope.cancelled_caught:
                    raise VenueError(f"Binance answered no ping within {PONG_SECS:g} s")
            raise VenueError("the connection is nearly 24 hours old: a new one takes its place")

        raise await first_failure(pump, watch)
