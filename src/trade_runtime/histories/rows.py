"""Where a history stands while its files are read, and the errors that name a row.

Stands below every format of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from trade_runtime.errors import DataError


@attrs.define
class Rows:
    """Where a history stands: what the next rows must follow on.

    Attributes:
        path: the file that is read.
        line_of: of a text file, the line of a row, counted from 0; looked up when an error needs
            it. None where only rows are counted.
        seen: rows of this file that were read.
        before: rows of the files before this one.
        last_ns: the time of the last row, also of the file before.
        last_row: what the last row says, also of the file before; by it a double is known.
        aware: whether the times that are written as text name their offset from UTC; None before
            the first.
    """

    path: Path
    line_of: Callable[[int], int] | None = None
    seen: int = 0
    before: int = 0
    last_ns: int = 0
    last_row: tuple[Any, ...] | None = None
    aware: bool | None = None

    def next_file(self, path: Path) -> None:
        """Go on with another file, whose rows must follow on those of this one."""
        self.before += self.seen
        self.path, self.line_of, self.seen, self.aware = path, None, 0, None

    def error(self, index: int, text: str) -> DataError:
        """Return the error of a row of the present block."""
        row = self.seen + index
        where = f"row {row + 1}" if self.line_of is None else f"line {self.line_of(row)}"
        return DataError(f"{self.path}: {where}: {text}")


def first_bad(rows: Rows, bad: Any, text: Callable[[int], str]) -> None:
    """Raise for the first row that is bad, if one is.

    Args:
        rows: where the history stands.
        bad: of each row of the present block, whether it is.
        text: what is wrong with a row, by its index in the block.

    Raises:
        DataError: with the file and the row.
    """
    if bad.any():
        index = int(bad.argmax())
        raise rows.error(index, text(index))
