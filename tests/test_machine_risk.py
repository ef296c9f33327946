"""The limits of the gate beyond position and size: pace, price, age, exposure, and the latch."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import BTC, BUY, ETH, RULES, SELL, USDT, accepted, fill, spec
from trade_runtime.errors import OrderRefused
from trade_runtime.machines.limits import RiskLimits
from trade_runtime.machines.order import Order
from trade_runtime.machines.restriction import opening_orders, stricter
from trade_runtime.machines.risk import RiskGate
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ZERO, Side
from trade_runtime.model.records import OrderSent, RuntimeStarted, TradingMode

MAKER = StrategyName("maker")
SECOND_NS = 1_000_000_000


class Markets:
    """ETH at 99 / 101, BTC at 999 / 1001, both quoted in USDT."""

    def __init__(self) -> None:
        self.instruments: Mapping[InstrumentId, Instrument] = {
            ETH: RULES,
            BTC: attrs.evolve(RULES, id=BTC, base=Currency("BTC")),
        }
        self.prices: dict[InstrumentId, tuple[Decimal, Decimal]] = {
            ETH: (Decimal(99), Decimal(101)),
            BTC: (Decimal(999), Decimal(1001)),
        }
        self.age_secs: float | None = 0.0

    def market_price(self, instrument: InstrumentId, side: Side) -> Decimal | None:
        found = self.prices.get(instrument)
        return None if found is None else found[side is BUY]

    def last_price(self, instrument: InstrumentId) -> Decimal | None:
        return self.market_price(instrument, BUY)

    def quote_age_secs(self, instrument: InstrumentId) -> float | None:
        return self.age_secs


class Desk:
    """A gate and the state that it looks at; what passes is recorded."""

    def __init__(self, **limits: Any) -> None:
        self.state = TradingState()
        self.state.apply(RuntimeStarted("test", "t", "0", "host", 1))
        self.markets = Markets()
        self.gate = RiskGate(RiskLimits(**limits), self.state.exposure, self.markets)
        self.trades = 0

    def place(
        self, side: Side = BUY, quantity: str | Decimal = "1", *, secs: float = 0.0, **how: Any
    ) -> Order:
        """Ask the gate at a moment, then record the intent."""
        changes = {name: how.pop(name) for name in ("reduce_only", "type") if name in how}
        asked = spec(self.state.next_order_id(), side, quantity, **how)
        now_ns = round((1_000 + secs) * SECOND_NS)
        asked = msgspec.structs.replace(asked, created_ns=now_ns, **changes)
        rules = self.markets.instruments[asked.instrument]
        self.gate.check(asked, rules, self.markets.market_price(asked.instrument, side))
        order = self.state.apply(asked)
        assert order is not None
        self.gate.passed(asked)
        return order

    def fill(self, order: Order) -> Order:
        self.state.apply(OrderSent(order.id))
        self.state.apply(accepted(order.id))
        self.trades += 1
        self.state.apply(
            fill(
                order.id,
                order.remaining,
                trade_id=self.trades,
                side=order.side,
                instrument=order.instrument,
            )
        )
        return order

    def hold(self, side: Side, quantity: str = "1", **how: Any) -> None:
        """Have an order filled."""
        self.fill(self.place(side, quantity, **how))

    def position(self, instrument: InstrumentId = ETH) -> Decimal:
        return self.state.ledger.position(MAKER, instrument).quantity


def refusal(desk: Desk, *args: Any, **how: Any) -> tuple[str, str]:
    """The reason and the words with which an order is refused."""
    with pytest.raises(OrderRefused) as caught:
        desk.place(*args, **how)
    return caught.value.reason, caught.value.detail


class TestPace:
    """So many in a second, in a minute, and not the same one twice."""

    def test_the_window_slides(self) -> None:
        """Two a second: the third waits until a second after the first."""
        desk = Desk(max_orders_per_sec=2)
        desk.place(secs=0)
        desk.place(secs=0.6)
        reason, detail = refusal(desk, secs=0.999)
        assert "risk" == reason
        assert "2 orders and cancels within a second: max_orders_per_sec 2" == detail
        desk.place(secs=1.0)
        assert "max_orders_per_sec" in refusal(desk, secs=1.5)[1]

    def test_a_minute_has_its_own_limit(self) -> None:
        """Slow enough for each second, too many for the minute."""
        desk = Desk(max_orders_per_sec=2, max_orders_per_min=3)
        for secs in (0, 10, 20):
            desk.place(secs=secs)
        assert "max_orders_per_min 3" in refusal(desk, secs=59)[1]
        desk.place(secs=60)

    def test_stops_and_cancels_count_and_are_never_held_back(self) -> None:
        """They use up the pace of the entries; nothing uses up theirs. So do closing orders."""
        desk = Desk(max_orders_per_sec=1)
        desk.hold(BUY, secs=0)
        desk.place(SELL, protective=True, secs=2)
        desk.place(SELL, protective=True, secs=2)
        desk.place(SELL, reduce_only=True, secs=2)
        assert "max_orders_per_sec" in refusal(desk, secs=2.5)[1]
        desk.gate.cancelled(5 * SECOND_NS + 1_000 * SECOND_NS)
        assert "max_orders_per_sec" in refusal(desk, secs=5.5)[1]

    def test_a_refused_order_costs_nothing(self) -> None:
        """Only what passed and was recorded counts."""
        desk = Desk(max_orders_per_sec=1, max_order_quantity={ETH: Decimal(1)})
        refusal(desk, BUY, "2", secs=0)
        desk.place(secs=0)

    def test_a_clock_that_is_set_back_holds_nothing_up(self) -> None:
        """An hour back: what was counted then lies in the future."""
        desk = Desk(max_orders_per_min=1, duplicate_secs=10)
        desk.place(secs=3_600)
        desk.place(secs=0)

    def test_an_identical_order_is_kept_out_for_so_long(self) -> None:
        """The same in all that matters; another price, side or strategy is another order."""
        desk = Desk(duplicate_secs=2)
        desk.place(secs=0)
        for other in ({"price": "99"}, {"side": SELL}, {"strategy": "taker"}, {"quantity": "2"}):
            how: dict[str, Any] = {"side": BUY, "secs": 0.5, **other}
            desk.place(**how)
        reason, detail = refusal(desk, secs=1.5)
        assert ("risk", "an identical order passed 1.500 s ago: duplicate_secs 2") == (
            reason,
            detail,
        )
        desk.place(secs=2.0)

    @given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 5))
    def test_no_second_ever_has_more(self, gaps_ms: list[int], limit: int) -> None:
        """Whatever the moments: of those that pass, no second holds more than the limit."""
        desk = Desk(max_orders_per_sec=limit)
        now = 0
        passed: list[int] = []
        for gap in gaps_ms:
            now += gap
            try:
                desk.place(secs=now / 1000)
            except OrderRefused:
                assert limit <= sum(now - 1000 < at <= now for at in passed)
            else:
                passed.append(now)
        for at in passed:
            assert sum(at - 1000 < other <= at for other in passed) <= limit


class TestPrices:
    """How far from the market an order may reach, and how old the market may be."""

    @pytest.mark.parametrize(
        ("side", "price", "passes"),
        [
            (BUY, "106.05", True),  # 5 % above the ask
            (BUY, "106.06", False),
            (BUY, "1", True),  # far below: it rests, and hurts nobody
            (SELL, "94.05", True),
            (SELL, "94.04", False),
            (SELL, "1000", True),
        ],
    )
    def test_the_collar(self, side: Side, price: str, passes: bool) -> None:
        """Only on the side that hurts; its last price passes."""
        desk = Desk(price_collar_pct=Decimal(5))
        if passes:
            desk.place(side, "10", price=price)
        else:
            reason, detail = refusal(desk, side, "10", price=price)
            assert "risk" == reason
            assert "price_collar_pct 5 off the market" in detail

    def test_a_trigger_is_held_to_it_too(self) -> None:
        """A stop that would buy at 200 is a slip; a protective one is never held back."""
        desk = Desk(price_collar_pct=Decimal(5))
        assert "a buy at 200" in refusal(desk, BUY, price=None, trigger="200")[1]
        desk.place(SELL, protective=True, trigger="10")

    def test_a_market_order_needs_a_market(self) -> None:
        """2 % wide: refused at a collar of 1; so is one that would close a position."""
        desk = Desk(price_collar_pct=Decimal(1))
        assert "the spread of ETHUSDT.paper, 99 to 101" in refusal(desk, price=None)[1]
        assert "risk" == refusal(desk, SELL, price=None, reduce_only=True)[0]
        desk.markets.prices[ETH] = Decimal("100.9"), Decimal(101)
        desk.place(price=None)
        del desk.markets.prices[ETH]
        assert "stale" == refusal(desk, price="100")[0]

    def test_an_old_quote_is_none(self) -> None:
        """Its age since it came counts; what closes a position does not wait for another."""
        desk = Desk(max_quote_age_secs=2.0)
        desk.hold(BUY)
        desk.markets.age_secs = 2.5
        assert refusal(desk) == (
            "stale",
            "the last quote of ETHUSDT.paper is 2.500 s old: max_quote_age_secs 2",
        )
        desk.place(SELL, reduce_only=True)
        desk.markets.age_secs = None
        assert "no quote of ETHUSDT.paper has come yet" == refusal(desk)[1]


class TestExposure:
    """All positions of one quote currency together."""

    def test_it_adds_up_over_instruments(self) -> None:
        """One ETH at 101 and one BTC at 1001, whatever their limit prices say."""
        desk = Desk(max_exposure={USDT: Decimal(1_103)})
        desk.hold(BUY)
        desk.place(BUY, instrument=BTC, price="900")
        reason, detail = refusal(desk, BUY, "0.1")
        assert "risk" == reason
        assert "exposure in USDT could reach 1112.1: above max_exposure 1103" in detail
        desk.place(SELL, reduce_only=True)

    def test_what_has_no_price_cannot_be_added_up(self) -> None:
        """Nothing new is opened until it has one."""
        desk = Desk(max_exposure={USDT: Decimal(10_000)})
        desk.hold(BUY, instrument=BTC)
        del desk.markets.prices[BTC]
        assert ("stale", "no quote of BTCUSDT.paper to value it by") == refusal(desk)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([ETH, BTC]), st.sampled_from(Side), st.integers(1, 4), st.booleans()
            ),
            max_size=30,
        )
    )
    def test_no_fills_exceed_it(self, orders: list[tuple[InstrumentId, Side, int, bool]]) -> None:
        """At each step the furthest that all live orders could lead to is within the limit."""
        most = Decimal(3_000)
        desk = Desk(max_exposure={USDT: most})
        for instrument, side, quantity, fills in orders:
            try:
                order = desk.place(side, str(quantity), instrument=instrument)
            except OrderRefused:
                continue
            if fills:
                desk.fill(order)
            total = ZERO
            for at, price in ((ETH, 101), (BTC, 1001)):
                held = sum((p.quantity for p in desk.state.ledger if p.instrument == at), ZERO)
                live = [o for o in desk.state.live() if o.instrument == at]
                up = held + sum((o.remaining for o in live if o.side is BUY), ZERO)
                down = held - sum((o.remaining for o in live if o.side is SELL), ZERO)
                total += max(abs(up), abs(down)) * price
            assert total <= most


class TestTheLatch:
    """What each mode lets leave."""

    def test_reduce_only_lets_out_what_closes(self) -> None:
        """Flagged or not; nothing that opens, enlarges or turns over."""
        desk = Desk()
        desk.hold(BUY, "2")
        desk.gate.mode, desk.gate.mode_reason = TradingMode.REDUCE_ONLY, "too many losses"
        assert refusal(desk, BUY) == (
            "reduce_only",
            "an order may only make a position smaller: too many losses",
        )
        assert "reduce_only" == refusal(desk, SELL, "2.1")[0]
        assert "reduce_only" == refusal(desk, SELL, "1", strategy="taker")[0]
        desk.place(SELL, "1.5")
        assert "reduce_only" == refusal(desk, SELL, "1")[0], "together they would turn it over"
        desk.place(SELL, "0.5", price=None)

    def test_halted_lets_out_stops_alone(self) -> None:
        """And no stop larger than its position."""
        desk = Desk()
        desk.hold(BUY, "2")
        desk.gate.mode, desk.gate.mode_reason = TradingMode.HALTED, "lost 100"
        assert ("halted", "trading is halted: lost 100") == refusal(desk, SELL, reduce_only=True)
        assert "halted" == refusal(desk, SELL, "3", protective=True)[0]
        desk.place(SELL, "2", protective=True)

    def test_what_the_runtime_closes_passes_it(self) -> None:
        """Also of a strategy that has failed; nothing else may be placed there meanwhile."""
        desk = Desk()
        desk.hold(BUY, "2")
        desk.gate.mode = TradingMode.HALTED
        desk.gate.stopped[MAKER] = "failed"
        desk.gate.closing[MAKER, ETH] = "flatten"
        assert "reduce_only" == refusal(desk, SELL, "2", protective=True)[0]
        assert "the position is being closed: flatten" == refusal(desk, BUY)[1]
        desk.place(SELL, "2", price=None, reduce_only=True)

    def test_which_mode_is_stricter(self) -> None:
        """Halted is stricter than reduce-only, which is stricter than active."""
        active, reduce_only, halted = TradingMode
        assert stricter(halted, reduce_only)
        assert stricter(reduce_only, active)
        assert not stricter(reduce_only, halted)
        assert not stricter(halted, halted)

    @given(
        st.integers(-4, 4),
        st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 4), st.booleans()), max_size=20),
    )
    def test_reduce_only_never_enlarges(
        self, held: int, orders: list[tuple[Side, int, bool]]
    ) -> None:
        """Whatever is asked for, and whatever of it fills, all together too: only smaller."""
        desk = Desk()
        if held:
            desk.hold(BUY if held > 0 else SELL, str(abs(held)))
        desk.gate.mode = TradingMode.REDUCE_ONLY
        sign = 1 if held > 0 else -1
        for side, quantity, fills in orders:
            before = desk.position()
            try:
                order = desk.place(side, str(quantity))
            except OrderRefused:
                continue
            if fills:
                desk.fill(order)
            worst = desk.position() + sum(
                (o.side.sign * o.remaining for o in desk.state.live()), ZERO
            )
            assert 0 <= worst * sign <= before * sign


@given(
    st.integers(-4, 4),
    st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 4)), max_size=12),
)
def test_what_reduce_only_leaves_resting_only_closes(
    held: int, orders: list[tuple[Side, int]]
) -> None:
    """Of orders from before: those that stay could all fill and would not turn the position."""
    desk = Desk()
    if held:
        desk.hold(BUY if held > 0 else SELL, str(abs(held)))
    placed = [desk.place(side, str(quantity)) for side, quantity in orders]
    gone = opening_orders(placed, lambda s, i: desk.state.ledger.position(s, i).quantity)
    left = sum((o.side.sign * o.quantity for o in placed if o not in gone), ZERO)
    assert 0 <= (held + left) * (1 if held > 0 else -1) <= abs(held)


def test_the_size_of_one_order() -> None:
    """By notional and by quantity; what closes a position may be of any size."""
    desk = Desk(max_order_notional=Decimal(150), max_order_quantity={ETH: Decimal(2)})
    assert "notional 202 is above max_order_notional 150" == refusal(desk, BUY, "2", price=None)[1]
    assert "max_order_quantity 2" in refusal(desk, BUY, "3", price="10")[1]
    for _ in range(3):
        desk.hold(BUY, price=None)
    desk.place(SELL, "3", price=None, reduce_only=True)
