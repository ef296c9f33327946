"""Every call of the store and of the cache fails, one run each: n = 1, 2, 3, ... until a run meets
no fault. Once, and from then on; before it had any effect, and after it had; while trading and in
the stop, and again in the recovery after a kill. Before and after take turns from call to call:
each call fails in one of the two ways once and in the other from then on. The full numbers take
both.

Each run is judged as the sweep judges a crash, and by what a stop owes without its store; then the
restart fails at some call, too; and with the fault healed the next has to end as if nothing had
been.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.process.support import share
from tests.support.caches import MemoryCache
from trade_runtime.errors import EXIT_CLEAN, EXIT_UNCLEAN, StoreError
from trade_runtime.managers.state import StateManager
from trade_runtime.model.tables import Rows
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Record
from trade_runtime.settings import Settings
from trade_runtime.testing import scenarios
from trade_runtime.testing.evidence import Evidence, Key
from trade_runtime.testing.life import run_life
from trade_runtime.testing.oracle import judge
from trade_runtime.testing.reports import judge_stop
from trade_runtime.testing.scenarios import SCENARIOS, Scenario
from trade_runtime.testing.snapshots import Snapshot
from trade_runtime.testing.trials import Camera
from trade_runtime.testing.world import World

SEEDS = range(1, 1 + share(1, 5))
"""Of everything that happens."""

MAX_CALLS = 40
"""The failure in the recovery that follows a failure comes at a call up to this."""

KILL_STEPS = range(1, 1_000)
"""Of these, the life before a recovery is killed at the first with much to recover."""


def calls(lasting: bool, late: bool) -> Iterator[int]:
    """The numbers of the calls that fail, one run each."""
    return (n for n in count(1) if (n + lasting + late) % share(2, 1) == 0)


def settings(seed: int, life: int) -> Settings:
    tables: Mapping[str, Any] = {
        **scenarios._SMOKE,
        "runtime": {**scenarios._SMOKE["runtime"], "seed": seed * 1000 + life},
        "cache": {"url": "memory:///"},
    }
    return Settings.from_mapping(tables, Path())


SMALL: Scenario = attrs.evolve(
    SCENARIOS["smoke"], settings=lru_cache(settings), run_secs=0.8, restart_secs=0.4
)


class Faulty(World):
    """A world with a cache, whose store fails when it is told to."""

    def __init__(self, scenario: Scenario, seed: int, before: Snapshot | None = None) -> None:
        super().__init__(scenario, seed, before)
        self.cache = MemoryCache()
        self.operation = ""
        """Which one failed first."""
        self.failed_ns = 0
        """And when."""
        self.late = False
        """What fails was done."""

    def plugins(self) -> Plugins:
        return attrs.evolve(super().plugins(), caches={"memory": self.cache.plugin})

    def fail_at(self, n: int, *, lasting: bool, late: bool) -> None:
        """Let the nth call of the store fail, perhaps after it had its effect."""

        async def fail(operation: str, number: int) -> None:
            if number == n or (lasting and number > n):
                if not self.operation:
                    self.operation, self.failed_ns = operation, self.clock.now_ns()
                raise StoreError(f"call {number} fails")

        self.late = late
        if late:
            self.disk.after = fail
        else:
            self.disk.before = fail

    def healed(self) -> Faulty:
        """The world some time later, with a store and a cache that work."""
        return Faulty.after(SMALL, self.seed, self.snapshot())

    @classmethod
    def after(cls, scenario: Scenario, seed: int, before: Snapshot) -> Faulty:
        world = super().after(scenario, seed, before)
        assert isinstance(world, Faulty)
        return world


@lru_cache
def killed(seed: int) -> Snapshot:
    """What a kill leaves; the tables for SQL are behind, so that a recovery makes them anew."""
    world = Faulty(SMALL, seed)
    camera = Camera(world, KILL_STEPS)
    run_life(world, SMALL.run_secs, on_step=camera.on_step)
    snapshot = next(
        one
        for _, one in camera.snapshots
        if one.in_flight and len(one.disk.snapshots) > 1 and len(one.record.executions) > 2
    )
    snapshot.disk.tabled = 0
    return snapshot


def begin(phase: str, seed: int) -> tuple[Faulty, float]:
    """A world, and for how long its next life trades."""
    if phase == "recovery":
        return Faulty.after(SMALL, seed, killed(seed)), SMALL.restart_secs
    return Faulty(SMALL, seed), SMALL.run_secs


def judge_failed(world: Faulty) -> list[str]:
    """Judge a life whose store failed: as a crash, and by what the stop owes all the same.

    From the failure on it is held to what can be done without a journal: no stop-loss can be
    placed any more, but none that rests is taken away, and the report says what is bare.
    """
    life = world.lives[-1]
    error, ended_ns = life.error, life.ended_ns
    life.killed, life.ended_ns, life.error = True, world.failed_ns, None
    found = judge(world)
    life.ended_ns = ended_ns
    if life.report is None:
        found.append("8: there is no report")
    elif life.report.exit_code != EXIT_UNCLEAN:
        found.append(f"8: exit code {life.report.exit_code}, the store failed")
    if error is not None and not is_the_failure(error):
        found.append(f"8: the run ended with {error!r}")
    evidence = Evidence.of(world)
    found += [what for what in judge_stop(evidence) if not owed_to_the_failure(world, what)]
    found += uncovered(world, evidence)
    life.ended_ns = world.failed_ns
    return found


def is_the_failure(error: BaseException) -> bool:
    """Whether nothing but the failure of the store came out of the run."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(StoreError)[1] is None
    return isinstance(error, StoreError)


def owed_to_the_failure(world: Faulty, what: str) -> bool:
    """Whether a finding of the judge is what a failed store has to lead to."""
    if "8: the report tells of" in what and "records" in what:
        return world.late  # the store has not said that it wrote them
    return what.startswith(("8: nothing was wrong with the world", "6: after the stop "))


def uncovered(world: Faulty, evidence: Evidence) -> list[str]:
    """Positions that a stop-loss covered when the store failed, and that it does not cover now,
    although nothing was filled since.
    """
    then, now, touched = evidence.venue(), evidence.venue_now(), set[Key]()
    for row in world.record.history:
        if row.ts_ns <= world.failed_ns:
            then.apply(row)
        elif row.event == "fill":
            touched.add(now.orders[row.client_order_id].key)
    return [
        f"6: the stop took the stop-loss of {key[0]} away"
        for key, quantity in now.positions.items()
        if quantity and key not in touched and now.is_bare(key) and not then.is_bare(key)
    ]


def judge_failed_again(world: Faulty, call: int) -> tuple[Faulty, list[str]]:
    """Restart after a failure, and fail at a call of that recovery; return that world, too."""
    again = world.healed()
    again.fail_at(call, lasting=False, late=call % 2 == 0)
    run_life(again, SMALL.restart_secs)
    found = judge_failed(again) if again.operation else judge(again)
    return again, [f"again, call {call}: {what}" for what in found]


def judge_healed(world: Faulty) -> list[str]:
    """Restart without a fault: it has to converge, and to end clean."""
    again = world.healed()
    run_life(again, SMALL.restart_secs)
    assert again.lives[-1].report is not None
    assert again.lives[-1].report.exit_code == EXIT_CLEAN
    return [f"healed: {what}" for what in judge(again)]


PHASES = ["trading", "recovery"]


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.slow
def test_every_call_of_the_store(seed: int, phase: str, lasting: bool, late: bool) -> None:
    """Halt, cancel, protect, a truthful report, exit code 3; healed, all is found again."""
    failed, rng = dict[str, int](), random.Random(seed)
    for n in calls(lasting, late):
        world, secs = begin(phase, seed)
        world.fail_at(n, lasting=lasting, late=late)
        run_life(world, secs)
        if not world.operation:
            assert [] == judge(world)
            break
        failed[world.operation] = failed.get(world.operation, 0) + 1
        found = judge_failed(world)
        again, more = judge_failed_again(world, rng.randint(1, MAX_CALLS))
        found += more + judge_healed(again)
        assert [] == found, f"call {n}, {world.operation}"
    print(f"store, {phase}: up to n = {n}, {failed}")


def test_a_failure_that_is_swallowed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What says that a batch is durable, which could not be written, does not get through."""

    async def swallow(self: StateManager, batch: Sequence[Record], rows: Rows | None) -> None:
        with contextlib.suppress(StoreError):
            await self._store.append(batch, rows)
        self.durable_seq = batch[-1].seq
        self.on_durable(self.durable_seq)

    monkeypatch.setattr(StateManager, "_append", swallow)
    caught = 0
    for n in range(5, 35):
        world, secs = begin("trading", 1)
        world.fail_at(n, lasting=True, late=False)
        run_life(world, secs)
        if world.operation == "append":
            caught += any("left before its intent was durable" in w for w in judge_failed(world))
    assert caught > 5


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.slow
def test_every_call_of_the_cache(seed: int, phase: str, lasting: bool, late: bool) -> None:
    """Nothing comes of it: a clean stop, and the report says what was not written."""
    for n in calls(lasting, late):
        world, secs = begin(phase, seed)
        cache = world.cache
        cache.fault_at, cache.lasting, cache.late = n, lasting, late
        run_life(world, secs)
        assert [] == judge(world), f"call {n}"
        told = world.lives[-1].report
        assert told is not None
        assert told.cache is not None
        if cache.calls < n:
            assert told.cache["flushed"] is True
            break
        assert told.cache["flushed"] is not bool(told.cache["error"]), f"call {n}"
        if told.cache["flushed"]:
            assert "stopped" == cache.status["state"]
            assert list(cache.stream)[-1] == world.disk.last
        assert not (lasting and told.cache["flushed"] and not late), f"call {n}"
        assert [] == judge_healed(world), f"call {n}"
    print(f"cache, {phase}: up to n = {n}")
