"""Spreads work over processes, and gives the results back in the order of the work.

The one file that knows of worker processes; the sweep and the grid of backtests use it. Each item
is worked on alone and by plain functions, so that one process and many come to the same.
"""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


@contextmanager
def spread(work: Callable[[A], B], items: Sequence[A], jobs: int) -> Iterator[Iterator[B]]:
    """Give an iterator over `work(item)` for each item, in order, made by up to `jobs` processes.

    Leaving the block begins no further item and waits for those that were begun.

    Args:
        work: a function at the top level of a module; raises nothing.
        items: what can be pickled.
        jobs: how many processes; 1 works in this one.
    """
    jobs = min(jobs, len(items))
    if jobs <= 1:
        yield map(work, items)
        return
    # A forked worker knows what this process has registered, and starts at once.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context)
    try:
        with warnings.catch_warnings():
            # Python warns of a fork beside other threads. What a worker does needs none of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            futures = [pool.submit(work, item) for item in items]
        yield (future.result() for future in futures)
    finally:
        pool.shutdown(cancel_futures=True)
