"""Lines of styled text for the live view, laid out to fit a width. Made to be cheap.

A part of the command line. A frame is drawn several times a second in the loop that trades, so it
is made of plain cells and handed to rich as finished segments, which costs a tenth of its tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

KEEP_ALWAYS = 9
"""Of a column without which the row would mean nothing."""

GAP = "  "
MARGIN = " "

_UNSAFE = dict.fromkeys((*range(32), *range(127, 160)), "?")
"""Control characters, by which a text from outside could steer the terminal."""

Cell = tuple[str, str]
"""A text, and the name of its style."""

Line = list[Cell]


def plain(text: object) -> str:
    """Return a text without anything that could steer the terminal."""
    return str(text).translate(_UNSAFE)


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        title: stands above it.
        right: its cells are numbers.
        keep: where the width does not suffice, columns of the lowest go first; none of
            `KEEP_ALWAYS` goes.
    """

    title: str
    right: bool = False
    keep: int = KEEP_ALWAYS


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    """Lay a table out: a line of titles, then a line for each row.

    Args:
        columns: from left to right.
        rows: a cell for each column.
        width: not exceeded as long as a column is left that may go.
    """
    sizes = [
        max(cell_len(column.title), *(cell_len(row[at][0]) for row in rows), 0)
        for at, column in enumerate(columns)
    ]
    chosen = list(range(len(columns)))
    while len(chosen) > 1 and sum(sizes[at] + len(GAP) for at in chosen) > width:
        least = min(columns[at].keep for at in chosen)
        if least >= KEEP_ALWAYS:
            break
        chosen.remove(next(at for at in reversed(chosen) if columns[at].keep == least))
    titles: Sequence[Cell] = [
        (column.title, "bold" if not at else "dim") for at, column in enumerate(columns)
    ]
    return [
        [_padded(row[at], sizes[at], right=columns[at].right) for at in chosen]
        for row in (titles, *rows)
    ]


def _padded(cell: Cell, size: int, *, right: bool) -> Cell:
    text, style = cell
    fill = " " * (size - cell_len(text))
    return (fill + text if right else text + fill), style


class Frame:
    """Lines for rich to print, each cut at the width of the console.

    Args:
        lines: from top to bottom.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the finished segments."""
        for line in self.lines:
            left = options.max_width
            for at, (text, style) in enumerate(line):
                shown = (GAP if at else MARGIN) + text
                size = cell_len(shown)
                if size > left:
                    shown = set_cell_size(shown, left)
                left -= size
                yield Segment(shown, console.get_style(style or "none"))
                if left <= 0:
                    break
            yield Segment.line()
