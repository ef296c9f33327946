"""One client's private stream: the events of the account, for as long as its listen key lives."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import trio

from trade_runtime.exchange.faces.binance_usdm.events import events_of
from trade_runtime.exchange.faces.binance_usdm.listen import ListenKeys
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.sockets import Socket
from trade_runtime.exchange.views import Update
from trade_runtime.serving import Cut, Gone

MAX_NAMES: Final = 100
"""Names that one message may ask for."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class PrivateSession:
    """Tells a client of the account.

    Args:
        floor: where.
        keys: of the account.
        socket: where events go.
        key: that the client brought; where it brought none, it may subscribe to one.
        events: the names of those that are wanted; empty for all.
        combined: wrap each event with the name of its stream.
    """

    def __init__(
        self,
        floor: Floor,
        keys: ListenKeys,
        socket: Socket,
        key: str,
        events: frozenset[str],
        *,
        combined: bool,
    ) -> None:
        self._floor = floor
        self._keys = keys
        self._socket = socket
        self._key = key
        self._events = events
        self._combined = combined

    async def run(self) -> None:
        """Serve it to its end.

        Raises:
            Gone: the connection is over.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_with_key)
                with self._floor.exchange.listening(self._on_update):
                    await self._socket.run(self._on_message)
        except BaseExceptionGroup as group:
            over, rest = group.split((Gone, Cut))
            if rest is not None:
                raise
            raise Gone from over

    def _on_update(self, update: Update) -> None:
        if not self._keys.holds(self._key):
            return  # on a key that is none a stream stays silent
        for event in events_of(self._floor.exchange, update):
            self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        if self._events and event["e"] not in self._events:
            return
        told = {"stream": self._key, "data": event} if self._combined else event
        self._socket.tell(_encode(told), private=True)

    async def _end_with_key(self) -> None:
        while True:
            await self._keys.ended.wait()
            if self._key:
                now_ms = self._floor.clock.now_ms()
                self._tell({"e": "listenKeyExpired", "E": now_ms, "listenKey": self._key})
                self._socket.leave(1000, "listenKey expired")
                return

    async def _on_message(self, message: bytes) -> None:
        try:
            asked = _decode(message)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            error = {"error": {"code": 3, "msg": "Invalid JSON: expected value"}}
            self._socket.reply(_encode(error))
            return
        names = asked.get("params")
        if asked.get("method") == "SUBSCRIBE" and isinstance(names, list):
            for name in names[:MAX_NAMES]:
                if isinstance(name, str) and self._keys.holds(name.partition("@")[0]):
                    self._key = name
        self._socket.reply(_encode({"result": None, "id": asked.get("id")}))
