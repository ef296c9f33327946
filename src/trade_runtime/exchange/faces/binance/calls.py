"""What can be asked for: one table for HTTP and the WebSocket API, and how it is carried out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import Any, Final

import attrs

from trade_runtime.exchange.faces.binance.auth import Verifier
from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faults import About
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Exceeded, Limits

WEIGHT: Final = "REQUEST_WEIGHT"
ORDERS: Final = "ORDERS"


class Security(Enum):
    """What a request has to bring."""

    NONE = auto()
    KEY = auto()
    SIGNED = auto()


Handler = Callable[[Params], Any]
"""Carries a request out, and returns what is written as JSON; raises `Rejected`."""


@attrs.frozen
class Endpoint:
    """One thing that can be asked for.

    Attributes:
        handler: carries it out.
        http: `GET /api/v3/time`; empty where HTTP has none.
        method: of the WebSocket API, `time`; empty where it has none.
        about: what it is about, for the faults.
        weight: what it costs, or what it costs with these parameters.
        orders: how many orders it counts as.
        security: what it has to bring.
        known: its parameters; None takes any.
    """

    handler: Handler
    http: str = ""
    method: str = ""
    about: About = About.QUERY
    weight: int | Callable[[Params], int] = 1
    orders: int = 0
    security: Security = Security.SIGNED
    known: frozenset[str] | None = None

    def charge(self, params: Params) -> dict[str, int]:
        """Return what it costs of which limit."""
        weight = self.weight if isinstance(self.weight, int) else self.weight(params)
        return {WEIGHT: weight, ORDERS: self.orders}


class Calls:
    """Carries requests out: limits first, then the faults around what is done.

    Args:
        floor: where.
        verifier: who may ask.
        limits: of the account.
        endpoints: what can be asked for.
    """

    def __init__(
        self, floor: Floor, verifier: Verifier, limits: Limits, endpoints: Iterable[Endpoint]
    ) -> None:
        self.floor = floor
        self.verifier = verifier
        self.limits = limits
        every = list(endpoints)
        self.by_http: Mapping[str, Endpoint] = {one.http: one for one in every if one.http}
        self.by_method: Mapping[str, Endpoint] = {one.method: one for one in every if one.method}

    def take(self, charge: Mapping[str, int]) -> None:
        """Charge the limits.

        Raises:
            Rejected: one of them is exceeded: 429, or 418 in a ban.
        """
        exceeded = self.limits.take(charge)
        if exceeded is not None:
            raise self._too_many(exceeded)

    def _too_many(self, exceeded: Exceeded) -> Rejected:
        now_ms = self.floor.clock.now_ms()
        until_ms = now_ms + round(exceeded.retry_secs * 1000)
        data = {"serverTime": now_ms, "retryAfter": until_ms}
        if exceeded.banned:
            text = f"Way too much request weight used; IP banned until {until_ms}."
            return Rejected(-1003, text, 418, data)
        window = exceeded.window
        assert window is not None, "only a ban has no window"
        if window.name == ORDERS:
            text = (
                f"Too many new orders; current limit is {window.limit} orders per {window.secs:g}s."
            )
            return Rejected(-1015, text, 429, data)
        text = (
            f"Too much request weight used; current limit is {window.limit} per {window.secs:g}s."
        )
        return Rejected(-1003, text, 429, data)

    async def carry_out(self, endpoint: Endpoint, params: Params) -> Any:
        """Carry a request out that may be.

        Raises:
            Rejected: it is refused.
            Cut, Maintenance, ServerError: of the faults.
        """
        if endpoint.known is not None:
            params.only(endpoint.known)

        async def act() -> Any:
            return endpoint.handler(params)

        return await self.floor.faults.around(endpoint.about, act)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that say what is used."""
        named = []
        for window in self.limits.windows:
            kind = "Used-Weight" if window.name == WEIGHT else "Order-Count"
            letter = _letter(window.secs)
            named.append((f"X-MBX-{kind}-{letter}".upper(), str(self.limits.used(window))))
        return tuple(named)


def usage_of(limits: Limits) -> list[dict[str, Any]]:
    """Return the `rateLimits` of an answer of the WebSocket API."""
    return [
        {**limit_of(window.name, window.limit, window.secs), "count": limits.used(window)}
        for window in limits.windows
    ]


def retry_after(error: Rejected) -> tuple[tuple[str, str], ...]:
    """Return the header that says when to come back, of an error of the limits."""
    if not isinstance(error.data, dict) or "retryAfter" not in error.data:
        return ()
    secs = (error.data["retryAfter"] - error.data["serverTime"]) / 1000
    return (("Retry-After", str(max(1, math.ceil(secs)))),)


_UNITS: Final = ((86_400, "DAY", "D"), (60, "MINUTE", "M"), (1, "SECOND", "S"))


def limit_of(name: str, limit: int, secs: float) -> dict[str, Any]:
    """Return a limit as `exchangeInfo` lists it."""
    size, word, _ = next(unit for unit in _UNITS if secs % unit[0] == 0)
    return {
        "rateLimitType": name,
        "interval": word,
        "intervalNum": int(secs // size),
        "limit": limit,
    }


def _letter(secs: float) -> str:
    size, _, letter = next(unit for unit in _UNITS if secs % unit[0] == 0)
    return f"{int(secs // size)}{letter}"
