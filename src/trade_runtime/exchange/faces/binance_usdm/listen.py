"""Listen keys: who holds one hears the events of the account, for an hour after a refresh."""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Any, Final

import trio

from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.floor import Floor

LIFE_SECS: Final = 3_600.0
"""Of a key after its last refresh; Binance's own. The option `listen_key_secs` makes it shorter."""


class ListenKeys:
    """The one key of the account.

    Args:
        floor: where.

    Attributes:
        ended: set when the key ends, so that its streams say so and close.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._life_secs = float(floor.options.get("listen_key_secs", LIFE_SECS))
        self._key = ""
        self._ends = math.inf
        self._moved = trio.Event()
        self.ended = trio.Event()

    def holds(self, key: str) -> bool:
        """It is the account's key."""
        return bool(self._key) and hmac.compare_digest(key.encode(), self._key.encode())

    def create(self, _: Params) -> dict[str, Any]:
        """Make a key, or refresh and return the one that there is."""
        self._key = self._key or self._new_key()
        self._refresh()
        return {"listenKey": self._key}

    def refresh(self, _: Params) -> dict[str, Any]:
        """Let the key live for longer."""
        if not self._key:
            raise Rejected(-1125, "This listenKey does not exist.")
        self._refresh()
        return {"listenKey": self._key}

    def end(self, _: Params) -> dict[str, Any]:
        """End the key."""
        self._end()
        return {}

    def _new_key(self) -> str:
        # Of one who knows the secret and the moment: nobody else is to hear the account.
        seed = f"{self._floor.api_secret} {self._floor.clock.now_ns()}"
        return hashlib.sha256(seed.encode()).hexdigest()

    def _refresh(self) -> None:
        self._ends = trio.current_time() + self._life_secs
        self._moved.set()

    def _end(self) -> None:
        self._key, self._ends = "", math.inf
        self.ended.set()
        self.ended = trio.Event()

    async def run(self) -> None:
        """End a key whose time is over. Never returns."""
        while True:
            self._moved = trio.Event()
            with trio.move_on_at(self._ends):
                await self._moved.wait()
            if trio.current_time() >= self._ends:
                self._end()
