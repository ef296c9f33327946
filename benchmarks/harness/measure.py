"""Medians, percentiles and memory. The only clock is `perf_counter`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

US = 1e6
"""Microseconds in a second."""


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds a call took."""
    began = perf_counter()
    work()
    return perf_counter() - began


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many of a hundred do not exceed."""
    if len(values) < 2:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def spread(values: Sequence[float]) -> float:
    """Return how far the middle half of the values lies apart, as a share of their median."""
    if len(values) < 2:
        return 0.0
    return round((percentile(values, 75) - percentile(values, 25)) / median(values), 3)


def figure(value: float) -> float:
    """Return a number with the digits that a measurement is worth."""
    return float(f"{value:.4g}")


def rss_mib() -> float:
    """Return how much memory this process occupies now."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        pages = int(statm.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return int(shown.stdout) / 1024
