"""The cache's layer in virtual time: what it shows, and that nothing it meets is in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from tests.support.caches import MemoryCache
from trade_runtime import Quote, Settings, StopReport, Strategy, open_runtime
from trade_runtime.errors import ConfigError, StoreBusy
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.managers import cache as cache_module
from trade_runtime.plugins import Plugins

ETH = "ETHUSDT.paper"

BUDGET_SECS = 5.0


class Maker(Strategy):
    """Holds one unit, and keeps placing and cancelling an order that rests."""

    def on_start(self) -> None:
        self.placed = 0

    def on_quote(self, quote: Quote) -> None:
        if not self.placed:
            self.trader.market(ETH, "buy", "1")
        open_orders = [o for o in self.trader.open_orders() if not o.spec.protective]
        if len(open_orders) > 3:
            self.trader.cancel(open_orders[0])
        self.placed += 1
        self.trader.limit(ETH, "buy", "1", "1000")


class World:
    """A runtime with a cache in memory."""

    def __init__(self, folder: Path) -> None:
        self.cache = MemoryCache()
        self.plugins = Plugins(caches={"memory": self.cache.plugin})
        self.folder = folder
        self.strategy = Maker("maker", [ETH])

    def settings(self, **sections: Any) -> Settings:
        return Settings.from_mapping(
            {
                "runtime": {"name": "test", "data_dir": str(self.folder), "seed": 1},
                "store": {"url": "memory:///cache"},
                "cache": {"url": "memory:///"},
                "venues": {
                    "sim": {"kind": "synthetic", "seed": 1},
                    "paper": {
                        "kind": "paper",
                        "market_data": "sim",
                        "balances": {"USDT": "1000000", "ETH": "10"},
                    },
                },
                "protection": {"stop_pct": 2},
                **sections,
            }
        )

    def open(self, **sections: Any) -> Any:
        return open_runtime(
            self.settings(**sections),
            strategies=[self.strategy],
            plugins=self.plugins,
            clock=TrioClock(),
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


Clock = trio.testing.MockClock


async def report_of(world: World, secs: float = 5.0, **sections: Any) -> StopReport:
    async with world.open(**sections) as runtime:
        await trio.sleep(secs)
    assert runtime.report is not None
    report: StopReport = runtime.report
    return report


class TestWhatIsShown:
    """The latest of everything, and the journal as it grows."""

    async def test_while_it_trades(self, world: World, autojump_clock: Clock) -> None:
        """Live orders, positions, balances, quotes and the status, in the documented fields."""
        async with world.open() as runtime:
            await trio.sleep(5)
            live = {order.id for order in runtime.trading.orders.trading.live()}
            shown = world.cache.values("orders")
            # What changed within the last tenth of a second may not be written yet.
            assert len(live ^ set(shown)) <= 4
            assert {"maker"} == {order["strategy"] for order in shown.values()}
            position = world.cache.values("positions")[f"maker:{ETH}"]
            assert ("1", "maker", ETH) == (
                position["quantity"],
                position["strategy"],
                position["instrument"],
            )
            assert {"paper:ETH", "paper:USDT"} <= set(world.cache.values("balances"))
            assert "11" == world.cache.values("balances")["paper:ETH"]["total"]
            assert world.cache.values("quotes")[ETH]["bid"] > 0
            status = world.cache.status
            assert ("running", "active", "test") == (
                status["state"],
                status["trading"],
                status["runtime"],
            )
            assert 30 == world.cache.expiry_secs

    async def test_after_the_stop(self, world: World, autojump_clock: Clock) -> None:
        """No entry is left, the stop-loss is, and the status has the outcome; all of it stays."""
        report = await report_of(world)
        orders = world.cache.values("orders")
        assert [True] == [order["protective"] for order in orders.values()]
        status = world.cache.status
        assert ("stopped", "clean", "0") == (
            status["state"],
            status["outcome"],
            status["exit_code"],
        )
        assert {"flushed": True, "spooled": 0, "error": ""} == report.cache
        assert cache_module.STOPPED_EXPIRY_SECS == world.cache.expiry_secs
        assert 0 == world.cache.open

    async def test_the_stream_is_the_journal(self, world: World, autojump_clock: Clock) -> None:
        """Every record, in order, from the start to the stop, with its payload."""
        report = await report_of(world)
        entries = list(world.cache.stream.values())
        assert list(range(1, report.state["records"] + 1)) == [entry.seq for entry in entries]
        kinds = [entry.fields["kind"] for entry in entries]
        assert ("start", "stop") == (kinds[0], kinds[-1])
        fill = entries[kinds.index("fill")].fields
        assert ("maker", ETH, "open") == (fill["strategy"], fill["instrument"], fill["state"])
        assert b'"price"' in fill["data"]

    async def test_a_quote_is_shown_no_oftener_than_asked(
        self, world: World, autojump_clock: Clock
    ) -> None:
        """However many come."""
        seen: list[Any] = []
        take = world.cache._take

        def watch(batch: Any) -> None:
            seen.extend(batch.tables.get("quotes", {}))
            take(batch)

        world.cache._take = watch  # type: ignore[method-assign]
        await report_of(world, 10, cache={"url": "memory:///", "quote_secs": 1.0})
        assert 8 <= len(seen) <= 13

    async def test_a_failure_is_in_the_last_status(
        self, world: World, autojump_clock: Clock
    ) -> None:
        """The cache outlives the layers, so it is told what came of them."""
        async with world.open() as runtime:
            await trio.sleep(1)

            async def fails() -> None:
                raise ZeroDivisionError

            runtime.prices._layer.start_soon(fails, name="a-defect")
            await runtime.stopped()
        assert ("failed", "4") == (world.cache.status["outcome"], world.cache.status["exit_code"])

    async def test_one_that_is_refused_leaves_the_keys_alone(
        self, world: World, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are of the runtime that owns the state."""

        def refuse(*_: object, **__: object) -> Any:
            raise StoreBusy("held by another")

        monkeypatch.setattr("trade_runtime.stores.memory.MemoryDisk.store", refuse)
        with pytest.raises(StoreBusy):
            await report_of(world)
        assert (0, {}) == (world.cache.writes, world.cache.tables)

    async def test_without_a_flush_nothing_is_written_last(
        self, world: World, autojump_clock: Clock
    ) -> None:
        """Asked for by the configuration, and told."""
        report = await report_of(world, shutdown={"flush_cache": False})
        assert report.cache is not None
        assert (False, "shutdown.flush_cache is false") == (
            report.cache["flushed"],
            report.cache["error"],
        )
        assert "stopped" != world.cache.status["state"]


class TestFaults:
    """Whatever it meets, trading goes on, and it catches up."""

    @pytest.mark.parametrize("fault", ["away", "frozen", "lost", "taken"])
    @pytest.mark.parametrize("forgets", [False, True])
    async def test_while_it_trades(
        self, world: World, autojump_clock: Clock, fault: str, forgets: bool
    ) -> None:
        """As many orders as ever, one warning for the spell and one for its end, nothing lost."""
        with structlog.testing.capture_logs() as logs:
            async with world.open() as runtime:
                await trio.sleep(3)
                before = world.strategy.placed
                world.cache.fault = fault
                await trio.sleep(5)
                assert world.strategy.placed - before >= before
                if forgets:
                    world.cache.lose()
                world.cache.fault = ""
                await trio.sleep(5)
                assert f"maker:{ETH}" in world.cache.values("positions")
                assert runtime.cache.away_since is None
                assert 1 == runtime.cache.stats.spells
                assert 1 < runtime.cache.stats.failures < 20
        told = [entry["event"] for entry in logs if entry["event"].startswith("The cache")]
        assert [
            "The cache cannot be written; trading goes on without it",
            "The cache is back; what it missed is being written",
            "The cache is written",
        ] == told
        report = runtime.report
        assert ({"flushed": True, "spooled": 0, "error": ""}, 0) == (report.cache, report.exit_code)
        seqs = list(world.cache.stream)
        assert seqs == list(range(seqs[0], report.state["records"] + 1))
        assert forgets or 1 == seqs[0]

    @pytest.mark.parametrize("fault", ["away", "frozen", "lost", "taken", "defect"])
    async def test_at_the_stop(self, world: World, autojump_clock: Clock, fault: str) -> None:
        """The stop is as clean and nearly as quick; the report says what could not be written."""
        async with world.open() as runtime:
            await trio.sleep(3)
            world.cache.fault = fault
            runtime.request_stop("the test says so")
            await runtime.stopped()
        report = runtime.report
        assert (0, "clean") == (report.exit_code, report.outcome)
        assert report.duration_secs < BUDGET_SECS
        assert report.cache["flushed"] is False
        assert report.cache["spooled"] > 0
        assert report.cache["error"]
        assert () == tuple(report.tasks_left)

    async def test_from_the_start(self, world: World, autojump_clock: Clock) -> None:
        """A cache that is not there keeps no runtime from starting."""
        world.cache.fault = "frozen"
        report = await report_of(world)
        assert (0, False) == (report.exit_code, report.cache and report.cache["flushed"])
        assert world.strategy.placed > 3

    async def test_a_defect_ends_the_cache_alone(self, world: World, autojump_clock: Clock) -> None:
        """It is told with its stack, and trading goes on."""
        async with world.open() as runtime:
            await trio.sleep(1)
            world.cache.fault = "defect"
            await trio.sleep(1)
            assert runtime.cache.broken
            before = world.strategy.placed
            await trio.sleep(3)
            assert world.strategy.placed > before
        assert 0 == runtime.report.exit_code
        assert "ZeroDivisionError" in runtime.report.cache["error"]

    async def test_a_venue_whose_balances_fail(
        self, world: World, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By a defect of the plug-in: they are not shown, and nothing else comes of it."""

        async def fails(_: object) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr("trade_runtime.venues.paper.PaperVenue.balances", fails)
        report = await report_of(world)
        assert (0, True) == (report.exit_code, report.cache and report.cache["flushed"])
        assert {} == world.cache.values("balances")

    async def test_a_long_absence_is_bounded(
        self, world: World, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Old events give way and are counted, in the status and in the report."""
        monkeypatch.setattr(cache_module, "MAX_SPOOLED", 10)
        async with world.open() as runtime:
            world.cache.fault = "away"
            await trio.sleep(5)
            assert 10 == len(runtime.cache.spool._events)
            world.cache.fault = ""
            await trio.sleep(5)
            dropped = runtime.cache.spool.dropped
            assert dropped > 0
            assert int(world.cache.status["events_dropped"]) > 0
        assert runtime.report.cache["flushed"] is True
        assert "events were dropped" in runtime.report.cache["error"]

    @pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
    async def test_the_nth_call_fails(
        self, tmp_path: Path, autojump_clock: Clock, lasting: bool
    ) -> None:
        """For n = 1, 2, 3, ... until a run meets no failure: never a wrong stop."""
        n = 0
        while True:
            n += 1
            # Of its own: the journal is gone after a run, and the venue's record must be, too.
            world = World(tmp_path / str(n))
            world.cache.fault_at, world.cache.lasting = n, lasting
            report = await self._short_run(world)
            assert (0, "clean") == (report.exit_code, report.outcome), n
            assert report.cache is not None
            if world.cache.calls < n:
                break
            if report.cache["flushed"]:
                seqs = list(world.cache.stream)
                assert seqs == list(range(1, report.state["records"] + 1)), n
                assert "stopped" == world.cache.status["state"], n
            else:
                assert report.cache["error"], n
            assert not (lasting and report.cache["flushed"]), n
        assert n > 5

    @staticmethod
    async def _short_run(world: World) -> StopReport:
        report: list[StopReport] = []

        async def run() -> None:
            report.append(await report_of(world, 1.0))

        await run()
        return report[0]


class TestConfiguration:
    """What is wrong is said before anything starts."""

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ({"prefix": "x"}, "cache.url: missing"),
            ({"url": "redis"}, "cache.url: not a URL"),
            ({"url": "redis://x", "prefix": "a b"}, "cache.prefix"),
            ({"url": "redis://x", "expiry_secs": 6.0}, "two heartbeats"),
        ],
    )
    def test_a_mistake_is_told(self, tmp_path: Path, table: dict[str, Any], words: str) -> None:
        """With its place."""
        with pytest.raises(ConfigError, match=words):
            Settings.from_mapping({"cache": table}, tmp_path)

    def test_a_password_is_masked(self, tmp_path: Path) -> None:
        """In the repr."""
        url = "redis://user:hunter2@host/0"
        settings = Settings.from_mapping({"cache": {"url": url}}, tmp_path)
        assert "hunter2" not in repr(settings)

    async def test_an_unknown_scheme_is_told(self, tmp_path: Path) -> None:
        """With those that there are."""
        settings = Settings.from_mapping({"cache": {"url": "rediz://h/0"}}, tmp_path)
        with pytest.raises(ConfigError, match=r"no cache of scheme 'rediz'.*redis"):
            Plugins().connect_cache(settings)
