"""The wire between a runtime and the paper exchange, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.paper_world import (
    BALANCES,
    ETH,
    ETHUSDT,
    PAPER,
    Notes,
    environment,
    placed,
    quote,
    spec,
    told,
    trade,
)
from trade_runtime.errors import StoreError, VenueDown, VenueError, VenueRefused
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.model.events import VenueEvent
from trade_runtime.model.orders import ReportStatus, Side
from trade_runtime.protocols import MarketDriven, Venue
from trade_runtime.venues.paper import (
    FaultSettings,
    MemoryRecord,
    PaperExchange,
    PaperSettings,
    PaperVenue,
    make_exchange,
    plugin,
)
from trade_runtime.venues.paper import wire as wire_module
from trade_runtime.venues.paper.record import Step

LATENCY_SECS = 0.02


@attrs.define
class Sink:
    """What the venue told, and when."""

    heard: list[tuple[float, str]] = attrs.field(factory=list)

    def on_event(self, event: VenueEvent) -> None:
        self.heard.append((round(trio.current_time() - self.begin, 6), told([event])))

    begin: float = attrs.field(factory=trio.current_time)

    @property
    def words(self) -> list[str]:
        return [words for _, words in self.heard]


def new_exchange(record: MemoryRecord | None = None) -> PaperExchange:
    exchange = PaperExchange(
        PAPER, record or MemoryRecord(), TrioClock(), PaperSettings(balances=BALANCES)
    )
    exchange.adopt([ETHUSDT])
    exchange.on_quote(quote(99, 100))
    return exchange


def new_venue(
    *faults: FaultSettings, exchange: PaperExchange | None = None, seed: int = 1
) -> PaperVenue:
    return PaperVenue(
        exchange or new_exchange(),
        PaperSettings(faults=faults),
        environment(TrioClock(), seed=seed),
    )


@asynccontextmanager
async def running(venue: PaperVenue, sink: Sink) -> AsyncIterator[None]:
    """The connection held in the background, from up to down."""
    async with trio.open_nursery() as nursery:
        await nursery.start(hold, venue, sink)
        yield
        nursery.cancel_scope.cancel()


async def hold(
    venue: PaperVenue, sink: Sink, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    await venue.run(sink, task_status.started)


def test_is_what_the_contract_asks_for() -> None:
    """Checked by the type checker, and at run time where the protocol allows."""

    async def main() -> None:
        venue = new_venue()
        port: Venue = venue
        assert isinstance(port, MarketDriven)
        assert port.market_data is None

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def run_until_it_breaks(
    venue: PaperVenue, sink: Sink, then: Callable[[], None], match: str = "disconnected"
) -> None:
    """Connect, do `then`, and wait until the connection ends by itself."""

    async def run(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with pytest.raises(VenueError, match=match):
            await venue.run(sink, task_status.started)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        then()


class TestLatency:
    async def test_requests_take_their_time_and_answers_none(
        self, autojump_clock: MockClock
    ) -> None:
        """A request sent at 20 ms reaches the exchange at 40 ms; what it tells comes at once."""
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            await trio.sleep(0.01)
            venue.cancel(placed("a"))
            await trio.sleep(1)
        assert sink.heard == [(0.04, "a accepted"), (0.05, "a cancelled 0")]

    async def test_the_market_may_move_while_an_order_is_under_way(
        self, autojump_clock: MockClock
    ) -> None:
        """It is matched against the quote of its arrival, not of its sending."""
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1"))
            venue.on_quote(quote(109, 110))
            await trio.sleep(1)
        assert sink.words == ["a accepted", "a took 1 @ 110", "a filled 1"]

    async def test_the_market_meets_resting_orders_at_once(self, autojump_clock: MockClock) -> None:
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            await trio.sleep(1)
            venue.on_trade(trade(98, 0.4, Side.SELL))
            venue.on_quote(quote(97, 98))
        assert sink.heard[1:] == [
            (1.02, "a made 0.4 @ 98"),
            (1.02, "a made 0.6 @ 98"),
            (1.02, "a filled 1"),
        ]

    async def test_a_query_never_overtakes_a_request(self, autojump_clock: MockClock) -> None:
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            for number in range(20):
                venue.submit(spec(f"o{number}", Side.BUY, "0.1", "98"))
                assert await venue.order(placed(f"o{number}")) is not None
            assert len(await venue.open_orders()) == 20

    async def test_queries_answer_from_the_record(self, autojump_clock: MockClock) -> None:
        """Also before the connection is up: a restarted runtime asks first."""
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1"))
            await trio.sleep(1)
        again = new_venue(exchange=venue.exchange)
        report = await again.order(placed("a"))
        assert report is not None
        assert report.status is ReportStatus.FILLED
        [fill] = await again.fills(0)
        assert fill.instrument == ETH
        assert (await again.balances()) == {
            "USDT": Decimal("9899.9"),
            "ETH": Decimal(6),
        }
        assert await again.fills(fill.ts_ns + 1) == []
        assert await again.order(placed("b")) is None


class TestMoments:
    """To the nanosecond: what is due at a moment comes after its market and before the next."""

    NS = 1e-9

    async def test_a_request_arrives_after_the_market_of_its_nanosecond(
        self, autojump_clock: MockClock
    ) -> None:
        """Whichever task wakes first: the order is matched against the quote of that moment."""
        for _ in range(5):
            venue, sink = new_venue(), Sink()
            async with running(venue, sink):
                due = trio.current_time() + LATENCY_SECS
                venue.submit(spec("a", Side.BUY, "1"))
                await trio.sleep_until(round(due * 1e9) / 1e9)
                venue.on_quote(quote(109, 110))
                await trio.sleep(1)
            assert sink.words[1] == "a took 1 @ 110"

    async def test_and_before_the_market_of_the_next(self, autojump_clock: MockClock) -> None:
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            due = trio.current_time() + LATENCY_SECS
            venue.submit(spec("a", Side.BUY, "1"))
            await trio.sleep_until(due + self.NS)
            venue.on_quote(quote(109, 110))
        assert sink.words[1] == "a took 1 @ 100"

    async def test_a_late_task_does_not_let_the_market_overtake(
        self, autojump_clock: MockClock
    ) -> None:
        """The quote comes first to run, a moment after the request was due: it waits its turn."""
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1"))
            autojump_clock.jump(1.0)
            venue.on_quote(quote(109, 110))
            assert sink.words[1] == "a took 1 @ 100"

    async def test_a_query_does_not_pull_a_request_ahead_of_the_market(
        self, autojump_clock: MockClock
    ) -> None:
        venue, sink = new_venue(), Sink()
        async with running(venue, sink), trio.open_nursery() as nursery:
            due = round((trio.current_time() + LATENCY_SECS) * 1e9) / 1e9
            venue.submit(spec("a", Side.BUY, "1"))
            nursery.start_soon(venue.balances)
            await trio.sleep_until(due)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            venue.on_quote(quote(109, 110))
        assert sink.words[1] == "a took 1 @ 110"

    async def test_an_order_ends_at_its_date(self, autojump_clock: MockClock) -> None:
        """By the venue's own task, while nothing else happens."""
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            now_ns = TrioClock().now_ns()
            venue.submit(spec("a", Side.BUY, "1", "98", expires=now_ns + 500_000_000))
            await trio.sleep(10)
        assert sink.heard[1:] == [(0.52, "a expired 0 (its date has come)")]

    async def test_what_is_overdue_at_a_start_is_over_when_asked(
        self, autojump_clock: MockClock
    ) -> None:
        venue = new_venue()
        async with running(venue, Sink()):
            now_ns = TrioClock().now_ns()
            venue.submit(spec("a", Side.BUY, "1", "98", expires=now_ns + 500_000_000))
            await trio.sleep(0.1)
        await trio.sleep(10)
        again = new_venue(exchange=venue.exchange)
        assert await again.open_orders() == []


class TestAmends:
    async def test_arrive_after_the_latency(self, autojump_clock: MockClock) -> None:
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            venue.amend(placed("a"), quantity=Decimal(2), price=Decimal(97), trigger_price=None)
            await trio.sleep(1)
            [report] = await venue.open_orders()
        assert sink.heard == [(0.04, "a accepted"), (0.04, "a amended 2 97")]
        assert (report.quantity, report.price) == (Decimal(2), Decimal(97))

    async def test_may_be_lost_or_refused(self, autojump_clock: MockClock) -> None:
        lost = FaultSettings(kind="drop", on="amend", for_secs=1.0)
        refused = FaultSettings(kind="reject", on="amend", after_secs=1.0)
        venue, sink = new_venue(lost, refused), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            for _ in range(2):
                venue.amend(placed("a"), quantity=Decimal(2), price=Decimal(97), trigger_price=None)
                await trio.sleep(1)
        assert sink.words == ["a accepted", "a amend rejected (refused by a configured fault)"]

    async def test_need_a_connection(self, autojump_clock: MockClock) -> None:
        with pytest.raises(VenueDown):
            new_venue().amend(
                placed("a"), quantity=Decimal(2), price=Decimal(97), trigger_price=None
            )


class TestConnection:
    async def test_nothing_leaves_without_one(self, autojump_clock: MockClock) -> None:
        venue = new_venue()
        with pytest.raises(VenueDown, match="not connected"):
            venue.submit(spec("a", Side.BUY, "1"))
        with pytest.raises(VenueDown):
            venue.cancel(placed("a"))

    async def test_what_has_left_arrives_though_the_sender_is_gone(
        self, autojump_clock: MockClock
    ) -> None:
        """The connection is closed at once; the order still reaches the exchange when due."""
        venue, sink = new_venue(), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
        assert [request.client_order_id for request in venue.in_flight()] == ["a"]
        assert venue.exchange.open_orders() == []
        assert await venue.order(placed("a")) is not None
        assert sink.words == []

    async def test_leaving_lets_everything_under_way_arrive(
        self, autojump_clock: MockClock, tmp_path: Path
    ) -> None:
        settings = PaperSettings(balances={"USDT": Decimal(1_000)})
        env = environment(TrioClock(), tmp_path)
        async with plugin.open(PAPER, settings, env) as venue:
            venue.adopt([ETHUSDT])
            async with running(venue, Sink()):
                venue.submit(spec("a", Side.BUY, "1", "98"))
        async with plugin.open(PAPER, settings, env) as venue:
            [order] = await venue.open_orders()
            assert order.client_order_id == "a"
        assert isinstance(env.log, Notes)
        assert env.log.lines == []

    async def test_a_test_may_take_what_is_under_way(self, autojump_clock: MockClock) -> None:
        """A killed incarnation is gone; what it had sent reaches the exchange it leaves behind."""
        venue = new_venue()
        async with running(venue, Sink()):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            venue.cancel(placed("a"))
        first, second = venue.in_flight()
        assert told(first.reach(venue.exchange)) == "a accepted"
        assert told(second.reach(venue.exchange)) == "a cancelled 0"

    async def test_the_wire_is_bounded(
        self, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wire_module, "MAX_IN_FLIGHT", 2)
        venue = new_venue()
        async with running(venue, Sink()):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            venue.submit(spec("b", Side.BUY, "1", "98"))
            with pytest.raises(VenueDown, match="requests are under way already"):
                venue.submit(spec("c", Side.BUY, "1", "98"))

    async def test_a_record_that_fails_ends_the_connection(self, autojump_clock: MockClock) -> None:
        """Nothing of the request happened, and the next connection finds the exchange whole."""

        class Failing(MemoryRecord):
            broken = False

            def write(self, step: Step) -> None:
                if self.broken:
                    raise StoreError("the disk is full")
                super().write(step)

        record = Failing()
        venue, sink = new_venue(exchange=new_exchange(record)), Sink()

        def send() -> None:
            record.broken = True
            venue.submit(spec("a", Side.BUY, "1", "98"))

        await run_until_it_breaks(venue, sink, send, "the disk is full")
        record.broken = False
        async with running(venue, sink):
            assert await venue.order(placed("a")) is None
            venue.submit(spec("a", Side.BUY, "1", "98"))
            await trio.sleep(1)
        assert sink.words == ["a accepted"]


class TestAccount:
    async def test_an_account_that_exists_wins_over_the_configuration(
        self, autojump_clock: MockClock
    ) -> None:
        record, env = MemoryRecord(), environment(TrioClock())
        make_exchange(PAPER, PaperSettings(balances={"USDT": Decimal(5)}), record, env)
        richer = PaperSettings(balances={"USDT": Decimal(5_000_000)})
        exchange = make_exchange(PAPER, richer, record, env)
        assert exchange.balances() == {"USDT": Decimal(5)}
        assert isinstance(env.log, Notes)
        [(level, event, _)] = env.log.lines
        assert (level, event.partition(";")[0]) == ("warning", "the account exists already")


class TestFaults:
    async def test_a_lost_acknowledgement_leaves_the_order_resting(
        self, autojump_clock: MockClock
    ) -> None:
        venue, sink = new_venue(FaultSettings(kind="drop", on="event")), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            await trio.sleep(10)
            assert sink.words == []
            report = await venue.order(placed("a"))
            assert report is not None
            assert report.status is ReportStatus.OPEN

    async def test_a_lost_cancel_never_arrives(self, autojump_clock: MockClock) -> None:
        venue, sink = new_venue(FaultSettings(kind="drop", on="cancel")), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            await trio.sleep(1)
            venue.cancel(placed("a"))
            await trio.sleep(100)
            assert len(await venue.open_orders()) == 1
        assert sink.words == ["a accepted"]

    async def test_a_lost_query_fails_within_its_bound(self, autojump_clock: MockClock) -> None:
        venue = new_venue(FaultSettings(kind="drop", on="query"))
        begin = trio.current_time()
        with pytest.raises(VenueError, match="no answer"):
            await venue.open_orders()
        assert trio.current_time() - begin == pytest.approx(5.02)

    async def test_a_delayed_submit_arrives_late_but_within_settle_secs(
        self, autojump_clock: MockClock
    ) -> None:
        """The answer "no such order" proves nothing for as long as the venue itself says."""
        delay = FaultSettings(kind="delay", on="submit", delay_ms=700)
        venue, sink = new_venue(delay), Sink()
        assert venue.settle_secs == pytest.approx(0.72)
        async with running(venue, sink):
            sent = trio.current_time()
            venue.submit(spec("a", Side.BUY, "1", "98"))
            assert await venue.order(placed("a")) is None
            await trio.sleep_until(sent + venue.settle_secs)
            assert await venue.order(placed("a")) is not None

    async def test_a_delayed_event_comes_after_a_later_one(self, autojump_clock: MockClock) -> None:
        late = FaultSettings(kind="delay", on="event", delay_ms=100, for_secs=0.045)
        venue, sink = new_venue(late), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            await trio.sleep(0.01)
            venue.cancel(placed("a"))
            await trio.sleep(1)
        assert sink.heard == [(0.05, "a cancelled 0"), (0.14, "a accepted")]

    async def test_a_doubled_submit_makes_one_order(self, autojump_clock: MockClock) -> None:
        venue, sink = new_venue(FaultSettings(kind="duplicate", on="submit")), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1"))
            await trio.sleep(1)
            assert len(await venue.fills(0)) == 1
        assert sink.words == ["a accepted", "a took 1 @ 100", "a filled 1", "a filled 1"]

    async def test_a_doubled_event_is_told_twice(self, autojump_clock: MockClock) -> None:
        venue, sink = new_venue(FaultSettings(kind="duplicate", on="event")), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            await trio.sleep(1)
        assert sink.words == ["a accepted", "a accepted"]

    async def test_a_refusal_is_in_the_history(self, autojump_clock: MockClock) -> None:
        """What was refused was sent, and whoever judges from outside sees it."""
        record = MemoryRecord()
        reject = FaultSettings(kind="reject")
        venue, sink = new_venue(reject, exchange=new_exchange(record)), Sink()
        async with running(venue, sink):
            venue.submit(spec("a", Side.BUY, "1", "98"))
            venue.cancel(placed("a"))
            await trio.sleep(1)
            with pytest.raises(VenueRefused):
                await venue.balances()
        reason = "(refused by a configured fault)"
        assert sink.words == [f"a rejected {reason}", f"a cancel rejected {reason}"]
        assert [row.event for row in record.history] == [
            "deposit",
            "submit",
            "reject",
            "cancel_request",
            "cancel_reject",
        ]

    async def test_an_outage_at_a_set_time(self, autojump_clock: MockClock) -> None:
        """At 1 s the connection ends; for 2 s nothing gets through; then it comes back."""
        outage = FaultSettings(kind="disconnect", after_secs=1.0, for_secs=2.0)
        venue, sink = new_venue(outage), Sink()
        begin = trio.current_time()
        with pytest.raises(VenueError, match="disconnected"):
            await venue.run(sink, lambda: None)
        assert trio.current_time() - begin == pytest.approx(1.0)
        with pytest.raises(VenueDown):
            venue.submit(spec("a", Side.BUY, "1"))
        for ask in (venue.open_orders, venue.balances):
            with pytest.raises(VenueError, match="disconnected"):
                await ask()
        with pytest.raises(VenueError, match="disconnected"):
            await venue.run(sink, lambda: None)
        await trio.sleep(2)
        async with running(venue, sink):
            assert await venue.open_orders() == []

    async def test_the_market_goes_on_while_the_venue_is_away(
        self, autojump_clock: MockClock
    ) -> None:
        """A resting order fills during an outage; nobody is told, and a query finds it."""
        outage = FaultSettings(kind="disconnect", after_secs=1.0, for_secs=2.0)
        venue, sink = new_venue(outage), Sink()
        order = spec("a", Side.BUY, "1", "98")
        await run_until_it_breaks(venue, sink, lambda: venue.submit(order))
        venue.on_quote(quote(96, 97))
        await trio.sleep(3)
        assert sink.words == ["a accepted"]
        [fill] = await venue.fills(0)
        assert fill.maker

    async def test_what_is_under_way_at_a_disconnect_may_or_may_not_arrive(
        self, autojump_clock: MockClock
    ) -> None:
        """The order whose sending broke the connection: over the seeds, both come about."""
        order, arrived = spec("a", Side.BUY, "1", "98"), []
        for seed in range(12):
            drop = FaultSettings(kind="disconnect", on="submit", for_secs=1.0)
            venue = new_venue(drop, seed=seed)
            await run_until_it_breaks(venue, Sink(), partial(venue.submit, order))
            await trio.sleep(2)
            arrived.append(await venue.order(placed("a")) is not None)
        assert set(arrived) == {True, False}

    async def test_the_same_seed_makes_the_same_mishaps(self, autojump_clock: MockClock) -> None:
        """Word for word and moment for moment; another seed makes others."""
        faults = (
            FaultSettings(kind="drop", probability=0.3),
            FaultSettings(kind="duplicate", probability=0.3),
            FaultSettings(kind="delay", probability=0.3, delay_ms=50),
        )
        heard = []
        for seed in (5, 5, 6):
            venue, sink = new_venue(*faults, seed=seed), Sink()
            async with running(venue, sink):
                for number in range(30):
                    venue.submit(spec(f"o{number}", Side.BUY, "0.1", "98"))
                    await trio.sleep(0.013)
                    venue.cancel(placed(f"o{number}"))
                await trio.sleep(1)
            heard.append(sink.heard)
        assert heard[0] == heard[1]
        assert heard[0] != heard[2]

    async def test_faults_keep_to_their_time(self, autojump_clock: MockClock) -> None:
        lost = FaultSettings(kind="drop", on="submit", after_secs=1.0, for_secs=1.0)
        venue, sink = new_venue(lost), Sink()
        async with running(venue, sink):
            for number in range(3):
                venue.submit(spec(f"o{number}", Side.BUY, "0.1", "98"))
                await trio.sleep(1)
        assert sink.words == ["o0 accepted", "o2 accepted"]
