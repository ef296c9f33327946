"""The command line of a benchmark, and the JSON that it prints."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from time import perf_counter
from typing import Any

import structlog

from harness.measure import figure


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "python": platform.python_version(),
        "trio": version("trio"),
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": [figure(load) for load in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }


def parser() -> argparse.ArgumentParser:
    """Return the command line of every benchmark, to which one may add its own options."""
    made = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    made.add_argument(
        "--tiny", action="store_true", help="do only a little: shows that it runs, measures nothing"
    )
    return made


def main(name: str, measure: Callable[[bool], Mapping[str, Any]]) -> None:
    """Read the command line of a benchmark without options of its own, and `run` it."""
    run(name, measure, tiny=parser().parse_args().tiny)


def run(name: str, measure: Callable[[bool], Mapping[str, Any]], *, tiny: bool) -> None:
    """Measure, and print one JSON document.

    Args:
        name: of the benchmark.
        measure: does the work and returns the results; told whether to do only a little of it.
        tiny: whether to do only a little.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    facts, began = machine(), perf_counter()
    results = measure(tiny)
    report = {
        "benchmark": name,
        "tiny": tiny,
        "secs": figure(perf_counter() - began),
        "machine": facts,
        "results": results,
    }
    print(json.dumps(report, indent=2))


def progress(text: str) -> None:
    """Tell whoever waits where the benchmark is."""
    print(text, file=sys.stderr, flush=True)
