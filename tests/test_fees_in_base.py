"""A spot venue takes its fee out of what was bought: then less is held than was filled, and neither
a stop-loss nor a sale of the whole fill would be taken. Everything here is on an account that holds
nothing else, so the exchange itself would refuse it.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, until
from trade_runtime.machines.ledger import Position
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, StrategyName, TradeId
from trade_runtime.model.orders import OrderType, Side
from trade_runtime.venues.paper.orders import OrderRow

QUIET: dict[str, Any] = {"stale_after_secs": 100_000, "ping_secs": 100_000}
PAPER: dict[str, Any] = {"balances": {"USDT": "1000"}, "fee_bps": 10, "fee_in": "received"}

AMOUNTS = st.integers(1, 5_000).map(lambda n: Decimal(n).scaleb(-3))


def rows(world: World) -> list[OrderRow]:
    return [world.record.orders[one] for one in world.resting()]


def fill(side: Side, quantity: Decimal, fee: Decimal, *, in_base: bool) -> Fill:
    currency = Currency("ETH" if in_base else "USDT")
    return Fill(
        ClientOrderId("a"),
        InstrumentId(ETH),
        TradeId("1"),
        side,
        quantity,
        Decimal(100),
        fee,
        currency,
        maker=False,
        ts_ns=1,
        fee_in_base=in_base,
    )


@given(st.lists(st.tuples(st.sampled_from(list(Side)), AMOUNTS, st.booleans()), max_size=30))
def test_a_position_is_what_is_held(steps: list[tuple[Side, Decimal, bool]]) -> None:
    """The sum of the fills less the fees in base; and its other numbers fit to its sign."""
    position, held = Position(StrategyName("s"), InstrumentId(ETH)), Decimal(0)
    for side, quantity, in_base in steps:
        one = fill(side, quantity, quantity / 1000, in_base=in_base)
        position.apply(one)
        held += one.change
        assert position.quantity == held
        assert bool(position.opened_ns) is bool(held)
        assert bool(position.average_price) is bool(held)
        assert position.average_price in (0, 100)
    assert position.realised == 0


@virtual
async def test_the_stop_covers_what_is_left(tmp_path: Path) -> None:
    """The guard's stop is for what the account holds, in whole lots: no rejection, and covered."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET, paper=PAPER):
        hand.trader.market(ETH, "buy", "1.2345")
        await until(lambda: hand.quantity > 0)
        assert hand.quantity == Decimal("1.2332655")
        await trio.sleep(5)
        (stop,) = rows(world)
        assert (stop.type, stop.quantity) == (OrderType.STOP_MARKET, Decimal("1.2332"))
        assert world.history("reject") == []
    report = world.report
    assert report.outcome == "clean"
    (position,) = report.positions
    assert position["protected"]
    async with world.open(Hand(), prices=QUIET, paper=PAPER):
        await trio.sleep(5)
        assert [stop.client_order_id] == world.resting()
    assert world.report.outcome == "clean"


@virtual
async def test_a_position_is_closed_to_its_last_lot(tmp_path: Path) -> None:
    """What stays is below the lot: no order can be for it, nothing is left to protect."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET, paper=PAPER):
        hand.trader.market(ETH, "buy", "1.2345")
        await until(lambda: hand.quantity > 0)
        await trio.sleep(5)
        hand.trader.flatten(reason="enough")
        await until(lambda: hand.quantity < Decimal("0.0001"))
        await trio.sleep(5)
        assert hand.quantity == Decimal("0.0000655")
        assert hand.trader.closable(ETH) == 0
        assert world.resting() == []
        assert world.history("reject") == []
    assert world.report.outcome == "clean"


@virtual
async def test_the_exits_of_a_bracket_are_for_what_was_received(tmp_path: Path) -> None:
    """The venue takes both, also where the entry fills in parts; none of them is too large."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand, prices=QUIET, paper=PAPER):
        world.market.quote(99, 100, size=0.5)
        await trio.sleep(1)
        hand.trader.bracket(ETH, "buy", "1", price="100", stop="90", target="120")
        await trio.sleep(5)
        world.market.quote(99, 100, size=0.6)
        await trio.sleep(5)
        assert hand.quantity == Decimal("0.999")
        assert {row.quantity for row in rows(world)} == {Decimal("0.999")}
        assert len(rows(world)) == 2
        assert world.history("reject") == []
    assert world.report.outcome == "clean"


def test_an_older_fill_reads_as_before() -> None:
    """A journal from before this knew nothing of it: its fees made no position smaller."""
    told = fill(Side.BUY, Decimal(1), Decimal("0.001"), in_base=True)
    body = msgspec.json.decode(msgspec.json.encode(told))
    body.pop("fee_in_base", None)
    event = msgspec.convert(body, Fill)
    assert not event.fee_in_base
    assert event.change == 1
