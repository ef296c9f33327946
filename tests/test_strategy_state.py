"""A strategy's own state: saved with its fills, restored before anything else happens."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.backtests import ONE as ONE_PAPER
from tests.support.backtests import Script, quote
from tests.support.backtests import run as run_script
from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World
from tests.test_runtime_restart import QUIET, live_until_killed
from trade_runtime.errors import ConfigError
from trade_runtime.managers.state import PROOFREAD_SECS, in_batches
from trade_runtime.managers.strategies import check_strategies
from trade_runtime.model.events import Fill
from trade_runtime.model.orders import OrderSpec
from trade_runtime.model.records import StateFormat, StrategySaved, TradingHalted
from trade_runtime.testing.stores import make_records


class Counting(Hand):
    """Counts its fills, and the order in which it was called."""

    def __init__(self, name: str = "hand") -> None:
        super().__init__(name)
        self.count = 0
        self.extra: Any = None
        self.calls: list[str] = []

    def on_start(self) -> None:
        self.calls.append("start")

    def on_fill(self, fill: Fill) -> None:
        super().on_fill(fill)
        self.count += 1
        self.calls.append("fill")

    def on_save(self) -> dict[str, Any]:
        self.calls.append("save")
        return {"count": self.count, "extra": self.extra}

    def on_load(self, state: Any) -> None:
        self.calls.append("load")
        self.count, self.extra = state["count"], state["extra"]


def saved(world: World) -> list[StrategySaved]:
    """Every state that is in the journal."""
    return [event for event in world.journal() if isinstance(event, StrategySaved)]


def booked(world: World) -> int:
    """How many fills the journal has."""
    return sum(isinstance(event, Fill) for event in world.journal())


@virtual
async def test_an_ordered_stop_and_a_restart(tmp_path: Path) -> None:
    """Saved when it stops, loaded before on_start, with the types that it had."""
    world, first, again = World(tmp_path), Counting(), Counting()
    async with world.open(first):
        first.extra = Decimal("0.10")
        await trio.sleep(0.1)
    assert [StateFormat.NONE, StateFormat.MAPPING] == [event.format for event in saved(world)]
    async with world.open(again):
        assert ["load", "start"] == again.calls
        assert "0.10" == str(again.extra)
    assert 2 == len(saved(world)), "what did not change is not written again"


@virtual
async def test_a_fill_and_the_state_that_knows_it_are_one_commit(tmp_path: Path) -> None:
    """No commit ends between them, whatever waits together."""
    world, hand = World(tmp_path), Counting()
    ends: list[int] = []

    async def note(operation: str, number: int) -> None:
        ends.append(len(world.disk.records))
        await trio.lowlevel.checkpoint()

    world.disk.after = note
    async with world.open(hand, store={"batch_rows": 1, "commit_secs": 0.2}):
        for _ in range(6):
            hand.trader.market(ETH, "buy", "1")
            await trio.sleep(0.03)
        await trio.sleep(1)
    events = world.journal()
    fills = [n for n, event in enumerate(events) if isinstance(event, Fill)]
    states = [n for n, event in enumerate(events) if isinstance(event, StrategySaved)]
    assert 6 == len(fills)
    for fill in fills:
        state = next(n for n in states if n > fill)
        assert not any(fill < end <= state for end in ends), "a commit parts a fill from its state"
    assert '"count":6' in [e for e in events if isinstance(e, StrategySaved)][-1].payload


@virtual
async def test_saved_from_time_to_time_where_it_changed(tmp_path: Path) -> None:
    """Every `save_secs`; what is the same is not written."""
    world, hand = World(tmp_path), Counting()
    async with world.open(hand, store={"save_secs": 10.0}, prices=QUIET):
        await trio.sleep(15)
        hand.extra = "changed"
        await trio.sleep(30)
        assert 4 == hand.calls.count("save")
    assert ["", "null", '"changed"'] == [
        event.payload.rpartition(":")[2].rstrip("}") for event in saved(world)
    ]


@pytest.mark.parametrize("moment", range(1, 26, 2))
def test_killed_at_any_moment(tmp_path: Path, moment: int) -> None:
    """The count of the state is the journal's, and the venue's: fills that came without the
    strategy are told before it starts.
    """
    world = World(tmp_path)

    @virtual
    async def first() -> None:
        await live_until_killed(world, Counting(), 0.06 + moment * 0.01, prices=QUIET)

    @virtual
    async def second() -> None:
        again = Counting()
        async with world.open(again, prices=QUIET):
            await trio.sleep(1)
        assert booked(world) == len(world.record.executions) == again.count
        told = again.calls[: again.calls.index("start")]
        expected = ["load"] * told.count("load") + ["fill"] * told.count("fill")
        assert expected + ["save"] * ("fill" in told) == told

    first()
    second()


@virtual
async def test_what_it_does_about_a_fill_is_not_done_twice(tmp_path: Path) -> None:
    """An order that on_fill places is durable only with the state that knows of it."""

    class Answering(Counting):
        def on_fill(self, fill: Fill) -> None:
            super().on_fill(fill)
            if fill.side.sign > 0:
                self.sell("1", "150")

    world, hand = World(tmp_path), Answering()
    async with world.open(hand, shutdown={"cancel_orders": False}):
        hand.trader.market(ETH, "buy", "1")
        await trio.sleep(0.5)
    async with world.open(Answering(), shutdown={"cancel_orders": False}):
        await trio.sleep(0.5)
    sells = [e for e in world.journal() if isinstance(e, OrderSpec) and e.price == 150]
    assert 1 == len(sells)


class TestVersions:
    """A state of another version."""

    @virtual
    async def test_is_refused_where_nothing_reads_it(self, tmp_path: Path) -> None:
        """Before anything trades; the strategy and the mend are named."""

        class Newer(Counting):
            state_version = 2

        world = World(tmp_path)
        async with world.open(Counting()):
            pass
        with pytest.raises(
            ConfigError, match=r"strategy hand: .* version 1, .* 2; write on_migrate"
        ):
            async with world.open(Newer()):
                pass
        async with world.open(Counting()) as runtime:
            assert "running" == runtime.hosts[0].outcome

    @virtual
    async def test_is_migrated_where_the_strategy_can(self, tmp_path: Path) -> None:
        """on_load is given what on_migrate made of it."""

        class Newer(Counting):
            state_version = 2

            def on_migrate(self, state: Any, version: int) -> dict[str, Any]:
                return {"count": state["count"], "extra": f"from {version}"}

        world, newer = World(tmp_path), Newer()
        async with world.open(Counting()):
            pass
        async with world.open(newer):
            assert "from 1" == newer.extra
        assert 2 == saved(world)[-1].version


class TestFailures:
    """What goes wrong stops that strategy alone."""

    @pytest.mark.parametrize(
        ("extra", "told"),
        [(object(), "on_save: extra holds"), ("x" * 300_000, "the most is 262144; keep less")],
    )
    @virtual
    async def test_a_state_that_cannot_be_kept(
        self, tmp_path: Path, extra: object, told: str
    ) -> None:
        """The others go on, the journal is sound."""
        world, bad, good = World(tmp_path), Counting("bad"), Counting("good")
        async with world.open(bad, good) as runtime:
            bad.extra = extra
            bad.trader.market(ETH, "buy", "1")
            good.trader.market(ETH, "buy", "1")
            await trio.sleep(2)
            hosts = {str(host.name): host for host in runtime.hosts}
            assert "failed" == hosts["bad"].outcome
            assert told in hosts["bad"].detail
            assert "running" == hosts["good"].outcome
        assert runtime.report is not None
        assert runtime.report.state["verified"] is True

    @virtual
    async def test_on_load_that_raises(self, tmp_path: Path) -> None:
        """It is never started; its state stays as it was, with the fills that it is owed."""

        class Forgetful(Counting):
            def on_load(self, state: Any) -> None:
                raise KeyError("extra")

        world, bad, again = World(tmp_path), Forgetful(), Counting()
        async with world.open(Counting()) as runtime:
            pass
        async with world.open(bad) as runtime:
            assert "failed" == runtime.hosts[0].outcome
            assert [] == bad.calls
        async with world.open(again):
            assert ["load", "start"] == again.calls

    @virtual
    async def test_a_fill_that_failed_it_is_told_again(self, tmp_path: Path) -> None:
        """No state was saved that knows it."""

        class Clumsy(Counting):
            def on_fill(self, fill: Fill) -> None:
                raise ValueError("clumsy")

        world, again = World(tmp_path), Counting()
        clumsy = Clumsy()
        async with world.open(clumsy):
            clumsy.trader.market(ETH, "buy", "1")
            await trio.sleep(1)
        async with world.open(again):
            assert ["fill", "save", "start"] == again.calls[:3]
        assert booked(world) == again.count


@virtual
async def test_a_renamed_strategy_begins_anew(tmp_path: Path) -> None:
    """The old state stays in the journal, and is found again under its name."""
    world, other, back = World(tmp_path), Counting("other"), Counting()
    hand = Counting()
    async with world.open(hand):
        hand.extra = "mine"
    async with world.open(other):
        assert ["start"] == other.calls
    async with world.open(back):
        assert "mine" == back.extra


@virtual
async def test_a_snapshot_has_it(tmp_path: Path) -> None:
    """It outlives the record that it was written in, with the fills that it is owed."""
    world, hand, again = World(tmp_path), Counting(), Counting()
    small = {"snapshot_records": 1, "keep_records": 1}

    class Clumsy(Counting):
        def on_fill(self, fill: Fill) -> None:
            raise ValueError("clumsy")

    async with world.open(hand, store=small, prices=QUIET):
        hand.extra = Decimal("1.50")
    async with world.open(Clumsy(), store=small, prices=QUIET) as runtime:
        runtime.hosts[0].strategy.trader.market(ETH, "buy", "1")
        for _ in range(4):
            await trio.sleep(PROOFREAD_SECS * 1.1)
            runtime.state.record(TradingHalted("something"))  # type: ignore[union-attr]
    assert not saved(world)
    async with world.open(again, store=small, prices=QUIET):
        assert ["load", "fill", "save", "start"] == again.calls
        assert "1.50" == str(again.extra)


@virtual
async def test_a_strategy_without_state_writes_none(tmp_path: Path) -> None:
    """And nothing is called for it."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand) as runtime:
        hand.trader.market(ETH, "buy", "1")
        await trio.sleep(1)
        assert runtime.hosts[0].on_touched is None
        assert runtime.state is not None
        assert runtime.state.trading.memories.on_owed is None
    assert [] == saved(world)


def test_half_a_pair_of_hooks_is_refused() -> None:
    """What is saved and never loaded, and the reverse; and what is async."""

    class Saves(Hand):
        def on_save(self) -> bytes:
            return b""

    class Loads(Hand):
        def on_load(self, state: Any) -> None: ...

    class Waits(Counting):
        async def on_save(self) -> dict[str, Any]:  # type: ignore[override]
            return {}

    with pytest.raises(ConfigError, match="overrides on_save, not on_load; write both"):
        check_strategies([Saves()])
    with pytest.raises(ConfigError, match="overrides on_load, not on_save; write both"):
        check_strategies([Loads()])
    with pytest.raises(ConfigError, match="on_save must be a plain function"):
        check_strategies([Waits()])


@given(
    rows=st.integers(1, 5),
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=5),
    after=st.integers(0, 6),
)
def test_batches_part_nothing_that_belongs_together(
    rows: int, pairs: list[tuple[int, int]], after: int
) -> None:
    """All records in order; a batch ends within no pair, and is no longer than that needs."""
    joined, seq = [], 0
    for gap, length in pairs:
        joined.append((seq + gap + 1, seq + gap + 1 + length))
        seq += gap + 1 + length
    records = make_records(1, seq + after)
    batches = list(in_batches(records, rows, joined))
    assert records == [record for batch in batches for record in batch]
    for batch in batches:
        assert not any(a <= batch[-1].seq < b for a, b in joined)
        assert len(batch) <= rows + 4


class TestBacktest:
    """Where no state is kept."""

    class Kept(Script):
        """Says what was called."""

        extra: Any = None

        def __init__(self, *steps: Any) -> None:
            super().__init__(*steps)
            self.calls: list[str] = []

        def on_save(self) -> dict[str, Any]:
            self.calls.append("save")
            return {"extra": self.extra}

        def on_load(self, state: Any) -> None:
            self.calls.append("load")

    def test_it_saves_once_at_the_end(self) -> None:
        """So that on_save is exercised; nothing is loaded."""
        strategy = self.Kept(lambda trader: trader.market(ONE_PAPER, "buy", "1"))
        result = run_script(strategy, [quote(0, 100), quote(1, 101), quote(2, 102)])
        assert ["save"] == strategy.calls
        assert ["stopped"] == [one.outcome for one in result.strategies]
        assert 1 == len(result.fills)

    def test_a_state_that_could_not_be_kept_is_found(self) -> None:
        """Before it is in a live run that it is found."""
        strategy = self.Kept()
        strategy.extra = object()
        (one,) = run_script(strategy, [quote(0, 100)]).strategies
        assert "failed" == one.outcome
        assert "on_save: extra holds" in one.detail
