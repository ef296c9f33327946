"""Each fault of the local exchange, over real sockets; and its record, judged from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio_websocket

from tests.exchange_world import (
    KEY,
    SECRET,
    BinanceClient,
    World,
    exchange,
    now_ms,
    open_socket,
    signed_params,
)
from trade_runtime.exchange.faces import FACES
from trade_runtime.exchange.faults import KINDS

API = "/ws-api/v3"
DOCS = Path(__file__).resolve().parents[1] / "docs"


async def subscribed(socket: Any) -> None:
    """Subscribe to the account's events."""
    assert 200 == (await socket.signed("userDataStream.subscribe.signature"))["status"]


async def open_ids(world: World) -> list[str]:
    """The client ids of the orders that rest."""
    return [one["client_id"] for one in (await world.state())["open_orders"]]


async def test_dropped_after_accept_the_order_rests() -> None:
    """The connection ends without an answer; the next request is answered."""
    async with exchange() as world, BinanceClient(world) as client:
        await world.fault("drop_after_accept:count=1")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.limit("BUY", 50_000, newClientOrderId="a")
        assert ["a"] == await open_ids(world)
        assert 200 == (await client.limit("BUY", 50_000, newClientOrderId="b")).status_code


async def test_an_error_after_accept_the_order_rests() -> None:
    """502 with the code that says that nobody knows; on the WebSocket API alike."""
    async with (
        exchange(faults=("error_after_accept:count=2",)) as world,
        BinanceClient(world) as client,
        open_socket(world, API) as socket,
    ):
        told = await client.limit("BUY", 50_000, newClientOrderId="a")
        assert (502, -1006) == (told.status_code, told.json()["code"])
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        params = signed_params({**order, "quantity": "0.01", "price": "50000"})
        answer = await socket.ask("order.place", {**params})
        assert (502, -1006) == (answer["status"], answer["error"]["code"])
        assert 2 == len(await open_ids(world))


async def test_an_error_before_accept_does_nothing() -> None:
    """And a fault may be of cancels alone."""
    async with exchange() as world, BinanceClient(world) as client:
        await world.fault("error_before_accept:count=1")
        assert 502 == (await client.limit("BUY", 50_000)).status_code
        assert [] == await open_ids(world)
        await world.fault("error_before_accept:on=cancel,count=1")
        placed = (await client.limit("BUY", 50_000)).json()
        ended = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
        assert 502 == (await client.signed("DELETE", "/api/v3/order", **ended)).status_code
        assert 1 == len(await open_ids(world))
        assert 200 == (await client.signed("DELETE", "/api/v3/order", **ended)).status_code


async def test_orders_are_refused_with_a_reason() -> None:
    """As Binance refuses one: -2010."""
    fault = "reject_orders:no more today,count=1"
    async with exchange(faults=(fault,)) as world, BinanceClient(world) as client:
        told = (await client.limit("BUY", 50_000)).json()
        assert {"code": -2010, "msg": "no more today"} == told
        assert 200 == (await client.limit("BUY", 50_000)).status_code


async def test_a_query_right_after_a_submit_may_know_nothing() -> None:
    """The order is there all the same: a cancel finds it."""
    async with exchange() as world, BinanceClient(world) as client:
        await world.fault("late_queries:60000")
        await client.limit("BUY", 50_000, newClientOrderId="a")
        asked = {"symbol": "BTCUSDT", "origClientOrderId": "a"}
        assert -2013 == (await client.signed("GET", "/api/v3/order", **asked)).json()["code"]
        assert [] == (await client.signed("GET", "/api/v3/openOrders")).json()
        await world.heal()
        assert 200 == (await client.signed("GET", "/api/v3/order", **asked)).status_code
        await world.fault("late_queries:60000")
        assert 200 == (await client.signed("DELETE", "/api/v3/order", **asked)).status_code


async def test_answers_come_late() -> None:
    """By as much as was asked for."""
    async with exchange() as world, BinanceClient(world) as client:
        await world.fault("slow_answers:300,count=1")
        began = trio.current_time()
        await client.public("/api/v3/time")
        assert 0.3 <= trio.current_time() - began


async def test_a_slow_answer_holds_up_no_other() -> None:
    """Requests on one socket are carried out in their order, and are slow side by side."""
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    async with exchange() as world, open_socket(world, API) as socket:
        await world.fault("slow_answers:500,on=order")
        began = trio.current_time()
        for number in range(20):
            params = {**order, "quantity": "0.01", "price": "50000", "newClientOrderId": number}
            message = {"id": -number - 1, "method": "order.place", "params": signed_params(params)}
            await socket.send(message)
        assert 200 == (await socket.ask("time"))["status"]
        assert [] == socket.waiting
        assert {200} == {(await socket.next())["status"] for _ in range(20)}
        assert 0.5 < trio.current_time() - began < 5
        assert [str(number) for number in range(20)] == await open_ids(world)


async def test_events_come_late_twice_and_out_of_order() -> None:
    """Each fault by itself; answers come as ever."""
    async with (
        exchange() as world,
        BinanceClient(world) as client,
        open_socket(world, API) as socket,
    ):
        await subscribed(socket)
        await world.fault("delay_events:300")
        began = trio.current_time()
        await client.limit("BUY", 50_000, newClientOrderId="late")
        answered = trio.current_time() - began
        await socket.event("executionReport")
        assert answered < 0.3 <= trio.current_time() - began
        await socket.event("outboundAccountPosition")
        await world.heal()
        await world.fault("duplicate_events")
        await client.limit("BUY", 50_000, newClientOrderId="twice")
        kinds = [(await socket.next())["event"]["e"] for _ in range(4)]
        assert ["executionReport"] * 2 + ["outboundAccountPosition"] * 2 == kinds
        await world.heal()
        await world.fault("reorder_events:count=1")
        await client.limit("BUY", 50_000, newClientOrderId="swapped")
        kinds = [(await socket.next())["event"]["e"] for _ in range(2)]
        assert ["outboundAccountPosition", "executionReport"] == kinds


async def test_sockets_are_cut() -> None:
    """All of them, once, without a goodbye; a new one is taken."""
    async with exchange() as world:
        async with open_socket(world, API) as socket, open_socket(world, "/ws") as other:
            await world.fault("cut_sockets")
            for one in (socket, other):
                with pytest.raises(trio_websocket.ConnectionClosed) as closed:
                    await one.next()
                assert closed.value.reason is not None
                assert 1006 == closed.value.reason.code
        async with open_socket(world, API) as socket:
            assert 200 == (await socket.ask("ping"))["status"]


async def test_a_silent_socket_says_nothing() -> None:
    """No answers, no events, no pongs; then it speaks again."""
    async with exchange() as world, open_socket(world, API) as socket:
        await world.fault("silent_socket")
        await socket.send({"id": 1, "method": "ping"})
        with trio.move_on_after(0.3) as waited:
            await socket.next()
        assert waited.cancelled_caught
        await world.heal("silent_socket")
        assert 200 == (await socket.ask("ping"))["status"]


async def test_the_clock_is_wrong() -> None:
    """Its time, its checks of timestamps, and its events are all of the wrong clock."""
    async with exchange(faults=("clock_skew:-10000",)) as world, BinanceClient(world) as client:
        told = (await client.public("/api/v3/time")).json()["serverTime"]
        assert 9_000 < now_ms() - told < 11_000
        assert -1021 == (await client.limit("BUY", 50_000)).json()["code"]
        client.skew_ms = -10_000
        placed = (await client.limit("BUY", 50_000)).json()
        assert 9_000 < now_ms() - placed["transactTime"] < 11_000
        await world.heal("clock_skew")

        async def is_right() -> bool:
            time = (await client.public("/api/v3/time")).json()["serverTime"]
            return bool(abs(now_ms() - time) < 1_000)

        await world.until(is_right)


async def test_maintenance_closes_and_refuses_until_it_is_over() -> None:
    """WebSockets are closed and refused, requests answered with 503; orders are kept."""
    async with exchange() as world, BinanceClient(world) as client:
        await client.limit("BUY", 50_000, newClientOrderId="kept")
        async with open_socket(world, API) as socket:
            await world.fault("maintenance:1")
            with pytest.raises(trio_websocket.ConnectionClosed):
                await socket.next()
        assert 503 == (await client.public("/api/v3/time")).status_code
        with pytest.raises(ExceptionGroup):
            async with open_socket(world, API):
                pass

        async def is_over() -> bool:
            return (await client.public("/api/v3/time")).status_code == 200

        await world.until(is_over)
        assert ["kept"] == await open_ids(world)


async def test_a_shutdown_is_announced() -> None:
    """The event first, then the end of the socket, by both kinds of sockets."""
    async with (
        exchange() as world,
        open_socket(world, API) as socket,
        open_socket(world, "/ws") as market,
    ):
        await world.fault("server_shutdown:0.1")
        assert "serverShutdown" == (await socket.next())["event"]["e"]
        assert "serverShutdown" == (await market.next())["e"]
        with pytest.raises(trio_websocket.ConnectionClosed):
            await socket.next()


async def test_a_socket_has_its_life_and_is_pinged() -> None:
    """Both can be made short."""
    async with (
        exchange(socket_life_secs=0.5, ping_secs=0.05) as world,
        open_socket(world, API) as socket,
    ):
        began = trio.current_time()
        with pytest.raises(trio_websocket.ConnectionClosed) as closed:
            await socket.next()
        assert 0.4 < trio.current_time() - began < 3
        assert closed.value.reason is not None
        assert 1000 == closed.value.reason.code


async def test_a_fault_that_makes_no_sense_is_refused() -> None:
    """By the control endpoint, with the reason; and it is not for web pages."""
    async with exchange() as world, httpx.AsyncClient(base_url=world.url) as http:
        told = await http.post("/_control/faults", json={"fault": "drop_affer"})
        assert 400 == told.status_code
        assert "drop_affer" in told.json()["error"]
        page = await http.get("/_control/state", headers={"Origin": "http://evil.example"})
        assert 403 == page.status_code
        assert 404 == (await http.get("/_control/nothing")).status_code
        assert set(KINDS) == set((await http.get("/_control/faults")).json()["kinds"])


def test_every_venue_is_in_the_reference() -> None:
    """Of those that there are."""
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    row = page.partition("| `--venue` |")[2].partition("\n")[0]
    assert set(FACES) <= set(re.findall(r"`(\w+)`", row))


def test_every_fault_is_documented() -> None:
    """With its name; and no other."""
    page = (DOCS / "how-to" / "test-on-a-local-exchange.md").read_text(encoding="utf-8")
    table = page.partition("| fault |")[2].partition("\n\n")[0]
    assert set(KINDS) == set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))


@pytest.mark.process
async def test_the_record_of_a_killed_exchange_tells_everything(tmp_path: Path) -> None:
    """Killed with -9 while orders come: what rests, what was filled, what came twice."""
    record = tmp_path / "exchange.jsonl"
    words = ["exchange", "--venue", "binance_spot", "--port", "0", "--record-to", str(record)]
    words += ["--api-key", KEY, "--api-secret", SECRET]
    process = subprocess.Popen(  # noqa: ASYNC220 - it is started in no time
        [sys.executable, "-m", "trade_runtime", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = await trio.to_thread.run_sync(process.stdout.readline)
        url = re.search(r"http://\S+:(\d+)", line)
        assert url is not None, line
        world = World(int(url[1]), None)

        async def trades() -> bool:
            return len((await world.state())["quotes"]) == 10

        await world.until(trades)
        async with BinanceClient(world) as client:
            told = [
                (await client.limit("BUY", 50_000, newClientOrderId=f"rest-{number}")).json()
                for number in range(3)
            ]
            for _ in range(2):  # one id, twice: filled before it comes again
                bought = await client.limit("BUY", 70_000, newClientOrderId="twice")
                assert "FILLED" == bought.json()["status"]
            await client.signed(
                "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=told[0]["orderId"]
            )
        await world.close()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert list(range(1, len(lines) + 1)) == [line["line"] for line in lines]
    last = {line["order_id"]: line for line in lines if "status" in line and "order_id" in line}
    resting = [one["client_id"] for one in last.values() if one["status"] == "open"]
    assert ["rest-1", "rest-2"] == resting
    accepted = Counter(line["client_id"] for line in lines if line["event"] == "accept")
    assert {"twice": 2} == {name: count for name, count in accepted.items() if count > 1}
    amount = sum(float(line["quantity"]) for line in lines if line["event"] == "fill")
    held = [line["total"] for line in lines if line["event"] == "balance"]
    assert 0.02 == pytest.approx(amount)
    assert held
    assert os.stat(record).st_size > 0
    assert SECRET not in record.read_text(encoding="utf-8")


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_when_it_is_told_to(how: signal.Signals) -> None:
    """With exit code 0, and nothing on stderr; `kraken` is another name of `kraken_spot`."""
    words = ["--venue", "kraken", "--port", "0", "--api-key", "k", "--api-secret", "c2VjcmV0"]
    with subprocess.Popen(
        [sys.executable, "-m", "trade_runtime", "exchange", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("kraken_spot is served at http://127.0.0.1:")
        process.send_signal(how)
        _, told = process.communicate(timeout=20)
    assert (0, "") == (process.returncode, told)


@pytest.mark.process
def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """One sentence each, and exit code 2."""

    def complaint(*words: str) -> str:
        usual = ["--api-key", "k", "--api-secret", "s", "--port", "0"]
        done = subprocess.run(
            [sys.executable, "-m", "trade_runtime", "exchange", *usual, *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert 2 == done.returncode
        return done.stderr

    spot = ("--venue", "binance_spot")
    assert "there is no such exchange" in complaint("--venue", "binance_sport")
    assert "fault" in complaint(*spot, "--fault", "drop")
    assert "NAME=VALUE" in complaint(*spot, "--balance", "USDT")
    assert "spells none" in complaint(*spot, "--symbol", "btc/usdt")
    assert "cannot be written" in complaint(*spot, "--record-to", str(tmp_path / "no" / "file"))
    assert "no such file" in complaint(*spot, "--recording", str(tmp_path / "none.jsonl"))
    assert "cannot be read" in complaint(*spot, "--api-secret", f"@{tmp_path / 'none'}")
