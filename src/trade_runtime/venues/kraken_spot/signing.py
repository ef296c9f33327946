"""How a request to Kraken's private REST API is signed, without any I/O; and its nonces.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-auth
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from trade_runtime.protocols import Clock


def sign(secret: str, path: str, nonce: str, body: str) -> str:
    """Return `API-Sign`.

    Args:
        secret: the private half of the key, in base64.
        path: of the URL, from the first slash on.
        nonce: as it stands in the body.
        body: of the form, with its nonce.
    """
    inner = hashlib.sha256((nonce + body).encode()).digest()
    digest = hmac.new(base64.b64decode(secret), path.encode() + inner, hashlib.sha512).digest()
    return base64.b64encode(digest).decode()


class Nonces:
    """Numbers that only grow: Kraken refuses a nonce that is not above the last of the key.

    Microseconds since the Unix epoch, and one more than the last where the clock has not moved. So
    they grow over restarts too, as long as the clock does not go back by more than the time between
    them. Two programs on one key get in each other's way: each needs a key of its own.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> str:
        """Return the next."""
        self._last = max(self._last + 1, self._clock.now_ns() // 1000)
        return str(self._last)
