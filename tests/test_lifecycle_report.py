"""The stop report: its shape is a contract, and it is written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import attrs
import pytest

from trade_runtime.lifecycle.ladder import StageResult
from trade_runtime.lifecycle.report import OUTCOMES, StopReport, file_name, iso

REPORT = StopReport(
    runtime="demo",
    reason="SIGTERM",
    outcome="clean",
    exit_code=0,
    started_at=iso(1_700_000_000_000_000_000),
    stopped_at=iso(1_700_000_001_234_567_890),
    duration_secs=0.25,
    stages=[StageResult("halt", "strategies", 0.5, 0.1)],
    orders={"open_at_stop": 1, "cancelled": 1, "left_open": []},
    positions=[],
    state={"flushed": True, "verified": True, "records": 7},
    market_data={},
    strategies=[{"name": "maker", "outcome": "stopped", "detail": ""}],
    tasks_left=[],
    connections_left=[],
)


def test_the_keys_are_the_contract() -> None:
    """What people's tools read: these names, in this order."""
    assert [
        "schema",
        "runtime",
        "reason",
        "outcome",
        "exit_code",
        "started_at",
        "stopped_at",
        "duration_secs",
        "stages",
        "orders",
        "positions",
        "state",
        "market_data",
        "strategies",
        "tasks_left",
        "connections_left",
        "error",
        "latch",
        "cache",
        "owner",
        "switch",
    ] == list(REPORT.as_dict())
    assert ["name", "layer", "budget_secs", "took_secs", "outcome", "detail"] == list(
        REPORT.as_dict()["stages"][0]
    )


def test_outcomes_are_the_contract() -> None:
    """One word for each exit code of a stop."""
    assert {0: "clean", 1: "forced", 3: "incomplete", 4: "failed"} == OUTCOMES


def test_it_is_written_as_json_for_its_owner_only(tmp_path: Path) -> None:
    """Positions are nobody else's business; the folder is made if need be."""
    path = tmp_path / "reports" / "stop.json"
    before = os.umask(0)
    try:
        REPORT.write(path)
    finally:
        os.umask(before)
    text = path.read_text(encoding="utf-8")
    assert REPORT.as_dict() == json.loads(text)
    assert text.endswith("}\n")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """A reader never sees half of one."""
    path = tmp_path / "stop.json"
    REPORT.write(path)
    broken = attrs.evolve(REPORT, positions=[{"quantity": object()}])
    with pytest.raises(TypeError):
        broken.write(path)
    assert REPORT.as_dict() == json.loads(path.read_text(encoding="utf-8"))


def test_names_of_reports_sort_by_time() -> None:
    """The newest is the last of a sorted listing, within a second too."""
    moments = [1_699_999_999_999_999_999, 1_700_000_000_000_000_000, 1_700_000_000_000_000_001]
    names = [file_name(moment) for moment in moments]
    assert names == sorted(names)
    assert "stop-20231114T221320-000000001.json" == names[-1]
    assert "2023-11-14T22:13:20.000+00:00" == iso(moments[1])
