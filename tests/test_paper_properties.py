"""What holds of the paper exchange whatever is asked of it, in whatever order."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paper_world import ETH, World, order_id, quote, spec, trade
from trade_runtime.errors import StoreError
from trade_runtime.model.events import Fill, OrderAccepted, VenueEvent
from trade_runtime.model.ids import Currency
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderReport, OrderSpec, ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper import MemoryRecord, NullRecord, PaperSettings
from trade_runtime.venues.paper.money import affordable, cost, fee_of, plus, rate_of, times
from trade_runtime.venues.paper.record import Step

USDT, BASE = Currency("USDT"), Currency("ETH")

PRICES = st.integers(9_000, 11_000).map(lambda ticks: f"{Decimal(ticks) / 100}")
# Seldom too small to be taken, often too large for what the account holds.
QUANTITIES = st.integers(500, 60_000).map(lambda lots: f"{Decimal(lots) / 10_000}")
SIZES = st.integers(0, 30_000).map(lambda lots: lots / 10_000)
NAMES = st.integers(0, 200).map(lambda number: f"o{number}")
SIDES = st.sampled_from(Side)

GROUPS = st.sampled_from([""] * 3 + ["g", "h"])

ORDERS = st.builds(
    spec,
    NAMES,
    SIDES,
    QUANTITIES,
    st.none() | PRICES,
    trigger=st.none() | PRICES,
    tif=st.sampled_from([TimeInForce.GTC] * 3 + [TimeInForce.IOC, TimeInForce.FOK]),
    post_only=st.sampled_from([False] * 3 + [True]),
    profit=st.booleans(),
    expires=st.sampled_from([0] * 3 + [1_500, 2_500]),
    oco=GROUPS,
)
TRAILING = st.builds(
    spec,
    NAMES,
    SIDES,
    QUANTITIES,
    trigger=st.none() | PRICES,
    trail=st.integers(1, 500).map(lambda ticks: f"{Decimal(ticks) / 100}"),
    oco=GROUPS,
)


@attrs.frozen
class Amend:
    """New numbers for an order that rests, or for one that does not."""

    which: int
    quantity: str
    shift: int


@attrs.frozen
class Cancel:
    """A cancel of an order that rests, or of one that does not."""

    which: int


AMENDS = st.builds(Amend, st.integers(0, 5), QUANTITIES, st.integers(-300, 300))
CANCELS = st.builds(Cancel, st.integers(0, 5))
QUOTES = st.builds(
    lambda bid, spread, bid_size, ask_size: quote(
        bid / 100, (bid + spread) / 100, bid_size, ask_size
    ),
    st.integers(9_000, 11_000),
    st.integers(1, 200),
    SIZES,
    SIZES,
)
TRADES = st.builds(
    lambda ticks, size, side: trade(ticks / 100, size, side),
    st.integers(9_000, 11_000),
    SIZES,
    SIDES,
)
MOMENTS = st.integers(1_000, 3_000)
ACTIONS = st.lists(
    st.one_of(ORDERS, ORDERS, TRAILING, QUOTES, QUOTES, TRADES, CANCELS, AMENDS, MOMENTS),
    min_size=20,
    max_size=80,
)
POOR: dict[str, Decimal] = {USDT: Decimal(700), BASE: Decimal(5)}
FRONT = PaperSettings(balances=POOR)
BACK = PaperSettings(balances=POOR, queue="back", maker_fee_bps=-2, taker_fee_bps=10)


def act(world: World, action: object) -> Sequence[VenueEvent]:
    exchange = world.exchange
    match action:
        case Amend(which=which, quantity=quantity, shift=shift):
            order = nth(world, which)
            moved = [
                None if number is None else number + Decimal(shift) / 100
                for number in (order.price, order.trigger_price)
            ]
            return exchange.amend(
                order.client_order_id,
                quantity=Decimal(quantity),
                price=moved[0],
                trigger_price=moved[1],
            )
        case Cancel(which=which):
            return exchange.cancel(nth(world, which).client_order_id)
        case int(now_ns):
            world.clock.now = max(world.clock.now, now_ns)
            return exchange.expire(world.clock.now)
        case OrderSpec():
            return exchange.submit(action)
        case Quote():
            return exchange.on_quote(action)
        case Trade():
            return exchange.on_trade(action)
    raise AssertionError(action)


def nth(world: World, which: int) -> OrderReport | OrderSpec:
    """An order that rests, while there are so many, else one that nobody knows."""
    resting = world.exchange.open_orders()
    return resting[which] if which < len(resting) else spec("unknown", Side.BUY, "1")


def memory_of(world: World) -> MemoryRecord:
    assert isinstance(world.record, MemoryRecord)
    return world.record


def check(world: World) -> None:
    """Everything that must hold after every step, from the record and from the answers."""
    record, exchange = memory_of(world), world.exchange
    saved = record.load()
    held = {USDT: POOR[USDT], BASE: POOR[BASE]}
    filled: dict[str, Decimal] = {}
    for fill in record.executions:
        notional = times(fill.quantity, fill.price)
        held[BASE] += fill.side.sign * fill.quantity
        held[USDT] -= fill.side.sign * notional + fill.fee
        filled[fill.client_order_id] = filled.get(fill.client_order_id, Decimal(0)) + fill.quantity
    assert saved.balances == exchange.balances() == held
    locked = {BASE: Decimal(0), USDT: Decimal(0)}
    groups: dict[str, Decimal] = {}
    counted: set[str] = set()
    for row in record.orders.values():
        assert filled.get(row.client_order_id, Decimal(0)) == row.filled
        if row.status is ReportStatus.OPEN:
            assert row.filled < row.quantity
            shared = groups.setdefault(row.oco, row.locked) if row.oco else row.locked
            assert shared == row.locked
            if not (row.oco and row.oco in counted):
                locked[USDT if row.side is Side.BUY else BASE] += row.locked
            counted.add(row.oco)
        else:
            assert row.locked == 0
            assert row.status is not ReportStatus.FILLED or row.filled == row.quantity
    for currency, holding in record.balances.items():
        assert 0 <= holding.locked <= holding.total
        assert holding.locked == locked[currency]
    assert [row.report() for row in saved.live] == exchange.open_orders()
    assert [row.seq for row in record.history] == list(range(1, saved.seq + 1))
    accepted = [row.client_order_id for row in record.history if row.event == "accept"]
    assert len(accepted) == len(set(accepted))


@given(ACTIONS)
@settings(max_examples=150, deadline=None)
def test_the_books_balance_after_every_step(actions: list[object]) -> None:
    """Money moves by fills and fees alone, nothing goes below zero, an id is accepted once."""
    for settings_of in (FRONT, BACK):
        world = World(settings=settings_of)
        for action in actions:
            act(world, action)
            check(world)


@given(ACTIONS, st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_a_restart_at_any_point_changes_nothing(actions: list[object], at: int) -> None:
    """An exchange that is restored from its record goes on exactly as one that never stopped.

    What a present quote shows is not in the record, so both see a new quote after the restart.
    """
    stayed, restarted = World(settings=FRONT), World(settings=FRONT)
    fresh = quote(88.88, 111.11, 0.5, 0.5)
    for step, action in enumerate(actions):
        if step == at:
            restarted.reopen()
            for world in (stayed, restarted):
                world.exchange.on_quote(fresh)
        act(stayed, action)
        act(restarted, action)
    assert memory_of(stayed).history == memory_of(restarted).history
    assert memory_of(stayed).orders == memory_of(restarted).orders
    check(restarted)


class BrittleRecord(MemoryRecord):
    """A record whose n-th write fails, having written nothing."""

    def __init__(self, fail_at: int) -> None:
        super().__init__()
        self.left = fail_at

    def write(self, step: Step) -> None:
        self.left -= 1
        if self.left == 0:
            raise StoreError("the disk is full")
        super().write(step)


@given(ACTIONS, st.integers(3, 40))
@settings(max_examples=100, deadline=None)
def test_a_step_that_cannot_be_written_never_was(actions: list[object], fail_at: int) -> None:
    """After a failed write memory equals the record, and the exchange goes on from there."""
    world = World(BrittleRecord(fail_at), settings=FRONT)
    for action in actions:
        with contextlib.suppress(StoreError):
            act(world, action)
        check(world)


@given(ACTIONS)
@settings(max_examples=100, deadline=None)
def test_no_displayed_size_is_taken_twice(actions: list[object]) -> None:
    """All that orders take of one side of the quote, while it stays as it is, is what it shows."""
    world = World()
    shown: dict[Side, tuple[float, float]] = {}
    taken = dict.fromkeys(Side, Decimal(0))
    for action in actions:
        if isinstance(action, Quote):
            sides = {
                Side.BUY: (action.ask, action.ask_size),
                Side.SELL: (action.bid, action.bid_size),
            }
            for side, now in sides.items():
                if shown.get(side) != now:
                    taken[side] = Decimal(0)
            shown = sides
        by_trade = isinstance(action, Trade)
        for event in act(world, action):
            if isinstance(event, Fill) and not (by_trade and event.maker):
                taken[event.side] += event.quantity
        for side, (_, size) in shown.items():
            assert taken[side] <= Decimal(str(size))


@given(
    SIDES,
    st.lists(st.tuples(QUANTITIES, PRICES, st.booleans(), st.booleans()), min_size=2, max_size=4),
    st.lists(st.one_of(QUOTES, TRADES), min_size=5, max_size=60),
)
@settings(max_examples=200, deadline=None)
def test_a_group_fills_no_more_than_its_largest(
    side: Side, orders: list[tuple[str, str, bool, bool]], events: list[object]
) -> None:
    """Whichever of its orders the market meets, and in whichever parts."""
    world = World(settings=FRONT)
    quantities = [Decimal(0)]
    for number, (quantity, price, waits, profit) in enumerate(orders):
        prices = {"trigger": price} if waits else {"price": price}
        order = spec(f"o{number}", side, quantity, oco="g", profit=profit, **prices)  # type: ignore[arg-type]
        if any(isinstance(event, OrderAccepted) for event in act(world, order)):
            quantities.append(order.quantity)
    for event in events:
        act(world, event)
        check(world)
    assert sum(fill.quantity for fill in memory_of(world).executions) <= max(quantities)


@given(SIDES, st.integers(1, 500), st.lists(st.one_of(QUOTES, TRADES), max_size=60))
@settings(max_examples=100, deadline=None)
def test_a_trailing_trigger_never_goes_back(
    side: Side, trail: int, events: list[Quote | Trade]
) -> None:
    """It is where the best price so far puts it, counted from scratch."""
    world = World()
    world.sees(99, 100)
    distance = Decimal(trail) / 100
    assert act(world, spec("a", side, "1", trail=str(distance)))
    expected = Decimal(100) + distance if side is Side.BUY else Decimal(99) - distance
    for event in events:
        act(world, event)
        if "a" not in world.resting:
            break
        if isinstance(event, Quote):
            best = Decimal(str(event.ask if side is Side.BUY else event.bid))
            behind = best + side.sign * distance
            expected = min(expected, behind) if side is Side.BUY else max(expected, behind)
        if memory_of(world).orders[order_id("a")].triggered:
            break
        assert world.trigger("a") == expected


@given(ACTIONS)
@settings(max_examples=100, deadline=None)
def test_a_record_that_keeps_nothing_changes_nothing(actions: list[object]) -> None:
    """A backtest is told what a live run would be, as long as no id comes twice."""
    kept, bare = World(), World(NullRecord())
    for world in (kept, bare):
        world.sees(99, 100)
    seen: set[str] = set()
    for action in actions:
        if isinstance(action, OrderSpec):
            if action.client_order_id in seen:
                continue
            seen.add(action.client_order_id)
        assert act(kept, action) == act(bare, action)
    assert kept.exchange.balances() == bare.exchange.balances()
    assert kept.exchange.open_orders() == bare.exchange.open_orders()


@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=8),
    st.integers(1, 10**8),
    st.integers(0, 99_999),
)
def test_the_parts_of_an_order_never_cost_more_than_the_whole(
    lots: list[int], ticks: int, tenth_bps: int
) -> None:
    """So what a resting order locks pays for its fills, in however many parts they come."""
    price, rate = Decimal(ticks) / 100, rate_of(Decimal(tenth_bps) / 10)
    parts = [times(Decimal(one) / 10_000, price) for one in lots]
    assert sum(cost(part, rate) for part in parts) <= cost(sum(parts, Decimal(0)), rate)


@given(st.integers(0, 10**14), st.integers(1, 10**8), st.integers(0, 99_999))
def test_affordable_is_the_most_that_money_buys(funds: int, ticks: int, tenth_bps: int) -> None:
    money, price = Decimal(funds) / 10**6, Decimal(ticks) / 100
    rate = rate_of(Decimal(tenth_bps) / 10)
    one = Instrument(ETH, BASE, USDT, tick=Decimal("0.01"), lot=Decimal("0.0001"))
    most = affordable(one, money, price, rate)
    more = plus(most, one.lot)
    assert cost(times(most, price), rate) <= money < cost(times(more, price), rate)


@pytest.mark.parametrize(
    ("notional", "bps", "fee"),
    [("100", "10", "0.1"), ("0.00001999", "10", "0.00000001"), ("33.33", "7.5", "0.02499750")],
)
def test_fees_are_rounded_down_to_eight_decimals(notional: str, bps: str, fee: str) -> None:
    assert fee_of(Decimal(notional), rate_of(Decimal(bps))) == Decimal(fee)
