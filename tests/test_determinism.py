"""One seed, one schedule: the runner repeats a run, whatever else the process has been through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from trade_runtime.testing.life import plain_signals, run_life
from trade_runtime.testing.runner import Run, run_deterministically
from trade_runtime.testing.scenarios import SCENARIOS
from trade_runtime.testing.world import World

ROOT = Path(__file__).resolve().parent.parent

# Odd objects of odd sizes, some kept and some let go, so that addresses differ between processes.
PERTURBED = """
import sys
kept = [bytearray(17 * n % 4099) for n in range(int(sys.argv[1]))]
del kept[:: 3]
from trade_runtime.testing.sweep import sweep
result = sweep("smoke", stride=90, jobs=int(sys.argv[2]))
print(result.trace, result.steps, result.violations)
"""


async def race() -> list[int]:
    """Ten tasks take turns; who comes when is the scheduler's choice alone. Trio's own test."""
    order: list[int] = []

    async def tracer(name: int) -> None:
        for _ in range(10):
            order.append(name)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for name in range(10):
            nursery.start_soon(tracer, name)
    return order


async def race_by_events() -> list[int]:
    """Tasks that wait for one event are woken from a set that is ordered by address."""
    order: list[int] = []
    event = trio.Event()

    async def waiter(name: int) -> None:
        await event.wait()
        order.append(name)

    async with trio.open_nursery() as nursery:
        for name in range(20):
            nursery.start_soon(waiter, name)
        await trio.testing.wait_all_tasks_blocked()
        event.set()
    return order


def run(seed: int) -> Run[list[int]]:
    """Run the race."""
    return run_deterministically(race, seed=seed, traced=True)


class TestRunner:
    """The runner itself. These fail first when a new trio changes what it relies on."""

    def test_the_same_seed_gives_the_same_schedule(self) -> None:
        """Canary: schedule and trace are those of the seed."""
        assert run(7) == run(7)

    def test_another_seed_gives_another_schedule(self) -> None:
        """Canary: the seed is what decides."""
        first, second = run(7), run(8)
        assert first.value != second.value
        assert first.trace != second.trace

    def test_the_order_of_addresses_does_not_show(self) -> None:
        """What trio keeps in sets by address is put in order before it is run."""
        runs = []
        kept = []
        for n in range(5):
            kept.append([object() for _ in range(n * 31)])
            runs.append(run_deterministically(race_by_events, seed=3).value)
        assert [runs[0]] * 5 == runs

    def test_the_scheduler_is_put_back(self) -> None:
        """Whoever runs trio afterwards finds it as it was."""
        scheduler = trio._core._run
        before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()
        run(7)
        assert before == (scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate())

    def test_time_is_virtual(self) -> None:
        """An hour passes at once."""

        async def hour() -> float:
            await trio.sleep(3600)
            return trio.current_time()

        assert 3600 == run_deterministically(hour, seed=1).value

    def test_errors_are_returned(self) -> None:
        """An error of the function is a result to look at."""

        async def fails() -> None:
            raise LookupError("no")

        found = run_deterministically(fails, seed=1)
        assert isinstance(found.error, LookupError)

    def test_an_error_at_a_step_is_not_lost(self) -> None:
        """Trio drops an instrument that raises; the runner keeps what it raised."""

        def on_step(step: int) -> None:
            if step == 5:
                raise ValueError(step)

        found = run_deterministically(race, seed=1, on_step=on_step)
        assert isinstance(found.error, ValueError)
        assert found.value is not None

    def test_steps_are_counted_from_one(self) -> None:
        """Each step is announced once, in order."""
        seen: list[int] = []
        found = run_deterministically(race, seed=1, on_step=seen.append)
        assert list(range(1, found.steps + 1)) == seen


def smoke_trace() -> str:
    """The schedule of the smoke scenario and what came of it."""
    scenario = SCENARIOS["smoke"]
    world = World(scenario, 1)
    found = run_life(world, scenario.run_secs, signals=plain_signals, traced=True)
    assert found.error is None
    return f"{found.trace} {world.key()}"


class TestRuntime:
    """The whole runtime, venue, market and store, run under the runner."""

    def test_a_scenario_repeats_in_one_process(self) -> None:
        """Whatever ran before in this process, the trace is the same."""
        first = smoke_trace()
        kept = [object() for _ in range(10_000)]
        assert first == smoke_trace()
        assert kept

    def test_signal_handlers_are_put_back(self) -> None:
        """A life leaves the handlers of the process as they were."""
        before = signal.getsignal(signal.SIGTERM)
        smoke_trace()
        assert before is signal.getsignal(signal.SIGTERM)

    @pytest.mark.slow
    @pytest.mark.process
    def test_a_sweep_repeats_in_another_process(self) -> None:
        """Hash seeds, a perturbed heap and the number of processes change nothing."""
        told = [
            subprocess.run(
                [sys.executable, "-c", PERTURBED, heap, jobs],
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": hash_seed},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for hash_seed, heap, jobs in (("0", "10", "1"), ("4242", "70001", "2"))
        ]
        assert told[0] == told[1]
        assert told[0].endswith(" 0\n"), told[0]
