"""Orders at Binance Spot, without I/O: what is sent, and what is made of each answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.recorded import recorded
from trade_runtime.errors import VenueError, VenueRefused
from trade_runtime.model.events import Fill, OrderAccepted, OrderClosed, OrderRejected
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, VenueName
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.venues.binance_spot.account_codec import (
    decode_balances,
    decode_own_trades,
    decode_withdraws,
)
from trade_runtime.venues.binance_spot.order_codec import (
    archived,
    decode_all_cancelled,
    decode_cancelled,
    decode_names,
    decode_order,
    decode_orders,
    decode_placed,
    encode_order,
    named,
)

SPOT = VenueName("spot")
NAUTILUS = "binance_spot/doc_examples/nautilus/http_json"


def spec(**changes: Any) -> OrderSpec:
    """A limit order to buy 10 BTC at 4000, with some of it changed."""
    fields: dict[str, Any] = {
        "client_order_id": ClientOrderId("abc123-1"),
        "strategy": StrategyName("s"),
        "instrument": InstrumentId("BTCUSDT.spot"),
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": Decimal("10.00"),
        "price": Decimal("4000.10"),
    }
    return OrderSpec(**{**fields, **changes})


def reply(**changes: Any) -> bytes:
    """The answer to that order: FULL, filled at once in two parts."""
    body = {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": "abc123-1",
        "transactTime": 1507725176595,
        "price": "4000.10000000",
        "origQty": "10.00000000",
        "executedQty": "10.00000000",
        "status": "FILLED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "somethingNew": {"of": ["theirs"]},
        "fills": [
            {
                "price": "4000.00000000",
                "qty": "9.00000000",
                "commission": "0.00000001",
                "commissionAsset": "BNB",
                "tradeId": 56,
            },
            {
                "price": "3999.50000000",
                "qty": "1.00000000",
                "commission": "0",
                "commissionAsset": "BTC",
                "tradeId": 57,
            },
        ],
    }
    return json.dumps({**body, **changes}).encode()


@pytest.mark.parametrize(
    ("order", "sent"),
    [
        (spec(), {"type": "LIMIT", "price": "4000.1", "timeInForce": "GTC"}),
        (
            spec(tif=TimeInForce.IOC),
            {"type": "LIMIT", "price": "4000.1", "timeInForce": "IOC"},
        ),
        (
            spec(tif=TimeInForce.FOK),
            {"type": "LIMIT", "price": "4000.1", "timeInForce": "FOK"},
        ),
        (spec(post_only=True), {"type": "LIMIT_MAKER", "price": "4000.1"}),
        (spec(type=OrderType.MARKET, price=None), {"type": "MARKET"}),
        (
            spec(type=OrderType.STOP_MARKET, price=None, trigger_price=Decimal("1E+2")),
            {"type": "STOP_LOSS", "stopPrice": "100"},
        ),
        (
            spec(type=OrderType.STOP_LIMIT, trigger_price=Decimal("0.00000001")),
            {
                "type": "STOP_LOSS_LIMIT",
                "price": "4000.1",
                "timeInForce": "GTC",
                "stopPrice": "0.00000001",
            },
        ),
        (
            spec(type=OrderType.TAKE_PROFIT, price=None, trigger_price=Decimal(5)),
            {"type": "TAKE_PROFIT", "stopPrice": "5"},
        ),
        (
            spec(type=OrderType.TAKE_PROFIT_LIMIT, trigger_price=Decimal(5)),
            {
                "type": "TAKE_PROFIT_LIMIT",
                "price": "4000.1",
                "timeInForce": "GTC",
                "stopPrice": "5",
            },
        ),
    ],
)
def test_every_type_is_sent_as_binance_spells_it(order: OrderSpec, sent: dict[str, str]) -> None:
    """Numbers without an exponent and without idle zeros; no parameter that a type lacks."""
    same = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "10",
        "newClientOrderId": "abc123-1",
        "newOrderRespType": "FULL",
    }
    assert same | sent == encode_order(order)


@pytest.mark.parametrize(
    "order",
    [
        spec(type=OrderType.TRAILING_STOP, trail=Decimal(1), trigger_price=Decimal(5), price=None),
        spec(tif=TimeInForce.GTD, expire_ns=1),
        spec(type=OrderType.STOP_LIMIT, trigger_price=Decimal(5), post_only=True),
    ],
)
def test_what_binance_does_not_hold_is_refused_before_anything_leaves(order: OrderSpec) -> None:
    """The capabilities say so, so the core never asks; if it does, the order is not mangled."""
    with pytest.raises(VenueRefused, match="Binance Spot holds no"):
        encode_order(order)


def test_a_full_answer_tells_the_fills_and_the_end() -> None:
    """The fees are in whatever asset they were taken in."""
    order = spec()
    assert decode_placed(reply(), order) == [
        OrderAccepted(order.client_order_id, "28", 1507725176595000000),  # type: ignore[arg-type]
        Fill(
            order.client_order_id,
            order.instrument,
            "56",  # type: ignore[arg-type]
            Side.BUY,
            Decimal(9),
            Decimal(4000),
            Decimal("0.00000001"),
            "BNB",  # type: ignore[arg-type]
            maker=False,
            ts_ns=1507725176595000000,
        ),
        Fill(
            order.client_order_id,
            order.instrument,
            "57",  # type: ignore[arg-type]
            Side.BUY,
            Decimal(1),
            Decimal("3999.5"),
            Decimal(0),
            "BTC",  # type: ignore[arg-type]
            maker=False,
            ts_ns=1507725176595000000,
            fee_in_base=True,
        ),
        OrderClosed(order.client_order_id, ReportStatus.FILLED, Decimal(10), 1507725176595000000),
    ]


@pytest.mark.parametrize(
    ("status", "filled", "end"),
    [
        ("NEW", "0", None),
        ("PARTIALLY_FILLED", "4", None),
        ("PENDING_NEW", "0", None),
        ("EXPIRED", "4", ReportStatus.EXPIRED),
        ("EXPIRED_IN_MATCH", "0", ReportStatus.EXPIRED),
        ("CANCELED", "0", ReportStatus.CANCELLED),
        ("FILLED", "10", ReportStatus.FILLED),
    ],
)
def test_a_result_answer_tells_where_it_stands(
    status: str, filled: str, end: ReportStatus | None
) -> None:
    """Without fills: those that an end implies are asked for by the core."""
    told = decode_placed(reply(status=status, executedQty=filled, fills=[]), spec())
    assert isinstance(told[0], OrderAccepted)
    ends = [(one.status, one.filled) for one in told[1:] if isinstance(one, OrderClosed)]
    assert ends == ([] if end is None else [(end, Decimal(filled))])


def test_an_ack_tells_that_it_is_held_and_no_more() -> None:
    """Its end comes over the private stream."""
    ack = b'{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"abc123-1","transactTime":1}'
    assert decode_placed(ack, spec()) == [OrderAccepted(spec().client_order_id, "28", 1_000_000)]  # type: ignore[arg-type]


def test_a_rejected_order_is_one() -> None:
    """Never accepted first: it never rested."""
    told = decode_placed(reply(status="REJECTED", executedQty="0", fills=[]), spec())
    assert [type(one) for one in told] == [OrderRejected]


@pytest.mark.parametrize(
    "body",
    [
        reply(clientOrderId="abc123-2"),
        reply(symbol="ETHUSDT"),
        reply(side="SELL"),
        reply(origQty="11"),
        reply(executedQty="11", fills=[]),
        reply(executedQty="9"),
        reply(status="ON_HOLD"),
        reply(executedQty="NaN", fills=[]),
        reply(executedQty="-1", fills=[]),
        reply(executedQty="1e99999", fills=[]),
        reply(transactTime=10**18),
        reply(orderId=10**30),
        reply(fills=[{"price": "0", "qty": "10", "commission": "0", "commissionAsset": "B"}]),
        b"<html>502</html>",
        b"{}",
        b"",
        b'{"code":-1007,"msg":"Timeout"}',
        b"[]",
        b"\xff\xfe",
    ],
)
def test_an_answer_that_does_not_fit_leaves_the_outcome_open(body: bytes) -> None:
    """Not refused and not filled: the exchange is asked."""
    with pytest.raises(VenueError) as caught:
        decode_placed(body, spec())
    assert not isinstance(caught.value, VenueRefused)


@pytest.mark.parametrize("price", ["0", "-1", "Infinity"])
def test_a_fill_at_no_price_is_never_booked(price: str) -> None:
    """Whatever else the answer says."""
    part = {"price": price, "qty": "10", "commission": "0", "commissionAsset": "B", "tradeId": 1}
    with pytest.raises(VenueError):
        decode_placed(reply(fills=[part]), spec())


def test_a_cancel_names_the_order_by_our_id() -> None:
    """`clientOrderId` of the answer is the cancel's own."""
    order = spec()
    assert named(order) == {"symbol": "BTCUSDT", "origClientOrderId": "abc123-1"}
    body = reply(
        origClientOrderId="abc123-1", clientOrderId="x", status="CANCELED", executedQty="2.5"
    )
    assert decode_cancelled(body, order) == [
        OrderClosed(
            order.client_order_id, ReportStatus.CANCELLED, Decimal("2.5"), 1507725176595000000
        )
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"origClientOrderId": "abc123-2", "status": "CANCELED"},
        {"status": "CANCELED"},
        {"origClientOrderId": "abc123-1", "status": "NEW"},
        {"origClientOrderId": "abc123-1", "status": "?"},
        {"origClientOrderId": "abc123-1", "status": "CANCELED", "executedQty": "-1"},
    ],
)
def test_a_cancel_that_is_answered_by_something_else_is_open(changes: dict[str, str]) -> None:
    """It may have been cancelled, or not."""
    with pytest.raises(VenueError):
        decode_cancelled(reply(**changes), spec())


@pytest.mark.recorded
def test_the_documented_answers_are_read() -> None:
    """Binance's own examples, as its documentation has them."""

    def example(name: str) -> bytes:
        return recorded(f"{NAUTILUS}/{name}.json").read_bytes()

    full = spec(
        client_order_id=ClientOrderId("6gCrw2kRUAF9CvJDGP16IP"),
        type=OrderType.MARKET,
        side=Side.SELL,
        price=None,
    )
    told = decode_placed(example("new_order_full_response"), full)
    fills = [one for one in told if isinstance(one, Fill)]
    assert len(fills) == 5
    assert sum(one.quantity for one in fills) == 10
    assert isinstance(told[-1], OrderClosed)

    cancelled = spec(
        client_order_id=ClientOrderId("myOrder1"), instrument=InstrumentId("LTCBTC.spot")
    )
    (closed,) = decode_cancelled(example("cancel_order_response"), cancelled)
    assert isinstance(closed, OrderClosed)
    assert closed.status is ReportStatus.CANCELLED

    everything = decode_all_cancelled(example("cancel_open_orders_response"))
    assert [one.client_order_id for one in everything] == [
        "E6APeyTJvkMvLMYMqu1KQ4",
        "A3EF2HCwxgZPFMrfwbgrhv",
        "CwOOIPHSmYywx6jZX77TdL",
        "461cPg51vQjV3zIMOXNz39",
    ]

    report = decode_order(example("order_response"), cancelled, SPOT)
    assert report.status is ReportStatus.OPEN
    assert (report.quantity, report.price, report.trigger_price) == (
        Decimal(1),
        Decimal("0.1"),
        None,
    )
    (resting,) = decode_orders(example("open_orders_response"), SPOT, pytest.fail)
    assert resting == report
    assert decode_names(example("all_orders_response")) == {1: "myOrder1"}
    assert decode_names(example("order_response")) == {1: "myOrder1"}

    (trade,) = decode_own_trades(example("account_trades_response"), "BNBBTC")
    fill = trade.fill(ClientOrderId("x"), InstrumentId("BNBBTC.spot"))
    assert (fill.trade_id, fill.side, fill.fee, fill.fee_currency, fill.maker) == (
        "28457",
        Side.BUY,
        Decimal("10.1"),
        "BNB",
        False,
    )
    assert decode_balances(example("account_response")) == {
        "BTC": Decimal("4723846.89208129"),
        "LTC": Decimal("4763368.68006011"),
    }


def order_body(**changes: Any) -> bytes:
    """A stop-loss that rests, as a query tells it."""
    body = {
        "symbol": "BTCUSDT",
        "orderId": 7,
        "clientOrderId": "abc123-1",
        "price": "0.00000000",
        "origQty": "10",
        "executedQty": "0",
        "status": "NEW",
        "type": "STOP_LOSS",
        "side": "SELL",
        "stopPrice": "3900.00",
    }
    return json.dumps({**body, **changes}).encode()


def test_a_stop_that_rests_has_a_trigger_and_no_price() -> None:
    """A price of 0 is none."""
    report = decode_order(order_body(), spec(), SPOT)
    assert (report.type, report.price, report.trigger_price) == (
        OrderType.STOP_MARKET,
        None,
        Decimal(3900),
    )


@pytest.mark.parametrize("word", [{"status": "ON_HOLD"}, {"type": "PEGGED"}, {"side": "BOTH"}])
def test_an_order_in_unknown_words_is_open_when_asked_for_and_passed_over_in_a_list(
    word: dict[str, str],
) -> None:
    """An order of another program in a new type must not keep ours from being reconciled."""
    with pytest.raises(VenueError, match="words that we do not know"):
        decode_order(order_body(**word), spec(), SPOT)
    told: list[str] = []
    body = b"[" + order_body(**word) + b"," + order_body(clientOrderId="other") + b"]"
    (one,) = decode_orders(body, SPOT, told.append)
    assert one.client_order_id == "other"
    assert next(iter(word.values())) in told[0]


@pytest.mark.parametrize(
    "body",
    [
        order_body(clientOrderId="abc123-2"),
        order_body(symbol="ETHUSDT"),
        order_body(executedQty="11"),
        order_body(executedQty="1e-999"),
        order_body(price="sNaN"),
        b"[]",
    ],
)
def test_an_answer_about_another_order_is_none(body: bytes) -> None:
    """Nor is one that cannot be."""
    with pytest.raises(VenueError):
        decode_order(body, spec(), SPOT)


def test_an_archived_order_ended_without_a_fill() -> None:
    """Binance says so, and no more."""
    report = archived(spec())
    assert (report.status, report.filled) == (ReportStatus.EXPIRED, Decimal(0))


def test_balances_are_free_and_locked_and_none_that_is_0() -> None:
    """What rests in orders is still held."""
    body = (
        b'{"balances":[{"asset":"BTC","free":"1.5","locked":"0.5"},'
        b'{"asset":"ETH","free":"0.0","locked":"0"}]}'
    )
    assert decode_balances(body) == {"BTC": Decimal(2)}
    with pytest.raises(VenueError):
        decode_balances(body.replace(b"1.5", b"-1.5"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"id":5', b'"id":-1'),
        (b'"qty":"2"', b'"qty":"0"'),
        (b'"price":"3"', b'"price":"-3"'),
        (b"BTCUSDT", b"ETHUSDT"),
        (b'"commission":"0.1"', b'"commission":"NaN"'),
        (b'"time":1', b'"time":-1'),
        (b'"isBuyer":true', b'"isBuyer":"yes"'),
    ],
)
def test_a_trade_that_cannot_be_is_none(old: bytes, new: bytes) -> None:
    """A whole page is refused rather than a part of it booked."""
    body = (
        b'[{"symbol":"BTCUSDT","id":5,"orderId":1,"price":"3","qty":"2","commission":"0.1",'
        b'"commissionAsset":"BNB","time":1,"isBuyer":true,"isMaker":true}]'
    )
    assert len(decode_own_trades(body, "BTCUSDT")) == 1
    assert old in body
    with pytest.raises(VenueError):
        decode_own_trades(body.replace(old, new), "BTCUSDT")


def test_the_rights_of_a_key() -> None:
    """The one that matters."""
    assert decode_withdraws(b'{"ipRestrict":false,"enableWithdrawals":true}')
    assert not decode_withdraws(b'{"enableWithdrawals":false}')
    with pytest.raises(VenueError):
        decode_withdraws(b"{}")
