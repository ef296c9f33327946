"""One seed, one schedule: runs in virtual time that can be repeated."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import trio
import trio.testing
from trio._core import _run as trio_run

P = ParamSpec("P")
T = TypeVar("T")


def run_seeded(seed: int, function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run in virtual time; the order in which tasks that could run do run follows the seed."""
    internals: Any = trio_run
    before = internals._ALLOW_DETERMINISTIC_SCHEDULING
    internals._ALLOW_DETERMINISTIC_SCHEDULING = True
    internals._r.seed(seed)
    try:
        return trio.run(function, *args, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        internals._ALLOW_DETERMINISTIC_SCHEDULING = before


def virtual(function: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Make an async test a plain one, run in virtual time with one schedule."""

    @functools.wraps(function)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        run_seeded(0, functools.partial(function, *args, **kwargs))

    return test
