"""Requests on their way to an exchange: sent once, in the right order, and honest about the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from tests.paper_world import StillClock, environment, order_id, spec
from trade_runtime.errors import VenueDown, VenueError, VenueRefused
from trade_runtime.model.events import (
    CancelRejected,
    OrderAccepted,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import InstrumentId, VenueOrderId
from trade_runtime.model.orders import OrderSpec, ReportStatus, Side
from trade_runtime.protocols import Placed
from trade_runtime.venues.wire.budget import Budget, Window
from trade_runtime.venues.wire.sending import AT_ONCE, MAX_WAITING, Numbers, Request, Sender


class Desk:
    """An exchange that takes `secs` for each answer, and fails as it is told."""

    def __init__(self, secs: float = 0.01) -> None:
        self.secs = secs
        self.fails: dict[str, Exception] = {}
        self.log: list[tuple[float, str]] = []
        self.under_way = 0
        self.most_under_way = 0

    def cost(self, request: Request) -> Mapping[str, float]:
        return {"orders": 1}

    async def _answer(self, what: str, name: str) -> None:
        self.log.append((round(trio.current_time(), 3), f"{what} {name}"))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await trio.sleep(self.secs)
        finally:
            self.under_way -= 1
        if what in self.fails:
            raise self.fails[what]

    async def place(self, order: OrderSpec) -> Sequence[VenueEvent]:
        await self._answer("place", order.client_order_id)
        return [OrderAccepted(order.client_order_id, VenueOrderId("1"), 1)]

    async def cancel(self, order: Placed) -> Sequence[VenueEvent]:
        await self._answer("cancel", order.client_order_id)
        name = order.client_order_id
        return [OrderClosed(name, ReportStatus.CANCELLED, Decimal(0), 1)]

    async def amend(self, order: Placed, numbers: Numbers) -> Sequence[VenueEvent]:
        await self._answer("amend", order.client_order_id)
        return []

    async def cancel_all(self, instrument: InstrumentId) -> Sequence[VenueEvent]:
        await self._answer("cancel all", instrument)
        return []

    @property
    def asked(self) -> list[str]:
        return [what for _, what in self.log]


@asynccontextmanager
async def sending(
    desk: Desk, budget: Budget | None = None
) -> AsyncIterator[tuple[Sender, list[VenueEvent]]]:
    told: list[VenueEvent] = []
    sender = Sender(desk, budget or Budget(), environment(StillClock()), told.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run)
        await trio.testing.wait_all_tasks_blocked()
        yield sender, told
        nursery.cancel_scope.cancel()


def order(name: str) -> OrderSpec:
    return spec(name, Side.BUY, "1", "100")


async def test_nothing_is_taken_where_nothing_sends() -> None:
    """A closed venue says so at once: nothing is left in a queue that nobody empties."""
    sender = Sender(Desk(), Budget(), environment(StillClock()), lambda event: None)
    with pytest.raises(VenueDown, match="closed"):
        sender.submit(order("a"))


async def test_a_cancel_waits_for_its_submit(autojump_clock: MockClock) -> None:
    """It would find no such order; others go on meanwhile."""
    desk = Desk(0.1)
    async with sending(desk) as (sender, told):
        sender.submit(order("a"))
        await trio.sleep(0.01)
        sender.cancel(order("a"))
        sender.submit(order("b"))
        await trio.sleep(1)
    assert desk.log == [(0.0, "place a"), (0.01, "place b"), (0.1, "cancel a")]
    assert [type(event) for event in told] == [OrderAccepted, OrderAccepted, OrderClosed]


async def test_a_cancel_does_not_wait_for_a_submit_that_hangs(autojump_clock: MockClock) -> None:
    """A stop has two seconds; an answer may take ten."""
    desk = Desk(10)
    async with sending(desk) as (sender, _):
        sender.submit(order("a"))
        await trio.sleep(0.01)
        sender.cancel(order("a"))
        sender.cancel(order("a"))
        await trio.sleep(30)
    assert desk.log[:3] == [(0.0, "place a"), (0.51, "cancel a"), (0.51, "cancel a")]
    assert len(desk.log) == 3


async def test_a_cancel_takes_out_what_has_not_left(autojump_clock: MockClock) -> None:
    """The exchange never hears of either."""
    budget = Budget([Window("orders", 4, 60)])
    desk = Desk()
    async with sending(desk, budget) as (sender, told):
        for name in "abcd":
            sender.submit(order(name))
        await trio.sleep(0.5)
        sender.cancel(order("d"))
        await trio.sleep(5)
    assert desk.asked == ["place a", "place b", "place c"]
    assert told[-1] == OrderRejected(order_id("d"), "cancelled before it was sent", 1_000)


async def test_what_cannot_leave_in_time_never_leaves(autojump_clock: MockClock) -> None:
    """Sent later, it would come to life after the runtime has asked and been told of no order."""
    budget = Budget([Window("orders", 4, 60)])
    desk = Desk()
    async with sending(desk, budget) as (sender, told):
        for name in "abcde":
            sender.submit(order(name))
        await trio.sleep(3)
        assert [e.reason for e in told if isinstance(e, OrderRejected)] == (
            ["not sent: no room within 1 s"] * 2
        )
        await trio.sleep(120)
    assert len(desk.asked) == 3


async def test_cancels_get_through_where_entries_do_not(autojump_clock: MockClock) -> None:
    """They have a share of the limit, and overtake."""
    budget = Budget([Window("orders", 8, 60)])
    desk = Desk(0.001)
    async with sending(desk, budget) as (sender, _):
        for number in range(20):
            sender.submit(order(f"e{number}"))
        await trio.sleep(0.1)
        sender.cancel(order("x"))
        await trio.sleep(0.1)
        assert desk.asked[-1] == "cancel x"
        assert len(desk.asked) == 7


@pytest.mark.parametrize(
    ("error", "word"),
    [(VenueRefused("insufficient balance"), "insufficient"), (VenueDown("no route"), "no route")],
)
async def test_a_certain_no_is_told(
    autojump_clock: MockClock, error: VenueError, word: str
) -> None:
    """The exchange's own refusal, or that nothing left."""
    desk = Desk()
    desk.fails = {"place": error, "cancel": error}
    async with sending(desk) as (sender, told):
        sender.submit(order("a"))
        sender.cancel(order("b"))
        await trio.sleep(1)
    rejected = next(event for event in told if isinstance(event, OrderRejected))
    refused = next(event for event in told if isinstance(event, CancelRejected))
    assert word in rejected.reason
    assert word in refused.reason


async def test_an_uncertain_end_is_not_told_and_not_sent_again(autojump_clock: MockClock) -> None:
    """The runtime's deadline makes it unknown; only a query may settle it."""
    desk = Desk()
    desk.fails = {"place": VenueError("HTTP 502"), "cancel": VenueError("cut")}
    async with sending(desk) as (sender, told):
        sender.submit(order("a"))
        await trio.sleep(1)
        sender.cancel(order("a"))
        await trio.sleep(60)
    assert desk.asked == ["place a", "cancel a"]
    assert not told
    assert sender.unknown == 2


async def test_bounds(autojump_clock: MockClock) -> None:
    """So many at once, and so many that wait."""
    desk = Desk(1000)
    async with sending(desk) as (sender, _):
        for number in range(MAX_WAITING):
            sender.cancel(order(f"o{number}"))
        with pytest.raises(VenueDown, match="wait to be sent"):
            sender.cancel(order("one more"))
        await trio.sleep(1)
        assert desk.most_under_way == AT_ONCE
        assert sender.waiting == MAX_WAITING - AT_ONCE


async def test_a_lane_is_forgotten_when_it_is_empty(autojump_clock: MockClock) -> None:
    """Memory does not grow with the number of orders."""
    desk = Desk(0.001)
    async with sending(desk) as (sender, _):
        for number in range(1_000):
            sender.submit(order(f"o{number}"))
            sender.cancel(order(f"o{number}"))
            await trio.sleep(0.01)
        assert not sender._lanes
