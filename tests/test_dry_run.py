"""Dry-run is the default: without `live = true` no order reaches an exchange, and nothing mixes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trio

from tests.support.exchange import Exchange
from tests.support.market import ScriptedMarket
from tests.support.world import Hand, settle
from trade_runtime.errors import ConfigError, TradeRuntimeError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.machines.journal import read_event
from trade_runtime.managers.venue_tables import read_venue
from trade_runtime.model.ids import VenueName
from trade_runtime.model.records import VenueUsed
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import StorePlugin
from trade_runtime.runtime import Runtime, open_runtime
from trade_runtime.settings import Settings
from trade_runtime.stores.memory import MemoryDisk
from trade_runtime.venues.paper import SqliteRecord, plugin

TRADED, EX = "ETHUSDT.ex", VenueName("ex")


class Ground:
    """An exchange, a disk, and a configuration that names the exchange."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.market = ScriptedMarket()
        self.exchange = Exchange(self.market)
        self.disk = MemoryDisk()
        self.table: dict[str, Any] = {"kind": "exchange"}
        self.more: dict[str, Any] = {}

    @property
    def settings(self) -> Settings:
        tables = {
            "runtime": {"name": "test", "data_dir": str(self.data_dir), "seed": 1},
            "store": {"url": "memory:///journal"},
            "protection": {"stop_pct": 5.0},
            "venues": {"ex": self.table, **self.more},
        }
        return Settings.from_mapping(tables, self.data_dir)

    @property
    def plugins(self) -> Plugins:
        def store(location: str, data_dir: Path, **how: Any) -> Any:
            return self.disk.store(read_only=how["read_only"])

        return Plugins(
            venues={"exchange": self.exchange.plugin, "paper": plugin},
            stores={"memory": StorePlugin(store)},
        )

    @asynccontextmanager
    async def open(self, *strategies: Hand) -> AsyncIterator[Runtime]:
        async with open_runtime(
            self.settings, strategies=strategies, plugins=self.plugins, clock=TrioClock()
        ) as runtime:
            self.market.quote(100.0)
            await settle()
            yield runtime

    async def trade(self) -> None:
        """Buy at the market, and stop."""
        hand = Hand("hand", (TRADED,))
        async with self.open(hand):
            hand.trader.market(TRADED, "buy", "1")
            await settle()
            while not hand.fills:
                self.market.quote(100.0)
                await settle()
                await trio.sleep(0.05)

    @property
    def used(self) -> list[VenueUsed]:
        events = [read_event(record) for record in self.disk.records]
        return [event for event in events if isinstance(event, VenueUsed)]

    def on_paper(self) -> int:
        """How much stands in the paper record under the exchange's name has."""
        path = self.data_dir / "ex.paper.sqlite"
        if not path.exists():
            return 0
        record = SqliteRecord(path)
        try:
            return record.load().seq
        finally:
            record.close()


def go_live(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EX_KEY", "key-hunter2")
    monkeypatch.setenv("EX_SECRET", "secret-hunter2")
    ground.table |= {"live": True, "api_key": "env:EX_KEY", "api_secret": "env:EX_SECRET"}


async def test_without_live_orders_go_to_paper(tmp_path: Path, autojump_clock: object) -> None:
    """Under the exchange's own name, driven by its own market data; the exchange sees none."""
    ground = Ground(tmp_path)
    ground.table["paper"] = {"fee_bps": 0, "balances": {"USDT": "5000", "ETH": "7"}}
    await ground.trade()
    assert ground.on_paper() >= 1
    assert [] == list(ground.exchange.record.orders)
    assert [VenueUsed(EX, "paper")] == ground.used


async def test_a_dry_run_reads_no_key(tmp_path: Path) -> None:
    """What it does not hold, it cannot send: not even a missing variable matters."""
    ground = Ground(tmp_path)
    ground.table["api_key"] = "env:NOWHERE"
    venue = read_venue(ground.settings, "ex", ground.plugins.venues)
    assert venue.dry_run
    assert venue.options.api_key is None


async def test_live_orders_go_to_the_exchange_and_the_log_says_so_first(
    tmp_path: Path, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At warning level, with the venue and whether it is a testnet; no secret is in it."""
    ground = Ground(tmp_path)
    go_live(ground, monkeypatch)
    with structlog.testing.capture_logs() as logs:
        await ground.trade()
    assert len(ground.exchange.record.orders) >= 1
    assert 0 == ground.on_paper()
    assert [VenueUsed(EX, "exchange live")] == ground.used
    loud = [entry for entry in logs if entry["event"].startswith("LIVE")]
    assert [("warning", "ex", False)] == [
        (one["log_level"], one["venue"], one["testnet"]) for one in loud
    ]
    assert "REAL MONEY" in loud[0]["event"]
    assert logs.index(loud[0]) < min(
        n for n, one in enumerate(logs) if one["event"] == "Private connection is up"
    )
    assert "hunter2" not in str(logs)
    assert "key-hunter2" == ground.exchange.opened[0].api_key.reveal()  # type: ignore[union-attr]


async def test_the_testnet_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is live, without real money, and an account of its own."""
    ground = Ground(tmp_path)
    go_live(ground, monkeypatch)
    ground.table["testnet"] = True
    venue = read_venue(ground.settings, "ex", ground.plugins.venues)
    assert "exchange testnet" == venue.account
    assert "testnet" in (venue.warning or "")


async def test_live_without_keys_is_one_clear_error(tmp_path: Path) -> None:
    """A line for each key, with the mend."""
    ground = Ground(tmp_path)
    ground.table["live"] = True
    with pytest.raises(ConfigError) as caught:
        read_venue(ground.settings, "ex", ground.plugins.venues)
    lines = str(caught.value).splitlines()
    assert ["venues.ex.api_key: ", "venues.ex.api_secret: "] == [
        line[: line.index("missing")] for line in lines
    ]
    assert 'api_key = "env:EX_KEY"' in lines[0]
    assert 'api_secret = "env:EX_SECRET"' in lines[1]


@pytest.mark.parametrize("first", ["paper", "live"])
async def test_the_record_of_a_dry_run_and_of_a_live_account_never_mix(
    tmp_path: Path, autojump_clock: object, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A journal that was made on one refuses to go on with the other, and says what to do."""
    ground = Ground(tmp_path)
    if first == "live":
        go_live(ground, monkeypatch)
    await ground.trade()
    before = len(ground.exchange.record.orders)
    if first == "live":
        ground.table = {"kind": "exchange"}
    else:
        go_live(ground, monkeypatch)
    with pytest.raises((ConfigError, ExceptionGroup)) as caught:
        await ground.trade()
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, TradeRuntimeError)
    assert "must not mix" in str(error)
    assert "runtime.data_dir" in str(error)
    assert len(ground.exchange.record.orders) == before


async def test_for_market_data_alone_no_paper_venue_is_opened(
    tmp_path: Path, autojump_clock: object
) -> None:
    """A paper venue of its own trades on the exchange's data, as it always could."""
    ground = Ground(tmp_path)
    ground.more = {"paper": {"kind": "paper", "market_data": "ex"}}
    hand = Hand("hand", ("ETHUSDT.paper",))
    async with ground.open(hand) as runtime:
        assert runtime.venues is not None
        assert ["paper"] == list(runtime.venues.trading)
    assert not (tmp_path / "ex.paper.sqlite").exists()
    assert [] == ground.used


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"paper": {"market_data": "x"}}, "venues.ex.paper.market_data: leave it out"),
        ({"paper": {"latency": 3}}, "venues.ex.paper.latency: unknown key"),
        ({"paper": 3}, "venues.ex.paper: expected a table"),
        ({"foreign_orders": "steal"}, 'venues.ex.foreign_orders: expected one of "leave"'),
    ],
)
async def test_a_wrong_table_is_told(tmp_path: Path, table: dict[str, Any], says: str) -> None:
    """With its path."""
    ground = Ground(tmp_path)
    ground.table |= table
    with pytest.raises(ConfigError) as caught:
        read_venue(ground.settings, "ex", ground.plugins.venues)
    assert says in str(caught.value)
