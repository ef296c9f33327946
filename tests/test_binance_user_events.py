"""The account's events at Binance Spot, without I/O: never a wrong booking, whatever comes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.recorded import recorded
from trade_runtime.errors import VenueError
from trade_runtime.model.events import (
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import VenueName
from trade_runtime.model.orders import ReportStatus, Side
from trade_runtime.venues.binance_spot.user_codec import (
    MAX_KINDS,
    Response,
    UserDecoder,
    encode_request,
)

SPOT = VenueName("spot")
DOCS = "binance_spot/doc_examples"
TS = 1499405658657


def event(**changes: Any) -> dict[str, Any]:
    """An `executionReport` of a part that filled."""
    body = {
        "e": "executionReport",
        "E": 1499405658658,
        "s": "ETHUSDT",
        "c": "abc123-1",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "1.00000000",
        "p": "2500.00000000",
        "P": "0.00000000",
        "C": "",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "r": "NONE",
        "i": 4293153,
        "l": "0.40000000",
        "z": "0.50000000",
        "L": "2499.50000000",
        "n": "0.00050000",
        "N": "BNB",
        "T": TS,
        "t": 98765432,
        "w": True,
        "m": True,
    }
    return {**body, **changes}


def decode(body: Any, decoder: UserDecoder | None = None) -> list[VenueEvent]:
    """What one event tells; it comes wrapped, as the WebSocket API does it."""
    decoder = decoder or UserDecoder(SPOT, {}, lambda what: None)
    told = decoder.decode(json.dumps({"subscriptionId": 0, "event": body}))
    assert isinstance(told, list)
    return told


def closed(status: ReportStatus, filled: str, reason: str = "") -> OrderClosed:
    return OrderClosed(
        "abc123-1",  # type: ignore[arg-type]
        status,
        Decimal(filled),
        TS * 1_000_000,
        reason,
    )


def test_a_fill_is_told_whole() -> None:
    """Its own id, side, quantity, price, fee, and that it rested."""
    (fill,) = decode(event())
    assert fill == Fill(
        "abc123-1",  # type: ignore[arg-type]
        "ETHUSDT.spot",  # type: ignore[arg-type]
        "98765432",  # type: ignore[arg-type]
        Side.BUY,
        Decimal("0.4"),
        Decimal("2499.5"),
        Decimal("0.0005"),
        "BNB",  # type: ignore[arg-type]
        maker=True,
        ts_ns=TS * 1_000_000,
    )


def test_the_last_fill_ends_the_order() -> None:
    """The fill first, then the end with all that filled."""
    told = decode(event(X="FILLED", z="1.0", S="SELL"))
    assert [type(one) for one in told] == [Fill, OrderClosed]
    assert told[1] == closed(ReportStatus.FILLED, "1.0")
    assert told[0].side is Side.SELL  # type: ignore[union-attr]


NOTHING = {"l": "0", "L": "0", "n": "0", "N": None, "t": -1, "z": "0.1"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"x": "NEW", "X": "NEW"},
            [OrderAccepted("abc123-1", "4293153", TS * 1_000_000)],  # type: ignore[arg-type]
        ),
        ({"x": "CANCELED", "X": "CANCELED"}, [closed(ReportStatus.CANCELLED, "0.1")]),
        (
            {"x": "CANCELED", "X": "CANCELED", "c": "theirs", "C": "abc123-1"},
            [closed(ReportStatus.CANCELLED, "0.1")],
        ),
        ({"x": "EXPIRED", "X": "EXPIRED"}, [closed(ReportStatus.EXPIRED, "0.1")]),
        (
            {"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH", "r": "STP"},
            [closed(ReportStatus.EXPIRED, "0.1", "STP")],
        ),
        ({"x": "CANCELED", "X": "PENDING_CANCEL"}, []),
        (
            {"x": "REJECTED", "X": "REJECTED", "r": "-2010", "z": "0"},
            [OrderRejected("abc123-1", "-2010", TS * 1_000_000)],  # type: ignore[arg-type]
        ),
        (
            {"x": "REPLACED", "X": "NEW", "q": "0.7"},
            [
                OrderAmended(
                    "abc123-1",  # type: ignore[arg-type]
                    Decimal("0.7"),
                    Decimal(2500),
                    None,
                    TS * 1_000_000,
                )
            ],
        ),
    ],
)
def test_each_execution_type(changes: dict[str, Any], told: list[VenueEvent]) -> None:
    """Of a cancel the order's own id is `C`; `c` is the cancel's."""
    assert told == decode(event(**NOTHING | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"l": "0"},
        {"L": "0"},
        {"t": -1},
        {"S": "BOTH"},
        {"l": "0.6"},  # more than ever filled
        {"z": "1.5"},  # more than was asked for
        {"N": None},  # a fee in nothing
    ],
)
def test_a_fill_that_lacks_something_is_not_booked_and_counted(changes: dict[str, Any]) -> None:
    """The order stays as it is; a reconcile asks for what there is."""
    told: list[str] = []
    decoder = UserDecoder(SPOT, {}, told.append)
    assert decode(event(**changes), decoder) == []
    assert decode(event(**changes), decoder) == []
    assert list(decoder.unknown.values()) == [2]
    assert len(told) == 1, "it is said once"


def test_an_end_without_its_fill_is_told_so_that_the_fill_is_asked_for() -> None:
    """A last fill at no price: the end is certain, and says how much the fills must make."""
    assert decode(event(X="FILLED", z="1", L="0")) == [closed(ReportStatus.FILLED, "1")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"X": "ON_HOLD"}, []),
        ({"x": "CALCULATED", "X": "FILLED", "z": "1"}, [closed(ReportStatus.FILLED, "1")]),
        ({"x": "BUSTED", "X": "PARTIALLY_FILLED"}, []),
        ({"x": "REJECTED", "X": "REJECTED"}, []),  # rejected, and yet a part of it filled
        ({"x": "NEW", "X": "REJECTED"}, []),
        ({"x": "REPLACED", "X": "NEW", "o": "PEGGED"}, []),
    ],
)
def test_words_that_we_do_not_know_book_nothing(
    changes: dict[str, Any], told: list[VenueEvent]
) -> None:
    """They are counted; where the order's end is certain, that is told."""
    decoder = UserDecoder(SPOT, {}, lambda what: None)
    assert told == decode(event(**changes), decoder)
    assert sum(decoder.unknown.values()) == 1


def test_kinds_that_we_do_not_know_are_bounded() -> None:
    """A peer that makes up a new one each time fills no memory."""
    decoder = UserDecoder(SPOT, {}, lambda what: None)
    for number in range(MAX_KINDS * 3):
        assert decode({"e": f"new{number}"}, decoder) == []
    assert len(decoder.unknown) <= MAX_KINDS + 1
    assert sum(decoder.unknown.values()) == MAX_KINDS * 3


@pytest.mark.parametrize(
    "kind", ["outboundAccountPosition", "balanceUpdate", "listStatus", "externalLockUpdate"]
)
def test_events_that_tell_no_order_anything(kind: str) -> None:
    """Known, and of no use here."""
    decoder = UserDecoder(SPOT, {}, pytest.fail)
    assert decode({"e": kind, "E": 1}, decoder) == []


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ('{"event":{"e":"serverShutdown","E":1}}', "shut this server down"),
        ('{"e":"serverShutdown","E":1}', "shut this server down"),
        ('{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}', "subscribe again"),
        ('{"id":null,"status":400,"error":{"code":-1,"msg":"Bad."}}', "Binance: -1 Bad"),
        ('{"event":{"e":"executionReport"}}', "malformed executionReport"),
        ('{"event":[]}', "malformed event"),
        ("[]", "malformed frame"),
        ("", "malformed frame"),
        ("<html>", "malformed frame"),
        ('{"event":' + "[" * 100_000, "malformed frame"),
    ],
)
def test_frames_that_end_the_connection(frame: str, said: str) -> None:
    """An error that says why; whoever supervises it connects again."""
    with pytest.raises(VenueError, match=said):
        UserDecoder(SPOT, {}, pytest.fail).decode(frame)


@pytest.mark.parametrize(
    "changes",
    [
        {"q": "NaN"},
        {"z": "-1"},
        {"l": "1e9999"},
        {"L": "1e-9999"},
        {"n": "Infinity"},
        {"T": 10**15},
        {"T": "soon"},
        {"t": 2**70},
        {"i": -5},
        {"m": "yes"},
        {"c": 5},
        {"X": None},
    ],
)
def test_numbers_that_cannot_be_end_the_connection(changes: dict[str, Any]) -> None:
    """What is told next could be as wrong: it is asked for over REST."""
    with pytest.raises(VenueError):
        decode(event(**changes))


def test_answers_to_requests_are_told_apart() -> None:
    """By the id that we gave."""
    decoder = UserDecoder(SPOT, {}, pytest.fail)
    good = decoder.decode('{"id":"x","status":200,"result":{"subscriptionId":0},"rateLimits":[]}')
    assert good == Response("x", 200)
    bad = decoder.decode('{"id":7,"status":401,"error":{"code":-2015,"msg":"Invalid."}}')
    assert bad == Response("7", 401, -2015, "Invalid.")
    limited = decoder.decode(
        '{"id":"x","status":429,"error":{"code":-1003,"msg":"Many.","data":{"serverTime":1,'
        '"retryAfter":1700000005000}}}'
    )
    assert limited == Response("x", 429, -1003, "Many.", 1_700_000_005_000)
    request = json.loads(encode_request("x", "ping", {"b": 1, "a": "t"}))
    assert request == {"id": "x", "method": "ping", "params": {"b": 1, "a": "t"}}


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("nautilus/user_data_json/execution_report_new", "A"),
        ("nautilus/user_data_json/execution_report_stop_loss", "A"),
        ("nautilus/user_data_json/execution_report_trade", "FC"),
        ("nautilus/user_data_json/execution_report_canceled", "C"),
        ("nautilus/user_data_json/execution_report_expired", "C"),
        ("nautilus/user_data_json/execution_report_wrapped", "A"),
        ("nautilus/user_data_json/list_status_wrapped", ""),
        ("nautilus/user_data_json/account_position", ""),
        ("nautilus/user_data_json/account_position_wrapped", ""),
        ("nautilus/user_data_json/balance_update_wrapped", ""),
        ("nautilus_integration/ws_spot_execution_report_binance_us", "FC"),
        ("nautilus_integration/ws_spot_execution_report_calculated", "C"),
        ("nautilus_integration/ws_spot_execution_report_canceled", "C"),
        ("nautilus_integration/ws_spot_execution_report_custom_client_id", "F"),
        ("nautilus_integration/ws_spot_execution_report_empty_client_id", "F"),
        ("nautilus_integration/ws_spot_execution_report_expired", "C"),
        ("nautilus_integration/ws_spot_execution_report_new", "A"),
        ("nautilus_integration/ws_spot_execution_report_new_limit_if_touched_price_match", "A"),
        ("nautilus_integration/ws_spot_execution_report_new_stop_limit_price_match", "A"),
        ("nautilus_integration/ws_spot_execution_report_pending_cancel", ""),
        ("nautilus_integration/ws_spot_execution_report_rejected", "R"),
        ("nautilus_integration/ws_spot_execution_report_trade", "F"),
        ("nautilus_integration/ws_spot_execution_report_trade_l_zero", "C"),
        ("nautilus_integration/ws_spot_execution_report_trade_l_zero_canceled", "C"),
        ("nautilus_integration/ws_spot_execution_report_trade_l_zero_expired", "C"),
        ("nautilus_integration/ws_spot_execution_report_trade_l_zero_new", ""),
        ("nautilus_integration/ws_spot_execution_report_trade_l_zero_partial", ""),
        ("nautilus_integration/ws_spot_execution_report_trade_prevention", "C"),
    ],
)
def test_the_documented_events_are_read(name: str, kinds: str) -> None:
    """Binance's own examples and what others have met: a fill of nothing is none."""
    letters = {"A": OrderAccepted, "F": Fill, "C": OrderClosed, "R": OrderRejected}
    text = recorded(f"{DOCS}/{name}.json").read_text()
    body = json.loads(text)
    decoder = UserDecoder(SPOT, {}, lambda what: None)
    told = decode(body["data"], decoder) if "data" in body else decoder.decode(text)
    assert isinstance(told, list)
    assert [letters[one] for one in kinds] == [type(one) for one in told]
