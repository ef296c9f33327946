"""The breakers: what trips, when, and what a restart remembers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import BTC, BUY, ETH, RULES, SELL, USDT, accepted, fill, quote, spec
from trade_runtime.machines.breakers import PEAK_STEPS, BreakerLimits, Breakers
from trade_runtime.machines.pace import DAY_NS
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.orders import Side
from trade_runtime.model.records import (
    JournalEvent,
    LatchCleared,
    LatchSet,
    OrderSent,
    ProfitMarked,
    RuntimeStarted,
    TradingMode,
)

HUNDRED = {USDT: Decimal(100)}
SECOND_NS = 1_000_000_000
NOON_NS = 20_000 * DAY_NS + DAY_NS // 2


class Desk:
    """A journal, its fold, and breakers on it; `restart` folds the journal anew."""

    def __init__(self, *, multiplier: str = "1", **limits: Any) -> None:
        self.limits = BreakerLimits(**limits)
        self.multiplier = Decimal(multiplier)
        self.journal: list[JournalEvent] = []
        self.now_ns = NOON_NS
        self.trades = 0
        self.state = TradingState()
        self.record(RuntimeStarted("test", "t", "0", "host", 1))
        self.begin()

    def record(self, event: JournalEvent) -> Any:
        self.journal.append(event)
        return self.state.apply(event)

    def begin(self) -> None:
        self.tripped: list[str] = []
        self.breakers = Breakers(self.limits, self.state, self.record, self.tripped.append)
        eth = attrs.evolve(RULES, multiplier=self.multiplier)
        self.breakers.watch({ETH: eth, BTC: attrs.evolve(eth, id=BTC, base=Currency("BTC"))})
        self.breakers.step(self.now_ns)

    def restart(self) -> None:
        """What a new process knows is what the journal says."""
        state = TradingState()
        for event in self.journal:
            state.apply(event)
        assert state.hash() == self.state.hash()
        self.state = state
        self.begin()

    def trade(
        self,
        side: Side,
        quantity: str = "1",
        price: str = "1000",
        *,
        instrument: InstrumentId = ETH,
        fee: str = "0",
        strategy: str = "maker",
    ) -> None:
        """Fill an order at a price."""
        asked = spec(
            self.state.next_order_id(), side, quantity, instrument=instrument, strategy=strategy
        )
        order = self.record(asked)
        self.record(OrderSent(order.id))
        self.record(accepted(order.id))
        self.trades += 1
        done = fill(
            order.id,
            quantity,
            price,
            trade_id=self.trades,
            side=side,
            instrument=instrument,
            fee=fee,
        )
        self.record(msgspec.structs.replace(done, multiplier=self.multiplier))
        self.breakers.on_fill(self.now_ns)

    def quote(self, bid: float, ask: float | None = None, instrument: InstrumentId = ETH) -> None:
        tap = self.breakers.tap(instrument)
        if tap is not None:
            tap(quote(bid, bid if ask is None else ask, instrument=instrument))

    def resume(self) -> None:
        self.record(LatchCleared("operator", "seen"))
        self.breakers.resumed()

    @property
    def marks(self) -> list[ProfitMarked]:
        return [event for event in self.journal if isinstance(event, ProfitMarked)]


class TestDailyLoss:
    """Since 00:00 UTC, open positions and fees counted."""

    def test_a_realised_loss(self) -> None:
        """At the limit it trips; a cent before it does not."""
        desk = Desk(max_daily_loss=HUNDRED)
        desk.trade(BUY)
        desk.trade(SELL, price="900.01")
        assert [] == desk.tripped
        desk.trade(BUY)
        desk.trade(SELL, price="999.99")
        (reason,) = desk.tripped
        assert "lost 100.00 USDT since 00:00 UTC" in reason
        assert "max_daily_loss 100" in reason

    def test_fees_are_losses(self) -> None:
        """50 in fees and 50 in prices."""
        desk = Desk(max_daily_loss=HUNDRED)
        desk.trade(BUY, fee="25")
        desk.quote(1000)
        desk.trade(SELL, price="950", fee="24.99")
        assert [] == desk.tripped
        desk.trade(BUY, quantity="0.001", fee="0.01")
        assert desk.tripped

    def test_an_open_loss_by_quotes_alone(self) -> None:
        """A long position is worth the bid, a short one costs the ask."""
        desk = Desk(max_daily_loss=HUNDRED)
        desk.quote(1000)
        desk.trade(BUY)
        desk.quote(900.01, 2000)
        assert [] == desk.tripped
        desk.quote(900.00, 2000)
        assert 1 == len(desk.tripped)

        desk = Desk(max_daily_loss=HUNDRED)
        desk.quote(1000)
        desk.trade(SELL)
        desk.quote(1, 1099.99)
        assert [] == desk.tripped
        desk.quote(1, 1100.0)
        assert 1 == len(desk.tripped)

    def test_it_trips_once_until_it_is_resumed(self) -> None:
        """Quotes that go on falling change nothing; a resume counts from there."""
        desk = Desk(max_daily_loss=HUNDRED)
        desk.quote(1000)
        desk.trade(BUY)
        for bid in (900.0, 890.0, 880.0):
            desk.quote(bid)
        assert 1 == len(desk.tripped)
        desk.resume()
        desk.quote(780.01)
        assert 1 == len(desk.tripped)
        desk.quote(780.0)
        assert 2 == len(desk.tripped)

    def test_a_new_day_counts_anew(self) -> None:
        """What is open is carried over at its value of then."""
        desk = Desk(max_daily_loss=HUNDRED)
        desk.quote(1000)
        desk.trade(BUY)
        desk.quote(910)
        desk.now_ns += DAY_NS
        desk.breakers.step(desk.now_ns)
        desk.quote(811)
        assert [] == desk.tripped
        desk.quote(810)
        assert 1 == len(desk.tripped)

    def test_a_restart_forgets_no_loss(self) -> None:
        """Lost 60, killed, lost 40 more: the same day, the same count."""
        desk = Desk(max_daily_loss=HUNDRED)
        desk.quote(1000)
        desk.trade(BUY)
        desk.trade(SELL, price="970")
        desk.trade(BUY)
        desk.quote(970)
        desk.restart()
        desk.quote(930.01)
        assert [] == desk.tripped
        desk.quote(930)
        assert 1 == len(desk.tripped)

    def test_what_has_had_no_quote_is_waited_for(self) -> None:
        """After a restart nobody knows what is open is worth, until both have had a quote."""
        desk = Desk(max_daily_loss=HUNDRED)
        desk.quote(1000)
        desk.quote(1000, instrument=BTC)
        desk.trade(BUY)
        desk.trade(BUY, instrument=BTC)
        desk.restart()
        desk.quote(890)
        assert (None, []) == (desk.breakers.profit(USDT), desk.tripped)
        desk.quote(1000, instrument=BTC)
        assert 1 == len(desk.tripped)

    def test_other_currencies_are_another_matter(self) -> None:
        """A limit in EUR does not look at what is quoted in USDT."""
        desk = Desk(max_daily_loss={Currency("EUR"): Decimal(1)})
        desk.trade(BUY)
        desk.trade(SELL, price="1")
        assert [] == desk.tripped
        assert desk.breakers.tap(ETH) is None

    def test_a_contract_counts_by_its_multiplier(self) -> None:
        """Ten units of a tenth are one."""
        desk = Desk(max_daily_loss=HUNDRED, multiplier="0.1")
        desk.quote(1000)
        desk.trade(BUY, "10")
        desk.quote(900.01)
        assert [] == desk.tripped
        desk.trade(SELL, "10", "900.01")
        assert [] == desk.tripped
        desk.quote(1000)
        desk.trade(BUY, "10")
        desk.quote(999.99)
        assert 1 == len(desk.tripped)


class TestDrawdown:
    """From the highest profit."""

    def test_from_a_peak_that_only_quotes_made(self) -> None:
        """Up 500 on paper, then down 100 from there."""
        desk = Desk(max_drawdown=HUNDRED)
        desk.quote(1000)
        desk.trade(BUY)
        for bid in (1200.0, 1500.0, 1400.01):
            desk.quote(bid)
        assert [] == desk.tripped
        desk.quote(1400)
        (reason,) = desk.tripped
        assert "profit fell by 100" in reason
        assert "max_drawdown 100" in reason

    def test_a_rally_makes_few_records(self) -> None:
        """One for each twentieth of the limit, not one for each quote."""
        desk = Desk(max_drawdown=HUNDRED)
        desk.quote(1000)
        desk.trade(BUY)
        for step in range(1_000):
            desk.quote(1000 + step / 10)
        assert len(desk.marks) <= 2 + PEAK_STEPS

    def test_a_restart_remembers_the_peak(self) -> None:
        """To within a twentieth of the limit."""
        desk = Desk(max_drawdown=HUNDRED)
        desk.quote(1000)
        desk.trade(BUY)
        for step in range(1_001):
            desk.quote(1000 + step / 10)
        desk.restart()
        desk.quote(1005)
        assert [] == desk.tripped
        desk.quote(995)
        assert 1 == len(desk.tripped)

    def test_a_resume_counts_from_there(self) -> None:
        """In this process, and after one that was stopped and resumed from outside."""
        for restarts in (False, True):
            desk = Desk(max_drawdown=HUNDRED)
            desk.quote(1000)
            desk.trade(BUY)
            desk.quote(900)
            assert 1 == len(desk.tripped)
            desk.record(LatchSet(TradingMode.HALTED, desk.tripped[0], "risk"))
            if restarts:
                desk.record(LatchCleared("operator", ""))
                desk.restart()
            else:
                desk.resume()
            desk.tripped.clear()
            desk.quote(890)
            desk.quote(801)
            assert [] == desk.tripped
            desk.quote(790)
            assert 1 == len(desk.tripped)


class TestStreakAndRejects:
    """Round trips that lost, and orders that venues do not want."""

    def lose(self, desk: Desk, price: str = "999", **how: Any) -> None:
        desk.trade(BUY, **how)
        desk.trade(SELL, price=price, **how)

    def test_losses_in_a_row(self) -> None:
        """A win ends the row; one that neither won nor lost does not."""
        desk = Desk(max_loss_streak=3)
        self.lose(desk)
        self.lose(desk)
        self.lose(desk, price="1001")
        self.lose(desk)
        self.lose(desk, price="1000")
        self.lose(desk)
        assert [] == desk.tripped
        self.lose(desk, strategy="taker")
        assert ["3 round trips in a row lost: max_loss_streak 3"] == desk.tripped

    def test_fees_make_a_loss_of_a_gain(self) -> None:
        """Won 1, paid 2."""
        desk = Desk(max_loss_streak=1)
        self.lose(desk, price="1001", fee="1")
        assert desk.tripped

    def test_a_trip_ends_where_the_position_turns(self) -> None:
        """From long 1 to short 1: the long one lost. In parts it is still one trip."""
        desk = Desk(max_loss_streak=2)
        desk.trade(BUY, "2")
        desk.trade(SELL, "1", "999")
        assert 0 == desk.state.profits.streak
        desk.trade(SELL, "2", "999")
        assert 1 == desk.state.profits.streak
        desk.trade(BUY, "1", "1010")
        assert 2 == desk.state.profits.streak

    def test_a_restart_goes_on_counting_and_a_resume_begins_anew(self) -> None:
        """In the middle of a trip, too."""
        desk = Desk(max_loss_streak=2)
        self.lose(desk)
        desk.trade(BUY)
        desk.restart()
        desk.trade(SELL, price="999")
        assert 1 == len(desk.tripped)
        desk.restart()
        assert 1 == len(desk.tripped), "a process that died before it acted acts now"
        desk.resume()
        self.lose(desk)
        assert 1 == len(desk.tripped)

    def test_a_storm_of_rejects(self) -> None:
        """Three within ten seconds; three within eleven are none."""
        desk = Desk(max_rejects=3, rejects_window_secs=10.0)
        for secs in (0, 5, 11, 14.9):
            desk.breakers.on_reject(NOON_NS + round(secs * SECOND_NS))
        assert 1 == len(desk.tripped)
        assert "venues rejected 3 orders within 10 s: max_rejects 3" == desk.tripped[0]
        desk.resume()
        desk.breakers.on_reject(NOON_NS + 15 * SECOND_NS)
        assert 1 == len(desk.tripped)

    def test_without_a_limit_nothing_is_watched(self) -> None:
        """No tap on the quotes, no record, no trip."""
        desk = Desk()
        assert desk.breakers.tap(ETH) is None
        desk.breakers.on_reject(0)
        assert [] == desk.marks
        assert not BreakerLimits().any


@pytest.mark.parametrize("which", ["max_daily_loss", "max_drawdown"])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("quote"), st.sampled_from([ETH, BTC]), st.integers(950, 1050)),
            st.tuples(st.sampled_from(["buy", "sell"]), st.sampled_from([ETH, BTC]), st.just(0)),
            st.tuples(st.just("restart"), st.just(ETH), st.just(0)),
        ),
        max_size=40,
    )
)
def test_it_trips_when_an_exact_count_from_scratch_says_so(
    which: str, actions: list[tuple[str, InstrumentId, int]]
) -> None:
    """However quotes, fills and restarts come: the floats on the way never decide, or miss it."""
    limits: dict[str, Any] = {which: HUNDRED}
    desk = Desk(**limits)
    bids = {ETH: 1000, BTC: 1000}
    positions = {ETH: 0, BTC: 0}
    cash, peak = 0, 0
    for instrument in bids:
        desk.quote(1000, instrument=instrument)
    for what, instrument, bid in actions:
        if what == "quote":
            bids[instrument] = bid
            desk.quote(bid, instrument=instrument)
        elif what == "restart":
            desk.restart()
            # What was highest is now what was written down: up to a twentieth lower.
            peak = min(peak, int(desk.marks[-1].peak))
            for at, price in bids.items():
                desk.quote(price, instrument=at)
        else:
            sign = 1 if what == "buy" else -1
            cash -= sign * bids[instrument]
            positions[instrument] += sign
            desk.trade(Side(what), price=str(bids[instrument]), instrument=instrument)
        profit = cash + sum(positions[i] * bids[i] for i in bids)
        peak = max(peak, profit)
        lost = -profit if which == "max_daily_loss" else peak - profit
        assert (lost >= 100) == bool(desk.tripped)
        if desk.tripped:
            return
        assert desk.breakers.profit(USDT) == profit
