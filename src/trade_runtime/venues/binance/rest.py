"""Binance's REST API: requests signed and counted, and its wish to be left alone.

Shared by Spot and USD-M Futures. Guarantees that while Binance has told us to wait (429, 418)
nothing is sent: going on would turn a pause of seconds into a ban of up to three days. Nothing is
ever sent twice: a request that came too late by Binance's clock (-1021) is refused, and the clock
is asked before the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import attrs
import msgspec
import trio

from trade_runtime.errors import VenueDown
from trade_runtime.protocols import Clock
from trade_runtime.venues.binance import limits
from trade_runtime.venues.binance.answers import (
    BINANCE,
    TOO_MANY,
    Code,
    RestRefused,
    decode_error,
)
from trade_runtime.venues.binance.numbers import Ms
from trade_runtime.venues.binance.signing import Signer, encoded
from trade_runtime.venues.wire.budget import Budget
from trade_runtime.venues.wire.http import Answer, Http
from trade_runtime.venues.wire.payload import excerpt

MAX_BACKOFF_SECS: Final = 3600.0
"""However long Binance asks us to wait, after this we try again."""

DEFAULT_BACKOFF_SECS: Final = 10.0
"""For a 429 or 418 that does not say how long."""

MAX_ROOM_SECS: Final = 5.0
"""How long a query waits for room in the limits; then it is not sent."""

NS_PER_MS: Final = 1_000_000

Auth = Literal["none", "key", "signed"]


class _Time(msgspec.Struct):
    serverTime: Ms  # noqa: N815


_time = msgspec.json.Decoder(_Time)


@attrs.frozen
class Account:
    """Whose requests are sent.

    Attributes:
        signer: signs them.
        clock: the time of day here.
        time_path: where Binance tells its own time of day.
        recv_window_ms: for how long after its timestamp Binance still takes a request.
    """

    signer: Signer
    clock: Clock
    time_path: str
    recv_window_ms: int


class Rest:
    """Asks the REST API.

    Args:
        http: sends.
        budget: what may be sent; one for all that is sent for an account. Of a new one no limit is
            known until `learn`.
        account: signs; None where all is public.
    """

    def __init__(
        self, http: Http, budget: Budget | None = None, account: Account | None = None
    ) -> None:
        self.budget = Budget() if budget is None else budget
        self._http = http
        self._account = account
        self._offset_ms: float | None = None
        self._asking = trio.Lock()

    async def get(self, path: str, params: Mapping[str, str], *, weight: float = 0) -> bytes:
        """Return the body of the answer to a public GET. As `send`."""
        return await self.send("GET", path, params, weight=weight)

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        *,
        auth: Auth = "none",
        weight: float = 0,
        urgent: bool = False,
    ) -> bytes:
        """Send one request, once, and return the body of the answer.

        Cancellation closes the connection that the request was on; it may have arrived.

        Args:
            method: `GET`, `POST`, `PUT` or `DELETE`.
            path: from the base URL on.
            params: sent as the query.
            auth: `key` sends the API key, `signed` a timestamp and a signature too.
            weight: what it takes of the request weight, to be waited for here; 0 where the caller
                has taken it from the budget, or where nobody counts.
            urgent: it may use the share of the limits that is kept for what protects.

        Raises:
            VenueDown: nothing was sent: Binance wants to be left alone, or there is no room.
            RestRefused: Binance answered with an error.
            VenueError: no answer came, or one that was too large.
        """
        if weight:
            await self._room(weight, urgent=urgent)
        headers, query = None, encoded(params)
        if auth != "none":
            account = self._account
            assert account is not None, f"{path} needs an account"
            headers = {"X-MBX-APIKEY": account.signer.api_key}
            if auth == "signed":
                stamped = {
                    **params,
                    "recvWindow": str(account.recv_window_ms),
                    "timestamp": str(await self.now_ms()),
                }
                query = account.signer.signed_query(stamped)
        self._check_open()
        answer = await self._http.send(method, path, query, headers=headers)
        limits.hear(self.budget, answer.headers, trio.current_time())
        if answer.status == 200:
            return answer.body
        raise self._refused(path, answer)

    def learn(self, body: bytes) -> None:
        """Take the limits that an answer of `exchangeInfo` lists.

        Raises:
            VenueError: the answer made no sense.
        """
        limits.learn(self.budget, body)

    async def now_ms(self) -> int:
        """Return the time of day at Binance, which is asked where it is not known.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        account = self._account
        assert account is not None, "only requests of an account carry a time"
        async with self._asking:
            if self._offset_ms is None:
                await self._ask_time(account)
        assert self._offset_ms is not None
        return round(account.clock.now_ns() / NS_PER_MS + self._offset_ms)

    def be_silent(self, secs: float | None) -> float:
        """Send nothing for so long, as Binance asked; return for how long that is.

        Args:
            secs: what it asked for; None where it did not say.
        """
        secs = DEFAULT_BACKOFF_SECS if secs is None else min(max(secs, 0.0), MAX_BACKOFF_SECS)
        self.budget.close(trio.current_time() + secs)
        return secs

    def forget_time(self) -> None:
        """Have Binance's time of day asked before the next request that carries it."""
        self._offset_ms = None

    async def _ask_time(self, account: Account) -> None:
        before_ns = account.clock.now_ns()
        body = await self.get(account.time_path, {})
        after_ns = account.clock.now_ns()
        server_ms = BINANCE.decode(_time, body, "time").serverTime
        # It was read somewhere on the way: half of it is the best guess.
        self._offset_ms = server_ms - (before_ns + after_ns) / 2 / NS_PER_MS

    async def _room(self, weight: float, *, urgent: bool) -> None:
        until = trio.current_time() + MAX_ROOM_SECS
        while True:
            self._check_open()
            now = trio.current_time()
            taken = limits.costs(self.budget, weight)
            wait_secs = self.budget.take(taken, now, urgent=urgent)
            if wait_secs <= 0:
                return
            if now + wait_secs > until:
                raise VenueDown(
                    f"{self._http.host}: no room in the rate limits for another {wait_secs:.1f} s"
                )
            await trio.sleep(wait_secs)

    def _check_open(self) -> None:
        wait_secs = self.budget.closed_until - trio.current_time()
        if wait_secs > 0:
            raise VenueDown(
                f"{self._http.host} told us to send nothing for another {wait_secs:.1f} s"
                " (rate limit)"
            )

    def _refused(self, path: str, answer: Answer) -> RestRefused:
        text = f"{self._http.host}{path}: HTTP {answer.status}"
        error = decode_error(answer.body)
        text += f" {error[0]} {error[1]}" if error else f" {excerpt(answer.body)}".rstrip()
        code = error[0] if error else None
        now, wait = trio.current_time(), answer.headers.get("retry-after")
        if code == Code.TOO_MANY_ORDERS and wait is None and answer.status != 418:
            limits.exhaust_orders(self.budget, now)  # cancels and queries may go on
        elif answer.status in TOO_MANY:
            secs = self.be_silent(_retry_after_secs(wait))
            text += f"; nothing is sent for {secs:g} s"
        elif code == Code.CLOCK:
            self.forget_time()
        return RestRefused(text, answer.status, code)


def _retry_after_secs(header: str | None) -> float | None:
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return float(header[:9])
