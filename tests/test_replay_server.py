"""The replay server on a small recording: what a client gets, at which pace, and at the end."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tests.replay_world import BEGAN_MS, ETH, Sink, market, served, small_recording
from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.replay import feed, serve_replay
from trade_runtime.venues.wire.link import open_link

CHANGES = 60
ROWS = 3 * CHANGES
ALL = "ethusdt@depth@100ms/ethusdt@bookTicker/ethusdt@trade"
PATIENCE_SECS = 10.0


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return small_recording(tmp_path / "small.jsonl", CHANGES)


@pytest.fixture(autouse=True)
def _no_waiting_for_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most clients here never ask for one."""
    monkeypatch.setattr(feed, "OPENING_SECS", 0.05)


@contextlib.asynccontextmanager
async def client(
    port: int, path: str = f"/stream?streams={ALL}"
) -> AsyncIterator[WebSocketConnection]:
    """Connect with trio-websocket alone, and close the socket, which it would leave open."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + PATIENCE_SECS
        ws = await wrap_client_stream(nursery, stream, f"127.0.0.1:{port}", path)
        yield ws
        assert not nursery.cancel_scope.cancel_called, f"it took over {PATIENCE_SECS} s"
        with trio.move_on_after(1):
            await ws.aclose()
        nursery.cancel_scope.cancel()


async def refused(port: int, path: str) -> str:
    with pytest.raises(VenueError) as caught:
        async with open_link(f"ws://127.0.0.1:{port}{path}", None):
            pass
    return str(caught.value)


async def messages(ws: WebSocketConnection, count: int | None = None) -> list[dict[str, Any]]:
    """Return what comes until the end, or the next `count` messages."""
    got: list[dict[str, Any]] = []
    with contextlib.suppress(ConnectionClosed):
        while count is None or len(got) < count:
            got.append(json.loads(await ws.get_message()))
    return got


async def rest(port: int, path: str, **params: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{port}{path}", params=params)
    assert answer.headers["content-type"].startswith("application/json")
    return (
        answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["code"])
    )


def recorded_frames(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        body = json.loads(line.partition(" ")[2])
        if "stream" in body:
            yield body


async def test_each_client_gets_the_recording_from_its_beginning(recording: Path) -> None:
    """Frame for frame as recorded, one client after another and two at a time."""
    whole = list(recorded_frames(recording))
    async with served(recording) as port:
        for _ in range(2):
            async with client(port) as ws:
                assert await messages(ws) == whole
        async with client(port) as one, client(port) as two:
            assert await messages(two) == whole
            assert await messages(one) == whole


async def test_a_client_gets_only_the_streams_it_asked_for(recording: Path) -> None:
    """Also where it spells the URL with percent signs; an unknown stream stays silent."""
    path = "/stream?streams=ethusdt%40trade%2Fbtcusdt%40trade"
    async with served(recording) as port, client(port, path) as ws:
        got = await messages(ws)
    assert {frame["stream"] for frame in got} == {"ethusdt@trade"}
    assert len(got) == CHANGES


async def test_a_raw_stream_has_no_envelope(recording: Path) -> None:
    """`/ws/NAME` sends the payload alone."""
    async with served(recording) as port, client(port, "/ws/ethusdt@trade") as ws:
        got = await messages(ws)
    assert [trade["t"] for trade in got] == list(range(500, 500 + CHANGES))


async def test_the_recorded_gaps_are_kept(tmp_path: Path) -> None:
    """At `real`, and divided by a multiple; no faster, and not much slower."""
    path = small_recording(tmp_path / "r", 6, gap_ms=100)
    for speed, least_secs in ((1.0, 0.5), (5.0, 0.1)):
        async with served(path, speed=speed) as port, client(port, "/ws/ethusdt@trade") as ws:
            began = trio.current_time()
            assert len(await messages(ws)) == 6
            took = trio.current_time() - began
        assert 0.9 * least_secs <= took < least_secs + 2


async def test_a_clock_that_jumps_back_does_not_hold_up_the_stream(tmp_path: Path) -> None:
    """A row from before the one before it goes out at once, in its place in the file."""
    path = small_recording(tmp_path / "r", 5, gap_ms=50)
    lines = path.read_text().splitlines()
    lines[4:4] = [lines[12]]
    path.write_text("\n".join(lines))
    async with served(path, speed=1.0) as port, client(port) as ws:
        got = await messages(ws)
    assert got == list(recorded_frames(path))


async def test_at_the_end_the_connection_is_held(recording: Path) -> None:
    """Nothing more comes, and pings are answered."""
    async with served(recording, at_end="hold") as port, client(port) as ws:
        await messages(ws, ROWS)
        await ws.ping()
        with trio.move_on_after(0.1) as quiet:
            await ws.get_message()
        assert quiet.cancelled_caught


async def test_at_the_end_the_connection_is_closed(recording: Path) -> None:
    """With a close frame."""
    async with served(recording, at_end="close") as port, client(port) as ws:
        await messages(ws)
        assert ws.closed is not None
        assert ws.closed.code == 1000


async def test_a_loop_goes_on_growing(recording: Path) -> None:
    """Over three turns ids and times only grow, trades are never repeated."""
    async with served(recording, at_end="loop") as port, client(port) as ws:
        got = await messages(ws, 3 * ROWS)
    for stream, key in (("trade", "t"), ("bookTicker", "u"), ("depth@100ms", "u")):
        ids = [f["data"][key] for f in got if f["stream"] == f"ethusdt@{stream}"]
        assert all(a < b for a, b in itertools.pairwise(ids)), stream
    times = [f["data"]["E"] for f in got if "E" in f["data"]]
    assert times == sorted(times)
    assert len({f["data"]["t"] for f in got if f["stream"].endswith("trade")}) >= 2 * CHANGES


async def test_a_loop_keeps_the_book_in_sequence_and_true(recording: Path) -> None:
    """Through three turns: no resync, never crossed, its best levels those of every quote."""
    sink = Sink()
    async with served(recording, at_end="loop") as port, market(port) as spot:
        with trio.fail_after(PATIENCE_SECS):
            async with spot.connect(ETH, sink) as session, trio.open_nursery() as nursery:
                nursery.start_soon(session.run)
                while len(sink.changes) < 3 * CHANGES:
                    await sink.moved.wait()
                nursery.cancel_scope.cancel()
    assert (sink.lost, sink.bad_books, len(sink.snapshots)) == ([], 0, 1)
    assert sink.agreed == sink.compared > CHANGES


async def test_rest_answers_before_any_stream(recording: Path) -> None:
    """The recorded snapshot, the first quote, no trades, and what is derived from the numbers."""
    async with served(recording) as port:
        assert await rest(port, "/api/v3/ping") == {}
        assert await rest(port, "/api/v3/time") == {"serverTime": 1_700_000_000_000}
        depth = await rest(port, "/api/v3/depth", symbol="ETHUSDT", limit="1")
        assert (depth["lastUpdateId"], len(depth["bids"]), len(depth["asks"])) == (1029, 1, 1)
        ticker = await rest(port, "/api/v3/ticker/bookTicker", symbol="ETHUSDT")
        assert ticker["bidQty"] == "1.500"
        assert await rest(port, "/api/v3/ticker/bookTicker", symbols='["ETHUSDT"]') == [ticker]
        assert await rest(port, "/api/v3/ticker/bookTicker") == [ticker]
        assert await rest(port, "/api/v3/trades", symbol="ETHUSDT") == []
        (info,) = (await rest(port, "/api/v3/exchangeInfo", symbol="ETHUSDT"))["symbols"]
        assert (info["baseAsset"], info["quoteAsset"]) == ("ETH", "USDT")
        filters = {entry["filterType"]: entry for entry in info["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01"
        assert filters["LOT_SIZE"]["stepSize"] == "0.01"


async def test_errors_have_binances_shape(recording: Path) -> None:
    """A client that knows Binance's codes knows these."""
    async with served(recording) as port:
        assert await rest(port, "/api/v3/depth", symbol="NOPE") == (400, -1121)
        assert await rest(port, "/api/v3/exchangeInfo", symbols='["ETHUSDT","NOPE"]') == (
            400,
            -1121,
        )
        assert await rest(port, "/api/v3/exchangeInfo", symbols="ETHUSDT") == (400, -1100)
        assert await rest(port, "/api/v3/depth") == (400, -1102)
        assert await rest(port, "/api/v3/depth", symbol="ETHUSDT", limit="x") == (400, -1100)
        assert await rest(port, "/api/v3/order", symbol="ETHUSDT") == (404, -1000)
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"http://127.0.0.1:{port}/api/v3/ping")
        assert answer.status_code == 405


async def test_rest_follows_the_newest_stream(recording: Path) -> None:
    """After the end of a stream: the last quote, all its trades, and the book as it is then."""
    async with served(recording, at_end="hold") as port, client(port) as ws:
        got = await messages(ws, ROWS)
        first = await rest(port, "/api/v3/depth", symbol="ETHUSDT")
        later = await rest(port, "/api/v3/depth", symbol="ETHUSDT")
        assert (first["lastUpdateId"], later["lastUpdateId"]) == (1029, 1599)
        last = [f["data"] for f in got if f["stream"].endswith("bookTicker")][-1]
        assert later["bids"][0] == [last["b"], last["B"]]
        assert later["asks"][0] == [last["a"], last["A"]]
        ticker = await rest(port, "/api/v3/ticker/bookTicker", symbol="ETHUSDT")
        assert (ticker["bidPrice"], ticker["askQty"]) == (last["b"], last["A"])
        trades = await rest(port, "/api/v3/trades", symbol="ETHUSDT", limit="3")
        assert [trade["id"] for trade in trades] == [557, 558, 559]
        async with client(port):
            again = await rest(port, "/api/v3/depth", symbol="ETHUSDT")
            assert again["lastUpdateId"] == 1029


async def test_klines_are_made_of_the_trades_so_far(tmp_path: Path) -> None:
    """As many as are known whole: not that of the oldest trade, whose beginning nobody recorded."""
    path = small_recording(tmp_path / "r", 120, gap_ms=100)
    async with served(path, at_end="hold") as port:
        asked = {"symbol": "ETHUSDT", "interval": "1s"}
        assert await rest(port, "/api/v3/klines", **asked) == []
        async with client(port) as ws:
            await messages(ws, 3 * 120)
            klines = await rest(port, "/api/v3/klines", **asked)
            second = BEGAN_MS // 1000
            assert [row[0] // 1000 - second for row in klines] == list(range(1, 12))
            assert [(row[6] - row[0], row[8], row[5]) for row in klines] == [
                (999, 10, "2.50000000")
            ] * 11
            assert all(float(row[3]) <= float(row[4]) <= float(row[2]) for row in klines)
            until = str(BEGAN_MS + 2_000)
            some = await rest(port, "/api/v3/klines", **asked, endTime=until, limit="1")
            assert some == [klines[1]]
            assert await rest(port, "/api/v3/klines", symbol="ETHUSDT", interval="2s") == (
                400,
                -1120,
            )
            async with market(port) as spot:
                # By the server's clock, which is the recorder's, five seconds behind the venue's.
                bars = await spot.bars(ETH, 2.0, 3)
                assert [b.open_ns // 10**9 - second for b in bars] == [1, 2, 3, 4]


async def test_a_recording_without_a_snapshot_opens_with_an_empty_book(tmp_path: Path) -> None:
    """Just before its first change, so that every change is applied; it is never crossed."""
    path = small_recording(tmp_path / "r", CHANGES, snapshot=False)
    sink = Sink()
    async with served(path) as port, market(port) as spot, spot.connect(ETH, sink) as session:
        with pytest.raises(VenueError, match="end of the recording"):
            await session.run()
    assert [levels.update_id for levels in sink.snapshots] == [999]
    assert len(sink.changes) == CHANGES
    assert (sink.lost, sink.bad_books) == ([], 0)
    assert sink.agreed == sink.compared


async def test_a_book_that_the_recording_lost_is_not_made_up(tmp_path: Path) -> None:
    """The recorder missed a change: from there on the server says 503."""
    path = small_recording(tmp_path / "r", CHANGES, gone=30)
    async with served(path, at_end="hold") as port, client(port) as ws:
        await messages(ws, ROWS - 1)
        assert (await rest(port, "/api/v3/depth", symbol="ETHUSDT"))["lastUpdateId"] == 1029
        assert await rest(port, "/api/v3/depth", symbol="ETHUSDT") == (503, -1001)


async def test_a_later_snapshot_of_the_recorder_mends_the_book(tmp_path: Path) -> None:
    """As it mended the recorder's own."""
    path = small_recording(tmp_path / "r", CHANGES, gone=30)
    lines = path.read_text().splitlines()
    lines.append(lines[-1].split(" ")[0] + ' {"lastUpdateId":1585,"bids":[["99","1"]],"asks":[]}')
    path.write_text("\n".join(lines))
    async with served(path, at_end="hold") as port, client(port) as ws:
        await messages(ws, ROWS - 1)
        await rest(port, "/api/v3/depth", symbol="ETHUSDT")
        with trio.fail_after(PATIENCE_SECS):
            while (await rest(port, "/api/v3/depth", symbol="ETHUSDT")) == (503, -1001):
                pass  # the snapshot is the last line: nothing tells that it has been passed
        assert (await rest(port, "/api/v3/depth", symbol="ETHUSDT"))["lastUpdateId"] == 1599


async def test_a_dropped_client_can_be_refused_for_a_while(recording: Path) -> None:
    """So that polling, and the way back to the stream, can be watched."""
    async with served(recording, faults=["drop:at=31,secs=0.5"]) as port:
        async with client(port) as ws:
            assert len(await messages(ws)) == 29
            assert ws.closed is not None
            assert ws.closed.code == 1006
        assert "HTTP 503" in await refused(port, f"/stream?streams={ALL}")
        assert len(await rest(port, "/api/v3/trades", symbol="ETHUSDT")) == 9
        await trio.sleep(0.5)
        async with client(port) as ws:
            assert len(await messages(ws)) == ROWS


async def test_a_silence_ends_and_the_stream_goes_on(recording: Path) -> None:
    """Nothing is lost by it; a ping that came meanwhile is never answered."""
    async with served(recording, faults=["silent:at=31,secs=0.3"]) as port, client(port) as ws:
        got = await messages(ws, 29)
        with trio.move_on_after(0.1) as silence:
            await ws.ping(b"unanswered")
        assert silence.cancelled_caught
        assert got + await messages(ws) == list(recorded_frames(recording))


async def test_a_client_that_reads_slowly_is_not_run_away_from(tmp_path: Path) -> None:
    """At `max` the server stays within a few windows of what the client has read."""
    path = small_recording(tmp_path / "r", 4000)
    async with served(path, at_end="hold") as port, client(port, f"/stream?streams={ALL}") as ws:
        await messages(ws, 100)
        await trio.sleep(0.2)
        trades = await rest(port, "/api/v3/trades", symbol="ETHUSDT", limit="1")
        assert trades[0]["id"] < 500 + 1000


async def test_nonsense_on_the_port_harms_no_one(recording: Path) -> None:
    """The connection is closed or answered with an error, and the server goes on."""
    async with served(recording) as port:
        for nonsense in (b"\x16\x03\x01 not http\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a" * 100_000):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(nonsense)
                with trio.fail_after(PATIENCE_SECS):
                    await stream.receive_some()
            await stream.aclose()
        assert "HTTP 404" in await refused(port, "/nowhere?x")
        assert await rest(port, "/api/v3/ping") == {}


async def test_a_port_that_is_taken_is_refused(recording: Path) -> None:
    """With the port and the reason."""
    async with served(recording) as port:
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1"):
            await serve_replay(recording, port=port)
    for impossible in (-1, 70_000):
        with pytest.raises(ConfigError, match="must be from 0"):
            await serve_replay(recording, port=impossible)
    with pytest.raises(ConfigError, match="must be hold, close or loop"):
        await serve_replay(recording, port=0, at_end="stop")  # type: ignore[arg-type]
