"""The benchmarks run, and print what their reference says. What they measure is not tested: a
figure that fails a test on a busy machine says nothing of the code.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "benchmarks").glob("bench_*.py"))
REFERENCE = ROOT / "docs" / "reference" / "benchmarks.md"

COUNTS = frozenset({"0", "1", "3", "5", "10", "100", "1000"})
"""Keys that are numbers of strategies or orders."""


def keys(value: Any) -> Iterator[str]:
    """Every key of a report, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def numbers(value: Any) -> Iterator[float]:
    """Every number of a report."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float):
        yield value


@pytest.mark.process
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_runs_and_prints_what_is_documented(script: Path) -> None:
    """A tiny run ends well, prints one JSON document and no key that the reference leaves out."""
    done = subprocess.run(
        [sys.executable, str(script), "--tiny"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert {"benchmark", "tiny", "secs", "machine", "results"} == report.keys()
    assert script.stem == f"bench_{report['benchmark']}"
    assert list(numbers(report["results"]))
    documented = set(re.findall(r"`([a-z][a-z0-9_]*)`", REFERENCE.read_text(encoding="utf-8")))
    assert set() == set(keys(report)) - documented - COUNTS


def test_no_benchmark_is_missing_from_the_reference() -> None:
    """Each script has its section."""
    text = REFERENCE.read_text(encoding="utf-8")
    assert [] == [path.name for path in SCRIPTS if f"\n## {path.name}\n" not in text]


def test_keys_and_numbers_are_found_however_deep() -> None:
    """A key that is not looked at could not be missed."""
    assert ["a", "b", "c"] == list(keys({"a": [{"b": {"c": 1}}]}))
    assert [1, 2.5] == list(numbers({"a": [1, {"b": 2.5}], "c": "3"}))
