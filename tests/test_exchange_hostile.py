"""The local exchange under senseless requests: it refuses, and goes on."""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import trio
import trio_websocket

from tests.exchange_world import BinanceClient, exchange, open_socket
from trade_runtime.exchange.clock import ExchangeClock
from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.faces import kind_of
from trade_runtime.exchange.faces.binance.calls import Calls
from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_spot.face import SpotFace
from trade_runtime.exchange.faults import Faults
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.market import Market
from trade_runtime.exchange.record import Record
from trade_runtime.exchange.switch import Switches
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote
from trade_runtime.venues.paper import PaperSettings

ROUNDS = 6_000
WORDS = (
    *("BTCUSDT", "ETHUSDT", "NOPE", "", "BUY", "SELL", "LIMIT", "MARKET", "LIMIT_MAKER"),
    *("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "GTC", "IOC", "FOK"),
    *("0.01", "0", "-1", "1e5", "NaN", "50000", "60000", "70000", "0.00000001", "9" * 30),
    *("true", "1m", "a", "b", "ü", "\0", "1000001", "1000002", "1000003", "5", "100", "FULL"),
    *("STOP_ON_FAILURE", "ALLOW_FAILURE", "ONLY_NEW", '["BTCUSDT"]', "[", "500"),
)


def floor_of_spot() -> Floor:
    """A floor without a server, and a market that stands."""
    kind = kind_of("binance_spot")
    clock = ExchangeClock(TrioClock())
    record = Record(None, TrioClock())
    listed = {one: kind.instrument(one) for one in ("BTCUSDT", "ETHUSDT")}
    settings = PaperSettings(balances={"USDT": Decimal(1_000_000), "BTC": Decimal(100)})
    known = {symbol: one for symbol, one in listed.items() if one is not None}
    market_of = Exchange(known, settings, clock, record)
    market = Market(market_of)
    for symbol in listed:
        one = InstrumentId(f"{symbol}.exchange")
        market.on_quote(Quote(one, 0, 60_000, 60_001, 5, 5, 1))
        levels = ((Decimal(60_000), Decimal(5)),), ((Decimal(60_001), Decimal(5)),)
        market.on_book(BookLevels(one, 0, 1, *levels, snapshot=True))
    faults = Faults(random.Random(1), record)
    return Floor(market_of, market, Switches(market_of), faults, record, clock, "k", "s")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_parameters_break_the_face(seed: int) -> None:
    """Thousands of random requests to all that can be asked for: an answer, or Binance's error."""
    rng = random.Random(seed)
    floor = floor_of_spot()
    calls: Calls = SpotFace(floor)._calls
    endpoints = [*calls.by_http.values()]
    names: dict[str, list[str]] = {
        one.http: sorted(one.known or {"symbol", "limit", "interval", "symbols", "fromId"})
        for one in endpoints
    }
    outcomes = {"answered": 0, "refused": 0}
    for _ in range(ROUNDS):
        endpoint = rng.choice(endpoints)
        likely = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01"}
        given: dict[str, str] = {}
        for name in names[endpoint.http]:
            if rng.random() < 0.6:
                usual = likely.get(name) if rng.random() < 0.7 else None
                given[name] = usual or rng.choice(WORDS)
        try:
            told = await calls.carry_out(endpoint, Params(given))
        except Rejected:
            outcomes["refused"] += 1
            continue
        msgspec.json.encode(told)
        outcomes["answered"] += 1
    assert outcomes["answered"] > 500
    assert outcomes["refused"] > 500
    held = floor.exchange.balances()
    assert all(one.total >= one.locked >= 0 for one in held.values())


async def test_what_is_no_http_does_no_harm() -> None:
    """Garbage, an endless head, a large body: cut or refused, and the next client is served."""
    async with exchange() as world, BinanceClient(world) as client:
        for sent in (b"\x00\xff\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000):
            stream = await trio.open_tcp_stream("127.0.0.1", world.port)
            async with stream:
                with trio.fail_after(5):
                    try:
                        await stream.send_all(sent)
                        while await stream.receive_some():
                            pass
                    except trio.BrokenResourceError:
                        pass  # it is cut while we send
        stream = await trio.open_tcp_stream("127.0.0.1", world.port)
        head = b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"
        async with stream:
            with trio.fail_after(5):
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(head + b"x" * 2_000_000)
                told = b""
                try:
                    while piece := await stream.receive_some():
                        told += piece
                except trio.BrokenResourceError:
                    pass
                assert not told or b" 413 " in told
        assert 200 == (await client.public("/api/v3/time")).status_code


async def test_a_message_that_is_too_long_ends_its_socket_alone() -> None:
    """With the code 1009; another socket lives on."""
    async with (
        exchange() as world,
        open_socket(world, "/ws-api/v3") as long,
        open_socket(world, "/ws-api/v3") as other,
    ):
        with pytest.raises(trio_websocket.ConnectionClosed), trio.fail_after(5):
            await long.send({"id": "x" * 2_000_000})
            await long.next()
        assert 200 == (await other.ask("ping"))["status"]


async def test_deep_nesting_is_refused() -> None:
    """On both kinds of sockets, and by the control endpoint."""
    deep: Any = "[" * 100_000
    async with exchange() as world:
        async with open_socket(world, "/ws-api/v3") as socket:
            await socket._socket.send_message(deep)
            assert 400 == (await socket.next())["status"]
        async with open_socket(world, "/ws") as socket:
            await socket._socket.send_message(deep)
            assert 3 == (await socket.next())["error"]["code"]
