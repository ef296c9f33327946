"""The sweep: every point at which a runtime could be stopped is tried, restarted and judged.

One baseline run of a scenario counts its scheduling steps, its ordered stop among them. Then, for
each step and each fault, a world of its own:

- `cancel`: the host's scope is cancelled before that step; the stop that follows is judged, then a
  restart on what it left.
- `sigterm`: the process gets a real SIGTERM before that step; judged likewise.
- `kill`: nothing of the runtime happens from that step on. What it leaves is what the world is at
  that step, so the baseline itself passes through every such state; a restart is made and judged
  once for each distinct one, and once more after a second kill in the middle of that restart.

The same scenario, seed and mutant give the same result, whatever the number of processes.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from hashlib import blake2b

import attrs
import trio

from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.testing.life import ACTS, Signals, plain_signals
from trade_runtime.testing.trials import Baseline, Case, Outcome, Share, baseline, try_share
from trade_runtime.version import __version__
from trade_runtime.workers import spread

FAULTS = (*ACTS, "kill")
"""Every fault by its name."""

SHARE_STEPS = 24
"""How many steps one process takes at a time. It is a part of the result: within such a share a
restart is made once for each distinct state."""

MAX_FOUND = 20
"""Violations that are told in full."""


@attrs.frozen
class Violation:
    """A promise that was broken, and the key to seeing it again.

    Attributes:
        fault: which; `none` for the baseline.
        step: before which scheduling step.
        what: a sentence; the number before it is that of the invariant.
        command: replays it.
    """

    fault: str
    step: int
    what: str
    command: str


@attrs.frozen
class SweepResult:
    """What a sweep found.

    Attributes:
        scenario: its name.
        seed: of everything.
        mutant: what was broken on purpose; None for the runtime as it is.
        faults: those that were tried.
        stride: every so many steps.
        steps: scheduling steps of the baseline.
        runs: lives of a runtime that were run.
        tried: pairs of a step and a fault that were tried.
        violations: how many were found.
        found: the first of them.
        distinct_crash_states: distinct states of disk, exchange and wire that were restarted on.
        seconds: how long it took.
        trace: a digest of the baseline's schedule and of everything that came of it.
        marks: what it came by, each with the number of trials.
        unseen: what it had to come by and did not; only a whole sweep has to.
        versions: for which it holds.
    """

    scenario: str
    seed: int
    mutant: str | None
    faults: tuple[str, ...]
    stride: int
    steps: int
    runs: int
    tried: int
    violations: int
    found: tuple[Violation, ...]
    distinct_crash_states: int
    seconds: float
    trace: str
    versions: str
    marks: dict[str, int]
    unseen: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Nothing was broken, and all was seen that had to be."""
        return not self.violations and not self.unseen


def versions() -> str:
    """Return what a schedule is the same for: one version of each of these."""
    python = platform.python_version()
    return f"trade_runtime {__version__}, Python {python}, trio {trio.__version__}"


GoOn = Callable[[int, int, int], bool]
"""Told how many steps were tried, of how many, and the violations so far; False ends the sweep."""


def until_found(tried: int, total: int, violations: int) -> bool:
    """Go on until the first violation."""
    return violations == 0


def sweep(
    scenario: str = "smoke",
    faults: Sequence[str] = FAULTS,
    *,
    stride: int = 1,
    seed: int = 1,
    step: int | None = None,
    mutant: str | None = None,
    jobs: int | None = None,
    signals: Signals = plain_signals,
    go_on: GoOn = lambda tried, total, violations: True,
) -> SweepResult:
    """Try every so many steps of a scenario with each fault. Not inside a trio run.

    Args:
        scenario: its name in `SCENARIOS`.
        faults: of `FAULTS`.
        stride: 1 tries every step.
        seed: of everything that happens.
        step: try this step only.
        mutant: a name of `MUTANTS`, to see whether the sweep finds it.
        jobs: processes; as many as there are processors where None.
        signals: what handles SIGTERM; a function at the top level of a module.
        go_on: told of the progress, and asked whether to go on.

    Raises:
        KeyError: there is no such scenario, fault or mutant.
    """
    for fault in faults:
        if fault not in FAULTS:
            raise KeyError(f"no fault {fault!r}; there are: {', '.join(FAULTS)}")
    clock = SystemClock()
    began_ns = clock.now_ns()
    case = Case(scenario, seed, mutant, signals)
    base = baseline(case)
    tally = _Tally(case, began_ns, clock)
    tally.add(base.outcome)
    shares = _shares(case, faults, base.steps, stride, step)
    total = sum(len(share.steps) for share in shares)
    if go_on(0, total, tally.violations):
        with spread(try_share, shares, jobs or os.cpu_count() or 1) as results:
            for outcomes in results:
                for outcome in outcomes:
                    tally.add(outcome)
                if not go_on(tally.tried, total, tally.violations):
                    break
    # A mutant may well keep the runtime from coming by something, and so may a stride.
    whole = step is None and mutant is None and stride == 1 and set(faults) == set(FAULTS)
    return tally.result(tuple(faults), stride, base, whole=whole)


def _shares(
    case: Case, faults: Sequence[str], steps: int, stride: int, only: int | None
) -> list[Share]:
    """Cut the work up, the same for any number of processes; the faults take turns."""
    wanted = list(range(1, steps + 1, stride)) if only is None else [only]
    cuts = [wanted[i : i + SHARE_STEPS] for i in range(0, len(wanted), SHARE_STEPS)]
    return [Share(case, fault, tuple(cut)) for cut in cuts for fault in faults]


class _Tally:
    """Adds up outcomes, in the order of the shares."""

    def __init__(self, case: Case, began_ns: int, clock: SystemClock) -> None:
        self.violations = 0
        self.tried = 0
        self._runs = 0
        self._found: list[Violation] = []
        self._states: set[str] = set()
        self._marks: dict[str, int] = {}
        self._digest = blake2b(digest_size=16)
        self._case = case
        self._began_ns = began_ns
        self._clock = clock

    def add(self, outcome: Outcome) -> None:
        self.tried += outcome.fault != "none"
        self._runs += outcome.runs
        self._states.update(outcome.states)
        for mark in outcome.marks:
            self._marks[mark] = self._marks.get(mark, 0) + 1
        self._digest.update(repr(attrs.astuple(outcome)).encode())
        for what in outcome.violations:
            self.violations += 1
            if len(self._found) < MAX_FOUND:
                self._found.append(
                    Violation(outcome.fault, outcome.step, what, self._command(outcome))
                )

    def _command(self, outcome: Outcome) -> str:
        case = self._case
        mutant = f" --mutant {case.mutant}" if case.mutant else ""
        what = f" --faults {outcome.fault} --step {outcome.step}"
        return (
            f"python -m trade_runtime sweep --scenario {case.scenario} --seed {case.seed}"
            f"{mutant}{what if outcome.fault != 'none' else ' --step 1'}"
        )

    def result(
        self, faults: tuple[str, ...], stride: int, base: Baseline, *, whole: bool
    ) -> SweepResult:
        self._digest.update(base.trace.encode())
        return SweepResult(
            scenario=self._case.scenario,
            seed=self._case.seed,
            mutant=self._case.mutant,
            faults=faults,
            stride=stride,
            steps=base.steps,
            runs=self._runs,
            tried=self.tried,
            violations=self.violations,
            found=tuple(self._found),
            distinct_crash_states=len(self._states),
            seconds=round((self._clock.now_ns() - self._began_ns) / 1e9, 3),
            trace=self._digest.hexdigest(),
            versions=versions(),
            marks=dict(sorted(self._marks.items())),
            unseen=tuple(m for m in self._case.plot.must_see if whole and m not in self._marks),
        )
