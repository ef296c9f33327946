"""What came over a wire: decoded so that nothing foreign leaks, and shown so that it fits a line.

Sans-I/O. What cannot be understood raises `VenueError`, whose text names the exchange and what was
wrong, and repeats at most `MAX_EXCERPT_CHARS` of it; no error of the JSON library leaks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from trade_runtime.errors import VenueError

MAX_EXCERPT_CHARS: Final = 200
"""How much of a payload an error repeats."""

LARGEST: Final = Decimal("1e24")
SMALLEST: Final = Decimal("1e-24")
"""Between these lies every price and every amount that is not 0. Beyond, the number is an attack or
a defect: its product with another would overflow, its text would fill the memory."""

T = TypeVar("T")


def sane(number: Decimal) -> bool:
    """Whether a number is a price or an amount that can be: finite, not below 0, in bounds."""
    return number.is_finite() and (not number or SMALLEST <= number <= LARGEST)


def excerpt(payload: bytes | str) -> str:
    """Return the beginning of a payload, fit for a message of one line."""
    if isinstance(payload, bytes):
        payload = payload[: MAX_EXCERPT_CHARS * 4].decode(errors="replace")
    text = "".join(c if c.isprintable() else " " for c in payload[: MAX_EXCERPT_CHARS + 1])
    return text if len(text) <= MAX_EXCERPT_CHARS else text[:MAX_EXCERPT_CHARS] + "..."


class Reader:
    """Reads what one exchange sends.

    Args:
        who: the exchange, as errors name it.
    """

    __slots__ = ("who",)

    def __init__(self, who: str) -> None:
        self.who = who

    def decode(
        self, decoder: msgspec.json.Decoder[T], payload: bytes | str | msgspec.Raw, what: str
    ) -> T:
        """Decode `payload`, which is to be a `what`.

        Raises:
            VenueError: it is none.
        """
        try:
            return decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            shown = bytes(payload) if isinstance(payload, msgspec.Raw) else payload
            raise VenueError(
                f"{self.who} sent a malformed {what}: {excerpt(str(error))}: {excerpt(shown)}"
            ) from None

    def check_finite(self, what: str, *numbers: float) -> None:
        """Refuse numbers that are none, or below 0.

        Raises:
            VenueError: one of them is.
        """
        if not all(0.0 <= number < math.inf for number in numbers):
            raise VenueError(f"{self.who} sent a {what} with a number that is none: {numbers}")

    def check_exact(self, what: str, *numbers: Decimal) -> None:
        """Refuse prices and amounts that cannot be: none, below 0, or beyond all bounds.

        Raises:
            VenueError: one of them is.
        """
        for number in numbers:
            if not sane(number):
                raise VenueError(
                    f"{self.who} sent a {what} with an impossible number: {excerpt(str(number))}"
                )

    def check_levels(self, what: str, levels: Iterable[tuple[Decimal, Decimal]]) -> None:
        """Refuse levels of a book that cannot be.

        Raises:
            VenueError: one of them is such.
        """
        for price, quantity in levels:
            if not (price and sane(price) and sane(quantity)):
                raise VenueError(
                    f"{self.who} sent a {what} with an impossible level:"
                    f" {excerpt(str(price))} at {excerpt(str(quantity))}"
                )
