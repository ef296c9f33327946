"""What tests of histories share: files of rows, and every event of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trade_runtime.model.ids import InstrumentId
from trade_runtime.protocols import HistoryPlugin, HistoryQuery

ETH = InstrumentId("ETHUSDT.sim")
T0 = 1_700_000_000_000_000_000
"""2023-11-14T22:13:20Z."""
HEAD = "ts_ns,bid,ask,bid_size,ask_size"


def read(plugin: HistoryPlugin, path: Path, kind: str = "quotes", **more: Any) -> list[Any]:
    """Every event of a history."""
    options = more.pop("options", {})
    query = HistoryQuery(path, kind, more.pop("instrument", ETH), options=options, **more)
    return [event for chunk in plugin.read(query) for event in chunk]


def csv_of(folder: Path, *rows: str, head: str = HEAD) -> Path:
    """A CSV file of these rows."""
    path = folder / "ticks.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path
