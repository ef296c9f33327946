"""Orders: durable before they are sent, never sent twice, resolved by asking the venue."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from tests.support.values import ETH, accepted, closed, fill, rejected, spec
from tests.support.world import Hand, World, settle, until
from trade_runtime.errors import OrderRefused
from trade_runtime.managers.reconcile import MAX_DOUBT_RETRY_SECS
from trade_runtime.model.events import CancelRejected
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.model.orders import ReportStatus
from trade_runtime.model.records import OrderUnknown

ONE = Decimal(1)


def faults(*tables: dict[str, Any]) -> dict[str, Any]:
    return {"faults": list(tables)}


class TestTheWayOut:
    """An intent is durable before a byte of it leaves."""

    @virtual
    async def test_nothing_is_sent_before_its_intent_is_durable(self, tmp_path: Path) -> None:
        """As long as the disk takes: the venue sees nothing. Then at once."""
        world, hand = World(tmp_path), Hand()

        async def slow(operation: str, number: int) -> None:
            if operation == "append":
                await trio.sleep(1)

        async with world.open(hand):
            await trio.sleep(2)
            world.disk.before = slow
            order = hand.buy()
            await trio.sleep(0.9)
            assert ("pending", [], []) == (order.state, world.intents(), world.history("submit"))
            await trio.sleep(0.2)
            assert [order.id] == world.intents()
            await trio.sleep(0.1)
            assert ("open", [order.id]) == (order.state, world.history("accept"))

    @virtual
    async def test_many_intents_are_one_commit(self, tmp_path: Path) -> None:
        """Fifty orders in one handler cost one transaction."""
        world, hand = World(tmp_path), Hand()
        appends: list[int] = []

        async def count(operation: str, number: int) -> None:
            if operation == "append":
                appends.append(number)

        async with world.open(hand):
            await trio.sleep(2)
            world.disk.before = count
            for _ in range(50):
                hand.buy("0.1")
            await settle()
            assert 1 == len(appends)
            await until(lambda: len(world.resting()) == 50)

    @virtual
    async def test_a_cancel_before_the_send_needs_no_venue(self, tmp_path: Path) -> None:
        """Placed and cancelled in one breath: dropped, and the venue never hears of it."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            order = hand.buy()
            hand.trader.cancel(order)
            await trio.sleep(1)
            assert ("dropped", []) == (order.state, world.history("submit"))
            assert ["1 dropped"] == hand.told

    @virtual
    async def test_without_a_connection_nothing_is_taken(self, tmp_path: Path) -> None:
        """Refused with the reason; afterwards it works again."""
        world, hand = World(tmp_path), Hand()
        outage = {"kind": "disconnect", "on": "any", "after_secs": 1.0, "for_secs": 2.0}
        async with world.open(hand, paper=faults(outage), prices={"stale_after_secs": 100}):
            await trio.sleep(1.5)
            with pytest.raises(OrderRefused, match="venue: no connection to paper"):
                hand.buy()
            await trio.sleep(5)
            order = hand.buy()
            await until(lambda: order.state == "open")

    @virtual
    async def test_a_connection_lost_between_intent_and_send(self, tmp_path: Path) -> None:
        """Nothing left the process: the order is dropped, and not sent when it is back."""
        world, hand = World(tmp_path), Hand()
        outage = {"kind": "disconnect", "on": "any", "after_secs": 1.0, "for_secs": 2.0}

        async def slow(operation: str, number: int) -> None:
            if operation == "append" and trio.current_time() > 0.5:
                await trio.sleep(0.5)

        world.disk.before = slow
        async with world.open(hand, paper=faults(outage), prices={"stale_after_secs": 100}):
            await trio.sleep_until(0.9)
            order = hand.buy()
            await trio.sleep(10)
            assert ("dropped", []) == (order.state, world.history("submit"))


class TestUnknownOutcomes:
    """No answer in time: ask, never send again."""

    @virtual
    async def test_a_lost_answer_is_found_by_asking(self, tmp_path: Path) -> None:
        """It rests, but nobody said so: unknown, then open, one submit in all."""
        world, hand = World(tmp_path), Hand()
        lost = {"kind": "drop", "on": "event", "for_secs": 1.0}
        async with world.open(hand, paper=faults(lost), orders={"reconcile_secs": 1000}):
            order = hand.buy()
            await trio.sleep(1.9)
            assert "sent" == order.state
            await until(lambda: order.state == "open")
            assert 2.0 <= trio.current_time() <= 2.5
            assert ["1 unknown", "1 accepted"] == hand.told
        assert [order.id] == world.history("submit")
        assert [order.id] == [
            e.client_order_id for e in world.journal() if isinstance(e, OrderUnknown)
        ]

    @virtual
    async def test_a_lost_submit_is_dropped_once_the_venue_must_know(self, tmp_path: Path) -> None:
        """Unknown as long as it may be on its way; then the venue's no is proof."""
        world, hand = World(tmp_path), Hand()
        tables = (
            {"kind": "drop", "on": "submit"},
            {"kind": "delay", "on": "submit", "delay_ms": 4_000},
        )
        async with world.open(hand, paper=faults(*tables), prices={"stale_after_secs": 100}):
            began = trio.current_time()
            order = hand.buy()
            await until(lambda: order.state == "unknown")
            assert [order] == hand.trader.open_orders()
            await until(lambda: order.state == "dropped")
            assert 4.0 <= trio.current_time() - began <= 4.1 + MAX_DOUBT_RETRY_SECS
        assert (["1 unknown", "1 dropped"], []) == (hand.told, world.history("submit"))

    @virtual
    async def test_an_unknown_order_counts_at_its_worst(self, tmp_path: Path) -> None:
        """It may rest: another of its size would be too much."""
        world, hand = World(tmp_path), Hand()
        lost = {"kind": "drop", "on": "any", "after_secs": 0.5}
        async with world.open(
            hand,
            paper=faults(lost),
            risk={"max_position": {ETH: "1"}},
            prices={"stale_after_secs": 100},
        ):
            await trio.sleep(1)
            order = hand.buy()
            await until(lambda: order.state == "unknown")
            with pytest.raises(OrderRefused, match="could reach 2"):
                hand.buy()

    @virtual
    async def test_a_submit_delivered_twice_is_one_order(self, tmp_path: Path) -> None:
        """The network repeats it: one order, told once."""
        world, hand = World(tmp_path), Hand()
        twice = {"kind": "duplicate", "on": "any"}
        async with world.open(hand, paper=faults({**twice, "on": "submit"})):
            order = hand.buy()
            await trio.sleep(1)
            assert ("open", [order.id]) == (order.state, world.resting())
            assert ["1 accepted"] == hand.told


class TestCancels:
    """Asked for until the venue proves the order gone."""

    @virtual
    async def test_a_lost_cancel_is_repeated(self, tmp_path: Path) -> None:
        """The strategy asks once."""
        world, hand = World(tmp_path), Hand()
        lost = {"kind": "drop", "on": "cancel", "for_secs": 5.0}
        async with world.open(hand, paper=faults(lost), prices={"stale_after_secs": 100}):
            order = hand.buy()
            await until(world.resting)
            hand.trader.cancel(order)
            await until(lambda: order.ended)
            assert 5.0 <= trio.current_time() <= 7.0
            assert ["1 accepted", "1 cancelled"] == hand.told

    @virtual
    async def test_a_refused_cancel_is_asked_about(self, tmp_path: Path) -> None:
        """The venue says no for a while: told, asked about, tried again."""
        world, hand = World(tmp_path), Hand()
        no = {"kind": "reject", "on": "cancel", "for_secs": 2.0}
        async with world.open(hand, paper=faults(no), prices={"stale_after_secs": 100}):
            order = hand.buy()
            await until(world.resting)
            hand.trader.cancel(order)
            await until(lambda: order.ended)
            assert "1 cancel_rejected" in hand.told
            assert "1 cancelled" == hand.told[-1]

    @virtual
    async def test_a_cancel_that_comes_too_late(self, tmp_path: Path) -> None:
        """It filled meanwhile: the fill counts, the cancel changes nothing."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            order = hand.buy("1", "99")
            await until(world.resting)
            hand.trader.cancel(order)
            world.market.quote(98, 98.5)
            await trio.sleep(1)
            assert ("filled", ONE) == (order.state, hand.quantity)
            hand.trader.cancel(order)
            await trio.sleep(1)
            assert "filled" == order.state


class TestTheWayBack:
    """What a venue tells, late, twice and out of order."""

    @virtual
    async def test_every_event_twice(self, tmp_path: Path) -> None:
        """Each fill once in the position, each change once to the strategy."""
        world, hand = World(tmp_path), Hand()
        twice = {"kind": "duplicate", "on": "event"}
        async with world.open(hand, paper=faults(twice)):
            hand.trader.market(ETH, "buy", "1")
            hand.trader.cancel(hand.buy())
            other = hand.buy()
            await trio.sleep(0.1)
            hand.trader.cancel(other)
            await trio.sleep(1)
            assert (ONE, 1) == (hand.quantity, len(hand.fills))
            assert world.trading.orders.duplicates > 0
            assert ["1 accepted", "1 filled"] == [t for t in hand.told if t.startswith("1 ")]
            assert ["3 accepted", "3 cancelled"] == [t for t in hand.told if t.startswith("3 ")]

    @virtual
    async def test_a_fill_overtaken_by_the_end_of_its_order(self, tmp_path: Path) -> None:
        """Closed as executed in part, the fill still under way: asked for, then settled."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, paper={"latency_ms": 50}):
            order = hand.buy("2", "99")
            await until(world.resting)
            orders = world.trading.orders
            orders.on_event(closed(order.id, ReportStatus.CANCELLED, "1"))
            assert (True, False) == (order.ended, order.settled)
            orders.on_event(fill(order.id, "1", "99", trade_id="late"))
            assert (True, ONE, "cancelled") == (order.settled, hand.quantity, order.state)
            assert order.id not in orders.trading.orders
            world.exchange.cancel(order.id)

    @virtual
    async def test_what_cannot_be_is_ignored_and_said(self, tmp_path: Path) -> None:
        """A venue that talks nonsense changes nothing and stops nothing."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand) as runtime:
            order = hand.buy()
            await until(world.resting)
            before = world.trading.orders.trading.hash()
            seq = runtime.state and runtime.state.seq
            with capture_logs() as logs:
                world.trading.orders.on_event(rejected(order.id))
                world.trading.orders.on_event(fill(order.id, "5"))
                world.trading.orders.on_event(fill(f"{order.id}zz", "1"))
            assert before == world.trading.orders.trading.hash()
            assert seq == (runtime.state and runtime.state.seq)
            assert 3 == len([line for line in logs if line["log_level"] == "error"])

    @virtual
    async def test_orders_of_others_are_none_of_our_business(self, tmp_path: Path) -> None:
        """Placed by hand on the same account: neither booked nor ever cancelled."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            world.exchange.submit(spec("web-1", hand.buy_side, "1", "90"))
            for event in (accepted("web-1"), fill("web-1"), closed("web-1")):
                world.trading.orders.on_event(event)
            (reconciler,) = world.trading.reconcilers.values()
            await reconciler.reconcile()
            assert ["web-1"] == list(reconciler.foreign)
            assert (Decimal(0), []) == (hand.quantity, hand.told)
        assert ["web-1"] == world.resting()
        assert 0 == world.report.exit_code

    @virtual
    async def test_late_words_about_a_settled_order(self, tmp_path: Path) -> None:
        """It is gone from mind: whatever comes changes nothing."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            hand.trader.market(ETH, "buy", "1")
            await until(lambda: hand.quantity == 1)
            (done,) = world.history("fill")
            told = list(hand.told)
            for event in (
                accepted(done),
                rejected(done),
                closed(done, ReportStatus.FILLED, "1"),
                CancelRejected(done, "late", 1),
                fill(done, trade_id="again"),
            ):
                world.trading.orders.on_event(event)
            assert (ONE, told) == (hand.quantity, hand.told)

    @virtual
    async def test_partial_fills_are_told_one_by_one(self, tmp_path: Path) -> None:
        """As much as is displayed each time; the average over all of them."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand):
            order = hand.buy("3", "99")
            await until(world.resting)
            for bid in (98.0, 97.0, 96.0):
                world.market.quote(bid, bid + 0.5, size=1.0)
            await trio.sleep(0.1)
            assert ["1 accepted", "1 filled", "1 filled", "1 filled"] == hand.told
            assert ("filled", Decimal(99)) == (order.state, order.average_price)

    @virtual
    async def test_a_rejection_is_told_with_the_venues_words(self, tmp_path: Path) -> None:
        """It never rested; nothing of it counts any more."""
        world, hand = World(tmp_path), Hand()
        async with world.open(hand, paper={"balances": {"USDT": "10"}}):
            order = hand.buy()
            await until(lambda: order.ended)
            assert ("rejected", "insufficient balance") == (order.state, order.reason)
            assert ["1 rejected"] == hand.told
            assert 0 == world.trading.orders.trading.exposure.live_orders


@virtual
async def test_ids_are_ours_alone(tmp_path: Path) -> None:
    """Tag and number: the same order of calls gives the same ids."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand):
        ids = [hand.buy().id for _ in range(3)]
        tag = world.trading.orders.trading.tag
    assert [ClientOrderId(f"{tag}-{n}") for n in (1, 2, 3)] == ids
