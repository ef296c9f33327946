"""What Kraken says in public, read: its own examples, and everything that is not one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kraken_world import BTC, PAIRS, book_frame
from tests.recorded import recorded
from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.kraken_spot.account import (
    decode_balances,
    decode_closed,
    decode_open,
    decode_queried,
    decode_token,
    decode_trades,
    fills_of,
    may_withdraw,
)
from trade_runtime.venues.kraken_spot.book import BookEvent
from trade_runtime.venues.kraken_spot.codec import Ack, Status, StreamDecoder, subscribe
from trade_runtime.venues.kraken_spot.executions import Executions
from trade_runtime.venues.kraken_spot.instruments import decode_pairs
from trade_runtime.venues.kraken_spot.ohlc import decode_ohlc, decode_time, minutes_for
from trade_runtime.venues.kraken_spot.polling import decode_tickers
from trade_runtime.venues.kraken_spot.polling import decode_trades as decode_public_trades
from trade_runtime.venues.kraken_spot.rest import decode_answer
from trade_runtime.venues.kraken_spot.times import ns_of, ns_of_secs, stamp_of
from trade_runtime.venues.wire.http import Answer

EXAMPLES = "kraken_spot/doc_examples/nautilus"
SYMBOLS = {"BTC/USD": BTC}
KRAKEN = VenueName("kraken")


def example(name: str) -> bytes:
    return recorded(f"{EXAMPLES}/{name}").read_bytes()


def result(name: str) -> msgspec.Raw:
    return decode_answer(Answer(200, {}, example(name)), name)


@pytest.mark.recorded
def test_a_ticker_is_a_quote() -> None:
    """With the exchange's own time."""
    assert StreamDecoder(SYMBOLS).decode(example("ws_ticker_snapshot.json"), 5) == [
        Quote(BTC, ns_of("2022-12-25T09:30:59.123456Z"), 105944.2, 105944.3, 2.5, 3.2)
    ]


@pytest.mark.recorded
def test_trades_are_told_with_the_side_that_took() -> None:
    """Each of a frame, in its order."""
    first, second = StreamDecoder(SYMBOLS).decode(example("ws_trade_update.json"), 5)
    assert isinstance(first, Trade)
    assert isinstance(second, Trade)
    assert (first.price, first.quantity, first.aggressor) == (105944.2, 0.00027625, Side.BUY)
    assert (second.trade_id, second.aggressor) == (10218209, Side.SELL)


@pytest.mark.recorded
def test_a_book_keeps_every_digit() -> None:
    """A quantity of 0.250 has three places."""
    (event,) = StreamDecoder(SYMBOLS).decode(example("ws_book_update.json"), 5)
    assert isinstance(event, BookEvent)
    assert event.bids == ((Decimal("105944.20"), Decimal("0.250")),)
    assert str(event.bids[0][1]) == "0.250"
    assert (event.checksum, event.snapshot) == (2114181697, False)


@pytest.mark.recorded
def test_answers_carry_their_request() -> None:
    """A confirmation, a pong, and a refusal."""
    decoder = StreamDecoder(SYMBOLS)
    (ack,) = decoder.decode(example("ws_subscribe_response.json"), 5)
    assert isinstance(ack, Ack)
    assert (ack.method, ack.channel, ack.symbol, ack.error) == (
        "subscribe",
        "ticker",
        "BTC/USD",
        "",
    )
    (pong,) = decoder.decode(example("ws_pong.json"), 5)
    assert isinstance(pong, Ack)
    assert (pong.method, pong.req_id) == ("pong", 42)
    (refused,) = decoder.decode(example("ws_add_order_response_failure.json"), 5)
    assert isinstance(refused, Ack)
    assert refused.error == "EOrder:Insufficient funds"


def test_what_is_unknown_is_counted() -> None:
    """Channels, symbols and fields of tomorrow break nothing."""
    decoder = StreamDecoder(SYMBOLS)
    assert decoder.decode('{"channel":"weather","data":[{"rain":true}]}', 5) == ()
    frame = '{"channel":"ticker","type":"update","data":[{"symbol":"X/Y","bid":1,"ask":2}]}'
    assert decoder.decode(frame, 5) == []
    one_sided = '{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1}]}'
    assert decoder.decode(one_sided, 5) == []
    assert decoder.ignored == 3
    assert decoder.decode('{"channel":"heartbeat","new":1}', 5) == ()
    status = '{"channel":"status","type":"update","data":[{"system":"maintenance"}]}'
    assert decoder.decode(status, 5) == [Status("maintenance")]


def trade_frame(**fields: str) -> str:
    """A frame of one trade, some of its fields replaced by JSON of the test's."""
    row = {
        "symbol": '"BTC/USD"',
        "side": '"buy"',
        "price": "1",
        "qty": "1",
        "trade_id": "1",
        "timestamp": '"2023-10-06T17:35:55Z"',
    } | fields
    inner = ",".join(f'"{name}":{value}' for name, value in row.items())
    return f'{{"channel":"trade","type":"update","data":[{{{inner}}}]}}'


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        b"\xff\xfe\x00",
        "[" * 100_000,
        "<html><body>502 Bad Gateway</body></html>",
        '{"channel":"book","type":"update","data":{}}',
        '{"channel":"book","type":"gossip","data":[]}',
        trade_frame(side='"up"'),
        trade_frame(price="-1"),
        trade_frame(price="1e999"),
        trade_frame(timestamp='"2023-13-46T17:35:55Z"'),
        trade_frame(trade_id='"one"'),
        book_frame("update", [("1e400000", "1")], [], 1),
        book_frame("update", [("1", "-0.5")], [], 1),
        book_frame("update", [("1", '"NaN"')], [], 1),
        '{"method":"subscribe","success":true,"result":{"channel":7}}',
    ],
)
def test_nonsense_is_a_venue_error(frame: str | bytes) -> None:
    """Nothing foreign leaks, and little of it is repeated."""
    with pytest.raises(VenueError) as caught:
        StreamDecoder(SYMBOLS).decode(frame, 5)
    assert len(str(caught.value)) < 700


def test_times_survive_the_way() -> None:
    """To the nanosecond in, to the millisecond out."""
    assert ns_of("1970-01-01T00:00:01.000000001Z") == 1_000_000_001
    assert ns_of("1970-01-01T02:00:01+02:00") == 1_000_000_000
    assert ns_of_secs(Decimal("1688585840.8921")) == 1_688_585_840_892_100_000
    assert stamp_of(1_688_585_840_892_100_000) == "2023-07-05T19:37:20.892Z"
    for bad in (
        "yesterday",
        "2023-10-06 17:35:55Z",
        "1969-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
    ):
        with pytest.raises(VenueError):
            ns_of(bad)


def test_what_is_asked_for() -> None:
    """The best bid and ask at each change; no old trades; books to a depth."""
    ticker = json.loads(subscribe("ticker", ["BTC/USD"], 1))
    assert ticker["params"]["event_trigger"] == "bbo"
    assert json.loads(subscribe("trade", ["BTC/USD"], 2))["params"]["snapshot"] is False
    assert json.loads(subscribe("book", ["BTC/USD"], 3, 25)) == {
        "method": "subscribe",
        "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 25, "snapshot": True},
        "req_id": 3,
    }


# --- REST


@pytest.mark.recorded
def test_pairs_go_by_all_their_names() -> None:
    """REST's, the WebSocket's, and the currencies'."""
    listing = decode_pairs(result("http_asset_pairs.json"), KRAKEN)
    pair = listing.by_symbol["BTC/USDT"]
    assert pair.instrument.id == InstrumentId("BTC/USDT.kraken")
    assert (pair.instrument.tick, pair.instrument.lot) == (Decimal("0.1"), Decimal("1E-8"))
    assert pair.instrument.min_quantity > 0
    assert pair.instrument.min_notional > 0
    assert listing.of_rest("XBTUSDT") is pair
    assert listing.currency("XXBT") == "BTC"
    assert listing.currency("XBT.F") == "BTC.F"
    assert listing.currency("KFEE") == "KFEE"


@pytest.mark.recorded
def test_orders_and_fills_of_the_examples() -> None:
    """Ids, types and numbers as Kraken's documents have them."""
    listing = decode_pairs(result("http_asset_pairs.json"), KRAKEN)
    limit, stop = decode_open(result("http_open_orders.json"), listing, "kraken")
    assert (limit.venue_order_id, limit.instrument) == ("O26VBY-ISGAE-JP5TLU", "BTC/USDT.kraken")
    assert (limit.price, limit.trigger_price) == (Decimal("29500.0"), None)
    assert (stop.type, stop.trigger_price, stop.price) == ("stop_market", Decimal("1800.0"), None)
    assert stop.client_order_id == "OYEQF4-FDE4C-NMUYUI"  # it has no id of ours
    done, *_ = decode_closed(result("http_closed_orders.json"), listing, "kraken")
    assert (done.status, done.filled) == ("filled", Decimal("0.5"))
    page = decode_trades(result("http_trades_history.json"))
    first, second = fills_of(page.trades, lambda _: None, listing, "kraken")
    assert (first.trade_id, first.maker, first.fee) == (
        "TCCCTY-WJ6EO-4FP4VZ",
        True,
        Decimal("23.60"),
    )
    assert (first.fee_currency, second.side) == ("USDT", Side.SELL)
    assert first.ts_ns == 1_688_585_840_892_100_000


def test_balances_are_of_currencies() -> None:
    """Free and locked, one number for each currency, whatever REST calls it."""
    listing = decode_pairs(json.dumps(PAIRS).encode(), KRAKEN)
    body = msgspec.Raw(b'{"XXBT":{"balance":"0.5","hold_trade":"0.1"},"ZUSD":{"balance":"7"}}')
    assert decode_balances(body, listing) == {"BTC": Decimal("0.5"), "USD": Decimal(7)}


def test_bars_that_have_ended() -> None:
    """Those without trades are left out, and the one that runs is too."""
    rows = [
        [t, "1", "3", "0.5", "2", "1.5", "10", n] for t, n in ((0, 4), (60, 0), (120, 2), (180, 1))
    ]
    body = msgspec.Raw(json.dumps({"XXBTZUSD": rows, "last": 120}).encode())
    bars = decode_ohlc(body, BTC, 1, (0, 180))
    assert [(bar.open_ns // 10**9, bar.trades) for bar in bars] == [(0, 4), (120, 2)]
    assert minutes_for(7200, 10) == 60
    for length_secs, count in ((59, 1), (60, 720), (0.5, 1)):
        with pytest.raises(VenueError):
            minutes_for(length_secs, count)


def test_a_key_that_may_withdraw_is_known() -> None:
    """Asking for the withdrawals of old is no such right."""
    rights = b'{"permissions":["query-funds","query-withdrawals"]}'
    assert not may_withdraw(msgspec.Raw(rights))
    assert may_withdraw(msgspec.Raw(b'{"permissions":["query-funds","withdraw-funds"]}'))


def test_no_secret_in_an_error() -> None:
    """A token that came malformed is not repeated."""
    with pytest.raises(VenueError) as caught:
        decode_token(msgspec.Raw(b'{"tokn":"s3cret"}'))
    assert "s3cret" not in str(caught.value)


# --- anything at all


def _seeds() -> list[bytes]:
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data" / EXAMPLES
    found = [path.read_bytes() for path in sorted(folder.glob("*.json"))] if folder.exists() else []
    row = (
        b'{"channel":"executions","type":"update","sequence":2,"data":[{"order_id":"O","exec_type":'
        b'"trade","exec_id":"T","last_qty":1,"last_price":2,"symbol":"BTC/USD","side":"buy",'
        b'"fees":[{"asset":"USD","qty":0.1}],"timestamp":"2023-10-06T17:35:55Z"}]}'
    )
    return [*found, row, json.dumps(PAIRS).encode()]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    seed = bytearray(draw(st.sampled_from(_seeds())))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(seed) - 1, 0)))
        way = draw(st.integers(0, 3))
        if way == 0:
            seed[at : at + 1] = draw(st.binary(max_size=4))
        elif way == 1:
            del seed[at : at + draw(st.integers(1, 40))]
        elif way == 2:
            seed[at:at] = draw(st.sampled_from([b"null", b"1e999", b'"x"', b"[", b"-", b"9" * 40]))
        else:
            seed[at:at] = seed[at : at + draw(st.integers(1, 60))]
    return bytes(seed)


@settings(max_examples=300)
@given(_damaged() | st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()))
def test_no_input_raises_anything_but_a_venue_error(body: bytes) -> None:
    """Whatever comes, wherever it comes."""
    listing = decode_pairs(json.dumps(PAIRS).encode(), KRAKEN)
    raw = msgspec.Raw(body)
    executions = Executions(lambda symbol: InstrumentId(f"{symbol}.kraken"), lambda: 0.0)
    readers: list[Callable[[], object]] = [
        lambda: StreamDecoder(SYMBOLS).decode(body, 1),
        lambda: executions.decode(raw),
        lambda: decode_answer(Answer(200, {}, body), "X"),
        lambda: decode_pairs(raw, KRAKEN),
        lambda: decode_open(raw, listing, "kraken"),
        lambda: decode_closed(raw, listing, "kraken"),
        lambda: decode_queried(raw, listing, "kraken"),
        lambda: fills_of(decode_trades(raw).trades, lambda _: None, listing, "kraken"),
        lambda: decode_balances(raw, listing),
        lambda: decode_token(raw),
        lambda: may_withdraw(raw),
        lambda: list(decode_tickers(raw, {"XXBTZUSD": BTC}, 1)),
        lambda: decode_public_trades(raw, BTC),
        lambda: decode_ohlc(raw, BTC, 1, (0, 60)),
        lambda: decode_time(raw),
    ]
    for channel in ("ticker", "trade", "book", "status", "executions"):
        framed = msgspec.json.encode({"channel": channel, "type": "update", "data": raw})
        readers.append(partial(StreamDecoder(SYMBOLS).decode, framed, 1))
    for read in readers:
        with suppress(VenueError):
            read()
