"""The parameters of a request, read as Binance reads them: what makes no sense is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from trade_runtime.exchange.faces.binance.errors import Rejected, illegal, missing

MAX_DIGITS: Final = 20
"""Of a whole number in a request."""

MAX_PLACES: Final = 8
"""Decimals of a number in a request."""

ALWAYS: Final = frozenset(("timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits"))
"""Parameters that every request may have."""

CLIENT_ID: Final = re.compile(r"^[a-zA-Z0-9._:/-]{1,36}$")
_NUMBER: Final = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")


def text8(number: Decimal) -> str:
    """Return a number as Binance Spot writes it: with eight decimals."""
    return f"{number:.8f}"


class Params:
    """The parameters of one request.

    Args:
        given: as they were sent, each once.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def only(self, known: frozenset[str]) -> None:
        """Refuse what the endpoint does not know.

        Raises:
            Rejected: there is such a parameter.
        """
        sent = set(self._given)
        read = sent & (known | ALWAYS)
        if read != sent:
            raise Rejected(
                -1104,
                f"Not all sent parameters were read; read '{len(read)}' parameter(s) but was sent"
                f" '{len(sent)}'.",
            )

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter, or `default` where it was not sent."""
        return self._given.get(name, default)

    def needed(self, name: str) -> str:
        """Return a parameter that has to be there.

        Raises:
            Rejected: it is not.
        """
        value = self._given.get(name, "")
        if not value:
            raise missing(name)
        return value

    def choice(self, name: str, known: Mapping[str, str] | tuple[str, ...], code: int) -> str:
        """Return a parameter that has to be one of these words.

        Raises:
            Rejected: with `code` where it is not.
        """
        value = self.needed(name)
        if value not in known:
            raise Rejected(code, f"Invalid {name}.")
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number, or `default` where it was not sent.

        Raises:
            Rejected: it is none, or not there and has no default.
        """
        value = self._given.get(name)
        if value is None and default is not None:
            return default
        if not value:
            raise missing(name)
        if not value.isdecimal() or len(value) > MAX_DIGITS:
            raise illegal(name)
        return int(value)

    def number(self, name: str) -> Decimal | None:
        """Return a number above 0, or None where it was not sent.

        Raises:
            Rejected: it is none, or has too many decimals.
        """
        value = self._given.get(name)
        if value is None:
            return None
        if not value:
            raise missing(name)
        if not _NUMBER.match(value):
            raise illegal(name)
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise illegal(name) from None
        exponent = number.normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > MAX_PLACES:
            raise Rejected(-1111, "Parameter '" + name + "' has too much precision.")
        if number <= 0:
            raise missing(name)
        return number

    def needed_number(self, name: str) -> Decimal:
        """Return a number that has to be there.

        Raises:
            Rejected: it is not, or is none.
        """
        number = self.number(name)
        if number is None:
            raise missing(name)
        return number

    def client_id(self, name: str) -> str:
        """Return a client order id, or nothing where none was sent.

        Raises:
            Rejected: it has characters that it must not have.
        """
        value = self._given.get(name, "")
        if value and not CLIENT_ID.match(value):
            raise illegal(name)
        return value

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false; false where it was not sent."""
        return self._given.get(name, "").lower() == "true"
