"""All that a face stands on: the exchange, its market, its faults, its record, who may trade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs
import trio

from trade_runtime.exchange.clock import NS_PER_MS, ExchangeClock
from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.faults import Faults
from trade_runtime.exchange.market import Market
from trade_runtime.exchange.record import Record
from trade_runtime.exchange.switch import Switches
from trade_runtime.exchange.views import Order
from trade_runtime.serving import Answer, Request, Wire

PING_SECS = 20.0
"""Between the pings of the server; Binance's own."""

PONG_SECS = 60.0
"""Without a pong for so long, a WebSocket is cut; Binance's own."""

SOCKET_LIFE_SECS = 86_400.0
"""After this a WebSocket is closed: every venue does so within a day."""


class Cuttable(Protocol):
    """A WebSocket that the floor can end."""

    def warn(self) -> None:
        """Tell the client that the server is about to end, where the venue has a word for it."""

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close it politely."""

    def cut(self) -> None:
        """End it at once, without a goodbye."""


@attrs.frozen
class Floor:
    """What a face stands on.

    Attributes:
        exchange: the account and its orders.
        market: what is shown, and matched against.
        switches: the dead-man's switches.
        faults: what goes wrong.
        record: where everything is written.
        clock: the exchange's time; `clock.base` is the true one.
        api_key: of the one account.
        api_secret: what its requests are signed with, or a PEM key that verifies them.
        options: what the face alone knows, by name.
        ping_secs, socket_life_secs: of WebSockets.
        sockets: those that are open.
    """

    exchange: Exchange
    market: Market
    switches: Switches
    faults: Faults
    record: Record
    clock: ExchangeClock
    api_key: str
    api_secret: str = attrs.field(repr=False)
    options: Mapping[str, str] = attrs.field(factory=dict)
    ping_secs: float = PING_SECS
    socket_life_secs: float = SOCKET_LIFE_SECS
    sockets: set[Cuttable] = attrs.field(factory=set, init=False, repr=False)

    def shows(self, order: Order) -> bool:
        """Tell whether a query knows an order: at real venues it may not, right after a submit."""
        fault = self.faults.holding("late_queries")
        if fault is None:
            return True
        age_ns = self.clock.now_ns() - order.created_ns
        return age_ns >= (fault.value or 0) * NS_PER_MS

    def cut_sockets(self) -> int:
        """Cut every WebSocket; return how many there were."""
        cut = list(self.sockets)
        for one in cut:
            one.cut()
        return len(cut)

    def close_sockets(self, reason: str) -> None:
        """Close every WebSocket politely."""
        for one in list(self.sockets):
            one.leave(1001, reason)


class Face(Protocol):
    """One venue's wire in front of the floor: it owns no order and no money.

    A face reads the venue's request, calls `floor.exchange` by plain calls, and writes the venue's
    answer. It carries every request out within `floor.faults.around(About..., act)`, and lets
    `Cut`, `Maintenance` and `ServerError` pass from `answer`: the server then asks `broken`.
    """

    async def answer(self, request: Request) -> Answer:
        """Answer an HTTP request, whatever its path.

        Raises:
            Cut, Maintenance, ServerError: of the faults; the server deals with them.
        """

    async def socket(self, request: Request, wire: Wire) -> Answer | None:
        """Serve a WebSocket to its end, mostly by a `Socket`; or refuse it with an answer.

        Raises:
            Gone, Cut: the connection is over.
        """

    def broken(self, error: Exception) -> Answer:
        """Return the venue's HTTP answer for a `ServerError` or `Maintenance`."""

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Do what the face does by itself, as expiring listen keys; `task_status.started()` first.
        It may return at once.
        """
