"""Our ids of orders: a tag that a journal keeps for ever, and a number that counts up."""

from __future__ import annotations

import random

from trade_runtime.model.ids import ClientOrderId

TAG_LENGTH = 6

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_tag(rng: random.Random) -> str:
    """Return a prefix for the client order ids of a new journal."""
    return "".join(rng.choice(_BASE36) for _ in range(TAG_LENGTH))


def order_id(tag: str, number: int) -> ClientOrderId:
    """Return the id of the order of that number: as short as venues want ids to be."""
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _BASE36[digit] + text
        if not number:
            return ClientOrderId(f"{tag}-{text}")
