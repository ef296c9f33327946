"""The exchange behind one port of the loopback: the face, the control endpoints, the faults.

`serve_exchange` holds it all: the market moves, countdowns run, faults strike. Cancelling it cuts
every connection and leaves nothing behind but its record.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import trio

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.clock import NS_PER_MS, ExchangeClock
from trade_runtime.exchange.control import PREFIX, Control
from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.faults import Faults, Maintenance, ServerError
from trade_runtime.exchange.floor import Face, Floor
from trade_runtime.exchange.kinds import Kind
from trade_runtime.exchange.market import Market
from trade_runtime.exchange.record import Record, without_secrets
from trade_runtime.exchange.settings import ExchangeSettings
from trade_runtime.exchange.sources import open_source
from trade_runtime.exchange.switch import Switches
from trade_runtime.model.instrument import Instrument
from trade_runtime.protocols import Clock, Log
from trade_runtime.serving import Answer, Cut, Gone, Request, Wire, serve_connection
from trade_runtime.venues.paper import PaperSettings

HOST: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 512
"""Beyond these a connection is closed at once."""

EXPIRY_SECS: Final = 0.1
"""How often dates of orders are looked at."""

MAX_EXCERPT: Final = 300
"""Characters of an answer that the record keeps where it is an error."""


class _Server:
    def __init__(self, floor: Floor, face: Face, control: Control) -> None:
        self._floor = floor
        self._face = face
        self._control = control
        self._connections = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        record = self._floor.record
        if self._connections >= MAX_CONNECTIONS:
            record.write("connection_refused", open=self._connections)
            await trio.aclose_forcefully(stream)
            return
        self._connections += 1
        record.write("connected", open=self._connections)
        try:
            await serve_connection(stream, self)
        finally:
            self._connections -= 1
            record.write("disconnected", open=self._connections)

    async def answer(self, request: Request) -> Answer:
        """Answer a request of HTTP."""
        if request.path.startswith(PREFIX):
            return self._control.answer(request)
        record = self._floor.record
        record.write("request", method=request.method, path=request.path, params=_params(request))
        try:
            answer = await self._face.answer(request)
        except (Maintenance, ServerError) as error:
            answer = self._face.broken(error)
        except Cut:
            record.write("answer", path=request.path, status=0)
            raise
        excerpt = answer.body[:MAX_EXCERPT].decode(errors="replace") if answer.status > 399 else ""
        record.write("answer", path=request.path, status=answer.status, error=excerpt)
        return answer

    async def socket(self, request: Request, wire: Wire) -> Answer | None:
        """Serve a WebSocket, or refuse it."""
        self._floor.record.write("upgrade", path=request.path)
        if self._floor.faults.holding("maintenance"):
            return self._face.broken(Maintenance())
        try:
            return await self._face.socket(request, wire)
        except Gone:
            raise Cut from None


def _params(request: Request) -> Any:
    params = dict(parse_qsl(request.query, keep_blank_values=True)[:100])
    if "json" not in request.headers.get("content-type", ""):
        params.update(
            parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True)[:100]
        )
    return without_secrets(params)


async def _until_changed(faults: Faults, name: str) -> None:
    """Wait until faults change, or one of a name begins or ends."""
    until, changed = faults.until(name), faults.changed
    with trio.move_on_at(float("inf") if until is None else until):
        await changed.wait()


async def _keep_skew(floor: Floor) -> None:
    while True:
        fault = floor.faults.holding("clock_skew")
        floor.clock.skew_ns = round((fault.value or 0) * NS_PER_MS) if fault else 0
        await _until_changed(floor.faults, "clock_skew")


async def _cut_sockets(floor: Floor) -> None:
    while True:
        fault = floor.faults.holding("cut_sockets")
        if fault is None:
            await _until_changed(floor.faults, "cut_sockets")
        elif fault.value:
            await trio.sleep(fault.value)
            if floor.faults.strikes("cut_sockets"):
                floor.cut_sockets()
        else:
            floor.faults.strikes("cut_sockets")
            floor.cut_sockets()
            floor.faults.clear("cut_sockets")


async def _close_for_maintenance(floor: Floor) -> None:
    while True:
        if floor.faults.holding("maintenance") is not None:
            floor.close_sockets("maintenance")
        await _until_changed(floor.faults, "maintenance")


async def _shut_down(floor: Floor) -> None:
    """Announce a shutdown of the server, and close its WebSockets; it is there again at once."""
    while True:
        fault = floor.faults.holding("server_shutdown")
        if fault is None:
            await _until_changed(floor.faults, "server_shutdown")
            continue
        floor.faults.strikes("server_shutdown")
        ending = list(floor.sockets)
        for socket in ending:
            socket.warn()
        await trio.sleep(fault.value or 0)
        for socket in ending:
            socket.leave(1001, "the server ends")
        floor.faults.clear("server_shutdown")


async def _expire(floor: Floor) -> None:
    """End orders with a date in time, even where the market stands still."""
    while True:
        await trio.sleep(EXPIRY_SECS)
        if floor.exchange.next_expiry_ns is not None:
            floor.exchange.expire()


async def serve_exchange(
    kind: Kind,
    settings: ExchangeSettings,
    *,
    clock: Clock,
    record: Record,
    log: Log,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an exchange on 127.0.0.1 until cancelled.

    Args:
        kind: whose wire it speaks.
        settings: what it lists, holds, and does wrong.
        clock: the true time.
        record: where everything is written.
        log: of the made-up market.
        task_status: told the port, once the server listens.

    Raises:
        ConfigError: the port is taken, or a recording cannot be read.
        StoreError: the record cannot be written.
    """
    told = ExchangeClock(clock)
    moves, instruments = open_source(kind, settings, told, log)
    record.write("start", venue=kind.name, symbols=sorted(instruments))
    floor = _floor(kind, settings, instruments, told, record)
    face = kind.face(floor)
    try:
        listeners = await trio.open_tcp_listeners(settings.port, host=HOST)
    except OSError as error:
        raise ConfigError(
            f"port {settings.port} of {HOST} cannot be opened: {error.strerror or error}"
        ) from None
    server = _Server(floor, face, Control(floor, moves))
    async with trio.open_nursery() as nursery:
        await nursery.start(face.run)
        tasks: Sequence[Callable[[], Awaitable[None]]] = (
            partial(moves.run, floor.market),
            floor.switches.run,
            partial(_keep_skew, floor),
            partial(_cut_sockets, floor),
            partial(_close_for_maintenance, floor),
            partial(_shut_down, floor),
            partial(_expire, floor),
            partial(trio.serve_listeners, server.serve, listeners),
        )
        for task in tasks:
            nursery.start_soon(task)
        task_status.started(listeners[0].socket.getsockname()[1])


def _floor(
    kind: Kind,
    settings: ExchangeSettings,
    instruments: Mapping[str, Instrument],
    clock: ExchangeClock,
    record: Record,
) -> Floor:
    maker, taker = kind.fees_bps
    paper = PaperSettings(
        maker_fee_bps=maker,
        taker_fee_bps=taker,
        fee_in=kind.fee_in,
        leverage=kind.leverage,
        balances=settings.balances or kind.balances,
    )
    exchange = Exchange(instruments, paper, clock, record)
    faults = Faults(random.Random(settings.seed), record)
    for fault in settings.faults:
        faults.add(fault)
    skew = faults.holding("clock_skew")  # from the first moment on, not only once a task runs
    clock.skew_ns = round((skew.value or 0) * NS_PER_MS) if skew else 0
    return Floor(
        exchange,
        Market(exchange),
        Switches(exchange),
        faults,
        record,
        clock,
        settings.api_key,
        settings.api_secret,
        settings.options,
        settings.ping_secs,
        settings.socket_life_secs,
    )
