"""Layers: tasks that outlive the body that uses them, closed strictly from the inside out."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise

import pytest
import trio
import trio.testing

from tests.support.schedule import run_seeded, virtual
from trade_runtime.lifecycle.layer import Layer, open_layer

Open = Callable[[str, Callable[[], Awaitable[None]]], AbstractAsyncContextManager[Layer]]


class Diary:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def close(self, name: str, secs: float = 0.1) -> Callable[[], Awaitable[None]]:
        """A layer's way to close that takes its time."""

        async def close() -> None:
            with trio.CancelScope(shield=True):
                self.lines.append(f"{name} closing")
                await trio.sleep(secs)
                self.lines.append(f"{name} closed")

        return close

    async def serve(self, name: str) -> None:
        """A task that serves until it is cancelled."""
        try:
            await trio.sleep_forever()
        finally:
            self.lines.append(f"{name} ended")


@virtual
async def test_tasks_outlive_a_cancelled_body() -> None:
    """The host cancels: the layer's tasks serve on until its close is done."""
    diary = Diary()
    with trio.CancelScope() as host:
        async with open_layer("prices", diary.close("prices")) as layer:
            layer.start_soon(diary.serve, "feed", name="feed")
            await trio.testing.wait_all_tasks_blocked()
            host.cancel()
            await trio.sleep_forever()
    assert host.cancelled_caught
    assert ["prices closing", "prices closed", "feed ended"] == diary.lines


@pytest.mark.parametrize("leave", ["returns", "raises"])
@virtual
async def test_a_body_that_leaves_closes_the_layer(leave: str) -> None:
    """By whichever way it leaves."""
    diary = Diary()
    caught: list[str] = []
    try:
        async with open_layer("prices", diary.close("prices")) as layer:
            layer.start_soon(diary.serve, "feed", name="feed")
            await trio.testing.wait_all_tasks_blocked()
            if leave == "raises":
                raise ValueError("oops")
    except* ValueError as group:
        caught = [str(error) for error in group.exceptions]
    assert ["prices closing", "prices closed", "feed ended"] == diary.lines
    assert (["oops"] if leave == "raises" else []) == caught


@virtual
async def test_a_task_that_raises_ends_the_body_and_closes_in_order() -> None:
    """Its error comes out when all is closed, the other tasks serving until then."""
    diary = Diary()

    async def fail() -> None:
        await trio.sleep(1)
        raise RuntimeError("the feed broke")

    async def body() -> None:
        async with (
            open_layer("venues", diary.close("venues")) as venues,
            open_layer("prices", diary.close("prices")) as prices,
        ):
            venues.start_soon(diary.serve, "private", name="private")
            prices.start_soon(diary.serve, "other", name="other")
            prices.start_soon(fail, name="feed")
            try:
                await trio.sleep_forever()
            finally:
                diary.lines.append("body left")

    with pytest.raises(ExceptionGroup) as caught:
        await body()
    assert caught.group_contains(RuntimeError, match="the feed broke")
    assert [
        "body left",
        "prices closing",
        "prices closed",
        "other ended",
        "venues closing",
        "venues closed",
        "private ended",
    ] == diary.lines


@virtual
async def test_an_error_in_close_still_cancels_the_tasks() -> None:
    """A close that raises leaves no task behind, and its error is told."""
    diary = Diary()

    async def close() -> None:
        raise OSError("disk")

    with pytest.raises(ExceptionGroup) as caught:
        async with open_layer("state", close) as layer:
            layer.start_soon(diary.serve, "writer", name="writer")
            await trio.testing.wait_all_tasks_blocked()
    assert caught.group_contains(OSError)
    assert ["writer ended"] == diary.lines


@virtual
async def test_tasks_are_known_by_name() -> None:
    """The layer lists what runs, under its own name, until it ended."""
    diary = Diary()
    async with open_layer("prices", diary.close("prices")) as layer:
        layer.start_soon(diary.serve, "feed", name="feed")
        assert [] == layer.tasks
        await trio.testing.wait_all_tasks_blocked()
        assert ["prices/feed"] == layer.tasks
        (child,) = [t.name for t in _children() if t.name.startswith("prices/")]
        assert "prices/feed" == child
        layer.cancel_tasks()
        await layer.ended()
        assert [] == layer.tasks


def _children() -> list[trio.lowlevel.Task]:
    nurseries = trio.lowlevel.current_task().child_nurseries
    return [task for nursery in nurseries for task in nursery.child_tasks]


@virtual
async def test_a_task_that_did_not_begin_does_not_begin_after_the_close() -> None:
    """Started in the last moment: it never runs a line."""
    diary = Diary()

    async def task() -> None:
        diary.lines.append("ran")

    async with open_layer("prices", diary.close("prices", 0)) as layer:
        layer.cancel_tasks()
        layer.start_soon(task, name="late")
    assert ["prices closing", "prices closed"] == diary.lines


@virtual
async def test_a_task_may_begin_under_a_cancelled_host() -> None:
    """A host that cancels in the same step cannot keep a task from its first line and its end."""
    diary = Diary()
    with trio.CancelScope() as host:
        async with open_layer("prices", diary.close("prices")) as layer:
            layer.start_soon(diary.serve, "feed", name="feed")
            host.cancel()
    assert ["prices closing", "prices closed", "feed ended"] == diary.lines


@virtual
async def test_a_task_that_refuses_to_end_keeps_nobody_waiting() -> None:
    """A strategy shields itself for an hour in the outermost nursery: its layer leaves at once."""
    diary = Diary()

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(3600)

    async with trio.open_nursery() as outermost:
        began = trio.current_time()
        async with open_layer("strategies", diary.close("strategies"), outermost) as layer:
            layer.start_soon(stubborn, name="run")
            await trio.testing.wait_all_tasks_blocked()
        assert pytest.approx(0.1) == trio.current_time() - began
        assert ["strategies/run"] == layer.tasks


@asynccontextmanager
async def plain(name: str, close: Callable[[], Awaitable[None]]) -> AsyncIterator[Layer]:
    """The same with a plain nursery: what everyone writes first."""
    async with trio.open_nursery() as nursery:
        try:
            yield _Plain(name, nursery)
        finally:
            await close()
            nursery.cancel_scope.cancel()


class _Plain(Layer):
    def start_soon(
        self, function: Callable[..., Awaitable[object]], *args: object, name: str
    ) -> None:
        self._nursery.start_soon(function, *args, name=name)


async def five_layers(opened: Open, cancel_at: float) -> list[str]:
    """Five nested layers with two tasks each; the host cancels at some moment. What ended when."""
    diary = Diary()
    names = ["state", "venues", "prices", "orders", "strategies"]

    async def nest(left: list[str]) -> None:
        if not left:
            await trio.sleep_forever()
        name = left[0]
        async with opened(name, diary.close(name, 0.01)) as layer:
            layer.start_soon(diary.serve, name, name="a")
            await trio.sleep(0.01)
            layer.start_soon(diary.serve, name, name="b")
            await nest(left[1:])

    with trio.move_on_after(cancel_at):
        await nest(names)
    return diary.lines


def in_order(lines: list[str]) -> bool:
    """Every layer, from the inside out: closing, closed, then its tasks end, then the next."""
    present = [
        n for n in ["strategies", "orders", "prices", "venues", "state"] if _closed(n, lines)
    ]
    wanted = [line for name in present for line in (f"{name} closing", f"{name} closed")]
    order = [line for line in lines if not line.endswith("ended")]
    ends_after = all(
        lines.index(f"{n} closed") < i
        for n in present
        for i, line in enumerate(lines)
        if line == f"{n} ended"
    )
    before_next = all(
        max((i for i, line in enumerate(lines) if line == f"{inner} ended"), default=-1)
        < lines.index(f"{outer} closing")
        for inner, outer in pairwise(present)
    )
    return wanted == order and ends_after and before_next


def _closed(name: str, lines: list[str]) -> bool:
    return f"{name} closed" in lines


def broken_runs(opened: Open) -> int:
    """Of 200 runs, each cancelled at a moment of its own under a schedule of its own, how many
    closed out of order.
    """
    broken = 0
    for seed in range(200):
        cancel_at = random.Random(seed).uniform(0.0, 0.08)
        broken += not in_order(run_seeded(seed, five_layers, opened, cancel_at))
    return broken


def test_nested_layers_close_from_the_inside_out_wherever_they_are_cancelled() -> None:
    """200 moments, 200 schedules: never once out of order."""
    assert 0 == broken_runs(open_layer)


def test_nested_plain_nurseries_do_not() -> None:
    """The same judge finds plain nurseries out: it can fail, and layers are needed."""
    assert broken_runs(plain) > 100
