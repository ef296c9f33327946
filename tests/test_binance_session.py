"""A stream from the wire to the sink: in order, without waiting for REST, and gone when left."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.replay_world import ETH, Sink, market, served, small_recording
from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Quote
from trade_runtime.venues.binance_spot.market import MAX_STREAMS, BinanceSpot
from trade_runtime.venues.wire import link as link_module
from trade_runtime.venues.wire.link import open_link

CHANGES = 60
PATIENCE_SECS = 20.0
"""What a test waits at most for something that takes milliseconds."""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return small_recording(tmp_path / "small.jsonl", CHANGES)


async def play(spot: BinanceSpot, sink: Sink, symbols: dict[str, InstrumentId] = ETH) -> VenueError:
    """Run a session to its end and return the error that ended it."""
    with trio.fail_after(PATIENCE_SECS):
        async with spot.connect(symbols, sink) as session:
            with pytest.raises(VenueError) as caught:
                await session.run()
    return caught.value


async def until(sink: Sink, condition: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_SECS):
        while not condition():
            await sink.moved.wait()


async def test_everything_comes_through_in_order(recording: Path) -> None:
    """Quotes, trades, the snapshot and each later change; the book agrees with every quote."""
    sink = Sink()
    async with served(recording) as port, market(port) as spot:
        error = await play(spot, sink)
    assert "end of the recording" in str(error)
    assert len(sink.quotes) == CHANGES
    assert [trade.trade_id for trade in sink.trades] == list(range(500, 500 + CHANGES))
    assert [levels.update_id for levels in sink.snapshots] == [1029]
    assert [levels.update_id for levels in sink.changes] == list(range(1039, 1009 + 600, 10))
    assert sink.lost == []
    assert sink.bad_books == 0
    assert sink.agreed == sink.compared


async def test_a_missed_change_is_one_loss_and_one_resync(recording: Path) -> None:
    """No one sees the broken book: nothing comes between the loss and the new snapshot."""
    sink = Sink()
    async with (
        served(recording, faults=["skip:depth=20"], at_end="hold") as port,
        market(port) as spot,
        trio.open_nursery() as nursery,
        spot.connect(ETH, sink) as session,
    ):
        nursery.start_soon(session.run)
        await until(sink, lambda: len(sink.snapshots) == 2 and len(sink.quotes) == CHANGES)
        await until(sink, lambda: sink.books[ETH["ETHUSDT"]].update_id == 1599)
        nursery.cancel_scope.cancel()
    assert len(sink.lost) == 1
    assert sink.bad_books == 0
    assert sink.agreed == sink.compared


async def test_a_stale_snapshot_is_fetched_again_and_is_no_loss(recording: Path) -> None:
    """The events wait for one that reaches them."""
    sink = Sink()
    async with served(recording, faults=["stale_snapshot:count=2"]) as port, market(port) as spot:
        await play(spot, sink)
    assert [levels.update_id for levels in sink.snapshots] == [1029]
    assert sink.lost == []
    assert len(sink.changes) == CHANGES - 3


async def test_slow_rest_holds_up_neither_quotes_nor_trades(recording: Path) -> None:
    """All of them are here while the snapshot is still under way."""
    sink = Sink()
    async with (
        served(recording, faults=["slow_rest:ms=100000"], at_end="hold") as port,
        market(port) as spot,
        trio.open_nursery() as nursery,
        spot.connect(ETH, sink) as session,
    ):
        nursery.start_soon(session.run)
        await until(sink, lambda: len(sink.quotes) == len(sink.trades) == CHANGES)
        assert sink.snapshots == []
        nursery.cancel_scope.cancel()


async def test_rest_that_is_down_is_tried_again(recording: Path) -> None:
    """The stream goes on meanwhile, and the book comes once REST is back."""
    sink = Sink()
    async with (
        served(recording, faults=["rest_down:secs=0.3"], at_end="hold") as port,
        market(port) as spot,
        trio.open_nursery() as nursery,
        spot.connect(ETH, sink) as session,
    ):
        nursery.start_soon(session.run)
        await until(sink, lambda: len(sink.changes) == CHANGES - 3)
        nursery.cancel_scope.cancel()
    assert sink.lost == []


async def test_a_cut_socket_ends_the_session(recording: Path) -> None:
    """Everything before the cut has come through; then the session says that it was lost."""
    sink = Sink()
    async with served(recording, faults=["drop:at=91"]) as port, market(port) as spot:
        error = await play(spot, sink)
        assert isinstance(error, VenueDown)
        assert "lost" in str(error)
        assert len(sink.quotes) == 30
        again = Sink()
        await play(spot, again)
        assert len(again.quotes) == CHANGES


async def test_garbage_ends_the_session(recording: Path) -> None:
    """A stream that makes no sense is not guessed at."""
    async with served(recording, faults=["garbage:at=50"]) as port, market(port) as spot:
        assert "malformed frame" in str(await play(spot, Sink()))


async def test_a_ping_is_answered_while_the_stream_is_alive(recording: Path) -> None:
    """And not once it has gone silent, which is how silence is told from a quiet market."""
    sink = Sink()
    faults = ["silent:at=100"]
    async with (
        served(recording, faults=faults, at_end="hold", speed="real") as port,
        market(port) as spot,
        trio.open_nursery() as nursery,
        spot.connect(ETH, sink) as session,
    ):
        nursery.start_soon(session.run)
        with trio.fail_after(PATIENCE_SECS):
            await session.ping()
        await until(sink, lambda: len(sink.quotes) >= 33)
        with trio.move_on_after(0.3) as patience:
            await session.ping()
        assert patience.cancelled_caught
        nursery.cancel_scope.cancel()


async def test_leaving_a_silent_server_takes_no_longer_than_the_limit(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never answers our close frame; the socket is closed hard."""
    monkeypatch.setattr(link_module, "CLOSE_SECS", 0.2)
    async with served(recording, faults=["silent:at=1"]) as port, market(port) as spot:
        with trio.fail_after(PATIENCE_SECS):
            async with spot.connect(ETH, Sink()):
                began = trio.current_time()
    assert 0.2 <= trio.current_time() - began < 5


async def test_a_cancelled_session_leaves_at_once(recording: Path) -> None:
    """A stop does not wait for the peer, and leaves no task behind."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with served(recording, faults=["silent:at=1"]) as port, market(port) as spot:
        with trio.CancelScope() as scope:
            async with spot.connect(ETH, Sink()) as session:
                scope.cancel()
                await session.run()
        assert scope.cancelled_caught
    assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_an_error_of_a_strategy_comes_out_as_itself(recording: Path) -> None:
    """Not inside an exception group, and with the socket closed."""

    class Failing(Sink):
        def on_quote(self, quote: Quote) -> None:
            raise ZeroDivisionError("mine")

    async with served(recording) as port, market(port) as spot:
        with pytest.raises(ZeroDivisionError, match="mine"):
            async with spot.connect(ETH, Failing()) as session:
                await session.run()


async def test_more_symbols_than_a_connection_carries_are_refused(recording: Path) -> None:
    """Binance would refuse the connection with less of a reason."""
    many = {f"S{n}": InstrumentId(f"S{n}.test") for n in range(MAX_STREAMS)}
    async with served(recording) as port, market(port) as spot:
        for symbols in (many, {}):
            with pytest.raises(VenueError, match="1 to 341 symbols"):
                async with spot.connect(symbols, Sink()):
                    pass


async def test_no_server_is_a_venue_error(recording: Path) -> None:
    """The message names the host."""
    async with served(recording) as port:
        pass
    async with market(port) as spot:
        with pytest.raises(VenueDown, match=f"127.0.0.1:{port}"):
            async with spot.connect(ETH, Sink()):
                pass
        with pytest.raises(VenueError, match=f"127.0.0.1:{port}"):
            await spot.instruments(["ETHUSDT"])


async def test_a_refused_handshake_tells_the_status(recording: Path) -> None:
    """And the beginning of the answer."""
    async with served(recording) as port:
        with pytest.raises(VenueError, match=r"refused the stream: HTTP 404 .*Streams are at"):
            async with open_link(f"ws://127.0.0.1:{port}/elsewhere?x=1", None):
                pass


@asynccontextmanager
async def listening(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_a_server_that_never_answers_the_handshake_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """trio-websocket alone would wait a minute."""
    monkeypatch.setattr(link_module, "CONNECT_TIMEOUT_SECS", 0.2)

    async def mute(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with listening(mute) as port:
        for scheme, tls in (("ws", None), ("wss", ssl.create_default_context())):
            with trio.fail_after(PATIENCE_SECS), pytest.raises(VenueDown, match=r"within 0\.2 s"):
                async with open_link(f"{scheme}://127.0.0.1:{port}/?x", tls):
                    pass


async def test_a_failed_tls_handshake_is_named() -> None:
    """At once and by its reason, not as a timeout."""

    async def no_tls(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(no_tls) as port:
        with pytest.raises(VenueDown, match=r"SSL|TLS"):
            async with open_link(f"wss://127.0.0.1:{port}/?x", ssl.create_default_context()):
                pass
