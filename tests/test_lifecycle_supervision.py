"""Supervision: restarted alone, within a bound; and the small shapes of concurrency."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.schedule import virtual
from trade_runtime.errors import RuntimeFault, VenueError
from trade_runtime.lifecycle.clock import VIRTUAL_EPOCH_NS, SystemClock, TrioClock, fresh_seed
from trade_runtime.lifecycle.supervision import Backoff, supervise
from trade_runtime.lifecycle.tasks import first_of
from trade_runtime.settings import SupervisionSettings

SETTINGS = SupervisionSettings(
    max_restarts=3, backoff_secs=1.0, max_backoff_secs=4.0, healthy_secs=30.0
)


class TestBackoff:
    """How long to wait after each failure."""

    @given(
        st.integers(0, 2**32),
        st.integers(0, 60),
        st.floats(0.001, 10),
        st.floats(10, 1000),
    )
    def test_waits_double_up_to_the_most_less_jitter(
        self, seed: int, restarts: int, first: float, most: float
    ) -> None:
        """Each wait is between half of it and all of it, and past the bound there is none."""
        settings = SupervisionSettings(restarts, first, most, 1.0)
        backoff = Backoff(settings, random.Random(seed))
        for number in range(restarts):
            wait, full = backoff.failed(), min(first * 2**number, most)
            assert wait is not None
            assert full / 2 <= wait <= full
        assert backoff.failed() is None

    def test_a_good_run_clears_the_count(self) -> None:
        """The next failure is a first one again."""
        backoff = Backoff(SETTINGS, random.Random(1))
        for _ in range(3):
            backoff.failed()
        backoff.healthy()
        wait = backoff.failed()
        assert wait is not None
        assert 0.5 <= wait <= 1.0

    def test_jitter_differs_between_tasks(self) -> None:
        """Many that failed together do not come back in step."""
        waits = {Backoff(SETTINGS, random.Random(seed)).failed() for seed in range(20)}
        assert 20 == len(waits)

    def test_one_seed_gives_one_series(self) -> None:
        """A run can be repeated."""
        series = [[Backoff(SETTINGS, random.Random(7)).failed()] for _ in range(2)]
        assert series[0] == series[1]


class Flaky:
    """A task that fails as long as it is told to, and says when it began."""

    def __init__(self, *lasts: float) -> None:
        self.lasts = list(lasts)
        self.began: list[float] = []

    async def run(self) -> None:
        self.began.append(trio.current_time())
        if not self.lasts:
            await trio.sleep_forever()
        await trio.sleep(self.lasts.pop(0))
        raise VenueError(f"failure {len(self.began)}")


async def watch(task: Callable[[], Awaitable[None]], **how: object) -> None:
    await supervise(task, name="feed", settings=SETTINGS, rng=random.Random(1), **how)  # type: ignore[arg-type]


class TestSupervise:
    """Start again, give up in the end."""

    @virtual
    async def test_a_failure_is_followed_by_a_restart(self) -> None:
        """After the wait, as often as the bound allows."""
        flaky, told = Flaky(0, 0, 0), []
        with trio.move_on_after(100):
            await watch(flaky.run, failed=lambda error: told.append(str(error)))
        assert 4 == len(flaky.began)
        waits = [b - a for a, b in pairwise(flaky.began)]
        assert all(full / 2 <= wait <= full for wait, full in zip(waits, [1, 2, 4], strict=True)), (
            waits
        )
        assert ["failure 1", "failure 2", "failure 3"] == told

    @virtual
    async def test_past_the_bound_it_is_a_fault(self) -> None:
        """One failure more than restarts are allowed; the last one's words are in it."""
        flaky = Flaky(0, 0, 0, 0)
        with pytest.raises(RuntimeFault, match=r"feed failed 4 times in a row.*failure 4"):
            await watch(flaky.run)
        assert 4 == len(flaky.began)

    @virtual
    async def test_a_long_run_clears_the_count(self) -> None:
        """What fails once an hour may do so for ever."""
        flaky = Flaky(*[3600.0] * 50)
        with trio.move_on_after(60 * 3600):
            await watch(flaky.run)
        assert 51 == len(flaky.began)

    @virtual
    async def test_a_run_that_did_its_work_clears_the_count(self) -> None:
        """However short: what counts is that it brought something."""
        flaky = Flaky(*[1.0] * 50)
        with trio.move_on_after(1000):
            await watch(flaky.run, worked=lambda: True)
        assert 51 == len(flaky.began)

    @virtual
    async def test_returning_is_failing(self) -> None:
        """A task that is to run for ever and returns did not."""

        async def done() -> None:
            await trio.lowlevel.checkpoint()

        with pytest.raises(RuntimeFault, match="it ended"):
            await watch(done)

    @virtual
    async def test_a_defect_is_not_restarted(self) -> None:
        """Only the world outside may let us down twice."""
        runs = []

        async def broken() -> None:
            runs.append(1)
            raise KeyError("defect")

        with pytest.raises(KeyError):
            await watch(broken)
        assert 1 == len(runs)


class TestFirstOf:
    """Side by side until the first is done."""

    @virtual
    async def test_the_first_ends_the_others(self) -> None:
        """The others are cancelled, and their clean-up is waited for."""
        ended: list[str] = []

        async def slow() -> None:
            try:
                await trio.sleep(100)
            finally:
                ended.append("slow")

        began = trio.current_time()
        await first_of(slow, partial(trio.sleep, 1), slow)
        assert pytest.approx(1) == trio.current_time() - began
        assert ["slow", "slow"] == ended

    @virtual
    async def test_an_error_comes_out_bare(self) -> None:
        """Not in a group: who waits for a VenueError gets one."""

        async def fail() -> None:
            await trio.sleep(1)
            raise VenueError("gone")

        with pytest.raises(VenueError, match="gone"):
            await first_of(trio.sleep_forever, fail)

    @virtual
    async def test_two_errors_in_one_step_are_one(self) -> None:
        """One of them is enough."""

        async def fail() -> None:
            raise VenueError("gone")

        with pytest.raises(VenueError, match="gone"):
            await first_of(fail, fail)

    @virtual
    async def test_a_cancellation_from_outside_passes(self) -> None:
        """It ends all of them and is no error."""
        with trio.move_on_after(1) as scope:
            await first_of(trio.sleep_forever, trio.sleep_forever)
        assert scope.cancelled_caught


class TestClocks:
    """The time of day, real and virtual."""

    @virtual
    async def test_virtual_time_of_day_follows_trio(self) -> None:
        """An hour of virtual sleep is an hour of virtual day."""
        clock = TrioClock()
        before = clock.now_ns()
        await trio.sleep(3600)
        assert 3600 * 10**9 == clock.now_ns() - before
        assert before >= VIRTUAL_EPOCH_NS

    def test_the_machines_clock_goes_on(self) -> None:
        """And is past the epoch of virtual time."""
        assert VIRTUAL_EPOCH_NS < SystemClock().now_ns() <= SystemClock().now_ns()

    def test_fresh_seeds_differ(self) -> None:
        """Two runs are not the same run."""
        assert fresh_seed() != fresh_seed()
