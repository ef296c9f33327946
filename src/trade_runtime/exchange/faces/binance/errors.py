"""Binance's errors: a code and a text, under a status of HTTP. The texts are Binance's own.

Source: https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

from __future__ import annotations

from typing import Any

import msgspec

from trade_runtime.exchange.faults import Maintenance
from trade_runtime.serving import Answer

_encode = msgspec.json.Encoder().encode


class Rejected(Exception):
    """A request that is refused.

    Attributes:
        code, text: as Binance has them.
        status: of HTTP.
        data: more, of a few errors.
    """

    def __init__(self, code: int, text: str, status: int = 400, data: Any = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.data = data

    def body(self) -> dict[str, Any]:
        """Return it as Binance writes it."""
        told: dict[str, Any] = {"code": self.code, "msg": self.text}
        if self.data is not None:
            told["data"] = self.data
        return told

    def answer(self, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """Return it as an answer of HTTP."""
        return Answer(self.status, _encode(self.body()), headers)


def missing(name: str) -> Rejected:
    """A parameter that has to be there is not, or makes no sense."""
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return Rejected(-1102, text)


def illegal(name: str) -> Rejected:
    """A parameter's value has a form that it must not have."""
    return Rejected(-1100, f"Illegal characters found in parameter '{name}'.")


def filtered(name: str) -> Rejected:
    """A filter of the symbol refuses an order."""
    return Rejected(-1013, f"Filter failure: {name}")


BAD_SYMBOL = "Invalid symbol."
BAD_SIGNATURE = "Signature for this request is not valid."
BAD_KEY = "Invalid API-key, IP, or permissions for action."


def broken(error: Exception) -> Rejected:
    """What a fault of the whole server is answered with: nobody can tell what became of it."""
    if isinstance(error, Maintenance):
        return Rejected(-1001, "Internal error; unable to process your request.", 503)
    text = "An unexpected response was received from the message bus. Execution status unknown."
    return Rejected(-1006, text, 502)
