"""What journal and venue do not agree on: each difference once, with what would mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest

from tests.support.schedule import virtual
from tests.support.values import ETH, accepted, fill, spec
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.differences import Difference, Finder, Past
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueName, VenueOrderId
from trade_runtime.model.orders import OrderReport, ReportStatus
from trade_runtime.model.records import OrderSent, PositionAdjusted, RuntimeStarted
from trade_runtime.settings import Settings

ONE = InstrumentId(ETH)


@attrs.define
class Told:
    """A venue that says what it was told to say."""

    told: Sequence[Fill] = ()
    resting: Sequence[OrderReport] = ()
    held: Mapping[InstrumentId, Decimal] = attrs.field(factory=dict)

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        return self.told

    async def open_orders(self) -> Sequence[OrderReport]:
        return self.resting

    async def positions(self) -> Mapping[InstrumentId, Decimal]:
        return self.held


class Desk:
    """A journal of one order that filled one unit, and what a venue says."""

    def __init__(self, *strategies: str) -> None:
        self.state, self.past = TradingState(), Past()
        self.fill = fill("t-1", quantity="1", price="100")
        began = RuntimeStarted("test", "t", "1", "", 1)
        for event in (began, spec("t-1"), OrderSent(ClientOrderId("t-1")), accepted(), self.fill):
            self.state.apply(event)
            self.past.take(event)
        named = [
            {"name": name, "class": "x.py:X", "instruments": [str(ONE)]} for name in strategies
        ]
        venues = {"paper": {"kind": "paper"}}
        self.settings = Settings.from_mapping({"venues": venues, "strategies": named}, "/srv")

    async def find(self, venue: Any) -> list[Difference]:
        finder = Finder(
            self.settings,
            VenueName("paper"),
            venue,
            self.state,
            self.past,
            TrioClock(),
            "operator: a look",
        )
        return await finder.find()


def resting(order_id: str, quantity: str) -> OrderReport:
    """An order as the venue tells that it rests."""
    one = spec("t-1")
    return OrderReport(
        ClientOrderId(order_id),
        VenueOrderId("v-1"),
        one.instrument,
        one.side,
        one.type,
        ReportStatus.OPEN,
        Decimal(quantity),
        Decimal(1),
    )


@virtual
async def test_nothing_is_found_where_they_agree() -> None:
    """Nor where others have traded on the account."""
    desk = Desk()
    other = msgspec.structs.replace(desk.fill, client_order_id="by-hand", trade_id="x")
    venue = Told([desk.fill, other], (), {ONE: Decimal(2)})
    assert [] == await desk.find(venue)


@virtual
async def test_a_position_that_fills_do_not_explain() -> None:
    """It is of the one strategy that holds it, at the price of the last fill, and no fill's."""
    desk = Desk()
    (found,) = await desk.find(Told([desk.fill], (), {ONE: Decimal("1.5")}))
    assert "is 1.5 at the venue, which is 0.5 more than all fills explain" in found.what
    (event,) = found.accept
    assert isinstance(event, PositionAdjusted)
    owner = spec("t-1").strategy
    assert (owner, Decimal("0.5"), "", Decimal(100)) == (
        event.strategy,
        event.quantity,
        event.trade_id,
        event.price,
    )
    desk.state.apply(event)
    assert [] == await desk.find(Told([desk.fill], (), {ONE: Decimal("1.5")}))


@pytest.mark.parametrize("strategies", [(), ("one", "two")])
@virtual
async def test_a_position_that_is_nobodys(strategies: tuple[str, ...]) -> None:
    """None holds it, and none or several are named for it: it is not given to anyone."""
    desk = Desk(*strategies)
    back = msgspec.structs.replace(desk.fill, side=desk.fill.side.opposite, trade_id="back")
    desk.state.take(spec("t-1").strategy, back)
    venue = Told([desk.fill], (), {ONE: Decimal(1)})
    (found,) = await desk.find(venue)
    assert [] == found.accept
    assert found.mend


@virtual
async def test_a_missing_fill_explains_its_position() -> None:
    """One difference, not two."""
    desk = Desk("one")
    late = msgspec.structs.replace(desk.fill, trade_id="late", quantity=Decimal("0.2"))
    venue = Told([desk.fill, late], (), {ONE: Decimal("1.2")})
    (found,) = await desk.find(venue)
    assert "fill late of order t-1" in found.what
    (event,) = found.accept
    assert isinstance(event, PositionAdjusted)
    assert ("late", late.fee, late.ts_ns) == (event.trade_id, event.fee, event.ts_ns)


@virtual
async def test_an_order_of_ours_that_nobody_owns() -> None:
    """It can only be cancelled there."""
    desk = Desk()
    stray = resting("t-zz", "3")
    (found,) = await desk.find(Told([desk.fill], [stray], {ONE: Decimal(1)}))
    assert "order t-zz rests at the venue" in found.what
    assert ("cancel it at the venue", []) == (found.mend, found.accept)
