"""The codec: Binance's frames and answers in, model objects out, and nothing else ever."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recorded import recorded
from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId, VenueName
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.binance.answers import decode_error
from trade_runtime.venues.binance.book_sync import DepthEvent
from trade_runtime.venues.binance.streams import StreamDecoder, stream_names
from trade_runtime.venues.binance_spot.codec import (
    STREAMS,
    decode_snapshot,
    decode_tickers,
    decode_trades,
)
from trade_runtime.venues.binance_spot.instruments import decode_instruments

ID = InstrumentId("ETHUSDT.paper")
SYMBOLS = {"ETHUSDT": ID}
TOP = '{"u":7,"s":"ETHUSDT","b":"2683.80000000","B":"3.02920000","a":"2683.81","A":"31.4395"}'
LONGEST_MESSAGE = 600


def decoder() -> StreamDecoder:
    return StreamDecoder(STREAMS, SYMBOLS)


def on(stream: str, data: str) -> str:
    return f'{{"stream":"ethusdt@{stream}","data":{data}}}'


def test_three_streams_are_asked_for_each_symbol() -> None:
    """The stream names are in lower case, as Binance wants them."""
    assert stream_names(STREAMS, SYMBOLS) == [
        "ethusdt@bookTicker",
        "ethusdt@trade",
        "ethusdt@depth@100ms",
    ]


def test_a_book_ticker_becomes_a_quote_with_our_time() -> None:
    """It carries no time of its own; its numbers come through exactly."""
    assert decoder().decode(on("bookTicker", TOP), 42) == Quote(
        ID, 42, 2683.8, 2683.81, 3.0292, 31.4395, 7
    )


@pytest.mark.parametrize(("buyer_is_maker", "side"), [("true", Side.SELL), ("false", Side.BUY)])
def test_a_trade_tells_who_took_liquidity(buyer_is_maker: str, side: Side) -> None:
    """Where the buyer was the maker, the seller was the aggressor."""
    data = (
        '{"e":"trade","E":1723161255612,"s":"ETHUSDT","t":1520538925,"p":"2683.80","q":"0.002",'
        f'"T":1723161255611,"m":{buyer_is_maker},"M":true}}'
    )
    assert decoder().decode(on("trade", data), 0) == Trade(
        ID, 1_723_161_255_611_000_000, 2683.8, 0.002, side, 1520538925
    )


def test_a_depth_update_becomes_exact_levels() -> None:
    """Levels are Decimal, digit by digit; fields that we do not know are ignored."""
    data = (
        '{"e":"depthUpdate","E":5,"s":"ETHUSDT","U":1,"u":3,"b":[["0.10","1.30"]],"a":[],"new":1}'
    )
    event = decoder().decode(on("depth@100ms", data), 0)
    assert event == DepthEvent(ID, 5_000_000, 1, 3, ((Decimal("0.10"), Decimal("1.30")),), ())


@pytest.mark.parametrize(
    "frame",
    [
        on("kline_1m", '{"e":"kline","k":{}}'),
        '{"stream":"btcusdt@trade","data":{"e":"trade"}}',
        '{"result":null,"id":1}',
        on("bookTicker", '{"u":7,"b":"0.00000000","B":"0.0","a":"2683.81","A":"1"}'),
    ],
)
def test_what_is_of_no_use_is_counted_and_passed_over(frame: str) -> None:
    """Streams we did not ask for, answers to requests, a quote whose one side is empty."""
    decoding = decoder()
    assert decoding.decode(frame, 0) is None
    assert decoding.ignored == 1


@pytest.mark.parametrize(
    "frame",
    ['{"e":"serverShutdown","E":1770123456789}', on("x", '{"e":"serverShutdown","E":1}')],
)
def test_a_server_that_shuts_down_ends_the_session(frame: str) -> None:
    """Who supervises it connects anew, ten minutes before Binance would cut the connection."""
    with pytest.raises(VenueError, match="shut this server down"):
        decoder().decode(frame, 0)


def test_a_refused_subscription_is_told() -> None:
    """Otherwise the stream would just stay silent."""
    with pytest.raises(VenueError, match=r"refused the subscription.*Invalid"):
        decoder().decode('{"error":{"code":2,"msg":"Invalid request"},"id":1}', 0)


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        ("", "frame"),
        ("[1]", "frame"),
        (b"\xff\xfe{}", "frame"),
        ('{"stream":5}', "frame"),
        (on("bookTicker", TOP)[:-20], "frame"),
        (on("bookTicker", "{}"), "bookTicker"),
        (on("bookTicker", TOP.replace("2683.81", "abc")), "bookTicker"),
        (on("bookTicker", TOP.replace("2683.81", "nan")), "bookTicker"),
        (on("bookTicker", TOP.replace("2683.81", "-1")), "bookTicker"),
        (on("trade", '{"t":1,"p":"inf","q":"1","T":1,"m":true}'), "trade"),
        (on("depth@100ms", '{"E":1,"U":5,"u":4,"b":[],"a":[]}'), "depthUpdate"),
        (on("depth@100ms", '{"E":1,"U":5,"u":6,"b":[["NaN","1"]],"a":[]}'), "depthUpdate"),
        (on("depth@100ms", '{"E":1,"U":5,"u":6,"b":[["1","-1"]],"a":[]}'), "depthUpdate"),
        (on("depth@100ms", '{"E":1,"U":5,"u":6,"b":[["1"]],"a":[]}'), "depthUpdate"),
        (on("trade", '{"t":"' + "9" * 100_000 + '"}'), "trade"),
    ],
)
def test_a_malformed_frame_is_named_and_cut_short(frame: str | bytes, names: str) -> None:
    """The error says what was malformed and never repeats a whole payload."""
    with pytest.raises(VenueError, match=names) as caught:
        decoder().decode(frame, 0)
    assert len(str(caught.value)) < LONGEST_MESSAGE


@given(st.binary() | st.text().map(lambda text: on("bookTicker", text).encode(errors="replace")))
def test_no_frame_raises_anything_but_a_venue_error(frame: bytes) -> None:
    """Whatever comes, no error of the JSON library leaks."""
    try:
        decoder().decode(frame, 0)
    except VenueError as error:
        assert len(str(error)) < LONGEST_MESSAGE  # noqa: PT017


def test_polled_quotes_are_those_of_our_symbols() -> None:
    """They have no update id; a symbol that we do not follow and a one-sided book are left out."""
    body = json.dumps(
        [
            {"symbol": s, "bidPrice": b, "bidQty": "1", "askPrice": "2.5", "askQty": "3"}
            for s, b in (("ETHUSDT", "2.0"), ("OTHER", "2.0"), ("ETHUSDT", "0.0"))
        ]
    ).encode()
    assert list(decode_tickers(body, SYMBOLS, 9)) == [Quote(ID, 9, 2.0, 2.5, 1.0, 3.0, 0)]


def test_polled_trades_come_oldest_first() -> None:
    """Whatever order the answer has."""
    body = json.dumps(
        [{"id": i, "price": "1.5", "qty": "2", "time": 3, "isBuyerMaker": i == 1} for i in (2, 1)]
    ).encode()
    assert decode_trades(body, ID) == [
        Trade(ID, 3_000_000, 1.5, 2.0, Side.SELL, 1),
        Trade(ID, 3_000_000, 1.5, 2.0, Side.BUY, 2),
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"lastUpdateId":1,"bids":[],"asks":[[1]]}']
)
def test_a_malformed_snapshot_is_named(body: bytes) -> None:
    """So that a proxy's error page is not taken for a book."""
    with pytest.raises(VenueError, match="depth snapshot"):
        decode_snapshot(body)


def test_an_error_of_binance_is_read_where_there_is_one() -> None:
    """And only there: a proxy speaks no JSON."""
    assert decode_error(b'{"code":-1121,"msg":"Invalid symbol."}') == (-1121, "Invalid symbol.")
    assert decode_error(b"<html>Bad gateway</html>") is None


def _info(*filters: dict[str, str]) -> bytes:
    symbol = {"symbol": "ETHUSDT", "baseAsset": "ETH", "quoteAsset": "USDT", "filters": filters}
    return json.dumps({"symbols": [symbol]}).encode()


def test_an_instrument_that_a_float_could_not_carry_is_refused_by_name() -> None:
    """Quotes would lose digits without anyone noticing."""
    fine = {"filterType": "PRICE_FILTER", "tickSize": "0.00000001", "maxPrice": "92233720368"}
    with pytest.raises(VenueError, match=r"ETHUSDT cannot be used.*15 digits"):
        decode_instruments(_info(fine), VenueName("b"))


def test_filters_that_are_off_leave_the_smallest_step() -> None:
    """Binance counts in 10^-8 where a filter names no step; 0 as a bound means none."""
    off = {"filterType": "LOT_SIZE", "stepSize": "0.00000000", "maxQty": "0", "minQty": "0"}
    found = decode_instruments(_info(off), VenueName("b"))["ETHUSDT"]
    assert (found.tick, found.lot) == (Decimal("1E-8"), Decimal("1E-8"))
    assert found.max_price is None
    assert found.max_quantity is None
    assert not found.min_notional


@pytest.mark.recorded
def test_the_venues_own_example_of_exchange_info() -> None:
    """Numbers are normalised: a tick of 0.01000000 is 0.01."""
    folder = "binance_spot/doc_examples/nautilus_integration"
    body = recorded(f"{folder}/http_spot_market_exchange_info.json").read_bytes()
    found = decode_instruments(body, VenueName("binance"))
    assert sorted(found) == ["BTCUSDT", "ETHUSDT"]
    eth = found["ETHUSDT"]
    assert (eth.id, eth.base, eth.quote) == ("ETHUSDT.binance", "ETH", "USDT")
    assert [str(eth.tick), str(eth.lot), str(eth.min_notional)] == ["0.01", "0.0001", "10"]
    assert [str(eth.max_price), str(eth.max_quantity)] == ["1000000", "9000"]
