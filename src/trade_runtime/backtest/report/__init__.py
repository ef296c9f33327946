"""The report of a backtest: `report.json`, `trades.parquet` and one page, `report.html`.

All figures are worked out once, in `figures`; the page and the JSON show the same. The libraries
that it takes are loaded here alone, so that nothing else waits for them.
"""

from __future__ import annotations

import json
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

    Returns:
        the files.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = figures_of(result)
    paths = [folder / name for name in NAMES]
    paths[0].write_text(json.dumps(figures.as_json(), indent=2) + "\n", encoding="utf-8")
    write_trades(result.fills, paths[1])
    paths[2].write_text(page(result, figures), encoding="utf-8")
    return paths


__all__ = ["NAMES", "Figures", "figures_of", "write_report"]
