"""Binance's HTTP: finds what is asked for, checks who asks, and writes the answer."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from trade_runtime.exchange.faces.binance.calls import Calls, Endpoint, Security, retry_after
from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.serving import Answer, Request

MAX_PARAMS: Final = 100
"""Of a request."""

_SIGNATURE: Final = re.compile(r"(^|&)signature=[^&]*")

_encode = msgspec.json.Encoder().encode


async def answer_http(calls: Calls, request: Request) -> Answer:
    """Answer a request of HTTP.

    Raises:
        Cut, Maintenance, ServerError: of the faults.
    """
    try:
        endpoint = calls.by_http.get(f"{request.method} {request.path}")
        if endpoint is None:
            raise Rejected(-1000, f"There is no {request.method} {request.path} here.", 404)
        params = _params(request)
        calls.take(endpoint.charge(params))
        _check(calls, endpoint, request, params)
        told = await calls.carry_out(endpoint, params)
    except Rejected as error:
        return error.answer((*calls.headers(), *retry_after(error)))
    return Answer(200, _encode(told), calls.headers())


def _params(request: Request) -> Params:
    body = request.body.decode(errors="replace")
    try:
        pairs = [
            pair
            for text in (request.query, body)
            for pair in parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMS)
        ]
    except ValueError:
        raise Rejected(-1101, "Too many parameters.") from None
    given = dict(pairs)
    if len(given) != len(pairs):
        raise Rejected(-1101, "Duplicate values for a parameter detected.")
    return Params(given)


def _check(calls: Calls, endpoint: Endpoint, request: Request, params: Params) -> None:
    if endpoint.security is Security.NONE:
        return
    calls.verifier.check_key(request.headers.get("x-mbx-apikey", ""))
    if endpoint.security is Security.KEY:
        return
    calls.verifier.check_time(params)
    # What was sent is what was signed: percent-encoded, the query and the body one after the other.
    payload = _unsigned(request.query) + _unsigned(request.body.decode(errors="replace"))
    calls.verifier.check_signature(payload, params.text("signature"))


def _unsigned(text: str) -> str:
    return _SIGNATURE.sub("", text).removeprefix("&")
