"""A start at which the venue tells what nothing explains: it does not trade, and says why."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import run_seeded
from tests.support.values import ETH
from tests.support.world import Hand, World, until
from tests.support.wrapped import WrappedVenue
from trade_runtime.errors import VenueDisagrees
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, TradeId, VenueOrderId
from trade_runtime.model.orders import ReportStatus
from trade_runtime.model.records import BalancesTold, OthersHold

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}


def run(function: Callable[..., Awaitable[None]], *args: Any) -> None:
    """Run it in virtual time."""
    run_seeded(1, function, *args)


async def held(world: World, **sections: Any) -> None:
    """A run that buys one unit, has its stop-loss, and stops in order."""
    hand = Hand()
    async with world.open(hand, prices=QUIET, **sections):
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: hand.quantity == 1 and world.resting(protective=True))
    assert 0 == world.report.exit_code


async def start(world: World, hand: Hand, secs: float = 3.0) -> None:
    """Start again, and run for a while."""
    async with world.open(hand, prices=QUIET):
        await trio.sleep(secs)


def with_fill(world: World, **changes: Any) -> Fill:
    """Give the venue another fill, like its last one but for what is given."""
    (*_, last) = world.record.executions
    after = {"trade_id": TradeId("new"), "ts_ns": last.ts_ns + 10**9}
    fill = msgspec.structs.replace(last, **after | changes)
    world.record.executions.append(fill)
    return fill


def last_report(world: World) -> dict[str, Any]:
    """Of a run that may never have been handed out."""
    reports = (world.data_dir / "reports").iterdir()  # by age: virtual time begins anew each time
    newest = max(reports, key=lambda path: path.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads(newest.read_text())
    return found


def refused(world: World, *words: str) -> None:
    """The next start raises one error, which says what and what to do; nothing is sent."""
    before = list(world.history("submit"))
    hand = Hand()
    with pytest.raises(VenueDisagrees) as raised:
        run(start, world, hand)
    message = str(raised.value)
    for word in (*words, "reconcile CONFIG --dry-run", "--accept-venue"):
        assert word in message
    assert [] == hand.stopped, "no strategy was started"
    assert before == world.history("submit")
    report = last_report(world)
    assert 4 == report["exit_code"]
    assert message in report["error"]


def an_order_that_was_never_intended(world: World) -> str:
    fill = with_fill(world)
    tag = fill.client_order_id.rpartition("-")[0]
    unknown = ClientOrderId(f"{tag}-zzz")
    world.record.executions[-1] = msgspec.structs.replace(fill, client_order_id=unknown)
    return f"of order {unknown}, of which the journal has no intent"


def another_fill_of_an_order_that_is_settled(world: World) -> str:
    with_fill(world)
    return f"the position in {ETH} is 2 at the venue, which is 1 more than journal and fills"


def a_fill_that_is_gone(world: World) -> str:
    world.record.executions.pop()
    return f"the position in {ETH} is 0 at the venue, which is 1 less than journal and fills"


@pytest.mark.parametrize(
    "tamper",
    [
        an_order_that_was_never_intended,
        another_fill_of_an_order_that_is_settled,
        a_fill_that_is_gone,
    ],
)
def test_it_is_refused(tmp_path: Path, tamper: Callable[[World], str]) -> None:
    """Once, and at each start after it; what protects the position stays at the venue."""
    world = World(tmp_path)
    run(held, world)
    stops = world.resting(protective=True)
    words = tamper(world)
    refused(world, words)
    refused(world, words)
    assert stops == world.resting(protective=True)


def test_the_report_tells_what_the_journal_knows(tmp_path: Path) -> None:
    """The position and its last stop-loss; that it is protected now, nobody has proven."""
    world = World(tmp_path)
    run(held, world)
    (stop,) = world.resting(protective=True)
    refused(world, an_order_that_was_never_intended(world))
    (position,) = last_report(world)["positions"]
    assert {
        "strategy": "hand",
        "instrument": ETH,
        "quantity": "1",
        "protected": None,
        "stop_order": stop,
    } == position


def test_a_position_is_protected_before_the_exit(tmp_path: Path) -> None:
    """As far as the journal knows it, also where its stop-loss has gone."""
    world = World(tmp_path)
    run(held, world)
    (stop,) = world.resting(protective=True)
    gone = world.record.orders[stop]
    world.record.orders[stop] = msgspec.structs.replace(gone, status=ReportStatus.CANCELLED)
    with_fill(world)
    with pytest.raises(VenueDisagrees):
        run(start, world, Hand())
    (placed,) = world.resting(protective=True)
    assert placed != stop
    assert 4 == last_report(world)["exit_code"]


def test_others_may_trade_on_the_account(tmp_path: Path) -> None:
    """What is foreign is left alone, at each start; and what it hides is not guessed at."""
    world = World(tmp_path)
    run(held, world)
    by_hand = ClientOrderId("by-hand")
    fill = with_fill(world, client_order_id=by_hand, quantity=Decimal(7))
    for _ in range(2):
        hand = Hand()
        run(start, world, hand)
        assert Decimal(1) == hand.quantity
        assert 0 == world.report.exit_code
    (*_, noted) = [event for event in world.journal() if isinstance(event, OthersHold)]
    assert {fill.instrument: Decimal(7)} == noted.quantities


def test_orders_of_others_are_told_once(tmp_path: Path) -> None:
    """And left alone: not cancelled at the start, nor at the stop."""
    world = World(tmp_path)
    run(held, world)
    (stop,) = world.resting(protective=True)
    ours = world.record.orders[stop]
    by_hand = ClientOrderId("by-hand")
    world.record.orders[by_hand] = msgspec.structs.replace(
        ours, client_order_id=by_hand, venue_order_id=VenueOrderId("h"), seq=ours.seq + 100
    )
    with capture_logs() as logs:
        run(start, world, Hand(), 20.0)
    (told,) = [entry for entry in logs if "Orders of others" in entry["event"]]
    assert (1, "by-hand") == (told["orders"], told["first"])
    assert {stop, by_hand} == set(world.resting())
    assert 0 == world.report.exit_code


def test_what_was_there_before_us(tmp_path: Path) -> None:
    """An account that others traded for years, at the first start: noted, and it never refuses;
    what then changes without them does.
    """
    world = World(tmp_path)

    async def by_hand() -> None:
        other = World(tmp_path / "by hand")
        other.record = world.record
        await held(other, runtime={"seed": 2})

    run(by_hand)
    assert world.record.executions
    for _ in range(2):
        run(start, world, Hand())
    assert 0 == world.report.exit_code
    world.record.executions.clear()
    refused(world, f"the position in {ETH} is 0 at the venue, which is 1 less")


def test_a_venue_that_tells_no_positions(tmp_path: Path) -> None:
    """A balance says nothing of whose it is: only fills are held against the journal."""
    world = World(tmp_path)
    world.wrap = WithoutPositions
    run(held, world)
    assert not [event for event in world.journal() if isinstance(event, OthersHold)]
    another_fill_of_an_order_that_is_settled(world)
    run(start, world, Hand())
    words = an_order_that_was_never_intended(world)
    refused(world, words)


class WithoutPositions:
    """Hands on what a spot venue has."""

    def __init__(self, venue: Any) -> None:
        for name in (
            *("submit", "cancel", "amend", "open_orders", "order", "fills", "balances", "run"),
            *("capabilities", "settle_secs"),
        ):
            setattr(self, name, getattr(venue, name))
        self.market_data, self.adopt = venue.market_data, venue.adopt
        self.on_quote, self.on_trade = venue.on_quote, venue.on_trade


def test_a_fill_in_the_midst_of_the_look_is_no_difference(tmp_path: Path) -> None:
    """Orders that rest go on filling while the start asks: it looks again."""
    world = World(tmp_path)

    async def life() -> None:
        hand = Hand()
        async with world.open(hand, prices=QUIET, shutdown={"cancel_orders": False}):
            hand.trader.market(ETH, "buy", "1")
            hand.buy("1", "99")
            await trio.sleep(2)

    run(life)

    class Filling(WrappedVenue):
        """Its market falls between the positions and the fills."""

        async def positions(self) -> Any:
            told = await self._venue.positions()
            world.market.quote(98, 98.5)
            await trio.sleep(0.01)
            return told

    world.wrap = Filling
    hand = Hand()

    async def again() -> None:
        async with world.open(hand, quote=False, prices=QUIET):
            await trio.sleep(1)

    run(again)
    assert Decimal(2) == hand.quantity
    assert 0 == world.report.exit_code


def test_balances_are_noted_when_they_change(tmp_path: Path) -> None:
    """At the start, and at the stop for what was traded since; not at each reconcile."""
    world = World(tmp_path)

    async def life() -> None:
        hand = Hand()
        async with world.open(hand, prices=QUIET, orders={"reconcile_secs": 1}):
            await trio.sleep(10)
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity == 1)

    run(life)
    told = [event for event in world.journal() if isinstance(event, BalancesTold)]
    assert [Decimal(1000), Decimal(1001)] == [event.balances["ETH"] for event in told]  # type: ignore[index]
    rows = world.disk.tables["balances"]
    assert Decimal(1001) == rows["paper", "ETH"][2]
    assert {"ETH", "USDT"} == {currency for _, currency in rows}
