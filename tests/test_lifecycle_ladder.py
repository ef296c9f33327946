"""The ladder: one budget for the whole stop, and no stage takes another's turn away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.support.schedule import virtual
from trade_runtime.lifecycle.ladder import FLOOR, STAGES, Ladder, StageResult
from trade_runtime.settings import ShutdownConfig

NAMES = [stage.name for stage in STAGES]
DUE = {"halt": 0.5, "cancel": 1.5, "protect": 2.0, "flush": 3.0, "close": 4.0, "verify": 5.0}
"""With the default budgets of 2, 1 and 2 seconds: until when each stage may take."""


def approximately(values: dict[str, float]) -> dict[str, object]:
    return {name: pytest.approx(value) for name, value in values.items()}


async def climb(ladder: Ladder, takes: dict[str, float]) -> dict[str, str]:
    """Run every stage in order, each wanting its time; what became of each."""
    for name in NAMES:
        with ladder.stage(name):
            await trio.sleep(takes.get(name, 0))
    return {result.name: result.outcome for result in ladder.results}


@virtual
async def test_deadlines_are_fixed_by_the_first_request() -> None:
    """All at once, counted from then; a second request moves nothing."""
    ladder = Ladder(ShutdownConfig())
    await trio.sleep(100)
    assert ladder.start()
    began = trio.current_time()
    assert approximately(DUE) == {name: ladder.deadline(name) - began for name in NAMES}
    await trio.sleep(0.2)
    assert not ladder.start()
    assert approximately(DUE) == {name: ladder.deadline(name) - began for name in NAMES}
    assert pytest.approx(0.2) == ladder.took_secs


def test_before_a_stop_there_is_none() -> None:
    """A ladder that was not started has taken no time."""
    ladder = Ladder(ShutdownConfig())
    assert (False, 0.0) == (ladder.started, ladder.took_secs)
    assert ["skipped"] * 6 == [result.outcome for result in ladder.stages()]
    assert {"not started"} == {result.detail for result in ladder.stages()}


@virtual
async def test_whoever_enforces_the_cap_is_told_once() -> None:
    """The watch from outside the loop starts with the stop."""
    ladder, calls = Ladder(ShutdownConfig()), []
    ladder.on_start = lambda: calls.append(trio.current_time())
    ladder.start()
    ladder.start()
    with ladder.stage("halt"):
        pass
    assert 1 == len(calls)


@virtual
async def test_time_that_is_left_is_given_to_the_next() -> None:
    """Nothing used by halt and cancel: protect has two seconds instead of half of one."""
    ladder = Ladder(ShutdownConfig())
    outcomes = await climb(ladder, {"protect": 1.9, "flush": 1.0})
    assert {"ok"} == set(outcomes.values())
    budgets = {result.name: result.budget_secs for result in ladder.results}
    assert pytest.approx(2.0) == budgets["protect"]
    assert pytest.approx(1.1) == budgets["flush"]


@virtual
async def test_a_late_stage_is_cut_and_the_others_have_their_turn() -> None:
    """Each of six stages wants for ever: each gets its share, and five seconds are enough."""
    ladder = Ladder(ShutdownConfig())
    began = trio.current_time()
    outcomes = await climb(ladder, dict.fromkeys(NAMES, float("inf")))
    assert dict.fromkeys(NAMES, "timed_out") == outcomes
    assert pytest.approx(5.0) == trio.current_time() - began
    took = [result.took_secs for result in ladder.results]
    assert pytest.approx([0.5, 1.0, 0.5, 1.0, 1.0, 1.0]) == took
    assert {"ran out of time"} == {result.detail for result in ladder.results}


@virtual
async def test_a_late_stage_is_logged_as_an_error() -> None:
    """Whoever reads the log sees which, and how long it took."""
    ladder = Ladder(ShutdownConfig())
    with capture_logs() as logs, ladder.stage("halt"):
        await trio.sleep_forever()
    late = [line for line in logs if line["log_level"] == "error"]
    assert [("Stop stage ran out of time", "halt", 0.5)] == [
        (line["event"], line["stage"], line["took_secs"]) for line in late
    ]


@virtual
async def test_an_error_is_kept_and_the_next_stage_runs() -> None:
    """With its stack in the log and its words in the report."""
    ladder = Ladder(ShutdownConfig())
    with capture_logs() as logs:
        for name in NAMES:
            with ladder.stage(name):
                raise ValueError(f"{name} broke")
    assert [("failed", f"ValueError: {name} broke") for name in NAMES] == [
        (result.outcome, result.detail) for result in ladder.stages()
    ]
    errors = [line for line in logs if line["event"] == "Stop stage failed"]
    assert NAMES == [line["stage"] for line in errors]
    assert all(isinstance(line["exc_info"], ValueError) for line in errors)


@virtual
async def test_errors_on_the_way_out_of_a_late_stage_are_kept_too() -> None:
    """The stage is cut, and one of its tasks fails while it is being cancelled."""
    ladder = Ladder(ShutdownConfig())

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("could not say goodbye")

    with ladder.stage("halt"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)
    (result,) = ladder.results
    assert "timed_out" == result.outcome
    assert "ExceptionGroup: Exceptions from Trio nursery" in result.detail


@virtual
async def test_a_stage_is_shielded_from_the_host() -> None:
    """The host's cancellation waits outside until the stage is done."""
    ladder = Ladder(ShutdownConfig())
    with trio.CancelScope() as host:
        host.cancel()
        with ladder.stage("cancel"):
            await trio.sleep(0.2)
            ladder.results[0].detail = "done"
        await trio.sleep(1)
    assert host.cancelled_caught
    assert ("ok", "done") == (ladder.results[0].outcome, ladder.results[0].detail)


@virtual
async def test_code_that_blocks_the_loop_takes_only_its_own_time() -> None:
    """Halt blocks for 10 s: each later stage still has half of its share, no more."""
    ladder = Ladder(ShutdownConfig())
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    with ladder.stage("halt"):
        clock.jump(10)  # virtual time goes on although no task had its turn
    began = trio.current_time()
    await climb_rest(ladder)
    assert pytest.approx(FLOOR * 4.5) == trio.current_time() - began
    assert {"timed_out"} == {result.outcome for result in ladder.results[1:]}


async def climb_rest(ladder: Ladder) -> None:
    for name in NAMES[1:]:
        with ladder.stage(name):
            await trio.sleep_forever()


@virtual
async def test_nothing_goes_beyond_the_total_cap() -> None:
    """Blocked until a moment before the cap: what is left of it is all that anyone gets."""
    ladder = Ladder(ShutdownConfig(timeout_secs=5.0))
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    ladder.start()
    began = trio.current_time()
    with ladder.stage("halt"):
        clock.jump(4.9)
    await climb_rest(ladder)
    assert pytest.approx(5.0) == trio.current_time() - began


@virtual
async def test_a_stage_of_two_layers_is_one_in_the_report() -> None:
    """Prices close, then venues: one line, with the time of both and the first that went wrong."""
    ladder = Ladder(ShutdownConfig())
    with ladder.stage("close"):
        await trio.sleep(0.5)
        raise OSError("socket")
    with ladder.stage("close") as result:
        await trio.sleep(0.25)
        result.fail("pool")
    (only,) = ladder.results
    assert ("failed", "OSError: socket; pool") == (only.outcome, only.detail)
    assert pytest.approx(0.75) == only.took_secs


@virtual
async def test_a_stage_that_is_left_out_says_why() -> None:
    """The report has every stage, in order, whatever happened."""
    ladder = Ladder(ShutdownConfig())
    with ladder.stage("halt"):
        pass
    ladder.skip("cancel", "shutdown.cancel_orders is false")
    assert [
        ("halt", "ok", ""),
        ("cancel", "skipped", "shutdown.cancel_orders is false"),
        ("protect", "skipped", "not started"),
    ] == [(r.name, r.outcome, r.detail) for r in ladder.stages()[:3]]
    assert NAMES == [r.name for r in ladder.stages()]


def test_running_out_of_time_weighs_more_than_failing() -> None:
    """A failure that was noted before does not hide that time ran out."""
    result = StageResult("cancel", "orders", 1.0)
    result.fail("3 orders may rest")
    result.fail("ran out of time", outcome="timed_out")
    result.fail("and more")
    assert ("timed_out", "3 orders may rest; ran out of time; and more") == (
        result.outcome,
        result.detail,
    )


@virtual
async def test_the_stage_under_way_is_known() -> None:
    """A live view shows where the stop is."""
    ladder = Ladder(ShutdownConfig())
    assert ladder.current is None
    with ladder.stage("flush") as result:
        assert ladder.current is result
    assert ladder.current is None


async def in_stage(ladder: Ladder, body: Callable[[], Awaitable[None]]) -> None:
    with ladder.stage("halt"):
        await body()


@virtual
async def test_what_is_not_an_error_is_not_kept() -> None:
    """A KeyboardInterrupt goes through: it is not the stage's to keep."""

    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await in_stage(Ladder(ShutdownConfig()), interrupted)
