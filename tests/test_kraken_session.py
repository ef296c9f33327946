"""Kraken's public stream, from the wire to the sink: confirmed, checked, alive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.kraken_world import (
    BTC,
    PATIENCE_SECS,
    Peer,
    Script,
    acknowledge,
    book_frame,
    crc,
    scripted,
)
from tests.replay_world import Sink
from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId
from trade_runtime.protocols import MarketHistory, MarketSession
from trade_runtime.venues.kraken_spot import session as session_module
from trade_runtime.venues.kraken_spot.venue import KrakenSpot

SYMBOLS = {"BTC/USD": BTC}
ASKS, BIDS = [("101.0", "1.00000000")], [("100.0", "2.00000000")]
SNAPSHOT = book_frame("snapshot", ASKS, BIDS, crc(ASKS, BIDS))
MORE = [("101.0", "3.00000000")]
UPDATE = book_frame("update", MORE, [], crc(MORE, BIDS), second=1)
BROKEN = book_frame("update", MORE, [], 7, second=1)
TICKER = (
    '{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":100.0,"bid_qty":2,'
    '"ask":101.0,"ask_qty":1,"timestamp":"2026-11-24T10:00:00.0Z"}]}'
)
TRADE = (
    '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":100.0,'
    '"qty":0.5,"ord_type":"market","trade_id":7,"timestamp":"2026-11-24T10:00:00.0Z"}]}'
)


def telling(*frames: str) -> Callable[[Peer, dict[str, Any]], Any]:
    """Acknowledge all, and tell these once the book is subscribed."""

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        await acknowledge(peer, request)
        if request["method"] == "subscribe" and request["params"]["channel"] == "book":
            for frame in frames:
                await peer.say(frame)

    return on_request


@asynccontextmanager
async def streaming(script: Script, sink: Sink) -> AsyncIterator[tuple[KrakenSpot, MarketSession]]:
    async with (
        scripted(script) as venue,
        trio.open_nursery() as nursery,
        venue.connect(SYMBOLS, sink) as session,
    ):
        nursery.start_soon(session.run)
        yield venue, session
        nursery.cancel_scope.cancel()


async def ended(script: Script, sink: Sink) -> VenueError:
    """Run a session to its end and return the error that ended it."""
    with trio.fail_after(PATIENCE_SECS):
        async with scripted(script) as venue, venue.connect(SYMBOLS, sink) as session:
            with pytest.raises(VenueError) as caught:
                await session.run()
    return caught.value


async def until(sink: Sink, condition: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_SECS):
        while not condition():
            await sink.moved.wait()


async def test_what_is_streamed_comes_through() -> None:
    """A quote, a trade, a snapshot and a change; and a ping is answered meanwhile."""
    script, sink = Script(), Sink()
    script.on_request = telling(TICKER, TRADE, SNAPSHOT, UPDATE)
    async with streaming(script, sink) as (_, session):
        await until(sink, lambda: len(sink.changes) == 1)
        with trio.fail_after(PATIENCE_SECS):
            await session.ping()
    assert [quote.bid for quote in sink.quotes] == [100.0]
    assert [trade.trade_id for trade in sink.trades] == [7]
    assert (len(sink.snapshots), sink.lost, sink.bad_books) == (1, [], 0)


async def test_a_wrong_checksum_is_one_loss_and_a_new_subscription() -> None:
    """The bad change is told to nobody; the next snapshot is asked for at once."""
    script, sink = Script(), Sink()
    script.on_request = telling(SNAPSHOT, BROKEN, UPDATE)

    async with streaming(script, sink):
        await until(sink, lambda: sink.lost == [BTC])
        script.on_request = telling(SNAPSHOT, UPDATE)
        await until(sink, lambda: len(sink.changes) == 1)
    methods = [(m["method"], m["params"]["channel"]) for m in script.peers[0].heard]
    assert methods[3:] == [("unsubscribe", "book"), ("subscribe", "book")]
    assert len(sink.snapshots) == 2
    assert [levels.update_id for levels in sink.changes] > [
        levels.update_id for levels in sink.snapshots
    ]


async def test_books_that_are_never_right_end_the_session() -> None:
    """After some tries the connection is opened anew, with a backoff."""
    script, sink = Script(), Sink()
    wrong = book_frame("snapshot", ASKS, BIDS, 7)
    script.on_request = telling(wrong)
    assert "checksum" in str(await ended(script, sink))
    assert sink.snapshots == []


async def test_a_refused_subscription_ends_the_session() -> None:
    """It says which, and why."""
    script = Script()

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        await peer.ack(request, error="Currency pair not supported BTC/USD")

    script.on_request = on_request
    assert "Currency pair not supported BTC/USD" in str(await ended(script, Sink()))


async def test_a_subscription_that_is_not_confirmed_ends_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stream that would just stay silent is not waited for."""
    monkeypatch.setattr(session_module, "ACK_SECS", 0.1)
    script = Script()

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        if request["params"]["channel"] != "trade":
            await acknowledge(peer, request)

    script.on_request = on_request
    assert "trade of BTC/USD" in str(await ended(script, Sink()))


async def test_silence_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat comes each second; without a word for long enough the connection is dead."""
    monkeypatch.setattr(session_module, "SILENT_SECS", 0.2)
    script = Script()
    script.heartbeats = False
    assert "silent for 0.2 s" in str(await ended(script, Sink()))


async def test_garbage_ends_the_session() -> None:
    """A stream that makes no sense is not guessed at."""
    script = Script()
    script.on_request = telling("<html>")
    assert "malformed frame" in str(await ended(script, Sink()))


async def test_a_lost_connection_ends_the_session() -> None:
    """And everything before it has come through."""
    script, sink = Script(), Sink()

    async def on_request(peer: Peer, request: dict[str, Any]) -> None:
        await telling(TICKER)(peer, request)
        if request["params"]["channel"] == "book":
            await peer.ws.aclose(1001, "gone for now")

    script.on_request = on_request
    assert "gone for now" in str(await ended(script, sink))
    assert len(sink.quotes) == 1


async def test_instruments_polls_and_bars_come_over_rest() -> None:
    """Spelled as the WebSocket spells them, whatever REST calls them."""
    script, sink = Script(), Sink()
    script.rest["Ticker"] = {
        "XXBTZUSD": {"a": ["101.0", "1", "1.5"], "b": ["100.0", "2", "2.5"], "c": ["100", "1"]}
    }
    script.rest["Trades"] = {
        "XXBTZUSD": [["100.5", "0.25", 1688585840.8921, "s", "l", "", 41]],
        "last": "1688585840892100000",
    }
    script.rest["OHLC"] = {
        "XXBTZUSD": [[1_699_999_920, "1", "2", "1", "2", "1.5", "10", 3]],
        "last": 1_699_999_920,
    }
    async with scripted(script) as venue:
        found = await venue.instruments(["BTC/USD", "NO/SUCH"])
        assert isinstance(venue, MarketHistory)
        assert [str(i.tick) for i in found.values()] == ["0.1"]
        await venue.poll(SYMBOLS, sink)
        bars = await venue.bars(SYMBOLS, 60, 2)
        with pytest.raises(VenueError, match="does not list NO/SUCH"):
            await venue.poll({"NO/SUCH": InstrumentId("NO/SUCH.kraken")}, sink)
    assert (sink.quotes[0].ask, sink.quotes[0].ask_size) == (101.0, 1.5)
    assert (sink.trades[0].trade_id, sink.trades[0].price) == (41, 100.5)
    assert [bar.close for bar in bars] == [2.0]
    assert script.called("Ticker") == [{"pair": "XBTUSD"}]


async def test_after_too_much_nothing_is_asked_for_a_while() -> None:
    """Going on would make it worse."""
    script = Script()
    script.rest["Ticker"] = "EGeneral:Too many requests"
    async with scripted(script) as venue:
        for match in ("Too many requests", "nothing is sent for another"):
            with pytest.raises(VenueError, match=match):
                await venue.poll(SYMBOLS, Sink())
    assert len(script.called("Ticker")) == 1
