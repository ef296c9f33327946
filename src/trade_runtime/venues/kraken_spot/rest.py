"""Kraken's REST API: what is asked, what an answer means, and Kraken's wish to be left alone.

Guarantees that private requests leave one at a time, each with a nonce above the last; that nothing
is ever sent twice; and that an error is `VenueRefused` only where Kraken itself said no, for
certain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import trio

from trade_runtime.errors import VenueDown, VenueError, VenueRefused
from trade_runtime.model.secret import Secret
from trade_runtime.protocols import Environment
from trade_runtime.venues.kraken_spot.codec import KRAKEN
from trade_runtime.venues.kraken_spot.signing import Nonces, sign
from trade_runtime.venues.wire.budget import Budget, Leak
from trade_runtime.venues.wire.http import Answer, Http
from trade_runtime.venues.wire.payload import excerpt

CALLS: Final = {"starter": (15.0, 0.33), "intermediate": (20.0, 0.5), "pro": (20.0, 1.0)}
"""What the private REST API allows, by the tier of the account: a counter, and how fast it goes
down in a second."""

CLOSED_SECS: Final = 5.0
"""How long nothing is asked over REST after Kraken said that it was too much."""

LOCKOUT_SECS: Final = 900.0
"""And after it locked the key out for a while."""

ROOMY: Final = 0.5
"""Up to this part of the counter REST is asked freely; beyond it, only for what nothing else
tells."""

MAX_PATIENCE_SECS: Final = 60.0
"""A private request that would wait longer for its room is not sent."""

_UNCERTAIN: Final = ("EService:", "EGeneral:Internal error", "EGeneral:Unknown error")
_CERTAIN: Final = ("EService:Deadline elapsed", "EService:Market in")


_TOO_MUCH: Final = ("EAPI:Rate limit exceeded", "EGeneral:Too many requests")


class _Answer(msgspec.Struct):
    error: list[str] = []
    result: msgspec.Raw = msgspec.Raw(b"null")


_answer = msgspec.json.Decoder(_Answer)


def failure(text: str) -> VenueError:
    """Return the error that an error of Kraken's means: refused, or of unknown outcome."""
    if text.startswith(_UNCERTAIN) and not text.startswith(_CERTAIN):
        return VenueError(f"Kraken cannot tell: {excerpt(text)}")
    return VenueRefused(excerpt(text))


def decode_answer(answer: Answer, path: str) -> msgspec.Raw:
    """Return the result in an answer.

    Raises:
        VenueRefused: Kraken said no.
        VenueError: anything else.
    """
    if answer.status != 200:
        raise VenueError(f"{path}: HTTP {answer.status} {excerpt(answer.body)}".rstrip())
    decoded = KRAKEN.decode(_answer, answer.body, f"answer to {path}")
    errors = [error for error in decoded.error if not error.startswith("W")]
    if errors:
        # One of unknown outcome among them makes the whole so.
        failures = [failure(error) for error in errors]
        raise next((f for f in failures if not isinstance(f, VenueRefused)), failures[0])
    return decoded.result


class Rest:
    """Asks the REST API.

    Args:
        http: the pool of connections.
        env: the clock that nonces are made from.
        key: both halves; None where nothing private is asked.
        tier: of the account.
    """

    def __init__(
        self,
        http: Http,
        env: Environment,
        key: tuple[Secret, Secret] | None,
        tier: str = "intermediate",
    ) -> None:
        self._http = http
        self._key = key
        self._nonces = Nonces(env.clock)
        self._turn = trio.Lock()
        capacity, per_sec = CALLS[tier]
        self._calls = Leak("calls", capacity, per_sec)
        self.budget = Budget([self._calls])
        self._closed_until = -math.inf

    def has_room(self, cost: float) -> bool:
        """Tell whether a question may be asked at once, with room left for others."""
        now = trio.current_time()
        level = self._calls.level(now) + cost
        return now >= self.budget.closed_until and level <= self._calls.capacity * ROOMY

    async def get(self, name: str, params: Mapping[str, str]) -> msgspec.Raw:
        """Return the result of a public request.

        Cancellation closes the connection that the request was on.

        Raises:
            VenueRefused: Kraken said no.
            VenueError: no answer came, or one that made no sense.
        """
        wait_secs = self._closed_until - trio.current_time()
        if wait_secs > 0:
            raise VenueDown(f"{self._http.host}: nothing is sent for another {wait_secs:.1f} s")
        path = f"/0/public/{name}"
        answer = await self._http.send("GET", path, urlencode(params))
        try:
            return decode_answer(answer, path)
        except VenueError as error:
            if answer.status == 429 or any(word in str(error) for word in _TOO_MUCH):
                self._closed_until = trio.current_time() + CLOSED_SECS
            raise

    async def post(self, name: str, params: Mapping[str, Any], *, cost: float = 1.0) -> msgspec.Raw:
        """Return the result of a private request.

        It waits for its turn, and for the room that Kraken allows; for at most `MAX_PATIENCE_SECS`.
        A cancelled one may have arrived.

        Args:
            name: of the method.
            params: of the form; None leaves one out.
            cost: what Kraken counts it as; 0 for what places and cancels orders.

        Raises:
            VenueRefused: Kraken said no, for certain.
            VenueDown: nothing has left.
            VenueError: anything else; what the request was to do may be done.
        """
        if self._key is None:
            raise VenueDown("Kraken: no api_key is set")
        path = f"/0/private/{name}"
        async with self._turn:
            while cost:
                costs = {"calls": cost}
                wait_secs = self.budget.take(costs, trio.current_time(), urgent=True)
                if wait_secs <= 0:
                    break
                if wait_secs > MAX_PATIENCE_SECS:
                    raise VenueDown(f"{self._http.host}: nothing is sent for {wait_secs:.0f} s")
                await trio.sleep(wait_secs)
            nonce = self._nonces.next()
            given = {name: value for name, value in params.items() if value is not None}
            body = urlencode({"nonce": nonce, **given})
            headers = {
                "API-Key": self._key[0].reveal(),
                "API-Sign": sign(self._key[1].reveal(), path, nonce, body),
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            }
            answer = await self._http.send("POST", path, body=body.encode(), headers=headers)
        return self._decoded(answer, path, cost)

    def _decoded(self, answer: Answer, path: str, cost: float) -> msgspec.Raw:
        now = trio.current_time()
        try:
            return decode_answer(answer, path)
        except VenueError as error:
            text = str(error)
            if answer.status == 429 or "Temporary lockout" in text:
                self.budget.close(now + LOCKOUT_SECS)
            elif "EAPI:Rate limit exceeded" in text:
                # Somebody else uses the account too, or an earlier process did. How far it is above
                # is not told; half of what was asked for is the middle of what it may be.
                self._calls.told(self._calls.capacity - cost / 2, now)
            elif any(word in text for word in _TOO_MUCH):
                self.budget.close(now + CLOSED_SECS)
            elif text.startswith("EAPI:Invalid nonce"):
                raise VenueRefused(
                    f"{text}: another program uses this key, or the clock went back; give this one"
                    " a key of its own, or set a nonce window on the key"
                ) from None
            raise
