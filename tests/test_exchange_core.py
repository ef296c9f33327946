"""The exchange's core: numbered orders, client ids, groups, the switch, and its own record."""

from __future__ import annotations

import io
import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import trio

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.clock import ExchangeClock
from trade_runtime.exchange.core import Exchange
from trade_runtime.exchange.faults import About, Faults, Maintenance, ServerError, parse_fault
from trade_runtime.exchange.kinds import spot
from trade_runtime.exchange.limits import Limits, Window
from trade_runtime.exchange.market import Market
from trade_runtime.exchange.record import Record, without_secrets
from trade_runtime.exchange.switch import Switches
from trade_runtime.exchange.views import NewOrder, Refused, Update, What, Why
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import BookLevels, Quote
from trade_runtime.model.orders import OrderType, ReportStatus, Side, TimeInForce
from trade_runtime.serving import Cut
from trade_runtime.venues.paper import PaperSettings

D = Decimal


class Bench:
    """An exchange with a market that the test moves, and what it told and wrote."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        clock = ExchangeClock(TrioClock())
        self.record = Record(self.file, TrioClock())
        settings = PaperSettings(balances={"USDT": D(100_000), "BTC": D(10)})
        listed = {"BTCUSDT": spot("BTCUSDT", "BTC", "USDT")}
        self.exchange = Exchange(listed, settings, clock, self.record)
        self.market = Market(self.exchange)
        self.heard: list[Update] = []
        self._listening = self.exchange.listening(self.heard.append)
        self._listening.__enter__()
        self.quote(100, 101)

    def quote(self, bid: float, ask: float, size: float = 5) -> None:
        self.market.on_quote(Quote(InstrumentId("BTCUSDT.exchange"), 0, bid, ask, size, size))

    def limit(self, price: int, quantity: str = "1", client_id: str = "a", **more: Any) -> NewOrder:
        side = more.pop("side", Side.BUY)
        return NewOrder("BTCUSDT", side, OrderType.LIMIT, D(quantity), client_id, D(price), **more)

    def told(self) -> list[tuple[What, str]]:
        return [(one.what, one.order.client_id) for update in self.heard for one in update.changes]

    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.file.getvalue().splitlines()]


async def test_an_order_lives_and_is_told_of() -> None:
    """Accepted, then filled when the market comes; the balances say so."""
    bench = Bench()
    order = bench.exchange.place(bench.limit(99))
    assert order.open
    assert D(99) < bench.exchange.balances()["USDT"].locked
    bench.quote(97, 98)
    known = bench.exchange.order(order.order_id)
    assert known is not None
    assert (ReportStatus.FILLED, D(1), D(99)) == (known.status, known.filled, known.cost)
    assert [(What.ACCEPTED, "a"), (What.FILLED, "a")] == bench.told()
    assert D(11) == bench.exchange.balances()["BTC"].total
    assert not bench.exchange.open_orders()
    assert ["a"] == [fill.client_id for fill in bench.exchange.fills("BTCUSDT")]


async def test_an_id_is_taken_again_once_its_order_has_ended() -> None:
    """So a resend after a fill makes a second order, as on a real venue; the record shows it."""
    bench = Bench()
    first = bench.exchange.place(bench.limit(101))
    assert not first.open
    second = bench.exchange.place(bench.limit(90))
    with pytest.raises(Refused) as refused:
        bench.exchange.place(bench.limit(91))
    assert Why.DUPLICATE is refused.value.why
    assert first.order_id != second.order_id
    assert second == bench.exchange.by_client_id("a")
    accepted = [one["order_id"] for one in bench.lines() if one["event"] == "accept"]
    assert [first.order_id, second.order_id] == accepted


async def test_one_of_a_group_ends_the_other() -> None:
    """A fill of one expires the other, and a cancel of one ends both."""
    for ends in ("fill", "cancel"):
        bench = Bench()
        profit = bench.exchange.place(bench.limit(110, client_id="p", side=Side.SELL, group="g"))
        stop = NewOrder(
            "BTCUSDT",
            Side.SELL,
            OrderType.STOP_MARKET,
            D(1),
            "s",
            trigger_price=D(90),
            group="g",
        )
        bench.exchange.place(stop)
        if ends == "fill":
            bench.quote(111, 112)
        else:
            bench.exchange.cancel(profit)
        other = bench.exchange.by_client_id("s")
        assert other is not None
        assert (ReportStatus.EXPIRED, D(1)) == (other.status, other.quantity)
        assert (What.EXPIRED, "s") == bench.told()[-1]
        assert What.AMENDED not in [what for what, _ in bench.told()]


async def test_refusals_say_why_and_change_nothing() -> None:
    """Each reason has its kind."""
    bench = Bench()
    tries = {
        Why.NO_FUNDS: bench.limit(99, "2000"),
        Why.BAD_NUMBERS: bench.limit(99, "0.00001"),
        Why.WOULD_TAKE: bench.limit(105, post_only=True),
        Why.UNKNOWN_SYMBOL: NewOrder("XUSDT", Side.BUY, OrderType.LIMIT, D(1), "x", D(1)),
        Why.WOULD_TRIGGER: NewOrder(
            "BTCUSDT", Side.SELL, OrderType.STOP_MARKET, D(1), "x", trigger_price=D(200)
        ),
    }
    for why, new in tries.items():
        with pytest.raises(Refused) as refused:
            bench.exchange.place(new)
        assert why is refused.value.why
    with pytest.raises(Refused, match="no thanks"):
        bench.exchange.place(bench.limit(99), refuse="no thanks")
    assert not bench.exchange.open_orders()
    assert D(0) == bench.exchange.balances()["USDT"].locked


async def test_an_amend_and_a_date() -> None:
    """Numbers that are not named stay; an order with a date ends by itself."""
    bench = Bench()
    order = bench.exchange.place(bench.limit(99, "2"))
    changed = bench.exchange.amend(order, quantity=D(1))
    assert (D(1), D(99)) == (changed.quantity, changed.price)
    with pytest.raises(Refused):
        bench.exchange.amend(order, quantity=D("0.00001"))
    now_ns = bench.exchange.clock.now_ns()
    dated = bench.exchange.place(
        bench.limit(98, client_id="d", tif=TimeInForce.GTD, expire_ns=now_ns + 10**7)
    )
    await trio.sleep(0.02)
    bench.exchange.expire()
    ended = bench.exchange.order(dated.order_id)
    assert ended is not None
    assert ReportStatus.EXPIRED is ended.status


async def test_the_switch_fires_once_and_spares_what_it_is_told(autojump_clock: object) -> None:
    """It cancels by its own timer when nobody tells it to wait."""
    bench = Bench()
    switches = Switches(bench.exchange, lambda order: order.client_id == "stop")
    bench.exchange.place(bench.limit(90))
    bench.exchange.place(bench.limit(91, client_id="stop"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(switches.run)
        switches.arm("BTCUSDT", 10)
        await trio.sleep(9)
        switches.arm("BTCUSDT", 10)
        await trio.sleep(9)
        assert 2 == len(bench.exchange.open_orders())
        await trio.sleep(2)
        assert ["stop"] == [one.client_id for one in bench.exchange.open_orders()]
        switches.arm(None, 5)
        switches.arm(None, 0)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    told = [one["event"] for one in bench.lines() if one["event"].startswith("switch")]
    assert ["switch_armed"] * 2 + ["switch_fired", "switch_armed", "switch_disarmed"] == told


async def test_a_whole_book_is_told_as_what_changed() -> None:
    """Ids follow each other without a gap, whoever moves the market."""
    bench = Bench()
    changes: list[Any] = []

    class Ears:
        def on_quote(self, *_: object) -> None: ...
        def on_trade(self, *_: object) -> None: ...
        def on_depth(self, change: Any) -> None:
            changes.append(change)

    one = InstrumentId("BTCUSDT.exchange")
    with bench.market.listening(Ears()):
        levels = ((D(100), D(1)), (D(99), D(1)))
        bench.market.on_book(BookLevels(one, 0, 5, levels, ((D(101), D(1)),), snapshot=True))
        bench.market.on_book(BookLevels(one, 0, 7, ((D(99), D(0)),), ()))
        bench.market.on_book(BookLevels(one, 0, 7, levels, ((D(101), D(1)),), snapshot=True))
    assert [(1, 5, 0), (6, 7, 5), (8, 8, 7)] == [
        (change.first_id, change.last_id, change.previous_id) for change in changes
    ]
    assert levels == bench.market.tapes["BTCUSDT"].depth(5)[0]


async def test_faults_strike_as_often_as_they_say(autojump_clock: object) -> None:
    """Before, after, so many times, of these requests, for so long."""
    faults = Faults(random.Random(1), Record(None, TrioClock()))
    done: list[int] = []

    async def act() -> int:
        done.append(1)
        return 7

    faults.add(parse_fault("error_before_accept:count=1"))
    with pytest.raises(ServerError):
        await faults.around(About.ORDER, act)
    assert not done
    faults.add(parse_fault("drop_after_accept:count=1"))
    assert 7 == await faults.around(About.QUERY, act)
    with pytest.raises(Cut):
        await faults.around(About.ORDER, act)
    assert 2 == len(done)
    faults.add(parse_fault("maintenance:5"))
    with pytest.raises(Maintenance):
        await faults.around(About.QUERY, act)
    await trio.sleep(6)
    faults.add(parse_fault("slow_answers:250,on=query"))
    began = trio.current_time()
    assert 7 == await faults.around(About.QUERY, act)
    assert 0.25 == pytest.approx(trio.current_time() - began)
    faults.clear()
    assert [] == faults.listed()


@pytest.mark.parametrize(
    "text", ["drop_after", "delay_events", "slow_answers:-1", "cut_sockets:1,2", "drop:on=x"]
)
async def test_a_fault_that_makes_no_sense_is_refused(text: str) -> None:
    """In one sentence."""
    with pytest.raises(ConfigError, match="fault"):
        parse_fault(text)


async def test_limits_refuse_and_then_ban(autojump_clock: object) -> None:
    """429 while the window is full, 418 for who goes on, and a new window after that."""
    window = Window("weight", 10, 60)
    limits = Limits([window], ban_after=2)
    await trio.sleep(60 - trio.current_time() % 60)
    assert limits.take({"weight": 10}) is None
    first = limits.take({"weight": 1})
    assert first is not None
    assert not first.banned
    assert first.retry_secs == pytest.approx(60)
    await trio.sleep(61)
    assert limits.take({"weight": 1}) is None
    assert 1 == limits.used(window)
    told = [limits.take({"weight": 10}) for _ in range(3)]
    assert [False, False, True] == [one.banned for one in told if one is not None]
    assert limits.take({"weight": 1}) is not None


def test_secrets_are_not_written() -> None:
    """Whatever lies within whatever."""
    told = {"symbol": "X", "signature": "abc", "params": {"token": "t", "list": [{"apiKey": "k"}]}}
    hidden = {"symbol": "X", "signature": "***"}
    assert {**hidden, "params": {"token": "***", "list": [{"apiKey": "***"}]}} == without_secrets(
        told
    )
