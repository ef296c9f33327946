"""The report of a backtest: `report.json`, `trades.parquet` and one page, `report.html`.

All figures are worked out once, in `figures`; the page and the JSON show the same. The libraries
that it takes are loaded here alone, so that nothing else waits for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from trade_runtime.backtest.report.figures import Figures, figures_of
from trade_runtime.backtest.report.page import page
from trade_runtime.backtest.report.trades import write_trades
from trade_runtime.backtest.result import Result

NAMES = ("report.json", "trades.parquet", "report.html")
"""What a report's folder holds; a further report of that folder takes their place."""


def write_report(result: Result, folder: Path) -> list[Path]:
    """Write the report into a folder, which is made where it is not there.

    Args:
        result: of the backtest.
        folder: its files of the same names are written over, others are left.

    A file is written beside its place and put there when it is whole: what breaks off leaves the
    report before it.

    Returns:
        the files.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = figures_of(result)
    writers: tuple[Callable[[Path], object], ...] = (
        lambda path: path.write_text(json.dumps(figures.as_json(), indent=2) + "\n", "utf-8"),
        lambda path: write_trades(result.fills, path),
        lambda path: path.write_text(page(result, figures), "utf-8"),
    )
    paths = [folder / name for name in NAMES]
    for path, write in zip(paths, writers, strict=True):
        part = path.with_name(f".{path.name}.part")
        try:
            write(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return paths


__all__ = ["NAMES", "Figures", "figures_of", "write_report"]
