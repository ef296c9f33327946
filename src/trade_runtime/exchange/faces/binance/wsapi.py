"""Binance's WebSocket API: requests as JSON, answers by their id, and the account's events.

A client is who its signature says, request by request, or, after `session.logon`, for as long as
the connection lasts. Events of the account come to who subscribed to them, on the same connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from trade_runtime.exchange.faces.binance.auth import sorted_payload
from trade_runtime.exchange.faces.binance.calls import Calls, Endpoint, Security, usage_of
from trade_runtime.exchange.faces.binance.errors import Rejected, broken
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faults import About, Maintenance, ServerError
from trade_runtime.exchange.sockets import Socket
from trade_runtime.exchange.views import Update

MAX_SUBSCRIPTIONS: Final = 1_000
"""Of a connection; Binance's own."""

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode

Events = Callable[[Update], list[dict[str, Any]]]
"""Makes the venue's events of an update of the account."""


class ApiSession:
    """One client of the WebSocket API.

    Args:
        calls: what can be asked for.
        socket: where answers and events go.
        events: makes the account's events.
    """

    def __init__(self, calls: Calls, socket: Socket, events: Events) -> None:
        self._calls = calls
        self._socket = socket
        self._events = events
        self._logged_on_ms: int | None = None
        self._subscriptions: list[int] = []
        self._next = 0
        self._own: Mapping[str, Endpoint] = {
            one.method: one
            for one in (
                _own("session.logon", self._logon, weight=2),
                _own("session.status", self._status, security=Security.NONE),
                _own("session.logout", self._logout, security=Security.NONE),
                _own("userDataStream.subscribe", self._subscribe, weight=2, security=Security.NONE),
                _own("userDataStream.subscribe.signature", self._subscribe_anew, weight=2),
                _own("userDataStream.unsubscribe", self._unsubscribe, security=Security.NONE),
                _own("session.subscriptions", self._list, security=Security.NONE),
            )
        }

    def on_update(self, update: Update) -> None:
        """Tell every subscription of an update."""
        for event in self._events(update) if self._subscriptions else ():
            for number in self._subscriptions:
                told = {"subscriptionId": number, "event": event}
                self._socket.tell(_encode(told), private=True)

    async def on_message(self, message: bytes) -> None:
        """Carry out a request and answer it.

        Raises:
            Cut: a fault asked for it.
        """
        key: Any = None
        told_limits = True
        try:
            try:
                asked = _decode(message)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                raise Rejected(-1135, "Invalid JSON Request") from None
            key = asked.get("id")
            given = asked.get("params") or {}
            told_limits = not (isinstance(given, dict) and given.get("returnRateLimits") is False)
            told = await self._carry_out(asked.get("method"), given)
        except Rejected as error:
            self._reply({"id": key, "status": error.status, "error": error.body()}, told_limits)
        except (ServerError, Maintenance) as error:
            refused = broken(error)
            self._reply({"id": key, "status": refused.status, "error": refused.body()}, told_limits)
        else:
            self._reply({"id": key, "status": 200, "result": told}, told_limits)

    def _reply(self, told: dict[str, Any], told_limits: bool) -> None:
        limits = {"rateLimits": usage_of(self._calls.limits)} if told_limits else {}
        self._socket.reply(_encode({**told, **limits}))

    async def _carry_out(self, method: object, given: object) -> Any:
        calls = self._calls
        endpoint = self._own.get(str(method)) or calls.by_method.get(str(method))
        if endpoint is None:
            raise Rejected(-1135, f"There is no method {str(method)[:50]!r}.")
        if not isinstance(given, dict):
            raise Rejected(-1135, "Invalid JSON Request")
        sent = {str(name): _text(value) for name, value in given.items()}
        params = Params(sent)
        calls.take(endpoint.charge(params))
        self._check(endpoint, sent, params)
        return await calls.carry_out(endpoint, params)

    def _check(self, endpoint: Endpoint, sent: Mapping[str, str], params: Params) -> None:
        verifier = self._calls.verifier
        if endpoint.security is Security.NONE:
            return
        logged_on = self._logged_on_ms is not None and "apiKey" not in params
        if not logged_on:
            verifier.check_key(params.text("apiKey"))
        if endpoint.security is Security.KEY:
            return
        verifier.check_time(params)
        if not logged_on:
            verifier.check_signature(sorted_payload(sent), params.text("signature"))

    # --- the session's own methods -------------------------------------------------------------

    def _logon(self, params: Params) -> dict[str, Any]:
        if self._calls.verifier.kind != "ed25519":
            raise Rejected(-4056, "HMAC_SHA256 API key is not supported.", 401)
        self._logged_on_ms = self._calls.floor.clock.now_ms()
        return self._status(params)

    def _status(self, _: Params) -> dict[str, Any]:
        api_key = self._calls.floor.api_key if self._logged_on_ms is not None else None
        return {
            "apiKey": api_key,
            "authorizedSince": self._logged_on_ms,
            "connectedSince": self._calls.floor.clock.now_ms(),
            "returnRateLimits": True,
            "serverTime": self._calls.floor.clock.now_ms(),
            "userDataStream": bool(self._subscriptions),
        }

    def _logout(self, params: Params) -> dict[str, Any]:
        self._logged_on_ms = None
        return self._status(params)

    def _subscribe(self, params: Params) -> dict[str, Any]:
        if self._logged_on_ms is None:
            raise Rejected(-1193, "Only an authenticated session may subscribe.", 401)
        return self._subscribe_anew(params)

    def _subscribe_anew(self, _: Params) -> dict[str, Any]:
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Rejected(-1193, "Too many subscriptions.")
        number, self._next = self._next, self._next + 1
        self._subscriptions.append(number)
        return {"subscriptionId": number}

    def _unsubscribe(self, params: Params) -> dict[str, Any]:
        gone = list(self._subscriptions)
        if "subscriptionId" in params:
            number = params.whole("subscriptionId")
            if number not in gone:
                raise Rejected(-1193, "There is no such subscription.")
            gone = [number]
        for number in gone:
            self._subscriptions.remove(number)
            event = {"e": "eventStreamTerminated", "E": self._calls.floor.clock.now_ms()}
            self._socket.tell(_encode({"subscriptionId": number, "event": event}), private=True)
        return {}

    def _list(self, _: Params) -> list[dict[str, Any]]:
        return [{"subscriptionId": number} for number in self._subscriptions]


def _own(
    method: str,
    handler: Callable[[Params], Any],
    *,
    weight: int = 2,
    security: Security = Security.SIGNED,
) -> Endpoint:
    return Endpoint(handler, method=method, about=About.QUERY, weight=weight, security=security)


def _text(value: Any) -> str:
    """Return a parameter as it is signed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _encode(value).decode()
    return "" if value is None else str(value)
