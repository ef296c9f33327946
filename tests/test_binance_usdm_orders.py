"""Orders of Binance USD-M Futures on the wire: what is sent, what is read, whose a fill is."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.recorded import recorded
from tests.test_binance_usdm_market import json_values
from trade_runtime.errors import ConfigError, VenueError, VenueRefused
from trade_runtime.model.events import (
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    StrategyName,
    TradeId,
    VenueName,
    VenueOrderId,
)
from trade_runtime.model.orders import (
    OrderSpec,
    OrderType,
    ReportStatus,
    Side,
    TimeInForce,
)
from trade_runtime.model.secret import Secret
from trade_runtime.venues.binance_usdm import BinanceUsdmSettings, orders
from trade_runtime.venues.binance_usdm.events import MAX_STRANGERS, PrivateDecoder
from trade_runtime.venues.binance_usdm.twins import MAX_TWINS, Twins

ID = InstrumentId("BTCUSDT.usdm")
NAME = ClientOrderId("abc123-1")
VENUE = VenueName("usdm")
DOCS = "binance_usdm/doc_examples"


def spec(kind: OrderType = OrderType.LIMIT, **changed: Any) -> OrderSpec:
    order = OrderSpec(
        NAME, StrategyName("s"), ID, Side.BUY, kind, Decimal("0.0100"), price=Decimal("50000.10")
    )
    if not kind.has_price:
        order = replace(order, price=None)
    if kind.waits:
        order = replace(order, trigger_price=Decimal(51000))
    return replace(order, **changed)


def private(twins: Twins | None = None) -> PrivateDecoder:
    return PrivateDecoder(
        VENUE, twins or Twins(), lambda symbol: Currency("USDT"), structlog.get_logger("test")
    )


# --- what is sent ---------------------------------------------------------------------------


def test_ordinary_orders_and_conditional_ones_go_to_services_of_their_own() -> None:
    """Each with the names that its service has for the same things."""
    assert orders.place(spec(), "contract") == (
        "/fapi/v1/order",
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "newClientOrderId": NAME,
            "newOrderRespType": "RESULT",
            "quantity": "0.01",
            "price": "50000.1",
            "timeInForce": "GTC",
        },
    )
    stop = spec(OrderType.STOP_MARKET, side=Side.SELL, reduce_only=True, protective=True)
    assert orders.place(stop, "mark") == (
        "/fapi/v1/algoOrder",
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "algoType": "CONDITIONAL",
            "type": "STOP_MARKET",
            "triggerPrice": "51000",
            "workingType": "MARK_PRICE",
            "clientAlgoId": NAME,
            "quantity": "0.01",
            "reduceOnly": "true",
        },
    )


@pytest.mark.parametrize(
    ("kind", "word", "path"),
    [
        (OrderType.MARKET, "MARKET", "/fapi/v1/order"),
        (OrderType.STOP_LIMIT, "STOP", "/fapi/v1/algoOrder"),
        (OrderType.TAKE_PROFIT, "TAKE_PROFIT_MARKET", "/fapi/v1/algoOrder"),
        (OrderType.TAKE_PROFIT_LIMIT, "TAKE_PROFIT", "/fapi/v1/algoOrder"),
    ],
)
def test_each_type_has_its_word(kind: OrderType, word: str, path: str) -> None:
    """Those with a limit price carry it, and how long they rest; the others neither."""
    where, params = orders.place(spec(kind), "contract")
    assert (where, params["type"]) == (path, word)
    assert ("price" in params, "timeInForce" in params) == (kind.has_price, kind.has_price)


def test_how_long_an_order_rests() -> None:
    """Post-only is a time in force of its own; a date is whole seconds, and never a later one."""
    rests = [
        orders.place(spec(**changed), "contract")[1]
        for changed in (
            {"tif": TimeInForce.IOC},
            {"tif": TimeInForce.FOK},
            {"post_only": True},
            {"tif": TimeInForce.GTD, "expire_ns": 1_700_000_000_999_999_999},
        )
    ]
    assert [one["timeInForce"] for one in rests] == ["IOC", "FOK", "GTX", "GTD"]
    assert rests[3]["goodTillDate"] == "1700000000000"


def test_what_binance_does_not_have_is_refused_before_anything_is_sent() -> None:
    """Post-only with a date, and a stop that trails by an amount."""
    with pytest.raises(VenueRefused, match="post-only"):
        orders.place(spec(post_only=True, tif=TimeInForce.GTD, expire_ns=5), "contract")
    with pytest.raises(VenueRefused, match="trailing"):
        orders.place(spec(OrderType.TRAILING_STOP, trail=Decimal(5)), "contract")


# --- what is read ---------------------------------------------------------------------------


def answer(**changed: object) -> bytes:
    return json.dumps(
        {
            "orderId": 22542179,
            "symbol": "BTCUSDT",
            "status": "NEW",
            "clientOrderId": NAME,
            "price": "50000.10",
            "origQty": "0.010",
            "executedQty": "0",
            "cumQty": "0",
            "timeInForce": "GTC",
            "type": "LIMIT",
            "side": "BUY",
            "positionSide": "BOTH",
            "updateTime": 1566818724722,
            **changed,
        }
    ).encode()


NS = 1566818724722 * 1_000_000
ACCEPTED = OrderAccepted(NAME, VenueOrderId("22542179"), NS)


def test_an_answer_to_a_new_order_without_average_price_or_quote_volume() -> None:
    """Since July 2026 it has neither. One that ended at once is accepted and closed."""
    assert orders.placed(NAME, answer()) == [ACCEPTED]
    assert orders.placed(NAME, answer(status="FILLED", executedQty="0.010")) == [
        ACCEPTED,
        OrderClosed(NAME, ReportStatus.FILLED, Decimal("0.010"), NS),
    ]
    assert orders.placed(NAME, answer(status="EXPIRED", executedQty="0.004")) == [
        ACCEPTED,
        OrderClosed(NAME, ReportStatus.EXPIRED, Decimal("0.004"), NS),
    ]
    (rejected,) = orders.placed(NAME, answer(status="REJECTED"))
    assert isinstance(rejected, OrderRejected)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>maintenance</html>",
        b"",
        b"[]",
        b"{}",
        answer(status="A_NEW_ONE"),
        answer(clientOrderId="another"),
        answer(executedQty="NaN", status="FILLED"),
        answer(executedQty="1e99999", status="FILLED"),
    ],
)
def test_an_answer_that_makes_no_sense_leaves_the_outcome_open(body: bytes) -> None:
    """It is no refusal: the order may exist."""
    with pytest.raises(VenueError) as caught:
        orders.placed(NAME, body)
    assert not isinstance(caught.value, VenueRefused)


def test_an_order_of_which_a_conditional_one_became_is_told_by_our_name() -> None:
    """Whatever Binance calls it."""
    twins = Twins()
    twins.learn(22542179, "stop-1")
    raw = orders.order.decode(answer(clientOrderId="x", type="MARKET", origType="STOP_MARKET"))
    report = orders.report(raw, twins, VENUE)
    assert (report.client_order_id, report.type) == ("stop-1", OrderType.STOP_MARKET)


def algo(**changed: object) -> orders.Algo:
    raw = {
        "algoId": 2146760,
        "clientAlgoId": NAME,
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.010",
        "algoStatus": "NEW",
        "actualOrderId": "",
        "actualQty": "0.00000",
        "triggerPrice": "49000.0",
        "price": "0.0",
    }
    return orders.algo.decode(json.dumps({**raw, **changed}))


@pytest.mark.parametrize(
    ("word", "executed", "status"),
    [
        ("NEW", "0", ReportStatus.OPEN),
        ("TRIGGERING", "0", ReportStatus.OPEN),
        ("TRIGGERED", "0", ReportStatus.OPEN),
        ("CANCELED", "0", ReportStatus.CANCELLED),
        ("EXPIRED", "0", ReportStatus.EXPIRED),
        ("REJECTED", "0", ReportStatus.EXPIRED),
        ("FINISHED", "0.010", ReportStatus.FILLED),
        ("FINISHED", "0.004", ReportStatus.CANCELLED),
    ],
)
def test_a_conditional_order_stands_where_its_word_says(
    word: str, executed: str, status: ReportStatus
) -> None:
    """A finished one was filled as far as it says."""
    report = orders.algo_report(algo(algoStatus=word, actualQty=executed), None, VENUE)
    assert (report.status, report.filled) == (status, Decimal(executed))
    assert (report.trigger_price, report.price) == (Decimal("49000.0"), None)


def test_a_conditional_order_that_triggered_stands_where_its_second_order_does() -> None:
    """Its name is the first one's, its fills are the second one's."""
    actual = orders.order.decode(answer(status="PARTIALLY_FILLED", executedQty="0.003"))
    raw = algo(algoStatus="TRIGGERED", actualOrderId="22542179")
    report = orders.algo_report(raw, actual, VENUE)
    assert (report.client_order_id, report.venue_order_id) == (NAME, "22542179")
    assert (report.status, report.filled) == (ReportStatus.OPEN, Decimal("0.003"))


def test_twins_are_bounded() -> None:
    """The oldest is forgotten, on both sides."""
    twins = Twins()
    for number in range(MAX_TWINS + 1):
        assert twins.learn(number + 1, f"n{number}")
    assert not twins.knows(1)
    assert twins.actual_of(ClientOrderId("n0")) is None
    assert twins.name_of(MAX_TWINS + 1, "told") == f"n{MAX_TWINS}"
    assert not twins.learn(2, "n1")


# --- the private stream ---------------------------------------------------------------------


def update(**changed: object) -> str:
    order = {
        "s": "BTCUSDT",
        "c": NAME,
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.010",
        "p": "50000.10",
        "x": "NEW",
        "X": "NEW",
        "i": 22542179,
        "l": "0",
        "z": "0",
        "L": "0",
        "T": 1566818724722,
        "t": 0,
        "m": False,
    }
    return json.dumps({"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": {**order, **changed}})


TRADE = {"x": "TRADE", "l": "0.004", "L": "50000.1", "t": 7, "N": "BNB", "n": "0.01", "m": True}


def fill(name: str = NAME, **changed: Any) -> Fill:
    one = Fill(
        ClientOrderId(name),
        ID,
        TradeId("7"),
        Side.BUY,
        Decimal("0.004"),
        Decimal("50000.1"),
        Decimal("0.01"),
        Currency("BNB"),
        maker=True,
        ts_ns=NS,
    )
    return replace(one, **changed)


def test_what_the_stream_tells_of_an_order() -> None:
    """Accepted, filled in part and whole, changed, cancelled, expired."""
    tell = private().decode
    assert tell(update()) == [ACCEPTED]
    assert tell(update(**TRADE, X="PARTIALLY_FILLED", z="0.004")) == [fill()]
    closed = OrderClosed(NAME, ReportStatus.FILLED, Decimal("0.010"), NS)
    assert tell(update(**TRADE, X="FILLED", z="0.010")) == [fill(), closed]
    amended = OrderAmended(NAME, Decimal("0.010"), Decimal("50000.10"), None, NS)
    assert tell(update(x="AMENDMENT")) == [amended]
    for what, word, status in (
        ("CANCELED", "CANCELED", ReportStatus.CANCELLED),
        ("EXPIRED", "EXPIRED", ReportStatus.EXPIRED),
        ("EXPIRED", "EXPIRED_IN_MATCH", ReportStatus.EXPIRED),
    ):
        told = tell(update(x=what, X=word, z="0.004"))
        assert told == [OrderClosed(NAME, status, Decimal("0.004"), NS)]


def test_a_fill_without_a_fee_is_free_in_the_quote_currency() -> None:
    """Binance leaves both out where there is none."""
    without = {key: value for key, value in TRADE.items() if key not in "Nn"}
    (told,) = private().decode(update(**without, X="PARTIALLY_FILLED", z="0.004"))
    assert told == fill(fee=Decimal(0), fee_currency=Currency("USDT"))


def algo_update(status: str, actual: str = "", **changed: object) -> str:
    order = {"caid": "stop-1", "aid": 99, "X": status, "ai": actual, "s": "BTCUSDT", **changed}
    return json.dumps({"e": "ALGO_UPDATE", "T": 5, "E": 6, "o": order})


def test_the_life_of_a_stop_is_that_of_one_order() -> None:
    """It wakes, becomes another order under another name, and its fill is the stop's."""
    twins = Twins()
    tell = private(twins).decode
    stop = ClientOrderId("stop-1")
    assert tell(algo_update("NEW")) == [OrderAccepted(stop, VenueOrderId("99"), 5_000_000)]
    assert tell(algo_update("TRIGGERING")) == []
    assert tell(algo_update("TRIGGERED", "22542179")) == []
    assert tell(update(**TRADE, c="autogen", X="FILLED", z="0.004")) == [
        fill("stop-1"),
        OrderClosed(stop, ReportStatus.FILLED, Decimal("0.004"), NS),
    ]
    assert tell(algo_update("FINISHED", "22542179", aq="0.004")) == []
    assert twins.actual_of(stop) == 22542179


def test_a_fill_that_is_told_before_its_stop_woke_is_told_again_under_its_name() -> None:
    """Binance promises no order between the two; the core knows a fill by its trade id."""
    tell = private().decode
    assert tell(update(**TRADE, c="autogen", X="PARTIALLY_FILLED", z="0.004")) == [fill("autogen")]
    assert tell(algo_update("TRIGGERED", "22542179")) == [fill("stop-1")]
    assert tell(algo_update("FINISHED", "22542179")) == []
    assert tell(update(**TRADE, c="stop-1", i=5, X="PARTIALLY_FILLED")) == [fill("stop-1")]
    assert tell(algo_update("TRIGGERED", "5")) == []


def test_strangers_are_bounded() -> None:
    """Orders of other programs are not remembered for ever."""
    one = private()
    for number in range(MAX_STRANGERS + 5):
        one.decode(update(c="autogen", i=number))
    assert one.decode(algo_update("TRIGGERED", "1")) == []
    assert one.decode(algo_update("TRIGGERED", str(MAX_STRANGERS)))


def test_a_stop_that_ends_without_becoming_an_order_is_closed() -> None:
    """Cancelled; or refused when it woke, which is no rejection of an order that rested."""
    tell = private().decode
    for word, status in (
        ("CANCELED", ReportStatus.CANCELLED),
        ("EXPIRED", ReportStatus.EXPIRED),
        ("REJECTED", ReportStatus.EXPIRED),
    ):
        (told,) = tell(algo_update(word, rm="Reduce Only reject"))
        reason = "Reduce Only reject"
        assert told == OrderClosed(ClientOrderId("stop-1"), status, Decimal(0), 5_000_000, reason)


def test_what_ends_the_stream_and_what_is_only_counted() -> None:
    """An expired key is an error, so that the stream is opened anew."""
    one = private()
    for name in ("TRADE_LITE", "ACCOUNT_UPDATE", "MARGIN_CALL", "SOMETHING_NEW"):
        assert one.decode(json.dumps({"e": name})) == []
    reject = {"e": "CONDITIONAL_ORDER_TRIGGER_REJECT", "or": {"s": "X", "i": 1, "r": "why"}}
    assert one.decode(json.dumps(reject)) == []
    assert one.ignored["other"] == 1
    assert one.ignored["TRADE_LITE"] == 1
    for name in ("listenKeyExpired", "serverShutdown"):
        with pytest.raises(VenueError, match=name):
            one.decode(json.dumps({"stream": "k", "data": {"e": name}}))


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("nautilus/user_data_json/order_update_new", [OrderAccepted]),
        ("nautilus/user_data_json/order_update_trade", [Fill]),
        ("nautilus/user_data_json/order_update_calculated", [Fill, OrderClosed]),
        ("nautilus/user_data_json/order_update_adl", [Fill]),
        ("nautilus/user_data_json/algo_update_new", [OrderAccepted]),
        ("nautilus/user_data_json/algo_update_canceled", [OrderClosed]),
        ("nautilus/user_data_json/account_update", []),
        ("nautilus/user_data_json/trade_lite", []),
        ("nautilus_integration/ws_futures_algo_update_triggered", []),
        ("nautilus_integration/ws_futures_algo_update_finished", []),
        ("nautilus_integration/ws_futures_order_update_liquidation_zero_qty", None),
        ("nautilus_integration/ws_futures_order_update_settlement", None),
    ],
)
def test_the_venues_own_examples_of_the_stream(file: str, kinds: list[type] | None) -> None:
    """Each is read, as what it is."""
    told = private().decode(recorded(f"{DOCS}/{file}.json").read_bytes())
    assert kinds is None or [type(one) for one in told] == kinds


@pytest.mark.recorded
def test_the_venues_own_examples_of_answers() -> None:
    """The list of open conditional orders names the type `type`, the answer to one `orderType`."""
    body = recorded(f"{DOCS}/nautilus/http_json/open_algo_orders.json").read_bytes()
    (raw,) = orders.algos.decode(body)
    assert orders.algo_report(raw, None, VENUE).type is OrderType.STOP_MARKET
    body = recorded(f"{DOCS}/nautilus_integration/http_futures_account_orders.json").read_bytes()
    (order,) = orders.orders.decode(body)
    assert orders.report(order, Twins(), VENUE).type is OrderType.TRAILING_STOP


keys = st.sampled_from([*"scSofqpxXilzLNnTtmR", "caid", "aid", "ai", "rm"])
words = st.sampled_from(["NEW", "TRADE", "FILLED", "TRIGGERED", "CALCULATED", "1", "NaN", "1e999"])


@given(
    st.sampled_from(["ORDER_TRADE_UPDATE", "ALGO_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT", ""]),
    st.dictionaries(keys, json_values | words) | json_values,
    st.booleans(),
)
def test_no_private_frame_does_more_than_raise_a_venue_error(
    name: str, order: object, whole: bool
) -> None:
    """Whatever comes, nothing foreign leaks, and nothing is told that cannot be."""
    base = json.loads(update() if name == "ORDER_TRADE_UPDATE" else algo_update("NEW"))["o"]
    if whole and isinstance(order, dict):
        order = {**base, **order}
    told: list[VenueEvent] = []
    with contextlib.suppress(VenueError):
        told = private().decode(json.dumps({"e": name, "T": 1, "o": order, "or": order}))
    for event in told:
        if isinstance(event, Fill):
            assert event.quantity > 0
            assert event.price > 0


@given(st.dictionaries(st.sampled_from(list(json.loads(answer()))), json_values | words))
def test_no_answer_to_an_order_does_more_than_raise_a_venue_error(changed: dict[str, Any]) -> None:
    """Whatever comes, nothing foreign leaks."""
    body = answer(**changed)
    for read in (
        lambda: orders.placed(NAME, body),
        lambda: orders.cancelled(NAME, body),
        lambda: orders.check_done(body, "it"),
    ):
        with contextlib.suppress(VenueError):
            read()


# --- settings -------------------------------------------------------------------------------


def test_addresses_follow_the_testnet_and_each_other() -> None:
    """The private stream is never another exchange's than the public one."""
    assert BinanceUsdmSettings().rest == "https://fapi.binance.com"
    assert BinanceUsdmSettings(testnet=True).streams == "wss://fstream.binancefuture.com"
    own = BinanceUsdmSettings(ws_url="ws://127.0.0.1:9/")
    assert (own.streams, own.private_streams) == ("ws://127.0.0.1:9", "ws://127.0.0.1:9")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dead_mans_switch_secs": -1}, "dead_mans_switch_secs"),
        ({"dead_mans_switch_secs": True}, "dead_mans_switch_secs"),
        ({"dead_mans_switch_secs": 1.5}, "dead_mans_switch_secs"),
        ({"depth_limit": 200}, "depth_limit"),
        ({"trigger_by": "index"}, "trigger_by"),
        ({"recv_window_ms": 0}, "recv_window_ms"),
        ({"rest_url": "ftp://x"}, "rest_url"),
    ],
)
def test_settings_that_cannot_be_are_named(wrong: dict[str, Any], says: str) -> None:
    """In a sentence that begins with the key."""
    with pytest.raises(ConfigError, match=f"^{says}"):
        BinanceUsdmSettings(**wrong)


def test_keys_are_never_shown() -> None:
    """Not by the repr of the settings either."""
    shown = repr(BinanceUsdmSettings(api_key=Secret("k3y"), api_secret=Secret("s3cret")))
    assert "k3y" not in shown
    assert "s3cret" not in shown
