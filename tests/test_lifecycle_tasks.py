"""`first_of`: the first to end decides, the others are cancelled, errors come out bare."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trade_runtime.lifecycle.tasks import first_of


async def several_cancellations() -> None:
    """A function whose cancellation comes out of its nursery as a group."""
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(unwilling)


async def unwilling() -> None:
    try:
        await trio.sleep_forever()
    finally:
        await trio.lowlevel.checkpoint()


async def briefly() -> None:
    await trio.sleep(1)


async def failing() -> None:
    await trio.sleep(1)
    raise ValueError("it failed")


@pytest.mark.parametrize("other", [several_cancellations, unwilling, trio.sleep_forever])
async def test_the_others_are_cancelled_without_a_trace(
    other: object, autojump_clock: trio.testing.MockClock
) -> None:
    """Also one whose own nursery hands on a group of cancellations: that is no error."""
    await first_of(briefly, other)  # type: ignore[arg-type]


async def test_an_error_comes_out_bare(autojump_clock: trio.testing.MockClock) -> None:
    """Not in a group, whatever else was cancelled by it."""
    with pytest.raises(ValueError, match="it failed"):
        await first_of(failing, several_cancellations)


async def test_a_cancellation_from_outside_is_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It cancels all of them, and is not taken for the end of one."""
    with trio.move_on_after(1) as scope:
        await first_of(several_cancellations, unwilling)
    assert scope.cancelled_caught


async def test_an_error_among_cancellations_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A function that fails while it is cancelled has failed all the same."""

    async def fails_when_cancelled() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(unwilling)
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("cleaning up")

    with pytest.raises(BaseExceptionGroup) as caught:
        await first_of(briefly, fails_when_cancelled)
    assert caught.group_contains(KeyError)
    assert not caught.group_contains(trio.Cancelled)
