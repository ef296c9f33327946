"""Market data of Binance USD-M Futures: the codec, the book's rule, and both on real recordings."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recorded import recorded
from tests.test_binance_book_sync import ids
from trade_runtime.errors import VenueError
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.binance.book_sync import (
    BookLost,
    BookSync,
    DepthEvent,
    DepthSnapshot,
    Output,
)
from trade_runtime.venues.binance.streams import Decode, StreamDecoder, stream_names
from trade_runtime.venues.binance_usdm.codec import (
    MARKET_STREAMS,
    PUBLIC_STREAMS,
    decode_agg_trades,
    decode_depth,
    decode_snapshot,
    decode_tickers,
)
from trade_runtime.venues.binance_usdm.instruments import decode_instruments

ID = InstrumentId("ETHUSDT.usdm")
ALL: dict[str, Decode] = {**PUBLIC_STREAMS, **MARKET_STREAMS, "depth@0ms": decode_depth}
"""What is subscribed, and the fastest changes, which the recordings have."""

FAST = "binance_usdm/recorded/hftbacktest_ethusdt_20240808.jsonl.gz"
FOUR = "binance_usdm/recorded/cryptofeed_2021-07-22_4symbols.ws.log"
LEVEL = ((Decimal("1.5"), Decimal(2)),)


# --- the rule -------------------------------------------------------------------------------


def event(first: int, last: int, previous: int) -> DepthEvent:
    return DepthEvent(ID, last, first, last, LEVEL, (), previous)


def snapshot(last: int) -> DepthSnapshot:
    return DepthSnapshot(last, LEVEL, ())


def test_changes_follow_each_other_by_the_id_of_the_one_before() -> None:
    """Ids are shared by all symbols, so they leap; the first holds the snapshot's id."""
    sync = BookSync(ID)
    for one in (event(10, 14, 5), event(20, 27, 14), event(40, 41, 27)):
        assert sync.on_event(one) == []
    assert ids(sync.on_snapshot(snapshot(22), 0)) == ["S22", 27, 41]
    assert ids(sync.on_event(event(90, 95, 41))) == [95]
    assert sync.resyncs == 0


def test_a_first_change_that_names_the_snapshot_is_taken() -> None:
    """It begins after the snapshot's id, and says itself that nothing lies between."""
    sync = BookSync(ID)
    sync.on_event(event(30, 35, 22))
    assert ids(sync.on_snapshot(snapshot(22), 0)) == ["S22", 35]


def test_a_snapshot_that_no_change_reaches_is_stale() -> None:
    """What lies between is not known to be nothing: another is fetched."""
    sync = BookSync(ID)
    sync.on_event(event(30, 35, 25))
    for stale in (20, 24, 26, 29):
        assert sync.on_snapshot(snapshot(stale), 0) == []
    assert sync.wants_snapshot
    assert sync.resyncs == 0
    assert ids(sync.on_snapshot(snapshot(25), 0)) == ["S25", 35]


def test_a_change_that_names_another_is_a_gap() -> None:
    """Also where its ids would reach back to the book: after the first, only the name counts."""
    sync = BookSync(ID)
    sync.on_snapshot(snapshot(10), 0)
    assert ids(sync.on_event(event(8, 12, 7))) == [12]
    assert ids(sync.on_event(event(11, 20, 9))) == ["lost"]
    assert sync.on_event(event(25, 30, 20)) == []
    assert ids(sync.on_snapshot(snapshot(20), 0)) == ["S20", 30]


def test_a_change_told_twice_is_told_on_once() -> None:
    """The book holds it already."""
    sync = BookSync(ID)
    sync.on_snapshot(snapshot(10), 0)
    assert ids(sync.on_event(event(8, 12, 7))) == [12]
    assert sync.on_event(event(8, 12, 7)) == []
    assert ids(sync.on_event(event(20, 22, 12))) == [22]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=2, max_size=30),
    st.data(),
)
def test_a_book_that_is_given_out_has_no_gap(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Lines are left out, doubled and swapped: what is told is a chain, or a loss."""
    events, last = [], 10
    for gap, width in steps:
        events.append(event(last + gap, last + gap + width, last))
        last += gap + width
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(events) - 1))
        if data.draw(st.booleans()) and len(events) > 1:
            del events[at]
        else:
            events.insert(data.draw(st.integers(0, len(events))), events[at])
    sync, told = BookSync(ID), list[Output]()
    for one in events:
        told += sync.on_event(one)
        if sync.wants_snapshot and data.draw(st.booleans()):
            told += sync.on_snapshot(snapshot(data.draw(st.integers(5, last))), 0)
    previous = {one.last_id: one for one in events}
    book, fresh = None, False
    for output in told:
        if isinstance(output, BookLost):
            assert book is not None
            book = None
        elif output.snapshot:
            assert book is None
            book, fresh = output.update_id, True
        else:
            assert book is not None
            one = previous[output.update_id]
            assert one.previous_id == book or (fresh and one.first_id <= book <= one.last_id)
            book, fresh = output.update_id, False


# --- the codec ------------------------------------------------------------------------------


def decoder() -> StreamDecoder:
    return StreamDecoder(ALL, {"ETHUSDT": ID})


def frame(stream: str, data: dict[str, object]) -> str:
    return json.dumps({"stream": f"ethusdt@{stream}", "data": data})


DEPTH = {"e": "depthUpdate", "E": 6, "T": 5, "s": "ETHUSDT", "U": 10, "u": 12, "pu": 8}


def test_each_route_has_its_streams() -> None:
    """A stream on the wrong one stays silent."""
    symbols = {"ETHUSDT": ID}
    assert stream_names(PUBLIC_STREAMS, symbols) == ["ethusdt@bookTicker", "ethusdt@depth@100ms"]
    assert stream_names(MARKET_STREAMS, symbols) == ["ethusdt@aggTrade"]


def test_a_quote_carries_the_venues_time() -> None:
    """Futures tell it, Spot does not."""
    data = {"e": "bookTicker", "u": 7, "s": "ETHUSDT", "b": "1.5", "B": "2", "a": "1.6", "A": "3"}
    told = decoder().decode(frame("bookTicker", {**data, "T": 5, "E": 6}), 99)
    assert told == Quote(ID, 5_000_000, 1.5, 1.6, 2.0, 3.0, 7)
    assert decoder().decode(frame("bookTicker", data), 99) == Quote(ID, 99, 1.5, 1.6, 2.0, 3.0, 7)


def test_an_aggregate_trade_is_a_trade() -> None:
    """Its id is that of the aggregate, as the poll tells it too."""
    data = {"a": 26129, "p": "0.01", "q": "4.70443515", "f": 27781, "l": 27781, "T": 5, "m": True}
    told = Trade(ID, 5_000_000, 0.01, 4.70443515, Side.SELL, 26129)
    assert decoder().decode(frame("aggTrade", {"e": "aggTrade", **data}), 0) == told
    assert decode_agg_trades(json.dumps([data]).encode(), ID) == [told]


def test_the_smallest_quantities_are_exact() -> None:
    """0.00000001 is what it says, in a change and in a snapshot."""
    levels = {"b": [["0.00000001", "0.00000001"]], "a": [["1", "0"]]}
    told = decoder().decode(frame("depth@100ms", {**DEPTH, **levels}), 0)
    assert isinstance(told, DepthEvent)
    assert told.bids == ((Decimal("0.00000001"), Decimal("0.00000001")),)
    body = b'{"lastUpdateId":3,"E":1,"T":1,"bids":[["0.00000001","0.00000001"]],"asks":[]}'
    assert decode_snapshot(body).bids == told.bids


@pytest.mark.parametrize(
    "wrong",
    [
        {"U": 13},
        {"pu": 12},
        {"pu": None},
        {"u": "12"},
        {"b": [["-1", "1"]]},
        {"b": [["NaN", "1"]]},
        {"b": [["1"]]},
        {"a": {}},
    ],
)
def test_a_change_that_cannot_be_is_an_error(wrong: dict[str, object]) -> None:
    """Without the id of the one before, above all: the rule of Spot would be taken for ours."""
    with pytest.raises(VenueError):
        decoder().decode(frame("depth@100ms", {**DEPTH, "b": [], "a": [], **wrong}), 0)
    without = {key: value for key, value in DEPTH.items() if key != "pu"}
    with pytest.raises(VenueError, match="pu"):
        decoder().decode(frame("depth@100ms", {**without, "b": [], "a": []}), 0)


def test_polled_quotes_are_those_that_are_wanted() -> None:
    """The answer tells every symbol there is."""
    row = {"bidPrice": "4.0", "bidQty": "431", "askPrice": "4.1", "askQty": "9", "time": 5}
    body = json.dumps([{"symbol": "LTCUSDT", **row}, {"symbol": "ETHUSDT", **row}]).encode()
    assert list(decode_tickers(body, {"ETHUSDT": ID}, 99)) == [
        Quote(ID, 5_000_000, 4.0, 4.1, 431.0, 9.0)
    ]


def contract(**changed: object) -> bytes:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "maxPrice": "4529764.00"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
        {"filterType": "TO_COME", "anything": {}},
    ]
    symbol = {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT"}
    other = {"symbol": "???", "filters": "not what we read"}
    return json.dumps({"symbols": [other, {**symbol, "filters": filters, **changed}]}).encode()


def test_a_contract_is_linear_and_has_its_filters() -> None:
    """Others in the answer are not even looked at."""
    (found,) = decode_instruments(contract(), {"BTCUSDT", "NONE"}, VenueName("usdm")).values()
    assert (found.id, found.kind, found.quote) == ("BTCUSDT.usdm", "linear", "USDT")
    numbers = (found.tick, found.lot, found.min_quantity, found.max_quantity, found.min_notional)
    assert [str(one) for one in numbers] == ["0.1", "0.001", "0.001", "1000", "100"]


def test_a_contract_with_its_margin_in_another_currency_is_refused() -> None:
    """Its profit would be booked in the wrong currency."""
    with pytest.raises(VenueError, match="margin"):
        decode_instruments(contract(marginAsset="BNB"), {"BTCUSDT"}, VenueName("usdm"))


def test_numbers_that_market_data_could_not_carry_are_refused_by_name() -> None:
    """More digits than a float holds."""
    filters = [{"filterType": "PRICE_FILTER", "tickSize": "0.00000001", "maxPrice": "1e9"}]
    with pytest.raises(VenueError, match="BTCUSDT"):
        decode_instruments(contract(filters=filters), {"BTCUSDT"}, VenueName("usdm"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(ALL)),
    st.dictionaries(
        st.sampled_from(["u", "U", "pu", "b", "a", "B", "A", "T", "E", "p", "q", "m", "e"]),
        json_values | st.sampled_from(["1", "0.1", "1e999", "NaN", "-1"]),
    )
    | json_values,
)
def test_no_frame_does_more_than_raise_a_venue_error(stream: str, data: object) -> None:
    """Whatever comes, nothing foreign leaks."""
    with contextlib.suppress(VenueError):
        decoder().decode(json.dumps({"stream": f"ethusdt@{stream}", "data": data}), 0)


@given(st.binary(max_size=200) | json_values.map(lambda value: msgspec.json.encode(str(value))))
def test_no_answer_does_more_than_raise_a_venue_error(body: bytes) -> None:
    """Whatever comes, nothing foreign leaks."""
    for decode in (
        lambda: decode_snapshot(body),
        lambda: list(decode_tickers(body, {"ETHUSDT": ID}, 0)),
        lambda: decode_agg_trades(body, ID),
        lambda: decode_instruments(body, {"ETHUSDT"}, VenueName("usdm")),
    ):
        with contextlib.suppress(VenueError):
            decode()


# --- recordings -----------------------------------------------------------------------------

Line = tuple[str, bytes]
"""A symbol and a snapshot of its book, or nothing and a frame of the stream."""


def fast() -> list[Line]:
    lines = gzip.decompress(recorded(FAST).read_bytes()).splitlines()
    bodies = (line.partition(b" ")[2] for line in lines)
    return [("ETHUSDT" if body.startswith(b'{"lastUpdateId"') else "", body) for body in bodies]


def four() -> list[Line]:
    """Merge the answers of REST into the stream where they came."""
    ws = recorded(FOUR)
    answers: list[tuple[float, Line]] = []
    for line in Path(str(ws).replace(".ws.", ".http.")).read_text().splitlines():
        head, arrow, rest = line.partition(" -> ")
        if arrow:
            at, _, body = rest.partition(": ")
            symbol = head.partition("symbol=")[2].partition("&")[0]
            answers.append((float(at), (symbol, body.encode())))
    found = list(answers)
    for line in ws.read_text().splitlines():
        at, colon, body = line.partition(": ")
        if colon and body.startswith('{"stream"'):
            found.append((float(at), ("", body.encode())))
    return [line for _, line in sorted(found, key=lambda one: one[0])]


class Reader:
    """Reads a recording as a session would, and looks at every book it is told."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.named = {symbol: InstrumentId(f"{symbol}.usdm") for symbol in symbols}
        self.syncs = {one: BookSync(one) for one in self.named.values()}
        self.books = {one: OrderBook(one) for one in self.named.values()}
        self.applied = self.compared = self.agreed = self.lost = self.events = self.bridges = 0
        self._tops: dict[tuple[InstrumentId, int], list[float]] = {}
        self._quotes: dict[tuple[InstrumentId, int], list[float]] = {}

    def read(self, lines: Iterable[Line]) -> None:
        streams = StreamDecoder(ALL, self.named)
        for symbol, body in lines:
            if symbol:
                sync = self.syncs[self.named[symbol]]
                self.told(sync.on_snapshot(decode_snapshot(body), 0))
                self.bridges += not sync.wants_snapshot
                continue
            one = streams.decode(body, 0)
            if isinstance(one, DepthEvent):
                self.events += 1
                self.told(self.syncs[one.instrument].on_event(one))
            elif isinstance(one, Quote):
                top = [one.bid, one.bid_size, one.ask, one.ask_size]
                self._quotes[one.instrument, one.update_id] = top
                self.compare(one.instrument, one.update_id)

    def told(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, BookLost):
                self.lost += 1
                self.books[output.instrument].invalidate()
                continue
            self.applied += not output.snapshot
            book = self.books[output.instrument]
            assert book.apply(output), "a crossed book was told"
            bid, ask = book.best_bid, book.best_ask
            assert bid is not None
            assert ask is not None
            where = output.instrument, output.update_id
            self._tops[where] = [float(number) for number in (*bid, *ask)]
            self.compare(*where)

    def compare(self, instrument: InstrumentId, update_id: int) -> None:
        top = self._tops.get((instrument, update_id))
        quote = self._quotes.get((instrument, update_id))
        if top is not None and quote is not None:
            self.compared += 1
            self.agreed += top == quote


@pytest.mark.recorded
def test_the_rule_holds_on_six_minutes_of_one_symbol() -> None:
    """No gap, and where a quote has the id of a change, the book's top is that quote."""
    reader = Reader(["ETHUSDT"])
    reader.read(fast())
    assert (reader.events, reader.lost, reader.bridges) == (6586, 0, 1)
    assert reader.applied >= 6580
    assert reader.agreed == reader.compared > 500


@pytest.mark.recorded
def test_the_rule_holds_on_four_symbols_at_once() -> None:
    """Each of the four snapshots is reached by the changes that waited for it."""
    reader = Reader(["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"])
    reader.read(four())
    assert (reader.events, reader.lost, reader.bridges) == (764, 0, 4)
    assert reader.applied > 700
    assert reader.agreed == reader.compared


def depth_lines(lines: list[Line]) -> list[int]:
    return [at for at, (_, body) in enumerate(lines) if b"depthUpdate" in body[:80]]


def mutations(lines: list[Line]) -> Iterator[tuple[str, list[Line]]]:
    changes = depth_lines(lines)
    snapshot_at = next(at for at, (symbol, _) in enumerate(lines) if symbol)
    for at in (changes[300], changes[4000]):
        yield "missing", [*lines[:at], *lines[at + 1 :]]
        yield "doubled", [*lines[: at + 1], *lines[at:]]
    symbol, body = lines[snapshot_at]
    stale = json.loads(body)
    stale["lastUpdateId"] -= 100_000
    yield (
        "stale",
        [
            *lines[:snapshot_at],
            (symbol, json.dumps(stale).encode()),
            *lines[snapshot_at:],
        ],
    )


@pytest.mark.recorded
def test_each_mutation_is_caught_before_a_strategy_sees_the_book() -> None:
    """A missing line is one loss, a doubled one and a stale snapshot none; no book is wrong."""
    for name, lines in mutations(fast()):
        reader = Reader(["ETHUSDT"])
        reader.read(lines)
        assert reader.lost == (name == "missing"), name
        assert reader.agreed == reader.compared, name
        assert reader.bridges == 1, name


@pytest.mark.recorded
def test_a_first_change_that_names_the_snapshot_is_taken_on_a_recording_too() -> None:
    """The snapshot is moved onto the end of a change: the next names it, and begins after it."""
    lines = fast()
    changes = depth_lines(lines)
    snapshot_at = next(at for at, (symbol, _) in enumerate(lines) if symbol)
    last = max(at for at in changes if at < snapshot_at)
    end = json.loads(lines[last][1])["data"]["u"]
    body = json.loads(lines[snapshot_at][1])
    body["lastUpdateId"] = end
    lines[snapshot_at] = ("ETHUSDT", json.dumps(body).encode())
    reader = Reader(["ETHUSDT"])
    reader.read(lines[: changes[changes.index(last) + 500]])
    assert (reader.lost, reader.bridges) == (0, 1)
    assert reader.applied > 400


@pytest.mark.recorded
def test_the_venues_own_examples_are_read() -> None:
    """Of exchangeInfo, of the streams and of the poll."""
    folder = "binance_usdm/doc_examples/nautilus_integration"
    body = recorded(f"{folder}/http_futures_market_exchange_info.json").read_bytes()
    found = decode_instruments(body, {"BTCUSDT"}, VenueName("usdm"))["BTCUSDT"]
    assert [str(one) for one in (found.tick, found.lot, found.min_notional)] == [
        "0.1",
        "0.001",
        "10",
    ]
    body = recorded(f"{folder}/http_futures_market_agg_trades.json").read_bytes()
    assert decode_agg_trades(body, ID)
