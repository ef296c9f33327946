"""The trials of a sweep: one step, one fault, what came of it. What a worker process does.

Stands between one life (`life`) and the whole sweep. Nothing here depends on what was tried before,
except that what is the same is not run twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import attrs

from trade_runtime.testing.life import ACTS, Signals, run_life
from trade_runtime.testing.marks import marks_of
from trade_runtime.testing.mutants import MUTANTS
from trade_runtime.testing.oracle import judge
from trade_runtime.testing.runner import OnStep
from trade_runtime.testing.scenarios import SCENARIOS, Scenario
from trade_runtime.testing.snapshots import Snapshot
from trade_runtime.testing.world import World

RECOVERY_STEPS = 150
"""A second kill strikes within so many steps of a restart; the crash state says where."""


@attrs.frozen
class Case:
    """What is tried.

    Attributes:
        scenario: its name.
        seed: of everything.
        mutant: what is broken on purpose, or None.
        signals: what handles SIGTERM.
    """

    scenario: str
    seed: int
    mutant: str | None
    signals: Signals

    @property
    def plot(self) -> Scenario:
        """The scenario.

        Raises:
            KeyError: there is none of that name.
        """
        if self.scenario not in SCENARIOS:
            known = ", ".join(SCENARIOS)
            raise KeyError(f"no scenario {self.scenario!r}; there are: {known}")
        return SCENARIOS[self.scenario]

    @property
    def patch(self) -> Callable[[], AbstractContextManager[Any]]:
        """What breaks the runtime for the length of a life.

        Raises:
            KeyError: there is no such mutant.
        """
        if self.mutant is None:
            return nullcontext
        if self.mutant not in MUTANTS:
            known = ", ".join(MUTANTS)
            raise KeyError(f"no mutant {self.mutant!r}; there are: {known}")
        return MUTANTS[self.mutant].patch


@attrs.frozen
class Outcome:
    """What came of one trial.

    Attributes:
        fault: which, `none` for the baseline.
        step: before which it struck.
        runs: lives that it took.
        states: keys of the states that a runtime was restarted on.
        violations: what the oracle found.
        marks: what it came by.
    """

    fault: str
    step: int
    runs: int
    states: tuple[str, ...]
    violations: tuple[str, ...]
    marks: tuple[str, ...]


@attrs.frozen
class Share:
    """A share of the work: some steps with one fault."""

    case: Case
    fault: str
    steps: tuple[int, ...]


@attrs.frozen
class Baseline:
    """The run without a fault: its length, its schedule, what was found."""

    steps: int
    trace: str
    outcome: Outcome


def baseline(case: Case) -> Baseline:
    """Run a case without a fault, to the end of its ordered stop, and restart it."""
    world = World(case.plot, case.seed)
    run = run_life(world, case.plot.run_secs, signals=case.signals, patch=case.patch, traced=True)
    found = judge(world)
    end = world.snapshot()
    restart = _restart(case, end)
    again = [f"restarted: {what}" for what in restart.violations]
    outcome = Outcome(
        "none", 0, 1 + restart.runs, (end.key,), _once([*found, *again]), restart.marks
    )
    return Baseline(run.steps, f"{run.trace} {end.key}", outcome)


def try_share(share: Share) -> list[Outcome]:
    """Try every step of a share."""
    case = share.case
    if share.fault == "kill":
        return _kills(case, share.steps)
    restarted: dict[str, _Restart] = {}
    return [_stop(case, share.fault, step, restarted) for step in share.steps]


def _stop(case: Case, fault: str, step: int, restarted: dict[str, _Restart]) -> Outcome:
    """Have a runtime stop at a step, judge that, restart it, judge again."""
    world = World(case.plot, case.seed)
    run_life(
        world,
        case.plot.run_secs,
        act=ACTS[fault],
        at_step=step,
        signals=case.signals,
        patch=case.patch,
    )
    found = [*judge(world)]
    end = world.snapshot()
    runs = 1
    if end.key not in restarted:
        restarted[end.key] = _restart(case, end)
        runs += restarted[end.key].runs
    restart = restarted[end.key]
    found += [f"restarted: {what}" for what in restart.violations]
    return Outcome(fault, step, runs, (end.key,), _once(found), restart.marks)


def _once(found: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))


@attrs.frozen
class _Restart:
    runs: int
    states: tuple[str, ...]
    violations: tuple[str, ...]
    marks: tuple[str, ...]


def _restart(case: Case, before: Snapshot, *, kill_again: bool = False) -> _Restart:
    """Restart on what was left, trade on, stop in order; judge. Perhaps with one more kill."""
    world = World.after(case.plot, case.seed, before)
    at = 0
    if kill_again:
        at = random.Random(f"again {case.seed} {before.key}").randint(1, RECOVERY_STEPS)
    camera = Camera(world, [at]) if at else None
    run_life(
        world,
        case.plot.restart_secs,
        on_step=camera.on_step if camera else None,
        signals=case.signals,
        patch=case.patch,
    )
    found, runs, states = judge(world), 1, [before.key]
    marks = marks_of(world)
    for _, second in camera.snapshots if camera else ():
        more = _restart(case, second)
        runs += more.runs
        states += more.states
        found += [f"killed again at step {at}: {what}" for what in more.violations]
        marks += more.marks
    return _Restart(runs, tuple(states), _once(found), tuple(sorted(set(marks))))


class Camera:
    """Takes a snapshot of a world before each of some steps, one of each state.

    Args:
        world: of what.
        steps: before which.

    Attributes:
        snapshots: the first step of each state, and the state.
        state_of: the number of the state before each step.
    """

    def __init__(self, world: World, steps: Iterable[int]) -> None:
        self.snapshots: list[tuple[int, Snapshot]] = []
        self.state_of: dict[int, int] = {}
        self._world = world
        self._steps = frozenset(steps)
        self._version: object = None
        self._known: dict[str, int] = {}
        self._last = 0

    @property
    def on_step(self) -> OnStep:
        """To be called before each step."""
        return self._look

    def _look(self, step: int) -> None:
        if step not in self._steps:
            return
        version = self._world.version
        if version != self._version:
            self._version = version
            key = self._world.key()
            if key not in self._known:
                self._known[key] = len(self.snapshots)
                self.snapshots.append((step, self._world.snapshot()))
            self._last = self._known[key]
        self.state_of[step] = self._last


def _kills(case: Case, steps: tuple[int, ...]) -> list[Outcome]:
    """Restart on what a kill before each step leaves."""
    camera = _filmed(case, steps)
    results = [_restart(case, snapshot, kill_again=True) for _, snapshot in camera.snapshots]
    outcomes = []
    for step in steps:
        number = camera.state_of.get(step)
        if number is None:  # the run ended before it
            continue
        first, _ = camera.snapshots[number]
        result = results[number]
        runs = result.runs if step == first else 0
        violations = result.violations if step == first else ()
        outcomes.append(Outcome("kill", step, runs, result.states, violations, result.marks))
    return outcomes


@lru_cache(maxsize=4)
def _filmed(case: Case, steps: tuple[int, ...]) -> Camera:
    world = World(case.plot, case.seed)
    camera = Camera(world, steps)
    run_life(
        world, case.plot.run_secs, on_step=camera.on_step, signals=case.signals, patch=case.patch
    )
    return camera
