"""The chain of the journal: whatever was done to it is found."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import SELL, accepted, closed, fill, rejected, spec
from trade_runtime.errors import StoreDamaged
from trade_runtime.machines.journal import GENESIS, check_chain, digest, make_record, read_event
from trade_runtime.model.events import AmendRejected, CancelRejected, OrderAmended
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    StrategyName,
    TradeId,
    VenueName,
    VenueOrderId,
)
from trade_runtime.model.orders import ReportStatus
from trade_runtime.model.records import (
    KINDS,
    AmendRequested,
    BalancesTold,
    CancelRequested,
    InstrumentListed,
    JournalEvent,
    LatchCleared,
    LatchSet,
    OrderClaimed,
    OrderDropped,
    OrderReleased,
    OrderSent,
    OrderUnknown,
    OthersHold,
    PositionAdjusted,
    ProfitMarked,
    Reconciled,
    RuntimeStarted,
    RuntimeStopped,
    StateFormat,
    StrategySaved,
    StrategyStopped,
    TradingHalted,
    TradingMode,
    VenueUsed,
)
from trade_runtime.protocols import Record

ID = ClientOrderId("t-1")
EVENTS: list[JournalEvent] = [
    RuntimeStarted("demo", "t", "0.1", "host", 42),
    spec(),
    spec("t-2", SELL, "0.00010000", protective=True, trigger="90.10"),
    OrderSent(ID),
    OrderUnknown(ID, "no outcome in time"),
    accepted(),
    fill(quantity="0.10", price="99.990", fee="0.00009999"),
    CancelRequested(ID, "asked for"),
    CancelRejected(ID, "no such order", 7),
    closed(status=ReportStatus.EXPIRED, filled="0.10"),
    rejected(reason="größer als erlaubt ☠"),
    OrderDropped(ID, "halted"),
    AmendRequested(ID, Decimal("0.20"), Decimal("99.9"), None),
    OrderAmended(ID, Decimal("0.20"), Decimal("99.9"), None, 8),
    AmendRejected(ID, "too late", 9),
    OrderReleased(ID, Decimal("0.10"), "order t-0 filled"),
    LatchSet(TradingMode.HALTED, "daily loss", "risk"),
    LatchCleared("operator", "looked at it"),
    InstrumentListed(InstrumentId("ETHUSDT.paper"), Currency("USDT")),
    ProfitMarked(Currency("USDT"), 20_000, Decimal("1.5"), Decimal(2)),
    TradingHalted("SIGTERM"),
    StrategyStopped(StrategyName("maker"), "failed", "ValueError: oops"),
    StrategySaved(StrategyName("maker"), 2, StateFormat.MAPPING, '{"größe":{"$decimal":"0.10"}}'),
    RuntimeStopped("SIGTERM", "clean"),
    PositionAdjusted(
        StrategyName("maker"),
        InstrumentId("ETHUSDT.paper"),
        Decimal("-0.10"),
        Decimal("99.9"),
        Decimal(0),
        Currency("USDT"),
        TradeId("7"),
        Decimal(1),
        9,
        "operator",
        "a fill that the journal lacks",
    ),
    Reconciled("operator", "restored from a backup", True, 12),
    BalancesTold(VenueName("paper"), {Currency("ETH"): Decimal("0.10")}, 9),
    OthersHold(VenueName("paper"), {InstrumentId("ETHUSDT.paper"): Decimal("-0.10")}, 9),
    VenueUsed(VenueName("spot"), "binance_spot live"),
    OrderClaimed(spec("a-9"), VenueOrderId("77"), Decimal("0.10"), [TradeId("5")], 9),
]


def chain(events: list[JournalEvent], previous: str = GENESIS) -> list[Record]:
    """The records of events, as the runtime makes them."""
    records: list[Record] = []
    for seq, event in enumerate(events, start=1):
        records.append(make_record(previous, seq, seq * 1000, event))
        previous = records[-1].digest
    return records


RECORDS = chain(EVENTS)


def test_every_kind_is_tried_here() -> None:
    """The events of this file are all there are."""
    assert set(KINDS) == {type(event) for event in EVENTS}
    assert len(set(KINDS.values())) == len(KINDS)


@pytest.mark.parametrize("number", range(len(EVENTS)), ids=[r.kind for r in RECORDS])
def test_what_is_written_is_read_back(number: int) -> None:
    """The same values; decimals to the digit, with the zeros that were written."""
    event, read = EVENTS[number], read_event(RECORDS[number])
    assert event == read
    assert repr(event) == repr(read)


def test_a_whole_chain_passes() -> None:
    """In one piece, and in pieces that go on where the last ended."""
    assert RECORDS == list(check_chain(RECORDS))
    head, tail = RECORDS[:5], RECORDS[5:]
    assert tail == list(check_chain(tail, head[-1].digest, head[-1].seq))


def test_a_prefix_passes() -> None:
    """What a crash leaves is a chain too."""
    for end in range(len(RECORDS) + 1):
        assert RECORDS[:end] == list(check_chain(RECORDS[:end]))


@st.composite
def damaged(draw: st.DrawFn) -> list[Record]:
    """A chain to which something was done."""
    records = list(RECORDS)
    at = draw(st.integers(0, len(records) - 2))
    record = records[at]
    how = draw(
        st.sampled_from(["payload", "ts", "kind", "digest", "missing", "twice", "swap", "forge"])
    )
    if how == "payload":
        position = draw(st.integers(0, len(record.payload) - 1))
        flipped = record.payload[position] ^ (1 << draw(st.integers(0, 7)))
        payload = record.payload[:position] + bytes([flipped]) + record.payload[position + 1 :]
        records[at] = attrs.evolve(record, payload=payload)
    elif how == "ts":
        records[at] = attrs.evolve(record, ts_ns=record.ts_ns + 1)
    elif how == "kind":
        others = sorted(set(KINDS.values()) - {record.kind})
        records[at] = attrs.evolve(record, kind=draw(st.sampled_from(others)))
    elif how == "digest":
        records[at] = attrs.evolve(record, digest=draw(st.sampled_from(["", GENESIS, "f" * 32])))
    elif how == "missing":
        del records[at]
    elif how == "twice":
        records.insert(at, record)
    elif how == "swap":
        records[at], records[at + 1] = records[at + 1], records[at]
    else:  # one that is whole in itself, put in by someone who knows how digests are made
        last = records[at - 1].digest if at else GENESIS
        records.insert(at, make_record(last, at + 1, record.ts_ns, TradingHalted("forged")))
    return records


@given(damaged())
def test_whatever_was_done_to_it_is_found(records: list[Record]) -> None:
    """A record that was changed, lost, put in or moved ends the reading before its time."""
    handed_on: list[Record] = []
    with pytest.raises(StoreDamaged, match=r"record \d+ "):
        handed_on.extend(check_chain(records))
    assert len(handed_on) < len(RECORDS)


def test_the_first_bad_record_is_named() -> None:
    """The message says which, so that one can look."""
    changed = [*RECORDS[:3], attrs.evolve(RECORDS[3], payload=b"{}"), *RECORDS[4:]]
    with pytest.raises(StoreDamaged, match=r"^record 4 \(sent\) is not what was written$"):
        list(check_chain(changed))
    with pytest.raises(StoreDamaged, match=r"^record 4 is missing: 5 stands in its place$"):
        list(check_chain([*RECORDS[:3], *RECORDS[4:]]))


def test_a_record_of_a_newer_version_is_said_to_be_one() -> None:
    """A kind that is not known asks for the version that wrote it."""
    with pytest.raises(StoreDamaged, match="kind 'teleport', which this version does not know"):
        read_event(attrs.evolve(RECORDS[0], kind="teleport"))


def test_a_payload_of_another_shape_is_damage() -> None:
    """A foreign error of the decoder never leaks."""
    with pytest.raises(StoreDamaged, match=r"record 2 \(intent\) cannot be read"):
        read_event(attrs.evolve(RECORDS[1], payload=b'{"quantity": []}'))


def test_the_digest_tells_fields_apart() -> None:
    """No two records that differ share what is hashed."""
    made = {
        digest(GENESIS, 1, 23, "sent", b"{}"),
        digest(GENESIS, 12, 3, "sent", b"{}"),
        digest(GENESIS, 1, 23, "start", b"{}"),
        digest(GENESIS, 1, 23, "sent", b"{ }"),
        digest("1" * 32, 1, 23, "sent", b"{}"),
    }
    assert 5 == len(made)
    assert {32} == {len(d) for d in made}


def test_decimals_keep_their_text() -> None:
    """0.10 is not written as 0.1: what the venue said is what the journal keeps."""
    assert b'"0.10"' in RECORDS[6].payload
    assert Decimal("0.10") == EVENTS[6].quantity  # type: ignore[union-attr]
