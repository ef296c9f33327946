"""Our ids of orders: a tag that a journal keeps for ever, and a number that counts up."""

from __future__ import annotations

import random
from functools import lru_cache

from trade_runtime.model.ids import ClientOrderId

TAG_LENGTH = 6

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_tag(rng: random.Random) -> str:
    """Return a prefix for the client order ids of a new journal."""
    return "".join(rng.choice(_BASE36) for _ in range(TAG_LENGTH))


def order_id(tag: str, number: int) -> ClientOrderId:
    """Return the id of the order of that number: as short as venues want ids to be."""
    high, low = divmod(number, 36)
    return ClientOrderId(f"{tag}-{_digits(high)}{_BASE36[low]}")


@lru_cache(maxsize=64)  # of 36 orders in a row it is the same
def _digits(number: int) -> str:
    """Return a number in base 36; nothing for 0."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _BASE36[digit] + text
    return text
