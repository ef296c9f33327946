"""What holds of the paper exchange whatever is asked of it, in whatever order."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paper_world import BALANCES, ETH, World, order_id, quote, spec, trade
from trade_runtime.errors import StoreError
from trade_runtime.model.ids import Currency
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ReportStatus, Side, TimeInForce
from trade_runtime.venues.paper import MemoryRecord, PaperExchange
from trade_runtime.venues.paper.money import affordable, cost, fee_of, plus, rate_of, times
from trade_runtime.venues.paper.record import Step

USDT, BASE = Currency("USDT"), Currency("ETH")

PRICES = st.integers(9_000, 11_000).map(lambda ticks: f"{Decimal(ticks) / 100}")
QUANTITIES = st.integers(1, 60_000).map(lambda lots: f"{Decimal(lots) / 10_000}")
SIZES = st.integers(0, 30_000).map(lambda lots: lots / 10_000)
NAMES = st.integers(0, 30).map(lambda number: f"o{number}")
SIDES = st.sampled_from(Side)

ORDERS = st.builds(
    spec,
    NAMES,
    SIDES,
    QUANTITIES,
    st.none() | PRICES,
    trigger=st.none() | PRICES,
    tif=st.sampled_from([TimeInForce.GTC] * 3 + [TimeInForce.IOC, TimeInForce.FOK]),
    post_only=st.sampled_from([False] * 3 + [True]),
)
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
CANCELS = NAMES.map(order_id)
ACTIONS = st.lists(st.one_of(ORDERS, QUOTES, QUOTES, TRADES, CANCELS), min_size=20, max_size=80)


def act(exchange: PaperExchange, action: object) -> None:
    kind = type(action).__name__
    call = {"OrderSpec": "submit", "Quote": "on_quote", "Trade": "on_trade", "str": "cancel"}[kind]
    getattr(exchange, call)(action)


def memory_of(world: World) -> MemoryRecord:
    assert isinstance(world.record, MemoryRecord)
    return world.record


def check(world: World) -> None:
    """Everything that must hold after every step, from the record and from the answers."""
    record, exchange = memory_of(world), world.exchange
    saved = record.load()
    held = dict(BALANCES)
    filled: dict[str, Decimal] = {}
    for fill in record.executions:
        notional = times(fill.quantity, fill.price)
        held[BASE] += fill.side.sign * fill.quantity
        held[USDT] -= fill.side.sign * notional + fill.fee
        filled[fill.client_order_id] = filled.get(fill.client_order_id, Decimal(0)) + fill.quantity
    assert saved.balances == exchange.balances() == held
    locked = {BASE: Decimal(0), USDT: Decimal(0)}
    for row in record.orders.values():
        assert filled.get(row.client_order_id, Decimal(0)) == row.filled <= row.quantity
        assert (row.filled == row.quantity) is (row.status is ReportStatus.FILLED)
        if row.status is ReportStatus.OPEN:
            locked[USDT if row.side is Side.BUY else BASE] += row.locked
        else:
            assert row.locked == 0
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
    world = World()
    for action in actions:
        act(world.exchange, action)
        check(world)


@given(ACTIONS, st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_a_restart_at_any_point_changes_nothing(actions: list[object], at: int) -> None:
    """An exchange that is restored from its record goes on exactly as one that never stopped.

    What a present quote shows is not in the record, so both see a new quote after the restart.
    """
    stayed, restarted = World(), World()
    fresh = quote(88.88, 111.11, 0.5, 0.5)
    for step, action in enumerate(actions):
        if step == at:
            restarted.reopen()
            for world in (stayed, restarted):
                world.exchange.on_quote(fresh)
        act(stayed.exchange, action)
        act(restarted.exchange, action)
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
    world = World(BrittleRecord(fail_at))
    for action in actions:
        with contextlib.suppress(StoreError):
            act(world.exchange, action)
        check(world)


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
